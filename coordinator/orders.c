/* Orders are made from what was decided: the intent says what and why, the rest (serial, base, slots, members, timelines,
 * proofs) follows from reports and topology. Signed, journaled with the commit of this turn, published after it, and
 * then kept as they are until the site has answered. */
#include "coordinator/coordinator.h"
#include "coordinator/decide/cluster.h"
#include "rt/clock.h"
#include "rt/failpoint.h"
#include <string.h>

#define ORDER_LIFE_MS 300000

static void add_slot(struct order *o, enum slot_kind kind, const char *consumer) {
    if (o->slot_count == ORDER_SLOTS_MAX)
        return;
    struct order_slot *slot = &o->slots[o->slot_count++];
    slot->kind = (int)kind;
    slot_name(slot->name, kind, consumer);
    str_copy(slot->site, sizeof slot->site, consumer);
}

void order_slots(const struct cluster *cluster, int site, struct order *o) {
    for (uint32_t y = 0; y < cluster->site_count; y++)
        if (cluster_slot_wanted(&cluster->view, site, (int)y)) {
            add_slot(o, SLOT_SITE, cluster->sites[y].name);
            add_slot(o, SLOT_ANCHOR, cluster->sites[y].name);
        }
}

static void add_member(struct order *o, const struct topology_member *m) {
    struct order_member *to = &o->upstream_members[o->upstream_member_count++];
    str_copy(to->name, sizeof to->name, m->name);
    str_copy(to->host, sizeof to->host, m->host);
    to->port = m->port;
}

/* The leader first: connections are tried in this order. */
void order_members(const struct cluster *cluster, int upstream, struct order *o) {
    const struct topology_site *t = &cluster->topology->sites[upstream];
    const struct report *r = cluster->sites[upstream].report;
    const char *leader = r ? r->leader : "";
    str_copy(o->upstream_site, sizeof o->upstream_site, t->name);
    for (uint32_t i = 0; i < t->member_count; i++)
        if (str_eq(t->members[i].name, leader))
            add_member(o, &t->members[i]);
    for (uint32_t i = 0; i < t->member_count; i++)
        if (!str_eq(t->members[i].name, leader))
            add_member(o, &t->members[i]);
}

static int64_t newest_timeline(const struct lineage *l) { return l->count ? l->entries[l->count - 1].timeline : 0; }

/* From the receipt of its opening or from its newest report, whichever knows more. */
bool order_lineage(const struct cluster *cluster, int upstream, struct lineage *out) {
    const struct site *s = &cluster->sites[upstream];
    const struct held_receipt *opened = cluster_receipt(cluster, RECEIPT_OPENED, &cluster->view.sites[upstream].opened);
    *out = (struct lineage){0};
    if (s->report)
        *out = s->report->lineage;
    if (opened && newest_timeline(&opened->receipt.lineage) > newest_timeline(out))
        *out = opened->receipt.lineage;
    return out->count > 0;
}

/* ---- proofs ---- */

static void add_proof(struct order *o, const char *envelope) {
    if (o->proof_count < PROOFS_MAX && str_copy(o->proofs[o->proof_count], PROOF_TEXT_MAX, envelope))
        o->proof_count++;
}

static void add_receipt(const struct cluster *cluster, struct order *o, enum receipt_kind kind, const struct epoch *epoch) {
    const struct held_receipt *r = cluster_receipt(cluster, kind, epoch);
    if (r)
        add_proof(o, r->envelope->at);
}

static void add_proofs(struct cluster *cluster, const struct order_intent *intent, const struct operation *op, struct order *o) {
    struct epoch highest = cluster_epoch(&cluster->view);
    if ((intent->proofs & PROVE_REQUEST) && op)
        add_proof(o, op->request);
    if ((intent->proofs & PROVE_STOPPED) && op)
        add_receipt(cluster, o, RECEIPT_STOPPED, &op->epoch);
    if ((intent->proofs & PROVE_DECLINED) && op)
        add_receipt(cluster, o, RECEIPT_DECLINED, &op->next);
    if (intent->proofs & PROVE_OPENED)
        add_receipt(cluster, o, RECEIPT_OPENED, &highest);
}

/* ---- making ---- */

