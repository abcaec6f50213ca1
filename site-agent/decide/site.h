/* Small readings of a view that several tables share. */
#ifndef DECIDE_SITE_H
#define DECIDE_SITE_H
#include "site-agent/decide/view.h"

/* The order asks this site to open in a new epoch: by a promotion, or by an abort that gives the primacy back. */
static inline bool site_is_opening(const struct view *v) {
    return v->order && v->role == ROLE_PRIMARY && !v->opened && (v->order_kind == KIND_PROMOTE || v->order_kind == KIND_ABORT);
}
static inline bool site_is_born(const struct view *v) { return v->order && v->order_kind == KIND_BIRTH && !v->opened; }

/* A stop order whose outcome is open: no receipt, not dropped. Until then the site is the primary of its old epoch. */
static inline bool site_is_handing_over(const struct view *v) {
    return v->order && v->order_kind == KIND_STOP && !v->receipt && !v->dropped;
}
/* Open for writes in the order's epoch, or still after a stop request that was dropped. */
static inline bool site_is_open(const struct view *v) {
    if (v->order_kind == KIND_STOP)
        return v->order && v->dropped;
    return v->order && v->role == ROLE_PRIMARY && v->opened;
}
/* Only the former holder may go on here: taking over an open site is local high availability, which is not built yet. */
static inline bool site_holds_primacy(const struct view *v) {
    return site_is_open(v) || site_is_handing_over(v) || site_is_born(v) || (site_is_opening(v) && v->asked);
}

#define RULE(id_, name_, says, test, wake, ...)                                                                        \
    {.id = (id_), .name = (name_), .sentence = (says), .applies = (test), .wake_ms = (wake), .steps = {__VA_ARGS__}}
#define RULE_PERSON(id_, name_, says, test, wake) RULE_PERSON_STEP(id_, name_, says, test, wake, -1)
#define RULE_PERSON_STEP(id_, name_, says, test, wake, step)                                                           \
    {.id = (id_), .name = (name_), .sentence = (says), .applies = (test), .wake_ms = (wake), .steps = {(step), -1}, .waits_for_person = true}
#define NO_STEP -1, -1
#define WAKE_IDLE 1000  /* nothing is expected: once a second all the same */
#define WAKE_SOON 100   /* something of somebody else's is expected */
#define WAKE_MOVING 2   /* inside the write gap: every millisecond is the user's */
#endif
