/* The site's compare-and-swaps (protocol 1.1, 2.1, 3.2). Each expects exactly the bytes that were read, so whoever
 * changed anything in between wins and we look again. One swap is under way at a time. An outcome that is unknown
 * counts for nothing until the record is read back. */
#include "rt/clock.h"
#include "site-agent/agent.h"
#include <stdio.h>
#include <string.h>

#define SWAP_DEADLINE_MS 1000
#define SEQ_BLOCK 1000 /* sending numbers reserved durably at a time */

enum { KEYS_MAX = 10 };
struct swap {
    struct agent *agent;
    const char *what;
    struct store_op ops[KEYS_MAX];
    size_t count;
    struct strbuf values[KEYS_MAX];
    char keys[KEYS_MAX][128];
    bool sends_lease;
    struct lease lease;
    void (*done)(struct swap *s); /* after STORE_DONE */
    int64_t serial;
    char hash[HASH_TEXT_MAX];
};

static struct bytes text_of(const struct strbuf *b) { return (struct bytes){b->at, b->len}; }
static const struct bytes absent = {NULL, 0};

static struct strbuf *swap_key(struct swap *s, const char *key, struct bytes expect) {
    size_t i = s->count++;
    str_copy(s->keys[i], sizeof s->keys[i], key);
    s->ops[i] = (struct store_op){.key = s->keys[i], .expect = expect};
    return &s->values[i];
}

static void on_swapped(void *context, const struct store_answer *answer) {
    struct swap *s = context;
    struct agent *a = s->agent;
    a->swap_pending = false;
    if (answer->outcome == STORE_DONE) {
        records_heard_revision(&a->records, answer->revision);
        if (s->sends_lease)
            lease_confirmed(&a->lease, &s->lease, clock_boot_ms());
        if (s->done)
            s->done(s);
        records_read(a);
        server_set_deadline(a);
    } else {
        struct err err = answer->err;
        if (answer->outcome == STORE_BEATEN)
            err_set(&err, ERR_CONFLICT, "somebody else changed the site's records first");
        agent_log_step(a, s->what, &err);
    }
    for (size_t i = 0; i < s->count; i++)
        strbuf_free(&s->values[i]);
}

/* The swap struct lives on the caller's stack: the embedded store answers before store_swap returns. */
static void swap_send(struct swap *s) {
    struct agent *a = s->agent;
    for (size_t i = 0; i < s->count; i++)
        if (s->values[i].at)
            s->ops[i].value = text_of(&s->values[i]);
    int64_t now_ms = clock_boot_ms();
    if (s->sends_lease) {
        lease_sending(&a->lease, &s->lease, now_ms);
        server_set_deadline(a); /* a shorter length binds now, whatever becomes of this process */
    }
    a->swap_pending = true;
    store_swap(a->store, s->ops, s->count, now_ms + SWAP_DEADLINE_MS, on_swapped, s);
}

/* A sending number may never be used twice, also after a restart: it is reserved on disk before it is used. */
static bool reserve_seq(struct agent *a) {
    if (a->lease.seq_next < a->state.seq_reserved)
        return true;
    a->state.seq_reserved = a->lease.seq_next + SEQ_BLOCK;
    struct err err = {0};
    if (state_save(a->config.state_dir, &a->state, &err))
        return true;
    agent_log_step(a, "reserve sending numbers", &err);
    return false;
}

static void put_table(struct strbuf *to, const struct fields *table, const void *value) {
    strbuf_reset(to);
    field_to_text(table, value, to);
}

static void add_lease(struct swap *s, const struct lease *lease) {
    struct records *r = &s->agent->records;
    s->lease = *lease;
    s->sends_lease = true;
    put_table(swap_key(s, "site/lease", r->has_lease ? text_of(&r->lease_text) : absent), &lease_table, lease);
}

static void add_vote(struct swap *s, const struct vote *vote) {
    struct records *r = &s->agent->records;
    put_table(swap_key(s, "site/vote", r->has_vote ? text_of(&r->vote_text) : absent), &vote_table, vote);
}

/* Only compares: the order must still be the one that was judged. */
static void expect_order(struct swap *s) {
    struct records *r = &s->agent->records;
    swap_key(s, "site/order", r->has_order ? text_of(&r->order_text) : absent);
    s->ops[s->count - 1].value = s->ops[s->count - 1].expect;
}

