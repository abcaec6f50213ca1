/* From a node tree into a struct, by its table: every problem of the document in one run, each with place and path.
 * What one scalar means is in field_scalar.c. */
#include "rt/field_inner.h"
#include "rt/utf8.h"
#include <stdio.h>
#include <string.h>

#define QUOTE_MAX 64     /* of a value that a message repeats */
#define SCRATCH_SIZE 1024 /* of a member, for comparing it with its default */

struct walk {
    struct field_problems *problems;
    bool lenient; /* unknown keys are ignored */
};

static void read_table(struct walk *w, const struct fields *table, const struct node *map, const char *path, void *out);

static bool is_null(const struct node *n) {
    if (n->kind != NODE_SCALAR) return false;
    if (n->scalar_kind != NODE_PLAIN) return n->scalar_kind == NODE_NULL;
    return n->text_len == 0 || str_eq(n->text, "~") || str_eq(n->text, "null") || str_eq(n->text, "Null") || str_eq(n->text, "NULL");
}

/* What was found instead, as a noun. Secrets are never repeated. */
static void found(const struct field *f, const struct node *n, char to[QUOTE_MAX + 8]) {
    char value[QUOTE_MAX];
    if (n->kind != NODE_SCALAR) str_copy(to, QUOTE_MAX, n->kind == NODE_MAP ? "a map" : "a list");
    else if (f->flags & FIELD_SECRET) str_copy(to, QUOTE_MAX, "what is written");
    else {
        utf8_printable(value, sizeof value, n->text);
        bool quoted = n->scalar_kind == NODE_PLAIN || n->scalar_kind == NODE_QUOTED;
        snprintf(to, QUOTE_MAX + 8, quoted ? "\"%s\"" : "%s", value);
    }
}

/* What would probably have been right. */
static void add_hint(const struct field *f, const struct node *n, struct strbuf *to) {
    if (n->kind != NODE_SCALAR || f->flags & FIELD_SECRET) return;
    if ((f->type == FIELD_TYPE_INT || f->type == FIELD_TYPE_BOOL) && n->scalar_kind == NODE_QUOTED) strbuf_add(to, "; write it without quotes");
    if (f->type != FIELD_TYPE_ENUM) return;
    size_t count = 0;
    while (f->names[count]) count++;
    const char *near = str_nearest(n->text, f->names, count);
    if (near) strbuf_addf(to, "; did you mean \"%s\"?", near);
}

static void wants_but_found(struct walk *w, const struct field *f, const char *wants, const struct node *n, const char *path) {
    char instead[QUOTE_MAX + 8];
    STRBUF hint = {0};
    found(f, n, instead);
    strbuf_add(&hint, "");
    add_hint(f, n, &hint);
    field_problem_add(w->problems, n, path, "wants %s, not %s%s", wants, instead, hint.at);
}

static void wants_other(struct walk *w, const struct field *f, const struct node *n, const char *path) {
    char wants[FIELD_WANTS_MAX];
    field_wants(f, wants);
    wants_but_found(w, f, wants, n, path);
}

/* Scalars */

static void read_scalar(struct walk *w, const struct field *f, const struct node *n, const char *path, void *out) {
    struct err why = {0};
    if (n->kind != NODE_SCALAR) return wants_other(w, f, n, path);
    bool is_text = n->scalar_kind == NODE_PLAIN || n->scalar_kind == NODE_QUOTED;
    if (f->type == FIELD_TYPE_TEXT && is_text && n->text_len >= f->size)
        return field_problem_add(w->problems, n, path, "%zu bytes long, at most %zu are allowed", n->text_len, f->size - 1);
    if (!field_scalar_parse(f, n->text, n->scalar_kind, out, &why)) {
        bool explained = why.code != ERR_NONE && !(f->flags & FIELD_SECRET);
        if (explained) wants_but_found(w, f, why.text, n, path);
        else wants_other(w, f, n, path);
    } else if (!field_scalar_in_range(f, out)) wants_other(w, f, n, path);
}

/* Lists and maps: shape and count are right, or it is a problem. */

static bool has_shape(struct walk *w, const struct field *f, const struct node *n, enum node_kind kind, const char *path) {
    if (n->kind != kind) wants_other(w, f, n, path);
    else if (n->count > f->max) field_problem_add(w->problems, n, path, "%u entries, at most %u are allowed", n->count, f->max);
    else return true;
    return false;
}

