/* Comparing trees, not structs: whatever key there is, a change of it is seen, also one that this version knows no
 * meaning for. Maps are compared by key, lists and scalars as a whole. */
#include "coordinator/cli/difference.h"
#include "coordinator/cli/paint.h"
#include "wire/parameter.h"
#include <stdio.h>
#include <string.h>

const char *const difference_effect_names[] = {
#define X(symbol, text) text,
    DIFFERENCE_EFFECTS(X)
#undef X
    NULL};

/* ---- meaning ---- */

/* Rows are tried from the top, the first whose pattern fits counts. "*" stands for one part of a path, a "**" at the end
 * for all that follow. */
static const struct meaning {
    const char *pattern;
    unsigned kinds; /* bits of difference_kind */
    enum difference_effect effect;
    const char *note;
} meanings[] = {
#define ADDED (1u << DIFFERENCE_ADDED)
#define REMOVED (1u << DIFFERENCE_REMOVED)
#define CHANGED (1u << DIFFERENCE_CHANGED)
#define ANY (ADDED | REMOVED | CHANGED)
    {"cluster", ANY, EFFECT_REFUSED, "it stands in certificates and orders"},
    {"initial_primary", ANY, EFFECT_NONE, "used once, by apply --create"},
    {"sites.*", ADDED, EFFECT_BUILT, "built as a standby site"},
    {"sites.*", REMOVED, EFFECT_REFUSED, "apply --remove is not built yet"},
    {"sites.*.members.*", ADDED, EFFECT_BUILT, "copied from its site"},
    {"sites.*.members.*", REMOVED, EFFECT_REFUSED, "apply --remove is not built yet"},
    {"sites.*.members.*.address", ANY, EFFECT_RESTART, "others follow at once; the server listens there after a restart"},
    {"sites.*.store**", ANY, EFFECT_REFUSED, "a lease in two stores would have two holders"},
    {"postgresql.version", ANY, EFFECT_REFUSED, "a major upgrade is no change of topology"},
    {"sites.*.postgresql.version", ANY, EFFECT_REFUSED, "a major upgrade is no change of topology"},
    {"sites.*.members.*.postgresql.version", ANY, EFFECT_REFUSED, "a major upgrade is no change of topology"},
    {"postgresql.data_dir", ANY, EFFECT_REFUSED, "the members' data would be left behind"},
    {"sites.*.postgresql.data_dir", ANY, EFFECT_REFUSED, "the members' data would be left behind"},
    {"sites.*.members.*.postgresql.data_dir", ANY, EFFECT_REFUSED, "the member's data would be left behind"},
    {"**", ANY, EFFECT_APPLIED, NULL},
};

static bool fits(const char *pattern, const char *path) {
    while (*pattern) {
        if (str_eq(pattern, "**"))
            return true;
        if (*pattern == '*') {
            if (*path == '\0' || *path == '.')
                return false;
            path += strcspn(path, ".");
            pattern++;
        } else if (*pattern++ != *path++)
            return false;
    }
    return *path == '\0';
}

static bool is_parameter(const char *path) {
    return fits("postgresql.parameters.*", path) || fits("sites.*.postgresql.parameters.*", path) || fits("sites.*.members.*.postgresql.parameters.*", path);
}

static void judge(struct difference *d) {
    if (is_parameter(d->path)) {
        bool restart = parameter_needs_restart(strrchr(d->path, '.') + 1);
        d->effect = restart ? EFFECT_RESTART : EFFECT_APPLIED;
        d->note = restart ? "PostgreSQL takes it at its next start" : NULL;
        return;
    }
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if ((meanings[i].kinds & (1u << d->kind)) && fits(meanings[i].pattern, d->path)) {
            d->effect = (int)meanings[i].effect;
            d->note = meanings[i].note;
            return;
        }
}

/* ---- comparing ---- */

static void write_value(const struct node *n, struct strbuf *to) {
    if (n->kind == NODE_SCALAR) {
        strbuf_add(to, n->text ? n->text : "null");
        return;
    }
    strbuf_add(to, n->kind == NODE_MAP ? "{" : "[");
    for (const struct node *child = n->first; child; child = child->next) {
        strbuf_addf(to, "%s%s%s", child == n->first ? "" : ", ", child->key ? child->key : "", child->key ? ": " : "");
        write_value(child, to);
    }
    strbuf_add(to, n->kind == NODE_MAP ? "}" : "]");
}

static void copy_value(const struct node *n, char to[160]) {
    STRBUF text = {0};
    if (!n)
        return;
    write_value(n, &text);
    if (!str_copy(to, 160, text.at))
        memcpy(to + 156, "...", 4);
}

/* The name behind `prefix` in a path, up to the next dot. */
static void part_after(const char *path, const char *prefix, char to[NAME_MAX_BYTES]) {
    const char *at = strstr(path, prefix);
    if (at)
        snprintf(to, NAME_MAX_BYTES, "%.*s", (int)strcspn(at + strlen(prefix), "."), at + strlen(prefix));
}

