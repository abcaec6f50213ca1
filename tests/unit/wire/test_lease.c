/* The site lease, told as stories of the members ams-1 (alice), ams-2 (bob) and ams-3 (carol). The `store` is one
 * record with a compare-and-swap; each member has its own memory and its own clock, here one clock for all. */
#include "wire/lease.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH 10000
#define FULL 10200 /* LENGTH * (1 + 2 rho) */

struct store {
    bool present;
    struct lease record;
};
struct member {
    const char *instance, *name;
    struct lease_memory m;
};

/* The swap succeeds on the whole record last read. */
static bool swap(struct store *s, const struct lease_memory *m, const struct lease *to) {
    bool absent = m->seen_absent && !s->present;
    bool same = s->present && !m->seen_absent && s->record.seq == m->last.seq && s->record.term_count == m->last.term_count &&
                strcmp(s->record.term_random, m->last.term_random) == 0;
    if (!absent && !same) return false;
    s->record = *to;
    s->present = true;
    return true;
}

static void look(struct member *who, const struct store *s, int64_t now) {
    lease_saw(&who->m, s->present ? &s->record : NULL, who->instance, now, now);
}

static struct lease acquisition(const struct member *who, const char *random) {
    struct lease record;
    lease_make_acquisition(&who->m, who->instance, who->name, random, 1000, LENGTH, &record);
    return record;
}

/* A store whose lease alice takes at time 0; all three may. */
static void alice_holds(struct store *s, struct member *alice) {
    *s = (struct store){.present = true};
    struct lease *r = &s->record;
    *r = (struct lease){.store_id = "store", .term_count = 6, .term_random = "old", .holder = "gone", .seq = 40, .length_ms = LENGTH,
                        .electors = {"alice", "bob", "carol"}, .elector_count = 3, .state = LEASE_HELD};
    *alice = (struct member){.instance = "alice", .name = "ams-1"};
    look(alice, s, -FULL);
    assert_int_equal(lease_take_wait_ms(&alice->m, "alice", LENGTH, 0), 0);
    struct lease take = acquisition(alice, "a1");
    lease_sending(&alice->m, &take, 0);
    assert_true(swap(s, &alice->m, &take));
    lease_confirmed(&alice->m, &take, 5);
}

static struct lease renew(struct store *s, struct member *who, int64_t length, int64_t sent, int64_t answered) {
    struct lease record;
    lease_make_renewal(&who->m, length, &record);
    lease_sending(&who->m, &record, sent);
    assert_true(swap(s, &who->m, &record));
    lease_confirmed(&who->m, &record, answered);
    return record;
}

static void the_holder_counts_from_the_sending_not_from_the_answer(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    assert_true(lease_valid(&alice.m, LENGTH - 1));
    assert_false(lease_valid(&alice.m, LENGTH));
    renew(&s, &alice, LENGTH, 3000, 9000); /* an answer that took six seconds */
    assert_true(lease_valid(&alice.m, 3000 + LENGTH - 1));
    assert_false(lease_valid(&alice.m, 3000 + LENGTH));
}

static void the_term_is_one_more_and_the_record_keeps_what_it_is_not_about(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    assert_int_equal(s.record.term_count, 7);
    assert_string_equal(s.record.holder_member, "ams-1");
    assert_string_equal(s.record.store_id, "store");
    assert_int_equal(s.record.elector_count, 3);
    assert_int_equal(alice.m.term_count, 7);
    assert_string_equal(alice.m.term_random, "a1");
}

static void an_unknown_outcome_counts_for_nothing_until_it_is_read_back_as_ours(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    struct lease record;
    lease_make_renewal(&alice.m, LENGTH, &record);
    lease_sending(&alice.m, &record, 4000);
    assert_true(swap(&s, &alice.m, &record)); /* it arrived, its answer did not */
    assert_false(lease_valid(&alice.m, LENGTH));
    look(&alice, &s, 8000);
    assert_true(lease_valid(&alice.m, 4000 + LENGTH - 1)); /* from its sending, not from the reading */
    assert_false(lease_valid(&alice.m, 4000 + LENGTH));
}

static void a_renewal_that_never_arrived_prolongs_nothing(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    struct lease record;
    lease_make_renewal(&alice.m, LENGTH, &record);
    lease_sending(&alice.m, &record, 4000); /* lost */
    look(&alice, &s, 8000);
    assert_true(lease_valid(&alice.m, LENGTH - 1));
    assert_false(lease_valid(&alice.m, LENGTH));
}

