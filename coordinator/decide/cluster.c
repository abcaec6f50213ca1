/* Readings of a view. */
#include "coordinator/decide/cluster.h"
#include <string.h>

static void raise_to(struct epoch *highest, const struct epoch *e) {
    if (epoch_below(highest, e)) *highest = *e;
}

struct epoch cluster_epoch(const struct cluster_view *v) {
    struct epoch highest = v->epoch;
    for (uint32_t i = 0; i < v->site_count; i++) {
        raise_to(&highest, &v->sites[i].opened);
        raise_to(&highest, &v->sites[i].known_opened);
    }
    return highest;
}

bool cluster_is_open(const struct cluster_view *v) {
    struct epoch e = cluster_epoch(v);
    return !epoch_is_zero(&e);
}

int cluster_primary(const struct cluster_view *v) {
    struct epoch e = cluster_epoch(v);
    for (uint32_t i = 0; i < v->site_count; i++)
        if (strcmp(v->sites[i].name, e.site) == 0) return (int)i;
    return NOBODY;
}

/* The topology's wish counts as long as it leads to the primary; else, and by default, the primary itself. */
int cluster_upstream(const struct cluster_view *v, int site) {
    int primary = cluster_primary(v), wished = v->sites[site].upstream;
    if (site == primary) return NOBODY;
    int at = wished;
    for (uint32_t hops = 0; at != NOBODY && at != primary && hops < v->site_count; hops++) {
        if (at == site || v->sites[at].order_role != SITE_STANDBY || !v->sites[at].has_order) return primary;
        at = v->sites[at].upstream == NOBODY ? primary : v->sites[at].upstream;
    }
    return wished == NOBODY || at != primary ? primary : wished;
}

bool cluster_slot_wanted(const struct cluster_view *v, int x, int y) {
    if (x == y) return false;
    bool joins = v->op.open && v->op.kind == OP_BOOTSTRAP && v->op.to == y && cluster_upstream(v, y) == x;
    bool kept = v->sites[x].holds_slots_for[y] && !v->sites[y].blank;
    return v->sites[y].has_order || joins || kept;
}

bool cluster_owned(const struct cluster_view *v, int site) {
    const struct op_facts *op = &v->op;
    if (!op->open) return false;
    if (op->kind != OP_SWITCHOVER) return site == op->to && !v->sites[site].has_order;
    struct epoch highest = cluster_epoch(v);
    return (site == op->from || site == op->to) && epoch_below(&highest, &op->next);
}

const struct member_facts *site_leader(const struct site_facts *s) {
    for (uint32_t i = 0; i < s->member_count; i++)
        if (s->members[i].leader) return &s->members[i];
    return NULL;
}

bool site_speaks(const struct site_facts *s) { return s->fresh && s->speaks; }

bool site_streams(const struct site_facts *s) {
    const struct member_facts *leader = site_leader(s);
    return s->fresh && leader && leader->alive && leader->streaming;
}

bool site_slots_stand(const struct site_facts *s) {
    bool any = false;
    for (uint32_t i = 0; i < s->member_count; i++) {
        const struct member_facts *m = &s->members[i];
        if (!m->alive || !m->has_data) continue;
        if (!m->slots) return false;
        any = true;
    }
    return any;
}

bool site_has_handed_over(const struct site_facts *s, const struct epoch *epoch) {
    return !epoch_is_zero(&s->stopped) && epoch_same(&s->stopped, epoch);
}

bool site_hands_over(const struct site_facts *s) {
    return s->has_order && s->order_kind == ORDER_STOP && !s->stop_dropped && !site_has_handed_over(s, &s->order_epoch);
}

const struct decline_facts *site_decline(const struct site_facts *s, const struct epoch *epoch) {
    for (uint32_t i = 0; i < s->decline_count; i++)
        if (epoch_same(&s->declines[i].epoch, epoch)) return &s->declines[i];
    return NULL;
}

bool site_waits(const struct site_facts *s) { return s->pending && !s->refused && !s->pending_expired; }

bool site_waits_for(const struct site_facts *s, enum order_kind kind) { return site_waits(s) && s->pending_kind == (int)kind; }

bool site_is_refusing(const struct site_facts *s) { return s->refused && s->retry_ms > 0; }
