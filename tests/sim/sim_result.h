/* What a history hands to its parent, through memory that both share: how it ended, and the figures of all histories. */
#ifndef SIM_RESULT_H
#define SIM_RESULT_H
#include "tests/sim/sim.h"

struct sim_result {
    bool failed;
    char invariant[64];
    char text[512];
    sim_time at; /* virtual time of the end */
    int64_t events;
    uint64_t fingerprint;
};
extern struct sim_result *sim_result; /* mapped shared by the runner before it forks; NULL: a failure is only printed */

/* Figures are kept from figures_open on, which comes before the forks; without it count() does nothing. */
void figures_open(void);
void figures_each(void (*call)(const char *name, int64_t value)); /* in order of names */
#endif
