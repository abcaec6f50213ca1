/* The site's records as last read from its store. Reading authorises nothing: every act that follows goes through a
 * swap that expects exactly these bytes (swap.c).
 *
 *   site/lease site/vote site/order site/system_id site/lineage site/topology
 *   site/stop/ORDER-HASH          what became of a stop order: receipt | dropped
 *   site/receipt/TIME-KIND        receipts, oldest first
 *   members/NAME                  each member's own status
 *   relay/SITE                    what another site said, distilled by the leader
 */
#include "rt/clock.h"
#include "site-agent/agent.h"
#include <stdio.h>
#include <string.h>

static void keep(struct strbuf *to, struct bytes value) {
    strbuf_reset(to);
    strbuf_add_bytes(to, value.at, value.len);
}

static bool same(const struct strbuf *held, struct bytes value) {
    return held->at && held->len == value.len && !memcmp(held->at, value.at, value.len);
}

/* A record that cannot be parsed is worse than none: it is reported, and everything that would swap it away is beaten. */
static void complain(struct agent *a, const char *key, const struct err *err) {
    if (str_eq(a->store_error, err->text))
        return;
    str_copy(a->store_error, sizeof a->store_error, err->text);
    log_error("record in the store cannot be read", F_STR("key", key), F_STR("error", err->text));
}

/* The floor of our clock (3.5) never rises far above it: a coordinator whose clock is ahead must not stop us for hours. */
static void raise_marks(struct agent_state *s, const struct order *o) {
    int64_t most_ms = clock_wall_ms() + CLOCK_AHEAD_MAX_MS, issued = o->issued < most_ms ? o->issued : most_ms;
    if (epoch_compare(&s->epoch, &o->epoch) < 0)
        s->epoch = o->epoch;
    if (s->serial < o->serial)
        s->serial = o->serial;
    if (s->last_wall_ms < issued)
        s->last_wall_ms = issued;
}

static void order_copy_path(const struct agent *a, char to[512]) { snprintf(to, 512, "%s/order.dsse", a->config.state_dir); }

/* Every member keeps a durable copy of what its site obeys; it is the mark below which the store may never fall again
 * (1.6). Until it is on disk the member does not act on the order: it still sees the old one. An order below the marks is
 * a store that went back: it is looked at, and never kept in place of the newer one. */
static bool mark_order(struct agent *a, const struct order *o, struct bytes envelope) {
    struct err err = {0};
    char path[512];
    if (o->serial < a->state.serial || epoch_compare(&o->epoch, &a->state.epoch) < 0)
        return true;
    order_copy_path(a, path);
    if (!file_write(path, envelope.at, envelope.len, 0600, &err)) {
        complain(a, "site/order", &err);
        a->records.retry = true;
        return false;
    }
    raise_marks(&a->state, o);
    return true;
}

/* At the start: our own copy lies in a private directory and is believed as far as its form is right. */
bool records_load_marks(struct agent *a, struct err *err) {
    char path[512];
    STRBUF text = {0};
    struct err missing = {0};
    order_copy_path(a, path);
    if (!file_read(path, ENVELOPE_TEXT_MAX, &text, &missing))
        return missing.code == ERR_NOT_FOUND || err_set(err, missing.code, "%s", missing.text);
    ENVELOPE envelope = {0};
    struct order *o = rt_alloc(sizeof *o);
    bool fine = envelope_open((struct bytes){text.at, text.len}, ORDER_TYPE, &envelope, err) &&
                field_from_json(&order_table, path, (struct bytes){envelope.payload.at, envelope.payload.len}, o, err);
    if (fine)
        raise_marks(&a->state, o);
    rt_free(o);
    return fine || err_wrap(err, "%s is damaged: remove it only if the site's other members have theirs", path);
}

static void read_order(struct agent *a, struct bytes value) {
    struct records *r = &a->records;
    if (r->has_order && same(&r->order_text, value))
        return;
    struct err err = {0};
    LARGE_LOCAL struct order order;
    LARGE_LOCAL struct proofs proofs;
    char hash[HASH_TEXT_MAX];
    const struct candidate *c = &a->candidate;
    if (c->present && same(&c->text, value)) { /* what came by poll was verified then */
        order = c->order;
        proofs = c->proofs;
        str_copy(hash, sizeof hash, c->hash);
        r->order_unreadable = false;
    } else {
        r->order_unreadable = !a->topology || !verify_order(value, a->topology, &order, &proofs, hash, &err);
    }
    if (r->order_unreadable) {
        complain(a, "site/order", &err);
        r->has_order = false;
        return;
    }
    if (!mark_order(a, &order, value))
        return; /* the old one stays in view: what is not on disk is not acted on */
    r->order = order;
    r->proofs = proofs;
    str_copy(r->order_hash, sizeof r->order_hash, hash);
    keep(&r->order_text, value);
    r->has_order = true;
    r->order_seen_boot_ms = clock_boot_ms();
}

