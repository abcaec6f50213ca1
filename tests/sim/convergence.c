/* Is the world as the topology declares it? Looked at in the liveness phase, in the product's own structs: one primary that
 * writes, everybody else streams from it or through its site's leader, slots stand, nothing is open, nothing is left behind. */
#include "coordinator/coordinator.h"
#include "coordinator/decide/cluster.h"
#include "site-agent/agent.h"
#include "tests/sim/ideal.h"
#include "tests/sim/invariants.h"
#include "tests/sim/postgres.h"
#include "wire/envelope.h"
#include <stdio.h>
#include <string.h>

#define LAG_MAX 100000 /* bytes: writers go on writing */

bool agent_holds_lease(const struct host *h) {
    const struct agent *a = agent_on(h);
    return a && lease_valid(&a->lease, host_boot_ms(h));
}

const char *agent_instance(const struct host *h) {
    const struct agent *a = agent_on(h);
    return a && a->state.instance[0] ? a->state.instance : NULL;
}

bool agent_marks(const struct host *h, struct epoch *epoch, int64_t *serial) {
    const struct agent *a = h->member == NOWHERE ? NULL : agent_on(h);
    if (!a || !a->server.main) /* made once everything has been read */
        return false;
    *epoch = a->state.epoch;
    *serial = a->state.serial;
    return true;
}

bool invariants_signed_by_coordinator(const struct envelope *e) {
    struct sign_key key = {0};
    ideal_key(&key, coordinator_hosts[0]->name);
    return envelope_verified_by(e, key.public);
}

static const struct cluster *cluster_of(const struct host *h) {
    const struct coordinator *c = coordinator_on(h);
    return c && c->cluster_count ? c->clusters[0] : NULL;
}

/* ---- convergence ---- */

struct look {
    const struct host *writer;
    char *lacking;
    size_t size;
};
#define LACKS(l, ...) (snprintf((l)->lacking, (l)->size, __VA_ARGS__), false)

/* A site whose leader's data a person has promoted by hand, or whose store was put back, waits for a person. */
static bool waits_for_person(int site) {
    if (invariants_was_put_back(site))
        return true;
    for (int m = 0; m < sites[site].member_count; m++)
        if (invariants_is_excused(sites[site].members[m]))
            return true;
    return false;
}

static bool anybody_waits(void) {
    for (int i = 0; i < site_count; i++)
        if (waits_for_person(i))
            return true;
    return false;
}

static const char *rule_of(const struct agent *a) { return a->plan.rules[CONCERN_ROLE] ? a->plan.rules[CONCERN_ROLE]->id : "none"; }
static const char *lease_rule_of(const struct agent *a) { return a->plan.rules[CONCERN_LEASE] ? a->plan.rules[CONCERN_LEASE]->id : "none"; }

static bool agents_run(struct look *l) {
    for (int i = 0; i < host_count; i++)
        if (hosts[i].member != NOWHERE && !agent_on(&hosts[i]))
            return LACKS(l, "the agent of %s does not run", hosts[i].name);
    return true;
}

static bool has_writer(struct look *l) {
    if (l->writer)
        return true;
    size_t at = 0;
    for (int i = 0; i < host_count; i++) {
        const struct agent *a = hosts[i].member == NOWHERE ? NULL : agent_on(&hosts[i]);
        if (a && at < l->size)
            at += (size_t)snprintf(l->lacking + at, l->size - at, "%s%s %s %s", at ? ", " : "nobody accepts writes: ", hosts[i].name, lease_rule_of(a), rule_of(a));
    }
    return false;
}

static bool writer_is_highest(struct look *l) {
    struct epoch own = invariants_opened(l->writer->site);
    for (int i = 0; i < site_count; i++) {
        struct epoch other = invariants_opened(i);
        if (i != l->writer->site && epoch_compare(&other, &own) > 0)
            return LACKS(l, "%s writes, and %s has opened a higher epoch", l->writer->name, sites[i].name);
    }
    return true;
}

static bool same_history(const struct agent *a, const struct agent *b) {
    const struct lineage *x = &a->state.lineage, *y = &b->state.lineage;
    return x->count && x->count == y->count && !strcmp(x->entries[x->count - 1].fingerprint, y->entries[y->count - 1].fingerprint);
}

static bool follows(struct look *l, const struct host *h) {
    const struct postgres *pg = h->postgres, *first = l->writer->postgres;
    const struct agent *a = agent_on(h);
    if (pg->state != SERVER_RECOVERY || !pg->receives_from)
        return LACKS(l, "%s does not stream (rule %s, lease %s, %s)", h->name, rule_of(a), lease_rule_of(a), a->attachment.reason);
    if (!wal_holds(first->written, pg->written))
        return LACKS(l, "%s has another history than %s", h->name, l->writer->name);
    if (first->written->end > pg->replayed->end + LAG_MAX)
        return LACKS(l, "%s lags by %lld bytes", h->name, (long long)(first->written->end - pg->replayed->end));
    if (pg->ready_for_promotion)
        return LACKS(l, "%s is still prepared as a target", h->name);
    if (!same_history(a, agent_on(l->writer)))
        return LACKS(l, "%s does not know its timeline as %s does", h->name, l->writer->name);
    return true;
}

/* What this one was copied with begins too late to be compared: nothing before the other's last record is left. */
static bool is_too_young(const struct host *source, const struct host *h) {
    const struct wal *last = h->postgres->flushed;
    return source && source != h && last && source->postgres->oldest_kept > (last->previous ? last->previous->start : last->start);
}

