/* Strict YAML on top of libyaml's events: one document of maps, lists and scalars, every node with its place. What
 * makes a file mean something else than it shows (duplicate keys, aliases, tags, tabs, odd line ends) is refused here.
 * Knows no keys and no types: that is the field tables' part. The raw bytes are looked at first, in yaml_bytes.c. */
#include "rt/node_inner.h"
#include "rt/utf8.h"
#include "rt/yaml_bytes.h"
#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the one under consideration */
    bool has_event;
    struct node_doc *doc;
    struct yaml_end end;
    uint32_t nodes, depth;
    char path[NODE_PATH_MAX]; /* of the node being read */
    struct err *err;
};

static void reader_close(struct reader *r) {
    if (r->has_event) yaml_event_delete(&r->event);
    yaml_parser_delete(&r->parser);
}

/* "name:line:column: path: message"; marks count from 0. */
static bool refuse_at(struct reader *r, yaml_mark_t mark, const char *message) {
    return err_set(r->err, ERR_INVALID, "%s:%zu:%zu: %s%s%s", r->doc->name, mark.line + 1, mark.column + 1, r->path,
                   *r->path ? ": " : "", message);
}

static bool refuse(struct reader *r, const char *message) {
    return refuse_at(r, r->event.start_mark, message);
}

/* libyaml's own words, and where the thing began that it could not finish. */
static bool refuse_syntax(struct reader *r) {
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) return err_set(r->err, ERR_LIMIT, "%s: out of memory", r->doc->name);
    char message[400], context[160] = "";
    if (p->context)
        snprintf(context, sizeof context, " (%s that began at %zu:%zu)", p->context, p->context_mark.line + 1, p->context_mark.column + 1);
    bool ended = p->problem_mark.line > r->end.line || (p->problem_mark.line == r->end.line && p->problem_mark.column >= r->end.column);
    snprintf(message, sizeof message, "%s%s%s", ended ? "the text ends before the document does (truncated?): " : "",
             p->problem ? p->problem : "not YAML", context);
    return refuse_at(r, p->problem_mark, message);
}

static bool next_event(struct reader *r) {
    if (r->has_event) yaml_event_delete(&r->event);
    r->has_event = yaml_parser_parse(&r->parser, &r->event) != 0;
    return r->has_event || refuse_syntax(r);
}

static bool is_decorated(struct reader *r, const yaml_char_t *anchor, const yaml_char_t *tag) {
    if (anchor) refuse(r, "anchors (&name) are not allowed: write the value out");
    else if (tag) refuse(r, "tags (!name) are not allowed");
    return anchor || tag;
}

static struct node *new_node(struct reader *r, enum node_kind kind) {
    if (++r->nodes > NODE_COUNT_MAX) {
        char message[64];
        snprintf(message, sizeof message, "more than %d values", NODE_COUNT_MAX);
        refuse(r, message);
        return NULL;
    }
    struct node *n = node_memory(r->doc, sizeof *n);
    n->kind = kind;
    n->line = (uint32_t)r->event.start_mark.line + 1;
    n->column = (uint32_t)r->event.start_mark.column + 1;
    return n;
}

static struct node *read_scalar(struct reader *r) {
    const char *text = (const char *)r->event.data.scalar.value;
    size_t len = r->event.data.scalar.length;
    if (is_decorated(r, r->event.data.scalar.anchor, r->event.data.scalar.tag)) return NULL;
    if (memchr(text, '\0', len)) {
        refuse(r, "a NUL character inside a text");
        return NULL;
    }
    struct node *n = new_node(r, NODE_SCALAR);
    if (!n) return NULL;
    n->scalar_kind = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? NODE_PLAIN : NODE_QUOTED;
    n->text = node_text_copy(r->doc, text, len);
    n->text_len = len;
    return n;
}

static struct node *read_node(struct reader *r);

static bool refuse_duplicate(struct reader *r, const struct node *first) {
    char message[80];
    snprintf(message, sizeof message, "duplicate key, first at line %u, column %u", first->key_line, first->key_column);
    return refuse(r, message);
}