static void read_record(struct agent *a, const struct fields *table, const char *key, struct bytes value, struct strbuf *text, void *out, bool *has) {
    if (*has && same(text, value))
        return;
    struct err err = {0};
    *has = field_from_json(table, key, value, out, &err);
    if (!*has)
        complain(a, key, &err);
    keep(text, value);
}

static void read_member(struct agent *a, const char *key, struct bytes value, int64_t now_ms) {
    struct records *r = &a->records;
    struct err err = {0};
    LARGE_LOCAL struct member_status seen;
    if (!field_from_json(&member_status_table, key, value, &seen, &err)) {
        complain(a, key, &err);
        return;
    }
    uint32_t i = 0;
    while (i < r->member_count && !str_eq(r->members[i].name, seen.name))
        i++;
    if (i == MEMBERS_MAX)
        return;
    if (i == r->member_count)
        r->member_count++;
    else if (r->members[i].beat == seen.beat && str_eq(r->members[i].instance, seen.instance))
        return;
    r->members[i] = seen;
    r->member_changed_boot_ms[i] = now_ms;
}

static void read_relay(struct agent *a, const char *key, struct bytes value) {
    struct records *r = &a->records;
    struct relay seen;
    struct err err = {0};
    if (!field_from_json(&relay_table, key, value, &seen, &err)) {
        complain(a, key, &err);
        return;
    }
    uint32_t i = 0;
    while (i < r->relay_count && !str_eq(r->relays[i].site, seen.site))
        i++;
    if (i == RELAYS_MAX)
        return;
    if (i == r->relay_count)
        r->relay_count++;
    r->relays[i] = seen;
}

static void read_receipt(struct agent *a, const char *key, struct bytes value) {
    struct records *r = &a->records;
    struct err err = {0};
    if (!r->oldest_receipt_key[0]) {
        keep(&r->oldest_receipt, value);
        str_copy(r->oldest_receipt_key, sizeof r->oldest_receipt_key, key);
    }
    if (r->receipt_count < REPORT_RECEIPTS_MAX && str_eq(r->receipt_keys[r->receipt_count], key)) {
        r->receipt_count++; /* receipts never change: this one was parsed before */
        return;
    }
    if (r->receipt_count == REPORT_RECEIPTS_MAX) { /* keys sort by time: the oldest gives way */
        memmove(r->receipts, r->receipts + 1, sizeof r->receipts - sizeof r->receipts[0]);
        memmove(r->receipt_keys, r->receipt_keys + 1, sizeof r->receipt_keys - sizeof r->receipt_keys[0]);
        r->receipt_count--;
    }
    if (!field_from_json(&receipt_table, key, value, &r->receipts[r->receipt_count], &err)) {
        complain(a, key, &err);
        return;
    }
    str_copy(r->receipt_keys[r->receipt_count++], sizeof r->receipt_keys[0], key);
}

static void copy_value(char *to, size_t size, struct bytes value) {
    size_t len = value.len < size ? value.len : size - 1;
    memcpy(to, value.at, len);
    to[len] = 0;
}

/* What became of the order in force, if it is a stop: its key names the order's hash. Another's is only remembered for
 * its removal. */
static void find_stop_state(struct records *r, const struct store_answer *answer) {
    r->stop_state[0] = r->old_stop_key[0] = 0;
    for (size_t i = 0; i < answer->count; i++) {
        const struct store_entry *e = &answer->entries[i];
        if (!str_starts(e->key, "site/stop/"))
            continue;
        if (r->has_order && str_eq(e->key + strlen("site/stop/"), r->order_hash)) {
            copy_value(r->stop_state, sizeof r->stop_state, e->value);
        } else {
            str_copy(r->old_stop_key, sizeof r->old_stop_key, e->key);
            copy_value(r->old_stop_state, sizeof r->old_stop_state, e->value);
        }
    }
}

static void read_entry(struct agent *a, const struct store_entry *e, int64_t now_ms, bool found[4]) {
    struct records *r = &a->records;
    if (str_eq(e->key, "site/lease")) {
        read_record(a, &lease_table, e->key, e->value, &r->lease_text, &r->lease, &r->has_lease);
        found[0] = true;
    } else if (str_eq(e->key, "site/vote")) {
        read_record(a, &vote_table, e->key, e->value, &r->vote_text, &r->vote, &r->has_vote);
        found[1] = true;
    } else if (str_eq(e->key, "site/order")) {
        read_order(a, e->value);
        found[2] = true;
    } else if (str_eq(e->key, "site/system_id")) {
        keep(&r->system_id_text, e->value);
        str_copy(r->system_id, sizeof r->system_id, r->system_id_text.at);
        found[3] = true;
    } else if (str_eq(e->key, "site/lineage")) {
        struct lineage_record record;
        struct err err = {0};
        if ((r->has_leader_lineage = field_from_json(&lineage_record_table, e->key, e->value, &record, &err)))
            r->leader_lineage = record.lineage;
    } else if (str_eq(e->key, "site/topology")) {
        keep(&r->topology_text, e->value);
    } else if (str_starts(e->key, "site/receipt/")) {
        read_receipt(a, e->key, e->value);
    } else if (str_starts(e->key, "members/")) {
        read_member(a, e->key, e->value, now_ms);
    } else if (str_starts(e->key, "relay/")) {
        read_relay(a, e->key, e->value);
    }
}

