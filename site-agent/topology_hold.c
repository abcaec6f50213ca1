/* The topology that this member holds: the operator's signed envelope, kept in the state directory, verified and parsed
 * anew at each start. Before the first one, the pinned operators of the configuration decide whom to believe. */
#include "rt/clock.h"
#include "site-agent/agent.h"
#include <stdio.h>
#include <string.h>

static void topology_path(const struct agent *a, char to[512]) { snprintf(to, 512, "%s/topology.dsse", a->config.state_dir); }

int64_t agent_stop_time_ms(const struct agent *a) {
    bool of_before = lease_valid(&a->lease, clock_boot_ms()) && a->lease.binding_seq < a->topology_seq && a->former_stop_time_ms;
    return of_before ? a->former_stop_time_ms : a->site->local.stop_time_ms;
}

/* The store is opened once it is known; moving a store is not built. */
static bool adopt(struct agent *a, struct topology *t, struct bytes envelope, struct err *err) {
    const struct topology_site *site = topology_site(t, a->config.site);
    const struct topology_member *member = topology_member(t, a->config.site, a->config.member);
    if (!str_eq(t->cluster, a->config.cluster) || !site || !member)
        return err_set(err, ERR_INVALID, "topology version %lld of cluster %s does not name member %s of site %s", (long long)t->topology_version, t->cluster, a->config.member, a->config.site);
    bool rebooted;
    if (!a->store && !store_open_embedded(site->embedded, &a->store, &rebooted, err))
        return err_wrap(err, "site %s: store", a->config.site);
    if (a->site && !str_eq(a->site->embedded, site->embedded))
        return err_set(err, ERR_UNSUPPORTED, "site %s: store moves from %s to %s: not built yet", a->config.site, a->site->embedded, site->embedded);
    if (a->site)
        a->former_stop_time_ms = agent_stop_time_ms(a);
    a->topology_seq = a->lease.seq_next;
    memset(&a->vouching, 0, sizeof a->vouching); /* rounds count sites by their place in the topology */
    rt_free(a->topology);
    a->topology = t;
    a->site = site;
    a->member = member;
    strbuf_reset(&a->topology_text);
    strbuf_add_bytes(&a->topology_text, envelope.at, envelope.len);
    return true;
}

bool topology_load(struct agent *a, struct err *err) {
    char path[512];
    STRBUF text = {0};
    struct err missing = {0};
    topology_path(a, path);
    if (!file_read(path, ENVELOPE_TEXT_MAX, &text, &missing))
        return missing.code == ERR_NOT_FOUND ? true : err_set(err, missing.code, "%s", missing.text);
    struct topology *t = rt_alloc(sizeof *t);
    struct bytes envelope = {text.at, text.len};
    /* it was verified when it came; what lies in our own private directory is believed as far as its form is right */
    if (topology_reopen(envelope, t, err) && adopt(a, t, envelope, err))
        return true;
    rt_free(t);
    return err_wrap(err, "%s", path);
}

bool topology_take(struct agent *a, struct bytes envelope, struct err *err) {
    if (a->topology_text.len == envelope.len && !memcmp(a->topology_text.at, envelope.at, envelope.len))
        return true;
    struct topology *t = rt_alloc(sizeof *t);
    bool fine = topology_open(envelope, a->topology, a->config.trust.operators, a->config.trust.operator_count, t, NULL, err);
    if (fine && a->topology && t->topology_version <= a->topology->topology_version)
        fine = err_set(err, ERR_REFUSED, "topology version %lld is not newer than %lld", (long long)t->topology_version, (long long)a->topology->topology_version);
    char path[512];
    topology_path(a, path);
    if (fine && adopt(a, t, envelope, err)) {
        if (!file_write(path, envelope.at, envelope.len, 0600, err))
            agent_log_step(a, "keep the topology", err); /* asked for again after a restart */
        log_info("topology accepted", F_INT("version", t->topology_version), F_STR("hash", t->hash));
        return true;
    }
    rt_free(t);
    return false;
}

void topology_share(struct agent *a) {
    const struct strbuf *shared = &a->records.topology_text, *held = &a->topology_text;
    bool same = shared->at && shared->len == held->len && !memcmp(shared->at, held->at, held->len);
    if (!a->topology || !a->records.read || same)
        return;
    if (lease_valid(&a->lease, clock_boot_ms())) {
        swap_publish(a, "site/topology", held->at);
    } else if (shared->at && shared->len) {
        struct err err = {0};
        if (!topology_take(a, (struct bytes){shared->at, shared->len}, &err) && err.code != ERR_REFUSED)
            agent_log_step(a, "take the site's topology", &err); /* an older one is refused, and no error */
    }
}
