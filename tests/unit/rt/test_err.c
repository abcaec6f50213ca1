/* Errors as values: what a person reads after three layers have each said where they were. */
#include "rt/err.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void context_is_wrapped_around_the_cause(void **state) {
    (void)state;
    struct err err = {0};
    assert_false(err_set(&err, ERR_TIMEOUT, "timed out after %d ms", 2000));
    assert_false(err_wrap(&err, "connect"));
    assert_false(err_wrap(&err, "site %s", "fra"));
    assert_string_equal(err.text, "site fra: connect: timed out after 2000 ms");
    assert_int_equal(err.code, ERR_TIMEOUT);
}

static void the_operating_system_is_quoted(void **state) {
    (void)state;
    struct err err = {0};
    assert_false(err_sys(&err, EACCES, "%s: open", "/etc/x"));
    assert_string_equal(err.text, "/etc/x: open: Permission denied");
    assert_int_equal(err.code, ERR_IO);
}

static void an_error_may_quote_itself(void **state) {
    (void)state;
    struct err err = {0};
    err_set(&err, ERR_EXTERNAL, "server closed the connection");
    err_set(&err, ERR_REFUSED, "not promoted, because: %s", err.text);
    assert_string_equal(err.text, "not promoted, because: server closed the connection");
    err_wrap(&err, "%s again", err.text);
    assert_true(strstr(err.text, "again: not promoted") != NULL);
}

static void nobody_need_listen(void **state) {
    (void)state;
    assert_false(err_set(NULL, ERR_IO, "x"));
    assert_false(err_sys(NULL, ENOENT, "x"));
    assert_false(err_wrap(NULL, "x"));
}

static void long_text_is_cut_between_characters(void **state) {
    (void)state;
    struct err err = {0};
    char text[ERR_TEXT_MAX + 10];
    memset(text, 'a', sizeof text);
    text[ERR_TEXT_MAX - 2] = '\xc3'; /* an umlaut across the edge */
    text[ERR_TEXT_MAX - 1] = '\xa4';
    text[sizeof text - 1] = '\0';
    err_set(&err, ERR_INVALID, "%s", text);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 2);
    err_wrap(&err, "outer");
    assert_memory_equal(err.text, "outer: aaa", 10);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

static void codes_have_names(void **state) {
    (void)state;
    assert_string_equal(err_code_name(ERR_NONE), "none");
    assert_string_equal(err_code_name(ERR_NOT_FOUND), "not_found");
    assert_string_equal(err_code_name(ERR_INTERNAL), "internal");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_is_wrapped_around_the_cause), cmocka_unit_test(the_operating_system_is_quoted),
        cmocka_unit_test(an_error_may_quote_itself),           cmocka_unit_test(nobody_need_listen),
        cmocka_unit_test(long_text_is_cut_between_characters), cmocka_unit_test(codes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
