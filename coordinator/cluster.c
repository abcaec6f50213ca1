/* The clusters in memory, and how they get into the journal and back. */
#include "coordinator/coordinator.h"
#include "rt/clock.h"
#include "rt/failpoint.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bytes bytes_of(const char *text) { return (struct bytes){text, strlen(text)}; }

static const struct field marks_fields[] = {
    FIELD_CUSTOM(struct marks, epoch, &field_epoch, NULL, FIELD_NULL_EMPTY, "highest opened epoch known"),
    FIELD_BOOL(struct marks, complete, NULL, 0, "every site has been heard"),
    FIELD_END};
static const struct fields marks_table = FIELDS("marks", struct marks, marks_fields);

/* ---- finding ---- */

struct cluster *coordinator_cluster(const struct coordinator *c, const char *name) {
    for (uint32_t i = 0; i < c->cluster_count; i++)
        if (str_eq(c->clusters[i]->name, name))
            return c->clusters[i];
    return NULL;
}

struct cluster *coordinator_add_cluster(struct coordinator *c, const char *name) {
    if (c->cluster_count == CLUSTERS_MAX)
        return NULL;
    struct cluster *cluster = rt_alloc(sizeof *cluster);
    str_copy(cluster->name, sizeof cluster->name, name);
    cluster->journal = c->journal;
    cluster->began_boot_ms = clock_boot_ms();
    cluster->operations_number = clock_wall_ms(); /* grows over restarts, too */
    cluster->documents_due = cluster->dirty = true;
    c->clusters[c->cluster_count++] = cluster;
    return cluster;
}

int cluster_site_index(const struct cluster *cluster, const char *site) {
    for (uint32_t i = 0; i < cluster->site_count; i++)
        if (str_eq(cluster->sites[i].name, site))
            return (int)i;
    return NOBODY;
}

struct operation *cluster_open_operation(struct cluster *cluster) {
    for (uint32_t i = 0; i < cluster->operation_count; i++)
        if (operation_is_open(&cluster->operations[i]))
            return &cluster->operations[i];
    return NULL;
}

struct operation *cluster_operation(struct cluster *cluster, const char *id) {
    for (uint32_t i = 0; i < cluster->operation_count; i++)
        if (str_eq(cluster->operations[i].id, id))
            return &cluster->operations[i];
    return NULL;
}

static void operation_key(const struct cluster *cluster, const struct operation *o, char *to, size_t size) {
    snprintf(to, size, "cluster/%s/operation/%013lld-%s", cluster->name, (long long)o->started_at, o->id);
}

void receipt_key(const struct cluster *cluster, const struct receipt *r, char *to, size_t size) {
    static const char *const kinds[] = {
#define X(symbol, name) name,
        RECEIPT_KINDS(X)
#undef X
    };
    snprintf(to, size, "cluster/%s/receipt/%013lld-%s-%s", cluster->name, (long long)r->made_at, r->site, kinds[r->kind]);
}

/* The oldest makes room, here and in the journal; the audit log keeps what happened. */
static void forget_operation(struct cluster *cluster) {
    char key[200];
    operation_key(cluster, &cluster->operations[0], key, sizeof key);
    if (cluster->journal)
        journal_put(cluster->journal, key, NULL);
    text_unref(cluster->operation_texts[0]);
}

static void forget_receipt(struct cluster *cluster) {
    char key[200];
    receipt_key(cluster, &cluster->receipts[0].receipt, key, sizeof key);
    if (cluster->journal)
        journal_put(cluster->journal, key, NULL);
    text_unref(cluster->receipts[0].envelope);
    memmove(cluster->receipts, cluster->receipts + 1, sizeof cluster->receipts - sizeof cluster->receipts[0]);
    cluster->receipt_count--;
}

struct held_receipt *cluster_add_receipt(struct cluster *cluster) {
    if (cluster->receipt_count == RECEIPTS_MAX)
        forget_receipt(cluster);
    return &cluster->receipts[cluster->receipt_count++];
}

struct operation *cluster_add_operation(struct cluster *cluster) {
    if (cluster->operation_count == OPERATIONS_MAX) {
        forget_operation(cluster);
        memmove(cluster->operations, cluster->operations + 1, sizeof cluster->operations - sizeof cluster->operations[0]);
        memmove(cluster->operation_texts, cluster->operation_texts + 1, sizeof cluster->operation_texts - sizeof cluster->operation_texts[0]);
        memmove(cluster->operation_shown, cluster->operation_shown + 1, sizeof cluster->operation_shown - sizeof cluster->operation_shown[0]);
        cluster->operation_count--;
    }
    uint32_t at = cluster->operation_count++;
    cluster->operations[at] = (struct operation){.state = OP_RUNNING};
    cluster->operation_texts[at] = NULL;
    cluster->operation_shown[at] = false;
    return &cluster->operations[at];
}

