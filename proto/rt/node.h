/* A parsed document as a tree with positions: what YAML and JSON have in common. The field tables read from it, so
 * that every error can name file:line:column and a path. Owned by a document, freed with it. */
#ifndef RT_NODE_H
#define RT_NODE_H
#include "rt/err.h"
#include "rt/json.h"
#include "rt/str.h"

enum node_kind { NODE_SCALAR, NODE_MAP, NODE_LIST };
enum node_scalar { NODE_PLAIN, NODE_QUOTED, NODE_NUMBER, NODE_BOOL, NODE_NULL }; /* JSON knows types; YAML: plain or quoted */

struct node {
    enum node_kind kind;
    enum node_scalar scalar_kind;
    const char *key;  /* in a map, else NULL */
    const char *text; /* scalars, NUL-terminated */
    size_t text_len;
    uint32_t line, column;         /* 1-based; 0 when unknown (JSON) */
    uint32_t key_line, key_column;
    struct node *first, *next; /* children; sibling */
    uint32_t count;            /* number of children */
};

struct node_doc {
    char name[256]; /* file name for messages */
    struct node *root;
    void *memory;
};
void node_doc_free(struct node_doc *doc);
#define NODE_DOC __attribute__((cleanup(node_doc_free))) struct node_doc

#define NODE_DEPTH_MAX 32
#define YAML_INPUT_MAX (1u << 20)

/* Strict YAML: one document, no aliases, anchors or tags, no duplicate keys (both places named), no tabs, UTF-8 only.
 * ERR_INVALID text: "name:line:column: path: message". */
bool yaml_parse(const char *name, struct bytes text, struct node_doc *doc, struct err *err);
bool node_from_json(const char *name, struct bytes text, struct node_doc *doc, struct err *err);
const struct node *node_get(const struct node *map, const char *key); /* NULL when absent */
#endif
