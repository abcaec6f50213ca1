/* What must hold after each event, whatever was done to the world (docs/invariants.md has the list and the words). The
 * judgements here use the truth, which nobody in the world knows: every chain of WAL, every store, every process. They share no code
 * with the product's own judgements. */
#include "tests/sim/invariants.h"
#include "tests/sim/postgres.h"
#include "tests/sim/stores.h"
#include "wire/envelope.h"
#include "wire/order.h"
#include <stdio.h>
#include <string.h>

/* A site's records, decoded when they change. */
struct seen {
    struct site_store *store;
    int64_t revision;
    char lease_text[64], vote_text[64], order_text[64];
    bool has_lease, has_vote, has_order;
    sim_time renewed; /* when the lease record changed last */
    struct lease lease;
    struct vote vote;
    struct order order;
    char order_hash[SIGN_HASH_TEXT_MAX];
};
static struct seen seen[3];
static bool writes[HOSTS_MAX];   /* could acknowledge a commit, at the last look */
static bool excused[HOSTS_MAX];  /* a person has promoted it by hand, or has taken its data for ever */
static bool unguarded[HOSTS_MAX]; /* its dead-man was stopped for a while: that is outside the rules (5.3) */
static bool put_back[3];         /* the site's store is an older one: a person must look (1.6) */
static struct epoch asked_once[3]; /* what its store said before that: the server was on its way already */
static bool slots_dropped;
static struct epoch mark_epoch[HOSTS_MAX];
static int64_t mark_serial[HOSTS_MAX];
static lsn_t kept[HOSTS_MAX];
static bool in_use[HOSTS_MAX]; /* its directory has been streamed to, or written, since it was copied */
static const struct wal *acknowledged; /* newest record whose commit a client was told of */
static struct host *last_writer;
static struct epoch last_epoch; /* in which it wrote */
static int openings, closings;

void invariants_begin(void) {
    memset(seen, 0, sizeof seen);
    memset(writes, 0, sizeof writes);
    memset(excused, 0, sizeof excused);
    memset(unguarded, 0, sizeof unguarded);
    memset(put_back, 0, sizeof put_back);
    memset(asked_once, 0, sizeof asked_once);
    memset(mark_epoch, 0, sizeof mark_epoch);
    memset(mark_serial, 0, sizeof mark_serial);
    memset(kept, 0, sizeof kept);
    memset(in_use, 0, sizeof in_use);
    slots_dropped = false;
    acknowledged = NULL;
    last_writer = NULL;
    last_epoch = (struct epoch){0};
    openings = closings = 0;
    invariants_begin_coordinators();
    invariants_begin_starts();
}

static bool is_elector(const struct lease *record, const char *instance) {
    for (uint32_t i = 0; i < record->elector_count; i++)
        if (!strcmp(record->electors[i], instance))
            return true;
    return false;
}

/* The last writer has rows that perhaps nobody else has, who leads a site in the middle of a move has its word, and without an
 * elector a site is led by nobody any more (1.7). */
bool invariants_can_spare(const struct host *h) {
    const struct seen *s = &seen[h->site];
    bool leads = s->has_lease && !strcmp(s->lease.holder_member, h->name), elector = false;
    bool settled = s->has_order && s->order.role == SITE_STANDBY && s->order.kind != ORDER_ABORT;
    for (int m = 0; m < sites[h->site].member_count; m++) {
        const struct host *other = sites[h->site].members[m];
        elector |= other != h && agent_instance(other) && is_elector(&s->lease, agent_instance(other));
    }
    return h != last_writer && elector && (!leads || settled);
}
void invariants_forget(const struct host *h) {
    mark_epoch[h->index] = (struct epoch){0};
    mark_serial[h->index] = 0;
}

void invariants_unguard(const struct host *h) { unguarded[h->index] = true; }
void invariants_excuse(const struct host *h) { excused[h->index] = true; }
bool invariants_is_excused(const struct host *h) { return excused[h->index]; }
void invariants_slots_dropped(void) { slots_dropped = true; }
bool invariants_were_slots_dropped(void) { return slots_dropped; }
bool invariants_was_put_back(int site) { return put_back[site]; }

/* The highest epoch in which that site has opened, or may do so at any moment. */
static struct epoch own_epoch(int site) {
    const struct vote *v = &seen[site].vote;
    struct epoch now = epoch_compare(&v->asked, &v->opened) > 0 ? v->asked : v->opened;
    return epoch_compare(&asked_once[site], &now) > 0 ? asked_once[site] : now;
}