static void remove_key(struct swap *s, const char *key, struct bytes expect) { swap_key(s, key, expect); }

/* The store keeps the newest receipts. A decline above the opened epoch still leads somewhere: it stays. */
#define RECEIPTS_KEPT 8
static void prune_receipts(struct swap *s) {
    struct records *r = &s->agent->records;
    if (r->receipt_count < RECEIPTS_KEPT || epoch_compare(&r->receipts[0].epoch, &r->vote.known_opened) >= 0)
        return;
    remove_key(s, r->oldest_receipt_key, text_of(&r->oldest_receipt));
}

static void add_receipt(struct swap *s, struct receipt *receipt) {
    struct agent *a = s->agent;
    prune_receipts(s);
    const struct records *r = &a->records;
    receipt->made_at = agent_wall_ms(a);
    if (r->receipt_count && receipt->made_at <= r->receipts[r->receipt_count - 1].made_at)
        receipt->made_at = r->receipts[r->receipt_count - 1].made_at + 1; /* keys sort by time: the newest comes last, whatever the clock says */
    str_copy(receipt->cluster, sizeof receipt->cluster, a->config.cluster);
    str_copy(receipt->site, sizeof receipt->site, a->config.site);
    str_copy(receipt->member, sizeof receipt->member, a->config.member);
    str_copy(receipt->system_id, sizeof receipt->system_id, a->records.system_id);
    str_copy(receipt->order, sizeof receipt->order, a->records.order_hash);
    char key[80];
    static const char *const kinds[] = {"stopped", "declined", "opened"};
    snprintf(key, sizeof key, "site/receipt/%013lld-%06lld-%s", (long long)receipt->made_at, (long long)a->records.order.serial, kinds[receipt->kind]);
    put_table(swap_key(s, key, absent), &receipt_table, receipt);
}

/* ---- the lease ---- */

/* A hold is made shorter only when the dead-man can be told at once (1.2), and while no voucher of ours runs: who leads here next
 * knows nothing of it and waits for no more than the length in the record (2.8b). */
static int64_t length_to_send(const struct agent *a, int64_t now_ms) {
    const struct server *s = &a->server;
    int64_t ttl_ms = a->site->local.ttl_ms, held_ms = a->records.lease.length_ms;
    bool lengthens = !a->records.has_lease || ttl_ms >= held_ms || !lease_valid(&a->lease, now_ms);
    bool can_tell = s->deadman && s->status_known && deadman_alive(s->deadman) && !s->start_id;
    return lengthens || (can_tell && now_ms >= a->state.vouch_until_boot_ms) ? ttl_ms : held_ms;
}

static void write_electors(const struct agent *a, struct lease *lease, int64_t now_ms) {
    for (uint32_t i = 0; i < a->site->member_count; i++) {
        const struct member_status *m = records_member(a, a->site->members[i].name);
        if (!m || !m->instance[0] || !records_member_fresh(a, m->name, now_ms))
            continue;
        bool listed = false;
        for (uint32_t k = 0; k < lease->elector_count; k++)
            listed |= str_eq(lease->electors[k], m->instance);
        if (!listed && lease->elector_count < ELECTORS_MAX)
            str_copy(lease->electors[lease->elector_count++], INSTANCE_MAX, m->instance);
    }
}

/* A term of ours stands in the record: what a restarted agent needs to go on with it (1.6), and how it began (2.8). A term
 * begins at a random number; one that went on below it would look older than the record, and unmoved to who waits. */
void hold_remember(struct agent *a, bool birth) {
    const struct lease_memory *m = &a->lease;
    if (!m->holding || (a->state.term_count == m->term_count && str_eq(a->state.term_random, m->term_random)))
        return;
    a->state.term_count = m->term_count;
    str_copy(a->state.term_random, sizeof a->state.term_random, m->term_random);
    str_copy(a->state.store_id, sizeof a->state.store_id, a->records.lease.store_id);
    a->state.hold_watched = birth || m->took_by_watching;
    if (a->state.seq_reserved < m->seq_next)
        a->state.seq_reserved = m->seq_next;
    struct err err = {0};
    if (!state_save(a->config.state_dir, &a->state, &err))
        agent_log_step(a, "remember the term", &err);
}