static void a_shorter_length_binds_at_once_and_a_longer_one_when_confirmed(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    struct lease shorter, longer;
    lease_make_renewal(&alice.m, 2000, &shorter);
    lease_sending(&alice.m, &shorter, 1000);
    assert_false(lease_valid(&alice.m, 3000)); /* a taker may have seen it */
    assert_true(lease_valid(&alice.m, 2999));
    assert_true(swap(&s, &alice.m, &shorter));
    lease_confirmed(&alice.m, &shorter, 1100);
    lease_make_renewal(&alice.m, 60000, &longer);
    lease_sending(&alice.m, &longer, 2000);
    assert_false(lease_valid(&alice.m, 3000));
    assert_true(swap(&s, &alice.m, &longer));
    lease_confirmed(&alice.m, &longer, 2100);
    assert_true(lease_valid(&alice.m, 61999));
}

static void a_late_confirmation_does_not_lift_a_shorter_length_sent_since(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    struct lease first, shorter;
    lease_make_renewal(&alice.m, LENGTH, &first);
    lease_sending(&alice.m, &first, 1000);
    lease_make_renewal(&alice.m, 2000, &shorter);
    lease_sending(&alice.m, &shorter, 1500);
    lease_confirmed(&alice.m, &first, 1600); /* the shorter one may stand in the record already */
    assert_true(lease_valid(&alice.m, 3499));
    assert_false(lease_valid(&alice.m, 3500));
}

static void a_confirmation_counts_for_itself_not_for_a_longer_one_sent_since(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    struct lease first, longer;
    lease_make_renewal(&alice.m, LENGTH, &first);
    lease_sending(&alice.m, &first, 1000);
    lease_make_renewal(&alice.m, 60000, &longer);
    lease_sending(&alice.m, &longer, 1500);
    lease_confirmed(&alice.m, &first, 1600);
    assert_true(lease_valid(&alice.m, 1000 + LENGTH - 1));
    assert_false(lease_valid(&alice.m, 1000 + LENGTH));
}

static void a_release_binds_from_its_sending_and_for_good(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    struct lease renewal, release;
    lease_make_renewal(&alice.m, LENGTH, &renewal);
    lease_sending(&alice.m, &renewal, 1000);
    lease_make_release(&alice.m, &release);
    lease_sending(&alice.m, &release, 1001);
    assert_false(lease_valid(&alice.m, 1001));
    assert_int_equal(alice.m.deadline_ms, 1001); /* what the dead-man is told */
    lease_confirmed(&alice.m, &renewal, 1002); /* the renewal before it was confirmed late */
    assert_false(lease_valid(&alice.m, 1002));
    assert_true(s.present && s.record.seq < renewal.seq);
    s.record = renewal;
    look(&alice, &s, 1003); /* the release got lost, our own renewal stands in the record */
    assert_false(lease_valid(&alice.m, 1003));
    assert_int_equal(lease_take_wait_ms(&alice.m, "alice", LENGTH, 1003), FULL - 1); /* since 1002 as anybody else */
}

static void after_a_release_only_a_new_term_opens_again(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    struct lease release;
    lease_make_release(&alice.m, &release);
    assert_int_equal(release.state, LEASE_RELEASED);
    assert_int_equal(release.length_ms, LENGTH); /* who did not watch must know how long to wait */
    lease_sending(&alice.m, &release, 1000);
    assert_true(swap(&s, &alice.m, &release));
    lease_confirmed(&alice.m, &release, 1010);
    assert_false(lease_valid(&alice.m, 1010));
    assert_int_equal(lease_take_wait_ms(&alice.m, "alice", LENGTH, 1010), 0);
    struct lease take = acquisition(&alice, "a2");
    assert_int_equal(take.term_count, release.term_count + 1);
    lease_sending(&alice.m, &take, 1020);
    assert_false(lease_valid(&alice.m, 1020));
    assert_true(swap(&s, &alice.m, &take));
    lease_confirmed(&alice.m, &take, 1030);
    assert_true(lease_valid(&alice.m, 1020 + LENGTH - 1));
}