static void read_list(struct walk *w, const struct field *f, const struct node *list, const char *path, void *out) {
    if (!has_shape(w, f, list, NODE_LIST, path)) return;
    char *element = field_at(f, out), child_path[NODE_PATH_MAX];
    uint32_t index = 0;
    for (const struct node *n = list->first; n; n = n->next, element += f->size) {
        node_path_index(child_path, path, index++);
        field_defaults(f->table, element);
        read_table(w, f->table, n, child_path, element);
    }
    field_count_set(f, out, index);
}

/* How long a name the array at the start of an element holds: the macro says so; else up to the first field. */
static size_t name_size(const struct field *f) {
    size_t size = f->high > 0 ? (size_t)f->high : f->size;
    for (const struct field *e = f->table->fields; e->name; e++)
        if (e->offset < size) size = e->offset;
    return size;
}

static void store_name(struct walk *w, const struct node *n, const char *path, char *to, size_t size) {
    struct node at = {.line = n->key_line, .column = n->key_column};
    if (!str_copy(to, size, n->key))
        field_problem_add(w->problems, &at, path, "a name of %zu bytes, at most %zu are allowed", strlen(n->key), size > 0 ? size - 1 : 0);
}

static void read_map(struct walk *w, const struct field *f, const struct node *map, const char *path, void *out) {
    if (!has_shape(w, f, map, NODE_MAP, path)) return;
    char *element = field_at(f, out), child_path[NODE_PATH_MAX];
    for (const struct node *n = map->first; n; n = n->next, element += f->size) {
        node_path_key(child_path, path, n->key);
        store_name(w, n, child_path, element, name_size(f));
        field_defaults(f->table, element);
        read_table(w, f->table, n, child_path, element);
    }
    field_count_set(f, out, map->count);
}

static void read_texts(struct walk *w, const struct field *f, const struct node *list, const char *path, void *out) {
    if (!has_shape(w, f, list, NODE_LIST, path)) return;
    struct field one = {.name = f->name, .type = FIELD_TYPE_TEXT, .flags = f->flags, .size = f->size};
    char *element = field_at(f, out), child_path[NODE_PATH_MAX];
    uint32_t index = 0;
    for (const struct node *n = list->first; n; n = n->next, element += f->size) {
        node_path_index(child_path, path, index++);
        if (is_null(n)) field_problem_add(w->problems, n, child_path, "has no value");
        else read_scalar(w, &one, n, child_path, element);
    }
    field_count_set(f, out, index);
}

static void read_text_map(struct walk *w, const struct field *f, const struct node *map, const char *path, void *out) {
    if (!has_shape(w, f, map, NODE_MAP, path)) return;
    struct field_pair *pair = field_at(f, out);
    char child_path[NODE_PATH_MAX];
    for (const struct node *n = map->first; n; n = n->next, pair++) {
        node_path_key(child_path, path, n->key);
        store_name(w, n, child_path, pair->name, sizeof pair->name);
        if (n->kind != NODE_SCALAR) wants_but_found(w, f, "one value", n, child_path);
        else if (is_null(n)) field_problem_add(w->problems, n, child_path, "has no value; an empty text is \"\"");
        else if (!str_copy(pair->value, sizeof pair->value, n->text))
            field_problem_add(w->problems, n, child_path, "%zu bytes long, at most %zu are allowed", n->text_len, sizeof pair->value - 1);
    }
    field_count_set(f, out, map->count);
}

static void read_object(struct walk *w, const struct field *f, const struct node *n, const char *path, void *out) {
    char *member = field_at(f, out);
    if (f->flags & FIELD_PRESENCE) *(bool *)member = true;
    read_table(w, f->table, n, path, member);
}

/* Keys */

/* Writing out the one value that is built is fine, in whatever spelling: "1024kB" for 1MB, [basebackup]. */
static bool is_default(const struct field *f, const struct node *n) {
    if (n->kind == NODE_LIST && n->count == 1) n = n->first;
    if (!f->otherwise || n->kind != NODE_SCALAR) return false;
    if (strcmp(n->text, f->otherwise) == 0) return true;
    _Alignas(max_align_t) char written[SCRATCH_SIZE] = {0}, built[SCRATCH_SIZE] = {0};
    struct field alone = *f;
    alone.offset = 0;
    return f->size > 0 && f->size <= SCRATCH_SIZE && field_scalar_parse(&alone, n->text, n->scalar_kind, written, NULL) &&
           field_scalar_parse(&alone, f->otherwise, NODE_PLAIN, built, NULL) && memcmp(written, built, f->size) == 0;
}

