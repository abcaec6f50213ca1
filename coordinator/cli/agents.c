/* Asking agents one after the other, each with little patience: at 3 a.m. a partial answer now beats a full one later. */
#include "coordinator/cli/agents.h"
#include "coordinator/cli/cache.h"
#include "coordinator/cli/human.h"
#include "coordinator/cli/load.h"
#include "coordinator/cli/say.h"
#include "coordinator/cli/talk.h"
#include "rt/clock.h"
#include "rt/file.h"

#define AGENT_MS 3000
#define AGENT_CONNECT_MS 1000

bool agents_are_known(const struct cli *c, const char *cluster) {
    RT_AUTO struct topology *kept = rt_alloc(sizeof *kept);
    struct err ignored = {0};
    return c->options.topology || cache_read(c, cluster, kept, &ignored);
}

/* From --topology, or the cache. */
static bool find_topology(struct cli *c, const char *cluster, struct topology *out, int *exit) {
    LOAD load = {0};
    struct err err = {0};
    if (!c->options.topology && cache_read(c, cluster, out, &err))
        return true;
    if (!c->options.topology) {
        *exit = say_refusal(c, CLI_NOBODY, "nobody", "name an agent with --at HOST:PORT, or the file with --topology FILE", "no topology is kept here: %s", err.text);
        return false;
    }
    if (!load_topology(c->options.topology, &load, &err)) {
        *exit = load_refused(c, &load, &err);
        return false;
    }
    if (cluster && !str_eq(load.topology->cluster, cluster)) {
        *exit = say_refusal(c, CLI_USAGE, "invalid", NULL, "%s is the topology of %s, not of %s", c->options.topology, load.topology->cluster, cluster);
        return false;
    }
    *out = *load.topology;
    return true;
}

/* The report that one agent gives, with the age that the agent gives it; NULL: why is appended to `failures`. */
static json_t *ask_one(struct cli *c, const char *address, struct strbuf *failures) {
    char url[256];
    int status = 0;
    bool interrupted;
    STRBUF body = {0};
    struct err err = {0};
    snprintf(url, sizeof url, "https://%s/v1/status", address);
    struct http_request request = {.method = "GET", .url = url, .deadline_ms = AGENT_MS, .connect_ms = AGENT_CONNECT_MS};
    if (!talk_exchange(c, &request, &status, &body, &interrupted, &err)) {
        strbuf_addf(failures, "\n%s", interrupted ? "interrupted" : err.text);
        return NULL;
    }
    JSON_AUTO *answer = json_parse((struct bytes){body.at, body.len}, &err);
    json_t *report = json_object_get(answer, "report");
    if (status != 200 || !json_is_object(report)) {
        strbuf_addf(failures, "\n%s: answered with HTTP %d and no report", address, status);
        return NULL;
    }
    json_object_set_new(report, "age_ms", json_is_integer(json_object_get(answer, "age_ms")) ? json_incref(json_object_get(answer, "age_ms")) : json_null());
    return json_incref(report);
}

/* The leader knows most; among others the first to answer must do. */
static json_t *ask_site(struct cli *c, const struct topology_site *site, struct strbuf *failures) {
    json_t *best = NULL;
    for (uint32_t i = 0; i < site->member_count; i++) {
        json_t *report = ask_one(c, site->members[i].agent, failures);
        bool better = report && (!best || json_bool(report, "speaks", false));
        if (better)
            json_decref(best);
        if (better)
            best = report;
        else
            json_decref(report);
        if (json_bool(best, "speaks", false))
            break;
    }
    return best;
}

static bool ask_all(struct cli *c, const char *cluster, json_t *reports, json_t *sites, struct strbuf *failures, int *exit) {
    RT_AUTO struct topology *topology = rt_alloc(sizeof *topology);
    if (c->options.at) {
        json_t *report = ask_one(c, c->options.at, failures);
        if (report)
            json_array_append_new(sites, json_text_safe(json_text(report, "site", "?")));
        if (report)
            json_array_append_new(reports, report);
        return true;
    }
    if (!find_topology(c, cluster, topology, exit))
        return false;
    for (uint32_t i = 0; i < topology->site_count; i++) {
        json_t *report = ask_site(c, &topology->sites[i], failures);
        json_array_append_new(sites, json_string(topology->sites[i].name));
        if (report)
            json_array_append_new(reports, report);
    }
    return true;
}

json_t *agents_ask(struct cli *c, enum source_kind kind, const char *cluster, int *exit) {
    JSON_AUTO *reports = json_array(), *sites = json_array();
    STRBUF failures = {0};
    char now[CLOCK_TEXT_MAX];
    if (!ask_all(c, cluster, reports, sites, &failures, exit))
        return NULL;
    if (json_array_size(reports) == 0) {
        *exit = say_refusal(c, CLI_NOBODY, "nobody", "Nothing was sent. PostgreSQL goes on by itself for a while; look at\nsystemctl status pgregent-agent, and its log, on the members",
                            "no agent answers:%s", failures.at ? failures.at : "");
        return NULL;
    }
    const char *said = json_text(json_array_get(reports, 0), "cluster", "?");
    if (cluster && !str_eq(said, cluster)) {
        *exit = say_refusal(c, CLI_USAGE, "invalid", NULL, "that agent belongs to cluster %s, not to %s", human(said), cluster);
        return NULL;
    }
    clock_format(now, clock_wall_ms());
    return agents_document(kind, reports, sites, now);
}
