/* The coordinator's view as field tables: what scenario files are read with. Three sites, ams, fra and (where a base says
 * so) par, of two members each. A story states only what differs from its base: under `cluster`, `op`, a site's name or a
 * member's name. */
#ifndef GOLDEN_COORDINATOR_VIEW_H
#define GOLDEN_COORDINATOR_VIEW_H
#include "coordinator/decide/cluster.h"
#include <stdio.h>
#include <string.h>

enum { AMS, FRA, PAR };
static const char *const story_sites[] = {"ams", "fra", "par", NULL};

#define B(T, m) FIELD_BOOL(T, m, NULL, 0, "")
#define N(T, m) FIELD_INT64(T, m, NULL, INT64_MIN, INT64_MAX, 0, "")
#define E(T, m, words) FIELD_CHOICE(T, m, words, 0, "")
#define P(T, m) FIELD_CUSTOM(T, m, &field_epoch, NULL, FIELD_NULL_EMPTY, "")
static const struct field story_member_fields[] = {
    B(struct member_facts, alive), B(struct member_facts, has_data), B(struct member_facts, leader), B(struct member_facts, streaming), B(struct member_facts, busy),
    B(struct member_facts, writable), B(struct member_facts, ready), B(struct member_facts, checkpointed), B(struct member_facts, slots), FIELD_END};
static const struct fields story_member_table = FIELDS("member", struct member_facts, story_member_fields);
static const struct field story_decline_fields[] = {P(struct decline_facts, epoch), P(struct decline_facts, next), FIELD_END};
static const struct fields story_decline_table = FIELDS("decline", struct decline_facts, story_decline_fields);
#define S(m) B(struct site_facts, m)
static const struct field story_site_fields[] = {
    E(struct site_facts, upstream, story_sites), S(heard), S(fresh), S(speaks), S(lineage), S(has_order), E(struct site_facts, order_kind, order_kind_names),
    E(struct site_facts, order_role, site_role_names), P(struct site_facts, order_epoch), S(order_ours), FIELD_TEXT(struct site_facts, stop_op, 0, ""), S(stop_dropped), S(slots_fit), S(upstream_fits), S(readying), S(pending),
    E(struct site_facts, pending_kind, order_kind_names), S(pending_ours), P(struct site_facts, pending_epoch), S(pending_expired), S(refused), N(struct site_facts, retry_ms),
    P(struct site_facts, promised), P(struct site_facts, asked), P(struct site_facts, opened), P(struct site_facts, known_opened), P(struct site_facts, stopped),
    P(struct site_facts, successor), FIELD_LIST(struct site_facts, declines, decline_count, &story_decline_table, 0, ""), S(taken_back), N(struct site_facts, lag_bytes), S(replay_paused),
    N(struct site_facts, blockers), FIELD_END};
#undef S
static const struct fields story_site_table = FIELDS("site", struct site_facts, story_site_fields);
static const struct field story_op_fields[] = {
    B(struct op_facts, open), E(struct op_facts, kind, op_kind_names), E(struct op_facts, from, story_sites), E(struct op_facts, to, story_sites), P(struct op_facts, epoch),
    P(struct op_facts, next), P(struct op_facts, back), B(struct op_facts, abort), B(struct op_facts, stop_out), N(struct op_facts, left_ms), N(struct op_facts, still_ms), N(struct op_facts, moved_ms), FIELD_END};
static const struct fields story_op_table = FIELDS("op", struct op_facts, story_op_fields);
static const struct field story_cluster_fields[] = {B(struct cluster_view, outranked), B(struct cluster_view, young), B(struct cluster_view, behind), B(struct cluster_view, store_empty), P(struct cluster_view, epoch), FIELD_END};
static const struct fields story_cluster_table = FIELDS("cluster", struct cluster_view, story_cluster_fields);
#undef B
#undef N
#undef E
#undef P

/* ---- bases ---- */

static inline void story_epoch(struct epoch *e, int64_t step, int site) {
    *e = (struct epoch){.generation = 1, .step = step};
    str_copy(e->site, sizeof e->site, story_sites[site]);
}

