/* create: the cluster's first epoch (protocol 3.8). initdb is allowed only where nobody has data, and only when everybody
 * was asked. */
#include "coordinator/decide/cluster.h"
#include <stdio.h>

static const struct site_facts *site(const struct cluster_view *v) { return &v->sites[v->op.to]; }

static bool opened(const struct cluster_view *v) { return !epoch_is_zero(&site(v)->opened); }

/* Data or an order anywhere else, or here before the birth order was accepted. */
static const char *found(const struct cluster_view *v, const char **member) {
    for (uint32_t i = 0; i < v->site_count; i++) {
        const struct site_facts *s = &v->sites[i];
        bool born = (int)i == v->op.to && s->has_order && s->order_kind == ORDER_BIRTH;
        *member = NULL;
        if (born) continue;
        if (s->has_order) return s->name;
        for (uint32_t m = 0; m < s->member_count; m++) {
            *member = s->members[m].name;
            if (s->members[m].has_data) return s->name;
        }
    }
    return NULL;
}
static bool data_found(const struct cluster_view *v) {
    const char *member;
    return cluster_is_open(v) || found(v, &member) != NULL;
}
static void tell_found(const struct cluster_view *v, char *to, size_t size) {
    const char *member, *where = found(v, &member);
    struct epoch highest = cluster_epoch(v);
    char epoch[EPOCH_TEXT_MAX];
    epoch_format(&highest, epoch);
    if (!where)
        snprintf(to, size, "%s was opened", epoch);
    else
        snprintf(to, size, "%s%s%s holds %s", where, member ? "/" : "", member ? member : "", member ? "data" : "an order");
}

static const struct member_facts *silent_member(const struct site_facts *s) {
    for (uint32_t m = 0; m < s->member_count; m++)
        if (!s->fresh || !s->members[m].alive) return &s->members[m];
    return NULL;
}
static bool holds_birth(const struct cluster_view *v) { return site(v)->has_order; }
static bool taken_back(const struct cluster_view *v) { return v->op.abort && !holds_birth(v); }
static bool unheard(const struct cluster_view *v) {
    if (holds_birth(v) || site_waits(site(v))) return false;
    for (uint32_t i = 0; i < v->site_count; i++)
        if (silent_member(&v->sites[i])) return true;
    return false;
}
static void tell_silent(const struct cluster_view *v, char *to, size_t size) {
    size_t at = (size_t)snprintf(to, size, "not heard:");
    for (uint32_t i = 0; i < v->site_count && at < size; i++)
        for (uint32_t m = 0; m < v->sites[i].member_count && at < size; m++)
            if (!v->sites[i].fresh || !v->sites[i].members[m].alive) at += (size_t)snprintf(to + at, size - at, " %s", v->sites[i].members[m].name);
}
static bool refused(const struct cluster_view *v) { return site(v)->refused; }
static bool sent(const struct cluster_view *v) { return site_waits(site(v)); }
static bool always(const struct cluster_view *v) {
    (void)v;
    return true;
}

static void birth(const struct cluster_view *v, struct order_intent *o) {
    o->site = v->op.to;
    o->kind = ORDER_BIRTH;
    o->role = SITE_PRIMARY;
    o->epoch = (struct epoch){.generation = 1};
    snprintf(o->epoch.site, sizeof o->epoch.site, "%s", site(v)->name);
    o->of_operation = true;
    o->proofs = PROVE_REQUEST;
}

const struct cluster_rule create_rules[] = {
    FINISH(SAYS("C10", "created", "the first epoch is open"), opened, OP_OPEN, OP_DONE, NULL),
    FINISH(SAYS("C11", "create-aborted", "taken back before anything was begun"), taken_back, OP_CHECK, OP_ABORTED, NULL),
    FINISH(SAYS("C12", "data-found", "the cluster is there: somebody holds data or an order, or an epoch was opened; nothing is created over it"), data_found, OP_CHECK, OP_FAILED, tell_found),
    FINISH(SAYS("C13", "birth-refused", "the site has refused to begin the cluster"), refused, OP_BIRTH, OP_FAILED, NULL),
    WAIT_LONG(SAYS("C14", "being-born", "the site has its first order: waits for its first epoch to open"), holds_birth, OP_OPEN, NULL,
              "the site does not open: see `pgregent explain` and the log of its leader's PostgreSQL"),
    WAIT(ASKS("C15", "not-all-asked", "initdb only when every listed member says that it holds no data"), unheard, OP_CHECK, tell_silent),
    WAIT_LONG(SAYS("C16", "birth-sent", "waits for the site to accept its first order"), sent, OP_BIRTH, NULL,
              "the site does not answer: start its agents, or take it back: `pgregent operation abort`"),
    ORDER(SAYS("C17", "birth", "nobody holds data or an order: the cluster begins here"), always, OP_BIRTH, birth),
    {.head = {.id = NULL}},
};
