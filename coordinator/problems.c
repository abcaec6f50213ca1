/* What is wrong with a cluster, in words, with a cure. Found anew each time; a problem that stays keeps its first moment. */
#include "coordinator/coordinator.h"
#include "coordinator/decide/cluster.h"
#include "rt/clock.h"
#include <stdio.h>
#include <string.h>

struct finding {
    struct cluster *cluster;
    struct problem found[PROBLEMS_MAX];
    uint32_t count;
    int64_t now_ms;
};

static bool is_same(const struct problem *a, const char *id, const char *site, const char *member) {
    return str_eq(a->id, id) && str_eq(a->site, site) && str_eq(a->member, member);
}

static int64_t since(const struct finding *f, const char *id, const char *site, const char *member) {
    for (uint32_t i = 0; i < f->cluster->problem_count; i++)
        if (is_same(&f->cluster->problems[i], id, site, member))
            return f->cluster->problems[i].since;
    return f->now_ms;
}

__attribute__((format(printf, 7, 8))) static void add(struct finding *f, const char *id, const char *severity, const char *site, const char *member, const char *cure,
                                                      const char *format, ...) {
    for (uint32_t i = 0; i < f->count; i++)
        if (is_same(&f->found[i], id, site, member))
            return;
    if (f->count == PROBLEMS_MAX)
        return;
    struct problem *p = &f->found[f->count++];
    va_list args;
    str_copy(p->id, sizeof p->id, id);
    str_copy(p->severity, sizeof p->severity, severity);
    str_copy(p->site, sizeof p->site, site);
    str_copy(p->member, sizeof p->member, member);
    str_copy(p->cure, sizeof p->cure, cure);
    va_start(args, format);
    vsnprintf(p->message, sizeof p->message, format, args);
    va_end(args);
    p->since = since(f, id, site, member);
}

/* What starts or copies is a problem only when it takes long. */
#define YOUNG_MS 15000
static void hide_young(struct finding *f, const char *id, const char *site, const char *member) {
    for (uint32_t i = 0; i < f->count; i++)
        if (is_same(&f->found[i], id, site, member))
            f->found[i].hidden = f->now_ms - f->found[i].since < YOUNG_MS;
}

/* ---- the cluster ---- */

static void of_cluster(struct finding *f) {
    const struct cluster *cluster = f->cluster;
    const struct cluster_rule *rule = cluster->plan.rule;
    int primary = cluster_primary(&cluster->view);
    const struct member_facts *leader = primary == NOBODY ? NULL : site_leader(&cluster->view.sites[primary]);
    if (rule && cluster->plan.asks)
        add(f, rule->head.name, "error", "", "", cluster->plan.overlong ? cluster->plan.overlong : "`pgregent explain`", "%s%s%s", rule->head.sentence,
            cluster->plan.about[0] ? ": " : "", cluster->plan.about);
    if (cluster->view.store_empty)
        add(f, "sites-unheard", "warning", "", "", "start the agents of every site", "this coordinator began with an empty store and has not heard every site yet");
    if (primary != NOBODY && cluster->view.sites[primary].fresh && !(leader && leader->writable) && !cluster->view.op.open)
        add(f, "primary-not-writable", "error", cluster->sites[primary].name, "", "`pgregent explain`", "the primary site does not accept writes");
}

/* ---- members ---- */

static bool is_expected_to_stream(const struct cluster *cluster, uint32_t site, const struct member_facts *m) {
    return m->alive && !m->streaming && !m->writable && cluster->sites[site].report->has_order && !((int)site == cluster_primary(&cluster->view) && m->leader);
}

static void of_slots(struct finding *f, const char *site, const struct member_status *m) {
    for (uint32_t i = 0; i < m->slot_count; i++) {
        const struct report_slot *s = &m->slots[i];
        if (str_eq(s->wal_status, "lost"))
            add(f, "slot-lost", "error", site, m->name, "it is made anew; its consumer may have to be copied anew", "slot %s has lost its WAL", s->name);
        else if (str_eq(s->wal_status, "unreserved"))
            add(f, "slot-unreserved", "warning", site, m->name, "let its consumer catch up, or raise retention.slot_wal_max", "slot %s is about to lose its WAL", s->name);
    }
}

static void of_member(struct finding *f, uint32_t site, const struct member_facts *m) {
    const struct cluster *cluster = f->cluster;
    const char *name = cluster->sites[site].name;
    const struct member_status *status = report_member(cluster->sites[site].report, m->name);
    if (!m->alive) {
        add(f, "member-down", "warning", name, m->name, "start its agent", "%s is not heard by its site", m->name);
        return;
    }
    if (status->state == STATE_DATA_MISSING)
        add(f, "data-missing", "error", name, m->name, "mount its directory, or `pgregent local reinit`", "%s once held data and its directory is empty or not mounted", m->name);
    else if (is_expected_to_stream(cluster, site, m))
        add(f, "member-not-streaming", "warning", name, m->name, "`pgregent explain`", "%s does not stream: %s", m->name, status->why[0] ? status->why : member_state_names[status->state]);
    if (m->busy)
        hide_young(f, "member-not-streaming", name, m->name);
    if (status->pending_restart)
        add(f, "pending-restart", "info", name, m->name, "`pgregent local restart`", "parameters of %s wait for a restart", m->name);
    of_slots(f, name, status);
}

/* ---- sites ---- */

static void of_report(struct finding *f, const struct report *r) {
    for (uint32_t i = 0; i < r->problem_count; i++) {
        const struct report_problem *p = &r->problems[i];
        add(f, p->id, p->severity, r->site, p->member, p->cure, "%s", p->message);
    }
}

static void of_site(struct finding *f, uint32_t i) {
    const struct cluster *cluster = f->cluster;
    const struct site *s = &cluster->sites[i];
    const struct site_facts *facts = &cluster->view.sites[i];
    if (!s->report) {
        add(f, "site-unheard", "warning", s->name, "", "start its agents; check its way to the coordinator", "site %s has not reported", s->name);
        return;
    }
    if (s->went_back_boot_ms && clock_boot_ms() - s->went_back_boot_ms < REPORT_FRESH_MS)
        add(f, "site-went-back", "error", s->name, "", "bring its store of before back; if that is gone, a person must decide", "site %s says less than it has said before: its store was replaced or restored", s->name);
    if (!facts->fresh) {
        add(f, "report-stale", "error", s->name, "", "check its agents and its way to the coordinator", "the newest report of site %s is old", s->name);
        return;
    }
    if (s->refused)
        add(f, "order-refused", "warning", s->name, "", "planned again by itself; see `pgregent explain`", "site %s refuses its order (%s): %s", s->name,
            order_kind_names[s->pending.order.kind], s->refused_reason);
    if (!s->report->store_ok && s->report->topology_version)
        add(f, "store-down", "error", s->name, "", "check the site's store", "the store of site %s does not answer", s->name);
    if (facts->has_order && !s->report->leader[0])
        add(f, "no-leader", "warning", s->name, "", "`pgregent explain`", "nobody leads site %s", s->name);
    for (uint32_t m = 0; m < facts->member_count; m++)
        of_member(f, i, &facts->members[m]);
    of_report(f, s->report);
}

void problems_find(struct cluster *cluster) {
    LARGE_LOCAL struct finding f;
    memset(&f, 0, sizeof f);
    f.cluster = cluster;
    f.now_ms = clock_wall_ms();
    of_cluster(&f);
    for (uint32_t i = 0; i < cluster->site_count; i++)
        of_site(&f, i);
    memcpy(cluster->problems, f.found, sizeof cluster->problems);
    cluster->problem_count = f.count;
}