const struct held_receipt *cluster_receipt(const struct cluster *cluster, enum receipt_kind kind, const struct epoch *epoch) {
    for (uint32_t i = cluster->receipt_count; i > 0; i--) {
        const struct receipt *r = &cluster->receipts[i - 1].receipt;
        if (r->kind == (int)kind && !epoch_compare(&r->epoch, epoch) && str_eq(r->site, epoch->site))
            return &cluster->receipts[i - 1];
    }
    return NULL;
}

/* ---- the topology ---- */

static void free_issued(struct issued *i) {
    text_unref(i->envelope);
    *i = (struct issued){0};
}

static void free_site(struct site *s) {
    rt_free(s->report);
    text_unref(s->envelope);
    text_unref(s->relayed);
    free_issued(&s->held);
    free_issued(&s->pending);
}

/* Sites keep what is known of them; new ones begin unheard, removed ones are forgotten. */
void cluster_adopt_topology(struct cluster *cluster, struct topology *t, struct text *envelope) {
    struct site *sites = rt_alloc(SITES_MAX * sizeof *sites);
    for (uint32_t i = 0; i < t->site_count; i++) {
        int was = cluster_site_index(cluster, t->sites[i].name);
        if (was != NOBODY) {
            sites[i] = cluster->sites[was];
            cluster->sites[was] = (struct site){0};
        }
        str_copy(sites[i].name, sizeof sites[i].name, t->sites[i].name);
    }
    for (uint32_t i = 0; i < cluster->site_count; i++)
        free_site(&cluster->sites[i]);
    memcpy(cluster->sites, sites, sizeof cluster->sites);
    cluster->site_count = t->site_count;
    rt_free(sites);
    rt_free(cluster->topology);
    cluster->topology = t;
    text_set(&cluster->topology_envelope, envelope);
    cluster->dirty = cluster->changed = cluster->documents_due = true;
}

/* ---- into the journal ---- */

void journal_operation(struct coordinator *c, struct cluster *cluster, struct operation *o) {
    char key[160];
    STRBUF text = {0};
    operation_key(cluster, o, key, sizeof key);
    field_to_text(&operation_table, o, &text);
    journal_put(c->journal, key, text.at);
    cluster->operations_number++;
    cluster->operation_shown[o - cluster->operations] = false; /* the old document stays until the new one is made */
    cluster->documents_due = true;
    FAILPOINT("operation-put");
}

void journal_marks(struct coordinator *c, struct cluster *cluster) {
    char key[160];
    STRBUF text = {0};
    snprintf(key, sizeof key, "cluster/%s/marks", cluster->name);
    field_to_text(&marks_table, &cluster->marks, &text);
    journal_put(c->journal, key, text.at);
}

void journal_order(struct coordinator *c, struct cluster *cluster, const struct site *s) {
    char key[160];
    snprintf(key, sizeof key, "cluster/%s/held/%s", cluster->name, s->name);
    journal_put(c->journal, key, s->held.present ? s->held.envelope->at : NULL);
    snprintf(key, sizeof key, "cluster/%s/pending/%s", cluster->name, s->name);
    journal_put(c->journal, key, s->pending.present ? s->pending.envelope->at : NULL);
    FAILPOINT("order-put");
}

void coordinator_set_term(struct coordinator *c, int64_t term) {
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)term);
    c->term = term;
    journal_put(c->journal, "term", text);
}

static void log_record(const struct audit_record *r) {
    const struct log_field all[] = {F_STR("cluster", r->cluster), F_STR("site", r->site), F_STR("operation", r->operation), F_STR("rule", r->rule),
                                    F_STR("document", r->document), F_STR("detail", r->detail), F_STR("actor", r->actor)};
    struct log_field known[sizeof all / sizeof all[0] + 1] = {{0}};
    size_t count = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i].text[0])
            known[count++] = all[i];
    log_emit(LOG_INFO, r->what, known);
}

void note(struct coordinator *c, const struct cluster *cluster, const char *actor, const char *what, const char *site, const char *operation, const char *rule,
          const char *document, const char *format, ...) {
    struct audit_record record = {0};
    va_list args;
    str_copy(record.actor, sizeof record.actor, actor);
    str_copy(record.what, sizeof record.what, what);
    str_copy(record.cluster, sizeof record.cluster, cluster ? cluster->name : "");
    str_copy(record.site, sizeof record.site, site ? site : "");
    str_copy(record.operation, sizeof record.operation, operation ? operation : "");
    str_copy(record.rule, sizeof record.rule, rule ? rule : "");
    str_copy(record.document, sizeof record.document, document ? document : "");
    va_start(args, format);
    vsnprintf(record.detail, sizeof record.detail, format, args);
    va_end(args);
    audit_add(&c->audit, &record);
    log_record(&record);
}

/* ---- and back ---- */

struct loading {
    struct coordinator *coordinator;
    struct cluster *cluster;
    struct err *err;
    bool ok;
};

