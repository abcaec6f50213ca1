/* JSON comes in strictly and goes out in one spelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rt/node.h"
#include <stdio.h>
#include <string.h>

static struct bytes bytes_of(const char *text) {
    return (struct bytes){.at = text, .len = strlen(text)};
}

static void assert_refused(const char *text, const char *words) {
    struct err err = {0};
    JSON_AUTO *json = json_parse(bytes_of(text), &err);
    assert_null(json);
    assert_int_equal(err.code, ERR_INVALID);
    if (!strstr(err.text, words)) fail_msg("\"%s\" says nothing of \"%s\"", err.text, words);
}

static void nothing_but_one_whole_document_is_accepted(void **state) {
    (void)state;
    assert_refused("", "1:0: ");
    assert_refused("5", "1:1: ");
    assert_refused("{} {}", "end of file expected");
    assert_refused("{\"a\": 1,}", "1:9: ");
    assert_refused("{\"a\": 'x'}", "invalid token");
    assert_refused("{\"a\": NaN}", "invalid token");
    assert_refused("{\"a\": \"\\u0000\"}", "NUL");
    assert_refused("{\"a\": \"\xff\"}", "unable to decode byte");
    assert_refused("{\"a\": 99999999999999999999}", "too big integer");
}

static void a_cut_off_document_is_called_truncated(void **state) {
    (void)state;
    const char whole[] = "{\"members\": [{\"name\": \"ams-1\", \"port\": 5432}, {\"name\": \"ams-2\"}]}";
    for (size_t cut = 0; cut < sizeof whole - 1; cut++) {
        struct err err = {0};
        JSON_AUTO *json = json_parse((struct bytes){.at = whole, .len = cut}, &err);
        assert_null(json);
        assert_int_equal(err.code, ERR_INVALID);
    }
    assert_refused("{\"members\": [", "truncated");
}

static void the_same_key_twice_is_refused(void **state) {
    (void)state;
    assert_refused("{\"serial\": 7, \"serial\": 8}", "duplicate object key");
    assert_refused("{\n\"a\": {\"serial\": 7,\n \"serial\": 8}}", "3:9: ");
}

static void depth_is_bounded_and_brackets_in_texts_do_not_count(void **state) {
    (void)state;
    char deep[80] = "", full[80] = "";
    memset(deep, '[', JSON_DEPTH_MAX + 1);
    assert_refused(deep, "1:33: nested deeper than 32");
    memset(full, '[', JSON_DEPTH_MAX);
    memset(full + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    JSON_AUTO *json = json_parse(bytes_of(full), NULL);
    assert_non_null(json);
    JSON_AUTO *text = json_parse(bytes_of("[\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]"), NULL);
    assert_non_null(text);
}

static void size_is_bounded(void **state) {
    (void)state;
    RT_AUTO char *large = rt_alloc(JSON_INPUT_MAX + 2);
    memset(large, ' ', JSON_INPUT_MAX + 1);
    memcpy(large, "[]", 2);
    struct err err = {0};
    assert_null(json_parse((struct bytes){.at = large, .len = JSON_INPUT_MAX + 1}, &err));
    assert_non_null(strstr(err.text, "larger than 4194304 bytes"));
    JSON_AUTO *json = json_parse((struct bytes){.at = large, .len = JSON_INPUT_MAX}, &err);
    assert_non_null(json);
}

static void writing_keeps_the_order_and_shortens_numbers(void **state) {
    (void)state;
    JSON_AUTO *json = json_parse(bytes_of("{\"z\": 0.1, \"a\": [1, null], \"é\": \"\\u00e9/\\n\"}"), NULL);
    STRBUF text = {0};
    json_write(json, &text);
    assert_string_equal(text.at, "{\"z\":0.1,\"a\":[1,null],\"é\":\"é/\\n\"}");
    strbuf_reset(&text);
    json_write_pretty(json, &text);
    assert_string_equal(text.at, "{\n  \"z\": 0.1,\n  \"a\": [\n    1,\n    null\n  ],\n  \"é\": \"é/\\n\"\n}\n");
}

static void readers_give_the_default_for_what_is_not_there(void **state) {
    (void)state;
    JSON_AUTO *json = json_parse(bytes_of("{\"name\": \"ams\", \"port\": 5432, \"ok\": true, \"none\": null, \"real\": 1.5}"), NULL);
    assert_string_equal(json_text(json, "name", "?"), "ams");
    assert_string_equal(json_text(json, "port", "?"), "?");
    assert_null(json_text(json, "none", NULL));
    assert_int_equal(json_int(json, "port", 0), 5432);
    assert_int_equal(json_int(json, "real", -1), -1);
    assert_int_equal(json_int(NULL, "port", -1), -1);
    assert_true(json_bool(json, "ok", false));
    assert_true(json_bool(json, "absent", true));
}

static void a_text_that_is_not_utf8_is_written_all_the_same(void **state) {
    (void)state;
    JSON_AUTO *json = json_text_safe("caf\xe9 \xf0\x9f\x98");
    assert_string_equal(json_string_value(json), "caf? ???");
    JSON_AUTO *empty = json_text_or_null("");
    assert_true(json_is_null(empty));
    JSON_AUTO *none = json_text_or_null(NULL);
    assert_true(json_is_null(none));
}

static void a_tree_has_the_types_of_json(void **state) {
    (void)state;
    NODE_DOC doc = {0};
    struct err err;
    const char *text = "{\"t\": \"5\", \"i\": -5, \"r\": 0.25, \"b\": false, \"n\": null, \"l\": [1, {\"x\": 2}]}";
    assert_true(node_from_json("report", bytes_of(text), &doc, &err));
    assert_int_equal(doc.root->kind, NODE_MAP);
    assert_int_equal(doc.root->count, 6);
    static const struct {
        const char *key, *text;
        enum node_scalar kind;
    } want[] = {{"t", "5", NODE_QUOTED}, {"i", "-5", NODE_NUMBER}, {"r", "0.25", NODE_NUMBER}, {"b", "false", NODE_BOOL}, {"n", "", NODE_NULL}};
    const struct node *n = doc.root->first;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++, n = n->next) {
        assert_string_equal(n->key, want[i].key);
        assert_string_equal(n->text, want[i].text);
        assert_int_equal(n->scalar_kind, want[i].kind);
        assert_int_equal(n->line, 0);
    }
    assert_int_equal(n->kind, NODE_LIST);
    assert_int_equal(n->count, 2);
    assert_string_equal(node_get(n->first->next, "x")->text, "2");
    assert_null(node_get(n, "x"));
    assert_null(node_get(doc.root, "absent"));
}

static void a_tree_names_the_document_in_its_error(void **state) {
    (void)state;
    NODE_DOC doc = {0};
    struct err err = {0};
    assert_false(node_from_json("report of fra", bytes_of("{\n\"a\": x}"), &doc, &err));
    assert_int_equal(strncmp(err.text, "report of fra:2:", strlen("report of fra:2:")), 0);
    assert_null(doc.root);
}

static void a_peer_cannot_make_us_build_a_huge_tree(void **state) {
    (void)state;
    STRBUF text = {0};
    strbuf_add(&text, "[0");
    for (int i = 0; i < 300000; i++) strbuf_add(&text, ",0");
    strbuf_add(&text, "]");
    NODE_DOC doc = {0};
    struct err err = {0};
    assert_false(node_from_json("report", (struct bytes){.at = text.at, .len = text.len}, &doc, &err));
    assert_string_equal(err.text, "report: more than 262144 values");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_but_one_whole_document_is_accepted),
        cmocka_unit_test(a_cut_off_document_is_called_truncated),
        cmocka_unit_test(the_same_key_twice_is_refused),
        cmocka_unit_test(depth_is_bounded_and_brackets_in_texts_do_not_count),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(writing_keeps_the_order_and_shortens_numbers),
        cmocka_unit_test(readers_give_the_default_for_what_is_not_there),
        cmocka_unit_test(a_text_that_is_not_utf8_is_written_all_the_same),
        cmocka_unit_test(a_tree_has_the_types_of_json),
        cmocka_unit_test(a_tree_names_the_document_in_its_error),
        cmocka_unit_test(a_peer_cannot_make_us_build_a_huge_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
