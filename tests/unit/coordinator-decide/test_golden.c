/* Golden scenarios of the coordinator's decide core: text files in tests/golden/coordinator. Each holds stories:
 *
 *   ## one sentence that says why
 *   base: stopped
 *   fra: {fresh: false}
 *   ----
 *   C44 target-unheard, step promote: waits for a person
 *   ams C72 in-operation
 *
 * Rules at rest (C08, C82, C86) are left out of the expected text. `to: SITE` adds the checks that refuse a move there.
 * REWRITE=1 rewrites the files; only what is understood gets committed. Every rule and every check must speak in at least
 * one story, and the tables stand in coordinator-rules.txt. */
#include "tests/golden/coordinator_view.h"
#include "tests/golden/stories.h"

/* ---- reading ---- */

static const struct field *field_named(const struct fields *table, const char *name) {
    for (const struct field *f = table->fields; f->name; f++)
        if (str_eq(f->name, name))
            return f;
    return NULL;
}

static void copy_field(const struct field *f, const void *from, void *to) {
    size_t size = f->type == FIELD_TYPE_LIST ? f->size * f->max : f->size;
    memcpy((char *)to + f->offset, (const char *)from + f->offset, size);
    if (f->type == FIELD_TYPE_LIST)
        memcpy((char *)to + f->count_offset, (const char *)from + f->count_offset, sizeof(uint32_t));
}

/* Only what the story states is changed. */
static void overlay(const char *place, const struct fields *table, const struct node *map, void *to) {
    static union {
        struct cluster_view view;
        struct site_facts site;
    } given;
    struct field_problems problems = {.name = place};
    if (!field_read(table, map, map->key, &given, &problems))
        fail_msg("%s:%u: %s: %s", place, problems.at[0].line, problems.at[0].path, problems.at[0].message);
    for (const struct node *n = map->first; n; n = n->next)
        copy_field(field_named(table, n->key), &given, to);
}

static struct member_facts *member_named(struct cluster_view *v, const char *name) {
    for (uint32_t s = 0; s < v->site_count; s++)
        for (uint32_t m = 0; m < v->sites[s].member_count; m++)
            if (str_eq(v->sites[s].members[m].name, name))
                return &v->sites[s].members[m];
    return NULL;
}

static int site_named(const struct cluster_view *v, const char *name) {
    for (uint32_t s = 0; s < v->site_count; s++)
        if (str_eq(v->sites[s].name, name))
            return (int)s;
    return NOBODY;
}

static void read_entry(const char *place, const struct node *n, struct cluster_view *v) {
    struct member_facts *m = member_named(v, n->key);
    int s = site_named(v, n->key);
    if (str_eq(n->key, "cluster"))
        overlay(place, &story_cluster_table, n, v);
    else if (str_eq(n->key, "op"))
        overlay(place, &story_op_table, n, &v->op);
    else if (m)
        overlay(place, &story_member_table, n, m);
    else if (s != NOBODY)
        overlay(place, &story_site_table, n, &v->sites[s]);
    else if (!str_eq(n->key, "base") && !str_eq(n->key, "to"))
        fail_msg("%s:%u: a story knows no \"%s\"", place, n->line, n->key);
}

/* Returns the site that a move is asked to, or NOBODY. */
static int read_story(const char *place, const char *text, size_t len, struct cluster_view *v) {
    NODE_DOC doc = {0};
    struct err err = {0};
    if (!yaml_parse(place, (struct bytes){text, len}, &doc, &err))
        fail_msg("%s", err.text);
    const struct node *base = node_get(doc.root, "base"), *to = node_get(doc.root, "to");
    if (!base || !story_base(base->text, v))
        fail_msg("%s: a story names its base:\n%.*s", place, (int)len, text);
    for (const struct node *n = doc.root->first; n; n = n->next)
        read_entry(place, n, v);
    return to ? site_named(v, to->text) : NOBODY;
}

/* ---- writing ---- */

static void write_epoch(const char *before, const struct epoch *e, struct strbuf *to) {
    char text[EPOCH_TEXT_MAX];
    epoch_format(e, text);
    if (text[0])
        strbuf_addf(to, "%s%s", before, text);
}

static void write_proofs(unsigned proofs, struct strbuf *to) {
    static const char *const names[] = {"request", "stopped", "declined", "opened"};
    const char *before = ", proofs ";
    for (unsigned i = 0; i < 4; i++)
        if (proofs & (1u << i)) {
            strbuf_addf(to, "%s%s", before, names[i]);
            before = " ";
        }
}

static void write_order(const struct cluster_view *v, const struct order_intent *o, struct strbuf *to) {
    strbuf_addf(to, ": order %s to %s: be %s", order_kind_names[o->kind], v->sites[o->site].name, site_role_names[o->role]);
    write_epoch(" in ", &o->epoch, to);
    write_epoch(", passes to ", &o->successor, to);
    if (o->upstream != NOBODY)
        strbuf_addf(to, ", upstream %s", v->sites[o->upstream].name);
    strbuf_addf(to, "%s%s%s", o->target ? ", target" : "", o->checkpoint ? ", checkpoint" : "", o->of_operation ? ", of the operation" : "");
    if (o->deadline_ms)
        strbuf_addf(to, ", within %lld ms", (long long)o->deadline_ms);
    write_proofs(o->proofs, to);
}

