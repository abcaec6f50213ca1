/* The journal when the store's answers are lost: what was sent is neither forgotten nor taken for a stranger's work, and
 * nothing counts as written before it was read. The store is one in memory, behind a door that can be shut. */
#include "coordinator/journal.h"
#include "rt/clock.h"
#include "rt/file.h"
#include "store/store.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct store *inner;
static bool loses_swaps; /* they do not happen, and nobody is told */
static bool mumbles;     /* whether a swap has happened is not told */
static bool deaf;        /* nothing can be read */
static int swaps;        /* that came in */

static void never(void *context, const struct store_answer *answer) {
    (void)context;
    (void)answer;
}
static void door_swap(struct store *s, const struct store_op *ops, size_t count, int64_t deadline_boot_ms, store_done *done, void *context) {
    (void)s;
    swaps++;
    if (!loses_swaps)
        store_swap(inner, ops, count, deadline_boot_ms, mumbles ? never : done, context);
    if (loses_swaps || mumbles)
        done(context, &(struct store_answer){.outcome = STORE_UNKNOWN, .err = {ERR_IO, "commit: no space"}});
}
static void door_read(struct store *s, const char *prefix, int64_t deadline_boot_ms, store_done *done, void *context) {
    (void)s;
    if (deaf)
        done(context, &(struct store_answer){.outcome = STORE_FAILED, .err = {ERR_IO, "read: no space"}});
    else
        store_read(inner, prefix, deadline_boot_ms, done, context);
}
static void door_close(struct store *s) { (void)s; }
static const struct store_ops door_ops = {.swap = door_swap, .read = door_read, .close = door_close};
static struct store door = {&door_ops};

/* In place of the one in the archive. */
bool store_open_embedded(const char *path, struct store **out, bool *rebooted, struct err *err) {
    (void)path;
    (void)rebooted;
    (void)err;
    *out = &door;
    return true;
}

static char directory[64];
static struct journal *journal;

static struct journal *open_journal(void) {
    struct journal *j = NULL;
    struct err err = {0};
    bool fresh;
    if (!journal_open(directory, &j, &fresh, &err))
        fail_msg("%s", err.text);
    return j;
}

static int begin(void **state) {
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/pgregent-unknown-%d", (int)getpid());
    loses_swaps = mumbles = deaf = false;
    inner = store_open_memory();
    journal = open_journal();
    return 0;
}
static int end(void **state) {
    struct err err = {0};
    (void)state;
    journal_close(journal);
    store_close(inner);
    return file_remove_tree(directory, &err) ? 0 : -1;
}

static void commit(void) {
    struct err err = {0};
    if (!journal_commit(journal, &err))
        fail_msg("%s", err.text);
    assert_false(journal_is_dirty(journal));
}

/* Not written, as far as is known, and nobody else's work: the coordinator goes on and tries again. */
static void commit_fails(void) {
    struct err err = {0};
    assert_false(journal_commit(journal, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.text, "no space"));
    assert_true(journal_is_dirty(journal));
}

static void restart(void) {
    journal_close(journal);
    journal = open_journal();
}

static void what_was_lost_is_written_when_the_store_can_be_read_again(void **state) {
    (void)state;
    journal_put(journal, "term", "1");
    loses_swaps = deaf = true;
    commit_fails();
    commit_fails();
    loses_swaps = deaf = false;
    commit();
    restart();
    assert_string_equal(journal_get(journal, "term"), "1");
}

static void what_has_happened_unseen_is_found(void **state) {
    (void)state;
    journal_put(journal, "term", "1");
    mumbles = deaf = true;
    commit_fails();
    mumbles = deaf = false;
    commit();
    restart();
    assert_string_equal(journal_get(journal, "term"), "1");
}

/* The coordinator works on meanwhile: what it wants now is not what it sent, and not what the store had. */
static void changes_made_meanwhile_follow_what_was_sent(void **state) {
    (void)state;
    journal_put(journal, "cluster/orders/marks", "old");
    journal_put(journal, "term", "1");
    commit();
    journal_put(journal, "term", "2");
    mumbles = deaf = true;
    commit_fails();
    journal_put(journal, "term", "3");
    journal_put(journal, "audit-head", "{}");
    journal_put(journal, "cluster/orders/marks", NULL);
    commit_fails();
    mumbles = deaf = false;
    commit();
    restart();
    assert_string_equal(journal_get(journal, "term"), "3");
    assert_string_equal(journal_get(journal, "audit-head"), "{}");
    assert_null(journal_get(journal, "cluster/orders/marks"));
}

static void what_was_sent_and_is_not_wanted_any_more_is_undone(void **state) {
    (void)state;
    journal_put(journal, "term", "1");
    commit();
    journal_put(journal, "term", "2");
    mumbles = deaf = true;
    commit_fails();
    journal_put(journal, "term", "1");
    mumbles = deaf = false;
    commit();
    restart();
    assert_string_equal(journal_get(journal, "term"), "1");
}

/* A first key that is as it was would seem to say that all was written. */
static void a_value_put_back_tells_nothing_of_the_others(void **state) {
    (void)state;
    journal_put(journal, "cluster/a", "1");
    commit();
    journal_put(journal, "cluster/a", "2");
    journal_put(journal, "cluster/a", "1");
    journal_put(journal, "cluster/b", "1");
    loses_swaps = true;
    struct err err = {0};
    assert_false(journal_commit(journal, &err));
    loses_swaps = false;
    commit();
    restart();
    assert_string_equal(journal_get(journal, "cluster/b"), "1");
    swaps = 0;
    commit();
    assert_int_equal(swaps, 0); /* nothing is left */
}

static void on_done(void *context, const struct store_answer *answer) { *(enum store_outcome *)context = answer->outcome; }

static void a_stranger_is_noticed_once_the_store_can_be_read(void **state) {
    (void)state;
    struct err err = {0};
    enum store_outcome outcome = STORE_FAILED;
    struct store_op theirs = {.key = "term", .value = {"9", 1}};
    journal_put(journal, "term", "1");
    loses_swaps = deaf = true;
    commit_fails();
    store_swap(inner, &theirs, 1, clock_boot_ms() + 1000, on_done, &outcome);
    assert_int_equal(outcome, STORE_DONE);
    commit_fails();
    loses_swaps = deaf = false;
    assert_false(journal_commit(journal, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_lost_is_written_when_the_store_can_be_read_again, begin, end),
        cmocka_unit_test_setup_teardown(what_has_happened_unseen_is_found, begin, end),
        cmocka_unit_test_setup_teardown(changes_made_meanwhile_follow_what_was_sent, begin, end),
        cmocka_unit_test_setup_teardown(what_was_sent_and_is_not_wanted_any_more_is_undone, begin, end),
        cmocka_unit_test_setup_teardown(a_value_put_back_tells_nothing_of_the_others, begin, end),
        cmocka_unit_test_setup_teardown(a_stranger_is_noticed_once_the_store_can_be_read, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
