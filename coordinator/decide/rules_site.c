/* One site in the steady state: what it shall hold, given who is primary. While an operation moves the primacy between
 * two sites these rules leave both alone; all others go on following. */
#include "coordinator/decide/cluster.h"
#include <string.h>

static const struct site_facts *at(const struct cluster_view *v, int i) { return &v->sites[i]; }

static bool outranked(const struct cluster_view *v, int i) {
    (void)i;
    return v->outranked || v->behind || v->store_empty;
}
static bool unheard(const struct cluster_view *v, int i) { return !at(v, i)->fresh; }
static bool owned(const struct cluster_view *v, int i) { return cluster_owned(v, i); }
static bool pending(const struct cluster_view *v, int i) { return site_waits(at(v, i)); }
static bool refused(const struct cluster_view *v, int i) { return site_is_refusing(at(v, i)); }
static bool unborn(const struct cluster_view *v, int i) {
    (void)i;
    return !cluster_is_open(v);
}
static bool no_order(const struct cluster_view *v, int i) { return !at(v, i)->has_order; }

/* Between a receipt, or `asked`, and the next opening nobody's role is changed here. */
static bool moving(const struct cluster_view *v, int i) {
    struct epoch highest = cluster_epoch(v);
    int primary = cluster_primary(v);
    return epoch_below(&highest, &at(v, i)->asked) || (i == primary && site_has_handed_over(at(v, i), &highest));
}

/* ---- the primary ---- */
static bool primary(const struct cluster_view *v, int i) { return i == cluster_primary(v); }
static bool primary_stops(const struct cluster_view *v, int i) { return primary(v, i) && site_hands_over(at(v, i)); }
static bool primary_dropped(const struct cluster_view *v, int i) { return primary(v, i) && at(v, i)->order_kind == ORDER_STOP && at(v, i)->stop_dropped; }
static bool primary_unopened(const struct cluster_view *v, int i) {
    struct epoch highest = cluster_epoch(v);
    return primary(v, i) && epoch_below(&at(v, i)->opened, &highest);
}
static bool primary_outdated(const struct cluster_view *v, int i) { return primary(v, i) && !at(v, i)->slots_fit; }

/* ---- standbys ---- */
static bool upstream_unknown(const struct cluster_view *v, int i) {
    int up = cluster_upstream(v, i);
    return up == NOBODY || !v->sites[up].lineage;
}
static bool must_follow(const struct cluster_view *v, int i) {
    struct epoch highest = cluster_epoch(v);
    return at(v, i)->order_role != SITE_STANDBY || epoch_below(&at(v, i)->order_epoch, &highest) || !at(v, i)->upstream_fits;
}
static bool standby_outdated(const struct cluster_view *v, int i) { return !at(v, i)->slots_fit || at(v, i)->readying; }
static bool always(const struct cluster_view *v, int i) {
    (void)v;
    (void)i;
    return true;
}

static void keep_primary(const struct cluster_view *v, int i, struct order_intent *o) {
    o->site = i;
    o->kind = ORDER_PREPARE;
    o->role = SITE_PRIMARY;
    o->epoch = cluster_epoch(v);
}
static void follow(const struct cluster_view *v, int i, struct order_intent *o) {
    o->site = i;
    o->kind = ORDER_FOLLOW;
    o->role = SITE_STANDBY;
    o->epoch = cluster_epoch(v);
    o->upstream = cluster_upstream(v, i);
    o->of_operation = v->op.open && v->op.kind == OP_SWITCHOVER;
    o->proofs = PROVE_OPENED;
}
static void keep_standby(const struct cluster_view *v, int i, struct order_intent *o) {
    follow(v, i, o);
    o->kind = ORDER_PREPARE;
    o->of_operation = false;
}

#define RULE(id_, name_, says, test, what) {SAYS(id_, name_, says), .applies = (test), .order = (what)}
const struct site_rule site_rules[] = {
    RULE("C70", "observing", "nothing is ordered while this coordinator only observes", outranked, NULL),
    RULE("C71", "unheard", "does not report: nothing is ordered to a site that is not heard", unheard, NULL),
    RULE("C72", "in-operation", "takes part in the open operation, which alone gives it orders", owned, NULL),
    RULE("C73", "order-sent", "an order waits for its answer", pending, NULL),
    RULE("C74", "order-refused", "has refused its last order: planned again after a pause", refused, NULL),
    RULE("C75", "unborn", "no epoch was opened yet", unborn, NULL),
    RULE("C76", "moving", "the primacy moves: its role is left alone", moving, NULL),
    RULE("C77", "no-order", "has no order yet: a bootstrap will bring its first", no_order, NULL),
    RULE("C78", "primary-stops", "holds a stop request: its receipt or its end is awaited", primary_stops, NULL),
    RULE("C79", "primary-unopened", "is known to be the primary, and has not said so itself since", primary_unopened, NULL),
    RULE("C80", "primary-plain", "has dropped a stop request: made a plain primary again", primary_dropped, keep_primary),
    RULE("C81", "primary-outdated", "the slots that it shall hold have changed: ordered anew", primary_outdated, keep_primary),
    RULE("C82", "primary", "primary, order up to date", primary, NULL),
    RULE("C83", "upstream-unknown", "waits for its upstream's report: nobody follows an unknown history", upstream_unknown, NULL),
    RULE("C84", "must-follow", "its order names another upstream, or an older state of it: ordered to follow", must_follow, follow),
    RULE("C85", "standby-outdated", "slots or readiness have changed: ordered anew", standby_outdated, keep_standby),
    RULE("C86", "standby", "standby, order up to date", always, NULL),
    {.head = {.id = NULL}},
};
