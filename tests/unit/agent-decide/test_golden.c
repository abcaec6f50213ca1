/* Golden scenarios of the agent's decide core: text files in tests/golden/agent. Each holds stories:
 *
 *   ## one sentence that says why
 *   base: primary
 *   lease_left_ms: 3000
 *   ----
 *   L07 holding
 *   R05 lease-running-out: fast stop
 *
 * Rules of concerns at rest (O01, S07) are left out of the expected text. REWRITE=1 rewrites the files; only what is
 * understood gets committed. Every rule must fire in at least one story, and the tables stand in agent-rules.txt. */
#include "tests/golden/agent_view.h"
#include "tests/golden/stories.h"

static void read_story(const char *place, const char *text, size_t len, struct view *out) {
    NODE_DOC doc = {0};
    struct err err = {0};
    if (!yaml_parse(place, (struct bytes){text, len}, &doc, &err))
        fail_msg("%s", err.text);
    const struct node *base = node_get(doc.root, "base");
    if (!base)
        fail_msg("%s: a story names its base", place);
    static struct view given;
    view_base(base->text, out);
    struct field_problems problems = {.name = place};
    if (!field_read_lenient(&view_table, doc.root, "", &given, &problems))
        fail_msg("%s: %s: %s", place, problems.at[0].path, problems.at[0].message);
    for (const struct node *n = doc.root->first; n; n = n->next) { /* only what the story states */
        const struct field *f = view_fields;
        while (f->name && !str_eq(f->name, n->key))
            f++;
        if (!f->name && !str_eq(n->key, "base"))
            fail_msg("%s:%u: a view has no field \"%s\"", place, n->line, n->key);
        if (f->name)
            memcpy((char *)out + f->offset, (const char *)&given + f->offset, f->size);
    }
}

static bool at_rest(const struct rule *r) { return str_eq(r->id, "O01") || str_eq(r->id, "S07"); }

static void write_plan(const struct plan *p, struct strbuf *to) {
    for (int c = 0; c < CONCERN_COUNT; c++) {
        const struct rule *r = p->rules[c];
        note_fired(r->id);
        if (at_rest(r))
            continue;
        strbuf_addf(to, "%s %s", r->id, r->name);
        for (int i = 0; i < PLAN_STEPS_MAX; i++)
            if (r->steps[i] >= 0)
                strbuf_addf(to, "%s%s", i ? ", " : ": ", step_names[r->steps[i]]);
        strbuf_add(to, "\n");
    }
}

static void play(const char *place, const char *head, size_t len, struct strbuf *decided) {
    struct view v;
    struct plan plan;
    read_story(place, head, len, &v);
    decide(&v, &plan);
    write_plan(&plan, decided);
}

static void stories_come_out_as_written(void **state) {
    (void)state;
    check_story_files("tests/golden/agent", play);
}

static void no_rule_is_dead(void **state) {
    (void)state;
    for (int c = 0; c < CONCERN_COUNT; c++)
        for (const struct rule *r = rule_tables[c]; r->id; r++)
            if (!has_fired(r->id))
                fail_msg("rule %s %s fires in no story", r->id, r->name);
}

static void tables_are_as_documented(void **state) {
    (void)state;
    STRBUF fresh = {0};
    STRBUF text = {0};
    struct err err = {0};
    for (int c = 0; c < CONCERN_COUNT; c++)
        for (const struct rule *r = rule_tables[c]; r->id; r++) {
            strbuf_addf(&fresh, "%s %s%s: %s", r->id, r->name, r->waits_for_person ? " (waits for a person)" : "", r->sentence);
            for (int i = 0; i < PLAN_STEPS_MAX; i++)
                if (r->steps[i] >= 0)
                    strbuf_addf(&fresh, " -> %s", step_names[r->steps[i]]);
            strbuf_add(&fresh, "\n");
        }
    if (getenv("REWRITE"))
        assert_true(file_write("tests/golden/agent-rules.txt", fresh.at, fresh.len, 0644, &err));
    if (!file_read("tests/golden/agent-rules.txt", 1 << 20, &text, &err))
        fail_msg("%s", err.text);
    assert_string_equal(text.at, fresh.at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories_come_out_as_written),
        cmocka_unit_test(no_rule_is_dead),
        cmocka_unit_test(tables_are_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