void invariants_store_back(int site) {
    asked_once[site] = own_epoch(site);
    put_back[site] = true;
    seen[site] = (struct seen){0};
}

struct text {
    char at[EPOCH_TEXT_MAX];
};
static struct text text_of(const struct epoch *e) {
    struct text t;
    epoch_format(e, t.at);
    return t;
}

struct epoch invariants_opened(int site) { return seen[site].vote.opened; }
bool invariants_holds_order(int site) { return seen[site].has_order; }

/* ---- one writer, in its epoch, under its lease, with all rows ---- */

static void check_content(const struct host *h) {
    const struct wal *tip = h->postgres->written;
    sim_check("I2 no acknowledged loss", !acknowledged || wal_holds(tip, acknowledged),
              "%s accepts writes on timeline %lld, and row %lld, acknowledged at %lld, is not in its history", h->name, (long long)tip->timeline,
              acknowledged ? (long long)acknowledged->commit : 0, acknowledged ? (long long)acknowledged->end : 0);
}

static void check_epoch(const struct host *h) {
    const struct seen *s = &seen[h->site];
    struct epoch own = own_epoch(h->site);
    bool born = s->has_order && s->order.kind == ORDER_BIRTH;
    sim_check("I22 order before writes", born || (own.generation > 0 && strcmp(own.site, sites[h->site].name) == 0),
              "%s accepts writes, and its site has neither asked for an epoch nor opened one (%s)", h->name, text_of(&own).at);
    for (int i = 0; i < site_count && !born; i++)
        sim_check("I3 epochs go forward", i == h->site || epoch_compare(&seen[i].vote.opened, &own) < 0, "%s accepts writes in %s, and %s has opened %s", h->name,
                  text_of(&own).at, sites[i].name, text_of(&seen[i].vote.opened).at);
}

/* A receipt is for ever: whoever gave it writes again only in an epoch that he asks for anew. */
static void check_receipt(const struct host *h) {
    const struct seen *s = &seen[h->site];
    char key[96];
    size_t len = 0;
    if (!s->has_order || s->order.kind != ORDER_STOP)
        return;
    snprintf(key, sizeof key, "site/stop/%s", s->order_hash);
    const char *state = store_peek(s->store, key, &len);
    sim_check("I22 order before writes", !state || len != strlen("receipt") || memcmp(state, "receipt", len) != 0, "%s accepts writes, and its site has given a receipt for %s",
              h->name, text_of(&s->order.epoch).at);
}

static void check_lease(const struct host *h) {
    const struct seen *s = &seen[h->site];
    sim_check("I4 lease containment", put_back[h->site] || (s->has_lease && strcmp(s->lease.holder_member, h->name) == 0),
              "%s accepts writes, and the lease of its site is held by %s", h->name, s->has_lease ? s->lease.holder_member : "nobody");
    sim_time length = s->lease.length_ms * MS, most = length + length / 100; /* by a clock that is 1 % too slow, rho */
    sim_check("I4 lease containment", put_back[h->site] || unguarded[h->index] || sim_now - s->renewed <= most,
              "%s accepts writes, and its lease of %lld ms was renewed %lld ms ago", h->name, (long long)s->lease.length_ms, (long long)((sim_now - s->renewed) / MS));
}

/* Automatic failover inside a site is not built: who opens an epoch stays its only writer. */
static void check_one_member(const struct host *h) {
    struct epoch own = own_epoch(h->site);
    bool same = last_writer && own.generation > 0 && epoch_compare(&own, &last_epoch) == 0;
    sim_check("I1 one writer", !same || last_writer == h, "%s accepts writes in %s, in which %s did", h->name, text_of(&own).at, same ? last_writer->name : "");
    last_epoch = own;
}

static void began_to_write(struct host *h) {
    sim_say("world", "%s accepts writes", h->name);
    check_epoch(h);
    check_receipt(h);
    check_content(h);
    check_one_member(h);
    if (last_writer != h)
        openings++;
    last_writer = h;
}

