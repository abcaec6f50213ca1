/* Patroni's health endpoints: same paths, status codes and JSON, so that load balancers and monitoring configured for
 * it go on unchanged. Stricter in two places: a primary answers 200 only once it has opened (not while it promotes),
 * and an unknown lag does not pass a limit on it. Only answers from the snapshot; on the HTTP thread. */
#include "site-agent/health.h"
#include "rt/clock.h"
#include <stdlib.h>
#include <string.h>

#define READINESS_LAG_BYTES (1 << 20) /* Patroni's default of maximum_lag_on_failover */

/* ---- judging ---- */

static bool runs(const struct snapshot *s) {
    switch ((enum member_state)s->self.state) {
    case STATE_RUNNING: case STATE_STREAMING: case STATE_ARCHIVE_RECOVERY: return s->postmaster;
    case STATE_STOPPED: case STATE_STARTING: case STATE_STOPPING: case STATE_CREATING: case STATE_INITIALIZING:
    case STATE_START_FAILED: case STATE_CRASHED: case STATE_DATA_MISSING: case STATE_UNKNOWN: return false;
    }
    return false;
}

/* A primary that is too busy to answer its agent in time shows as starting. It stays in the load balancer: taking it
 * out would end every session of the only server that writes. */
static bool serves_writes(const struct snapshot *s, bool running) {
    return s->primary_site && s->self.role == MEMBER_PRIMARY && !s->in_recovery && (running || (s->postmaster && s->self.state == STATE_STARTING));
}

void health_judge(const struct snapshot *s, int64_t now_boot_ms, struct health *out) {
    bool leads = s->leader && now_boot_ms < s->lease_deadline_boot_ms;
    bool running = runs(s);
    *out = (struct health){
        .s = s,
        .now_boot_ms = now_boot_ms,
        .leads = leads,
        .running = running,
        .primary = leads && serves_writes(s, running),
        .standby_leader = leads && running && !s->primary_site && s->in_recovery && s->self.role == MEMBER_STANDBY_LEADER,
        .replica = !leads && running && s->in_recovery && s->self.role == MEMBER_REPLICA,
    };
}

const char *health_replication_state(const struct health *h) {
    if (!h->running || !h->s->in_recovery) return "";
    return h->s->self.state == STATE_STREAMING ? "streaming" : h->s->self.state == STATE_ARCHIVE_RECOVERY ? "in archive recovery" : "";
}

bool health_cluster_unlocked(const struct health *h) {
    const struct lease *lease = &h->s->report.lease;
    bool held = h->s->report.store_ok && lease->holder[0] && lease->state == LEASE_HELD;
    return !h->leads && !held;
}

/* ---- what a check may ask for ---- */

struct demands {
    bool has_lag;
    int64_t lag_bytes;
    const char *replication_state; /* NULL: any */
    bool write_mode;               /* readiness: what is received counts, not what is replayed */
};

/* "1048576", "16MB", "16 MB", as Patroni reads it. */
static bool parse_bytes(const char *text, int64_t *out) {
    char *rest;
    long long number = strtoll(text, &rest, 10);
    char joined[32];
    if (rest == text || number < 0) return false;
    *out = number;
    if (*rest == '\0') return true;
    int n = snprintf(joined, sizeof joined, "%lld%s", number, rest + strspn(rest, " "));
    return n < (int)sizeof joined && field_size_bytes.parse(joined, out, NULL);
}

static bool read_demands(const struct http_query *q, struct demands *d) {
    const char *lag = http_query_get(q, "lag"), *mode = http_query_get(q, "mode");
    *d = (struct demands){.has_lag = lag != NULL, .replication_state = http_query_get(q, "replication_state"), .write_mode = str_eq(mode, "write")};
    return (!lag || parse_bytes(lag, &d->lag_bytes)) && (!mode || d->write_mode || str_eq(mode, "apply"));
}

static int64_t received_lag(const struct snapshot *s) {
    if (!s->self.flush_of_upstream || !s->self.lsn) return -1;
    return s->self.flush_of_upstream > s->self.lsn ? (int64_t)(s->self.flush_of_upstream - s->self.lsn) : 0;
}

static bool within(int64_t lag, int64_t limit) { return lag >= 0 && lag <= limit; }

static const char *tag_value(const struct snapshot *s, const char *name) {
    for (uint32_t i = 0; i < s->tag_count; i++)
        if (str_eq(s->tags[i].name, name)) return s->tags[i].value;
    return NULL;
}

static bool tag_is_set(const struct snapshot *s, const char *name) {
    const char *value = tag_value(s, name);
    return str_eq(value, "true") || str_eq(value, "yes") || str_eq(value, "on") || str_eq(value, "1");
}

/* Every ?tag_NAME=VALUE must be a tag of this member. */
static bool tags_match(const struct snapshot *s, const struct http_query *q) {
    static const char prefix[] = "tag_";
    const char *name;
    for (size_t i = 0; (name = http_query_name(q, i)); i++)
        if (str_starts(name, prefix) && !str_eq(tag_value(s, name + sizeof prefix - 1), http_query_get(q, name))) return false;
    return true;
}

