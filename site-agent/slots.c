/* Which slots this member shall hold, and how they stand (design, section 5). The order names the site slots and the
 * anchors; the site's leader also holds one for each other member of its site. */
#include "rt/clock.h"
#include "site-agent/agent.h"
#include "site-agent/server.h"
#include <signal.h>
#include <string.h>

static const struct relay *relay_of(const struct agent *a, const char *site) {
    for (uint32_t i = 0; i < a->records.relay_count; i++)
        if (str_eq(a->records.relays[i].site, site))
            return &a->records.relays[i];
    return NULL;
}

static const struct pg_slot *held_slot(const struct agent *a, const char *name) {
    for (uint32_t i = 0; i < a->server.facts.slot_count; i++)
        if (str_eq(a->server.facts.slots[i].name, name))
            return &a->server.facts.slots[i];
    return NULL;
}

/* Or did, and nobody has taken its place: after a crash the leader comes up at rest and waits its own record out, and what
 * the others need must still be there when it leads again. */
static bool leads_its_members(const struct agent *a) {
    const struct records *r = &a->records;
    return lease_valid(&a->lease, clock_boot_ms()) || (r->has_lease && str_eq(r->lease.holder, a->state.instance));
}

uint32_t slots_wanted(struct agent *a, struct slot_wish *out, uint32_t max) {
    uint32_t count = 0;
    const struct order *o = &a->records.order;
    for (uint32_t i = 0; i < o->slot_count && count < max; i++, count++) {
        const struct relay *relay = relay_of(a, o->slots[i].site);
        out[count] = (struct slot_wish){.kind = (enum slot_kind)o->slots[i].kind, .needed = relay ? relay->redo : 0};
        str_copy(out[count].name, sizeof out[count].name, o->slots[i].name);
    }
    if (!leads_its_members(a))
        return count;
    for (uint32_t i = 0; i < a->site->member_count && count < max; i++) {
        if (str_eq(a->site->members[i].name, a->config.member))
            continue;
        out[count] = (struct slot_wish){.kind = SLOT_MEMBER, .consumed = true};
        slot_name(out[count++].name, SLOT_MEMBER, a->site->members[i].name);
    }
    return count;
}

/* What this server has, and so the furthest that a slot on it may stand. */
static lsn_t own_position(const struct pg_facts *f) { return f->in_recovery ? f->replay_lsn : f->flush_lsn; }

static bool is_lost(const struct pg_slot *s) { return str_eq(s->wal_status, "lost") && !s->active; }

/* A segment before the one that the consumer needs: its last record may be the first of a segment, a shutdown checkpoint behind
 * a segment switch always is, and alone it does not prove that the histories are one (4.3). 0: nothing is to be let go. */
static lsn_t advance_to(const struct agent *a, const struct slot_wish *w) {
    lsn_t segment = (lsn_t)a->server.control.wal_segment_size;
    if (!segment || w->needed < 2 * segment)
        return 0;
    return w->needed - w->needed % segment - segment;
}

static bool is_behind(const struct agent *a, const struct slot_wish *w, const struct pg_slot *s) {
    lsn_t to = advance_to(a, w);
    return to && !s->active && s->restart_lsn && s->restart_lsn < to && to <= own_position(&a->server.facts);
}

/* Ours by name, wanted by nobody, used by nobody; or past saving, to be made anew. */
static bool is_extra(const struct pg_slot *s, const struct slot_wish *wishes, uint32_t count) {
    if (!str_starts(s->name, "pgregent_") || s->active)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (str_eq(wishes[i].name, s->name))
            return is_lost(s);
    return true;
}

static bool has_site_slots(const struct member_status *m, const struct slot_wish *wishes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        bool found = wishes[i].kind == SLOT_MEMBER;
        for (uint32_t k = 0; k < m->slot_count; k++)
            found |= str_eq(m->slots[k].name, wishes[i].name);
        if (!found)
            return false;
    }
    return true;
}

/* The leader makes its site slots last: a standby reserves from its own restartpoint, which must not be too new. */
static bool others_have_theirs(const struct agent *a, const struct slot_wish *wishes, uint32_t count) {
    int64_t now_ms = clock_boot_ms();
    for (uint32_t i = 0; i < a->records.member_count; i++) {
        const struct member_status *m = &a->records.members[i];
        bool counts = !str_eq(m->name, a->config.member) && m->has_data && records_member_fresh(a, m->name, now_ms) &&
                      (m->state == STATE_RUNNING || m->state == STATE_STREAMING || m->state == STATE_ARCHIVE_RECOVERY);
        if (counts && !has_site_slots(m, wishes, count))
            return false;
    }
    return true;
}

