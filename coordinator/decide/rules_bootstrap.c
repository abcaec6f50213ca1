/* bootstrap: a new site becomes a standby. WAL is held for it on every member of its upstream before it gets its first
 * order; the slots themselves are ordered by the upstream's own site rule, which knows of this operation. */
#include "coordinator/decide/cluster.h"
#include <stdio.h>

static const struct site_facts *site(const struct cluster_view *v) { return &v->sites[v->op.to]; }
static const struct site_facts *upstream(const struct cluster_view *v) {
    int at = cluster_upstream(v, v->op.to);
    return at == NOBODY ? NULL : &v->sites[at];
}

static bool is_settled(const struct member_facts *m) { return m->streaming || !m->alive || !m->busy; }
static bool has_order(const struct cluster_view *v) { return site(v)->has_order; }
static bool leader_streams(const struct cluster_view *v) { return has_order(v) && site_streams(site(v)); }
static bool complete(const struct cluster_view *v) {
    if (!leader_streams(v)) return false;
    for (uint32_t i = 0; i < site(v)->member_count; i++)
        if (!is_settled(&site(v)->members[i])) return false;
    return true;
}
static void tell_members(const struct cluster_view *v, char *to, size_t size, const char *what, bool busy) {
    size_t at = 0;
    to[0] = '\0';
    for (uint32_t i = 0; i < site(v)->member_count && at < size; i++) {
        const struct member_facts *m = &site(v)->members[i];
        if (!m->streaming && busy == !is_settled(m)) at += (size_t)snprintf(to + at, size - at, "%s %s", at ? "" : what, m->name);
    }
}
static void tell_left_out(const struct cluster_view *v, char *to, size_t size) { tell_members(v, to, size, "not streaming:", false); }
static void tell_busy(const struct cluster_view *v, char *to, size_t size) { tell_members(v, to, size, "on their way:", true); }

static bool has_data(const struct cluster_view *v) {
    const struct member_facts *leader = site_leader(site(v));
    return has_order(v) && leader && leader->has_data;
}
static bool taken_back(const struct cluster_view *v) { return v->op.abort; }
static bool gone(const struct cluster_view *v) { return !site(v)->fresh; }
static bool upstream_gone(const struct cluster_view *v) {
    const struct site_facts *up = upstream(v);
    return !up || !up->fresh || !up->lineage;
}
static bool slots_missing(const struct cluster_view *v) { return !upstream(v)->slots_fit || !site_slots_stand(upstream(v)); }
static void tell_slots(const struct cluster_view *v, char *to, size_t size) {
    size_t at = (size_t)snprintf(to, size, "%s:", upstream(v)->name);
    for (uint32_t i = 0; i < upstream(v)->member_count && at < size; i++) {
        const struct member_facts *m = &upstream(v)->members[i];
        if (m->alive && m->has_data && !m->slots) at += (size_t)snprintf(to + at, size - at, " %s", m->name);
    }
}
static bool refused(const struct cluster_view *v) { return site_is_refusing(site(v)); }
static bool sent(const struct cluster_view *v) { return site_waits(site(v)); }
static bool always(const struct cluster_view *v) {
    (void)v;
    return true;
}

static void standby(const struct cluster_view *v, struct order_intent *o) {
    o->site = v->op.to;
    o->kind = ORDER_STANDBY;
    o->role = SITE_STANDBY;
    o->epoch = cluster_epoch(v);
    o->upstream = cluster_upstream(v, v->op.to);
    o->of_operation = true;
    o->proofs = PROVE_OPENED;
}

const struct cluster_rule bootstrap_rules[] = {
    FINISH(SAYS("C19", "bootstrapped", "the site streams"), complete, OP_MEMBERS, OP_DONE, tell_left_out),
    FINISH(SAYS("C20", "bootstrap-aborted", "taken back; a site that has its order already goes on by itself"), taken_back, -1, OP_ABORTED, NULL),
    WAIT_LONG(SAYS("C21", "members", "the leader streams; its other members are built from it"), leader_streams, OP_MEMBERS, tell_busy,
              "these members do not get on: see `pgregent explain`; `pgregent operation abort` ends the operation and leaves them to their site"),
    WAIT_LONG(SAYS("C22", "attaching", "the copy is complete: waits for the leader to stream"), has_data, OP_STREAMING, NULL,
              "the leader does not stream: see `pgregent explain`, or `pgregent operation abort`"),
    WAIT_LONG(SAYS("C23", "copying", "one member copies; the others will be built from it"), has_order, OP_COPY, NULL,
              "the copy does not get on: see `pgregent explain`, or `pgregent operation abort`"),
    WAIT_LONG(SAYS("C24", "newcomer-gone", "waits for the new site to report"), gone, OP_SLOTS, NULL,
              "start its agents, or `pgregent operation abort`"),
    WAIT_LONG(SAYS("C25", "upstream-gone", "waits for the upstream site: nothing is copied from a site that is not heard"), upstream_gone, OP_SLOTS, NULL,
              "start the agents of the upstream site, or `pgregent operation abort`"),
    WAIT_LONG(SAYS("C26", "slots-first", "no copy before every member of the upstream site holds WAL for it"), slots_missing, OP_SLOTS, tell_slots,
              "see `pgregent slots`, or `pgregent operation abort`"),
    WAIT_LONG(SAYS("C27", "standby-refused", "the site has refused its first order: planned again after a pause"), refused, OP_ORDER, NULL,
              "see the reason in `pgregent status`, or `pgregent operation abort`"),
    WAIT_LONG(SAYS("C28", "standby-sent", "waits for the site to accept its first order"), sent, OP_ORDER, NULL,
              "start its agents, or `pgregent operation abort`"),
    ORDER(SAYS("C29", "standby", "WAL is held for it: the new site is ordered to copy and follow"), always, OP_ORDER, standby),
    {.head = {.id = NULL}},
};
