/* The documents of explain, slots, history and readiness (docs/api.md). */
#include "coordinator/coordinator.h"
#include "coordinator/decide/cluster.h"
#include "rt/clock.h"

json_t *document_head(const struct cluster *cluster) {
    json_t *to = json_object();
    json_object_set_new(to, "format", json_integer(1));
    json_object_set_new(to, "generated_at", wall_or_null(clock_wall_ms()));
    json_object_set_new(to, "source", json_string("coordinator"));
    json_object_set_new(to, "cluster", json_string(cluster->name));
    return to;
}

static struct text *as_text(json_t *owned) {
    STRBUF text = {0};
    json_write(owned, &text);
    json_decref(owned);
    return text_of(&text);
}

/* ---- explain ---- */

static json_t *rule_to_json(const struct rule_head *head, const char *about, bool asks) {
    json_t *to = json_object();
    json_object_set_new(to, "id", json_string(head->id));
    json_object_set_new(to, "name", json_string(head->name));
    json_object_set_new(to, "sentence", json_string(head->sentence));
    json_object_set_new(to, "about", json_text_or_null(about));
    json_object_set_new(to, "waits_for_person", json_boolean(asks));
    return to;
}

static json_t *explain_member(const struct report *r, const struct topology_member *t) {
    const struct member_status *m = report_member(r, t->name);
    json_t *to = json_object();
    json_object_set_new(to, "name", json_string(t->name));
    json_object_set_new(to, "role", m ? json_string(member_role_names[m->role]) : json_null());
    json_object_set_new(to, "state", m ? json_string(member_state_names[m->state]) : json_null());
    json_object_set_new(to, "rule", m && m->rule[0] ? json_text_safe(m->rule) : json_null());
    json_object_set_new(to, "why", m && m->why[0] ? json_text_safe(m->why) : json_null());
    return to;
}

static json_t *explain_site(const struct cluster *cluster, uint32_t i) {
    const struct site *s = &cluster->sites[i];
    const struct topology_site *t = &cluster->topology->sites[i];
    const struct site_rule *rule = cluster->plan.sites[i];
    json_t *to = json_object(), *members = json_array();
    json_object_set_new(to, "name", json_string(s->name));
    json_object_set_new(to, "role", json_text_or_null(site_role_text(cluster, i)));
    json_object_set_new(to, "state", json_string(site_state_text(cluster, i)));
    json_object_set_new(to, "rule", rule ? rule_to_json(&rule->head, s->refused ? s->refused_reason : "", false) : json_null());
    for (uint32_t m = 0; m < t->member_count; m++)
        json_array_append_new(members, explain_member(s->report, &t->members[m]));
    json_object_set_new(to, "members", members);
    return to;
}

struct text *document_explain(const struct cluster *cluster) {
    json_t *to = document_head(cluster), *sites = json_array();
    const struct cluster_rule *rule = cluster->plan.rule;
    json_object_set_new(to, "rule", rule ? rule_to_json(&rule->head, cluster->plan.about, cluster->plan.asks) : json_null());
    for (uint32_t i = 0; i < cluster->site_count; i++)
        json_array_append_new(sites, explain_site(cluster, i));
    json_object_set_new(to, "sites", sites);
    return as_text(to);
}

/* ---- history ---- */

static const struct operation *operation_that_opened(const struct cluster *cluster, const struct epoch *e) {
    for (uint32_t i = 0; i < cluster->operation_count; i++) {
        const struct operation *o = &cluster->operations[i];
        if (!epoch_compare(&o->opened, e) || (o->kind == OP_SWITCHOVER && o->state == OP_ABORTED && !epoch_compare(&o->back, e)))
            return o;
        if (o->kind == OP_CREATE && o->state == OP_DONE && e->generation == 1 && e->step == 0)
            return o;
    }
    return NULL;
}

static json_t *epoch_to_json(const struct cluster *cluster, const struct receipt *r) {
    const struct operation *o = operation_that_opened(cluster, &r->epoch);
    json_t *to = json_object();
    char text[EPOCH_TEXT_MAX];
    int64_t gap_ms = 0;
    bool gap = o && operation_write_gap(o, &gap_ms);
    epoch_format_short(&r->epoch, text);
    json_object_set_new(to, "epoch", json_string(text));
    json_object_set_new(to, "site", json_string(r->site));
    json_object_set_new(to, "opened_at", wall_or_null(r->writes_accepted_at ? r->writes_accepted_at : r->made_at));
    json_object_set_new(to, "operation", o ? json_string(o->id) : json_null());
    json_object_set_new(to, "kind", o ? json_string(o->state == OP_ABORTED ? "abort" : op_kind_names[o->kind]) : json_null());
    json_object_set_new(to, "by", o ? json_text_or_null(o->by) : json_null());
    json_object_set_new(to, "reason", o ? json_text_or_null(o->reason) : json_null());
    json_object_set_new(to, "write_gap_ms", gap ? json_integer(gap_ms) : json_null());
    json_object_set_new(to, "lost_bytes", o && o->kind == OP_SWITCHOVER ? json_integer(0) : json_null());
    return to;
}

