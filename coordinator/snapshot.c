/* Making and freeing snapshots. Texts are shared with the loop, so a snapshot costs a few copied words. */
#include "coordinator/snapshot.h"
#include "rt/clock.h"

static void publish_site(const struct site *s, struct text *readiness, struct snapshot_site *to) {
    str_copy(to->name, sizeof to->name, s->name);
    if (s->pending.present && !s->refused) {
        str_copy(to->order_hash, sizeof to->order_hash, s->pending.hash);
        to->order = text_ref(s->pending.envelope);
    }
    to->relay_mark = s->relay_mark;
    to->relayed = text_ref(s->relayed);
    to->readiness = text_ref(readiness);
}

static void publish_operations(const struct cluster *cluster, struct snapshot_cluster *to) {
    for (uint32_t i = cluster->operation_count; i > 0; i--) {
        if (!cluster->operation_texts[i - 1])
            continue; /* its document comes with the next refresh */
        struct snapshot_operation *o = &to->operations[to->operation_count++];
        str_copy(o->id, sizeof o->id, cluster->operations[i - 1].id);
        o->document = text_ref(cluster->operation_texts[i - 1]);
    }
    to->operations_number = cluster->shown_number;
}

static void publish_cluster(const struct cluster *cluster, struct snapshot_cluster *to) {
    str_copy(to->name, sizeof to->name, cluster->name);
    str_copy(to->topology_hash, sizeof to->topology_hash, cluster->topology->hash);
    to->topology_version = cluster->topology->topology_version;
    to->topology_behind = cluster->view.behind;
    to->topology = text_ref(cluster->topology_envelope);
    to->status = text_ref(cluster->status);
    to->explain = text_ref(cluster->explain);
    to->slots = text_ref(cluster->slots);
    to->history = text_ref(cluster->history);
    publish_operations(cluster, to);
    to->site_count = cluster->site_count;
    for (uint32_t i = 0; i < cluster->site_count; i++)
        publish_site(&cluster->sites[i], cluster->readiness[i], &to->sites[i]);
}

struct snapshot *snapshot_new(const struct coordinator *c) {
    struct snapshot *s = rt_alloc(sizeof *s);
    s->made_boot_ms = clock_boot_ms();
    s->made_wall_ms = clock_wall_ms();
    s->term = c->term;
    s->metrics = text_ref(c->metrics);
    s->cluster_count = c->cluster_count;
    s->clusters = rt_alloc((c->cluster_count + 1) * sizeof *s->clusters);
    for (uint32_t i = 0; i < c->cluster_count; i++)
        publish_cluster(c->clusters[i], &s->clusters[i]);
    return s;
}

static void free_cluster(struct snapshot_cluster *cluster) {
    text_unref(cluster->topology);
    text_unref(cluster->status);
    text_unref(cluster->explain);
    text_unref(cluster->slots);
    text_unref(cluster->history);
    for (uint32_t i = 0; i < cluster->operation_count; i++)
        text_unref(cluster->operations[i].document);
    for (uint32_t i = 0; i < cluster->site_count; i++) {
        text_unref(cluster->sites[i].order);
        text_unref(cluster->sites[i].relayed);
        text_unref(cluster->sites[i].readiness);
    }
}

/* The server hands it back as const: it was immutable, now it is nobody's. */
void snapshot_free(const void *snapshot) {
    union {
        const void *given;
        struct snapshot *s;
    } u = {.given = snapshot};
    if (!u.s)
        return;
    for (uint32_t i = 0; i < u.s->cluster_count; i++)
        free_cluster(&u.s->clusters[i]);
    text_unref(u.s->metrics);
    rt_free(u.s->clusters);
    rt_free(u.s);
}

/* ---- documents ---- */

static void refresh_operations(struct cluster *cluster) {
    for (uint32_t i = 0; i < cluster->operation_count; i++) {
        struct operation *o = &cluster->operations[i];
        if (cluster->operation_shown[i] && !operation_is_open(o))
            continue;
        JSON_AUTO *document = operation_to_json(o, clock_wall_ms());
        STRBUF text = {0};
        json_write(document, &text);
        text_set(&cluster->operation_texts[i], text_of(&text));
        cluster->operation_shown[i] = true;
    }
    cluster->shown_number = cluster->operations_number;
}

static void refresh(struct cluster *cluster) {
    if (!cluster->plan.rule)
        return; /* not looked at yet */
    problems_find(cluster);
    refresh_operations(cluster);
    text_set(&cluster->status, document_status(cluster));
    text_set(&cluster->explain, document_explain(cluster));
    text_set(&cluster->slots, document_slots(cluster));
    text_set(&cluster->history, document_history(cluster));
    for (uint32_t i = 0; i < cluster->site_count; i++)
        text_set(&cluster->readiness[i], document_readiness(cluster, (int)i));
    cluster->documents_due = false;
}

void documents_refresh(struct coordinator *c) {
    for (uint32_t i = 0; i < c->cluster_count; i++)
        refresh(c->clusters[i]);
    text_set(&c->metrics, metrics_text(c));
}
