/* Where a document about a cluster comes from: a coordinator, or, when none answers or --at says so, the agents. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H
#include "coordinator/cli/cli.h"
#include "rt/json.h"

enum source_kind { SOURCE_STATUS, SOURCE_EXPLAIN, SOURCE_SLOTS, SOURCE_HISTORY };
/* The document, owned by the caller; its member "source" says who spoke. `cluster` NULL: all (status only). NULL: said so
 * already, end with *exit. */
json_t *source_fetch(struct cli *c, enum source_kind kind, const char *cluster, int *exit);
#endif
