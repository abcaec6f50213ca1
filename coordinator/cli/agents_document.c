/* Reports of sites in the form of the coordinator's documents. Only what the agents said; what a coordinator alone can
 * know (operations, history of moves) is null or empty. */
#include "coordinator/cli/agents.h"
#include "wire/epoch.h"
#include "wire/lsn.h"
#include <string.h>

static json_t *copy_of(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return value ? json_deep_copy(value) : json_null();
}

static json_t *number_or_null(int64_t number) {
    return number < 0 ? json_null() : json_integer(number);
}

/* "1.0@ams" as "1.0". */
static json_t *short_epoch(const char *text) {
    return text ? json_stringn(text, strcspn(text, "@")) : json_null();
}

static const json_t *report_of(const json_t *reports, const char *site) {
    size_t i;
    const json_t *report;
    json_array_foreach(reports, i, report)
        if (str_eq(json_text(report, "site", NULL), site))
            return report;
    return NULL;
}

/* ---- who is primary ---- */

/* The highest epoch that any of them knows to have been opened; a site that was asked alone may know of a later move. */
static struct epoch newest_epoch(const json_t *reports) {
    static const char *const keys[] = {"opened", "known_opened"};
    size_t i;
    const json_t *report;
    struct epoch highest = {0}, epoch;
    json_array_foreach(reports, i, report)
        for (size_t k = 0; k < 2; k++) {
            const char *text = json_text(json_object_get(report, "vote"), keys[k], NULL);
            if (text && epoch_parse(text, &epoch) && epoch_compare(&epoch, &highest) > 0)
                highest = epoch;
        }
    return highest;
}

static const json_t *leader_of(const json_t *report) {
    size_t i;
    const json_t *member;
    json_array_foreach(json_object_get(report, "members"), i, member)
        if (str_eq(json_text(member, "name", ""), json_text(report, "leader", NULL)))
            return member;
    return NULL;
}

static lsn_t lsn_of(const json_t *member) {
    lsn_t lsn;
    const char *text = json_text(member, "lsn", NULL);
    return text && lsn_parse(text, &lsn) ? lsn : 0;
}

/* Bytes behind the primary; unknown unless both positions are known. The two were looked at at different moments. */
static json_t *lag_of(lsn_t primary, const json_t *member) {
    lsn_t lsn = lsn_of(member);
    if (!primary || !lsn)
        return json_null();
    return json_integer(lsn >= primary ? 0 : (json_int_t)(primary - lsn));
}

/* ---- status ---- */

static json_t *member_document(const json_t *m, lsn_t primary) {
    const char *job = json_text(m, "job", NULL);
    json_t *to = json_object();
    static const char *const same[] = {"name", "role", "state", "timeline", "lsn", "replay_lsn", "host", "port", "pending_restart", "postgresql_version", "agent_version"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        json_object_set_new(to, same[i], copy_of(m, same[i]));
    json_object_set_new(to, "lag_bytes", lag_of(primary, m));
    json_object_set_new(to, "job", job ? json_pack("{s:o, s:o, s:o}", "kind", json_text_safe(job), "done_bytes", number_or_null(json_int(m, "job_done_bytes", -1)),
                                                   "total_bytes", number_or_null(json_int(m, "job_total_bytes", -1)))
                                       : json_null());
    return to;
}

static json_t *slots_of(const json_t *report) {
    json_t *to = json_array();
    size_t i, k;
    const json_t *member, *slot;
    json_array_foreach(json_object_get(report, "members"), i, member)
        json_array_foreach(json_object_get(member, "slots"), k, slot) {
            json_t *row = json_deep_copy(slot);
            json_object_set_new(row, "member", copy_of(member, "name"));
            json_array_append_new(to, row);
        }
    return to;
}

/* All streaming: ok. None running: down. */
static const char *state_of(const json_t *report) {
    size_t i, count = 0, fine = 0, up = 0;
    const json_t *member;
    json_array_foreach(json_object_get(report, "members"), i, member) {
        const char *state = json_text(member, "state", "unknown");
        bool runs = str_eq(state, "running") || str_eq(state, "streaming");
        count++;
        fine += runs;
        up += runs || str_eq(state, "in archive recovery") || str_eq(state, "starting");
        if (str_eq(state, "creating replica") && !json_text(report, "leader", NULL))
            return "bootstrapping";
    }
    return !report ? "unknown" : up == 0 ? "down" : fine == count ? "ok" : "degraded";
}

static const char *role_of(const json_t *report) {
    const char *role = json_text(report, "order_role", "unassigned");
    return !json_bool(report, "has_order", false) ? "unassigned" : str_eq(role, "stopped") ? "fenced" : role;
}

/* Site that a standby's leader streams from: the other site that has a member of that name. */
static json_t *upstream_of(const json_t *reports, const json_t *report) {
    const char *upstream = json_text(leader_of(report), "upstream", NULL);
    size_t i, k;
    const json_t *other, *member;
    if (upstream)
        json_array_foreach(reports, i, other)
            json_array_foreach(json_object_get(other, "members"), k, member)
                if (other != report && str_eq(json_text(member, "name", NULL), upstream))
                    return copy_of(other, "site");
    return json_null();
}

static json_t *site_document(const json_t *reports, const char *site, lsn_t primary) {
    const json_t *report = report_of(reports, site);
    json_t *members = json_array();
    size_t i;
    const json_t *m;
    json_array_foreach(json_object_get(report, "members"), i, m)
        json_array_append_new(members, member_document(m, primary));
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:n, s:o, s:o}", "name", json_text_safe(site), "role", report ? json_text_safe(role_of(report)) : json_null(), "state",
                     state_of(report), "epoch", short_epoch(json_text(report, "order_epoch", NULL)), "leader", report ? copy_of(report, "leader") : json_null(), "upstream",
                     upstream_of(reports, report), "report_age_ms", copy_of(report, "age_ms"), "lag_bytes", lag_of(primary, leader_of(report)), "lag_seconds", "members", members,
                     "slots", slots_of(report));
}

