/* Whom this member follows: the site's leader follows the site that the order names, or a member of its own that has what it
 * lacks; everybody else follows the site's leader. A replica never drops a working connection because it knows less: with no
 * leader known it stays as it is. */
#include "rt/clock.h"
#include "site-agent/agent.h"
#include "wire/sign.h"
#include <string.h>

/* What an attach verdict is for: the history that would be followed, by its newest content. */
static void lineage_key(const char *target, const struct lineage *l, char to[HASH_TEXT_MAX]) {
    const struct lineage_entry *newest = l->count ? &l->entries[l->count - 1] : NULL;
    STRBUF text = {0};
    strbuf_addf(&text, "%s %lld %s", target, newest ? (long long)newest->timeline : 0, newest ? newest->fingerprint : "");
    sign_hash((struct bytes){text.at, text.len}, to);
}

static void hosts_and_ports(const struct order_member *members, uint32_t count, struct strbuf *hosts, struct strbuf *ports) {
    for (uint32_t i = 0; i < count; i++) {
        strbuf_addf(hosts, "%s%s", i ? "," : "", members[i].host);
        strbuf_addf(ports, "%s%lld", i ? "," : "", (long long)members[i].port);
    }
}

static bool receives_from(const struct pg_facts *f, const struct order_member *members, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (f->receiver_port == members[i].port && str_eq(f->receiver_host, members[i].host))
            return true;
    return false;
}

/* Certificates on both ends; the name is an address, so nothing is resolved. */
static void compose_conninfo(const struct agent *a, const struct order_member *members, uint32_t count, struct upstream *out) {
    STRBUF hosts = {0};
    STRBUF ports = {0};
    STRBUF text = {0};
    hosts_and_ports(members, count, &hosts, &ports);
    pg_conninfo_add(&text, "host", hosts.at);
    pg_conninfo_add(&text, "port", ports.at);
    pg_conninfo_add(&text, "user", "pgregent_repl");
    pg_conninfo_add(&text, "application_name", a->config.member);
    pg_conninfo_add(&text, "sslmode", "verify-full");
    pg_conninfo_add(&text, "sslcert", a->config.replication.certificate);
    pg_conninfo_add(&text, "sslkey", a->config.replication.key);
    pg_conninfo_add(&text, "sslrootcert", a->config.tls.ca);
    pg_conninfo_add(&text, "gssencmode", "disable");
    pg_conninfo_add(&text, "connect_timeout", "5");
    out->known = str_copy(out->conninfo, sizeof out->conninfo, text.at);
    out->received = receives_from(&a->server.facts, members, count);
}

static void from_order(const struct agent *a, struct upstream *out) {
    const struct order *o = &a->records.order;
    out->wanted = o->upstream_site[0] && o->upstream_member_count;
    if (!out->wanted)
        return;
    str_copy(out->target, sizeof out->target, o->upstream_site);
    for (uint32_t i = 0; i < o->upstream_member_count; i++)
        str_copy(out->target + strlen(out->target), sizeof out->target - strlen(out->target), " "),
            str_copy(out->target + strlen(out->target), sizeof out->target - strlen(out->target), o->upstream_members[i].name);
    compose_conninfo(a, o->upstream_members, o->upstream_member_count, out);
    slot_name(out->slot, SLOT_SITE, a->config.site);
    out->lineage = o->upstream_lineage;
    out->slot_ready = out->alive = true; /* the coordinator orders nobody to follow before the slots stand */
}

/* A member of our own site; false if it is nobody, or ourselves. */
static bool from_member(const struct agent *a, const char *name, struct upstream *out) {
    const struct topology_member *t = topology_member(a->topology, a->config.site, name);
    out->wanted = t && records_member(a, name) && !str_eq(name, a->config.member);
    if (!out->wanted)
        return false;
    struct order_member member = {.port = t->port};
    str_copy(member.host, sizeof member.host, t->host);
    str_copy(out->target, sizeof out->target, name);
    compose_conninfo(a, &member, 1, out);
    return true;
}

static bool can_be_followed(const struct agent *a, const struct member_status *m) {
    return records_member_fresh(a, m->name, clock_boot_ms()) &&
           (m->state == STATE_RUNNING || m->state == STATE_STREAMING || m->state == STATE_ARCHIVE_RECOVERY);
}

static void from_leader(const struct agent *a, struct upstream *out) {
    const struct records *r = &a->records;
    const char *leader = r->has_lease ? r->lease.holder_member : "";
    if (!from_member(a, leader, out))
        return;
    const struct member_status *m = records_member(a, leader);
    slot_name(out->slot, SLOT_MEMBER, a->config.member);
    out->lineage = r->leader_lineage;
    out->alive = r->has_leader_lineage && can_be_followed(a, m);
    for (uint32_t i = 0; i < m->slot_count; i++)
        out->slot_ready |= str_eq(m->slots[i].name, out->slot);
}

/* The receipt that this leader is to open by, while its server lacks WAL before the receipt's end. */
static const struct receipt *lacking(const struct agent *a) {
    const struct receipt *stopped = NULL;
    char reason[192];
    if (!a->view.answers || a->view.closing != CLOSING_BEFORE)
        return NULL;
    bool closed = promotion_is_closed(&a->records.vote.known_opened, &a->records.order.epoch, &a->records.proofs, &stopped, reason, sizeof reason);
    return closed ? stopped : NULL;
}

/* Protocol 4.6: who leads now may have less than another member, the former leader above all. An order that gives the
 * primacy back names nobody, and the site that it names may be out of reach: a member that has exactly what the receipt
 * says has all that is needed. Without a slot, as nobody is ordered to keep one there. */
static void from_complete_member(const struct agent *a, struct upstream *out) {
    const struct receipt *stopped = lacking(a);
    bool sends = out->received && str_eq(a->server.facts.receiver_status, "streaming");
    for (uint32_t i = 0; stopped && !sends && i < a->records.member_count; i++) {
        const struct member_status *m = &a->records.members[i];
        struct upstream from = {0};
        if (!can_be_followed(a, m) || m->timeline != stopped->timeline || m->lsn != stopped->end || !from_member(a, m->name, &from))
            continue;
        from.alive = true;
        from.lineage = stopped->lineage;
        *out = from;
        return;
    }
}

void upstream_of(struct agent *a, struct upstream *out) {
    memset(out, 0, sizeof *out);
    if (!a->topology || !a->records.has_order)
        return;
    if (!lease_valid(&a->lease, clock_boot_ms())) {
        from_leader(a, out);
    } else {
        from_order(a, out);
        from_complete_member(a, out);
    }
    out->received &= str_eq(a->server.facts.receiver_slot, out->slot);
    lineage_key(out->target, &out->lineage, out->key);
    sign_hash((struct bytes){out->target, strlen(out->target)}, out->target_key);
}
