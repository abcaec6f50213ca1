/* Reports, journal and topology as the flat facts that coordinator_decide works on. */
#include "coordinator/coordinator.h"
#include "coordinator/decide/cluster.h"
#include "rt/clock.h"
#include <stdlib.h>
#include <string.h>

const struct member_status *report_member(const struct report *r, const char *name) {
    for (uint32_t i = 0; r && i < r->member_count; i++)
        if (str_eq(r->members[i].name, name))
            return &r->members[i];
    return NULL;
}

const struct member_status *report_leader(const struct report *r) { return r && r->leader[0] ? report_member(r, r->leader) : NULL; }

/* ---- members ---- */

/* What its site's leader saw grows old together with the report that tells of it. */
bool member_is_alive(const struct site *s, const struct member_status *m) {
    return m->age_ms < MEMBER_ALIVE_MS && m->age_ms + clock_boot_ms() - s->arrived_boot_ms < MEMBER_ALIVE_MS;
}

/* Something will come of it by itself: it copies, starts, replays, or waits for its turn to be built. */
static bool is_busy(const struct member_status *m) {
    switch ((enum member_state)m->state) {
    case STATE_STARTING:
    case STATE_RUNNING:
    case STATE_ARCHIVE_RECOVERY:
    case STATE_CREATING:
    case STATE_INITIALIZING:
        return true;
    case STATE_STOPPED:
    case STATE_UNKNOWN:
        return !m->has_data;
    case STATE_STREAMING:
    case STATE_STOPPING:
    case STATE_START_FAILED:
    case STATE_CRASHED:
    case STATE_DATA_MISSING:
        break;
    }
    return false;
}

static const struct report_slot *slot_of(const struct member_status *m, const char *name) {
    for (uint32_t i = 0; i < m->slot_count; i++)
        if (str_eq(m->slots[i].name, name))
            return &m->slots[i];
    return NULL;
}

static bool slot_stands(const struct member_status *m, enum slot_kind kind, const char *consumer) {
    char name[SLOT_NAME_MAX];
    slot_name(name, kind, consumer);
    const struct report_slot *slot = slot_of(m, name);
    return slot && slot->restart_lsn && (str_eq(slot->wal_status, "reserved") || str_eq(slot->wal_status, "extended"));
}

static bool all_slots_stand(const struct cluster *cluster, int site, const struct member_status *m) {
    for (uint32_t y = 0; y < cluster->site_count; y++)
        if (cluster_slot_wanted(&cluster->view, site, (int)y) &&
            (!slot_stands(m, SLOT_SITE, cluster->sites[y].name) || !slot_stands(m, SLOT_ANCHOR, cluster->sites[y].name)))
            return false;
    return true;
}

static void observe_member(const struct site *s, const struct topology_member *t, struct member_facts *out) {
    const struct member_status *m = report_member(s->report, t->name);
    str_copy(out->name, sizeof out->name, t->name);
    if (!m)
        return;
    out->alive = member_is_alive(s, m);
    out->has_data = m->has_data;
    out->leader = str_eq(s->report->leader, t->name);
    out->streaming = m->state == STATE_STREAMING;
    out->busy = is_busy(m);
    out->writable = m->writable;
    out->ready = m->target_ready;
    out->checkpointed = m->checkpointed;
}

/* ---- orders ---- */

static void observe_orders(const struct operation *op, const struct site *s, int64_t now_ms, struct site_facts *out) {
    const struct report *r = s->report;
    out->has_order = r->has_order;
    out->order_kind = r->order_kind;
    out->order_role = r->order_role;
    out->order_epoch = r->order_epoch;
    out->order_ours = op && r->has_order && str_eq(r->order_op, op->id);
    str_copy(out->stop_op, sizeof out->stop_op, r->has_order && r->order_kind == ORDER_STOP ? r->order_op : "");
    out->stop_dropped = str_eq(r->stop_state, "dropped");
    out->readying = s->held.present && s->held.order.target;
    out->pending = s->pending.present;
    out->refused = s->refused;
    out->retry_ms = refusal_retry_ms(s, now_ms);
    if (!s->pending.present)
        return;
    out->pending_kind = s->pending.order.kind;
    out->pending_epoch = s->pending.order.epoch;
    out->pending_ours = op && str_eq(s->pending.order.op, op->id);
    out->pending_expired = clock_wall_ms() >= s->pending.order.expires;
}

