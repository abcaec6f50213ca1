/* What must hold of a coordinator at every moment: one operation, a process that stays, and few orders. */
#include "coordinator/coordinator.h"
#include "tests/sim/invariants.h"
#include <string.h>

/* How many orders one site may get within a minute: what is refused is tried again after 1 s, doubled each time, which is six tries;
 * slots and readiness change now and then; and each operation takes four at most, when it is taken back. */
#define MINUTE (60 * SECOND)
#define ORDERS_A_MINUTE 10
#define ORDERS_OF_AN_OPERATION 4

/* The newest moments at which something happened that has a name. */
#define MOMENTS_KEPT 128
struct moments {
    char newest[SIGN_HASH_TEXT_MAX];
    sim_time at[MOMENTS_KEPT];
    int count;
};
static struct moments orders[3], operations;

void invariants_begin_coordinators(void) {
    memset(orders, 0, sizeof orders);
    memset(&operations, 0, sizeof operations);
}

static bool is_new(struct moments *m, const char *name) {
    if (!strcmp(m->newest, name))
        return false;
    str_copy(m->newest, sizeof m->newest, name);
    m->at[m->count++ % MOMENTS_KEPT] = sim_now;
    return true;
}

static int of_last_minute(const struct moments *m) {
    int count = 0;
    while (count < m->count && count < MOMENTS_KEPT && m->at[(m->count - 1 - count) % MOMENTS_KEPT] > sim_now - MINUTE)
        count++;
    return count;
}

static const struct cluster *cluster_of(const struct host *h) {
    const struct coordinator *c = coordinator_on(h);
    return c && c->cluster_count ? c->clusters[0] : NULL;
}

static void check_operations(const struct cluster *cluster) {
    int open = 0;
    for (uint32_t i = 0; i < cluster->operation_count; i++)
        if (operation_is_open(&cluster->operations[i])) {
            open++;
            is_new(&operations, cluster->operations[i].id);
        }
    sim_check("I21 single operation", open <= 1, "%d operations are open", open);
}

/* One that has been open for longer counts, too. */
static void check_orders(const struct cluster *cluster) {
    int most = ORDERS_A_MINUTE + ORDERS_OF_AN_OPERATION * (of_last_minute(&operations) + 1);
    for (uint32_t i = 0; i < cluster->site_count; i++) {
        const struct issued *pending = &cluster->sites[i].pending;
        if (!pending->present || !is_new(&orders[i], pending->hash))
            continue;
        int count = of_last_minute(&orders[i]);
        sim_check("I34 few orders", count <= most, "%s got %d orders within a minute, which had %d operations", cluster->sites[i].name, count, of_last_minute(&operations));
    }
}

void invariants_check_coordinators(void) {
    for (int i = 0; i < coordinator_count; i++) {
        const struct cluster *cluster = cluster_of(coordinator_hosts[i]);
        if (!cluster)
            continue;
        check_operations(cluster);
        check_orders(cluster);
    }
}

/* Nobody but this coordinator writes to its journal here: so there is no reason to end. It need not come up while its disk is full. */
void invariants_coordinator_ended(const struct host *h, const char *why) {
    sim_check("I33 the coordinator stays", why, "the process of %s has ended by itself", h->name);
    sim_check("I33 the coordinator stays", h->disk_full, "the process of %s does not come up: %s", h->name, why);
}