static void add(struct differences *out, enum difference_kind kind, const char *path, const struct node *before, const struct node *after) {
    if (out->count == DIFFERENCES_MAX) {
        out->more++;
        return;
    }
    struct difference *d = &out->at[out->count++];
    *d = (struct difference){.kind = (int)kind};
    str_copy(d->path, sizeof d->path, path);
    if (str_starts(path, "sites."))
        part_after(path, "sites.", d->site);
    part_after(path, ".members.", d->member);
    copy_value(before, d->before);
    copy_value(after, d->after);
    judge(d);
}

static bool same(const struct node *a, const struct node *b) {
    STRBUF left = {0};
    STRBUF right = {0};
    write_value(a, &left);
    write_value(b, &right);
    return a->kind == b->kind && str_eq(left.at, right.at);
}

/* New or gone: a site or a member as a whole, every other map key by key, so that no key escapes its meaning. */
static void one_sided(struct differences *out, enum difference_kind kind, const char *path, const struct node *n) {
    char below[192];
    if (n->kind != NODE_MAP || !n->first || fits("sites.*", path) || fits("sites.*.members.*", path)) {
        add(out, kind, path, kind == DIFFERENCE_REMOVED ? n : NULL, kind == DIFFERENCE_ADDED ? n : NULL);
        return;
    }
    for (const struct node *child = n->first; child; child = child->next) {
        snprintf(below, sizeof below, "%s.%s", path, child->key);
        one_sided(out, kind, below, child);
    }
}

/* Depth is bounded by the parser. Where one side is no map (an empty value), the other counts as a whole. */
static void compare(const struct node *before, const struct node *after, const char *path, struct differences *out) {
    char below[192];
    if (before->kind != NODE_MAP || after->kind != NODE_MAP) {
        if (!same(before, after))
            add(out, DIFFERENCE_CHANGED, path, before, after);
        return;
    }
    for (const struct node *n = before->first; n; n = n->next) {
        const struct node *counterpart = node_get(after, n->key);
        snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", n->key);
        if (counterpart)
            compare(n, counterpart, below, out);
        else
            one_sided(out, DIFFERENCE_REMOVED, below, n);
    }
    for (const struct node *n = after->first; n; n = n->next) {
        snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", n->key);
        if (!node_get(before, n->key))
            one_sided(out, DIFFERENCE_ADDED, below, n);
    }
}

/* The first topology: everything is new; what counts is what will be built. */
static void all_new(const struct node *after, struct differences *out) {
    const struct node *sites = node_get(after, "sites"), *first = node_get(after, "initial_primary");
    for (const struct node *n = sites ? sites->first : NULL; n; n = n->next) {
        char path[192];
        snprintf(path, sizeof path, "sites.%s", n->key);
        add(out, DIFFERENCE_ADDED, path, NULL, n);
        if (first && str_eq(first->text, n->key) && out->count)
            out->at[out->count - 1].note = "born here: initdb on one of its members";
    }
}

void differences_find(const struct node *before, const struct node *after, struct differences *out) {
    *out = (struct differences){0};
    if (before)
        compare(before, after, "", out);
    else
        all_new(after, out);
}

/* ---- showing ---- */

static const char *const kind_names[] = {"added", "removed", "changed"};

json_t *differences_document(const struct differences *d) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < d->count; i++) {
        const struct difference *at = &d->at[i];
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "change", kind_names[at->kind], "path", json_text_safe(at->path), "site",
                                              json_text_or_null(at->site), "member", json_text_or_null(at->member), "before",
                                              at->kind == DIFFERENCE_ADDED ? json_null() : json_text_safe(at->before), "after",
                                              at->kind == DIFFERENCE_REMOVED ? json_null() : json_text_safe(at->after), "effect", difference_effect_names[at->effect],
                                              "note", json_text_or_null(at->note)));
    }
    return list;
}

static void row(const struct difference *d, struct paint_table *table) {
    static const char *const signs[] = {"+", "-", "~"};
    static const enum paint paints[] = {PAINT_GOOD, PAINT_BAD, PAINT_WARNING};
    char values[400], effect[128];
    bool whole = d->effect == EFFECT_BUILT; /* its keys are in the file; the path says enough */
    snprintf(values, sizeof values, "%s%s%s", whole ? "" : d->before, d->kind == DIFFERENCE_CHANGED ? " -> " : "", whole ? "" : d->after);
    snprintf(effect, sizeof effect, "%s%s%s", d->effect == EFFECT_APPLIED ? "" : difference_effect_names[d->effect], d->note ? ": " : "", d->note ? d->note : "");
    paint_row(table);
    paint_cell(table, paints[d->kind], signs[d->kind]);
    paint_cell(table, PAINT_PLAIN, d->path);
    paint_cell(table, PAINT_PLAIN, values);
    paint_cell(table, d->effect == EFFECT_REFUSED ? PAINT_BAD : d->effect == EFFECT_RESTART ? PAINT_WARNING : PAINT_DIM, effect);
}

void differences_text(const struct differences *d, bool colours, struct strbuf *to) {
    PAINT_TABLE table = {0};
    for (uint32_t i = 0; i < d->count; i++)
        row(&d->at[i], &table);
    paint_table(&table, colours, "  ", to);
    if (d->more)
        strbuf_addf(to, "  and %u more\n", d->more);
}