void swap_take(struct agent *a) {
    unsigned char random[8];
    int64_t random_seq;
    clock_random(random, sizeof random);
    clock_random(&random_seq, sizeof random_seq);
    char term_random[20];
    str_hex(term_random, random, sizeof random);
    struct swap s = {.agent = a, .what = "take the site lease"};
    struct lease lease;
    /* random, yet small enough that counting on from it never overflows */
    lease_make_acquisition(&a->lease, a->state.instance, a->config.member, term_random, random_seq & 0xffffffffffff, a->site->local.ttl_ms, &lease);
    add_lease(&s, &lease);
    swap_send(&s);
}

void swap_renew(struct agent *a) {
    if (!reserve_seq(a))
        return;
    struct swap s = {.agent = a, .what = "renew the site lease"};
    struct lease lease;
    int64_t now_ms = clock_boot_ms();
    lease_make_renewal(&a->lease, length_to_send(a, now_ms), &lease);
    write_electors(a, &lease, now_ms);
    add_lease(&s, &lease);
    swap_send(&s);
}

/* ---- the site's birth (3.8) ---- */

static void remember_order(struct swap *s) {
    struct agent *a = s->agent;
    a->candidate.present = false;
    a->uplink.refused_hash[0] = a->uplink.refused_reason[0] = 0; /* what was refused before it says nothing any more */
    log_info("order accepted", F_STR("order", s->hash), F_INT("serial", s->serial));
}

static void remember_birth(struct swap *s) {
    remember_order(s);
    hold_remember(s->agent, true);
}

void swap_create_site(struct agent *a) {
    const struct order *o = &a->candidate.order;
    struct swap s = {.agent = a, .what = "write the site's first records", .done = remember_birth, .serial = o->serial};
    str_copy(s.hash, sizeof s.hash, a->candidate.hash);
    unsigned char id[16], term[8];
    clock_random(id, sizeof id);
    clock_random(term, sizeof term);
    struct lease lease = {.term_count = 1, .seq = 1, .length_ms = a->site->local.ttl_ms, .state = LEASE_HELD, .epoch = o->epoch, .serial = o->serial, .elector_count = 1};
    str_hex(lease.store_id, id, sizeof id);
    str_hex(lease.term_random, term, sizeof term);
    str_copy(lease.holder, sizeof lease.holder, a->state.instance);
    str_copy(lease.holder_member, sizeof lease.holder_member, a->config.member);
    str_copy(lease.electors[0], INSTANCE_MAX, a->state.instance);
    struct vote vote = {.promised = o->epoch, .mode = VOTE_MANUAL};
    add_lease(&s, &lease);
    add_vote(&s, &vote);
    strbuf_add_bytes(swap_key(&s, "site/order", absent), a->candidate.text.at, a->candidate.text.len);
    if (o->system_id[0])
        strbuf_add(swap_key(&s, "site/system_id", absent), o->system_id);
    swap_send(&s);
}

void swap_system_id(struct agent *a, const char *system_id) {
    struct swap s = {.agent = a, .what = "record the system identifier"};
    struct records *r = &a->records;
    strbuf_add(swap_key(&s, "site/system_id", r->system_id[0] ? text_of(&r->system_id_text) : absent), system_id);
    expect_order(&s);
    swap_send(&s);
}

/* ---- orders ---- */

static void raise_epoch(struct epoch *mark, const struct epoch *e) {
    if (epoch_compare(mark, e) < 0)
        *mark = *e;
}

/* Whoever stopped in an epoch had opened it: the judge counts it so, and so must what closes it later. */
static void note_opened_elsewhere(struct vote *vote, const struct proofs *proofs) {
    for (uint32_t i = 0; i < proofs->receipt_count; i++)
        if (proofs->receipts[i].kind != RECEIPT_DECLINED)
            raise_epoch(&vote->known_opened, &proofs->receipts[i].epoch);
}