void slots_view(struct agent *a, struct view *v) {
    struct slot_wish wishes[PG_SLOTS_MAX];
    uint32_t count = slots_wanted(a, wishes, PG_SLOTS_MAX);
    bool site_slot_missing = false;
    v->slots_missing = v->slots_extra = v->slots_behind = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct pg_slot *s = held_slot(a, wishes[i].name);
        v->slots_missing |= !s;
        site_slot_missing |= !s && wishes[i].kind != SLOT_MEMBER;
        v->slots_behind |= s && is_behind(a, &wishes[i], s);
    }
    for (uint32_t i = 0; i < a->server.facts.slot_count; i++)
        v->slots_extra |= is_extra(&a->server.facts.slots[i], wishes, count);
    v->slots_turn = !v->lease_valid || !site_slot_missing || others_have_theirs(a, wishes, count);
}

/* Protocol 4.7: a standby site has one slot here, and its new leader finds it held by the walsender of the old one. The
 * term in the site's signed report tells who is newer; the walsender of anybody else ends. A stuck one needs a second
 * SIGTERM, so this is repeated while the view shows it. */
void slots_free_stale(struct agent *a) {
    const struct pg_facts *f = &a->server.facts;
    for (uint32_t i = 0; i < a->records.order.slot_count && a->records.has_order && a->view.answers; i++) {
        const struct order_slot *slot = &a->records.order.slots[i];
        const struct relay *relay = relay_of(a, slot->site);
        for (uint32_t k = 0; k < f->sender_count && relay && relay->leader[0] && slot->kind == SLOT_SITE; k++) {
            const struct pg_sender *sender = &f->senders[k];
            if (!str_eq(sender->slot_name, slot->name) || str_eq(sender->application_name, relay->leader))
                continue;
            log_info("the walsender of a former leader is ended", F_STR("slot", slot->name), F_STR("of", sender->application_name), F_STR("leader", relay->leader));
            server_signal_child(a, sender->pid, SIGTERM);
        }
    }
}

/* ---- acting: one statement for all of a kind ---- */

static void on_slots(void *context, const struct pg_result *result) {
    struct agent *a = context;
    a->server.command_running = false;
    a->server.slots_done_ms = clock_boot_ms();
    a->server.facts_asked_ms = 0; /* look at once */
    if (!result->ok)
        agent_log_step(a, "replication slots", &result->err);
}

static void comma(struct strbuf *sql) { strbuf_add(sql, sql->len ? ", " : "SELECT "); }

static void add_creation(const struct slot_wish *w, struct strbuf *sql) {
    comma(sql);
    strbuf_add(sql, "pg_create_physical_replication_slot(");
    pg_literal(sql, w->name);
    strbuf_add(sql, ", true)");
}

static void add_advance(const struct agent *a, const struct slot_wish *w, struct strbuf *sql) {
    char lsn[LSN_TEXT_MAX];
    lsn_format(advance_to(a, w), lsn);
    comma(sql);
    strbuf_add(sql, "pg_replication_slot_advance(");
    pg_literal(sql, w->name);
    strbuf_addf(sql, ", '%s')", lsn);
}

static void add_drop(const char *name, struct strbuf *sql) {
    comma(sql);
    strbuf_add(sql, "pg_drop_replication_slot(");
    pg_literal(sql, name);
    strbuf_add(sql, ")");
}

#define SLOT_COMMAND_MS 5000
void act_slots(struct agent *a, enum step step) {
    if (a->server.command_running || a->server.facts_asked_ms <= a->server.slots_done_ms)
        return; /* what is known of the slots is older than the last change */
    struct slot_wish wishes[PG_SLOTS_MAX];
    uint32_t count = slots_wanted(a, wishes, PG_SLOTS_MAX);
    STRBUF sql = {0};
    for (uint32_t i = 0; i < count; i++) {
        const struct pg_slot *s = held_slot(a, wishes[i].name);
        if (step == STEP_CREATE_SLOTS && !s)
            add_creation(&wishes[i], &sql);
        if (step == STEP_ADVANCE_SLOTS && s && is_behind(a, &wishes[i], s))
            add_advance(a, &wishes[i], &sql);
    }
    for (uint32_t i = 0; step == STEP_DROP_SLOTS && i < a->server.facts.slot_count; i++)
        if (is_extra(&a->server.facts.slots[i], wishes, count))
            add_drop(a->server.facts.slots[i].name, &sql);
    if (!sql.len)
        return;
    a->server.command_running = true;
    pg_session_query(a->server.main, sql.at, NULL, 0, clock_boot_ms() + SLOT_COMMAND_MS, on_slots, a);
}