/* The cluster's identity, as any of its sites knows it. */
static const char *system_id(const struct cluster *cluster) {
    for (uint32_t i = 0; i < cluster->site_count; i++)
        if (cluster->sites[i].report && cluster->sites[i].report->has_order && cluster->sites[i].report->system_id[0])
            return cluster->sites[i].report->system_id;
    return "";
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

/* The receiver judges expiry by its own clock, with a floor from what it accepted last (3.5), and tells it in its reports. A
 * wall clock here that was set back must not make every order look old there: no order is issued before what the site has
 * said or been told. But what was issued while a clock, here or there, was far ahead for a moment is forgotten: the site
 * would refuse everything until that time has come. */
#define CLOCK_AHEAD_MAX_MS 300000 /* the sites refuse what is further in their future */
static int64_t issued_at(const struct site *s) {
    int64_t known_ms = later(clock_wall_ms(), s->report->made_at + 1);
    int64_t told_ms = s->held.present ? later(s->held.order.issued, s->last_issued) : s->last_issued;
    return told_ms < known_ms + CLOCK_AHEAD_MAX_MS ? later(known_ms, told_ms + 1) : known_ms;
}

static void fill_identity(const struct coordinator *c, const struct cluster *cluster, const struct site *s, struct order *o) {
    const struct report *r = s->report;
    str_copy(o->cluster, sizeof o->cluster, cluster->name);
    str_copy(o->site, sizeof o->site, s->name);
    str_copy(o->coordinator, sizeof o->coordinator, c->config.name);
    o->coordinator_term = c->term;
    o->topology_version = cluster->topology->topology_version;
    o->serial = r->has_order ? r->order_serial + 1 : 1;
    str_copy(o->base, sizeof o->base, r->has_order ? r->order_hash : "none");
    o->issued = issued_at(s);
    o->expires = o->issued + ORDER_LIFE_MS;
}

static void fill(struct coordinator *c, struct cluster *cluster, const struct order_intent *intent, const struct operation *op, struct order *o) {
    fill_identity(c, cluster, &cluster->sites[intent->site], o);
    if (intent->kind != ORDER_BIRTH)
        str_copy(o->system_id, sizeof o->system_id, system_id(cluster));
    o->kind = intent->kind;
    o->role = intent->role;
    o->epoch = intent->epoch;
    o->successor = intent->successor;
    o->target = intent->target;
    o->checkpoint = intent->checkpoint;
    o->deadline_ms = intent->deadline_ms;
    if (intent->of_operation && op)
        str_copy(o->op, sizeof o->op, op->id);
    if (intent->upstream != NOBODY) {
        order_members(cluster, intent->upstream, o);
        order_lineage(cluster, intent->upstream, &o->upstream_lineage);
    }
    order_slots(cluster, intent->site, o);
    add_proofs(cluster, intent, op, o);
}

static bool sign(struct coordinator *c, struct issued *out, struct err *err) {
    STRBUF payload = {0};
    STRBUF envelope = {0};
    field_to_text(&order_table, &out->order, &payload);
    sign_hash((struct bytes){payload.at, payload.len}, out->hash);
    if (!envelope_sign((struct bytes){payload.at, payload.len}, ORDER_TYPE, c->key, 1, &envelope, err))
        return false;
    out->envelope = text_of(&envelope);
    out->present = true;
    return true;
}

/* A try after a refusal is no news for the audit log: its answer will be, when it is another one. */
static void tell_issued(struct coordinator *c, const struct cluster *cluster, const struct site *s, const char *rule, bool again) {
    const struct order *o = &s->pending.order;
    char epoch[EPOCH_TEXT_MAX];
    epoch_format(&o->epoch, epoch);
    if (again)
        log_info("a refused order is tried again", F_STR("cluster", cluster->name), F_STR("site", s->name), F_STR("rule", rule), F_STR("kind", order_kind_names[o->kind]), F_STR("epoch", epoch),
                 F_INT("serial", o->serial), F_STR("document", s->pending.hash));
    else
        note(c, cluster, c->config.name, "order issued", s->name, o->op, rule, s->pending.hash, "%s %s serial %lld", order_kind_names[o->kind], epoch, (long long)o->serial);
}

void order_issue(struct coordinator *c, struct cluster *cluster, const struct order_intent *intent, const char *rule) {
    struct site *s = &cluster->sites[intent->site];
    struct operation *op = cluster_open_operation(cluster);
    struct err err = {0};
    bool was_refused = s->refused;
    text_unref(s->pending.envelope);
    s->pending = (struct issued){0};
    s->refused = false;
    fill(c, cluster, intent, op, &s->pending.order);
    s->last_issued = s->pending.order.issued;
    if (!sign(c, &s->pending, &err)) {
        log_error("an order could not be signed", F_STR("site", s->name), F_STR("error", err.text));
        return;
    }
    FAILPOINT("order-signed");
    journal_order(c, cluster, s);
    if (intent->kind == ORDER_STOP && op) {
        op->stop_serial = s->pending.order.serial;
        journal_operation(c, cluster, op);
    }
    tell_issued(c, cluster, s, rule, was_refused && refusal_is_of(&s->refusal, &s->pending.order));
    cluster->changed = true;
}

void order_withdraw(struct coordinator *c, struct cluster *cluster, struct site *s) {
    text_unref(s->pending.envelope);
    s->pending = (struct issued){0};
    s->refused = false;
    journal_order(c, cluster, s);
    cluster->changed = true;
}