static void a_taker_waits_a_full_length_since_it_saw_the_record_change(void **state) {
    (void)state;
    struct store s;
    struct member alice, bob = {.instance = "bob", .name = "ams-2"};
    alice_holds(&s, &alice);
    look(&bob, &s, 2000);
    look(&bob, &s, 7000);
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", LENGTH, 7000), 2000 + FULL - 7000);
    renew(&s, &alice, LENGTH, 7500, 7600);
    look(&bob, &s, 8000);
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", LENGTH, 8000), FULL);
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", LENGTH, 8000 + FULL - 1), 1);
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", LENGTH, 8000 + FULL), 0);
}

static void a_slow_read_starts_the_wait_with_its_answer(void **state) {
    (void)state;
    struct store s;
    struct member alice, bob = {.instance = "bob", .name = "ams-2"};
    alice_holds(&s, &alice);
    lease_saw(&bob.m, &s.record, "bob", 100, 6000);
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", LENGTH, 6000), FULL);
}

static void the_wait_outlasts_the_lease_though_clocks_drift_by_one_percent(void **state) {
    (void)state;
    for (int64_t length = 1; length < 100000; length = length * 3 + 1)
        assert_true(lease_full_wait_ms(length) * 99 >= length * 100); /* fastest taker, exact holder */
    assert_int_equal(lease_full_wait_ms(10000), 10200);
    assert_int_equal(lease_full_wait_ms(1), 2);
}

static void a_restarted_member_waits_in_full_whatever_the_record_says(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    struct member again = {.instance = "alice", .name = "ams-1"}; /* even its own record */
    assert_int_equal(lease_take_wait_ms(&again.m, "alice", LENGTH, 90000), FULL); /* nothing read yet */
    look(&again, &s, 90000);
    assert_false(lease_valid(&again.m, 90000));
    assert_int_equal(lease_take_wait_ms(&again.m, "alice", LENGTH, 90000), FULL);
    s.record.state = LEASE_RELEASED;
    struct member bob = {.instance = "bob", .name = "ams-2"};
    look(&bob, &s, 90000);
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", LENGTH, 90000), FULL);
}

static void an_absent_record_is_waited_for_with_the_largest_length(void **state) {
    (void)state;
    struct store s = {0};
    struct member bob = {.instance = "bob", .name = "ams-2"};
    look(&bob, &s, 1000);
    look(&bob, &s, 5000);
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", 30000, 5000), 1000 + 30600 - 5000);
    struct lease first = acquisition(&bob, "b1");
    assert_int_equal(first.term_count, 1);
    assert_int_equal(first.elector_count, 1);
    assert_string_equal(first.electors[0], "bob");
    lease_sending(&bob.m, &first, 40000);
    assert_true(swap(&s, &bob.m, &first));
    lease_confirmed(&bob.m, &first, 40001);
    assert_true(lease_valid(&bob.m, 49999));
}

static void absence_seen_by_an_old_question_is_not_believed(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    lease_saw(&alice.m, NULL, "alice", 1, 6); /* asked before the acquisition was confirmed at 5 */
    assert_false(alice.m.seen_absent);
    lease_saw(&alice.m, NULL, "alice", 7, 8);
    assert_true(alice.m.seen_absent);
}

static void released_saves_the_wait_for_a_watcher_only(void **state) {
    (void)state;
    struct store s;
    struct member alice, bob = {.instance = "bob", .name = "ams-2"}, carol = {.instance = "carol", .name = "ams-3"};
    alice_holds(&s, &alice);
    look(&bob, &s, 1000);
    struct lease release;
    lease_make_release(&alice.m, &release);
    lease_sending(&alice.m, &release, 2000);
    assert_true(swap(&s, &alice.m, &release));
    look(&bob, &s, 2100);
    look(&carol, &s, 2100);
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", LENGTH, 2100), 0);
    assert_int_equal(lease_take_wait_ms(&carol.m, "carol", LENGTH, 2100), FULL);
}

static void released_in_a_term_never_seen_held_saves_nothing(void **state) {
    (void)state;
    struct store s;
    struct member alice, bob = {.instance = "bob", .name = "ams-2"};
    alice_holds(&s, &alice);
    look(&bob, &s, 1000);
    s.record.term_count++; /* somebody took and released between two looks */
    s.record.seq += 2;
    s.record.state = LEASE_RELEASED;
    look(&bob, &s, 3000);
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", LENGTH, 3000), FULL);
}

