/* Status for people: the cluster in one line, then sites, members, what runs, what is wrong. Unknown is "?", nothing to
 * say is "-". */
#include "coordinator/cli/status.h"
#include "coordinator/cli/human.h"
#include "coordinator/cli/operation.h"
#include "coordinator/cli/paint.h"
#include <stdio.h>
#include <string.h>

#define BAR_WIDTH 30
#define OLD_REPORT_MS 5000

static const json_t *by_name(const json_t *list, const char *name) {
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
        if (str_eq(json_text(item, "name", NULL), name))
            return item;
    return NULL;
}

const json_t *status_cluster(const json_t *status, const char *cluster) {
    return by_name(json_object_get(status, "clusters"), cluster);
}

const json_t *status_site(const json_t *cluster, const char *site) {
    return by_name(json_object_get(cluster, "sites"), site);
}

static bool cluster_is_troubled(const json_t *cluster) {
    size_t i;
    const json_t *site;
    if (json_array_size(json_object_get(cluster, "problems")) > 0 || !json_bool(cluster, "writable", false))
        return true;
    json_array_foreach(json_object_get(cluster, "sites"), i, site)
        if (!str_eq(json_text(site, "state", NULL), "ok"))
            return true;
    return false;
}

bool status_is_troubled(const json_t *status) {
    size_t i;
    const json_t *cluster;
    json_array_foreach(json_object_get(status, "clusters"), i, cluster)
        if (cluster_is_troubled(cluster))
            return true;
    return false;
}

/* ---- colours ---- */