static bool same_slots(const struct order *a, const struct order *b) {
    if (a->slot_count != b->slot_count)
        return false;
    for (uint32_t i = 0; i < a->slot_count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < b->slot_count; k++)
            found |= str_eq(a->slots[i].name, b->slots[k].name);
        if (!found)
            return false;
    }
    return true;
}

/* The first is the leader; while it is not known, any order of names will do. */
static bool same_members(const struct order *held, const struct order *wanted, bool leader_known) {
    if (held->upstream_member_count != wanted->upstream_member_count)
        return false;
    for (uint32_t i = 0; i < wanted->upstream_member_count; i++) {
        bool found = false;
        const struct order_member *w = &wanted->upstream_members[i];
        for (uint32_t k = 0; k < held->upstream_member_count; k++)
            found |= str_eq(w->name, held->upstream_members[k].name) && str_eq(w->host, held->upstream_members[k].host) && w->port == held->upstream_members[k].port;
        if (!found)
            return false;
    }
    return !leader_known || !wanted->upstream_member_count || str_eq(held->upstream_members[0].name, wanted->upstream_members[0].name);
}

static bool same_lineage_end(const struct lineage *a, const struct lineage *b) {
    if (!a->count || !b->count)
        return a->count == b->count;
    const struct lineage_entry *x = &a->entries[a->count - 1], *y = &b->entries[b->count - 1];
    return x->timeline == y->timeline && str_eq(x->fingerprint, y->fingerprint);
}

/* What an order made now would say, against what the held one says. */
static void compare_held(const struct cluster *cluster, int site, struct site_facts *out) {
    LARGE_LOCAL struct order wanted;
    const struct site *s = &cluster->sites[site];
    int upstream = cluster_upstream(&cluster->view, site);
    if (!s->held.present)
        return;
    memset(&wanted, 0, sizeof wanted);
    order_slots(cluster, site, &wanted);
    out->slots_fit = same_slots(&s->held.order, &wanted);
    if (upstream == NOBODY)
        return;
    order_members(cluster, upstream, &wanted);
    bool known = order_lineage(cluster, upstream, &wanted.upstream_lineage), leader_known = report_leader(cluster->sites[upstream].report) != NULL;
    out->upstream_fits = str_eq(s->held.order.upstream_site, cluster->sites[upstream].name) && same_members(&s->held.order, &wanted, leader_known) &&
                         (!known || same_lineage_end(&s->held.order.upstream_lineage, &wanted.upstream_lineage));
}

/* ---- the slots that a site holds for others ---- */

static bool order_names(const struct order *o, const char *consumer) {
    for (uint32_t i = 0; i < o->slot_count; i++)
        if (str_eq(o->slots[i].site, consumer))
            return true;
    return false;
}

static bool has_slot_for(const struct member_status *m, const char *consumer) {
    char name[SLOT_NAME_MAX], anchor[SLOT_NAME_MAX];
    slot_name(name, SLOT_SITE, consumer);
    slot_name(anchor, SLOT_ANCHOR, consumer);
    return slot_of(m, name) || slot_of(m, anchor);
}

/* PostgreSQL answers there: the slots in its status are all that it has. */
static bool tells_its_slots(const struct member_status *m) {
    return m->state == STATE_RUNNING || m->state == STATE_STREAMING || m->state == STATE_ARCHIVE_RECOVERY;
}

/* A journal that was put back does not know the order that the site holds: what its servers have counts then, and one that
 * cannot tell may have any. */
static bool holds_slots_for(const struct site *s, const char *consumer) {
    if (s->held.present)
        return order_names(&s->held.order, consumer);
    for (uint32_t i = 0; s->report && i < s->report->member_count; i++) {
        const struct member_status *m = &s->report->members[i];
        if (has_slot_for(m, consumer) || (m->has_data && !tells_its_slots(m)))
            return true;
    }
    return false;
}

