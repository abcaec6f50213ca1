/* Epochs: one order over all of them, one text for each, nothing else accepted as one. */
#include "wire/epoch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct epoch epoch(int64_t generation, int64_t step, const char *site) {
    struct epoch e = {.generation = generation, .step = step};
    memcpy(e.site, site, strlen(site));
    return e;
}

static void generation_counts_before_step_and_step_before_site(void **state) {
    (void)state;
    const struct epoch rising[] = {{0}, epoch(1, 0, "ams"), epoch(1, 0, "fra"), epoch(1, 1, "ams"),
                                   epoch(1, 10, "ams"), epoch(2, 0, "ams"), epoch(10, 0, "a")};
    for (size_t i = 0; i < sizeof rising / sizeof rising[0]; i++) {
        assert_int_equal(epoch_compare(&rising[i], &rising[i]), 0);
        for (size_t j = 0; j < i; j++) {
            assert_true(epoch_compare(&rising[j], &rising[i]) < 0);
            assert_true(epoch_compare(&rising[i], &rising[j]) > 0);
        }
    }
}

static void sites_compare_by_their_bytes(void **state) {
    (void)state;
    struct epoch hyphen = epoch(1, 0, "a-b"), digit = epoch(1, 0, "a1"), longer = epoch(1, 0, "a-bc");
    assert_true(epoch_compare(&hyphen, &digit) < 0);
    assert_true(epoch_compare(&hyphen, &longer) < 0);
}

static void documents_name_the_site_and_people_see_the_number(void **state) {
    (void)state;
    char text[EPOCH_TEXT_MAX];
    struct epoch e = epoch(3, 12, "ams"), none = {0};
    epoch_format(&e, text);
    assert_string_equal(text, "3.12@ams");
    epoch_format_short(&e, text);
    assert_string_equal(text, "3.12");
    epoch_format(&none, text);
    assert_string_equal(text, "");
    epoch_format_short(&none, text);
    assert_string_equal(text, "");
}

static void the_largest_epoch_is_written_in_full(void **state) {
    (void)state;
    char text[EPOCH_TEXT_MAX];
    struct epoch e = epoch(INT64_MAX, INT64_MAX, "abcdefghijklmnopqrstuvwxyz-0123"), back;
    epoch_format(&e, text);
    assert_string_equal(text, "9223372036854775807.9223372036854775807@abcdefghijklmnopqrstuvwxyz-0123");
    assert_true(epoch_parse(text, &back));
    assert_int_equal(epoch_compare(&e, &back), 0);
}

static void what_is_read_is_what_was_written(void **state) {
    (void)state;
    struct epoch e;
    memset(&e, 'x', sizeof e);
    assert_true(epoch_parse("1.0@ams", &e));
    struct epoch same = epoch(1, 0, "ams");
    assert_memory_equal(&e, &same, sizeof e); /* to the last byte: documents are compared as values */
}

static void nothing_else_is_an_epoch(void **state) {
    (void)state;
    static const char *const bad[] = {"", "1", "1.0", "1.0@", "@ams", ".0@ams", "1.@ams", "0.0@ams", "0.1@ams", "01.0@ams", "1.00@ams",
                                      "1.01@ams", "+1.0@ams", "-1.0@ams", "1.-1@ams", " 1.0@ams", "1.0@ams ", "1.0@Ams", "1.0@1ams",
                                      "1.0@ams@fra", "1,0@ams", "1.0 @ams", "9223372036854775808.0@ams", "1.99999999999999999999@ams",
                                      "1.0@abcdefghijklmnopqrstuvwxyz-01234"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct epoch e = epoch(7, 7, "kept");
        if (epoch_parse(bad[i], &e)) fail_msg("\"%s\" was taken for an epoch", bad[i]);
        assert_string_equal(e.site, "kept");
    }
}

static void names_are_what_a_slot_name_and_a_uri_can_carry(void **state) {
    (void)state;
    static const char *const good[] = {"a", "ams", "ams-1", "a--", "abcdefghijklmnopqrstuvwxyz-0123"};
    static const char *const bad[] = {"", "1ams", "-ams", "Ams", "am_s", "a.b", "a b", "ams/1", "\xc3\xa4", "abcdefghijklmnopqrstuvwxyz-01234"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!name_is_valid(good[i])) fail_msg("\"%s\" was refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (name_is_valid(bad[i])) fail_msg("\"%s\" was accepted", bad[i]);
}

static void in_documents_no_epoch_is_empty(void **state) {
    (void)state;
    struct epoch e = epoch(1, 1, "ams");
    char text[EPOCH_TEXT_MAX];
    struct err err = {0};
    assert_true(field_epoch.parse("", &e, &err));
    assert_true(epoch_is_zero(&e));
    field_epoch.format(&e, text, sizeof text);
    assert_string_equal(text, "");
    assert_true(field_epoch.parse("2.0@fra", &e, &err));
    field_epoch.format(&e, text, sizeof text);
    assert_string_equal(text, "2.0@fra");
    assert_false(field_epoch.parse("2.0", &e, &err));
    assert_string_equal(err.text, "\"2.0\" is not an epoch like 1.0@ams");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generation_counts_before_step_and_step_before_site),
        cmocka_unit_test(sites_compare_by_their_bytes),
        cmocka_unit_test(documents_name_the_site_and_people_see_the_number),
        cmocka_unit_test(the_largest_epoch_is_written_in_full),
        cmocka_unit_test(what_is_read_is_what_was_written),
        cmocka_unit_test(nothing_else_is_an_epoch),
        cmocka_unit_test(names_are_what_a_slot_name_and_a_uri_can_carry),
        cmocka_unit_test(in_documents_no_epoch_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
