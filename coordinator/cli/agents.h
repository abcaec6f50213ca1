/* Asking the sites' agents when no coordinator answers: their newest reports, put into the coordinator's documents. */
#ifndef CLI_AGENTS_H
#define CLI_AGENTS_H
#include "coordinator/cli/source.h"

/* Is there anything to find the agents of that cluster with: --topology, or the cache? */
bool agents_are_known(const struct cli *c, const char *cluster);
/* As source_fetch. Exit 4 when no agent answers either. */
json_t *agents_ask(struct cli *c, enum source_kind kind, const char *cluster, int *exit);

/* Pure: one report document for each site (an array of the reports of `GET /v1/status` at agents) as the document of that
 * kind. `sites` names the sites that are known to exist; those without a report are unknown. */
json_t *agents_document(enum source_kind kind, const json_t *reports, const json_t *sites, const char *generated_at);
#endif
