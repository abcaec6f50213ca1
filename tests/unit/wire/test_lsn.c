/* WAL positions as text, and what two lineages say about each other. */
#include "rt/json.h"
#include "wire/lsn.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants the three above first */
#include <cmocka.h>

static void a_position_is_written_as_postgresql_writes_it(void **state) {
    (void)state;
    static const struct {
        lsn_t lsn;
        const char *text;
    } pairs[] = {{0, "0/0"}, {0x5000148, "0/5000148"}, {0x100000000, "1/0"}, {0xABCDEF0123456789, "ABCDEF01/23456789"}, {UINT64_MAX, "FFFFFFFF/FFFFFFFF"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char text[LSN_TEXT_MAX];
        lsn_t back = 1;
        lsn_format(pairs[i].lsn, text);
        assert_string_equal(text, pairs[i].text);
        assert_true(lsn_parse(text, &back));
        assert_int_equal(back, pairs[i].lsn);
    }
}

static void what_is_not_a_position_is_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {"",     "/",    "0",    "0/",          "/0",    "0/0 ", " 0/0",         "0x1/0", "-1/0",
                                        "0/G0", "0//0", "0/-1", "123456789/0", "0/123456789", "0/0/0", "+0/0",  "0/0\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        lsn_t lsn = 42;
        if (lsn_parse(wrong[i], &lsn)) fail_msg("taken for a position: \"%s\"", wrong[i]);
        assert_int_equal(lsn, 42);
    }
    lsn_t lsn;
    assert_true(lsn_parse("00000000/0abcDEF0", &lsn));
    assert_int_equal(lsn, 0xABCDEF0);
}

static void unknown_positions_and_fingerprints_are_null_in_json(void **state) {
    (void)state;
    struct lineage_entry first = {.timeline = 1, .fingerprint = "initdb:7"}, second = {.timeline = 2, .begin = 0x5000148}, back;
    STRBUF text = {0};
    struct err err = {0};
    field_to_text(&lineage_entry_table, &first, &text);
    assert_string_equal(text.at, "{\"timeline\":1,\"begin\":null,\"fingerprint\":\"initdb:7\"}");
    strbuf_reset(&text);
    field_to_text(&lineage_entry_table, &second, &text);
    assert_string_equal(text.at, "{\"timeline\":2,\"begin\":\"0/5000148\",\"fingerprint\":null}");
    assert_true(field_from_json(&lineage_entry_table, "entry", (struct bytes){text.at, text.len}, &back, &err));
    assert_int_equal(back.timeline, 2);
    assert_int_equal(back.begin, 0x5000148);
    assert_string_equal(back.fingerprint, "");

    static const char bad[] = "{\"timeline\":2,\"begin\":\"0x5000148\"}";
    assert_false(field_from_json(&lineage_entry_table, "entry", (struct bytes){bad, sizeof bad - 1}, &back, &err));
    assert_non_null(strstr(err.text, "0/5000148"));
}

/* ---- lineages: written as "timeline begin fingerprint", "?" for an unknown one ---- */

static struct lineage lineage_of(const char *text) {
    struct lineage l = {0};
    char name[LINEAGE_FINGERPRINT_MAX];
    int used;
    long long timeline;
    unsigned long long begin;
    while (sscanf(text, " %lld %llx %63[^ ,] ,%n", &timeline, &begin, name, &used) == 3) {
        struct lineage_entry *e = &l.entries[l.count++];
        *e = (struct lineage_entry){.timeline = timeline, .begin = begin};
        if (strcmp(name, "?") != 0) str_copy(e->fingerprint, sizeof e->fingerprint, name);
        text += used;
    }
    return l;
}

static void expect(const char *a, const char *b, enum lineage_relation wanted, lsn_t fork_wanted) {
    struct lineage x = lineage_of(a), y = lineage_of(b);
    lsn_t fork = 77;
    enum lineage_relation is = lineage_compare(&x, &y, &fork);
    if (is != wanted || fork != fork_wanted) fail_msg("[%s] to [%s]: relation %d fork %llx", a, b, (int)is, (unsigned long long)fork);
}

static void one_history_is_the_same(void **state) {
    (void)state;
    expect("1 0 i,", "1 0 i,", LINEAGE_SAME, 0);
    expect("1 0 i, 2 50 x,", "1 0 i, 2 50 x,", LINEAGE_SAME, 0);
}

