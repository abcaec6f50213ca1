/* Hosts: their clocks, and the loss and return of their power. */
#include "tests/sim/deadman.h"
#include "tests/sim/network.h"
#include "tests/sim/postgres.h"
#include "tests/sim/sim_inner.h"
#include "rt/str.h"
#include <stdlib.h>

struct host hosts[HOSTS_MAX];
int host_count;
void (*host_booted)(struct host *h);
void (*host_crashed)(struct host *h);

#define BEGINNING_WALL_MS 1795219200000 /* 2026-11-21T00:00:00Z */
#define SERVICES_AFTER_MIN (1 * SECOND)
#define SERVICES_AFTER_MAX (3 * SECOND)

struct host *host_named(const char *name) {
    for (int i = 0; i < host_count; i++)
        if (str_eq(hosts[i].name, name))
            return &hosts[i];
    return NULL;
}

/* ---- clocks ---- */

/* What its oscillator makes of `us` of true time. */
static sim_time drifted(const struct host *h, sim_time us) { return us + us * h->drift_ppm / SECOND; }

int64_t host_boot_ms(const struct host *h) { return drifted(h, sim_now - h->booted) / MS + h->boot_offset_ms; }

sim_time host_when_boot_ms(const struct host *h, int64_t boot_ms) {
    sim_time wanted = (boot_ms - h->boot_offset_ms) * MS;
    if (wanted <= 0)
        return h->booted;
    sim_time us = wanted * SECOND / (SECOND + h->drift_ppm); /* rounding apart: */
    while (us > 0 && drifted(h, us - 1) >= wanted)
        us--;
    while (drifted(h, us) < wanted)
        us++;
    return h->booted + us;
}

int64_t host_wall_ms(const struct host *h) { return BEGINNING_WALL_MS + sim_now / MS + h->wall_offset_ms; }

/* ---- power ---- */

void host_crash(struct host *h) {
    if (!h->up)
        return;
    sim_say(h->name, "the power fails");
    h->up = false;
    if (h->postgres)
        postgres_power_loss(h->postgres);
    if (host_crashed)
        host_crashed(h);
    h->deadman = NULL;
    http_host_crashed(h);
    process_kill(h->agent); /* last: it may be the one whose code runs */
}

static void start_services(void *host, int64_t boots) {
    struct host *h = host;
    if (h->up && h->boots == boots && host_booted)
        host_booted(h);
}

void host_boot(struct host *h) {
    if (h->up)
        return;
    struct dice d;
    h->up = true;
    h->boots++;
    h->booted = sim_now;
    sim_say(h->name, "boots");
    dice_open(&d, "boot", h->index * 1000 + h->boots);
    sim_at(sim_now + dice_between(&d, SERVICES_AFTER_MIN, SERVICES_AFTER_MAX), start_services, h, h->boots);
}
