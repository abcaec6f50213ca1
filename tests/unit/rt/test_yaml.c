/* A YAML file means what it shows, or it is refused with the place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rt/node.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bytes bytes_of(const char *text) {
    return (struct bytes){.at = text, .len = strlen(text)};
}

/* The whole error: place, path and words. */
static void assert_refused(const char *text, const char *error) {
    NODE_DOC doc = {0};
    struct err err = {0};
    if (yaml_parse("t.yaml", bytes_of(text), &doc, &err)) fail_msg("accepted: %s", text);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.text, error);
    assert_null(doc.root);
    assert_null(doc.memory);
}

static void assert_place(const struct node *n, uint32_t line, uint32_t column) {
    assert_non_null(n);
    assert_int_equal(n->line, line);
    assert_int_equal(n->column, column);
}

static const char topology[] = "# the heart of it\n"
                               "cluster: orders\n"
                               "sites:\n"
                               "  ams:\n"
                               "    members:\n"
                               "      ams-1: {address: \"10.0.1.11:5432\", tags: {failover_priority: 2}}\n"
                               "pg_hba:\n"
                               "  - 'local all all peer'\n"
                               "  - host all all all reject\n"
                               "paused: off\n";

static void every_node_knows_its_place(void **state) {
    (void)state;
    NODE_DOC doc = {0};
    assert_true(yaml_parse("t.yaml", bytes_of(topology), &doc, NULL));
    assert_string_equal(doc.name, "t.yaml");
    assert_int_equal(doc.root->count, 4);
    const struct node *member = node_get(node_get(node_get(node_get(doc.root, "sites"), "ams"), "members"), "ams-1");
    assert_place(member, 6, 14);
    assert_int_equal(member->key_line, 6);
    assert_int_equal(member->key_column, 7);
    assert_place(node_get(member, "address"), 6, 24);
    assert_string_equal(node_get(member, "address")->text, "10.0.1.11:5432");
    const struct node *hba = node_get(doc.root, "pg_hba");
    assert_int_equal(hba->kind, NODE_LIST);
    assert_int_equal(hba->count, 2);
    assert_place(hba->first->next, 9, 5);
    assert_string_equal(hba->first->next->text, "host all all all reject");
}

static void quotes_are_remembered_and_words_stay_words(void **state) {
    (void)state;
    NODE_DOC doc = {0};
    assert_true(yaml_parse("t.yaml", bytes_of("a: off\nb: 'off'\nc: 010\nd: |\n  two\n  lines\ne:\n"), &doc, NULL));
    assert_int_equal(node_get(doc.root, "a")->scalar_kind, NODE_PLAIN);
    assert_int_equal(node_get(doc.root, "b")->scalar_kind, NODE_QUOTED);
    assert_string_equal(node_get(doc.root, "c")->text, "010");
    assert_string_equal(node_get(doc.root, "d")->text, "two\nlines\n");
    assert_string_equal(node_get(doc.root, "e")->text, "");
    assert_int_equal(node_get(doc.root, "e")->scalar_kind, NODE_PLAIN);
}

static void a_byte_order_mark_and_windows_line_ends_are_fine(void **state) {
    (void)state;
    NODE_DOC doc = {0};
    assert_true(yaml_parse("t.yaml", bytes_of("\xef\xbb\xbf"
                                              "a: 1\r\nb: é\r\n"),
                           &doc, NULL));
    assert_place(node_get(doc.root, "a"), 1, 4);
    assert_string_equal(node_get(doc.root, "b")->text, "é");
}

static void a_start_and_an_end_mark_are_fine(void **state) {
    (void)state;
    NODE_DOC doc = {0};
    assert_true(yaml_parse("t.yaml", bytes_of("%YAML 1.1\n---\na: 1\n...\n# end\n"), &doc, NULL));
    assert_string_equal(node_get(doc.root, "a")->text, "1");
}

static void duplicates_name_both_places(void **state) {
    (void)state;
    assert_refused("a: 1\nb: 2\na: 3\n", "t.yaml:3:1: a: duplicate key, first at line 1, column 1");
    assert_refused("sites:\n  ams: {x: 1}\n  \"ams\": {}\n", "t.yaml:3:3: sites.ams: duplicate key, first at line 2, column 3");
    assert_refused("l:\n  - {a: 1}\n  - {b: 1, c: 2, b: 3}\n", "t.yaml:3:18: l[1].b: duplicate key, first at line 3, column 6");
}

