/* Wires: which of them are cut, and how long something takes on its way. What TCP makes of a cut is for those who send:
 * network_letters.c for HTTP, the model of PostgreSQL for replication and clients. */
#include "tests/sim/network.h"
#include "tests/sim/world.h"
#include <string.h>

#define PORTS 3
#define LOSS_FIRST_PAUSE (200 * MS) /* TCP's least time before it sends again; doubles */
#define LOSS_LONGEST_PAUSE (20 * SECOND)

struct link links[HOSTS_MAX][HOSTS_MAX];
static struct dice dice[HOSTS_MAX][HOSTS_MAX];

void network_begin(void) {
    memset(links, 0, sizeof links);
    for (int from = 0; from < HOSTS_MAX; from++)
        for (int to = 0; to < HOSTS_MAX; to++)
            dice_open(&dice[from][to], "wire", from * HOSTS_MAX + to);
}

void network_heal(void) { memset(links, 0, sizeof links); }

void link_cut(int from, int to, int ports, bool on) {
    struct link *l = &links[from][to];
    l->cut = 0;
    for (int i = 0; i < PORTS; i++) {
        if (ports & (1 << i))
            l->cuts[i] += on ? 1 : -1;
        if (l->cuts[i] > 0)
            l->cut |= 1 << i;
    }
}

bool network_passes(const struct host *from, const struct host *to, enum port port) {
    return from->up && to->up && !(links[from->index][to->index].cut & (int)port);
}

static sim_time distance(const struct host *from, const struct host *to) {
    if (from == to)
        return 30;
    bool same_site = from->site == to->site && from->site != NOWHERE;
    return same_site ? 150 : world_plan->settings.latency_ms * MS + 250;
}

sim_time network_delay(const struct host *from, const struct host *to) {
    const struct link *l = &links[from->index][to->index];
    struct dice *d = &dice[from->index][to->index];
    sim_time way = distance(from, to) + l->slow_ms * MS;
    sim_time delay = way + dice_between(d, 0, way / 4 + 50);
    for (sim_time pause = LOSS_FIRST_PAUSE; l->loss_permille && pause < LOSS_LONGEST_PAUSE && dice_chance(d, l->loss_permille); pause *= 2)
        delay += pause;
    return delay;
}
