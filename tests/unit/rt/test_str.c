/* Texts, encodings, and times as text. */
#include "rt/clock.h"
#include "rt/str.h"
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void a_buffer_grows_and_stays_terminated(void **state) {
    (void)state;
    STRBUF b = {0};
    for (int i = 0; i < 1000; i++) strbuf_addf(&b, "%d,", i % 10);
    assert_int_equal(b.len, 2000);
    assert_int_equal(strlen(b.at), 2000);
    assert_string_equal(b.at + 1994, "7,8,9,");
    strbuf_reset(&b);
    assert_string_equal(b.at, "");
    strbuf_add_bytes(&b, "a\0b", 3);
    assert_int_equal(b.len, 3);
}

static void a_buffer_without_text_is_an_empty_text(void **state) {
    (void)state;
    STRBUF b = {0};
    strbuf_add(&b, "");
    assert_string_equal(b.at, "");
}

static void a_limit_keeps_what_fits_and_says_so(void **state) {
    (void)state;
    STRBUF b = {.limit = 5};
    strbuf_add(&b, "abc");
    assert_false(b.overflow);
    strbuf_addf(&b, "%s", "defg");
    assert_string_equal(b.at, "abcde");
    assert_true(b.overflow);
    strbuf_add(&b, "h");
    assert_string_equal(b.at, "abcde");
    strbuf_reset(&b);
    assert_false(b.overflow);
    strbuf_add(&b, "12345");
    assert_false(b.overflow);
}

static void copies_are_cut_between_characters(void **state) {
    (void)state;
    char to[5];
    assert_true(str_copy(to, sizeof to, "abcd"));
    assert_string_equal(to, "abcd");
    assert_false(str_copy(to, sizeof to, "abcde"));
    assert_string_equal(to, "abcd");
    assert_false(str_copy(to, sizeof to, "abc\xe2\x82\xac"));
    assert_string_equal(to, "abc");
    assert_true(str_copy(to, sizeof to, "\xf0\x9f\x98\x80"));
    assert_false(str_copy(to, 1, "x"));
    assert_string_equal(to, "");
}

static void equality_knows_null(void **state) {
    (void)state;
    assert_true(str_eq(NULL, NULL));
    assert_false(str_eq("", NULL));
    assert_true(str_eq("a", "a"));
    assert_true(str_starts("site.fra", "site."));
    assert_false(str_starts("sit", "site."));
}

static void a_misspelt_key_finds_its_neighbour(void **state) {
    (void)state;
    static const char *const names[] = {"lease_ttl", "members", "sites", "store"};
    assert_int_equal(str_distance("kitten", "sitting"), 3);
    assert_int_equal(str_distance("", "abc"), 3);
    assert_string_equal(str_nearest("member", names, 4), "members");
    assert_string_equal(str_nearest("lease_tll", names, 4), "lease_ttl");
    assert_string_equal(str_nearest("sotre", names, 4), "store");
    assert_null(str_nearest("quorum", names, 4));
    assert_null(str_nearest("ab", (const char *const[]){"xy"}, 1)); /* nothing in common is not near */
    char longest[66];
    memset(longest, 'a', 65);
    longest[65] = '\0';
    assert_true(str_distance(longest, longest) == SIZE_MAX);
    assert_int_equal(str_distance(longest + 1, longest + 1), 0);
}

static void hex_has_one_spelling(void **state) {
    (void)state;
    char text[7];
    unsigned char back[3];
    str_hex(text, "\x00\xfe\x7f", 3);
    assert_string_equal(text, "00fe7f");
    assert_true(str_unhex(back, 3, text));
    assert_memory_equal(back, "\x00\xfe\x7f", 3);
    assert_false(str_unhex(back, 3, "00fe7"));
    assert_false(str_unhex(back, 3, "00fe7f0"));
    assert_false(str_unhex(back, 3, "00fe7g"));
    assert_false(str_unhex(back, 3, "00FE7F"));
}