/* ---- checks ---- */

static bool is_primary(const struct health *h, const struct demands *d) { return (void)d, h->primary; }
static bool is_standby_leader(const struct health *h, const struct demands *d) { return (void)d, h->standby_leader; }
static bool is_leader(const struct health *h, const struct demands *d) { return (void)d, h->primary || h->standby_leader; }
static bool is_running(const struct health *h, const struct demands *d) { return (void)d, h->running; }
static bool is_nobody(const struct health *h, const struct demands *d) { return (void)h, (void)d, false; }

static bool is_replica(const struct health *h, const struct demands *d) {
    bool near = !d->has_lag || within(h->s->received_lsn_lag_bytes, d->lag_bytes);
    bool right_state = !d->replication_state || str_eq(d->replication_state, health_replication_state(h));
    return h->replica && near && right_state && !tag_is_set(h->s, "noloadbalance");
}

static bool is_readable(const struct health *h, const struct demands *d) { return is_leader(h, d) || is_replica(h, d); }

static bool is_live(const struct health *h, const struct demands *d) {
    (void)d;
    return h->now_boot_ms - h->s->ticked_boot_ms < (h->primary ? 1 : 2) * h->s->ttl_ms;
}

static bool is_ready(const struct health *h, const struct demands *d) {
    int64_t lag = d->write_mode ? received_lag(h->s) : h->s->received_lsn_lag_bytes;
    bool near = within(lag, d->has_lag ? d->lag_bytes : READINESS_LAG_BYTES);
    return is_leader(h, d) || (h->replica && near && str_eq(health_replication_state(h), "streaming"));
}

/* Synchronous modes are not built: no member is a synchronous or quorum standby, so every replica is asynchronous. */
static const struct check {
    const char *path;
    bool (*passes)(const struct health *h, const struct demands *d);
    bool tags; /* ?tag_NAME= counts */
} checks[] = {
    {"/", is_primary, false},
    {"/primary", is_primary, false},
    {"/master", is_primary, false}, /* Patroni before 4 */
    {"/read-write", is_primary, false},
    {"/standby-leader", is_standby_leader, false},
    {"/standby_leader", is_standby_leader, false},
    {"/leader", is_leader, false},
    {"/replica", is_replica, true},
    {"/read-only", is_readable, true},
    {"/sync", is_nobody, true},
    {"/synchronous", is_nobody, true},
    {"/read-only-sync", is_leader, true},
    {"/quorum", is_nobody, true},
    {"/read-only-quorum", is_leader, true},
    {"/async", is_replica, true},
    {"/asynchronous", is_replica, true},
    {"/health", is_running, true},
    {"/liveness", is_live, false},
    {"/readiness", is_ready, false},
};

/* ---- answering ---- */

static enum http_verdict answer(struct http_reply *reply, int status, json_t *document) {
    reply->status = status;
    json_write(document, &reply->body);
    strbuf_add(&reply->body, "\n");
    json_decref(document);
    return HTTP_ANSWER;
}

static enum http_verdict refuse(struct http_reply *reply, int status, const char *why) {
    json_t *document = json_object();
    json_object_set_new(document, "error", json_text_safe(why));
    return answer(reply, status, document);
}

static enum http_verdict answer_check(const struct check *check, const struct health *h, const struct http_query *q, struct http_reply *reply) {
    struct demands d;
    if (!read_demands(q, &d)) return refuse(reply, 400, "lag is a number of bytes, or one with a unit like 16MB; mode is apply or write");
    bool passes = check->passes(h, &d) && (!check->tags || tags_match(h->s, q));
    return answer(reply, passes ? 200 : 503, health_status(h));
}

static enum http_verdict answer_metrics(const struct health *h, struct http_reply *reply) {
    reply->status = 200;
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    health_metrics(h, &reply->body);
    return HTTP_ANSWER;
}

static enum http_verdict answer_document(const struct health *h, const char *path, struct http_reply *reply) {
    if (str_eq(path, "/patroni")) return answer(reply, 200, health_status(h));
    if (str_eq(path, "/cluster")) return answer(reply, 200, health_cluster(h));
    if (str_eq(path, "/history")) return answer(reply, 200, health_history(h));
    if (str_eq(path, "/metrics")) return answer_metrics(h, reply);
    if (str_eq(path, "/config")) return refuse(reply, 502, "there is no dynamic configuration: the signed topology is the configuration (pgregent plan)");
    if (str_eq(path, "/failsafe")) return refuse(reply, 502, "failsafe mode is not enabled");
    return refuse(reply, 404, "no such endpoint");
}

enum http_verdict health_route(void *context, const void *snapshot, const struct http_query *query, struct http_reply *reply) {
    (void)context;
    struct health h;
    if (!str_eq(query->method, "GET")) return refuse(reply, 405, "nothing is changed here: use the pgregent command");
    if (!snapshot) return refuse(reply, 503, "the agent has just started");
    health_judge(snapshot, clock_boot_ms(), &h);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (str_eq(checks[i].path, query->path)) return answer_check(&checks[i], &h, query, reply);
    return answer_document(&h, query->path, reply);
}
