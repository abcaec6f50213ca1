/* No operation is open: may one be begun, and does anything hang that only a person can decide? What the sites hold of
 * an operation whose journal was lost is found here (protocol 3.4). */
#include "coordinator/decide/cluster.h"
#include <stdio.h>

static bool outranked(const struct cluster_view *v) { return v->outranked; }
static bool behind(const struct cluster_view *v) { return v->behind; }
static bool unheard(const struct cluster_view *v) { return v->store_empty; }

static void tell_unheard(const struct cluster_view *v, char *to, size_t size) {
    size_t at = (size_t)snprintf(to, size, "not heard yet:");
    for (uint32_t i = 0; i < v->site_count && at < size; i++)
        if (!v->sites[i].heard) at += (size_t)snprintf(to + at, size - at, " %s", v->sites[i].name);
}

/* Somebody is past the point of no return: it goes forward by itself. */
static int asker(const struct cluster_view *v) {
    struct epoch highest = cluster_epoch(v);
    for (uint32_t i = 0; i < v->site_count; i++)
        if (epoch_below(&highest, &v->sites[i].asked)) return (int)i;
    return NOBODY;
}
static bool asked(const struct cluster_view *v) { return asker(v) != NOBODY; }
static void tell_asked(const struct cluster_view *v, char *to, size_t size) {
    char text[EPOCH_TEXT_MAX];
    int site = asker(v);
    epoch_format(&v->sites[site].asked, text);
    snprintf(to, size, "%s has asked for %s", v->sites[site].name, text);
}

/* The primary of the highest epoch has handed over, and nobody has taken over: who may finish or undo that must say so. */
static bool hangs(const struct cluster_view *v) {
    struct epoch highest = cluster_epoch(v);
    int primary = cluster_primary(v);
    return primary != NOBODY && !epoch_is_zero(&highest) && site_has_handed_over(&v->sites[primary], &highest);
}
static void tell_hangs(const struct cluster_view *v, char *to, size_t size) {
    const struct site_facts *s = &v->sites[cluster_primary(v)];
    char next[EPOCH_TEXT_MAX];
    epoch_format(&s->successor, next);
    snprintf(to, size, "%s has stopped in favour of %s%s%s", s->name, next, s->stop_op[0] ? ", operation " : "", s->stop_op);
}

static bool stop_hangs(const struct cluster_view *v) {
    int primary = cluster_primary(v);
    return primary != NOBODY && site_hands_over(&v->sites[primary]);
}
static bool unborn(const struct cluster_view *v) { return !cluster_is_open(v); }

static bool is_newcomer(const struct cluster_view *v, uint32_t i) {
    const struct site_facts *s = &v->sites[i];
    return s->fresh && !s->has_order && !s->taken_back && !site_waits(s) && (int)i != cluster_primary(v);
}
int idle_newcomer(const struct cluster_view *v) {
    for (uint32_t i = 0; i < v->site_count; i++)
        if (is_newcomer(v, i)) return (int)i;
    return NOBODY;
}
static bool bootstrap_due(const struct cluster_view *v) {
    int primary = cluster_primary(v);
    const struct member_facts *leader = primary == NOBODY ? NULL : site_leader(&v->sites[primary]);
    return leader && v->sites[primary].fresh && leader->writable && idle_newcomer(v) != NOBODY;
}
static void tell_newcomer(const struct cluster_view *v, char *to, size_t size) { snprintf(to, size, "%s", v->sites[idle_newcomer(v)].name); }

static bool always(const struct cluster_view *v) {
    (void)v;
    return true;
}

const struct cluster_rule idle_rules[] = {
    WAIT(ASKS("C01", "outranked", "the sites obey another coordinator with a higher term: this one only observes"), outranked, -1, NULL),
    WAIT(ASKS("C09", "topology-behind", "a site holds a newer topology than this coordinator, whose store was put back: it only observes until its newest store, or an empty one, is put in its place"), behind, -1, NULL),
    WAIT(SAYS("C02", "unheard", "began with an empty store: no operation before every site has reported"), unheard, -1, tell_unheard),
    WAIT(SAYS("C03", "asked", "a site is past the point of no return: it goes forward by itself"), asked, -1, tell_asked),
    WAIT(ASKS("C04", "hand-over-hangs", "the primary has handed over and nobody has taken over, and no journal says who asked for it: `pgregent switchover` to that site finishes it, `pgregent operation abort` with that operation's id gives it back"), hangs, -1, tell_hangs),
    WAIT(SAYS("C05", "stop-hangs", "the primary holds a stop request of an operation that is not in the journal: its receipt, or its end, decides"), stop_hangs, -1, NULL),
    WAIT(SAYS("C06", "unborn", "no epoch was opened yet: waits for `apply --create`"), unborn, -1, NULL),
    {SAYS("C07", "bootstrap-due", "a site of the topology has no order yet: it is built from the primary"), .applies = bootstrap_due, .action = ACTION_START, .step = -1, .about = tell_newcomer},
    WAIT(SAYS("C08", "steady", "no operation is open"), always, -1, NULL),
    {.head = {.id = NULL}},
};