/* The present event is a key: a scalar not yet in the map. Returns a copy and extends the path by it. */
static const char *read_key(struct reader *r, const struct node *map) {
    char prefix[NODE_PATH_MAX];
    memcpy(prefix, r->path, sizeof prefix);
    if (r->event.type != YAML_SCALAR_EVENT) {
        refuse(r, r->event.type == YAML_ALIAS_EVENT ? "aliases (*name) are not allowed: write the value out" : "a key must be a plain word");
        return NULL;
    }
    const struct node *key = read_scalar(r);
    if (!key) return NULL;
    if (key->text_len == 0) {
        refuse(r, "an empty key");
        return NULL;
    }
    const struct node *before = node_get(map, key->text);
    node_path_key(r->path, prefix, key->text);
    if (before) refuse_duplicate(r, before);
    else if (map->count >= NODE_KEYS_MAX) refuse(r, "too many keys in one map");
    else return key->text;
    return NULL;
}

static bool read_pair(struct reader *r, struct node *map, struct node **tail) {
    yaml_mark_t at = r->event.start_mark;
    const char *key = read_key(r, map);
    if (!key || !next_event(r)) return false;
    struct node *value = read_node(r);
    if (!value) return false;
    value->key = key;
    value->key_line = (uint32_t)at.line + 1;
    value->key_column = (uint32_t)at.column + 1;
    node_append(map, tail, value);
    return true;
}

static bool read_entry(struct reader *r, struct node *list, struct node **tail) {
    char prefix[NODE_PATH_MAX];
    memcpy(prefix, r->path, sizeof prefix);
    node_path_index(r->path, prefix, list->count);
    struct node *value = read_node(r);
    if (value) node_append(list, tail, value);
    return value != NULL;
}

/* Everything up to the end of the map or list whose start is the present event. */
static struct node *read_collection(struct reader *r, enum node_kind kind, yaml_event_type_t end) {
    char path[NODE_PATH_MAX];
    memcpy(path, r->path, sizeof path);
    struct node *n = new_node(r, kind), *tail = NULL;
    if (!n) return NULL;
    if (++r->depth > NODE_DEPTH_MAX) {
        char message[64];
        snprintf(message, sizeof message, "nested deeper than %d", NODE_DEPTH_MAX);
        refuse(r, message);
        return NULL;
    }
    for (;;) {
        if (!next_event(r)) return NULL;
        if (r->event.type == end) break;
        if (!(kind == NODE_MAP ? read_pair(r, n, &tail) : read_entry(r, n, &tail))) return NULL;
        memcpy(r->path, path, sizeof path);
    }
    r->depth--;
    return n;
}

static struct node *read_node(struct reader *r) {
    const yaml_event_t *e = &r->event;
    if (e->type == YAML_SCALAR_EVENT) return read_scalar(r);
    if (e->type == YAML_MAPPING_START_EVENT) {
        if (is_decorated(r, e->data.mapping_start.anchor, e->data.mapping_start.tag)) return NULL;
        return read_collection(r, NODE_MAP, YAML_MAPPING_END_EVENT);
    }
    if (e->type == YAML_SEQUENCE_START_EVENT) {
        if (is_decorated(r, e->data.sequence_start.anchor, e->data.sequence_start.tag)) return NULL;
        return read_collection(r, NODE_LIST, YAML_SEQUENCE_END_EVENT);
    }
    refuse(r, "aliases (*name) are not allowed: write the value out");
    return NULL;
}

static bool read_document(struct reader *r) {
    if (!next_event(r) || !next_event(r)) return false; /* past the start of the stream */
    if (r->event.type != YAML_DOCUMENT_START_EVENT) return refuse(r, "empty: there is no document in it");
    if (r->event.data.document_start.tag_directives.start != r->event.data.document_start.tag_directives.end)
        return refuse(r, "tags (!name) are not allowed");
    if (!next_event(r)) return false;
    r->doc->root = read_node(r);
    if (!r->doc->root || !next_event(r) || !next_event(r)) return false; /* past the end of the document */
    return r->event.type == YAML_STREAM_END_EVENT || refuse(r, "a second document: only one is allowed");
}

bool yaml_parse(const char *name, struct bytes text, struct node_doc *doc, struct err *err) {
    *doc = (struct node_doc){0};
    str_copy(doc->name, sizeof doc->name, name);
    __attribute__((cleanup(reader_close))) struct reader r = {.doc = doc, .err = err};
    if (!yaml_parser_initialize(&r.parser)) return err_set(err, ERR_LIMIT, "%s: out of memory", name);
    if (!yaml_bytes_check(name, &text, &r.end, err)) return false;
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.at, text.len);
    if (read_document(&r)) return true;
    node_doc_free(doc);
    return false;
}
