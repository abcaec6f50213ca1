/* The status document of one cluster: an element of `clusters` in docs/interface.md. Unknown is null. */
#include "coordinator/coordinator.h"
#include "coordinator/decide/cluster.h"
#include "rt/clock.h"

json_t *wall_or_null(int64_t wall_ms) {
    char text[CLOCK_TEXT_MAX];
    if (!wall_ms)
        return json_null();
    clock_format(text, wall_ms);
    return json_string(text);
}

static json_t *lsn_or_null(lsn_t lsn) {
    char text[LSN_TEXT_MAX];
    if (!lsn)
        return json_null();
    lsn_format(lsn, text);
    return json_string(text);
}

static json_t *epoch_or_null(const struct epoch *e) {
    char text[EPOCH_TEXT_MAX];
    epoch_format_short(e, text);
    return json_text_or_null(text);
}

static json_t *known_or_null(int64_t number) { return number < 0 ? json_null() : json_integer(number); }

static json_t *string_pairs(const struct field_pair *pairs, uint32_t count) {
    json_t *to = json_object();
    for (uint32_t i = 0; i < count; i++)
        json_object_set_new(to, pairs[i].name, json_text_safe(pairs[i].value));
    return to;
}

/* ---- roles and states ---- */

const char *site_role_text(const struct cluster *cluster, uint32_t i) {
    const struct site_facts *s = &cluster->view.sites[i];
    if (!s->has_order)
        return s->heard ? "unassigned" : NULL;
    if ((int)i == cluster_primary(&cluster->view))
        return "primary";
    switch ((enum site_role)s->order_role) {
    case SITE_STANDBY:
        return "standby";
    case SITE_FENCED:
        return "fenced";
    case SITE_PRIMARY: /* of an epoch that is over, or not yet */
    case SITE_STOPPED:
        return "standby";
    case SITE_UNASSIGNED:
        break;
    }
    return "unassigned";
}

static bool is_running(const struct member_status *m) {
    return m->state == STATE_RUNNING || m->state == STATE_STREAMING || m->state == STATE_ARCHIVE_RECOVERY || m->state == STATE_STARTING || m->state == STATE_STOPPING;
}

static bool is_healthy(const struct cluster *cluster, uint32_t i) {
    const struct site_facts *s = &cluster->view.sites[i];
    const struct member_facts *leader = site_leader(s);
    bool primary = (int)i == cluster_primary(&cluster->view);
    if (!leader || (primary ? !leader->writable : !leader->streaming))
        return false;
    for (uint32_t m = 0; m < s->member_count; m++)
        if (!s->members[m].alive || (!s->members[m].streaming && !(primary && s->members[m].leader)))
            return false;
    return true;
}

static bool any_runs(const struct site *s) {
    for (uint32_t m = 0; m < s->report->member_count; m++)
        if (member_is_alive(s, &s->report->members[m]) && is_running(&s->report->members[m]))
            return true;
    return false;
}

const char *site_state_text(const struct cluster *cluster, uint32_t i) {
    const struct cluster_view *v = &cluster->view;
    if (!v->sites[i].fresh)
        return "unknown";
    if (v->op.open && v->op.kind != OP_SWITCHOVER && v->op.to == (int)i)
        return "bootstrapping";
    if (is_healthy(cluster, i))
        return "ok";
    return any_runs(&cluster->sites[i]) || !v->sites[i].has_order ? "degraded" : "down";
}

/* ---- members ---- */

static json_t *job_or_null(const struct member_status *m) {
    if (!m->job[0])
        return json_null();
    json_t *job = json_object();
    json_object_set_new(job, "kind", json_text_safe(m->job));
    json_object_set_new(job, "done_bytes", known_or_null(m->job_done_bytes));
    json_object_set_new(job, "total_bytes", known_or_null(m->job_total_bytes));
    return job;
}

/* NULL also when what it said is old. */
static const struct member_status *primary_leader(const struct cluster *cluster) {
    int primary = cluster_primary(&cluster->view);
    return primary == NOBODY || !cluster->view.sites[primary].fresh ? NULL : report_leader(cluster->sites[primary].report);
}

static int64_t lag_behind(const struct member_status *first, const struct member_status *m) {
    if (first == m)
        return 0;
    if (!first || !first->lsn || !m->lsn)
        return -1;
    return first->lsn > m->lsn ? (int64_t)(first->lsn - m->lsn) : 0;
}