static void nothing_refers_to_something_else(void **state) {
    (void)state;
    static const char alias[] = "aliases (*name) are not allowed: write the value out";
    static const char anchor[] = "anchors (&name) are not allowed: write the value out";
    char want[160];
    snprintf(want, sizeof want, "t.yaml:1:4: a: %s", anchor);
    assert_refused("a: &x 1\nb: *x\n", want);
    assert_refused("a: &x {b: 1}\n", want);
    assert_refused("a: &x [b]\n", want);
    snprintf(want, sizeof want, "t.yaml:1:1: %s", anchor);
    assert_refused("&x a: 1\n", want);
    snprintf(want, sizeof want, "t.yaml:1:4: a: %s", alias);
    assert_refused("a: *x\n", want);
    snprintf(want, sizeof want, "t.yaml:1:1: %s", alias);
    assert_refused("*x : 1\n", want);
    assert_refused("a: !!str 5\n", "t.yaml:1:4: a: tags (!name) are not allowed");
    assert_refused("a: ! 5\n", "t.yaml:1:4: a: tags (!name) are not allowed");
    assert_refused("a: !x [5]\n", "t.yaml:1:4: a: tags (!name) are not allowed");
    assert_refused("%TAG ! tag:x,2000:\n---\na: 1\n", "t.yaml:1:1: tags (!name) are not allowed");
}

static void there_is_exactly_one_document(void **state) {
    (void)state;
    assert_refused("", "t.yaml: empty: there is no document in it");
    assert_refused("\xef\xbb\xbf", "t.yaml: empty: there is no document in it");
    assert_refused("# nothing\n", "t.yaml:2:1: empty: there is no document in it");
    assert_refused("a: 1\n---\nb: 2\n", "t.yaml:2:1: a second document: only one is allowed");
}

static void keys_are_words(void **state) {
    (void)state;
    assert_refused("? [a, b]\n: 1\n", "t.yaml:1:3: a key must be a plain word");
    assert_refused("{a: 1}: 2\n", "t.yaml:1:1: a key must be a plain word");
    assert_refused("a: {'': 1}\n", "t.yaml:1:5: a: an empty key");
}

static void what_a_reviewer_cannot_see_is_refused(void **state) {
    (void)state;
    static const char tab[] = "a tab: indent with spaces, and write \\t in a quoted text";
    char want[160];
    snprintf(want, sizeof want, "t.yaml:2:1: %s", tab);
    assert_refused("a:\n\tb: 1\n", want);
    snprintf(want, sizeof want, "t.yaml:1:6: %s", tab);
    assert_refused("é: 'x\ty'\n", want);
    assert_refused("# safe\rfailover: automatic\n", "t.yaml:1:7: a carriage return inside a line");
    assert_refused("# safe\xe2\x80\xa8" "failover: automatic\n", "t.yaml:1:7: a Unicode line end, which editors do not show");
    assert_refused("# safe\xc2\x85" "failover: automatic\n", "t.yaml:1:7: a Unicode line end, which editors do not show");
    assert_refused("a: b\xe2\x80\xae" "c\n", "t.yaml:1:5: a Unicode direction mark, which reorders what is shown");
    assert_refused("a: \x1b[31m\n", "t.yaml:1:4: a control character");
    assert_refused("a: b\xef\xbb\xbf" "c\n", "t.yaml:1:5: a byte order mark inside the text");
    assert_refused("a: \"x\\0y\"\n", "t.yaml:1:4: a: a NUL character inside a text");
}

static void only_utf8_is_read(void **state) {
    (void)state;
    assert_refused("a: 1\nb: caf\xe9\n", "t.yaml:2:7: not UTF-8");
    assert_refused("a: \xc0\xaf\n", "t.yaml:1:4: not UTF-8");     /* "/" in two bytes */
    assert_refused("a: \xe0\x80\xaf\n", "t.yaml:1:4: not UTF-8"); /* and in three */
    assert_refused("a: \xed\xa0\x80\n", "t.yaml:1:4: not UTF-8"); /* half of a surrogate pair */
    assert_refused("a: \xe2\x82", "t.yaml:1:4: not UTF-8");
    assert_refused("\xff\xfe" "a", "t.yaml:1:1: UTF-16: save the file as UTF-8");
    struct err err = {0};
    NODE_DOC doc = {0};
    assert_false(yaml_parse("t.yaml", (struct bytes){.at = "a: \0\n", .len = 5}, &doc, &err));
    assert_string_equal(err.text, "t.yaml:1:4: a control character");
}

static void a_cut_off_file_is_called_truncated(void **state) {
    (void)state;
    assert_refused("a: [1, 2\n", "t.yaml:2:1: a: the text ends before the document does (truncated?): did not find expected ',' or ']' "
                                 "(while parsing a flow sequence that began at 1:4)");
    assert_refused("a: {b: 1,\n# end\n",
                   "t.yaml:3:1: a: the text ends before the document does (truncated?): did not find expected node content "
                   "(while parsing a flow node that began at 3:1)");
    assert_refused("a: \"one\n  two", "t.yaml:2:6: a: the text ends before the document does (truncated?): found unexpected end of stream "
                                      "(while scanning a quoted scalar that began at 1:4)");
    assert_refused("a: 1\nb", "t.yaml:3:1: the text ends before the document does (truncated?): could not find expected ':' "
                              "(while scanning a simple key that began at 2:1)");
}

