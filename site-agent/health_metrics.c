/* /metrics in Prometheus' text format: Patroni's names and labels plus `site`, then our own. An unknown number is left
 * out where Patroni's dashboards do not need the line. */
#include "site-agent/health.h"
#include <inttypes.h>
#include <stdio.h>

/* ---- writing ---- */

static void add_escaped(struct strbuf *to, const char *text) {
    for (; *text; text++) {
        if (*text == '\n') {
            strbuf_add(to, "\\n");
            continue;
        }
        if (*text == '"' || *text == '\\') strbuf_add(to, "\\");
        strbuf_add_bytes(to, text, 1);
    }
}

static void add_label(struct strbuf *to, const char *name, const char *value) {
    strbuf_addf(to, ",%s=\"", name);
    add_escaped(to, value);
    strbuf_add(to, "\"");
}

struct writer {
    struct strbuf *to;
    const struct snapshot *s;
};

static void head(const struct writer *w, const char *name, const char *type, const char *help) {
    strbuf_addf(w->to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* `name{scope="",name="",site=""`; further labels and the value come after. */
static void begin(const struct writer *w, const char *name) {
    strbuf_addf(w->to, "%s{scope=\"", name);
    add_escaped(w->to, w->s->scope);
    strbuf_add(w->to, "\"");
    add_label(w->to, "name", w->s->self.name);
    add_label(w->to, "site", w->s->report.site);
}

static void end(const struct writer *w, int64_t value) { strbuf_addf(w->to, "} %" PRId64 "\n", value); }

static void whole(const struct writer *w, const char *name, const char *type, const char *help, int64_t value) {
    head(w, name, type, help);
    begin(w, name);
    end(w, value);
}
static void gauge(const struct writer *w, const char *name, const char *help, int64_t value) { whole(w, name, "gauge", help, value); }
static void counter(const struct writer *w, const char *name, const char *help, int64_t value) { whole(w, name, "counter", help, value); }

static void seconds(const struct writer *w, const char *name, const char *help, int64_t ms) {
    head(w, name, "gauge", help);
    begin(w, name);
    strbuf_addf(w->to, "} %" PRId64 ".%03d\n", ms / 1000, (int)(ms % 1000));
}

/* ---- Patroni's ---- */

/* 4.1.0 is 040100, as Patroni counts. */
static void version(const struct writer *w) {
    int major = 0, minor = 0, patch = 0;
    sscanf(PGREGENT_VERSION, "%d.%d.%d", &major, &minor, &patch);
    head(w, "patroni_version", "gauge", "Version of pgregent without periods.");
    begin(w, "patroni_version");
    strbuf_addf(w->to, "} %02d%02d%02d\n", major, minor, patch);
}

/* Patroni's numbers of states; -1: none fits. */
static int state_number(int state) {
    switch ((enum member_state)state) {
    case STATE_INITIALIZING: return 0;
    case STATE_CREATING: return 4;
    case STATE_RUNNING: case STATE_STREAMING: case STATE_ARCHIVE_RECOVERY: return 5;
    case STATE_STARTING: return 6;
    case STATE_START_FAILED: return 8;
    case STATE_STOPPING: return 11;
    case STATE_STOPPED: case STATE_DATA_MISSING: return 12;
    case STATE_CRASHED: return 14;
    case STATE_UNKNOWN: return -1;
    }
    return -1;
}

static void roles(const struct writer *w, const struct health *h) {
    gauge(w, "patroni_postgres_running", "Value is 1 if Postgres is running, 0 otherwise.", h->running);
    seconds(w, "patroni_postmaster_start_time", "Epoch seconds since Postgres started.", h->running ? h->s->postmaster_started_wall_ms : 0);
    gauge(w, "patroni_primary", "Value is 1 if this node is the leader, 0 otherwise.", h->primary);
    gauge(w, "patroni_standby_leader", "Value is 1 if this node is the standby_leader, 0 otherwise.", h->standby_leader);
    gauge(w, "patroni_replica", "Value is 1 if this node is a replica, 0 otherwise.", h->replica);
    gauge(w, "patroni_sync_standby", "Value is 1 if this node is a sync standby, 0 otherwise.", 0);
    gauge(w, "patroni_quorum_standby", "Value is 1 if this node is a quorum standby, 0 otherwise.", 0);
}

static void positions(const struct writer *w, const struct health *h) {
    const struct member_status *m = &h->s->self;
    bool standby = h->s->in_recovery;
    bool paused = m->replay_pause_state[0] && !str_eq(m->replay_pause_state, "not paused");
    counter(w, "patroni_xlog_location", "Current location of the Postgres transaction log, 0 if this node is a standby.", standby ? 0 : (int64_t)m->lsn);
    counter(w, "patroni_xlog_received_location", "Current location of the received Postgres transaction log, 0 if this node is a primary.", standby ? (int64_t)m->lsn : 0);
    counter(w, "patroni_xlog_replayed_location", "Current location of the replayed Postgres transaction log, 0 if this node is a primary.", standby ? (int64_t)m->replay_lsn : 0);
    gauge(w, "patroni_xlog_paused", "Value is 1 if the Postgres xlog is paused, 0 otherwise.", standby && paused);
    gauge(w, "patroni_postgres_streaming", "Value is 1 if Postgres is streaming, 0 otherwise.", str_eq(health_replication_state(h), "streaming"));
    gauge(w, "patroni_postgres_in_archive_recovery", "Value is 1 if Postgres is in archive recovery, 0 otherwise.", str_eq(health_replication_state(h), "in archive recovery"));
    gauge(w, "patroni_postgres_server_version", "Version of Postgres (if running), 0 otherwise.", h->running ? h->s->server_version_num : 0);
    counter(w, "patroni_postgres_timeline", "Postgres timeline of this node (if running), 0 otherwise.", h->running ? m->timeline : 0);
}

static void automation(const struct writer *w, const struct health *h) {
    const struct snapshot *s = h->s;
    int state = state_number(s->self.state);
    if (state >= 0) gauge(w, "patroni_postgres_state", "Numeric representation of the Postgres state, as Patroni counts them.", state);
    gauge(w, "patroni_cluster_unlocked", "Value is 1 if the cluster is unlocked, 0 if locked.", health_cluster_unlocked(h));
    gauge(w, "patroni_failsafe_mode_is_active", "Value is 1 if failsafe mode is active, 0 if inactive.", 0);
    counter(w, "patroni_dcs_last_seen", "Epoch timestamp when the store was last contacted successfully, 0 while it does not answer.", s->report.store_ok ? s->report.made_at / 1000 : 0);
    gauge(w, "patroni_pending_restart", "Value is 1 if the node needs a restart, 0 otherwise.", s->self.pending_restart);
    gauge(w, "patroni_is_paused", "Value is 1 if auto failover is disabled, 0 otherwise.", 0);
}

/* ---- ours ---- */

/* Prometheus refuses a whole page for one line that stands there twice. */
static bool told_before(const struct report *r, uint32_t index) {
    const struct report_problem *p = &r->problems[index];
    for (uint32_t i = 0; i < index; i++) {
        const struct report_problem *q = &r->problems[i];
        if (str_eq(p->id, q->id) && str_eq(p->severity, q->severity) && str_eq(p->member, q->member)) return true;
    }
    return false;
}

static void problems(const struct writer *w) {
    const struct report *r = &w->s->report;
    head(w, "pgregent_problem", "gauge", "What is wrong at this site, by stable id; the text stands in pgregent status.");
    for (uint32_t i = 0; i < r->problem_count; i++) {
        if (told_before(r, i)) continue;
        begin(w, "pgregent_problem");
        add_label(w->to, "id", r->problems[i].id);
        add_label(w->to, "severity", r->problems[i].severity);
        if (r->problems[i].member[0]) add_label(w->to, "member", r->problems[i].member);
        end(w, 1);
    }
}

static void slots(const struct writer *w) {
    static const char *const kinds[] = {
#define X(symbol, name) name,
        SLOT_KINDS(X)
#undef X
    };
    const struct member_status *m = &w->s->self;
    head(w, "pgregent_slot_retained_bytes", "gauge", "WAL kept for a replication slot of this member.");
    for (uint32_t i = 0; i < m->slot_count; i++) {
        if (m->slots[i].retained_bytes < 0) continue;
        begin(w, "pgregent_slot_retained_bytes");
        add_label(w->to, "slot", m->slots[i].name);
        add_label(w->to, "kind", kinds[m->slots[i].kind]);
        end(w, m->slots[i].retained_bytes);
    }
}

/* Of the whole site, told by the one that streams from the other site. */
static void site_lag(const struct writer *w, const struct health *h) {
    if (!h->standby_leader) return;
    if (h->s->received_lsn_lag_bytes >= 0) gauge(w, "pgregent_site_lag_bytes", "What the upstream site has and this site has not replayed.", h->s->received_lsn_lag_bytes);
    if (h->s->self.replay_lag_ms >= 0) seconds(w, "pgregent_site_lag_seconds", "Age of the last replayed commit while behind.", h->s->self.replay_lag_ms);
}

static void ours(const struct writer *w, const struct health *h) {
    const struct snapshot *s = h->s;
    int64_t left_ms = h->leads ? s->lease_deadline_boot_ms - h->now_boot_ms : 0;
    gauge(w, "pgregent_writable", "Value is 1 if this node is the primary and accepted writes when last asked.", h->primary && s->self.writable);
    seconds(w, "pgregent_lease_left_seconds", "Until the site lease held here runs out, 0 if it is not held here.", left_ms);
    seconds(w, "pgregent_report_age_seconds", "Since the agent's loop last came round.", h->now_boot_ms > s->ticked_boot_ms ? h->now_boot_ms - s->ticked_boot_ms : 0);
    site_lag(w, h);
    slots(w);
    problems(w);
    if (s->self.job[0] && s->self.job_total_bytes >= 0) {
        gauge(w, "pgregent_job_done_bytes", "Progress of the running copy.", s->self.job_done_bytes);
        gauge(w, "pgregent_job_total_bytes", "Size of the running copy, as estimated.", s->self.job_total_bytes);
    }
    if (s->certificate_expiry_wall_ms)
        gauge(w, "pgregent_certificate_expiry_timestamp_seconds", "When the certificate of this agent expires.", s->certificate_expiry_wall_ms / 1000);
}

void health_metrics(const struct health *h, struct strbuf *to) {
    const struct writer w = {.to = to, .s = h->s};
    version(&w);
    roles(&w, h);
    positions(&w, h);
    automation(&w, h);
    ours(&w, h);
}