static void read_field(struct walk *w, const struct field *f, const struct node *n, const char *path, void *out) {
    if (f->flags & FIELD_LATER) {
        if (!is_default(f, n)) field_problem_add(w->problems, n, path, "not built yet: %s", f->doc);
        return;
    }
    if (is_null(n)) {
        char wants[FIELD_WANTS_MAX];
        field_wants(f, wants);
        if (f->flags & FIELD_NULL_EMPTY) field_clear(f, out);
        else field_problem_add(w->problems, n, path, "has no value; wants %s", wants);
        return;
    }
    switch (f->type) {
    case FIELD_TYPE_TEXT:
    case FIELD_TYPE_INT:
    case FIELD_TYPE_BOOL:
    case FIELD_TYPE_ENUM:
    case FIELD_TYPE_CUSTOM:
        return read_scalar(w, f, n, path, out);
    case FIELD_TYPE_OBJECT:
        return read_object(w, f, n, path, out);
    case FIELD_TYPE_LIST:
        return read_list(w, f, n, path, out);
    case FIELD_TYPE_MAP:
        return read_map(w, f, n, path, out);
    case FIELD_TYPE_TEXTS:
        return read_texts(w, f, n, path, out);
    case FIELD_TYPE_TEXT_MAP:
        return read_text_map(w, f, n, path, out);
    }
}

static const struct field *find_field(const struct fields *table, const char *key) {
    for (const struct field *f = table->fields; f->name; f++)
        if (strcmp(f->name, key) == 0) return f;
    return NULL;
}

static void refuse_unknown(struct walk *w, const struct fields *table, const struct node *n, const char *path) {
    const char *names[FIELD_COUNT_MAX];
    size_t count = 0;
    for (const struct field *f = table->fields; f->name && count < FIELD_COUNT_MAX; f++) names[count++] = f->name;
    const char *near = str_nearest(n->key, names, count);
    struct node at = {.line = n->key_line, .column = n->key_column};
    if (near) field_problem_add(w->problems, &at, path, "unknown key; did you mean \"%s\"?", near);
    else field_problem_add(w->problems, &at, path, "unknown key");
}

static void read_table(struct walk *w, const struct fields *table, const struct node *map, const char *path, void *out) {
    char child_path[NODE_PATH_MAX];
    if (map->kind != NODE_MAP) {
        field_problem_add(w->problems, map, path, is_null(map) ? "has no value; wants a map" : "wants a map");
        return;
    }
    for (const struct node *n = map->first; n; n = n->next) {
        const struct field *f = find_field(table, n->key);
        if (!f && w->lenient) continue;
        node_path_key(child_path, path, n->key);
        if (f) read_field(w, f, n, child_path, out);
        else refuse_unknown(w, table, n, child_path);
    }
    for (const struct field *f = table->fields; f->name; f++) {
        if (!(f->flags & FIELD_REQUIRED) || node_get(map, f->name)) continue;
        node_path_key(child_path, path, f->name);
        field_problem_add(w->problems, map, child_path, "is missing: %s", f->doc);
    }
}

static bool read_document(struct walk w, const struct fields *table, const struct node *map, const char *path, void *out) {
    uint32_t before = w.problems->count + w.problems->more;
    memset(out, 0, table->size);
    field_defaults(table, out);
    if (map) read_table(&w, table, map, path, out);
    else field_problem_add(w.problems, NULL, path, "has no value; wants a map");
    return w.problems->count + w.problems->more == before;
}

bool field_read(const struct fields *table, const struct node *map, const char *path, void *out, struct field_problems *problems) {
    return read_document((struct walk){.problems = problems}, table, map, path, out);
}

bool field_read_lenient(const struct fields *table, const struct node *map, const char *path, void *out, struct field_problems *problems) {
    return read_document((struct walk){.problems = problems, .lenient = true}, table, map, path, out);
}

bool field_from_json(const struct fields *table, const char *name, struct bytes text, void *out, struct err *err) {
    NODE_DOC doc = {0};
    if (!node_from_json(name, text, &doc, err)) return false;
    RT_AUTO struct field_problems *problems = rt_alloc(sizeof *problems);
    if (field_read_lenient(table, doc.root, "", out, problems)) return true;
    const struct field_problem *first = &problems->at[0];
    return err_set(err, ERR_INVALID, "%s: %s%s%s", name, first->path, *first->path ? ": " : "", first->message);
}
