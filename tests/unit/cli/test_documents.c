/* Documents as people see them: samples in tests/golden/cli, each KIND-NAME.json beside the text that it becomes.
 * `--rewrite` makes the texts anew; read the difference before you keep it. */
#include "coordinator/cli/agents.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/operation.h"
#include "coordinator/cli/status.h"
#include "rt/file.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define GOLDEN "tests/golden/cli"
static bool rewrite;

static void operation_list(const json_t *document, bool colours, struct strbuf *to) {
    operation_table(document, colours, to);
}

/* What the agents said, in all four forms: as the documents are, and as people see them. */
static void agents_all(const json_t *document, bool colours, struct strbuf *to) {
    static const struct {
        enum source_kind kind;
        void (*text)(const json_t *, bool, struct strbuf *);
    } forms[] = {{SOURCE_STATUS, status_text}, {SOURCE_EXPLAIN, document_explain}, {SOURCE_SLOTS, document_slots}, {SOURCE_HISTORY, document_history}};
    for (size_t i = 0; i < 4; i++) {
        JSON_AUTO *made = agents_document(forms[i].kind, json_object_get(document, "reports"), json_object_get(document, "sites"), "2026-11-21T08:00:00Z");
        json_write_pretty(made, to);
        strbuf_add(to, "\n");
        forms[i].text(made, colours, to);
        strbuf_add(to, "\n");
    }
}

static const struct {
    const char *prefix;
    void (*text)(const json_t *document, bool colours, struct strbuf *to);
} kinds[] = {
    {"status-", status_text},       {"operation-", operation_text}, {"operations-", operation_list},  {"explain-", document_explain},
    {"slots-", document_slots},     {"history-", document_history}, {"agents-", agents_all},
};

static json_t *sample(const char *name) {
    char path[512];
    STRBUF text = {0};
    struct err err = {0};
    snprintf(path, sizeof path, GOLDEN "/%s.json", name);
    json_t *document = file_read(path, 1 << 20, &text, &err) ? json_parse((struct bytes){text.at, text.len}, &err) : NULL;
    if (!document)
        fail_msg("%s: %s", path, err.text);
    return document;
}

static void render(const char *name, struct strbuf *to) {
    JSON_AUTO *document = sample(name);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (str_starts(name, kinds[i].prefix)) {
            kinds[i].text(document, false, to);
            return;
        }
    fail_msg("%s: nobody knows this kind of sample", name);
}

static void compare(const char *name) {
    char path[512];
    STRBUF made = {0};
    STRBUF wanted = {0};
    struct err err = {0};
    snprintf(path, sizeof path, GOLDEN "/%s.txt", name);
    render(name, &made);
    if (rewrite)
        assert_true(file_write(path, made.at, made.len, 0644, &err));
    else if (!file_read(path, 1 << 20, &wanted, &err))
        fail_msg("%s", err.text);
    else if (!str_eq(made.at, wanted.at))
        fail_msg("%s differs; made now:\n%s", path, made.at);
}

static void samples_look_as_agreed(void **state) {
    (void)state;
    struct dirent **entries;
    int count = scandir(GOLDEN, &entries, NULL, alphasort), compared = 0;
    if (count < 0)
        fail_msg("run this from the top of the sources: " GOLDEN " is missing");
    for (int i = 0; i < count; i++) {
        char *dot = strstr(entries[i]->d_name, ".json");
        if (dot) {
            *dot = '\0';
            compare(entries[i]->d_name);
            compared++;
        }
        free(entries[i]);
    }
    free(entries);
    assert_true(compared >= 10);
}

/* Escape sequences appear only when asked for, and never from the network. */
static void colours_are_ours_alone(void **state) {
    (void)state;
    STRBUF plain = {0};
    STRBUF coloured = {0};
    JSON_AUTO *document = sample("status-troubled");
    status_text(document, false, &plain);
    status_text(document, true, &coloured);
    assert_null(strchr(plain.at, '\033'));
    assert_non_null(strstr(coloured.at, "\033[31m"));
    assert_null(strstr(coloured.at, "leads\033"));
}

static void trouble_is_what_a_monitor_wants_to_hear_of(void **state) {
    (void)state;
    static const struct {
        const char *sample;
        bool troubled;
    } rows[] = {{"status-fine", false}, {"status-copying", true}, {"status-troubled", true}, {"status-empty", false}};
    for (size_t i = 0; i < 4; i++) {
        JSON_AUTO *document = sample(rows[i].sample);
        assert_int_equal(status_is_troubled(document), rows[i].troubled);
    }
}

int main(int argc, char **argv) {
    rewrite = argc > 1 && str_eq(argv[1], "--rewrite");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_look_as_agreed),
        cmocka_unit_test(colours_are_ours_alone),
        cmocka_unit_test(trouble_is_what_a_monitor_wants_to_hear_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