static void write_cluster(const struct cluster_view *v, const struct cluster_plan *p, struct strbuf *to) {
    const struct cluster_rule *r = p->rule;
    note_fired(r->head.id);
    if (str_eq(r->head.id, "C08"))
        return;
    strbuf_addf(to, "%s %s", r->head.id, r->head.name);
    if (r->step >= 0)
        strbuf_addf(to, ", step %s", op_step_names[r->step]);
    if (p->about[0])
        strbuf_addf(to, " (%s)", p->about);
    if (r->action == ACTION_ORDER)
        write_order(v, &p->order, to);
    else if (r->action == ACTION_FINISH)
        strbuf_addf(to, ": finish %s", op_state_names[r->finish]);
    else if (r->action == ACTION_START)
        strbuf_addf(to, ": start bootstrap %s", v->sites[p->start].name);
    else if (r->action == ACTION_ABORT)
        strbuf_add(to, ": take back");
    strbuf_addf(to, "%s\n", p->asks ? ": waits for a person" : "");
    if (p->overlong)
        strbuf_addf(to, "takes too long: %s\n", p->overlong);
}

static void write_sites(const struct cluster_view *v, const struct cluster_plan *p, struct strbuf *to) {
    for (uint32_t i = 0; i < v->site_count; i++) {
        const struct site_rule *r = p->sites[i];
        note_fired(r->head.id);
        if (str_eq(r->head.id, "C82") || str_eq(r->head.id, "C86"))
            continue;
        strbuf_addf(to, "%s %s %s", v->sites[i].name, r->head.id, r->head.name);
        if (r->order)
            write_order(v, &p->site_orders[i], to);
        strbuf_add(to, "\n");
    }
}

static void write_check(const struct cluster_view *v, int to_site, struct strbuf *to) {
    const struct move_check *check = to_site == NOBODY ? NULL : move_refusal(v, to_site);
    char about[96] = "";
    if (!check)
        return;
    note_fired(check->id);
    if (check->about)
        check->about(v, to_site, about, sizeof about);
    strbuf_addf(to, "refused: %s: %s%s%s\n", check->id, check->sentence, about[0] ? ": " : "", about);
}

static void play(const char *place, const char *head, size_t len, struct strbuf *decided) {
    static struct cluster_view v;
    static struct cluster_plan plan;
    int to = read_story(place, head, len, &v);
    coordinator_decide(&v, &plan);
    write_cluster(&v, &plan, decided);
    write_sites(&v, &plan, decided);
    write_check(&v, to, decided);
}

static void stories_come_out_as_written(void **state) {
    (void)state;
    check_story_files("tests/golden/coordinator", play);
}

/* ---- the tables ---- */

static void no_rule_is_dead(void **state) {
    (void)state;
    for (const struct rule_table *t = cluster_tables; t->rules; t++)
        for (const struct cluster_rule *r = t->rules; r->head.id; r++)
            if (!has_fired(r->head.id))
                fail_msg("rule %s %s fires in no story", r->head.id, r->head.name);
    for (const struct site_rule *r = site_rules; r->head.id; r++)
        if (!has_fired(r->head.id))
            fail_msg("rule %s %s fires in no story", r->head.id, r->head.name);
    for (const struct move_check *c = move_checks; c->id; c++)
        if (!has_fired(c->id))
            fail_msg("check %s refuses in no story", c->id);
}

static void add_head(const struct rule_head *h, struct strbuf *to) {
    strbuf_addf(to, "%s %s%s: %s", h->id, h->name, h->waits_for_person ? " (waits for a person)" : "", h->sentence);
}

static void dump(struct strbuf *to) {
    for (const struct rule_table *t = cluster_tables; t->rules; t++) {
        strbuf_addf(to, "%s:\n", t->name);
        for (const struct cluster_rule *r = t->rules; r->head.id; r++) {
            add_head(&r->head, to);
            if (r->action != ACTION_WAIT)
                strbuf_addf(to, " -> %s%s%s", action_names[r->action], r->action == ACTION_FINISH ? " " : "", r->action == ACTION_FINISH ? op_state_names[r->finish] : "");
            if (r->overlong)
                strbuf_addf(to, ". If that takes long: %s", r->overlong);
            strbuf_add(to, "\n");
        }
        strbuf_add(to, "\n");
    }
    strbuf_add(to, "each site:\n");
    for (const struct site_rule *r = site_rules; r->head.id; r++) {
        add_head(&r->head, to);
        strbuf_addf(to, "%s\n", r->order ? " -> order" : "");
    }
    strbuf_add(to, "\na planned move is refused:\n");
    for (const struct move_check *c = move_checks; c->id; c++)
        strbuf_addf(to, "%s: %s. Cure: %s\n", c->id, c->sentence, c->cure);
}

static void tables_are_as_documented(void **state) {
    (void)state;
    static const char path[] = "tests/golden/coordinator-rules.txt";
    STRBUF fresh = {0};
    STRBUF text = {0};
    struct err err = {0};
    dump(&fresh);
    if (getenv("REWRITE"))
        assert_true(file_write(path, fresh.at, fresh.len, 0644, &err));
    if (!file_read(path, 1 << 20, &text, &err))
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