static void a_prefix_may_follow_up_to_the_fork(void **state) {
    (void)state;
    expect("1 0 i,", "1 0 i, 2 50 x,", LINEAGE_ANCESTOR, 0x50);
    expect("1 0 i,", "1 0 i, 2 50 x, 3 90 y,", LINEAGE_ANCESTOR, 0x50);
    expect("1 0 i, 2 50 x,", "1 0 i, 2 50 x, 5 90 y,", LINEAGE_ANCESTOR, 0x90);
    expect("1 0 i, 2 50 x, 5 90 y,", "1 0 i, 2 50 x,", LINEAGE_DESCENDANT, 0x90);
}

static void one_number_with_two_contents_is_diverged_though_begin_and_number_agree(void **state) {
    (void)state;
    expect("1 0 i, 2 50 x,", "1 0 i, 2 50 z,", LINEAGE_DIVERGED, 0x50);
    expect("1 0 i, 2 50 x, 3 90 y,", "1 0 i, 2 50 z, 3 90 w,", LINEAGE_DIVERGED, 0x50);
    expect("1 0 i, 2 40 x,", "1 0 i, 2 50 z, 3 90 w,", LINEAGE_DIVERGED, 0x40);
    expect("1 0 i,", "1 0 other,", LINEAGE_DIVERGED, 0);
}

static void two_forks_with_two_numbers_part_at_the_earlier(void **state) {
    (void)state;
    expect("1 0 i, 2 50 x,", "1 0 i, 3 70 y,", LINEAGE_DIVERGED, 0x50);
    expect("1 0 i, 4 90 x,", "1 0 i, 3 70 y,", LINEAGE_DIVERGED, 0x70);
}

static void without_a_fingerprint_nothing_is_claimed(void **state) {
    (void)state;
    expect("", "1 0 i,", LINEAGE_UNKNOWN, 0);
    expect("1 0 i, 2 50 ?,", "1 0 i, 2 50 x,", LINEAGE_UNKNOWN, 0);
    expect("1 0 i, 2 50 ?,", "1 0 i, 2 50 ?,", LINEAGE_UNKNOWN, 0);
    expect("1 0 i, 2 50 ?,", "1 0 i, 2 50 x, 3 90 y,", LINEAGE_UNKNOWN, 0);
    /* a begin that differs, or a later collision, still proves that they are two */
    expect("1 0 i, 2 50 ?,", "1 0 i, 2 60 x,", LINEAGE_DIVERGED, 0x50);
    expect("1 0 i, 2 50 ?, 3 90 y,", "1 0 i, 2 50 x, 3 90 z,", LINEAGE_DIVERGED, 0);
}

static void a_newer_match_covers_what_is_unknown_or_dropped_before_it(void **state) {
    (void)state;
    expect("1 0 i, 2 50 ?, 3 90 y,", "1 0 i, 2 50 x, 3 90 y,", LINEAGE_SAME, 0);
    expect("2 50 x, 3 90 y,", "3 90 y, 4 a0 z,", LINEAGE_ANCESTOR, 0xa0);
}

static void the_number_with_two_contents_is_named(void **state) {
    (void)state;
    struct lineage a = lineage_of("1 0 i, 2 50 x, 3 90 y,"), b = lineage_of("1 0 i, 3 90 z,"), c = lineage_of("1 0 i, 4 90 y,");
    assert_int_equal(lineage_collision(&a, &b)->timeline, 3);
    assert_null(lineage_collision(&a, &c));
    assert_int_equal(lineage_find(&a, 2)->begin, 0x50);
    assert_null(lineage_find(&a, 4));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_position_is_written_as_postgresql_writes_it),
        cmocka_unit_test(what_is_not_a_position_is_refused),
        cmocka_unit_test(unknown_positions_and_fingerprints_are_null_in_json),
        cmocka_unit_test(one_history_is_the_same),
        cmocka_unit_test(a_prefix_may_follow_up_to_the_fork),
        cmocka_unit_test(one_number_with_two_contents_is_diverged_though_begin_and_number_agree),
        cmocka_unit_test(two_forks_with_two_numbers_part_at_the_earlier),
        cmocka_unit_test(without_a_fingerprint_nothing_is_claimed),
        cmocka_unit_test(a_newer_match_covers_what_is_unknown_or_dropped_before_it),
        cmocka_unit_test(the_number_with_two_contents_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