/* A decline burns the epoch in one swap and names the one epoch that the receipt passes to (2.5d). */
static void burn(struct vote *vote, const struct epoch *epoch, const struct epoch *next) {
    if (vote->declined_count == DECLINED_MAX) {
        memmove(vote->declined, vote->declined + 1, sizeof vote->declined - sizeof vote->declined[0]);
        vote->declined_count--;
    }
    vote->declined[vote->declined_count++] = (struct vote_decline){*epoch, *next};
}

static void add_decline(struct swap *s, struct vote *vote, const struct epoch *epoch, const struct epoch *next) {
    if (vote_find_decline(vote, epoch))
        return; /* repeated, never changed */
    burn(vote, epoch, next);
    struct receipt receipt = {.kind = RECEIPT_DECLINED, .epoch = *epoch, .successor = *next};
    add_receipt(s, &receipt);
}

void swap_accept(struct agent *a) {
    const struct order *o = &a->candidate.order;
    struct records *r = &a->records;
    struct swap s = {.agent = a, .what = "accept the order", .done = remember_order, .serial = o->serial};
    str_copy(s.hash, sizeof s.hash, a->candidate.hash);
    if (!reserve_seq(a))
        return;
    struct vote vote = r->vote;
    raise_epoch(&vote.promised, &o->epoch);
    note_opened_elsewhere(&vote, &a->candidate.proofs);
    if (o->role == SITE_STANDBY && o->upstream_site[0] && str_eq(o->epoch.site, o->upstream_site) && o->kind == ORDER_FOLLOW)
        raise_epoch(&vote.known_opened, &o->epoch);
    if (o->kind == ORDER_ABORT && o->role == SITE_STANDBY)
        add_decline(&s, &vote, &o->epoch, &o->successor);
    struct lease lease;
    lease_make_renewal(&a->lease, length_to_send(a, clock_boot_ms()), &lease);
    lease.epoch = vote.promised;
    lease.serial = o->serial;
    add_lease(&s, &lease);
    add_vote(&s, &vote);
    strbuf_add_bytes(swap_key(&s, "site/order", text_of(&r->order_text)), a->candidate.text.at, a->candidate.text.len);
    swap_send(&s);
}

/* By itself: the order's time ran out before the point of no return. The receipt passes back to the old primary's site. */
void swap_decline(struct agent *a) {
    const struct order *o = &a->records.order;
    const struct receipt *stopped = NULL;
    struct swap s = {.agent = a, .what = "decline the epoch"};
    struct vote vote = a->records.vote;
    char reason[192];
    if (o->kind != ORDER_PROMOTE || epoch_compare(&vote.asked, &o->epoch) >= 0 ||
        !promotion_is_closed(&vote.known_opened, &o->epoch, &a->records.proofs, &stopped, reason, sizeof reason))
        return;
    struct epoch next = {.generation = o->epoch.generation, .step = o->epoch.step + 1};
    str_copy(next.site, sizeof next.site, stopped->site);
    add_decline(&s, &vote, &o->epoch, &next);
    add_vote(&s, &vote);
    expect_order(&s);
    swap_send(&s);
}

static void add_stop_state(struct swap *s, const char *state) {
    char key[128];
    struct records *r = &s->agent->records;
    if (r->old_stop_key[0])
        remove_key(s, r->old_stop_key, (struct bytes){r->old_stop_state, strlen(r->old_stop_state)});
    snprintf(key, sizeof key, "site/stop/%s", s->agent->records.order_hash);
    strbuf_add(swap_key(s, key, absent), state);
}

/* Receipt or drop: one key, written once, decides which (2.5b, 2.5c). */
void swap_drop_stop(struct agent *a) {
    struct swap s = {.agent = a, .what = "drop the stop request"};
    add_stop_state(&s, "dropped");
    expect_order(&s);
    swap_send(&s);
}

