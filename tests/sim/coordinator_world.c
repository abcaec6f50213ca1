/* A coordinator as a process: what coordinator/main.c does, with a configuration made by hand, and the service that starts it again. */
#include "coordinator/snapshot.h"
#include "net/http_client.h"
#include "tests/sim/ideal.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"
#include <stdio.h>

#define RESTART_AFTER_MIN (1 * SECOND)
#define RESTART_AFTER_MAX (3 * SECOND)
#define DOCUMENTS_EVERY (60 * SECOND)

struct coordinator *coordinator_on(const struct host *h) { return h->site == NOWHERE && h->agent ? h->agent->context : NULL; }

/* ---- documents for people ---- */

void __real_documents_refresh(struct coordinator *c);
void __wrap_documents_refresh(struct coordinator *c);

/* They cost more than all else that a coordinator does, and nobody reads them here: made now and then, so that what they are made of is walked through. */
void __wrap_documents_refresh(struct coordinator *c) {
    static sim_time made;
    if (sim_now - made >= DOCUMENTS_EVERY) {
        made = sim_now;
        __real_documents_refresh(c);
    }
    for (uint32_t i = 0; i < c->cluster_count; i++)
        c->clusters[i]->documents_due = false;
}

/* ---- its life ---- */

static void configure(struct coordinator *c, const struct host *h) {
    struct sign_key alice = {0};
    str_copy(c->config.name, sizeof c->config.name, h->name);
    http_address(h, c->config.listen, sizeof c->config.listen);
    snprintf(c->config.store.embedded, sizeof c->config.store.embedded, "/journal/%s", h->name);
    ideal_key(&alice, "alice");
    sign_public_format(alice.public, c->config.trust.operators[0]);
    c->config.trust.operator_count = 1;
    c->key = rt_alloc(sizeof *c->key);
    ideal_key(c->key, h->name);
    c->signal_fd = -1;
}

static bool open_all(struct coordinator *c, struct err *err) {
    struct http_server_options options = {
        .listeners = {{.address = c->config.listen, .tls = &c->config.tls, .client_certificates = true, .route = coordinator_api}},
        .listener_count = 1,
        .snapshot_free = snapshot_free,
    };
    return coordinator_begin(c, err) && http_client_new(&c->config.tls, &c->client, err) && http_server_start(&options, &c->http, err);
}

static void live(struct process *self, void *argument) {
    struct coordinator *c = rt_alloc(sizeof *c);
    struct err err = {0};
    (void)argument;
    configure(c, self->host);
    if (!open_all(c, &err)) {
        sim_say(self->name, "does not start: %s", err.text);
        invariants_coordinator_ended(self->host, err.text);
        return;
    }
    self->context = c;
    sim_say(self->name, "runs in term %lld, %u clusters", (long long)c->term, c->cluster_count);
    coordinator_turn(c);
    while (!c->stopping) {
        coordinator_wait(c);
        coordinator_turn(c);
    }
    invariants_coordinator_ended(self->host, NULL);
}

/* ---- its service ---- */

static void (*ended_before)(struct process *p); /* whose hook was there first */

static void start_again(void *host, int64_t boots) {
    struct host *h = host;
    if (h->up && h->boots == boots && !h->agent)
        coordinator_service_start(h);
}

static void on_ended(struct process *p) {
    struct host *h = p->host;
    static struct dice d;
    if (ended_before)
        ended_before(p);
    if (h->site != NOWHERE || !h->up)
        return;
    if (!d.state)
        dice_open(&d, "coordinator's service", h->index);
    count("coordinator ended");
    sim_at(sim_now + dice_between(&d, RESTART_AFTER_MIN, RESTART_AFTER_MAX), start_again, h, h->boots);
}

static void hook(void) {
    static bool hooked;
    if (hooked)
        return;
    hooked = true;
    ended_before = process_ended;
    process_ended = on_ended;
}

void coordinator_service_start(struct host *h) {
    char name[48];
    hook();
    if (h->agent)
        return;
    snprintf(name, sizeof name, "coordinator %.30s", h->name);
    h->agent = process_start(h, name, live, NULL);
}
