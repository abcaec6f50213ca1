/* The stores behind store/store.h: one per site (what etcd or the embedded file would be) and one per coordinator (its
 * journal). A swap is linearizable; faults: unreachable, unknown outcomes (applied or not), slow, stale reads, watches that
 * tell nothing, and a store that comes back as it was. */
#ifndef SIM_STORES_H
#define SIM_STORES_H
#include "tests/sim/sim.h"

struct site_store {
    char path[64];            /* what store_open_embedded is called with: "/store/ams", "/journal/par" */
    struct store_content *content;
    sim_time down_until;
    int flaky_permille;
    sim_time slow;            /* each call takes up to this long */
    int stale;                /* a read may be up to so many revisions old */
    bool deaf;                /* watches tell nothing */
    bool files_full;          /* follows its host's disk (embedded) */
};
struct site_store *store_at(const char *path); /* made when first asked for */
int64_t store_revision(const struct site_store *s); /* grows with each change */
/* What it holds, for invariants: NULL when absent. */
const char *store_peek(const struct site_store *s, const char *key, size_t *len);
void store_put_back(struct site_store *s, sim_time ago, bool new_identity); /* as it was then; 0: empty. new_identity: lease record gets another store_id */
void store_process_ended(struct process *p); /* its handles are gone */
#endif