/* ---- sites ---- */

static bool is_blank(const struct report *r) {
    for (uint32_t i = 0; i < r->member_count; i++)
        if (r->members[i].has_data)
            return false;
    return r->store_ok && !r->has_order;
}

static void raise_stop(struct site_facts *out, const struct receipt *r) {
    if (r->kind != RECEIPT_STOPPED || epoch_compare(&out->stopped, &r->epoch) > 0)
        return;
    out->stopped = r->epoch;
    out->successor = r->successor;
}

static void add_decline(struct site_facts *out, const struct epoch *epoch, const struct epoch *next) {
    if (site_decline(out, epoch))
        return;
    if (out->decline_count == DECLINES_MAX) {
        memmove(out->declines, out->declines + 1, sizeof out->declines - sizeof out->declines[0]);
        out->decline_count--;
    }
    out->declines[out->decline_count++] = (struct decline_facts){*epoch, *next};
}

/* A decline counts from its receipt on: without it nobody could prove it. */
static void observe_receipts(const struct cluster *cluster, const struct site *s, struct site_facts *out) {
    for (uint32_t i = 0; i < cluster->receipt_count; i++) {
        const struct receipt *r = &cluster->receipts[i].receipt;
        if (!str_eq(r->site, s->name))
            continue;
        raise_stop(out, r);
        if (r->kind == RECEIPT_DECLINED)
            add_decline(out, &r->epoch, &r->successor);
    }
}

/* The difference of two positions that were both told just now. */
static int64_t lag_of(const struct cluster *cluster, uint32_t site) {
    int primary = cluster_primary(&cluster->view);
    if (primary == NOBODY || !cluster->view.sites[primary].fresh || !cluster->view.sites[site].fresh)
        return -1;
    const struct member_status *first = report_leader(cluster->sites[primary].report), *m = report_leader(cluster->sites[site].report);
    if (!first || !m || !first->lsn || !m->lsn)
        return -1;
    return first->lsn > m->lsn ? (int64_t)(first->lsn - m->lsn) : 0;
}

static bool is_paused(const struct member_status *m) { return m->replay_pause_state[0] && !str_eq(m->replay_pause_state, "not paused"); }

/* A person has aborted its bootstrap: it is not begun again at once, so that another operation finds room. What lies far in the
 * future was noted by a clock that was wrong. */
#define TAKEN_BACK_MS 600000
static bool was_taken_back(const struct cluster *cluster, const char *site) {
    for (uint32_t i = cluster->operation_count; i > 0; i--) {
        const struct operation *o = &cluster->operations[i - 1];
        if (o->kind == OP_BOOTSTRAP && str_eq(o->to, site))
            return o->state == OP_ABORTED && llabs(clock_wall_ms() - o->finished_at) < TAKEN_BACK_MS;
    }
    return false;
}

static void observe_site(const struct cluster *cluster, uint32_t i, const struct operation *op, int64_t now_ms, struct site_facts *out) {
    const struct site *s = &cluster->sites[i];
    const struct topology_site *t = &cluster->topology->sites[i];
    const struct report *r = s->report;
    str_copy(out->name, sizeof out->name, s->name);
    out->upstream = t->standby_given && t->standby.upstream[0] ? cluster_site_index(cluster, t->standby.upstream) : NOBODY;
    out->taken_back = was_taken_back(cluster, s->name);
    out->lag_bytes = -1;
    out->member_count = t->member_count;
    for (uint32_t m = 0; m < t->member_count; m++)
        observe_member(s, &t->members[m], &out->members[m]);
    observe_receipts(cluster, s, out);
    for (uint32_t y = 0; y < cluster->site_count; y++)
        out->holds_slots_for[y] = holds_slots_for(s, cluster->sites[y].name);
    if (!r)
        return;
    out->heard = true;
    out->blank = is_blank(r);
    out->fresh = now_ms - s->arrived_boot_ms < REPORT_FRESH_MS;
    out->speaks = r->speaks;
    out->lineage = r->lineage.count > 0;
    out->promised = r->vote.promised;
    out->asked = r->vote.asked;
    out->opened = r->vote.opened;
    out->known_opened = r->vote.known_opened;
    observe_orders(op, s, now_ms, out);
    const struct member_status *leader = report_leader(r);
    out->replay_paused = leader && is_paused(leader);
    out->blockers = leader ? leader->blockers : 0;
}