static void add_unknown_member(json_t *to, const struct topology_member *t) {
    static const char *const unknown[] = {"role", "state", "timeline", "lsn", "replay_lsn", "lag_bytes", "topology_version"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        json_object_set_new(to, unknown[i], json_null());
    json_object_set_new(to, "host", json_string(t->host));
    json_object_set_new(to, "port", json_integer(t->port));
    json_object_set_new(to, "pending_restart", json_null());
    json_object_set_new(to, "tags", string_pairs(t->tags, t->tag_count));
    json_object_set_new(to, "postgresql_version", json_null());
    json_object_set_new(to, "agent_version", json_null());
    json_object_set_new(to, "job", json_null());
}

static json_t *member_to_json(const struct cluster *cluster, const struct site *s, const struct topology_member *t) {
    const struct member_status *m = report_member(s->report, t->name);
    json_t *to = json_object();
    json_object_set_new(to, "name", json_string(t->name));
    if (!m) {
        add_unknown_member(to, t);
        return to;
    }
    bool alive = member_is_alive(s, m);
    int64_t lag = alive ? lag_behind(primary_leader(cluster), m) : -1;
    json_object_set_new(to, "role", json_string(member_role_names[m->role]));
    json_object_set_new(to, "state", json_string(alive ? member_state_names[m->state] : "unknown"));
    json_object_set_new(to, "timeline", m->timeline ? json_integer(m->timeline) : json_null());
    json_object_set_new(to, "lsn", lsn_or_null(m->lsn));
    json_object_set_new(to, "replay_lsn", lsn_or_null(m->replay_lsn));
    json_object_set_new(to, "lag_bytes", known_or_null(lag));
    json_object_set_new(to, "topology_version", m->topology_version ? json_integer(m->topology_version) : json_null());
    json_object_set_new(to, "host", json_string(t->host));
    json_object_set_new(to, "port", json_integer(t->port));
    json_object_set_new(to, "pending_restart", json_boolean(m->pending_restart));
    json_object_set_new(to, "tags", string_pairs(t->tags, t->tag_count));
    json_object_set_new(to, "postgresql_version", json_text_or_null(m->postgresql_version));
    json_object_set_new(to, "agent_version", json_text_or_null(m->agent_version));
    json_object_set_new(to, "job", job_or_null(m));
    return to;
}

static void add_slots(json_t *to, const struct member_status *m) {
    for (uint32_t i = 0; i < m->slot_count; i++) {
        const struct report_slot *s = &m->slots[i];
        json_t *slot = json_object();
        json_object_set_new(slot, "member", json_string(m->name));
        json_object_set_new(slot, "name", json_text_safe(s->name));
        json_object_set_new(slot, "kind", json_string(slot_kind_names[s->kind]));
        json_object_set_new(slot, "active", json_boolean(s->active));
        json_object_set_new(slot, "restart_lsn", lsn_or_null(s->restart_lsn));
        json_object_set_new(slot, "retained_bytes", known_or_null(s->retained_bytes));
        json_object_set_new(slot, "wal_status", json_text_or_null(s->wal_status));
        json_object_set_new(slot, "covering", json_boolean(s->covering));
        json_array_append_new(to, slot);
    }
}

json_t *slots_to_json(const struct report *r) {
    json_t *to = json_array();
    for (uint32_t m = 0; r && m < r->member_count; m++)
        add_slots(to, &r->members[m]);
    return to;
}

/* ---- sites ---- */

static void add_lag(json_t *to, const struct cluster *cluster, uint32_t i) {
    const struct member_status *leader = report_leader(cluster->sites[i].report);
    bool primary = (int)i == cluster_primary(&cluster->view);
    bool fresh = cluster->view.sites[i].fresh;
    int64_t lag_ms = !fresh ? -1 : primary ? 0 : leader ? leader->replay_lag_ms : -1;
    json_object_set_new(to, "lag_bytes", known_or_null(primary && fresh ? 0 : cluster->view.sites[i].lag_bytes));
    json_object_set_new(to, "lag_seconds", lag_ms < 0 ? json_null() : json_real((double)lag_ms / 1000));
}

static json_t *site_to_json(const struct cluster *cluster, uint32_t i) {
    const struct site *s = &cluster->sites[i];
    const struct topology_site *t = &cluster->topology->sites[i];
    const struct site_facts *facts = &cluster->view.sites[i];
    int upstream = facts->has_order && facts->order_role == SITE_STANDBY ? cluster_upstream(&cluster->view, (int)i) : NOBODY;
    json_t *to = json_object(), *members = json_array();
    json_object_set_new(to, "name", json_string(s->name));
    json_object_set_new(to, "role", json_text_or_null(site_role_text(cluster, i)));
    json_object_set_new(to, "state", json_string(site_state_text(cluster, i)));
    json_object_set_new(to, "epoch", epoch_or_null(&facts->order_epoch));
    json_object_set_new(to, "leader", json_text_or_null(s->report ? s->report->leader : ""));
    json_object_set_new(to, "upstream", upstream == NOBODY ? json_null() : json_string(cluster->sites[upstream].name));
    json_object_set_new(to, "report_age_ms", s->report ? json_integer(clock_boot_ms() - s->arrived_boot_ms) : json_null());
    add_lag(to, cluster, i);
    for (uint32_t m = 0; m < t->member_count; m++)
        json_array_append_new(members, member_to_json(cluster, s, &t->members[m]));
    json_object_set_new(to, "members", members);
    json_object_set_new(to, "slots", slots_to_json(s->report));
    return to;
}

/* ---- the cluster ---- */

static json_t *problems_to_json(const struct cluster *cluster) {
    json_t *to = json_array();
    for (uint32_t i = 0; i < cluster->problem_count; i++) {
        const struct problem *p = &cluster->problems[i];
        if (p->hidden)
            continue;
        json_t *one = json_object();
        json_object_set_new(one, "id", json_text_safe(p->id));
        json_object_set_new(one, "severity", json_text_safe(p->severity));
        json_object_set_new(one, "site", json_text_or_null(p->site));
        json_object_set_new(one, "member", json_text_or_null(p->member));
        json_object_set_new(one, "since", wall_or_null(p->since));
        json_object_set_new(one, "message", json_text_safe(p->message));
        json_object_set_new(one, "cure", json_text_or_null(p->cure));
        json_array_append_new(to, one);
    }
    return to;
}

static void add_operations(const struct cluster *cluster, json_t *to) {
    const struct operation *open = NULL, *last = NULL;
    for (uint32_t i = 0; i < cluster->operation_count; i++)
        if (operation_is_open(&cluster->operations[i]))
            open = &cluster->operations[i];
        else
            last = &cluster->operations[i];
    json_object_set_new(to, "operation", open ? operation_to_json(open, clock_wall_ms()) : json_null());
    json_object_set_new(to, "last_operation", last ? operation_to_json(last, clock_wall_ms()) : json_null());
}

static const char *known_system_id(const struct cluster *cluster) {
    for (uint32_t i = 0; i < cluster->site_count; i++)
        if (cluster->sites[i].report && cluster->sites[i].report->system_id[0])
            return cluster->sites[i].report->system_id;
    return "";
}

struct text *document_status(const struct cluster *cluster) {
    JSON_AUTO *to = json_object();
    struct epoch epoch = cluster_epoch(&cluster->view);
    int primary = cluster_primary(&cluster->view);
    const struct member_status *leader = primary == NOBODY ? NULL : report_leader(cluster->sites[primary].report);
    bool fresh = primary != NOBODY && cluster->view.sites[primary].fresh;
    json_t *sites = json_array();
    json_object_set_new(to, "name", json_string(cluster->name));
    json_object_set_new(to, "system_identifier", json_text_or_null(known_system_id(cluster)));
    json_object_set_new(to, "epoch", epoch_or_null(&epoch));
    json_object_set_new(to, "epoch_site", json_text_or_null(epoch.site));
    json_object_set_new(to, "primary_site", primary == NOBODY ? json_null() : json_string(cluster->sites[primary].name));
    json_object_set_new(to, "primary_member", leader ? json_string(leader->name) : json_null());
    json_object_set_new(to, "writable", fresh ? json_boolean(leader && leader->writable) : json_null());
    json_object_set_new(to, "topology_version", json_integer(cluster->topology->topology_version));
    json_object_set_new(to, "protection", json_string("max_performance"));
    json_object_set_new(to, "protected", json_false());
    json_object_set_new(to, "paused", json_null());
    add_operations(cluster, to);
    json_object_set_new(to, "problems", problems_to_json(cluster));
    for (uint32_t i = 0; i < cluster->site_count; i++)
        json_array_append_new(sites, site_to_json(cluster, i));
    json_object_set_new(to, "sites", sites);
    STRBUF text = {0};
    json_write(to, &text);
    return text_of(&text);
}