static void check_writers(void) {
    struct host *writer = NULL;
    for (int i = 0; i < host_count; i++) {
        struct host *h = &hosts[i];
        bool now = h->postgres && !excused[i] && postgres_accepts_writes(h->postgres);
        if (now && writer)
            sim_fail("I1 one writer", "%s and %s both accept writes", writer->name, h->name);
        if (now) {
            writer = h;
            check_lease(h);
        }
        if (now && !writes[i])
            began_to_write(h);
        if (!now && writes[i]) {
            sim_say("world", "%s does not accept writes any more", h->name);
            closings++;
        }
        writes[i] = now;
    }
}

/* Acknowledgements may overtake each other; but all are of one history. */
void invariants_acknowledged(const struct host *h, const struct wal *record) {
    if (excused[h->index])
        return;
    if (!acknowledged || wal_holds(record, acknowledged))
        acknowledged = record;
    else
        sim_check("I2 no acknowledged loss", wal_holds(acknowledged, record), "%s acknowledged row %lld, which is not in the history of row %lld, acknowledged before",
                  h->name, (long long)record->commit, (long long)acknowledged->commit);
}

/* ---- one holder a site ---- */

static void check_holders(void) {
    for (int i = 0; i < site_count; i++) {
        const char *holder = NULL;
        for (int m = 0; m < sites[i].member_count; m++) {
            const struct host *h = sites[i].members[m];
            if (!agent_holds_lease(h))
                continue;
            sim_check("I4 lease containment", !holder, "%s and %s both count on the lease of %s", holder, h->name, sites[i].name);
            holder = h->name;
        }
    }
}

/* ---- what may never go back ---- */

static struct site_store *store_of_site(int site) {
    char path[64];
    snprintf(path, sizeof path, "/store/%.31s", sites[site].name);
    return store_at(path);
}

static bool peek(int site, const char *key, char text[64], bool *has) {
    size_t len = 0;
    const char *at = store_peek(seen[site].store, key, &len);
    *has = at != NULL;
    if (!at)
        len = 0;
    if (strlen(text) == len && !memcmp(text, at ? at : "", len))
        return false;
    if (len > 63)
        len = 63;
    memcpy(text, at ? at : "", len);
    text[len] = 0;
    return at != NULL;
}

static void not_below(int site, const char *what, const struct epoch *was, const struct epoch *is) {
    sim_check("I3 epochs go forward", epoch_compare(is, was) >= 0, "%s of %s went from %s back to %s", what, sites[site].name, text_of(was).at, text_of(is).at);
}

static void check_declines(int site, const struct vote *was, const struct vote *is) {
    for (uint32_t i = 0; i < was->declined_count; i++)
        for (uint32_t k = 0; k < is->declined_count; k++)
            if (!epoch_compare(&was->declined[i].epoch, &is->declined[k].epoch))
                sim_check("I9 once only", !epoch_compare(&was->declined[i].next, &is->declined[k].next), "the decline of %s by %s passes to %s now, to %s before",
                          text_of(&is->declined[k].epoch).at, sites[site].name, text_of(&is->declined[k].next).at, text_of(&was->declined[i].next).at);
    for (uint32_t i = 0; i < is->declined_count; i++)
        sim_check("I22 order before writes", epoch_compare(&is->declined[i].epoch, &is->opened) != 0 && epoch_compare(&is->declined[i].epoch, &is->asked) != 0,
                  "%s has declined %s, and asked for it", sites[site].name, text_of(&is->declined[i].epoch).at);
}

/* The point of no return: whoever passes it has everything that the last writer wrote, and nobody writes. */
static void check_asked(int site, const struct vote *v) {
    struct host *leader = host_named(seen[site].lease.holder_member);
    sim_say("world", "%s has asked for %s", sites[site].name, text_of(&v->asked).at);
    if (!leader || !last_writer)
        return;
    for (int i = 0; i < host_count; i++)
        sim_check("I22 fence before promote", !writes[i], "%s asks for %s, and %s accepts writes", sites[site].name, text_of(&v->asked).at, hosts[i].name);
    const struct wal *all = last_writer->postgres->written;
    bool has = leader->postgres->replayed && wal_holds(leader->postgres->replayed, all);
    sim_check("I29 proof before promotion", has || last_writer->postgres->away,
              "%s asks for %s at %llx, and the last writer %s wrote up to %llx", leader->name, text_of(&v->asked).at,
              leader->postgres->replayed ? (unsigned long long)leader->postgres->replayed->end : 0, last_writer->name, (unsigned long long)all->end);
}

