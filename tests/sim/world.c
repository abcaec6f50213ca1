/* One history from its first moment to its last: the world is built, begins healthy (or is born under fire), is treated
 * badly, is healed, must become whole again, and then work (aftermath.c). */
#include "tests/sim/world.h"
#include "rt/str.h"
#include "tests/sim/network.h"
#include "tests/sim/postgres.h"
#include <stdio.h>
#include <string.h>

struct site_world sites[3];
int site_count;
const struct script *world_plan;
bool world_healed;
int coordinator_count;
struct host *coordinator_hosts[2];

static const char *const site_names[] = {"ams", "fra", "lon"};

#define BIRTH_AT (1 * SECOND)
#define WHOLE_WITHIN (300 * SECOND)  /* from birth, or from healing, until all is as declared */

#define TAKEN_BACK_FOR (600 * SECOND) /* so long a bootstrap that a person has aborted is not begun again */

/* ---- building ---- */

static struct host *add_host(int site, int member, const char *name) {
    struct host *h = &hosts[host_count];
    struct dice d;
    *h = (struct host){.index = host_count++, .site = site, .member = member};
    str_copy(h->name, sizeof h->name, name);
    dice_open(&d, "host", h->index);
    h->drift_ppm = dice_between(&d, -5000, 5000); /* any two differ by rho = 1 % at most */
    h->boot_offset_ms = dice_between(&d, 10000, 1000000000);
    h->wall_offset_ms = dice_between(&d, -200, 200);
    h->boots = 1;
    h->up = true;
    return h;
}

static void share_fate(struct site_world *s) {
    for (int i = 1; i < s->member_count && world_plan->settings.one_host; i++) {
        s->members[i]->drift_ppm = s->members[0]->drift_ppm;
        s->members[i]->boot_offset_ms = s->members[0]->boot_offset_ms;
    }
}

static void build_hosts(const struct settings *t) {
    for (site_count = 0; site_count < t->sites; site_count++) {
        struct site_world *s = &sites[site_count];
        *s = (struct site_world){.index = site_count, .member_count = t->members};
        str_copy(s->name, sizeof s->name, site_names[site_count]);
        for (int m = 0; m < t->members; m++) {
            char name[48];
            snprintf(name, sizeof name, "%.8s-%d", s->name, m + 1);
            s->members[m] = add_host(site_count, m, name);
        }
        share_fate(s);
    }
    coordinator_count = 1;
    coordinator_hosts[0] = add_host(NOWHERE, NOWHERE, "par");
    for (int i = 0; i < site_count; i++) {
        char name[48];
        snprintf(name, sizeof name, "client-%.8s", sites[i].name);
        add_host(i, NOWHERE, name);
    }
    for (int i = 0; i < site_count; i++)
        for (int m = 0; m < sites[i].member_count; m++)
            sites[i].members[m]->postgres = postgres_new(sites[i].members[m]);
}

static void on_host_booted(struct host *h) {
    if (h == coordinator_hosts[0])
        coordinator_service_start(h);
    else if (h->member != NOWHERE)
        agent_service_start(h);
}

static void build(const struct script *p) {
    world_plan = p;
    world_healed = false;
    host_count = 0;
    build_hosts(&p->settings);
    network_begin();
    topologies_begin(p);
    invariants_begin();
    host_booted = on_host_booted;
    for (int i = 0; i < host_count; i++)
        on_host_booted(&hosts[i]);
    clients_start();
}

/* ---- playing ---- */

static void on_operator_second(void *context, int64_t number) {
    (void)context;
    operators_step();
    sim_at(sim_now + SECOND, on_operator_second, NULL, number);
}

static void on_birth(void *context, int64_t number) {
    (void)context;
    (void)number;
    operator_apply(true);
}

static void on_deed(void *context, int64_t number) {
    (void)context;
    deed_do(&world_plan->deeds[number]);
}

/* Convergence is looked at ten times a second; it must hold for a while, not for a moment. */
#define LOOK_EVERY (100 * MS)
#define WHOLE_FOR (2 * SECOND)
bool world_run_until_whole(sim_time end, char *lacking, size_t size) {
    sim_time since = -1;
    while (sim_now < end) {
        sim_run_until(sim_now + LOOK_EVERY, invariants_check);
        if (!world_has_converged(lacking, size))
            since = -1;
        else if (since < 0)
            since = sim_now;
        if (since >= 0 && sim_now - since >= WHOLE_FOR)
            return true;
    }
    return false;
}

static void warm_up(void) {
    char lacking[256] = "";
    if (!world_run_until_whole(sim_now + WHOLE_WITHIN, lacking, sizeof lacking))
        sim_fail("I25 bounded progress", "a healthy world does not become a healthy cluster: %s", lacking);
}

static void safety_phase(const struct script *p) {
    sim_time begin = sim_now;
    sim_say("world", "---- the cluster is treated badly ----");
    for (int i = 0; i < p->deed_count; i++)
        sim_at(begin + p->deeds[i].at, on_deed, NULL, i);
    sim_run_until(begin + p->settings.safety_ms * MS, invariants_check);
}

static void liveness_phase(void) {
    char lacking[256] = "";
    sim_say("world", "---- everything is healed ----");
    world_healed = true;
    deeds_heal();
    sim_time healed = sim_now;
    bool whole = world_run_until_whole(sim_now + WHOLE_WITHIN, lacking, sizeof lacking);
    if (!whole && world_bootstrap_was_taken_back())
        whole = world_run_until_whole(sim_now + TAKEN_BACK_FOR, lacking, sizeof lacking);
    if (!whole)
        sim_fail("I31 convergence", "%lld s after everything was healed: %s", (long long)((sim_now - healed) / SECOND), lacking);
    sim_say("world", "whole again after %lld s", (long long)((sim_now - healed) / SECOND));
}

void world_play(const struct script *p) {
    sim_begin(p->seed);
    build(p);
    sim_at(BIRTH_AT, on_birth, NULL, 0);
    sim_at(SECOND, on_operator_second, NULL, 0);
    if (!p->settings.born)
        warm_up();
    safety_phase(p);
    liveness_phase();
    aftermath_play();
    invariants_end();
}