static void of_two_takers_one_wins_and_the_other_waits_again(void **state) {
    (void)state;
    struct store s;
    struct member alice, bob = {.instance = "bob", .name = "ams-2"}, carol = {.instance = "carol", .name = "ams-3"};
    alice_holds(&s, &alice);
    look(&bob, &s, 1000);
    look(&carol, &s, 1000);
    int64_t now = 1000 + FULL;
    struct lease of_bob = acquisition(&bob, "b1"), of_carol = acquisition(&carol, "c1");
    lease_sending(&bob.m, &of_bob, now);
    lease_sending(&carol.m, &of_carol, now);
    assert_true(swap(&s, &bob.m, &of_bob));
    lease_confirmed(&bob.m, &of_bob, now + 1);
    assert_false(swap(&s, &carol.m, &of_carol));
    look(&carol, &s, now + 2);
    assert_true(lease_valid(&bob.m, now + 2));
    assert_false(lease_valid(&carol.m, now + 2));
    assert_int_equal(lease_take_wait_ms(&carol.m, "carol", LENGTH, now + 2), FULL);
}

static void an_acquisition_of_unknown_outcome_counts_when_it_is_read_back(void **state) {
    (void)state;
    struct store s;
    struct member alice, bob = {.instance = "bob", .name = "ams-2"};
    alice_holds(&s, &alice);
    look(&bob, &s, 0);
    struct lease take = acquisition(&bob, "b1");
    lease_sending(&bob.m, &take, FULL);
    assert_true(swap(&s, &bob.m, &take));
    assert_false(lease_valid(&bob.m, FULL + 1));
    look(&bob, &s, FULL + 500);
    assert_true(lease_valid(&bob.m, FULL + LENGTH - 1));
    assert_false(lease_valid(&bob.m, FULL + LENGTH));
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", LENGTH, FULL + 500), -1);
}

static void a_beaten_holder_sees_it_and_counts_nothing_any_more(void **state) {
    (void)state;
    struct store s;
    struct member alice, bob = {.instance = "bob", .name = "ams-2"};
    alice_holds(&s, &alice);
    look(&bob, &s, 5);
    struct lease take = acquisition(&bob, "b1"), renewal;
    lease_sending(&bob.m, &take, 5 + FULL);
    assert_true(swap(&s, &bob.m, &take));
    lease_make_renewal(&alice.m, LENGTH, &renewal);
    lease_sending(&alice.m, &renewal, 5 + FULL);
    assert_false(swap(&s, &alice.m, &renewal));
    assert_false(lease_valid(&alice.m, 5 + FULL));
    look(&alice, &s, 6 + FULL);
    assert_false(alice.m.holding);
    lease_confirmed(&alice.m, &renewal, 7 + FULL); /* an answer that can only be a lie or a mix-up */
    assert_false(lease_valid(&alice.m, 7 + FULL));
    assert_int_equal(lease_take_wait_ms(&alice.m, "alice", LENGTH, 6 + FULL), FULL);
}

static void a_stale_read_changes_nothing(void **state) {
    (void)state;
    struct store s, before;
    struct member alice, bob = {.instance = "bob", .name = "ams-2"};
    alice_holds(&s, &alice);
    before = s;
    renew(&s, &alice, LENGTH, 2000, 2010);
    look(&bob, &s, 2500);
    look(&bob, &before, 6000);
    assert_int_equal(bob.m.last.seq, s.record.seq);
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", LENGTH, 6000), 2500 + FULL - 6000);
    struct lease older = before.record;
    older.term_count--;
    lease_saw(&alice.m, &older, "alice", 3000, 3001);
    assert_true(lease_valid(&alice.m, 3001));
}

static void another_store_in_its_place_ends_the_hold_and_is_waited_for(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    memcpy(s.record.store_id, "other", 6);
    s.record.term_count = 1; /* a store that begins anew counts anew */
    lease_saw(&alice.m, &s.record, "alice", 4, 3000); /* asked before this store was known to answer as ours */
    assert_true(lease_valid(&alice.m, 3000));
    look(&alice, &s, 3000);
    assert_false(lease_valid(&alice.m, 3000));
    assert_int_equal(lease_take_wait_ms(&alice.m, "alice", LENGTH, 3000), FULL);
}