static void vote_changed(int site, const struct vote *is) {
    struct vote *was = &seen[site].vote;
    if (seen[site].has_vote) {
        not_below(site, "promised", &was->promised, &is->promised);
        not_below(site, "asked", &was->asked, &is->asked);
        not_below(site, "opened", &was->opened, &is->opened);
        not_below(site, "known opened", &was->known_opened, &is->known_opened);
        check_declines(site, was, is);
    }
    bool asked = epoch_compare(&is->asked, &was->asked) > 0 && epoch_compare(&is->asked, &is->opened) > 0;
    if (epoch_compare(&is->opened, &was->opened) > 0)
        sim_say("world", "%s has opened %s", sites[site].name, text_of(&is->opened).at);
    *was = *is;
    if (asked && !put_back[site])
        check_asked(site, is);
}

static void lease_changed(int site, const struct lease *is) {
    struct lease *was = &seen[site].lease;
    if (seen[site].has_lease)
        sim_check("I14 marks go forward", is->term_count >= was->term_count && is->serial >= was->serial, "term %lld, serial %lld of %s went back to %lld, %lld",
                  (long long)was->term_count, (long long)was->serial, sites[site].name, (long long)is->term_count, (long long)is->serial);
    if (is->term_count != was->term_count)
        sim_say("world", "%s leads %s (term %lld)", is->holder_member, sites[site].name, (long long)is->term_count);
    *was = *is;
    seen[site].renewed = sim_now;
}

static void order_changed(int site, const char *envelope) {
    struct seen *s = &seen[site];
    struct err err = {0};
    static struct order order;
    ENVELOPE e = {0};
    if (!envelope_open((struct bytes){envelope, strlen(envelope)}, ORDER_TYPE, &e, &err) ||
        !field_from_json(&order_table, "order", (struct bytes){e.payload.at, e.payload.len}, &order, &err))
        sim_fail("I13 authenticity", "%s holds an order that is none: %s", sites[site].name, err.text);
    sim_check("I13 authenticity", invariants_signed_by_coordinator(&e), "%s holds an order that no coordinator has signed", sites[site].name);
    sim_check("I13 authenticity", strcmp(order.site, sites[site].name) == 0, "%s holds an order for %s", sites[site].name, order.site);
    if (s->has_order) {
        sim_check("I9 once only", order.serial == s->order.serial + 1 && strcmp(order.base, s->order_hash) == 0, "%s holds serial %lld after %lld, or on another base",
                  sites[site].name, (long long)order.serial, (long long)s->order.serial);
        not_below(site, "epoch of the order", &s->order.epoch, &order.epoch);
        sim_check("I14 marks go forward", order.coordinator_term >= s->order.coordinator_term, "%s obeys coordinator term %lld after %lld", sites[site].name,
                  (long long)order.coordinator_term, (long long)s->order.coordinator_term);
    }
    sim_say("world", "%s holds order %s %s serial %lld (%s)", sites[site].name, order_kind_names[order.kind], text_of(&order.epoch).at, (long long)order.serial, order.op);
    s->order = order;
    memcpy(s->order_hash, e.hash, sizeof s->order_hash);
}

static void check_records(void) {
    for (int i = 0; i < site_count; i++) {
        struct seen *s = &seen[i];
        struct err err = {0};
        static struct lease lease;
        static struct vote vote;
        bool has;
        if (!s->store)
            s->store = store_of_site(i);
        if (s->revision == store_revision(s->store))
            continue;
        s->revision = store_revision(s->store);
        if (peek(i, "site/lease", s->lease_text, &has) && field_from_json(&lease_table, "lease", (struct bytes){s->lease_text, strlen(s->lease_text)}, &lease, &err))
            lease_changed(i, &lease);
        s->has_lease |= has;
        if (peek(i, "site/order", s->order_text, &has))
            order_changed(i, s->order_text);
        s->has_order |= has;
        if (peek(i, "site/vote", s->vote_text, &has) && field_from_json(&vote_table, "vote", (struct bytes){s->vote_text, strlen(s->vote_text)}, &vote, &err))
            vote_changed(i, &vote);
        s->has_vote |= has;
    }
}

