/* The dead-man of one host, as site-agent/deadman/deadman.h describes it: a model of its server side, and its client side
 * for the production agent. Its rules are few; the real one has tests of its own. */
#ifndef SIM_DEADMAN_H
#define SIM_DEADMAN_H
#include "tests/sim/sim.h"
void deadman_crash(struct host *h);  /* SIGKILL: PostgreSQL gets SIGINT (parent death signal), the agent starts another when it needs one */
void deadman_pause(struct host *h, bool on);
void deadman_agent_ended(struct process *agent); /* the connection is gone; deadline and server stay */
/* Of PostgreSQL under it: called by postgres.c when the postmaster of h has ended, or its control file changed. */
void deadman_notice(struct host *h);
#endif
