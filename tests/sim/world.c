/* One history from its first moment to its last: the world is built, begins healthy (or is born under fire), is treated
 * badly, is healed, and must become whole again. */
#include "tests/sim/world.h"
#include "rt/str.h"
#include "tests/sim/ideal.h"
#include "tests/sim/network.h"
#include "tests/sim/postgres.h"
#include "wire/envelope.h"
#include "wire/topology.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct site_world sites[3];
int site_count;
const struct script *world_plan;
bool world_healed;
int coordinator_count;
struct host *coordinator_hosts[2];
struct topology *world_topology;
const char *world_topology_envelope;

static const char *const site_names[] = {"ams", "fra", "lon"};

#define CLUSTER "orders"
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

static void key_text(const char *name, char to[SIGN_PUBLIC_TEXT_MAX]) {
    struct sign_key key = {0};
    ideal_key(&key, name);
    sign_public_format(key.public, to);
}

static void write_member(const struct host *h, struct strbuf *to) {
    char key[SIGN_PUBLIC_TEXT_MAX], agent[64], address[64];
    int64_t port;
    key_text(h->name, key);
    http_address(h, agent, sizeof agent);
    member_address(h, address, sizeof address, &port);
    strbuf_addf(to, "      %s: {address: \"%s:%lld\", agent: \"%s\", key: \"%s\", postgresql: {data_dir: /data/%s}}\n", h->name, address, (long long)port, agent, key, h->name);
}

static void write_topology(const struct settings *t, struct strbuf *to) {
    char key[SIGN_PUBLIC_TEXT_MAX], address[64];
    strbuf_addf(to, "format: 1\ncluster: " CLUSTER "\ninitial_primary: ams\npostgresql: {version: 15}\nlocal: {ttl: %lldms, stop_time: %lldms}\nsites:\n",
                (long long)t->ttl_ms, (long long)t->stop_time_ms);
    for (int i = 0; i < site_count; i++) {
        strbuf_addf(to, "  %s:\n    store: {embedded: /store/%s}\n%s    members:\n", sites[i].name, sites[i].name,
                    i ? "    standby_cluster: {create_replica_methods: [basebackup]}\n" : "");
        for (int m = 0; m < sites[i].member_count; m++)
            write_member(sites[i].members[m], to);
    }
    key_text("par", key);
    http_address(coordinator_hosts[0], address, sizeof address);
    strbuf_addf(to, "coordinators: {par: {address: \"%s\", key: \"%s\"}}\n", address, key);
    key_text("alice", key);
    strbuf_addf(to, "keys: {operators: {alice: {key: \"%s\", may: [all]}}}\n", key);
}

static void sign_topology(const struct settings *t) {
    STRBUF text = {0};
    STRBUF payload = {0};
    struct strbuf envelope = {0};
    struct sign_key alice = {0};
    struct err err = {0};
    write_topology(t, &text);
    topology_payload(CLUSTER, 1, "", (struct bytes){text.at, text.len}, &payload);
    ideal_key(&alice, "alice");
    world_topology = rt_alloc(sizeof *world_topology);
    if (!envelope_sign((struct bytes){payload.at, payload.len}, TOPOLOGY_TYPE, &alice, 1, &envelope, &err) ||
        !topology_reopen((struct bytes){envelope.at, envelope.len}, world_topology, &err)) {
        fprintf(stderr, "the simulator's topology is refused: %s\n%s", err.text, text.at);
        abort();
    }
    world_topology_envelope = envelope.at;
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
    sign_topology(&p->settings);
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
static bool run_until_whole(sim_time end, char *lacking, size_t size) {
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
    if (!run_until_whole(sim_now + WHOLE_WITHIN, lacking, sizeof lacking))
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
    bool whole = run_until_whole(sim_now + WHOLE_WITHIN, lacking, sizeof lacking);
    if (!whole && world_bootstrap_was_taken_back())
        whole = run_until_whole(sim_now + TAKEN_BACK_FOR, lacking, sizeof lacking);
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
    invariants_end();
}
