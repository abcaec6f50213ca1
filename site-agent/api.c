/* The agent's own API, for the command when no coordinator answers: what this member knows of its site, and which rules
 * hold. Only answers from the snapshot; on the HTTP thread. A certificate lets a peer ask; nothing is changed here. */
#include "rt/clock.h"
#include "rt/json.h"
#include "site-agent/snapshot.h"

static enum http_verdict answer(struct http_reply *reply, int status, json_t *document) {
    reply->status = status;
    json_write(document, &reply->body);
    strbuf_add(&reply->body, "\n");
    json_decref(document);
    return HTTP_ANSWER;
}

static enum http_verdict refuse(struct http_reply *reply, int status, const char *code, const char *message) {
    json_t *document = json_object(), *error = json_object();
    json_object_set_new(error, "code", json_string(code));
    json_object_set_new(error, "message", json_string(message));
    json_object_set_new(error, "checks", json_array());
    json_object_set_new(error, "cure", json_null());
    json_object_set_new(error, "operation", json_null());
    json_object_set_new(document, "error", error);
    return answer(reply, status, document);
}

static json_t *rules_json(const struct snapshot *s) {
    json_t *to = json_object();
    for (size_t i = 0; i < sizeof s->rules / sizeof *s->rules; i++) {
        const struct snapshot_rule *r = &s->rules[i];
        if (!r->concern[0]) continue;
        json_t *rule = json_object();
        json_object_set_new(rule, "id", json_text_safe(r->id));
        json_object_set_new(rule, "name", json_text_safe(r->name));
        json_object_set_new(rule, "sentence", json_text_safe(r->sentence));
        json_object_set_new(rule, "waits_for_person", json_boolean(r->waits_for_person));
        json_object_set_new(to, r->concern, rule);
    }
    return to;
}

/* The lease as it is now: the report beside it was made at the last tick. */
static void add_now(const struct snapshot *s, json_t *to) {
    int64_t now_ms = clock_boot_ms(), left_ms = s->lease_deadline_boot_ms - now_ms;
    json_object_set_new(to, "source", json_string("agents"));
    json_object_set_new(to, "age_ms", json_integer(now_ms - s->ticked_boot_ms));
    json_object_set_new(to, "lease_left_ms", json_integer(s->leader && left_ms > 0 ? left_ms : 0));
}

static json_t *status_json(const struct snapshot *s) {
    json_t *to = json_object();
    add_now(s, to);
    json_object_set_new(to, "report", field_to_json(&report_table, &s->report, false));
    json_object_set_new(to, "rules", rules_json(s));
    return to;
}

static json_t *explain_json(const struct snapshot *s) {
    json_t *to = json_object();
    add_now(s, to);
    json_object_set_new(to, "cluster", json_text_safe(s->scope));
    json_object_set_new(to, "site", json_text_safe(s->report.site));
    json_object_set_new(to, "member", json_text_safe(s->self.name));
    json_object_set_new(to, "role", json_string(member_role_names[s->self.role]));
    json_object_set_new(to, "state", json_string(member_state_names[s->self.state]));
    json_object_set_new(to, "rules", rules_json(s));
    return to;
}

enum http_verdict api_route(void *context, const void *snapshot, const struct http_query *query, struct http_reply *reply) {
    (void)context;
    bool status = str_eq(query->path, "/v1/status"), explain = str_eq(query->path, "/v1/explain");
    if (!status && !explain) return refuse(reply, 404, "not_found", "no such call; the agent has GET /v1/status and /v1/explain");
    if (!str_eq(query->method, "GET")) return refuse(reply, 405, "invalid", "only GET");
    if (!snapshot) return refuse(reply, 503, "unreachable", "the agent has just started");
    return answer(reply, 200, status ? status_json(snapshot) : explain_json(snapshot));
}
