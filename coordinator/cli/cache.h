/* The newest topology envelope that a coordinator gave, kept in ~/.cache/pgregent/CONFIGURATION/CLUSTER.json (or,
 * without a home, beside the configuration file), so that agents can be found when no coordinator answers. A cache: losing it costs
 * nothing, failing to write it is no error. */
#ifndef CLI_CACHE_H
#define CLI_CACHE_H
#include "coordinator/cli/cli.h"
#include "wire/topology.h"

/* Fetches and keeps the topology unless that version is kept already. */
void cache_refresh(struct cli *c, const char *cluster, int64_t version);
void cache_write(const struct cli *c, const char *cluster, struct bytes envelope);
bool cache_read(const struct cli *c, const char *cluster, struct topology *out, struct err *err);
#endif