/* A moment of the journal on the clock that waits: found anew by each process, not moved by whoever sets the wall clock. */
static int64_t boot_moment(int64_t wall_ms, int64_t now_ms) { return now_ms + wall_ms - clock_wall_ms(); }

/* Of all orders with one serial the site took one: a report of this serial, or of a later one, tells which. */
static bool is_stop_out(const struct cluster *cluster, const struct operation *o, int from) {
    const struct report *r = cluster->sites[from].report;
    return o->stop_serial && !(r && r->has_order && r->order_serial >= o->stop_serial);
}

static void observe_operation(const struct cluster *cluster, struct operation *o, int64_t now_ms, struct op_facts *out) {
    out->from = out->to = NOBODY;
    if (!o)
        return;
    out->from = cluster_site_index(cluster, o->from);
    out->to = cluster_site_index(cluster, o->to);
    out->open = out->to != NOBODY && (o->kind != OP_SWITCHOVER || out->from != NOBODY);
    out->kind = o->kind;
    out->epoch = o->epoch;
    out->next = o->next;
    out->back = o->back;
    out->abort = o->abort;
    out->stop_out = out->open && out->from != NOBODY && is_stop_out(cluster, o, out->from);
    if (o->deadline_at && !o->deadline_boot_ms)
        o->deadline_boot_ms = boot_moment(o->deadline_at, now_ms);
    if (o->moved_at && !o->moved_boot_ms)
        o->moved_boot_ms = boot_moment(o->moved_at, now_ms);
    if (!o->got_on_boot_ms)
        o->got_on_boot_ms = now_ms;
    out->still_ms = now_ms - o->got_on_boot_ms;
    out->left_ms = o->deadline_at ? o->deadline_boot_ms - now_ms : INT32_MAX;
    out->moved_ms = o->moved_at ? now_ms - o->moved_boot_ms : 0;
}

/* Operators sign topologies one after the other, and each goes through this coordinator first (3.9). */
static bool is_behind(const struct cluster *cluster) {
    const struct topology *ours = cluster->topology;
    for (uint32_t i = 0; i < cluster->site_count; i++) {
        const struct report *r = cluster->sites[i].report;
        bool same = r && r->topology_version == ours->topology_version;
        if (r && (r->topology_version > ours->topology_version || (same && !str_eq(r->topology_hash, ours->hash))))
            return true;
    }
    return false;
}

/* First what each site says by itself, then what only follows from all of them. */
void cluster_observe(struct cluster *cluster) {
    struct cluster_view *v = &cluster->view;
    struct operation *op = cluster_open_operation(cluster);
    int64_t now_ms = clock_boot_ms();
    memset(v, 0, sizeof *v);
    v->outranked = cluster->outranked;
    v->behind = is_behind(cluster);
    v->young = now_ms - cluster->began_boot_ms < REPORT_FRESH_MS;
    v->store_empty = !cluster->marks.complete;
    v->epoch = cluster->marks.epoch;
    v->site_count = cluster->site_count;
    for (uint32_t i = 0; i < v->site_count; i++)
        observe_site(cluster, i, op, now_ms, &v->sites[i]);
    observe_operation(cluster, op, now_ms, &v->op);
    for (uint32_t i = 0; i < v->site_count; i++) {
        struct site_facts *s = &v->sites[i];
        const struct report *r = cluster->sites[i].report;
        s->lag_bytes = lag_of(cluster, i);
        compare_held(cluster, (int)i, s);
        for (uint32_t m = 0; m < s->member_count; m++) {
            const struct member_status *status = report_member(r, s->members[m].name);
            s->members[m].slots = status && all_slots_stand(cluster, (int)i, status);
        }
    }
}
