/* After a topology was applied: the operations that follow from it are told until the cluster is as the file says, or
 * somebody is found to be away. */
#ifndef CLI_SETTLE_H
#define CLI_SETTLE_H
#include "coordinator/cli/cli.h"
#include "rt/json.h"

#define SETTLE_QUIET_MS 30000 /* no operation for so long: who is not there by now is away */

/* Is everything built? `cluster` is the cluster's part of the status (NULL: not known yet); who is not as it shall be is
 * appended to `missing` ([{"site", "member", "why"}]). Pure. */
bool settle_judge(const json_t *cluster, int64_t version, json_t *missing);
/* Waits, tells, says how it ended; returns the exit code. `operation` is the id of the change's own operation, or NULL. */
int settle(struct cli *c, const char *cluster, int64_t version, const char *operation);
#endif
