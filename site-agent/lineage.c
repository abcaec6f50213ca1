/* A timeline is known by its content: the fingerprint of its first record, read from the WAL while it is still there,
 * or inherited from the proved history that this server follows. */
#include "site-agent/lineage.h"
#include "site-agent/agent.h"
#include <stdio.h>
#include <string.h>

/* `from` up to and with `timeline`; false when it is not among them or its content is unknown. */
static bool inherit(const struct lineage *from, int64_t timeline, struct lineage *out) {
    for (uint32_t i = 0; i < from->count; i++) {
        if (from->entries[i].timeline != timeline || !from->entries[i].fingerprint[0])
            continue;
        *out = *from;
        out->count = i + 1;
        return true;
    }
    return false;
}

/* Fingerprints that are known already are worth more than WAL that may be gone. */
static void keep_known(const struct lineage *known, struct lineage *fresh) {
    for (uint32_t i = 0; i < fresh->count; i++)
        for (uint32_t k = 0; k < known->count; k++)
            if (known->entries[k].timeline == fresh->entries[i].timeline && known->entries[k].begin == fresh->entries[i].begin && !fresh->entries[i].fingerprint[0])
                fresh->entries[i] = known->entries[k];
}

static bool read_own(const struct agent *a, int64_t timeline, struct lineage *out, struct err *err) {
    const struct pg_control *c = &a->server.control;
    char wal_dir[512];
    snprintf(wal_dir, sizeof wal_dir, "%s/pg_wal", a->member->postgresql.data_dir);
    if (!pg_history_read(a->member->postgresql.data_dir, timeline, c->system_identifier, out, err))
        return false;
    keep_known(&a->state.lineage, out);
    for (uint32_t i = 1; i + 1 < out->count; i++) { /* passed through too fast to be recorded; whoever follows must know it, too */
        struct lineage_entry *e = &out->entries[i];
        struct err gone = {0};
        if (!e->fingerprint[0])
            pg_lineage_fingerprint(wal_dir, c->wal_segment_size, e->timeline, e->begin, e->fingerprint, &gone);
    }
    struct lineage_entry *newest = &out->entries[out->count - 1];
    return newest->fingerprint[0] || pg_lineage_fingerprint(wal_dir, c->wal_segment_size, timeline, newest->begin, newest->fingerprint, err);
}

bool lineage_record(struct agent *a, struct err *err) {
    int64_t timeline = a->server.facts.timeline;
    struct lineage found = {0};
    bool follows = a->server.facts.in_recovery;
    bool known = follows && (inherit(&a->records.order.upstream_lineage, timeline, &found) ||
                             (a->records.has_leader_lineage && inherit(&a->records.leader_lineage, timeline, &found)));
    if (!known && !read_own(a, timeline, &found, err))
        return (follows && err->code == ERR_NOT_FOUND) || /* its first WAL, or the leader's word, is yet to come */
               err_wrap(err, "timeline %lld", (long long)timeline);
    if (!found.count || !found.entries[found.count - 1].fingerprint[0])
        return true;
    a->state.lineage = found;
    if (!state_save(a->config.state_dir, &a->state, err))
        return false;
    log_info("lineage recorded", F_INT("timeline", timeline), F_STR("fingerprint", found.entries[found.count - 1].fingerprint));
    lineage_publish(a);
    return true;
}

void lineage_publish(struct agent *a) {
    if (!a->view.lease_valid || !a->state.lineage.count)
        return;
    const struct lineage *mine = &a->state.lineage, *stored = &a->records.leader_lineage;
    if (a->records.has_leader_lineage && stored->count == mine->count && !memcmp(stored->entries, mine->entries, mine->count * sizeof mine->entries[0]))
        return;
    struct lineage_record record = {*mine};
    STRBUF text = {0};
    field_to_text(&lineage_record_table, &record, &text);
    swap_publish(a, "site/lineage", text.at);
}
