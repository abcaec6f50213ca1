/* The coordinator's HTTP interface (docs/api.md), on the HTTP thread: questions are answered from the snapshot or held
 * until it changes, everything that changes something goes to the loop as a letter. */
#include "coordinator/snapshot.h"
#include "rt/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOLD_MS 25000

static enum http_verdict answer(struct http_reply *reply, int status, const char *text) {
    reply->status = status;
    strbuf_add(&reply->body, text);
    return HTTP_ANSWER;
}

static enum http_verdict fail(struct http_reply *reply, int status, const char *code, const char *message) {
    reply->status = answer_error(&reply->body, status, code, message, NULL);
    return HTTP_ANSWER;
}

static enum http_verdict answer_document(struct http_reply *reply, const struct text *document) {
    if (!document)
        return fail(reply, 503, "busy", "not known yet: ask again in a moment");
    return answer(reply, 200, document->at);
}

static const struct snapshot_cluster *find_cluster(const struct snapshot *s, const struct http_query *q) {
    const char *name = http_query_get(q, "cluster");
    for (uint32_t i = 0; s && name && i < s->cluster_count; i++)
        if (str_eq(s->clusters[i].name, name))
            return &s->clusters[i];
    return NULL;
}

static int64_t number_of(const struct http_query *q, const char *name) {
    const char *text = http_query_get(q, name);
    return text ? strtoll(text, NULL, 10) : -1;
}

/* ---- the poll of a site ---- */

static const struct snapshot_site *find_site(const struct snapshot_cluster *cluster, const char *name) {
    for (uint32_t i = 0; name && i < cluster->site_count; i++)
        if (str_eq(cluster->sites[i].name, name))
            return &cluster->sites[i];
    return NULL;
}

static int64_t relay_number(const struct snapshot_cluster *cluster, const struct snapshot_site *asker) {
    int64_t number = 0;
    for (uint32_t i = 0; i < cluster->site_count; i++)
        if (&cluster->sites[i] != asker && cluster->sites[i].relay_mark > number)
            number = cluster->sites[i].relay_mark;
    return number;
}

static void add_relayed(const struct snapshot_cluster *cluster, const struct snapshot_site *asker, int64_t seen, struct strbuf *to) {
    const char *comma = "";
    for (uint32_t i = 0; i < cluster->site_count; i++)
        if (&cluster->sites[i] != asker && cluster->sites[i].relayed && cluster->sites[i].relay_mark > seen) {
            strbuf_addf(to, "%s%s", comma, cluster->sites[i].relayed->at);
            comma = ",";
        }
}

static enum http_verdict hold_poll(const struct http_query *q, struct http_reply *reply) {
    static _Thread_local char key[256];
    snprintf(key, sizeof key, "orders %s/%s/%s %s", http_query_get(q, "cluster"), http_query_get(q, "site"), http_query_get(q, "member"), q->peer_uri);
    reply->hold_key = key;
    reply->hold_ms = HOLD_MS;
    return HTTP_HOLD;
}

/* Orders and other sites' reports are for the member that asks: its certificate names it. */
static bool is_the_asker(const struct http_query *q) {
    const char *member = http_query_get(q, "member");
    char uri[256];
    snprintf(uri, sizeof uri, "pgregent://%s/%s/%s", http_query_get(q, "cluster"), http_query_get(q, "site"), member ? member : "");
    return member && str_eq(q->peer_uri, uri);
}

static enum http_verdict get_orders(const struct snapshot *s, const struct http_query *q, struct http_reply *reply) {
    const struct snapshot_cluster *cluster = find_cluster(s, q);
    const struct snapshot_site *site = cluster ? find_site(cluster, http_query_get(q, "site")) : NULL;
    const char *holds = http_query_get(q, "order"), *topology = http_query_get(q, "topology");
    if (!site)
        return fail(reply, 404, "not_found", "no such cluster or site");
    if (!is_the_asker(q))
        return fail(reply, 403, "not_permitted", "the certificate is not that of the member that asks");
    int64_t number = relay_number(cluster, site), seen = number_of(q, "relay");
    if (seen > number)
        seen = -1; /* a number of another life: everything is news */
    bool order = site->order && !str_eq(site->order_hash, holds ? holds : "");
    bool has_another = topology && !str_eq(topology, "none") && cluster->topology_behind;
    bool new_topology = !has_another && !str_eq(cluster->topology_hash, topology ? topology : "");
    if (!order && !new_topology && seen >= number)
        return hold_poll(q, reply);
    strbuf_addf(&reply->body, "{\"orders\":[%s],\"relay\":%lld,\"relayed\":[", order ? site->order->at : "", (long long)number);
    add_relayed(cluster, site, seen, &reply->body);
    strbuf_addf(&reply->body, "],\"topology\":%s}", new_topology ? cluster->topology->at : "null");
    reply->status = 200;
    return HTTP_ANSWER;
}

/* ---- the command's questions ---- */

static enum http_verdict get_topology(const struct snapshot *s, const struct http_query *q, struct http_reply *reply) {
    const struct snapshot_cluster *cluster = find_cluster(s, q);
    if (!cluster)
        return fail(reply, 404, "not_found", "no topology of such a cluster is known here");
    strbuf_addf(&reply->body, "{\"envelope\":%s,\"version\":%lld}", cluster->topology->at, (long long)cluster->topology_version);
    reply->status = 200;
    return HTTP_ANSWER;
}