bool invariants_leader_is_too_young(const struct host *h) {
    for (int m = 0; m < sites[h->site].member_count; m++) {
        const struct host *other = sites[h->site].members[m];
        if (other != invariants_writer() && agent_holds_lease(other) && is_too_young(other, h))
            return true;
    }
    return false;
}

/* A member that was away while who it follows was copied, a new machine perhaps. It is to be copied anew, and a person says so
 * (4.3). The truth is asked, not the verdict: a wrong verdict is no excuse. */
static bool must_be_copied(const struct host *h) {
    const struct host *source = invariants_writer();
    for (int m = 0; m < sites[h->site].member_count; m++)
        if (sites[h->site].members[m] != h && agent_holds_lease(sites[h->site].members[m]))
            source = sites[h->site].members[m];
    return is_too_young(source, h) || (invariants_were_slots_dropped() && is_too_young(invariants_writer(), h)); /* by a person */
}

bool world_needs_nobody(void) {
    for (int i = 0; i < host_count; i++)
        if (world_names(&hosts[i]) && must_be_copied(&hosts[i]))
            return false;
    return !anybody_waits();
}

static bool everybody_follows(struct look *l) {
    for (int i = 0; i < host_count; i++)
        if (world_names(&hosts[i]) && &hosts[i] != l->writer && !waits_for_person(hosts[i].site) && !follows(l, &hosts[i]) && !must_be_copied(&hosts[i]))
            return false;
    return true;
}

static bool has_slot(const struct postgres *pg, enum slot_kind kind, const char *site) {
    char name[SLOT_NAME_MAX];
    slot_name(name, kind, site);
    for (int i = 0; i < pg->slot_count; i++)
        if (!strcmp(pg->slots[i].name, name))
            return pg->slots[i].restart && !pg->slots[i].lost;
    return false;
}

static bool slots_stand(struct look *l) {
    for (int i = 0; i < site_count; i++)
        if (world_names_site(i) && i != l->writer->site && !waits_for_person(i) && !has_slot(l->writer->postgres, SLOT_SITE, sites[i].name))
            return LACKS(l, "%s has no slot for %s", l->writer->name, sites[i].name);
    return true;
}

static bool nothing_is_open(struct look *l) {
    const struct cluster *cluster = cluster_of(coordinator_hosts[0]);
    if (!cluster)
        return LACKS(l, "the coordinator does not run, or knows no cluster");
    for (uint32_t i = 0; i < cluster->operation_count; i++)
        if (operation_is_open(&cluster->operations[i]))
            return LACKS(l, "operation %s (%s) is open: %s %s", cluster->operations[i].id, op_kind_names[cluster->operations[i].kind], cluster->operations[i].rule,
                         cluster->operations[i].message);
    for (uint32_t i = 0; i < cluster->site_count && !waits_for_person((int)i); i++)
        if (cluster->sites[i].pending.present)
            return LACKS(l, "an order for %s is pending: %s", cluster->sites[i].name, cluster->sites[i].refused_reason);
    return true;
}

bool world_operation_is_open(void) {
    const struct cluster *cluster = cluster_of(coordinator_hosts[0]);
    for (uint32_t i = 0; cluster && i < cluster->operation_count; i++)
        if (operation_is_open(&cluster->operations[i]))
            return true;
    return false;
}

bool world_bootstrap_was_taken_back(void) {
    const struct cluster *cluster = cluster_of(coordinator_hosts[0]);
    for (uint32_t i = 0; cluster && i < cluster->operation_count; i++)
        if (cluster->operations[i].kind == OP_BOOTSTRAP && cluster->operations[i].state == OP_ABORTED)
            return true;
    return false;
}

static bool was_born(struct look *l) {
    for (int i = 0; i < site_count; i++)
        if (world_names_site(i) && !invariants_holds_order(i) && !waits_for_person(i))
            return LACKS(l, "%s has no order", sites[i].name);
    return true;
}

/* Whoever is named has the topology that the coordinator has, and each site's lease the length that stands in it. */
static bool topology_is_everywhere(struct look *l) {
    const struct signed_topology *newest = topology_in_force();
    for (int i = 0; i < host_count; i++) {
        const struct agent *a = world_names(&hosts[i]) && !waits_for_person(hosts[i].site) ? agent_on(&hosts[i]) : NULL;
        if (!a)
            continue;
        if (!a->topology || !str_eq(a->topology->hash, newest->hash))
            return LACKS(l, "%s has topology %lld, the coordinator %lld: %s", hosts[i].name, a->topology ? (long long)a->topology->topology_version : 0,
                         (long long)newest->version, a->topology_error);
        if (a->records.lease.length_ms != newest->declared.sites[hosts[i].site].ttl_ms)
            return LACKS(l, "%s has a lease of %lld ms, and %lld ms are declared", sites[hosts[i].site].name, (long long)a->records.lease.length_ms,
                         (long long)newest->declared.sites[hosts[i].site].ttl_ms);
        if (must_be_copied(&hosts[i]))
            continue; /* at rest until then */
        if (!a->server.applied.parameter_count || !str_eq(a->server.applied.parameters[0].value, a->member->postgresql.parameters[0].value))
            return LACKS(l, "PostgreSQL of %s has not the settings that are declared", hosts[i].name);
    }
    return true;
}

/* Where a person is waited for, the others need not get on by themselves: that nobody lost anything has been checked. */
bool world_has_converged(char *lacking, size_t size) {
    struct look l = {.writer = invariants_writer(), .lacking = lacking, .size = size};
    if (anybody_waits())
        return agents_run(&l);
    return agents_run(&l) && was_born(&l) && has_writer(&l) && writer_is_highest(&l) && everybody_follows(&l) && slots_stand(&l) && nothing_is_open(&l) &&
           topology_is_everywhere(&l);
}
