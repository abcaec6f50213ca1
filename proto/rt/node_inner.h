/* What node.c, yaml.c and the field readers share: making nodes, and the paths of messages. For this directory only. */
#ifndef RT_NODE_INNER_H
#define RT_NODE_INNER_H
#include "rt/node.h"

#define NODE_COUNT_MAX 262144 /* nodes of one document: bounds memory, whatever a peer sends */
#define NODE_KEYS_MAX 1024    /* keys of one map: they are compared with each other */
#define NODE_PATH_MAX 192

/* Memory of the document, zeroed, freed with it. */
void *node_memory(struct node_doc *doc, size_t size);
char *node_text_copy(struct node_doc *doc, const char *text, size_t len);

/* Puts `child` at the end of `parent`; *tail is the last child so far (NULL before the first). */
void node_append(struct node *parent, struct node **tail, struct node *child);

/* "sites.fra", "pg_hba[2]": fit to be printed, cut when too long. `to` must not be `prefix`. */
void node_path_key(char to[NODE_PATH_MAX], const char *prefix, const char *key);
void node_path_index(char to[NODE_PATH_MAX], const char *prefix, uint32_t index);
#endif