static enum http_verdict get_status(const struct snapshot *s, const struct http_query *q, struct http_reply *reply) {
    const char *only = http_query_get(q, "cluster"), *comma = "";
    char now[CLOCK_TEXT_MAX];
    if (only && !find_cluster(s, q))
        return fail(reply, 404, "not_found", "no such cluster");
    clock_format(now, s ? s->made_wall_ms : clock_wall_ms());
    strbuf_addf(&reply->body, "{\"format\":1,\"generated_at\":\"%s\",\"source\":\"coordinator\",\"clusters\":[", now);
    for (uint32_t i = 0; s && i < s->cluster_count; i++)
        if (s->clusters[i].status && (!only || str_eq(only, s->clusters[i].name))) {
            strbuf_addf(&reply->body, "%s%s", comma, s->clusters[i].status->at);
            comma = ",";
        }
    strbuf_add(&reply->body, "]}");
    reply->status = 200;
    return HTTP_ANSWER;
}

static enum http_verdict get_operations(const struct snapshot *s, const struct http_query *q, struct http_reply *reply) {
    const struct snapshot_cluster *cluster = find_cluster(s, q);
    const char *id = http_query_get(q, "id"), *comma = "";
    if (!cluster)
        return fail(reply, 404, "not_found", "no such cluster");
    if (number_of(q, "seen") == cluster->operations_number) { /* a higher one is of another life: everything is news */
        reply->hold_ms = HOLD_MS;
        return HTTP_HOLD;
    }
    strbuf_add(&reply->body, "{\"operations\":[");
    for (uint32_t i = 0; i < cluster->operation_count; i++)
        if (!id || str_eq(id, cluster->operations[i].id)) {
            strbuf_addf(&reply->body, "%s%s", comma, cluster->operations[i].document->at);
            comma = ",";
        }
    if (id && !comma[0]) {
        strbuf_reset(&reply->body);
        return fail(reply, 404, "not_found", "no such operation");
    }
    strbuf_addf(&reply->body, "],\"number\":%lld}", (long long)cluster->operations_number);
    reply->status = 200;
    return HTTP_ANSWER;
}

static enum http_verdict get_readiness(const struct snapshot *s, const struct http_query *q, struct http_reply *reply) {
    const struct snapshot_cluster *cluster = find_cluster(s, q);
    const struct snapshot_site *site = cluster ? find_site(cluster, http_query_get(q, "to")) : NULL;
    return site ? answer_document(reply, site->readiness) : fail(reply, 404, "not_found", "no such cluster or site");
}

static enum http_verdict get_document(const struct snapshot *s, const struct http_query *q, struct http_reply *reply, size_t offset) {
    const struct snapshot_cluster *cluster = find_cluster(s, q);
    if (!cluster)
        return fail(reply, 404, "not_found", "no such cluster");
    struct text *document;
    memcpy(&document, (const char *)cluster + offset, sizeof document);
    return answer_document(reply, document);
}
static enum http_verdict get_explain(const struct snapshot *s, const struct http_query *q, struct http_reply *reply) { return get_document(s, q, reply, offsetof(struct snapshot_cluster, explain)); }
static enum http_verdict get_slots(const struct snapshot *s, const struct http_query *q, struct http_reply *reply) { return get_document(s, q, reply, offsetof(struct snapshot_cluster, slots)); }
static enum http_verdict get_history(const struct snapshot *s, const struct http_query *q, struct http_reply *reply) { return get_document(s, q, reply, offsetof(struct snapshot_cluster, history)); }

static const struct route {
    const char *path;
    enum http_verdict (*get)(const struct snapshot *s, const struct http_query *q, struct http_reply *reply);
    bool post; /* goes to the loop */
} routes[] = {
    {"/v1/report", NULL, true},
    {"/v1/orders", get_orders, false},
    {"/v1/topology", get_topology, true},
    {"/v1/operations", get_operations, true},
    {"/v1/status", get_status, false},
    {"/v1/explain", get_explain, false},
    {"/v1/slots", get_slots, false},
    {"/v1/history", get_history, false},
    {"/v1/readiness", get_readiness, false},
};

enum http_verdict coordinator_api(void *context, const void *snapshot, const struct http_query *q, struct http_reply *reply) {
    (void)context;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!str_eq(routes[i].path, q->path))
            continue;
        if (routes[i].post && str_eq(q->method, "POST"))
            return HTTP_MAIL;
        if (routes[i].get && str_eq(q->method, "GET"))
            return routes[i].get(snapshot, q, reply);
        return fail(reply, 405, "invalid", "no such method here");
    }
    return fail(reply, 404, "not_found", "no such path");
}

/* ---- the plain listener ---- */

/* The loop publishes each second; when it does not, it hangs or cannot write its journal. */
#define LOOP_SILENT_MS 10000
static enum http_verdict get_health(const struct snapshot *s, struct http_reply *reply) {
    bool fine = s && clock_boot_ms() - s->made_boot_ms < LOOP_SILENT_MS;
    strbuf_addf(&reply->body, "{\"status\":\"%s\",\"term\":%lld,\"clusters\":%u,\"version\":\"" PGREGENT_VERSION "\"}", fine ? "ok" : "stuck", s ? (long long)s->term : 0,
                s ? s->cluster_count : 0);
    reply->status = fine ? 200 : 503;
    return HTTP_ANSWER;
}

enum http_verdict coordinator_health_route(void *context, const void *snapshot, const struct http_query *q, struct http_reply *reply) {
    const struct snapshot *s = snapshot;
    (void)context;
    if (!str_eq(q->method, "GET"))
        return fail(reply, 405, "invalid", "no such method here");
    if (str_eq(q->path, "/health"))
        return get_health(s, reply);
    if (!str_eq(q->path, "/metrics"))
        return fail(reply, 404, "not_found", "no such path");
    reply->content_type = "text/plain; version=0.0.4";
    return answer(reply, s && s->metrics ? 200 : 503, s && s->metrics ? s->metrics->at : "");
}
