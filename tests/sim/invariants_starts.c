/* A server that does not come up, or does not stay up, is tried again after a pause that grows: nobody starts it time after time. */
#include "tests/sim/invariants.h"
#include "tests/sim/postgres.h"
#include <string.h>

/* Within a minute: failed ones after 0.5 s, doubled up to 30 s, which is seven; the rest for what is done to it, and for moves. */
#define STARTS_A_MINUTE 16
#define MINUTE (60 * SECOND)

static struct {
    sim_time at[STARTS_A_MINUTE]; /* the newest */
    sim_time newest;
    int count;
} starts[HOSTS_MAX];

void invariants_begin_starts(void) { memset(starts, 0, sizeof starts); }

void invariants_check_starts(void) {
    for (int i = 0; i < host_count; i++) {
        const struct postgres *pg = hosts[i].postgres;
        if (!pg || pg->started == starts[i].newest)
            continue;
        starts[i].newest = pg->started;
        if (!pg->ours)
            continue; /* by somebody's hand */
        sim_time *before = &starts[i].at[starts[i].count++ % STARTS_A_MINUTE];
        sim_check("I37 few starts", starts[i].count <= STARTS_A_MINUTE || pg->started - *before >= MINUTE, "PostgreSQL of %s was started %d times within %lld s", hosts[i].name,
                  STARTS_A_MINUTE + 1, (long long)((pg->started - *before) / SECOND));
        *before = pg->started;
    }
}