static void base64_meets_the_vectors_of_rfc_4648(void **state) {
    (void)state;
    static const char *const vectors[][2] = {{"", ""},         {"f", "Zg=="},         {"fo", "Zm8="},        {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        STRBUF text = {0}, back = {0};
        str_base64(&text, vectors[i][0], strlen(vectors[i][0]));
        assert_string_equal(text.at, vectors[i][1]);
        assert_true(str_unbase64(&back, text.at, text.len));
        assert_string_equal(back.at, vectors[i][0]);
    }
    STRBUF high = {0};
    str_base64(&high, "\xff\xef\xbe", 3);
    assert_string_equal(high.at, "/+++");
}

static void base64_refuses_other_spellings(void **state) {
    (void)state;
    static const char *const wrong[] = {"Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm9v\n", "Zm 9", "Zm-_", "=m9v", "Zm=v"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        STRBUF back = {0};
        strbuf_add(&back, "before");
        if (str_unbase64(&back, wrong[i], strlen(wrong[i]))) fail_msg("accepted '%s'", wrong[i]);
        assert_string_equal(back.at, "before");
    }
    STRBUF back = {0};
    assert_false(str_unbase64(&back, "Zm9v\0aaa", 8)); /* a NUL is no digit */
}

static void base64_carries_every_length_and_byte(void **state) {
    (void)state;
    unsigned char all[256];
    for (int i = 0; i < 256; i++) all[i] = (unsigned char)(i * 7);
    for (size_t len = 0; len <= 256; len++) {
        STRBUF text = {0}, back = {0};
        str_base64(&text, all, len);
        assert_true(str_unbase64(&back, text.at, text.len));
        assert_int_equal(back.len, len);
        assert_memory_equal(back.at, all, len);
    }
}

static void times_are_written_and_read_as_rfc_3339(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } times[] = {{"1970-01-01T00:00:00.000Z", 0},
                 {"1969-12-31T23:59:59.999Z", -1},
                 {"2026-11-21T08:00:00.123Z", 1795248000123},
                 {"2024-02-29T23:59:59.000Z", 1709251199000},
                 {"0000-01-01T00:00:00.000Z", -62167219200000},
                 {"9999-12-31T23:59:59.999Z", 253402300799999}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char text[CLOCK_TEXT_MAX];
        int64_t ms = 0;
        clock_format(text, times[i].ms);
        assert_string_equal(text, times[i].text);
        assert_true(clock_parse(times[i].text, &ms));
        assert_true(ms == times[i].ms);
    }
    int64_t ms = 0;
    assert_true(clock_parse("2026-11-21T09:00:00.1234+01:00", &ms) && ms == 1795248000123);
    assert_true(clock_parse("2026-11-21T08:00:00Z", &ms) && ms == 1795248000000);
    char text[CLOCK_TEXT_MAX];
    clock_format(text, INT64_MAX);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void what_is_no_time_is_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {"", "2026-11-21", "2026-11-21T08:00:00", "2026-11-21 08:00:00Z", "2026-02-29T00:00:00Z",
                                        "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
                                        "2026-01-01T00:00:60Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zx", "26-01-01T00:00:00Z",
                                        "2026-01-01T00:00:00+1:00", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00.1234567890Z",
                                        "+026-01-01T00:00:00Z"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int64_t ms = 7;
        if (clock_parse(wrong[i], &ms)) fail_msg("accepted '%s'", wrong[i]);
        assert_true(ms == 7);
    }
}

static void clocks_go_forward_and_the_boot_has_an_id(void **state) {
    (void)state;
    int64_t before = clock_boot_ns();
    assert_true(clock_boot_ns() >= before);
    assert_true(clock_boot_ms() >= before / 1000000);
    assert_true(clock_wall_ms() > 1700000000000);
    char id[64], again[64], small[8];
    clock_boot_id(id, sizeof id);
    clock_boot_id(again, sizeof again);
    assert_int_equal(strlen(id), 36);
    assert_string_equal(id, again);
    clock_boot_id(small, sizeof small);
    assert_int_equal(strlen(small), 7);
    unsigned char a[32] = {0}, b[32] = {0};
    clock_random(a, sizeof a);
    clock_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void memory_is_zeroed_and_freed_at_the_end_of_scope(void **state) {
    (void)state;
    RT_AUTO unsigned char *zeroes = rt_alloc(64);
    for (size_t i = 0; i < 64; i++) assert_int_equal(zeroes[i], 0);
    RT_AUTO char *copy = rt_strdup("text");
    assert_string_equal(copy, "text");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_grows_and_stays_terminated),
        cmocka_unit_test(a_buffer_without_text_is_an_empty_text),
        cmocka_unit_test(a_limit_keeps_what_fits_and_says_so),
        cmocka_unit_test(copies_are_cut_between_characters),
        cmocka_unit_test(equality_knows_null),
        cmocka_unit_test(a_misspelt_key_finds_its_neighbour),
        cmocka_unit_test(hex_has_one_spelling),
        cmocka_unit_test(base64_meets_the_vectors_of_rfc_4648),
        cmocka_unit_test(base64_refuses_other_spellings),
        cmocka_unit_test(base64_carries_every_length_and_byte),
        cmocka_unit_test(times_are_written_and_read_as_rfc_3339),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(clocks_go_forward_and_the_boot_has_an_id),
        cmocka_unit_test(memory_is_zeroed_and_freed_at_the_end_of_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