static void bad_indentation_is_a_place_and_not_called_truncated(void **state) {
    (void)state;
    struct err err = {0};
    NODE_DOC doc = {0};
    assert_false(yaml_parse("t.yaml", bytes_of("a:\n    b: 1\n  c: 2\nd: 3\n"), &doc, &err));
    assert_int_equal(strncmp(err.text, "t.yaml:3:3: ", strlen("t.yaml:3:3: ")), 0);
    assert_null(strstr(err.text, "truncated"));
}

static void depth_is_bounded(void **state) {
    (void)state;
    char deep[2 * NODE_DEPTH_MAX + 4] = "";
    memset(deep, '[', NODE_DEPTH_MAX);
    memset(deep + NODE_DEPTH_MAX, ']', NODE_DEPTH_MAX);
    NODE_DOC doc = {0};
    assert_true(yaml_parse("t.yaml", bytes_of(deep), &doc, NULL));
    memset(deep, '[', sizeof deep - 1);
    STRBUF wide = {0}; /* what lies side by side is not deep */
    for (int i = 0; i < 2 * NODE_DEPTH_MAX; i++) strbuf_add(&wide, "- {a: [1]}\n");
    NODE_DOC flat = {0};
    assert_true(yaml_parse("t.yaml", bytes_of(wide.at), &flat, NULL));
    NODE_DOC other = {0};
    struct err err = {0};
    assert_false(yaml_parse("t.yaml", bytes_of(deep), &other, &err));
    assert_int_equal(strncmp(err.text, "t.yaml:1:33: ", strlen("t.yaml:1:33: ")), 0);
    assert_non_null(strstr(err.text, "nested deeper than 32"));
}

static void size_and_number_of_keys_are_bounded(void **state) {
    (void)state;
    RT_AUTO char *large = rt_alloc(YAML_INPUT_MAX + 2);
    memset(large, ' ', YAML_INPUT_MAX + 1);
    memcpy(large, "a: 1\n#", 6);
    struct err err = {0};
    NODE_DOC doc = {0};
    assert_false(yaml_parse("t.yaml", (struct bytes){.at = large, .len = YAML_INPUT_MAX + 1}, &doc, &err));
    assert_string_equal(err.text, "t.yaml: larger than 1048576 bytes");
    NODE_DOC fits = {0};
    assert_true(yaml_parse("t.yaml", (struct bytes){.at = large, .len = YAML_INPUT_MAX}, &fits, &err));
    STRBUF keys = {0};
    for (int i = 0; i < 1025; i++) strbuf_addf(&keys, "k%d: 1\n", i);
    assert_refused(keys.at, "t.yaml:1025:1: k1024: too many keys in one map");
}

/* Damaged copies of a good file: whatever comes out, nothing breaks and every refusal has a text with the file's name. */
static void damage_never_does_more_than_be_refused(void **state) {
    (void)state;
    unsigned seed = 4711;
    static const char nasty[] = "\t\n\r &*!|>'\"%@`{}[],:?-#\\\0\x80\xff";
    for (int round = 0; round < 20000; round++) {
        char text[sizeof topology];
        memcpy(text, topology, sizeof text);
        for (int i = rand_r(&seed) % 4; i >= 0; i--)
            text[(size_t)rand_r(&seed) % (sizeof text - 1)] = nasty[(size_t)rand_r(&seed) % (sizeof nasty - 1)];
        size_t len = rand_r(&seed) % 4 ? sizeof text - 1 : (size_t)rand_r(&seed) % sizeof text;
        NODE_DOC doc = {0};
        struct err err = {0};
        bool done = yaml_parse("t.yaml", (struct bytes){.at = text, .len = len}, &doc, &err);
        assert_int_equal(done, doc.root != NULL);
        if (!done) assert_int_equal(strncmp(err.text, "t.yaml:", strlen("t.yaml:")), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_knows_its_place),
        cmocka_unit_test(quotes_are_remembered_and_words_stay_words),
        cmocka_unit_test(a_byte_order_mark_and_windows_line_ends_are_fine),
        cmocka_unit_test(a_start_and_an_end_mark_are_fine),
        cmocka_unit_test(duplicates_name_both_places),
        cmocka_unit_test(nothing_refers_to_something_else),
        cmocka_unit_test(there_is_exactly_one_document),
        cmocka_unit_test(keys_are_words),
        cmocka_unit_test(what_a_reviewer_cannot_see_is_refused),
        cmocka_unit_test(only_utf8_is_read),
        cmocka_unit_test(a_cut_off_file_is_called_truncated),
        cmocka_unit_test(bad_indentation_is_a_place_and_not_called_truncated),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(size_and_number_of_keys_are_bounded),
        cmocka_unit_test(damage_never_does_more_than_be_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
