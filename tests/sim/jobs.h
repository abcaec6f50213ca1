/* The agent's jobs, for its service: they end with it. */
#ifndef SIM_JOBS_H
#define SIM_JOBS_H
#include "tests/sim/sim.h"
void jobs_agent_ended(const struct host *h);
#endif
