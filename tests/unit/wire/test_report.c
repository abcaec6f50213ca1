/* Reports, receipts, votes and leases as documents: nothing is lost on the way, unknown is null, and a message of a
 * later version can still be read. */
#include "rt/json.h"
#include "wire/report.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err err;

static void set(char *to, const char *text) {
    memcpy(to, text, strlen(text) + 1);
}

static struct epoch epoch(const char *text) {
    struct epoch e;
    assert_true(epoch_parse(text, &e));
    return e;
}

static struct bytes slice(const struct strbuf *b) {
    return (struct bytes){b->at, b->len};
}

static struct lease lease(void) {
    struct lease l = {.store_id = "store", .term_count = 7, .term_random = "abcd", .holder = "i-1", .holder_member = "fra-1", .seq = 1LL << 47,
                      .length_ms = 10000, .electors = {"i-1", "i-2"}, .elector_count = 2, .state = LEASE_RELEASED, .serial = 3};
    l.epoch = epoch("1.0@ams");
    return l;
}

static struct vote vote(void) {
    struct vote v = {.declined_count = 1};
    v.promised = epoch("1.1@fra");
    v.opened = v.known_opened = epoch("1.0@ams");
    v.declined[0] = (struct vote_decline){.epoch = epoch("1.1@fra"), .next = epoch("1.2@ams")};
    return v;
}

static struct member_status member(const char *name) {
    struct member_status m = {.beat = 12, .role = MEMBER_STANDBY_LEADER, .state = STATE_STREAMING, .has_data = true, .timeline = 2,
                              .lsn = 0x5000148, .replay_lsn = 0x5000100, .host = "10.0.2.11", .port = 5432, .replay_lag_ms = -1,
                              .job_done_bytes = -1, .job_total_bytes = -1, .slot_count = 1, .blockers = 2};
    set(m.name, name);
    set(m.rule, "R07");
    set(m.why, "follows ams-1 \"from afar\"");
    set(m.slots[0].name, "pgregent_site_ams");
    m.slots[0].kind = SLOT_ANCHOR;
    m.slots[0].retained_bytes = 1LL << 40;
    m.slots[0].covering = true;
    return m;
}

static struct report *full_report(void) {
    struct report *r = rt_alloc(sizeof *r);
    set(r->cluster, "orders");
    set(r->site, "fra");
    set(r->member, "fra-1");
    set(r->instance, "i-1");
    r->seq = 99;
    r->made_at = 1763712000123;
    r->speaks = r->store_ok = r->has_order = true;
    r->lease = lease();
    r->vote = vote();
    r->order_epoch = epoch("1.0@ams");
    r->order_kind = ORDER_PREPARE;
    r->order_role = SITE_STANDBY;
    r->members[0] = member("fra-1");
    r->members[1] = member("fra-2");
    r->member_count = 2;
    set(r->receipts[0], "{\"payload\":\"x\"}");
    r->receipt_count = 1;
    r->lineage.count = 1;
    r->lineage.entries[0].timeline = 1;
    set(r->lineage.entries[0].fingerprint, "initdb:7385000000000000001");
    set(r->ask.nonce, "n-1");
    r->ask.opened = epoch("1.0@ams");
    r->ask.length_ms = 10000;
    set(r->vouchers[0].site, "ams");
    set(r->vouchers[0].nonce, "n-2");
    r->voucher_count = 1;
    set(r->problems[0].id, "slot-lost");
    set(r->problems[0].severity, "error");
    set(r->problems[0].message, "slot pgregent_site_ams is lost");
    r->problem_count = 1;
    return r;
}

static void a_report_reads_back_as_it_was_written(void **state) {
    (void)state;
    struct report *r = full_report(), *back = rt_alloc(sizeof *back);
    STRBUF text = {0};
    STRBUF again = {0};
    field_to_text(&report_table, r, &text);
    if (!field_from_json(&report_table, "report", slice(&text), back, &err)) fail_msg("%s", err.text);
    assert_memory_equal(back, r, sizeof *r);
    field_to_text(&report_table, back, &again);
    assert_string_equal(again.at, text.at);
    rt_free(r);
    rt_free(back);
}

static void a_site_without_store_order_or_data_reports_too(void **state) {
    (void)state;
    struct report *r = rt_alloc(sizeof *r), *back = rt_alloc(sizeof *back);
    set(r->cluster, "orders");
    set(r->site, "fra");
    set(r->member, "fra-1");
    set(r->instance, "i-1");
    STRBUF text = {0};
    field_to_text(&report_table, r, &text);
    if (!field_from_json(&report_table, "report", slice(&text), back, &err)) fail_msg("%s", err.text);
    assert_memory_equal(back, r, sizeof *r);
    rt_free(r);
    rt_free(back);
}