/* Whoever held in the store before may hold on, by a length that the record in its place does not tell. */
static void the_first_wait_in_another_store_is_the_longest_of_all(void **state) {
    (void)state;
    struct store s;
    struct member alice, bob = {.instance = "bob", .name = "ams-2"}, again = {.instance = "bob", .name = "ams-2"};
    alice_holds(&s, &alice);
    look(&bob, &s, 100);
    memcpy(s.record.store_id, "other", 6);
    s.record.length_ms = 2000;
    look(&bob, &s, 3000);
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", 2000, 3000), FULL);   /* as long as what was seen in the store before */
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", 30000, 3000), 30600); /* or as any that is configured */
    s.record.seq++;
    s.record.state = LEASE_RELEASED; /* by one who has watched it there; who held before knows nothing of it */
    look(&bob, &s, 4000);
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", 30000, 4000), 29600);
    assert_int_equal(lease_take_wait_ms(&bob.m, "bob", 30000, 33600), 0);
    memcpy(again.m.store_id, "store", 6); /* from its state directory: a new process of bob's */
    look(&again, &s, 5000);
    assert_int_equal(lease_take_wait_ms(&again.m, "bob", 30000, 5000), 30600);
}

static void the_deadline_tells_from_which_sending_it_counts(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    struct lease first = renew(&s, &alice, LENGTH, 1000, 1010);
    assert_int_equal(alice.m.sent_ms, 1000);
    assert_int_equal(alice.m.binding_seq, first.seq);
    struct lease shorter, longer;
    lease_make_renewal(&alice.m, 2000, &shorter);
    lease_sending(&alice.m, &shorter, 1500);
    assert_int_equal(alice.m.sent_ms, 1000); /* known to be in the record */
    assert_int_equal(alice.m.binding_seq, shorter.seq);
    lease_confirmed(&alice.m, &shorter, 1600);
    assert_int_equal(alice.m.sent_ms, 1500);
    lease_make_renewal(&alice.m, 60000, &longer);
    lease_sending(&alice.m, &longer, 2000);
    assert_int_equal(alice.m.binding_seq, shorter.seq);
}

static void only_an_elector_may_take(void **state) {
    (void)state;
    struct store s;
    struct member alice, mallory = {.instance = "mallory", .name = "ams-9"};
    alice_holds(&s, &alice);
    look(&mallory, &s, 0);
    assert_int_equal(lease_take_wait_ms(&mallory.m, "mallory", LENGTH, 99999), -1);
    s.record.elector_count = 0;
    s.record.seq++;
    look(&mallory, &s, 99999);
    assert_int_equal(lease_take_wait_ms(&mallory.m, "mallory", LENGTH, 999999), -1);
}

static void no_sending_number_is_ever_used_twice(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    int64_t highest = s.record.seq;
    for (int i = 0; i < 20; i++) { /* lost ones count too */
        struct lease renewal;
        lease_make_renewal(&alice.m, LENGTH, &renewal);
        assert_true(renewal.seq > highest);
        highest = renewal.seq;
        lease_sending(&alice.m, &renewal, 100 + i);
    }
    struct lease release;
    lease_make_release(&alice.m, &release);
    assert_true(release.seq > highest);
    lease_sending(&alice.m, &release, 200);
    struct lease take;
    lease_make_acquisition(&alice.m, "alice", "ams-1", "a2", 3, LENGTH, &take); /* the random one is used up already */
    assert_true(take.seq > release.seq);
    lease_make_acquisition(&alice.m, "alice", "ams-1", "a2", 1000000, LENGTH, &take);
    assert_int_equal(take.seq, 1000000);
    lease_sending(&alice.m, &take, 300);
    assert_int_equal(alice.m.seq_next, 1000001);
}

static void more_lost_sendings_than_are_remembered_only_shorten_the_hold(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    struct lease first, newest;
    lease_make_renewal(&alice.m, LENGTH, &first);
    lease_sending(&alice.m, &first, 100);
    for (int i = 0; i < LEASE_PENDING_MAX; i++) {
        lease_make_renewal(&alice.m, LENGTH, &newest);
        lease_sending(&alice.m, &newest, 200 + i);
    }
    lease_confirmed(&alice.m, &first, 300); /* forgotten: counts for nothing */
    assert_false(lease_valid(&alice.m, LENGTH));
    lease_confirmed(&alice.m, &newest, 301);
    assert_true(lease_valid(&alice.m, 200 + LENGTH));
}

