/* Would a planned move work right now? Asked before anything is signed: for --dry-run and for the question to people. */
#ifndef CLI_READINESS_H
#define CLI_READINESS_H
#include "coordinator/cli/cli.h"
#include "rt/json.h"

/* Failed checks of a move to that site as far as the status document tells: the coordinator knows more. */
json_t *readiness_judge(const json_t *cluster, const char *to);
/* Prints checks and steps, changes nothing. Exit code: 0 ready, 3 not. */
int readiness_dry_run(struct cli *c, const char *cluster, const char *to);
/* Shows what would move and asks, unless --yes. False: end with *exit. */
bool readiness_consent(struct cli *c, const char *cluster, const char *to, int *exit);
#endif