static enum paint state_paint(const char *state) {
    static const char *const good[] = {"ok", "running", "streaming"}, *const bad[] = {"down", "stopped", "start failed", "crashed", "data missing"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (str_eq(state, good[i]))
            return PAINT_GOOD;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (str_eq(state, bad[i]))
            return PAINT_BAD;
    return PAINT_WARNING;
}

static enum paint severity_paint(const char *severity) {
    return str_eq(severity, "error") || str_eq(severity, "critical") ? PAINT_BAD : PAINT_WARNING;
}

/* ---- parts ---- */

static void cell_text(struct paint_table *t, enum paint as, const json_t *object, const char *key, const char *otherwise) {
    paint_cell(t, as, json_text(object, key, otherwise));
}

static void head(const json_t *cluster, bool colours, struct strbuf *to) {
    const char *site = json_text(cluster, "primary_site", NULL), *member = json_text(cluster, "primary_member", NULL);
    const json_t *writable = json_object_get(cluster, "writable");
    paint(to, colours, PAINT_BOLD, human(json_text(cluster, "name", "?")));
    strbuf_addf(to, "  epoch %s", human(json_text(cluster, "epoch", "?")));
    if (site)
        strbuf_addf(to, "  primary %s%s%s  ", human(site), member ? "/" : "", human(member ? member : ""));
    else
        paint(to, colours, PAINT_BAD, "  no primary  ");
    paint(to, colours, json_is_true(writable) ? PAINT_GOOD : PAINT_BAD,
          json_is_true(writable) ? "writable" : json_is_false(writable) ? "not writable" : "writable: unknown");
    if (json_is_integer(json_object_get(cluster, "topology_version")))
        strbuf_addf(to, "  topology %lld", (long long)json_int(cluster, "topology_version", 0));
    if (json_text(cluster, "protection", NULL))
        strbuf_addf(to, "  %s", human(json_text(cluster, "protection", "")));
    if (json_is_object(json_object_get(cluster, "paused")))
        paint(to, colours, PAINT_WARNING, "  paused");
    strbuf_add(to, "\n");
}

static void lag_text(const json_t *object, char *to, size_t size) {
    const json_t *bytes = json_object_get(object, "lag_bytes"), *seconds = json_object_get(object, "lag_seconds");
    int n = snprintf(to, size, "%s", human_bytes(bytes));
    if (json_is_number(seconds) && json_number_value(seconds) > 0 && n > 0 && (size_t)n < size)
        snprintf(to + n, size - (size_t)n, ", %s", human_seconds(seconds));
}

static void sites(const json_t *cluster, bool colours, struct strbuf *to) {
    static const char *const names[] = {"SITE", "ROLE", "STATE", "EPOCH", "LEADER", "UPSTREAM", "LAG", "REPORT"};
    PAINT_TABLE table = {0};
    size_t i;
    const json_t *site;
    paint_header(&table, names, sizeof names / sizeof *names);
    json_array_foreach(json_object_get(cluster, "sites"), i, site) {
        char lag[64];
        const json_t *age = json_object_get(site, "report_age_ms");
        lag_text(site, lag, sizeof lag);
        paint_row(&table);
        cell_text(&table, PAINT_BOLD, site, "name", "?");
        cell_text(&table, PAINT_PLAIN, site, "role", "?");
        cell_text(&table, state_paint(json_text(site, "state", "")), site, "state", "?");
        cell_text(&table, PAINT_PLAIN, site, "epoch", "-");
        cell_text(&table, PAINT_PLAIN, site, "leader", "-");
        cell_text(&table, PAINT_PLAIN, site, "upstream", "-");
        paint_cell(&table, PAINT_PLAIN, lag);
        paint_cell(&table, json_int(site, "report_age_ms", 0) > OLD_REPORT_MS ? PAINT_WARNING : PAINT_PLAIN,
                   json_is_number(age) ? human_ms((int64_t)json_number_value(age)) : "?");
    }
    paint_table(&table, colours, "  ", to);
}

static void member_row(struct paint_table *table, const json_t *site, const json_t *member) {
    char name[96], address[96], timeline[32] = "?";
    const char *host = json_text(member, "host", "?");
    bool bracketed = strchr(host, ':') != NULL;
    snprintf(name, sizeof name, "%s/%s", json_text(site, "name", "?"), json_text(member, "name", "?"));
    snprintf(address, sizeof address, "%s%s%s:%lld", bracketed ? "[" : "", host, bracketed ? "]" : "", (long long)json_int(member, "port", 0));
    if (json_is_integer(json_object_get(member, "timeline")))
        snprintf(timeline, sizeof timeline, "%lld", (long long)json_int(member, "timeline", 0));
    paint_row(table);
    paint_cell(table, PAINT_PLAIN, name);
    cell_text(table, PAINT_PLAIN, member, "role", "?");
    cell_text(table, state_paint(json_text(member, "state", "")), member, "state", "?");
    paint_cell(table, PAINT_PLAIN, timeline);
    cell_text(table, PAINT_PLAIN, member, "lsn", "?");
    cell_text(table, PAINT_PLAIN, member, "replay_lsn", "?");
    paint_cell(table, PAINT_PLAIN, human_bytes(json_object_get(member, "lag_bytes")));
    paint_cell(table, PAINT_DIM, address);
    paint_cell(table, PAINT_WARNING, json_bool(member, "pending_restart", false) ? "pending restart" : "");
}

static void members(const json_t *cluster, bool colours, struct strbuf *to) {
    static const char *const names[] = {"MEMBER", "ROLE", "STATE", "TL", "LSN", "REPLAYED", "LAG", "ADDRESS"};
    PAINT_TABLE table = {0};
    size_t i, k;
    const json_t *site, *member;
    paint_header(&table, names, sizeof names / sizeof *names);
    json_array_foreach(json_object_get(cluster, "sites"), i, site)
        json_array_foreach(json_object_get(site, "members"), k, member)
            member_row(&table, site, member);
    paint_table(&table, colours, "  ", to);
}

/* ---- work under way ---- */

typedef void job_visit(const json_t *member, const json_t *job, void *to);

static void each_job(const json_t *cluster, job_visit *visit, void *to) {
    size_t i, k;
    const json_t *site, *member;
    json_array_foreach(json_object_get(cluster, "sites"), i, site)
        json_array_foreach(json_object_get(site, "members"), k, member)
            if (json_is_object(json_object_get(member, "job")))
                visit(member, json_object_get(member, "job"), to);
}

static void job_line(const json_t *member, const json_t *job, void *context) {
    struct strbuf *to = context;
    int64_t done = json_int(job, "done_bytes", -1), total = json_int(job, "total_bytes", -1);
    strbuf_addf(to, "  %s of %s  ", human(json_text(job, "kind", "work")), human(json_text(member, "name", "?")));
    paint_bar(to, done, total, BAR_WIDTH);
    if (done >= 0 && total > 0)
        strbuf_addf(to, "  %s of %s", human_size(done), human_size(total));
    else if (done >= 0)
        strbuf_add(to, human_size(done));
    strbuf_add(to, "\n");
}

void status_jobs(const json_t *cluster, bool colours, struct strbuf *to) {
    (void)colours;
    each_job(cluster, job_line, to);
}

static void job_short(const json_t *member, const json_t *job, void *context) {
    struct strbuf *to = context;
    strbuf_addf(to, "%s%s ", to->len ? ", " : "", human(json_text(member, "name", "?")));
    if (json_int(job, "total_bytes", -1) > 0)
        paint_bar(to, json_int(job, "done_bytes", -1), json_int(job, "total_bytes", -1), 10);
    else
        strbuf_add(to, human(json_text(job, "kind", "works")));
}

void status_jobs_short(const json_t *cluster, struct strbuf *to) {
    each_job(cluster, job_short, to);
}

static void running(const json_t *cluster, bool colours, struct strbuf *to) {
    size_t i;
    const json_t *operation = json_object_get(cluster, "operation"), *last = json_object_get(cluster, "last_operation"), *step;
    const json_t *shown = json_is_object(operation) ? operation : last;
    if (!json_is_object(shown))
        return;
    STRBUF title = {0};
    operation_title(shown, &title);
    strbuf_addf(to, "\n  %s: %s  ", shown == operation ? "operation" : "last operation", title.at);
    paint(to, colours, shown == operation ? PAINT_WARNING : PAINT_DIM, human(json_text(shown, "state", "?")));
    strbuf_addf(to, "  %s\n", human(json_text(shown, "id", "")));
    if (shown != operation)
        return;
    json_array_foreach(json_object_get(shown, "steps"), i, step) {
        strbuf_add(to, "  ");
        operation_step(step, colours, to);
    }
    if (json_text(shown, "message", NULL))
        strbuf_addf(to, "    %s\n", human(json_text(shown, "message", "")));
    if (json_text(shown, "question", NULL))
        strbuf_addf(to, "    Question: %s\n", human(json_text(shown, "question", "")));
}

/* ---- what is wrong ---- */

static void problems(const json_t *cluster, bool colours, struct strbuf *to) {
    size_t i;
    const json_t *problem;
    json_array_foreach(json_object_get(cluster, "problems"), i, problem) {
        const char *site = json_text(problem, "site", NULL), *member = json_text(problem, "member", NULL), *severity = json_text(problem, "severity", "warning");
        strbuf_add(to, i ? "  " : "\n  ");
        paint(to, colours, severity_paint(severity), human(severity));
        strbuf_addf(to, "  %s%s%s%s%s: %s", human(json_text(problem, "id", "?")), site ? "  " : "", human(site ? site : ""), member ? "/" : "", human(member ? member : ""),
                    human(json_text(problem, "message", "")));
        if (json_text(problem, "since", NULL))
            strbuf_addf(to, " (since %s)", human(json_text(problem, "since", "")));
        if (json_text(problem, "cure", NULL))
            strbuf_addf(to, "\n    cure: %s", human(json_text(problem, "cure", "")));
        strbuf_add(to, "\n");
    }
}

/* Slots that are worth a line: WAL lost or about to be, or kept for somebody who does not fetch it. A slot of ours that
 * nobody uses is nothing special: anchors never are. */
static bool slot_is_notable(const json_t *slot) {
    const char *status = json_text(slot, "wal_status", "reserved"), *kind = json_text(slot, "kind", "");
    bool unused = json_is_false(json_object_get(slot, "active")) && json_int(slot, "retained_bytes", 0) > (64 << 20);
    return str_eq(status, "lost") || str_eq(status, "unreserved") || (unused && !str_eq(kind, "anchor"));
}

static void slots(const json_t *cluster, bool colours, struct strbuf *to) {
    size_t i, k, shown = 0;
    const json_t *site, *slot;
    json_array_foreach(json_object_get(cluster, "sites"), i, site)
        json_array_foreach(json_object_get(site, "slots"), k, slot)
            if (slot_is_notable(slot)) {
                const char *status = json_text(slot, "wal_status", "?");
                strbuf_addf(to, "%s  slot %s on %s: ", shown++ ? "" : "\n", human(json_text(slot, "name", "?")), human(json_text(slot, "member", "?")));
                paint(to, colours, str_eq(status, "lost") ? PAINT_BAD : PAINT_WARNING, human(status));
                strbuf_addf(to, ", keeps %s, %s\n", human_bytes(json_object_get(slot, "retained_bytes")), json_bool(slot, "active", false) ? "active" : "not used");
            }
}

static void cluster_text(const json_t *cluster, bool colours, struct strbuf *to) {
    head(cluster, colours, to);
    sites(cluster, colours, to);
    strbuf_add(to, "\n");
    members(cluster, colours, to);
    running(cluster, colours, to);
    status_jobs(cluster, colours, to);
    problems(cluster, colours, to);
    slots(cluster, colours, to);
}

void status_text(const json_t *status, bool colours, struct strbuf *to) {
    size_t i;
    const json_t *cluster, *clusters = json_object_get(status, "clusters");
    if (str_eq(json_text(status, "source", NULL), "agents"))
        paint(to, colours, PAINT_WARNING, "without a coordinator: this is what the agents say\n");
    if (json_array_size(clusters) == 0)
        strbuf_add(to, "no cluster yet; pgregent apply FILE --create makes one\n");
    json_array_foreach(clusters, i, cluster) {
        strbuf_add(to, i ? "\n" : "");
        cluster_text(cluster, colours, to);
    }
}