static void a_taker_that_watched_the_renewals_continues_the_hold(void **state) {
    (void)state;
    struct store s;
    struct member alice, bob = {.instance = "bob", .name = "ams-2"}, carol = {.instance = "carol", .name = "ams-3"};
    alice_holds(&s, &alice);
    assert_false(alice.m.took_by_watching); /* a cold start: the record stood still all the time */
    look(&bob, &s, 10);
    renew(&s, &alice, LENGTH, 1000, 1010);
    look(&bob, &s, 1500);
    look(&carol, &s, 1500); /* carol came too late to see it move */
    assert_true(bob.m.watched_renewals);
    assert_false(carol.m.watched_renewals);
    int64_t now = 1500 + FULL;
    struct lease take = acquisition(&bob, "b1");
    lease_sending(&bob.m, &take, now);
    assert_true(swap(&s, &bob.m, &take));
    lease_confirmed(&bob.m, &take, now + 1);
    assert_true(bob.m.took_by_watching);
}

static void a_cold_start_does_not_become_a_continued_hold_by_renewing_itself(void **state) {
    (void)state;
    struct store s;
    struct member alice;
    alice_holds(&s, &alice);
    renew(&s, &alice, LENGTH, 1000, 1010);
    struct lease release;
    lease_make_release(&alice.m, &release);
    lease_sending(&alice.m, &release, 2000);
    assert_true(swap(&s, &alice.m, &release));
    lease_confirmed(&alice.m, &release, 2010);
    struct lease take = acquisition(&alice, "a2");
    lease_sending(&alice.m, &take, 2020);
    assert_true(swap(&s, &alice.m, &take));
    lease_confirmed(&alice.m, &take, 2030);
    assert_true(lease_valid(&alice.m, 2030));
    assert_false(alice.m.took_by_watching);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_holder_counts_from_the_sending_not_from_the_answer),
        cmocka_unit_test(the_term_is_one_more_and_the_record_keeps_what_it_is_not_about),
        cmocka_unit_test(an_unknown_outcome_counts_for_nothing_until_it_is_read_back_as_ours),
        cmocka_unit_test(a_renewal_that_never_arrived_prolongs_nothing),
        cmocka_unit_test(a_shorter_length_binds_at_once_and_a_longer_one_when_confirmed),
        cmocka_unit_test(a_late_confirmation_does_not_lift_a_shorter_length_sent_since),
        cmocka_unit_test(a_confirmation_counts_for_itself_not_for_a_longer_one_sent_since),
        cmocka_unit_test(a_release_binds_from_its_sending_and_for_good),
        cmocka_unit_test(after_a_release_only_a_new_term_opens_again),
        cmocka_unit_test(a_taker_waits_a_full_length_since_it_saw_the_record_change),
        cmocka_unit_test(a_slow_read_starts_the_wait_with_its_answer),
        cmocka_unit_test(the_wait_outlasts_the_lease_though_clocks_drift_by_one_percent),
        cmocka_unit_test(a_restarted_member_waits_in_full_whatever_the_record_says),
        cmocka_unit_test(an_absent_record_is_waited_for_with_the_largest_length),
        cmocka_unit_test(absence_seen_by_an_old_question_is_not_believed),
        cmocka_unit_test(released_saves_the_wait_for_a_watcher_only),
        cmocka_unit_test(released_in_a_term_never_seen_held_saves_nothing),
        cmocka_unit_test(of_two_takers_one_wins_and_the_other_waits_again),
        cmocka_unit_test(an_acquisition_of_unknown_outcome_counts_when_it_is_read_back),
        cmocka_unit_test(a_beaten_holder_sees_it_and_counts_nothing_any_more),
        cmocka_unit_test(a_stale_read_changes_nothing),
        cmocka_unit_test(another_store_in_its_place_ends_the_hold_and_is_waited_for),
        cmocka_unit_test(the_first_wait_in_another_store_is_the_longest_of_all),
        cmocka_unit_test(the_deadline_tells_from_which_sending_it_counts),
        cmocka_unit_test(only_an_elector_may_take),
        cmocka_unit_test(no_sending_number_is_ever_used_twice),
        cmocka_unit_test(more_lost_sendings_than_are_remembered_only_shorten_the_hold),
        cmocka_unit_test(a_taker_that_watched_the_renewals_continues_the_hold),
        cmocka_unit_test(a_cold_start_does_not_become_a_continued_hold_by_renewing_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
