/* /metrics in Prometheus' text format: what docs/interface.md names, by cluster and site. */
#include "coordinator/decide/cluster.h"
#include "coordinator/snapshot.h"
#include "rt/clock.h"

static void family(struct strbuf *to, const char *name, const char *help) { strbuf_addf(to, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name); }

/* Label values are names and ids of ours: nothing to be escaped. */
static void sample(struct strbuf *to, const char *name, const char *cluster, const char *site, double value) {
    strbuf_addf(to, "%s{cluster=\"%s\",site=\"%s\"} %g\n", name, cluster, site, value);
}

typedef bool site_value(const struct cluster *cluster, uint32_t i, double *value);

static bool lag_bytes(const struct cluster *cluster, uint32_t i, double *value) {
    *value = (double)cluster->view.sites[i].lag_bytes;
    return cluster->view.sites[i].lag_bytes >= 0;
}
static bool lag_seconds(const struct cluster *cluster, uint32_t i, double *value) {
    const struct member_status *leader = report_leader(cluster->sites[i].report);
    *value = leader ? (double)leader->replay_lag_ms / 1000 : 0;
    return leader && cluster->view.sites[i].fresh && leader->replay_lag_ms >= 0;
}
static bool report_age(const struct cluster *cluster, uint32_t i, double *value) {
    *value = (double)(clock_boot_ms() - cluster->sites[i].arrived_boot_ms) / 1000;
    return cluster->sites[i].report != NULL;
}
static bool writable(const struct cluster *cluster, uint32_t i, double *value) {
    const struct member_facts *leader = site_leader(&cluster->view.sites[i]);
    *value = leader && leader->writable;
    return cluster->view.sites[i].fresh;
}

static void by_site(const struct coordinator *c, struct strbuf *to, const char *name, const char *help, site_value *of) {
    family(to, name, help);
    for (uint32_t k = 0; k < c->cluster_count; k++)
        for (uint32_t i = 0; i < c->clusters[k]->site_count; i++) {
            double value;
            if (of(c->clusters[k], i, &value))
                sample(to, name, c->clusters[k]->name, c->clusters[k]->sites[i].name, value);
        }
}

static void problems(const struct coordinator *c, struct strbuf *to) {
    family(to, "pgregent_problem", "1 for each problem that status shows");
    for (uint32_t k = 0; k < c->cluster_count; k++)
        for (uint32_t i = 0; i < c->clusters[k]->problem_count; i++) {
            const struct problem *p = &c->clusters[k]->problems[i];
            if (!p->hidden)
                strbuf_addf(to, "pgregent_problem{cluster=\"%s\",site=\"%s\",member=\"%s\",id=\"%s\",severity=\"%s\"} 1\n", c->clusters[k]->name, p->site, p->member, p->id, p->severity);
        }
}

static void readiness(const struct coordinator *c, struct strbuf *to) {
    family(to, "pgregent_ready", "would a planned move to this site work right now");
    for (uint32_t k = 0; k < c->cluster_count; k++)
        for (uint32_t i = 0; i < c->clusters[k]->site_count; i++)
            if ((int)i != cluster_primary(&c->clusters[k]->view))
                strbuf_addf(to, "pgregent_ready{cluster=\"%s\",verb=\"switchover\",to=\"%s\"} %d\n", c->clusters[k]->name, c->clusters[k]->sites[i].name,
                            move_refusal(&c->clusters[k]->view, (int)i) == NULL);
}

static void slots_of(const struct cluster *cluster, const struct report *r, struct strbuf *to) {
    for (uint32_t m = 0; r && m < r->member_count; m++)
        for (uint32_t s = 0; s < r->members[m].slot_count; s++)
            if (r->members[m].slots[s].retained_bytes >= 0 && str_starts(r->members[m].slots[s].name, "pgregent_"))
                strbuf_addf(to, "pgregent_slot_retained_bytes{cluster=\"%s\",site=\"%s\",member=\"%s\",slot=\"%s\"} %lld\n", cluster->name, r->site, r->members[m].name,
                            r->members[m].slots[s].name, (long long)r->members[m].slots[s].retained_bytes);
}

static void slots(const struct coordinator *c, struct strbuf *to) {
    family(to, "pgregent_slot_retained_bytes", "WAL kept for a slot of pgregent");
    for (uint32_t k = 0; k < c->cluster_count; k++)
        for (uint32_t i = 0; i < c->clusters[k]->site_count; i++)
            slots_of(c->clusters[k], c->clusters[k]->sites[i].report, to);
}

static void operations(const struct coordinator *c, struct strbuf *to) {
    family(to, "pgregent_operation_running", "1 while an operation is open");
    for (uint32_t k = 0; k < c->cluster_count; k++)
        strbuf_addf(to, "pgregent_operation_running{cluster=\"%s\"} %d\n", c->clusters[k]->name, c->clusters[k]->view.op.open);
}

struct text *metrics_text(const struct coordinator *c) {
    STRBUF to = {0};
    by_site(c, &to, "pgregent_site_lag_bytes", "bytes that the site's leader has not received", lag_bytes);
    by_site(c, &to, "pgregent_site_lag_seconds", "replay lag of the site's leader", lag_seconds);
    by_site(c, &to, "pgregent_report_age_seconds", "age of the site's newest report", report_age);
    by_site(c, &to, "pgregent_writable", "the site's leader accepts writes", writable);
    problems(c, &to);
    readiness(c, &to);
    slots(c, &to);
    operations(c, &to);
    family(&to, "pgregent_certificate_expiry_timestamp_seconds", "earliest end of the coordinator's certificates");
    strbuf_addf(&to, "pgregent_certificate_expiry_timestamp_seconds %lld\n", (long long)(tls_expiry_wall_ms(&c->config.tls) / 1000));
    return text_of(&to);
}