static void what_is_unknown_is_null(void **state) {
    (void)state;
    struct member_status m = {0};
    set(m.name, "fra-1");
    JSON_AUTO *json = field_to_json(&member_status_table, &m, false);
    static const char *const unknown[] = {"lsn", "replay_lsn", "redo_lsn", "timeline", "system_id", "upstream", "rule", "flush_of_upstream"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        if (!json_is_null(json_object_get(json, unknown[i]))) fail_msg("%s is not null", unknown[i]);
    struct vote v = {0};
    JSON_AUTO *votes = field_to_json(&vote_table, &v, false);
    assert_true(json_is_null(json_object_get(votes, "opened")));
    assert_string_equal(json_text(votes, "mode", ""), "manual");
}

static void positions_and_roles_are_written_as_people_know_them(void **state) {
    (void)state;
    struct member_status m = member("fra-1");
    JSON_AUTO *json = field_to_json(&member_status_table, &m, false);
    assert_string_equal(json_text(json, "lsn", ""), "0/5000148");
    assert_string_equal(json_text(json, "role", ""), "standby_leader");
    assert_string_equal(json_text(json, "state", ""), "streaming");
    assert_string_equal(json_text(json_array_get(json_object_get(json, "slots"), 0), "kind", ""), "anchor");
}

static void records_of_the_store_read_back_as_they_were_written(void **state) {
    (void)state;
    struct lease l = lease(), l2;
    struct vote v = vote(), v2;
    STRBUF text = {0};
    field_to_text(&lease_table, &l, &text);
    assert_true(field_from_json(&lease_table, "lease", slice(&text), &l2, &err));
    assert_memory_equal(&l2, &l, sizeof l);
    strbuf_reset(&text);
    field_to_text(&vote_table, &v, &text);
    assert_true(field_from_json(&vote_table, "vote", slice(&text), &v2, &err));
    assert_memory_equal(&v2, &v, sizeof v);
    assert_ptr_equal(vote_find_decline(&v, &v.declined[0].epoch), &v.declined[0]);
    assert_null(vote_find_decline(&v, &v.opened));
}

static void a_later_version_may_say_more(void **state) {
    (void)state;
    struct vote v;
    static const char later[] = "{\"promised\": \"1.0@ams\", \"granted\": \"1.0@ams\", \"safe\": {\"fra\": 3}, \"declined\": []}";
    if (!field_from_json(&vote_table, "vote", (struct bytes){later, strlen(later)}, &v, &err)) fail_msg("%s", err.text);
    assert_int_equal(v.promised.generation, 1);
}

static void what_is_no_lease_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "{}", "[]", "{\"store_id\": \"s\"}",
        "{\"store_id\": \"s\", \"term_count\": \"7\", \"term_random\": \"r\", \"holder\": \"h\", \"seq\": 1, \"length_ms\": 1, \"state\": \"held\"}",
        "{\"store_id\": \"s\", \"term_count\": 7, \"term_random\": \"r\", \"holder\": \"h\", \"seq\": -1, \"length_ms\": 1, \"state\": \"held\"}",
        "{\"store_id\": \"s\", \"term_count\": 7, \"term_random\": \"r\", \"holder\": \"h\", \"seq\": 1, \"length_ms\": 1, \"state\": \"lost\"}",
        "{\"store_id\": \"s\", \"term_count\": 7, \"term_random\": \"r\", \"holder\": \"h\", \"seq\": 1, \"length_ms\": 1, \"state\": \"held\", \"epoch\": \"1\"}"};
    struct lease l;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (field_from_json(&lease_table, "lease", (struct bytes){bad[i], strlen(bad[i])}, &l, &err)) fail_msg("accepted: %s", bad[i]);
}

/* What a peer may send at most must fit into what is read: every list full, every text long. */
static void the_largest_report_can_be_read(void **state) {
    (void)state;
    struct report *r = full_report(), *back = rt_alloc(sizeof *back);
    for (r->receipt_count = 0; r->receipt_count < REPORT_RECEIPTS_MAX; r->receipt_count++)
        memset(r->receipts[r->receipt_count], 'x', PROOF_TEXT_MAX - 1);
    for (r->member_count = 0; r->member_count < MEMBERS_MAX; r->member_count++) {
        struct member_status *m = &r->members[r->member_count];
        *m = member("fra-1");
        for (m->slot_count = 0; m->slot_count < REPORT_SLOTS_MAX; m->slot_count++) m->slots[m->slot_count] = m->slots[0];
    }
    STRBUF text = {0};
    field_to_text(&report_table, r, &text);
    assert_true(text.len < JSON_INPUT_MAX);
    if (!field_from_json(&report_table, "report", slice(&text), back, &err)) fail_msg("%s", err.text);
    assert_memory_equal(back, r, sizeof *r);
    rt_free(r);
    rt_free(back);
}

static void names_are_patronis(void **state) {
    (void)state;
    assert_string_equal(member_role_names[MEMBER_STANDBY_LEADER], "standby_leader");
    assert_string_equal(member_state_names[STATE_ARCHIVE_RECOVERY], "in archive recovery");
    assert_string_equal(member_state_names[STATE_UNKNOWN], "unknown");
    assert_null(member_state_names[STATE_UNKNOWN + 1]);
    assert_string_equal(slot_kind_names[SLOT_ANCHOR], "anchor");
    assert_string_equal(site_role_names[SITE_FENCED], "fenced");
    assert_string_equal(verb_names[VERB_BREAK_GLASS], "break_glass");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_reads_back_as_it_was_written),
        cmocka_unit_test(a_site_without_store_order_or_data_reports_too),
        cmocka_unit_test(what_is_unknown_is_null),
        cmocka_unit_test(positions_and_roles_are_written_as_people_know_them),
        cmocka_unit_test(records_of_the_store_read_back_as_they_were_written),
        cmocka_unit_test(a_later_version_may_say_more),
        cmocka_unit_test(what_is_no_lease_is_refused),
        cmocka_unit_test(the_largest_report_can_be_read),
        cmocka_unit_test(names_are_patronis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