static json_t *timelines_to_json(const struct lineage *l) {
    json_t *to = json_array();
    for (uint32_t i = 0; i < l->count; i++) {
        json_t *one = json_object();
        char lsn[LSN_TEXT_MAX];
        lsn_format(l->entries[i].begin, lsn);
        json_object_set_new(one, "timeline", json_integer(l->entries[i].timeline));
        json_object_set_new(one, "begin", l->entries[i].begin ? json_string(lsn) : json_null());
        json_object_set_new(one, "fingerprint", json_text_safe(l->entries[i].fingerprint));
        json_array_append_new(to, one);
    }
    return to;
}

struct text *document_history(const struct cluster *cluster) {
    json_t *to = document_head(cluster), *epochs = json_array();
    LARGE_LOCAL struct lineage lineage;
    int primary = cluster_primary(&cluster->view);
    for (uint32_t i = 0; i < cluster->receipt_count; i++)
        if (cluster->receipts[i].receipt.kind == RECEIPT_OPENED)
            json_array_append_new(epochs, epoch_to_json(cluster, &cluster->receipts[i].receipt));
    json_object_set_new(to, "epochs", epochs);
    lineage.count = 0;
    if (primary != NOBODY)
        order_lineage(cluster, primary, &lineage);
    json_object_set_new(to, "timelines", timelines_to_json(&lineage));
    return as_text(to);
}

/* ---- readiness ---- */

static bool is_open(const struct cluster *cluster) {
    for (uint32_t i = 0; i < cluster->operation_count; i++)
        if (operation_is_open(&cluster->operations[i]))
            return true;
    return false;
}

static void add_standing_refusals(const struct cluster *cluster, json_t *checks) {
    static const char *const names[][3] = {{"operation-open", "an operation is open", "wait for its end"},
                                           {"store-empty", "this coordinator has not heard every site yet", "start the agents of every site"},
                                           {"outranked", "the sites obey another coordinator", "ask that one"},
                                           {"topology-behind", "a site holds a newer topology than this coordinator", "put its newest store, or an empty one, in its place"}};
    bool holds[] = {is_open(cluster), !cluster->marks.complete, cluster->outranked, cluster->view.behind};
    for (size_t i = 0; i < sizeof holds / sizeof holds[0]; i++) {
        if (!holds[i])
            continue;
        json_t *one = json_object();
        json_object_set_new(one, "id", json_string(names[i][0]));
        json_object_set_new(one, "message", json_string(names[i][1]));
        json_object_set_new(one, "evidence", json_null());
        json_object_set_new(one, "cure", json_string(names[i][2]));
        json_object_set_new(one, "ignorable", json_false());
        json_array_append_new(checks, one);
    }
}

struct text *document_readiness(const struct cluster *cluster, int site) {
    static const enum op_step steps[] = {OP_CHECK, OP_PREPARE, OP_STOP, OP_PROMOTE, OP_FOLLOW, OP_VERIFY};
    json_t *to = document_head(cluster), *checks = json_array(), *names = json_array();
    bool already = site == cluster_primary(&cluster->view);
    add_standing_refusals(cluster, checks);
    for (const struct move_check *check = move_checks; !already && check->id; check++)
        if (check->fails(&cluster->view, site)) {
            json_array_append_new(checks, check_to_json(&cluster->view, check, site));
            if (cluster_primary(&cluster->view) == NOBODY)
                break; /* the others are about a primary */
        }
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        json_array_append_new(names, json_string(op_step_names[steps[i]]));
    json_object_set_new(to, "to", json_string(cluster->sites[site].name));
    json_object_set_new(to, "changed", json_boolean(!already));
    json_object_set_new(to, "ready", json_boolean(json_array_size(checks) == 0));
    json_object_set_new(to, "checks", checks);
    json_object_set_new(to, "steps", names);
    return as_text(to);
}

/* ---- slots ---- */

/* The same rows as in the status document, by site. */
struct text *document_slots(const struct cluster *cluster) {
    json_t *to = document_head(cluster), *sites = json_array();
    for (uint32_t i = 0; i < cluster->site_count; i++) {
        json_t *site = json_object();
        json_object_set_new(site, "name", json_string(cluster->sites[i].name));
        json_object_set_new(site, "slots", slots_to_json(cluster->sites[i].report));
        json_array_append_new(sites, site);
    }
    json_object_set_new(to, "sites", sites);
    return as_text(to);
}