static inline void story_add_site(struct cluster_view *v) {
    struct site_facts *s = &v->sites[v->site_count];
    *s = (struct site_facts){.upstream = NOBODY, .heard = true, .fresh = true, .speaks = true, .member_count = 2};
    const char *name = story_sites[v->site_count++];
    str_copy(s->name, sizeof s->name, name);
    for (uint32_t m = 0; m < 2; m++) {
        s->members[m].alive = true;
        snprintf(s->members[m].name, sizeof s->members[m].name, "%s-%u", name, m + 1);
    }
}

static inline void story_add_data(struct site_facts *s, bool primary) {
    s->lineage = s->has_order = s->slots_fit = s->upstream_fits = true;
    for (uint32_t m = 0; m < 2; m++) {
        s->members[m].has_data = s->members[m].slots = true;
        s->members[m].streaming = !primary || m > 0;
    }
    s->members[0].leader = true;
    s->members[0].writable = primary;
}

static inline void story_make_primary(struct cluster_view *v, int site, int64_t step) {
    struct site_facts *s = &v->sites[site];
    story_add_data(s, true);
    s->order_kind = ORDER_PREPARE;
    s->order_role = SITE_PRIMARY;
    story_epoch(&s->order_epoch, step, site);
    s->opened = s->known_opened = s->asked = s->promised = v->epoch = s->order_epoch;
}

static inline void story_make_standby(struct cluster_view *v, int site) {
    struct site_facts *s = &v->sites[site];
    story_add_data(s, false);
    s->order_kind = ORDER_FOLLOW;
    s->order_role = SITE_STANDBY;
    s->order_epoch = s->known_opened = s->promised = v->epoch;
}

static inline void story_prepared(struct cluster_view *v) {
    v->sites[AMS].order_ours = v->sites[FRA].order_ours = true;
    v->sites[FRA].order_kind = ORDER_PREPARE;
    v->sites[FRA].members[0].ready = v->sites[AMS].members[0].checkpointed = true;
}

static inline void story_stopping(struct cluster_view *v) {
    story_prepared(v);
    v->sites[AMS].order_kind = ORDER_STOP;
    v->sites[AMS].order_role = SITE_STOPPED;
}

static inline void story_stopped(struct cluster_view *v) {
    story_stopping(v);
    v->sites[AMS].stopped = v->op.epoch;
    v->sites[AMS].successor = v->op.next;
    v->sites[AMS].members[0].writable = false;
}

static inline void story_promoting(struct cluster_view *v) {
    story_stopped(v);
    v->sites[FRA].order_kind = ORDER_PROMOTE;
    v->sites[FRA].order_role = SITE_PRIMARY;
    v->sites[FRA].order_epoch = v->sites[FRA].promised = v->op.next;
}

static inline void story_moved(struct cluster_view *v) {
    story_promoting(v);
    v->sites[FRA].asked = v->sites[FRA].opened = v->sites[FRA].known_opened = v->op.next;
    v->sites[FRA].members[0].writable = true;
    v->sites[FRA].members[0].streaming = false;
    v->sites[AMS].upstream_fits = false;
    v->op.moved_ms = 100;
}

/* Each base goes on from the one before it: empty, born, steady, switchover, prepared, stopping, stopped, promoting, moved. */
static inline bool story_base(const char *name, struct cluster_view *v) {
    static const char *const names[] = {"empty", "born", "steady", "switchover", "prepared", "stopping", "stopped", "promoting", "moved", "three"};
    size_t at = 0;
    while (at < sizeof names / sizeof names[0] && strcmp(names[at], name) != 0)
        at++;
    memset(v, 0, sizeof *v);
    v->op.from = v->op.to = NOBODY;
    story_add_site(v);
    story_add_site(v);
    if (at == 9)
        story_add_site(v);
    if (at >= 1)
        story_make_primary(v, AMS, 0);
    if (at >= 2)
        story_make_standby(v, FRA);
    if (at == 9)
        story_make_standby(v, PAR);
    if (at >= 3 && at < 9) {
        v->op = (struct op_facts){.open = true, .kind = OP_SWITCHOVER, .from = AMS, .to = FRA, .epoch = v->epoch, .left_ms = 60000};
        story_epoch(&v->op.next, 1, FRA);
        story_epoch(&v->op.back, 2, AMS);
    }
    static void (*const further[])(struct cluster_view *) = {story_prepared, story_stopping, story_stopped, story_promoting, story_moved};
    if (at >= 4 && at < 9)
        further[at - 4](v);
    return at < sizeof names / sizeof names[0];
}
#endif
