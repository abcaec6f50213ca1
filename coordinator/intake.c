/* Reports come in: verified, kept as the site's newest word, and searched for what the journal must remember (receipts,
 * a higher epoch, the fate of our orders). What follows from them is decided elsewhere. */
#include "coordinator/coordinator.h"
#include "rt/clock.h"
#include "rt/failpoint.h"
#include <stdio.h>
#include <string.h>

/* ---- whose word is newest ---- */

static struct voice *find_voice(struct site *s, const struct report *r) {
    for (uint32_t i = 0; i < s->voice_count; i++)
        if (str_eq(s->voices[i].instance, r->instance) && str_eq(s->voices[i].life, r->life))
            return &s->voices[i];
    return NULL;
}

static struct voice *add_voice(struct site *s, const struct report *r) {
    if (s->voice_count == VOICES_MAX) {
        memmove(s->voices, s->voices + 1, sizeof s->voices - sizeof s->voices[0]);
        s->voice_count--;
    }
    struct voice *v = &s->voices[s->voice_count++];
    *v = (struct voice){.seq = -1};
    str_copy(v->instance, sizeof v->instance, r->instance);
    str_copy(v->life, sizeof v->life, r->life);
    return v;
}

static void supersede_others(struct site *s, const struct voice *by) {
    for (uint32_t i = 0; i < s->voice_count; i++)
        if (&s->voices[i] != by && str_eq(s->voices[i].instance, by->instance)) {
            s->voices[i].superseded = true;
            s->voices[i].returns = 0;
        }
}

/* The same process repeats itself, or an old letter arrives late: of this life of the agent, or of one before. Clocks tell
 * nothing here: an agent that has restarted, on a clock that was set back, is still the newest. Nor does the order of
 * arrival of two lives: of two that have both spoken, the one that goes on speaking is alive. */
#define RETURNS_OF_THE_LIVING 3
static bool is_older(struct site *s, const struct report *r) {
    struct voice *v = find_voice(s, r);
    if (!v)
        v = add_voice(s, r);
    if (r->seq <= v->seq)
        return true;
    v->seq = r->seq;
    if (v->superseded && ++v->returns < RETURNS_OF_THE_LIVING)
        return true;
    v->superseded = false;
    supersede_others(s, v);
    return false;
}

/* What a site's store says never goes back: a report that does was made from older records, or of another store. */
static bool goes_back(const struct report *r, const struct report *known) {
    return r->lease.term_count < known->lease.term_count || r->order_serial < known->order_serial || epoch_compare(&r->vote.opened, &known->vote.opened) < 0 ||
           epoch_compare(&r->vote.asked, &known->vote.asked) < 0;
}

/* The leader speaks for its site. Another member counts only when no leader has been heard for a while. */
#define LEADER_SILENT_MS 3000
static bool is_outspoken(const struct report *r, const struct site *s, int64_t now_ms) {
    bool other = !str_eq(r->instance, s->report->instance) && now_ms - s->arrived_boot_ms < LEADER_SILENT_MS;
    return other && !r->speaks && s->report->speaks;
}

/* ---- receipts ---- */

/* Each report repeats its site's receipts; each is looked at once. */
static bool is_seen(struct site *s, struct bytes envelope) {
    char hash[HASH_TEXT_MAX];
    sign_hash(envelope, hash);
    for (uint32_t i = 0; i < RECEIPTS_SEEN_MAX; i++)
        if (str_eq(s->seen[i], hash))
            return true;
    str_copy(s->seen[s->seen_count++ % RECEIPTS_SEEN_MAX], HASH_TEXT_MAX, hash);
    return false;
}

static bool is_same_deed(const struct receipt *a, const struct receipt *b) {
    return a->kind == b->kind && a->made_at == b->made_at && str_eq(a->site, b->site) && !epoch_compare(&a->epoch, &b->epoch);
}

static void keep_receipt(struct coordinator *c, struct cluster *cluster, const struct receipt *r, const char *envelope) {
    static const char *const kinds[] = {
#define X(symbol, name) name,
        RECEIPT_KINDS(X)
#undef X
    };
    char key[200], epoch[EPOCH_TEXT_MAX], actor[80];
    struct held_receipt *to = cluster_add_receipt(cluster);
    to->receipt = *r;
    to->envelope = text_new(envelope, strlen(envelope));
    receipt_key(cluster, r, key, sizeof key);
    journal_put(c->journal, key, envelope);
    epoch_format(&r->epoch, epoch);
    snprintf(actor, sizeof actor, "%s/%s", r->site, r->member);
    note(c, cluster, actor, "receipt", r->site, "", "", r->order, "%s %s", kinds[r->kind], epoch);
    cluster->documents_due = true;
    FAILPOINT("receipt-put");
}

static void take_receipt(struct coordinator *c, struct cluster *cluster, struct site *s, const char *envelope) {
    LARGE_LOCAL struct receipt r;
    struct bytes text = {envelope, strlen(envelope)};
    struct err err = {0};
    if (is_seen(s, text))
        return;
    if (!verify_receipt(text, cluster->topology, &r, &err)) {
        log_warning("receipt refused", F_STR("cluster", cluster->name), F_STR("site", s->name), F_STR("reason", err.text));
        return;
    }
    for (uint32_t i = 0; i < cluster->receipt_count; i++)
        if (is_same_deed(&cluster->receipts[i].receipt, &r))
            return; /* signed anew by another member */
    keep_receipt(c, cluster, &r, envelope);
}

/* ---- marks ---- */