void swap_store_receipt(struct agent *a) {
    const struct order *o = &a->records.order;
    struct server *server = &a->server;
    struct pg_wal_record record;
    struct err err = {0};
    char wal_dir[512];
    snprintf(wal_dir, sizeof wal_dir, "%s/pg_wal", a->member->postgresql.data_dir);
    struct pg_control control; /* once more, and from the file: what is signed is what is on disk now */
    if (!pg_control_read(a->member->postgresql.data_dir, &control, &err) ||
        !pg_wal_read_record(wal_dir, control.wal_segment_size, control.timeline, control.checkpoint, &record, &err)) {
        agent_log_step(a, "read the shutdown checkpoint", &err);
        return;
    }
    char system_id[SYSTEM_ID_MAX];
    snprintf(system_id, sizeof system_id, "%llu", (unsigned long long)control.system_identifier);
    if (!str_eq(system_id, a->records.system_id))
        return;
    if (control.state != PG_SHUT_DOWN || pg_wal_kind(&record) != PG_WAL_CHECKPOINT_SHUTDOWN)
        return;
    struct swap s = {.agent = a, .what = "store the receipt"};
    struct receipt receipt = {.kind = RECEIPT_STOPPED, .epoch = o->epoch, .successor = o->successor, .timeline = control.timeline,
                              .checkpoint = control.checkpoint, .end = record.end, .crc = record.crc, .lineage = a->state.lineage,
                              .writes_refused_at = server->stop_sent_wall_ms};
    struct vote vote = a->records.vote;
    add_receipt(&s, &receipt);
    add_stop_state(&s, "receipt");
    add_vote(&s, &vote);
    expect_order(&s);
    swap_send(&s);
}

/* The point of no return (2.5a, 2.6f): judged again here, in the call that sends it. */
void swap_ask(struct agent *a) {
    struct records *r = &a->records;
    const struct epoch *e = &r->order.epoch;
    const struct receipt *stopped;
    char reason[192];
    int64_t now_ms = clock_boot_ms();
    if (!lease_valid(&a->lease, now_ms) || vote_find_decline(&r->vote, e) || epoch_compare(&r->vote.asked, e) >= 0 ||
        epoch_compare(&r->vote.promised, e) > 0 || now_ms < a->state.vouch_until_boot_ms)
        return;
    if (!promotion_is_closed(&r->vote.known_opened, e, &r->proofs, &stopped, reason, sizeof reason)) {
        log_error("the promotion is not closed any more", F_STR("reason", reason));
        return;
    }
    struct swap s = {.agent = a, .what = "write asked"};
    struct vote vote = r->vote;
    vote.asked = *e;
    raise_epoch(&vote.promised, e);
    add_vote(&s, &vote);
    expect_order(&s);
    swap_send(&s);
}

void swap_opened(struct agent *a) {
    struct records *r = &a->records;
    const struct epoch *e = &r->order.epoch;
    const struct lineage *l = &a->state.lineage;
    struct swap s = {.agent = a, .what = "record that the epoch is open"};
    struct vote vote = r->vote;
    raise_epoch(&vote.opened, e);
    raise_epoch(&vote.asked, e);
    raise_epoch(&vote.promised, e);
    raise_epoch(&vote.known_opened, e);
    struct receipt receipt = {.kind = RECEIPT_OPENED, .epoch = *e, .lineage = *l, .writes_accepted_at = a->server.writable_wall_ms};
    if (l->count) {
        receipt.timeline = l->entries[l->count - 1].timeline;
        receipt.end = l->entries[l->count - 1].begin;
    }
    add_vote(&s, &vote);
    add_receipt(&s, &receipt);
    expect_order(&s);
    swap_send(&s);
}

/* ---- a key of our own: nobody else writes it, so whatever is there is replaced ---- */

struct put {
    struct agent *agent;
    const char *key, *value;
    bool again;
};
static void on_put(void *context, const struct store_answer *answer) {
    struct put *p = context;
    p->again = answer->outcome == STORE_BEATEN;
}
static void on_found(void *context, const struct store_answer *answer) {
    struct put *p = context;
    if (answer->outcome != STORE_DONE)
        return;
    struct store_op op = {.key = p->key, .value = {p->value, strlen(p->value)}};
    if (answer->count && str_eq(answer->entries[0].key, p->key))
        op.expect = answer->entries[0].value;
    store_swap(p->agent->store, &op, 1, clock_boot_ms() + SWAP_DEADLINE_MS, on_put, p);
}
void swap_publish(struct agent *a, const char *key, const char *value) {
    struct put p = {a, key, value, true};
    for (int tries = 0; tries < 2 && p.again; tries++) {
        p.again = false;
        store_read(a->store, key, clock_boot_ms() + SWAP_DEADLINE_MS, on_found, &p);
    }
}
