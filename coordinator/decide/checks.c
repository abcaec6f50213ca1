/* Would a planned move to this site work right now? Each check guards rows, epochs or the single writer, or the time that
 * nobody can write; none of them may be ignored. */
#include "coordinator/decide/cluster.h"
#include <stdio.h>

static const struct site_facts *primary(const struct cluster_view *v) {
    int at = cluster_primary(v);
    return at == NOBODY ? NULL : &v->sites[at];
}
static void tell_target(const struct cluster_view *v, int to, char *out, size_t size) { snprintf(out, size, "%s", v->sites[to].name); }
static void tell_primary(const struct cluster_view *v, int to, char *out, size_t size) {
    (void)to;
    snprintf(out, size, "%s", primary(v) ? primary(v)->name : "none");
}

static bool no_primary(const struct cluster_view *v, int to) {
    (void)to;
    return !primary(v);
}
static bool primary_unheard(const struct cluster_view *v, int to) {
    (void)to;
    return !primary(v)->fresh || !primary(v)->speaks;
}
static bool primary_not_writable(const struct cluster_view *v, int to) {
    (void)to;
    const struct member_facts *leader = site_leader(primary(v));
    return !leader || !leader->writable;
}
/* Whoever asked for that stop: until its outcome is known nothing else may begin. */
static bool stop_hangs(const struct cluster_view *v, int to) {
    (void)to;
    struct epoch highest = cluster_epoch(v);
    return site_hands_over(primary(v)) || site_has_handed_over(primary(v), &highest);
}
static bool target_unheard(const struct cluster_view *v, int to) { return !v->sites[to].fresh || !v->sites[to].speaks; }
static bool target_not_standby(const struct cluster_view *v, int to) { return !v->sites[to].has_order || v->sites[to].order_role != SITE_STANDBY; }
static bool target_not_direct(const struct cluster_view *v, int to) { return cluster_upstream(v, to) != cluster_primary(v); }
static bool target_not_streaming(const struct cluster_view *v, int to) { return !site_streams(&v->sites[to]); }
static bool target_paused(const struct cluster_view *v, int to) { return v->sites[to].replay_paused; }
static bool target_lag_unknown(const struct cluster_view *v, int to) { return v->sites[to].lag_bytes < 0; }
static bool target_lags(const struct cluster_view *v, int to) { return v->sites[to].lag_bytes > LAG_MOVE_MAX; }
static void tell_lag(const struct cluster_view *v, int to, char *out, size_t size) {
    snprintf(out, size, "%s lacks %lld bytes, at most %d", v->sites[to].name, (long long)v->sites[to].lag_bytes, LAG_MOVE_MAX);
}
static bool target_slots(const struct cluster_view *v, int to) { return !v->sites[to].slots_fit || !site_slots_stand(&v->sites[to]); }
static void tell_slots(const struct cluster_view *v, int to, char *out, size_t size) {
    const struct site_facts *s = &v->sites[to];
    size_t at = (size_t)snprintf(out, size, "%s:", s->name);
    for (uint32_t i = 0; i < s->member_count && at < size; i++)
        if (s->members[i].alive && s->members[i].has_data && !s->members[i].slots) at += (size_t)snprintf(out + at, size - at, " %s", s->members[i].name);
}
static bool primary_blocked(const struct cluster_view *v, int to) {
    (void)to;
    return primary(v)->blockers > 0;
}
static void tell_blockers(const struct cluster_view *v, int to, char *out, size_t size) {
    (void)to;
    snprintf(out, size, "%lld on %s", (long long)primary(v)->blockers, primary(v)->name);
}

const struct move_check move_checks[] = {
    {"no-primary", "no site is known to be primary", "create the cluster first: `pgregent apply --create`", no_primary, NULL},
    {"primary-unheard", "the primary's leader does not report", "see `pgregent explain`; a forced failover is not built yet", primary_unheard, tell_primary},
    {"stop-hangs", "the primary holds a stop of another operation", "its receipt, or its end, decides: see `pgregent explain`", stop_hangs, tell_primary},
    {"primary-not-writable", "the primary does not accept writes", "see `pgregent explain`", primary_not_writable, tell_primary},
    {"target-unheard", "the target's leader does not report", "start the target's agents", target_unheard, tell_target},
    {"target-not-standby", "the target is not a standby of this cluster", "wait for its bootstrap: `pgregent status`", target_not_standby, tell_target},
    {"target-not-direct", "the target does not stream from the primary itself", "take `upstream` out of its standby_cluster section, then apply", target_not_direct, tell_target},
    {"target-not-streaming", "the target's leader does not stream", "see `pgregent explain`", target_not_streaming, tell_target},
    {"target-paused", "replay is paused on the target", "SELECT pg_wal_replay_resume() there", target_paused, tell_target},
    {"target-lag-unknown", "how far the target is behind is not known", "wait for both sites' reports", target_lag_unknown, tell_target},
    {"target-lag", "the target is too far behind", "wait, or find what slows the link: `pgregent status`", target_lags, tell_lag},
    {"target-slots", "a member of the target lacks slots for the sites that will follow it", "they are made by themselves: `pgregent slots`", target_slots, tell_slots},
    {"primary-blocked", "something would hold up the primary's stop", "end it or wait for it", primary_blocked, tell_blockers},
    {.id = NULL},
};

const struct move_check *move_refusal(const struct cluster_view *v, int to) {
    for (const struct move_check *check = move_checks; check->id; check++)
        if (check->fails(v, to)) return check;
    return NULL;
}