static const char *last_part(const char *key) { return strrchr(key, '/') + 1; }

static void load_order(struct loading *l, const char *key, const char *value, bool pending) {
    int i = cluster_site_index(l->cluster, last_part(key));
    if (i == NOBODY)
        return; /* the site was removed */
    struct issued *to = pending ? &l->cluster->sites[i].pending : &l->cluster->sites[i].held;
    ENVELOPE e = {0};
    struct err err = {0};
    /* our own store: the form is checked, the signature was ours */
    if (!envelope_open(bytes_of(value), ORDER_TYPE, &e, &err) || !field_from_json(&order_table, key, (struct bytes){e.payload.at, e.payload.len}, &to->order, &err)) {
        log_warning("an order in the journal cannot be read: issued anew", F_STR("key", key), F_STR("error", err.text));
        return;
    }
    to->present = true;
    struct site *s = &l->cluster->sites[i];
    s->last_issued = to->order.issued > s->last_issued ? to->order.issued : s->last_issued;
    str_copy(to->hash, sizeof to->hash, e.hash);
    to->envelope = text_new(value, strlen(value));
}
static void load_held(void *context, const char *key, const char *value) { load_order(context, key, value, false); }
static void load_pending(void *context, const char *key, const char *value) { load_order(context, key, value, true); }

static void load_receipt(void *context, const char *key, const char *value) {
    struct loading *l = context;
    struct cluster *cluster = l->cluster;
    ENVELOPE e = {0};
    struct err err = {0};
    struct held_receipt *to = cluster_add_receipt(cluster);
    if (!envelope_open(bytes_of(value), RECEIPT_TYPE, &e, &err) ||
        !field_from_json(&receipt_table, key, (struct bytes){e.payload.at, e.payload.len}, &to->receipt, &err)) {
        cluster->receipt_count--;
        log_warning("a receipt in the journal cannot be read", F_STR("key", key), F_STR("error", err.text));
        return;
    }
    to->envelope = text_new(value, strlen(value));
}

static void load_operation(void *context, const char *key, const char *value) {
    struct loading *l = context;
    struct operation *o = cluster_add_operation(l->cluster);
    if (!field_from_json(&operation_table, key, bytes_of(value), o, l->err)) {
        l->ok = false;
        l->cluster->operation_count--;
    }
}

static void each_of(struct loading *l, const char *what, void (*call)(void *, const char *, const char *)) {
    char prefix[160];
    snprintf(prefix, sizeof prefix, "cluster/%s/%s/", l->cluster->name, what);
    journal_each(l->coordinator->journal, prefix, call, l);
}

static bool load_marks(struct loading *l) {
    char key[160];
    snprintf(key, sizeof key, "cluster/%s/marks", l->cluster->name);
    const char *text = journal_get(l->coordinator->journal, key);
    return !text || field_from_json(&marks_table, key, bytes_of(text), &l->cluster->marks, l->err);
}

static void load_cluster(void *context, const char *key, const char *value) {
    struct loading *l = context;
    if (!str_eq(last_part(key), "topology") || !l->ok)
        return;
    struct topology *t = rt_alloc(sizeof *t);
    if (!topology_reopen(bytes_of(value), t, l->err)) {
        l->ok = false;
        rt_free(t);
        return;
    }
    l->cluster = coordinator_add_cluster(l->coordinator, t->cluster);
    cluster_adopt_topology(l->cluster, t, text_new(value, strlen(value)));
    l->ok = load_marks(l);
    each_of(l, "held", load_held);
    each_of(l, "pending", load_pending);
    each_of(l, "receipt", load_receipt);
    each_of(l, "operation", load_operation);
}

bool coordinator_load(struct coordinator *c, struct err *err) {
    struct loading l = {.coordinator = c, .err = err, .ok = true};
    const char *term = journal_get(c->journal, "term");
    coordinator_set_term(c, (term ? strtoll(term, NULL, 10) : 0) + 1);
    journal_each(c->journal, "cluster/", load_cluster, &l);
    return l.ok;
}

void coordinator_free(struct coordinator *c) {
    for (uint32_t i = 0; i < c->cluster_count; i++) {
        struct cluster *cluster = c->clusters[i];
        for (uint32_t s = 0; s < cluster->site_count; s++) {
            free_site(&cluster->sites[s]);
            text_unref(cluster->readiness[s]);
        }
        for (uint32_t r = 0; r < cluster->receipt_count; r++)
            text_unref(cluster->receipts[r].envelope);
        for (uint32_t o = 0; o < cluster->operation_count; o++)
            text_unref(cluster->operation_texts[o]);
        text_unref(cluster->status);
        text_unref(cluster->explain);
        text_unref(cluster->slots);
        text_unref(cluster->history);
        text_unref(cluster->topology_envelope);
        rt_free(cluster->topology);
        rt_free(cluster);
    }
    c->cluster_count = 0;
    text_unref(c->metrics);
    c->metrics = NULL;
}
