/* The node tree: its memory, the reading of JSON into it, look-up by key, paths. The YAML side is yaml.c. */
#include "rt/node_inner.h"
#include "rt/utf8.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_SIZE ((size_t)64 << 10)

/* A document's memory: chunks that are only ever added to, the newest first. */
struct chunk {
    struct chunk *older;
    size_t used, size;
    max_align_t data[];
};

void *node_memory(struct node_doc *doc, size_t size) {
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    struct chunk *c = doc->memory;
    if (!c || c->size - c->used < size) {
        size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        struct chunk *fresh = rt_alloc(sizeof *fresh + room);
        *fresh = (struct chunk){.older = c, .size = room};
        doc->memory = c = fresh;
    }
    void *memory = (char *)c->data + c->used;
    c->used += size;
    return memory;
}

void node_doc_free(struct node_doc *doc) {
    for (struct chunk *c = doc->memory, *older; c; c = older) {
        older = c->older;
        rt_free(c);
    }
    doc->memory = NULL;
    doc->root = NULL;
}

char *node_text_copy(struct node_doc *doc, const char *text, size_t len) {
    char *copy = node_memory(doc, len + 1);
    if (len) memcpy(copy, text, len);
    return copy;
}

void node_append(struct node *parent, struct node **tail, struct node *child) {
    if (*tail) (*tail)->next = child;
    else parent->first = child;
    *tail = child;
    parent->count++;
}

const struct node *node_get(const struct node *map, const char *key) {
    if (!map || map->kind != NODE_MAP) return NULL;
    for (const struct node *n = map->first; n; n = n->next)
        if (strcmp(n->key, key) == 0) return n;
    return NULL;
}

void node_path_key(char to[NODE_PATH_MAX], const char *prefix, const char *key) {
    char printable[NODE_PATH_MAX], whole[2 * NODE_PATH_MAX];
    utf8_printable(printable, sizeof printable, key);
    snprintf(whole, sizeof whole, "%s%s%s", prefix, *prefix ? "." : "", printable);
    str_copy(to, NODE_PATH_MAX, whole);
}

void node_path_index(char to[NODE_PATH_MAX], const char *prefix, uint32_t index) {
    snprintf(to, NODE_PATH_MAX, "%s[%u]", prefix, index);
}

/* JSON */

struct json_reader {
    struct node_doc *doc;
    uint32_t nodes;
};

static void set_text(struct json_reader *r, struct node *n, enum node_scalar kind, const char *text, size_t len) {
    n->kind = NODE_SCALAR;
    n->scalar_kind = kind;
    n->text = node_text_copy(r->doc, text, len);
    n->text_len = len;
}

static void read_scalar(struct json_reader *r, struct node *n, const json_t *json) {
    char number[64];
    if (json_is_string(json)) return set_text(r, n, NODE_QUOTED, json_string_value(json), json_string_length(json));
    if (json_is_boolean(json)) return set_text(r, n, NODE_BOOL, json_is_true(json) ? "true" : "false", json_is_true(json) ? 4 : 5);
    if (json_is_null(json)) return set_text(r, n, NODE_NULL, "", 0);
    if (json_is_integer(json)) snprintf(number, sizeof number, "%" PRId64, (int64_t)json_integer_value(json));
    else snprintf(number, sizeof number, "%.15g", json_real_value(json));
    set_text(r, n, NODE_NUMBER, number, strlen(number));
}

static struct node *read_json(struct json_reader *r, const char *key, json_t *json);

static bool read_object(struct json_reader *r, struct node *map, json_t *json) {
    struct node *tail = NULL;
    const char *key;
    json_t *value;
    json_object_foreach(json, key, value) {
        struct node *child = read_json(r, key, value);
        if (!child) return false;
        node_append(map, &tail, child);
    }
    return true;
}

static bool read_array(struct json_reader *r, struct node *list, json_t *json) {
    struct node *tail = NULL;
    size_t index;
    json_t *value;
    json_array_foreach(json, index, value) {
        struct node *child = read_json(r, NULL, value);
        if (!child) return false;
        node_append(list, &tail, child);
    }
    return true;
}

/* NULL when the document has too many nodes. json_parse has bounded the depth. */
static struct node *read_json(struct json_reader *r, const char *key, json_t *json) {
    if (++r->nodes > NODE_COUNT_MAX) return NULL;
    struct node *n = node_memory(r->doc, sizeof *n);
    if (key) n->key = node_text_copy(r->doc, key, strlen(key));
    if (json_is_object(json)) n->kind = NODE_MAP;
    else if (json_is_array(json)) n->kind = NODE_LIST;
    else {
        read_scalar(r, n, json);
        return n;
    }
    bool done = n->kind == NODE_MAP ? read_object(r, n, json) : read_array(r, n, json);
    return done ? n : NULL;
}

bool node_from_json(const char *name, struct bytes text, struct node_doc *doc, struct err *err) {
    *doc = (struct node_doc){0};
    str_copy(doc->name, sizeof doc->name, name);
    struct err why;
    JSON_AUTO *json = json_parse(text, &why);
    if (!json) return err_set(err, ERR_INVALID, "%s:%s", name, why.text);
    struct json_reader r = {.doc = doc};
    doc->root = read_json(&r, NULL, json);
    if (doc->root) return true;
    node_doc_free(doc);
    return err_set(err, ERR_INVALID, "%s: more than %d values", name, NODE_COUNT_MAX);
}