struct reading {
    struct agent *agent;
    int64_t asked_ms;
};

/* What one store has once told us it cannot take back: an answer older than that is an old copy's word, and a role that was
 * taken by it could be one that has been handed over since. Another store may count anew: that is for the marks to judge. */
static bool is_stale(const struct records *r, const struct store_answer *answer) {
    struct lease lease;
    struct err err = {0};
    if (!answer->revision || answer->revision >= r->newest_revision || !r->has_lease)
        return false;
    for (size_t i = 0; i < answer->count; i++)
        if (str_eq(answer->entries[i].key, "site/lease") && field_from_json(&lease_table, "site/lease", answer->entries[i].value, &lease, &err))
            return str_eq(lease.store_id, r->lease.store_id);
    return true;
}

void records_heard_revision(struct records *r, int64_t revision) {
    if (revision > r->newest_revision)
        r->newest_revision = revision;
}

static void on_read(void *context, const struct store_answer *answer) {
    struct reading *reading = context;
    struct agent *a = reading->agent;
    struct records *r = &a->records;
    int64_t now_ms = clock_boot_ms();
    if (answer->outcome != STORE_DONE) {
        complain(a, "*", &answer->err);
        return;
    }
    if (is_stale(r, answer))
        return; /* as good as no answer */
    a->store_error[0] = 0;
    r->read = true;
    r->read_boot_ms = now_ms;
    r->newest_revision = answer->revision;
    if (r->revision != answer->revision || !answer->revision || r->retry) {
        bool found[4] = {false};
        r->revision = answer->revision;
        r->retry = false;
        r->receipt_count = 0;
        r->oldest_receipt_key[0] = 0;
        for (size_t i = 0; i < answer->count; i++)
            read_entry(a, &answer->entries[i], now_ms, found);
        r->has_lease &= found[0];
        r->has_vote &= found[1];
        r->has_order &= found[2];
        if (r->has_lease && !a->state.store_id[0])
            str_copy(a->state.store_id, sizeof a->state.store_id, r->lease.store_id); /* durable with the next save */
        if (!found[3])
            r->system_id[0] = 0, strbuf_reset(&r->system_id_text);
        find_stop_state(r, answer);
    }
    lease_saw(&a->lease, r->has_lease ? &r->lease : NULL, a->state.instance, reading->asked_ms, now_ms);
    hold_remember(a, false);
}

void records_read(struct agent *a) {
    if (!a->store)
        return;
    struct reading reading = {a, clock_boot_ms()};
    store_watch_clear(a->store);
    store_read(a->store, "", reading.asked_ms + 1000, on_read, &reading);
}

const struct member_status *records_member(const struct agent *a, const char *name) {
    for (uint32_t i = 0; i < a->records.member_count; i++)
        if (str_eq(a->records.members[i].name, name))
            return &a->records.members[i];
    return NULL;
}

/* A member lives as long as its beat moves; its word is worth no longer than a few seconds. */
#define MEMBER_FRESH_MS 5000
bool records_member_fresh(const struct agent *a, const char *name, int64_t now_ms) {
    for (uint32_t i = 0; i < a->records.member_count; i++)
        if (str_eq(a->records.members[i].name, name))
            return now_ms - a->records.member_changed_boot_ms[i] < MEMBER_FRESH_MS;
    return false;
}

/* Birth is for the site that the topology names, while no member of it reports data. */
static bool may_be_born(const struct agent *a) {
    if (!a->topology || !str_eq(a->topology->initial_primary, a->config.site) || a->state.data_expected)
        return false;
    for (uint32_t i = 0; i < a->records.member_count; i++)
        if (a->records.members[i].has_data)
            return false;
    return true;
}

void records_site_state(const struct agent *a, struct site_state *out) {
    const struct records *r = &a->records;
    *out = (struct site_state){.has_order = r->has_order, .topology_version = a->topology ? a->topology->topology_version : 0};
    str_copy(out->cluster, sizeof out->cluster, a->config.cluster);
    str_copy(out->site, sizeof out->site, a->config.site);
    str_copy(out->system_id, sizeof out->system_id, r->system_id);
    out->may_be_born = may_be_born(a);
    if (r->has_order) {
        out->order = r->order;
        str_copy(out->order_hash, sizeof out->order_hash, r->order_hash);
        out->stop_dropped = str_eq(r->stop_state, "dropped");
        out->coordinator_term = r->order.coordinator_term;
        str_copy(out->coordinator, sizeof out->coordinator, r->order.coordinator);
    }
    if (r->has_vote)
        out->vote = r->vote;
}
