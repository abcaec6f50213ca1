/* People who change the topology while everything runs: they take the file that is in force, alter it, sign it as the next version
 * and send it with their request, as `pgregent apply` does. Who was beaten by somebody else, or by an open operation, looks again. */
#include "rt/str.h"
#include "tests/sim/operators.h"
#include <string.h>

#define TRIES_MAX 6
#define AGAIN_AFTER (4 * SECOND)
#define TTL_LEAST_MS 2000
#define STOP_TIME_LEAST_MS 500
#define WAYS 16         /* a question to another site and its answer go by the coordinator: nobody makes a lease that is over before */
#define RENEWAL_MS 1000 /* a file that leaves less of the lease is refused where it is written */

enum change_kind { CHANGE_LEASE, CHANGE_SETTING, CHANGE_MEMBER, CHANGE_SITE };
struct change {
    enum change_kind kind;
    struct deed deed;
    int tries;
};

static void set_lease(struct declared *d, int site, const struct deed *deed) {
    int64_t least_ms = TTL_LEAST_MS + WAYS * world_plan->settings.latency_ms, ttl_ms = deed->ms > least_ms ? deed->ms : least_ms;
    int64_t stop_ms = ttl_ms * deed->number / 100;
    if (stop_ms > ttl_ms - RENEWAL_MS)
        stop_ms = ttl_ms - RENEWAL_MS;
    d->sites[site].ttl_ms = ttl_ms;
    d->sites[site].stop_time_ms = stop_ms > STOP_TIME_LEAST_MS ? stop_ms : STOP_TIME_LEAST_MS;
}

static void alter(const struct change *c, struct declared *d) {
    int site = c->deed.target;
    switch (c->kind) {
    case CHANGE_LEASE:
        for (int i = 0; i < site_count; i++)
            if (i == site || site == c->deed.other)
                set_lease(d, i, &c->deed);
        return;
    case CHANGE_SETTING: d->setting = c->deed.number; return;
    case CHANGE_MEMBER: d->sites[site].last_named = true; return;
    case CHANGE_SITE: d->sites[site_count - 1].named = true; return;
    }
}

static bool same(const struct declared *a, const struct declared *b) {
    for (int i = 0; i < site_count; i++)
        if (a->sites[i].named != b->sites[i].named || a->sites[i].last_named != b->sites[i].last_named || a->sites[i].ttl_ms != b->sites[i].ttl_ms ||
            a->sites[i].stop_time_ms != b->sites[i].stop_time_ms)
            return false;
    return a->setting == b->setting;
}

static void attempt(void *change, int64_t number);

static void on_refused(struct command *command, const char *body) {
    struct change *c = command->context;
    bool beaten = strstr(body, "\"conflict\"") || strstr(body, "operation is open");
    if (beaten && ++c->tries < TRIES_MAX)
        sim_at(sim_now + AGAIN_AFTER, attempt, c, 0);
}

static void attempt(void *change, int64_t number) {
    struct change *c = change;
    const struct signed_topology *base = topology_in_force();
    struct declared d = base->declared;
    (void)number;
    alter(c, &d);
    if (same(&d, &base->declared))
        return; /* no changes: the command says so and sends nothing */
    struct command *command = command_new(VERB_APPLY, "");
    command->refused = on_refused;
    command->context = c;
    count("topologies signed");
    command_send_topology(command, topology_sign_next(&d, base->version + 1, base->hash));
}

static void begin(enum change_kind kind, const struct deed *d) {
    struct change *c = rt_alloc(sizeof *c);
    *c = (struct change){.kind = kind, .deed = *d};
    attempt(c, 0);
}

static void send_old(int64_t versions) {
    const struct signed_topology *old = topology_in_force();
    for (; versions > 0 && old; versions--)
        old = topology_before(old);
    if (old)
        command_send_topology(command_new(VERB_APPLY, ""), old);
}

void operator_change(const struct deed *d) {
    switch (d->kind) {
    case DEED_APPLY_LEASE: begin(CHANGE_LEASE, d); return;
    case DEED_APPLY_SETTING: begin(CHANGE_SETTING, d); return;
    case DEED_APPLY_MEMBER: begin(CHANGE_MEMBER, d); return;
    case DEED_APPLY_SITE: begin(CHANGE_SITE, d); return;
    case DEED_APPLY_OLD: send_old(d->number); return;
    case DEED_APPLY_TWICE:
        begin(CHANGE_LEASE, d);
        begin(CHANGE_SETTING, d);
        return;
    default: return;
    }
}
