/* The JSON documents of the health endpoints, with Patroni's keys. What this member does not know is left out or null,
 * never invented. */
#include "site-agent/health.h"
#include <stdio.h>
#include <time.h>

static json_t *time_text(int64_t wall_ms) {
    char text[48], date[32];
    struct tm utc;
    time_t seconds = (time_t)(wall_ms / 1000);
    if (wall_ms <= 0 || !gmtime_r(&seconds, &utc)) return json_null();
    strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &utc);
    snprintf(text, sizeof text, "%s.%03d000+00:00", date, (int)(wall_ms % 1000));
    return json_string(text);
}

/* Replicas are "running" here and tell the rest in replication_state. */
static const char *state_text(const struct health *h) { return h->running ? "running" : member_state_names[h->s->self.state]; }

static json_t *positions(const struct health *h) {
    const struct member_status *m = &h->s->self;
    json_t *xlog = json_object();
    if (!h->s->in_recovery) {
        json_object_set_new(xlog, "location", json_integer((json_int_t)m->lsn));
        return xlog;
    }
    json_object_set_new(xlog, "received_location", json_integer((json_int_t)m->lsn));
    json_object_set_new(xlog, "replayed_location", json_integer((json_int_t)m->replay_lsn));
    json_object_set_new(xlog, "replayed_timestamp", json_null());
    json_object_set_new(xlog, "paused", json_boolean(m->replay_pause_state[0] && !str_eq(m->replay_pause_state, "not paused")));
    return xlog;
}

static void add_server(const struct health *h, json_t *to) {
    const struct snapshot *s = h->s;
    if (!h->running) return;
    json_object_set_new(to, "postmaster_start_time", time_text(s->postmaster_started_wall_ms));
    json_object_set_new(to, "server_version", json_integer(s->server_version_num));
    json_object_set_new(to, "xlog", positions(h));
    json_object_set_new(to, "timeline", json_integer(s->self.timeline));
    if (health_replication_state(h)[0]) json_object_set_new(to, "replication_state", json_string(health_replication_state(h)));
}

/* YAML's truth values and numbers become JSON's, as Patroni writes them. */
static json_t *tag_json(const char *value) {
    long long number;
    int end = 0;
    if (str_eq(value, "true") || str_eq(value, "false")) return json_boolean(str_eq(value, "true"));
    if (sscanf(value, "%lld%n", &number, &end) == 1 && value[end] == '\0') return json_integer(number);
    return json_text_safe(value);
}

static void add_tags(const struct snapshot *s, json_t *to) {
    if (!s->tag_count) return;
    json_t *tags = json_object();
    for (uint32_t i = 0; i < s->tag_count; i++) json_object_set_new(tags, s->tags[i].name, tag_json(s->tags[i].value));
    json_object_set_new(to, "tags", tags);
}

static json_t *self_text(const struct snapshot *s) {
    json_t *patroni = json_object();
    json_object_set_new(patroni, "version", json_string(PGREGENT_VERSION));
    json_object_set_new(patroni, "scope", json_text_safe(s->scope));
    json_object_set_new(patroni, "name", json_text_safe(s->self.name));
    json_object_set_new(patroni, "site", json_text_safe(s->report.site));
    return patroni;
}

json_t *health_status(const struct health *h) {
    const struct snapshot *s = h->s;
    json_t *to = json_object();
    json_object_set_new(to, "state", json_string(state_text(h)));
    json_object_set_new(to, "role", json_string(member_role_names[s->self.role]));
    add_server(h, to);
    if (health_cluster_unlocked(h)) json_object_set_new(to, "cluster_unlocked", json_true());
    json_object_set_new(to, "dcs_last_seen", json_integer(s->report.store_ok ? s->report.made_at / 1000 : 0));
    if (s->self.pending_restart) json_object_set_new(to, "pending_restart", json_true());
    add_tags(s, to);
    if (s->self.system_id[0]) json_object_set_new(to, "database_system_identifier", json_text_safe(s->self.system_id));
    json_object_set_new(to, "patroni", self_text(s));
    return to;
}

/* ---- /cluster ---- */

static const char *role_in_list(int role) {
    switch ((enum member_role)role) {
    case MEMBER_PRIMARY: return "leader";
    case MEMBER_STANDBY_LEADER: return "standby_leader";
    case MEMBER_DEMOTED: case MEMBER_REPLICA: case MEMBER_UNINITIALIZED: return "replica";
    }
    return "replica";
}

static const struct member_status *leader_of(const struct report *r) {
    for (uint32_t i = 0; i < r->member_count; i++)
        if (r->leader[0] && str_eq(r->members[i].name, r->leader)) return &r->members[i];
    return NULL;
}

/* Behind the site's leader; "unknown" as Patroni writes it. */
static json_t *lag_json(const struct member_status *m, const struct member_status *leader) {
    if (!leader || !leader->lsn || !m->replay_lsn) return json_string("unknown");
    return json_integer(leader->lsn > m->replay_lsn ? (json_int_t)(leader->lsn - m->replay_lsn) : 0);
}

static json_t *member_json(const struct member_status *m, const struct member_status *leader) {
    json_t *to = json_object();
    json_object_set_new(to, "name", json_text_safe(m->name));
    json_object_set_new(to, "role", json_string(role_in_list(m->role)));
    json_object_set_new(to, "state", json_string(member_state_names[m->state]));
    json_object_set_new(to, "host", json_text_safe(m->host));
    json_object_set_new(to, "port", json_integer(m->port));
    if (m->timeline) json_object_set_new(to, "timeline", json_integer(m->timeline));
    if (m != leader) json_object_set_new(to, "lag", lag_json(m, leader));
    if (m->pending_restart) json_object_set_new(to, "pending_restart", json_true());
    return to;
}

json_t *health_cluster(const struct health *h) {
    const struct report *r = &h->s->report;
    json_t *to = json_object(), *members = json_array();
    for (uint32_t i = 0; i < r->member_count; i++) json_array_append_new(members, member_json(&r->members[i], leader_of(r)));
    json_object_set_new(to, "members", members);
    json_object_set_new(to, "scope", json_text_safe(h->s->scope));
    return to;
}

/* Each timeline that was left, where, and how; pgregent only ever promotes by trigger. */
json_t *health_history(const struct health *h) {
    const struct lineage *l = &h->s->report.lineage;
    json_t *to = json_array();
    for (uint32_t i = 1; i < l->count; i++) {
        json_t *line = json_array();
        json_array_append_new(line, json_integer(l->entries[i - 1].timeline));
        json_array_append_new(line, json_integer((json_int_t)l->entries[i].begin));
        json_array_append_new(line, json_string("no recovery target specified"));
        json_array_append_new(to, line);
    }
    return to;
}