static json_t *problems_of(const json_t *reports) {
    json_t *to = json_array();
    size_t i, k;
    const json_t *report, *problem;
    json_array_foreach(reports, i, report)
        json_array_foreach(json_object_get(report, "problems"), k, problem) {
            json_t *row = json_deep_copy(problem);
            json_object_set_new(row, "site", copy_of(report, "site"));
            json_array_append_new(to, row);
        }
    return to;
}

static json_t *status_document(const json_t *reports, const json_t *names) {
    const struct epoch epoch = newest_epoch(reports);
    const json_t *primary = report_of(reports, epoch.site), *leader = leader_of(primary), *any = json_array_get(reports, 0), *name;
    char opened[EPOCH_TEXT_MAX];
    json_t *sites = json_array(), *to = json_object();
    size_t i;
    json_array_foreach(names, i, name)
        json_array_append_new(sites, site_document(reports, json_string_value(name), lsn_of(leader)));
    json_object_set_new(to, "name", copy_of(any, "cluster"));
    json_object_set_new(to, "system_identifier", copy_of(any, "system_id"));
    epoch_format_short(&epoch, opened);
    json_object_set_new(to, "epoch", json_text_or_null(opened));
    json_object_set_new(to, "epoch_site", json_text_or_null(epoch.site));
    json_object_set_new(to, "primary_site", json_text_or_null(epoch.site));
    json_object_set_new(to, "primary_member", copy_of(leader, "name"));
    json_object_set_new(to, "writable", copy_of(leader, "writable"));
    json_object_set_new(to, "topology_version", copy_of(any, "topology_version"));
    static const char *const unknown[] = {"protection", "protected", "paused", "operation", "last_operation"};
    for (size_t k = 0; k < sizeof unknown / sizeof *unknown; k++)
        json_object_set_new(to, unknown[k], json_null());
    json_object_set_new(to, "problems", problems_of(reports));
    json_object_set_new(to, "sites", sites);
    return to;
}

/* ---- explain, slots, history ---- */

static json_t *explain_sites(const json_t *reports, const json_t *names) {
    json_t *to = json_array();
    size_t i, k;
    const json_t *name, *m;
    json_array_foreach(names, i, name) {
        const json_t *report = report_of(reports, json_string_value(name));
        json_t *members = json_array();
        json_array_foreach(json_object_get(report, "members"), k, m)
            json_array_append_new(members, json_pack("{s:o, s:o, s:o, s:o, s:o}", "name", copy_of(m, "name"), "role", copy_of(m, "role"), "state", copy_of(m, "state"), "rule",
                                                     copy_of(m, "rule"), "why", copy_of(m, "why")));
        json_array_append_new(to, json_pack("{s:O, s:o, s:s, s:n, s:o}", "name", name, "role", report ? json_text_safe(role_of(report)) : json_null(), "state",
                                            state_of(report), "rule", "members", members));
    }
    return to;
}

static json_t *slots_sites(const json_t *reports, const json_t *names) {
    json_t *to = json_array();
    size_t i;
    const json_t *name;
    json_array_foreach(names, i, name)
        json_array_append_new(to, json_pack("{s:O, s:o}", "name", name, "slots", slots_of(report_of(reports, json_string_value(name)))));
    return to;
}

json_t *agents_document(enum source_kind kind, const json_t *reports, const json_t *sites, const char *generated_at) {
    json_t *to = json_pack("{s:i, s:s, s:s}", "format", 1, "generated_at", generated_at, "source", "agents");
    if (kind == SOURCE_STATUS) {
        json_object_set_new(to, "clusters", json_pack("[o]", status_document(reports, sites)));
        return to;
    }
    json_object_set_new(to, "cluster", copy_of(json_array_get(reports, 0), "cluster"));
    if (kind == SOURCE_EXPLAIN) {
        json_object_set_new(to, "rule", json_null());
        json_object_set_new(to, "sites", explain_sites(reports, sites));
    } else if (kind == SOURCE_SLOTS)
        json_object_set_new(to, "sites", slots_sites(reports, sites));
    else {
        json_object_set_new(to, "epochs", json_array());
        struct epoch epoch = newest_epoch(reports);
        const json_t *primary = report_of(reports, epoch.site);
        json_object_set_new(to, "timelines", copy_of(primary ? primary : json_array_get(reports, 0), "lineage"));
    }
    return to;
}
