/* The topology files of the simulated world: written, signed, remembered by their hash as people keep theirs in their git. */
#include "coordinator/coordinator.h"
#include "site-agent/agent.h"
#include "tests/sim/ideal.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"
#include "wire/envelope.h"
#include "wire/topology.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLUSTER "orders"
#define SIGNED_MAX 128

static struct signed_topology all[SIGNED_MAX];
static int count_signed;

/* ---- writing ---- */

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

static void write_site(const struct declared *d, int site, struct strbuf *to) {
    const struct site_world *s = &sites[site];
    strbuf_addf(to, "  %s:\n    store: {embedded: /store/%s}\n    local: {ttl: %lldms, stop_time: %lldms}\n%s    members:\n", s->name, s->name,
                (long long)d->sites[site].ttl_ms, (long long)d->sites[site].stop_time_ms, site ? "    standby_cluster: {create_replica_methods: [basebackup]}\n" : "");
    for (int m = 0; m < s->member_count - !d->sites[site].last_named; m++)
        write_member(s->members[m], to);
}

static void write_file(const struct declared *d, struct strbuf *to) {
    char key[SIGN_PUBLIC_TEXT_MAX], address[64];
    strbuf_addf(to, "format: 1\ncluster: " CLUSTER "\ninitial_primary: ams\npostgresql: {version: 15, parameters: {work_mem: %lldMB}}\nsites:\n", (long long)d->setting);
    for (int i = 0; i < site_count; i++)
        if (d->sites[i].named)
            write_site(d, i, to);
    key_text("par", key);
    http_address(coordinator_hosts[0], address, sizeof address);
    strbuf_addf(to, "coordinators: {par: {address: \"%s\", key: \"%s\"}}\n", address, key);
    key_text("alice", key);
    strbuf_addf(to, "keys: {operators: {alice: {key: \"%s\", may: [all]}}}\n", key);
}

/* ---- signing ---- */

const struct signed_topology *topology_signed(const char *hash) {
    for (int i = 0; i < count_signed; i++)
        if (str_eq(all[i].hash, hash))
            return &all[i];
    return NULL;
}

const struct signed_topology *topology_before(const struct signed_topology *t) { return topology_signed(t->previous); }

static void refuse(const struct err *err, const char *file) {
    fprintf(stderr, "the simulator's topology is refused: %s\n%s", err->text, file);
    abort();
}

const struct signed_topology *topology_sign_next(const struct declared *d, int64_t version, const char *previous) {
    STRBUF text = {0};
    STRBUF payload = {0};
    struct strbuf envelope = {0};
    struct sign_key alice = {0};
    struct err err = {0};
    RT_AUTO struct topology *parsed = rt_alloc(sizeof *parsed);
    write_file(d, &text);
    topology_payload(CLUSTER, version, previous, (struct bytes){text.at, text.len}, &payload);
    ideal_key(&alice, "alice");
    if (count_signed == SIGNED_MAX || !envelope_sign((struct bytes){payload.at, payload.len}, TOPOLOGY_TYPE, &alice, 1, &envelope, &err) ||
        !topology_reopen((struct bytes){envelope.at, envelope.len}, parsed, &err))
        refuse(&err, text.at);
    struct signed_topology *fresh = &all[count_signed++];
    *fresh = (struct signed_topology){.declared = *d, .version = version, .envelope = envelope.at};
    str_copy(fresh->hash, sizeof fresh->hash, parsed->hash);
    str_copy(fresh->previous, sizeof fresh->previous, previous);
    return fresh;
}

/* Who joins later is in no file at first. The last site only: sites have one order here and in the file. */
static void leave_out(const struct script *p, struct declared *d) {
    for (int i = 0; i < p->deed_count; i++) {
        int site = p->deeds[i].target;
        if (p->deeds[i].kind == DEED_APPLY_SITE)
            d->sites[site_count - 1].named = false;
        if (p->deeds[i].kind == DEED_APPLY_MEMBER && sites[site].member_count > 1)
            d->sites[site].last_named = false;
    }
}

void topologies_begin(const struct script *p) {
    struct declared d = {.setting = 4};
    count_signed = 0;
    for (int i = 0; i < site_count; i++) {
        d.sites[i].named = d.sites[i].last_named = true;
        d.sites[i].ttl_ms = p->settings.ttl_ms;
        d.sites[i].stop_time_ms = p->settings.stop_time_ms;
    }
    leave_out(p, &d);
    topology_sign_next(&d, 1, "");
}

int64_t topology_newest_version(void) {
    int64_t newest = 0;
    for (int i = 0; i < count_signed; i++)
        newest = all[i].version > newest ? all[i].version : newest;
    return newest;
}

/* ---- what is in force ---- */

static const struct topology *held_by(const struct host *h) {
    const struct agent *a = agent_on(h);
    return a ? a->topology : NULL;
}

const struct signed_topology *topology_in_force(void) {
    const struct coordinator *c = coordinator_on(coordinator_hosts[0]);
    const struct signed_topology *found = c && c->cluster_count ? topology_signed(c->clusters[0]->topology->hash) : NULL;
    bool asks_agents = !found;
    for (int i = 0; i < host_count && asks_agents; i++) {
        const struct topology *held = held_by(&hosts[i]);
        if (held && (!found || held->topology_version > found->version))
            found = topology_signed(held->hash);
    }
    return found ? found : &all[0];
}

bool world_agrees_on_topology(void) {
    for (int i = 0; i < host_count; i++)
        for (int k = 0; k < i; k++) {
            const struct topology *x = held_by(&hosts[i]), *y = held_by(&hosts[k]);
            if (x && y && x->topology_version == y->topology_version && !str_eq(x->hash, y->hash))
                return false;
        }
    return true;
}

bool world_names_site(int site) { return topology_in_force()->declared.sites[site].named; }

bool world_names(const struct host *h) {
    const struct declared *d = &topology_in_force()->declared;
    return h->member != NOWHERE && d->sites[h->site].named && (d->sites[h->site].last_named || h->member < sites[h->site].member_count - 1);
}