/* What an agent keeps on its disk outlives it, and never says less than before. */
static void check_marks(void) {
    for (int i = 0; i < host_count; i++) {
        struct epoch epoch;
        int64_t serial;
        if (!agent_marks(&hosts[i], &epoch, &serial))
            continue;
        sim_check("I14 marks go forward", epoch_compare(&epoch, &mark_epoch[i]) >= 0 && serial >= mark_serial[i], "the marks of %s went from %s, %lld back to %s, %lld",
                  hosts[i].name, text_of(&mark_epoch[i]).at, (long long)mark_serial[i], text_of(&epoch).at, (long long)serial);
        mark_epoch[i] = epoch;
        mark_serial[i] = serial;
    }
}

/* ---- WAL ---- */

static void check_histories(void) {
    for (int i = 0; i < host_count; i++)
        sim_check("I7 attach", !hosts[i].postgres || excused[i] || !hosts[i].postgres->mixed, "%s streams records over other rows under the same numbers", hosts[i].name);
}

/* A copy that has never streamed is known to nobody yet, and can be made again. */
static void note_use(void) {
    for (int i = 0; i < host_count; i++)
        if (hosts[i].postgres)
            in_use[i] = hosts[i].postgres->directory == DIRECTORY_THERE && (in_use[i] || writes[i] || hosts[i].postgres->receives_from);
}

static bool consumes(const struct host *x, const struct host *from) {
    const struct postgres *pg = x->postgres;
    return pg && x != from && in_use[x->index] && !excused[x->index] && pg->directory == DIRECTORY_THERE && pg->written && wal_holds(from->postgres->written, pg->written);
}

/* WAL that somebody alive still needs is never removed. */
static void check_retention(void) {
    note_use();
    for (int i = 0; i < host_count; i++) {
        struct host *h = &hosts[i];
        if (!writes[i] || h->postgres->oldest_kept == kept[i] || slots_dropped)
            continue;
        kept[i] = h->postgres->oldest_kept;
        for (int k = 0; k < host_count; k++)
            sim_check("I11 WAL retention", !consumes(&hosts[k], h) || hosts[k].postgres->flushed->end >= kept[i] || invariants_leader_is_too_young(&hosts[k]), "%s has removed WAL below %llx, and %s needs it from %llx on",
                      h->name, (unsigned long long)kept[i], hosts[k].name, (unsigned long long)hosts[k].postgres->flushed->end);
    }
}

/* ---- the whole ---- */

void invariants_check(void) {
    check_records();
    check_writers();
    check_holders();
    check_marks();
    check_histories();
    check_retention();
    invariants_check_starts();
    invariants_check_coordinators();
}

struct host *invariants_writer(void) {
    for (int i = 0; i < host_count; i++)
        if (writes[i])
            return &hosts[i];
    return NULL;
}

/* What is done to coordinators, to links between sites and to the topology, and nothing else: no reason to stop writing. */
static bool writer_was_left_alone(void) {
    static const int harmless[] = {DEED_CUT_CONTROL, DEED_CUT_REPLICATION, DEED_ISOLATE_SITE, DEED_LATE_LETTERS, DEED_KILL_COORDINATOR, DEED_KILL_COORDINATOR_AT,
                                   DEED_PAUSE_COORDINATOR, DEED_COORDINATOR_BACK, DEED_REPLAY, DEED_PAUSE_REPLAY, DEED_DROP_SLOTS, DEED_WAL_BURST, DEED_ABORT,
                                   DEED_APPLY_LEASE, DEED_APPLY_SETTING, DEED_APPLY_TWICE, DEED_APPLY_OLD, DEED_APPLY_MEMBER, DEED_APPLY_SITE};
    for (int i = 0; i < world_plan->deed_count; i++) {
        bool known = false;
        for (size_t k = 0; k < sizeof harmless / sizeof *harmless; k++)
            known |= world_plan->deeds[i].kind == harmless[k];
        if (!known)
            return false;
    }
    return true;
}

/* Each change of the writing site was asked for by a person; going back counts as another. */
void invariants_end(void) {
    const struct host *writer = invariants_writer();
    if (writer)
        check_content(writer);
    sim_check("I24 no flapping", openings <= 1 + 2 * operations_accepted(), "%d openings, and %d moves were asked for", openings, operations_accepted());
    bool alone = writer_was_left_alone();
    sim_check("I38 no needless stop", !alone || closings <= operations_accepted(), "nothing was done to the primary, and it stopped accepting writes %d times; %d moves were asked for",
              closings, operations_accepted());
    count_more("histories whose primary was left alone", alone);
    count_more("rows acknowledged", clients_acknowledged());
    count_more("openings", openings);
}