static void raise_mark(struct coordinator *c, struct cluster *cluster, const struct epoch *e) {
    if (epoch_compare(&cluster->marks.epoch, e) >= 0)
        return;
    cluster->marks.epoch = *e;
    journal_marks(c, cluster);
}

/* A store that was empty is complete when every site has spoken; our term is then above all that they have seen (3.3). */
static void consider_complete(struct coordinator *c, struct cluster *cluster) {
    int64_t highest = 0;
    if (cluster->marks.complete)
        return;
    for (uint32_t i = 0; i < cluster->site_count; i++) {
        if (!cluster->sites[i].report)
            return;
        if (cluster->sites[i].report->coordinator_term > highest)
            highest = cluster->sites[i].report->coordinator_term;
    }
    cluster->marks.complete = true;
    journal_marks(c, cluster);
    if (highest >= c->term)
        coordinator_set_term(c, highest + 1);
}

/* Whose orders do the sites obey? Under our own name a higher term means that our store was put back: count on from it. */
static void consider_term(struct coordinator *c, struct cluster *cluster) {
    cluster->outranked = false;
    for (uint32_t i = 0; i < cluster->site_count; i++) {
        const struct report *r = cluster->sites[i].report;
        if (!r || !r->has_order || r->coordinator_term < c->term)
            continue;
        bool ours = str_eq(r->coordinator, c->config.name);
        if (ours && r->coordinator_term > c->term)
            coordinator_set_term(c, r->coordinator_term + 1);
        else if (!ours && cluster->marks.complete)
            cluster->outranked = true;
    }
}

/* ---- what became of our orders ---- */

static void move_to_held(struct coordinator *c, struct cluster *cluster, struct site *s) {
    struct issued *o = &s->pending;
    note(c, cluster, s->name, "order accepted", s->name, o->order.op, "", o->hash, "%s serial %lld", order_kind_names[o->order.kind], (long long)o->order.serial);
    struct operation *op = cluster_operation(cluster, o->order.op);
    if (op)
        op->got_on_boot_ms = clock_boot_ms();
    text_unref(s->held.envelope);
    s->held = *o;
    s->pending = (struct issued){0};
    s->refused = false;
    s->refusal = (struct refusal){0};
    journal_order(c, cluster, s);
    cluster->changed = true;
}

static void drop_pending(struct coordinator *c, struct cluster *cluster, struct site *s, const char *why) {
    note(c, cluster, s->name, "order outdated", s->name, s->pending.order.op, "", s->pending.hash, "%s", why);
    order_withdraw(c, cluster, s);
}

static void follow_order(struct coordinator *c, struct cluster *cluster, struct site *s) {
    const struct report *r = s->report;
    const char *holds = r->has_order ? r->order_hash : "none";
    if (!s->pending.present)
        return;
    if (str_eq(holds, s->pending.hash)) {
        move_to_held(c, cluster, s);
    } else if (!str_eq(holds, s->pending.order.base)) {
        drop_pending(c, cluster, s, "the site holds another order than the one that this replaces");
    } else if (!s->refused && str_eq(r->refused_hash, s->pending.hash)) {
        refusal_note(c, cluster, s);
    }
}

/* The held order is not one that we know: its body is unknown, so it will be ordered anew. */
static void check_held(struct coordinator *c, struct cluster *cluster, struct site *s) {
    if (!s->held.present || str_eq(s->report->order_hash, s->held.hash))
        return;
    text_unref(s->held.envelope);
    s->held = (struct issued){0};
    journal_order(c, cluster, s);
}

/* ---- */

static void take(struct coordinator *c, struct cluster *cluster, struct site *s, struct report *r, struct bytes envelope, int64_t now_ms) {
    rt_free(s->report);
    s->report = r;
    s->arrived_boot_ms = now_ms;
    text_set(&s->envelope, text_new(envelope.at, envelope.len));
    for (uint32_t i = 0; i < r->receipt_count; i++)
        take_receipt(c, cluster, s, r->receipts[i]);
    raise_mark(c, cluster, &r->vote.opened);
    raise_mark(c, cluster, &r->vote.known_opened);
    follow_order(c, cluster, s);
    refusal_consider(s);
    check_held(c, cluster, s);
    consider_complete(c, cluster);
    consider_term(c, cluster);
    relay_consider(c, cluster, s, now_ms);
    cluster->dirty = true;
}

/* Which cluster a report is of stands inside it; each topology's keys are tried, so nothing unverified is read. */
static struct cluster *verify_of(struct coordinator *c, struct bytes envelope, struct report *r, struct err *err) {
    err_set(err, ERR_NOT_FOUND, "no cluster is known here yet");
    for (uint32_t i = 0; i < c->cluster_count; i++)
        if (verify_report(envelope, c->clusters[i]->topology, r, err))
            return c->clusters[i];
    return NULL;
}

bool intake_report(struct coordinator *c, struct bytes envelope, struct err *err) {
    int64_t now_ms = clock_boot_ms();
    struct report *r = rt_alloc(sizeof *r);
    struct cluster *cluster = verify_of(c, envelope, r, err);
    int i = cluster ? cluster_site_index(cluster, r->site) : NOBODY;
    if (i == NOBODY) {
        rt_free(r);
        return false;
    }
    struct site *s = &cluster->sites[i];
    bool back = s->report && goes_back(r, s->report);
    if (back && r->speaks)
        s->went_back_boot_ms = now_ms;
    if (is_older(s, r) || back || (s->report && is_outspoken(r, s, now_ms)))
        rt_free(r);
    else
        take(c, cluster, s, r, envelope, now_ms);
    return true;
}
