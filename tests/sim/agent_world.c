/* The agents of the world: the production daemon (life.c and all below it) as a process of its host, kept alive by its
 * service. Its configuration is what a careful installation would write. */
#include "tests/sim/ideal.h"
#include "tests/sim/jobs.h"
#include "tests/sim/network.h"
#include "tests/sim/session.h"
#include "tests/sim/world.h"
#include "site-agent/agent.h"
#include "wire/sign.h"
#include <stdio.h>
#include <string.h>

#define AGAIN_MIN (1 * SECOND)
#define AGAIN_MAX (3 * SECOND)

struct agent *agent_on(const struct host *h) { return h->member != NOWHERE && h->agent ? h->agent->context : NULL; }

/* ---- configuration ---- */

static void trust_alice(struct agent_config *c) {
    struct sign_key alice = {0};
    ideal_key(&alice, "alice");
    sign_public_format(alice.public, c->trust.operators[c->trust.operator_count++]);
}

static void name_coordinators(struct agent_config *c) {
    char address[64];
    for (int i = 0; i < coordinator_count; i++) {
        http_address(coordinator_hosts[i], address, sizeof address);
        snprintf(c->coordinators[c->coordinator_count++], sizeof c->coordinators[0], "https://%s", address);
    }
}

static void name_files(struct agent_config *c, const char *member) {
    snprintf(c->state_dir, sizeof c->state_dir, "/state/%s", member);
    str_copy(c->tls.ca, sizeof c->tls.ca, "/etc/pgregent/ca.pem");
    str_copy(c->tls.certificate, sizeof c->tls.certificate, "/etc/pgregent/agent.pem");
    str_copy(c->tls.key, sizeof c->tls.key, "/etc/pgregent/agent.key");
    str_copy(c->replication.certificate, sizeof c->replication.certificate, "/etc/pgregent/repl.pem");
    str_copy(c->replication.key, sizeof c->replication.key, "/etc/pgregent/repl.key");
    str_copy(c->postgresql.bin_dir, sizeof c->postgresql.bin_dir, "/usr/lib/postgresql/15/bin");
    str_copy(c->postgresql.log, sizeof c->postgresql.log, "/log");
    str_copy(c->postgresql.os_user, sizeof c->postgresql.os_user, "postgres");
    str_copy(c->agent_user, sizeof c->agent_user, "postgres");
}

static void configure(struct agent_config *c, const struct host *h) {
    str_copy(c->cluster, sizeof c->cluster, "orders");
    str_copy(c->site, sizeof c->site, sites[h->site].name);
    str_copy(c->member, sizeof c->member, h->name);
    http_address(h, c->listen, sizeof c->listen);
    c->uid = c->gid = -1;
    name_files(c, h->name);
    name_coordinators(c);
    trust_alice(c);
}

/* ---- its life ---- */

static void live(struct process *self, void *host) {
    struct agent *a = rt_alloc(sizeof *a);
    struct err err = {0};
    const struct host *h = host;
    configure(&a->config, h);
    a->key = rt_alloc(sizeof *a->key);
    ideal_key(a->key, h->name);
    a->signal_fd = -1;
    self->context = a;
    if (!http_client_new(&a->config.tls, &a->uplink.http, &err) || !agent_begin(a, &err)) {
        sim_say(self->name, "cannot begin: %s", err.text);
        return;
    }
    while (!a->stopping)
        agent_round(a);
}

static void start(struct host *h) {
    char name[48];
    snprintf(name, sizeof name, "agent %s", h->name);
    h->agent = process_start(h, name, live, h);
}

/* ---- its service ---- */

static void (*ended_before)(struct process *p); /* who else wants to know */

static void on_again(void *host, int64_t boots) {
    struct host *h = host;
    if (h->up && h->boots == boots && !h->agent)
        start(h);
}

static void on_ended(struct process *p) {
    struct host *h = p->host;
    struct dice d;
    if (ended_before)
        ended_before(p);
    if (h->member == NOWHERE || h->agent || strncmp(p->name, "agent ", sizeof "agent " - 1) != 0)
        return;
    jobs_agent_ended(h);
    if (!h->up)
        return;
    dice_open(&d, "service", p->pid);
    sim_at(sim_now + dice_between(&d, AGAIN_MIN, AGAIN_MAX), on_again, h, h->boots);
}

static void listen_to_world(void) {
    static bool listens;
    if (listens)
        return;
    listens = true;
    ended_before = process_ended;
    process_ended = on_ended;
    postgres_changed = session_notice;
}

void agent_service_start(struct host *h) {
    listen_to_world();
    if (!h->agent)
        start(h);
}
