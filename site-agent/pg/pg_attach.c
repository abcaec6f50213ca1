/* The gate before a directory attaches to an upstream (protocol 4.3). Lineages say where the two histories part; then
 * the last record and the last commit before that place must stand in the source byte for byte: equal numbers, equal
 * positions and even equal checkpoint records have been seen in two copies with different rows. Only judges. */
#include "site-agent/pg/pg_attach_local.h"
#include "site-agent/pg/pg_wal_reader.h"
#include "site-agent/pg/pg_wal_source.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHARED_SEGMENTS_MAX 16

struct attach {
    const char *conninfo;
    int64_t deadline;
    const struct lineage *upstream;
    struct pg_wal_source source;
    struct pg_attach_local local;
    struct pg_attach_report *report;
};

const char *pg_attach_verdict_name(enum pg_attach_verdict v) {
    switch (v) {
    case PG_ATTACH_OK: return "ok";
    case PG_ATTACH_AHEAD: return "ahead";
    case PG_ATTACH_REWIND: return "rewind";
    case PG_ATTACH_RECLONE: return "reclone";
    }
    return "unknown";
}

static bool decide(struct attach *a, enum pg_attach_verdict verdict, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool decide(struct attach *a, enum pg_attach_verdict verdict, const char *format, ...) {
    va_list args;
    a->report->verdict = verdict;
    va_start(args, format);
    vsnprintf(a->report->reason, sizeof a->report->reason, format, args);
    va_end(args);
    return true;
}

/* ---- the source ---- */

/* Errors here are not verdicts: nobody's data is thrown away for a wrong address or a list that is behind. */
static bool check_source(struct attach *a, struct err *err) {
    if (!pg_wal_source_identify(a->conninfo, a->deadline, &a->source, err)) return err_wrap(err, "source");
    uint64_t theirs = a->source.system_identifier, ours = a->local.control.system_identifier;
    if (theirs != ours)
        return err_set(err, ERR_REFUSED, "source: another cluster (system identifier %llu, ours %llu)", (unsigned long long)theirs, (unsigned long long)ours);
    if (a->upstream->count == 0) return err_set(err, ERR_REFUSED, "source: its lineage is not known");
    int64_t newest = a->upstream->entries[a->upstream->count - 1].timeline;
    if (a->source.timeline > newest)
        return err_set(err, ERR_CONFLICT, "source: is on timeline %lld, its lineage is known up to %lld only", (long long)a->source.timeline, (long long)newest);
    return true;
}

/* ---- bytes ---- */

static int64_t timeline_at(const struct lineage *l, lsn_t at) {
    uint32_t i = l->count;
    while (i > 1 && l->entries[i - 1].begin > at) i--;
    return l->entries[i - 1].timeline;
}

enum match { MATCH_SAME, MATCH_OTHER, MATCH_GONE };

static bool compare(const struct attach *a, const struct pg_wal_record *record, enum match *out, struct err *err) {
    STRBUF ours = {.limit = UINT32_MAX};
    STRBUF theirs = {.limit = UINT32_MAX};
    struct err why = {0};
    int64_t timeline = timeline_at(&a->local.lineage, record->start);
    if (!pg_attach_local_bytes(&a->local, record, &ours, err)) return false;
    if (pg_wal_fetch(a->source.conninfo, timeline, record->start, ours.len, a->deadline, &theirs, &why))
        *out = memcmp(ours.at, theirs.at, ours.len) == 0 ? MATCH_SAME : MATCH_OTHER;
    else if (why.code == ERR_NOT_FOUND)
        *out = MATCH_GONE;
    else
        return err_set(err, why.code, "source: %s", why.text);
    return true;
}

static bool decide_mismatch(struct attach *a, const char *what, const struct pg_wal_record *record, enum match match) {
    return decide(a, PG_ATTACH_RECLONE, "%s at " PG_LSN_F " %s the source", what, PG_LSN_ARGS(record->start),
                  match == MATCH_OTHER ? "has other content in" : "can no longer be read in");
}

/* One of the two has no WAL as old as the last commit: it was copied later, or the database has been idle for long.
 * Then what both still have must agree: the first record of each segment, back to where the WAL of one begins. The last
 * record alone is not enough, as it is most often a checkpoint. */
static bool compare_shared(struct attach *a, const struct pg_wal_record *last, lsn_t commit, bool *agrees, struct err *err) {
    struct pg_wal_record first = *last, shared = *last;
    enum match match = MATCH_SAME;
    bool more = true;
    for (int i = 0; i < SHARED_SEGMENTS_MAX && more && match == MATCH_SAME; i++) {
        if (!pg_attach_local_segment_first(&a->local, &first, commit, a->deadline, err)) return false;
        if (first.start != last->start && !compare(a, &first, &match, err)) return false;
        if (match == MATCH_SAME) shared = first;
        if (!pg_attach_local_previous(&a->local, &first, commit, &more, err)) return false;
    }
    if (match == MATCH_OTHER) return decide_mismatch(a, "record", &first, match);
    *agrees = shared.start != last->start;
    return *agrees || decide(a, PG_ATTACH_RECLONE, "nothing but the last record at " PG_LSN_F " can still be compared with the source", PG_LSN_ARGS(last->start));
}

/* The last record and the last commit. True without *agrees: the report has the verdict. */
static bool compare_ends(struct attach *a, const struct pg_wal_record *last, const struct pg_wal_record *commit, bool *agrees, struct err *err) {
    enum match match, match_commit = MATCH_GONE;
    *agrees = false;
    if (!compare(a, last, &match, err)) return false;
    if (match != MATCH_SAME) return decide_mismatch(a, "last record", last, match);
    if (commit->start && !compare(a, commit, &match_commit, err)) return false;
    if (match_commit == MATCH_OTHER) return decide_mismatch(a, "last commit", commit, match_commit);
    if (match_commit == MATCH_GONE) return compare_shared(a, last, commit->start, agrees, err);
    *agrees = true;
    return true;
}

/* Compares what lies before `limit` (where the histories part) and judges. */
static bool judge_before(struct attach *a, lsn_t limit, struct err *err) {
    struct pg_wal_record last, commit;
    struct err why = {0};
    bool agrees;
    if (!pg_attach_local_before(&a->local, limit, a->deadline, &last, &commit, &why)) {
        if (why.code != ERR_NOT_FOUND) return err_set(err, why.code, "%s", why.text);
        return decide(a, PG_ATTACH_RECLONE, "no local WAL is left from before the fork at " PG_LSN_F, PG_LSN_ARGS(limit));
    }
    if (last.end > a->source.flush || timeline_at(&a->local.lineage, last.start) > a->source.timeline)
        return decide(a, PG_ATTACH_AHEAD, "local WAL reaches " PG_LSN_F ", the source only timeline %lld, " PG_LSN_F, PG_LSN_ARGS(last.end),
                      (long long)a->source.timeline, PG_LSN_ARGS(a->source.flush));
    if (!compare_ends(a, &last, &commit, &agrees, err)) return false;
    if (!agrees) return true;
    if (a->local.last.end > limit)
        return decide(a, PG_ATTACH_REWIND, "local WAL reaches " PG_LSN_F ", past the fork at " PG_LSN_F, PG_LSN_ARGS(a->local.last.end),
                      PG_LSN_ARGS(limit));
    return decide(a, PG_ATTACH_OK, "local WAL up to " PG_LSN_F " stands in the source", PG_LSN_ARGS(a->local.last.end));
}

/* ---- lineages ---- */

/* Local has a timeline more. As long as the source stays before that fork it may just be late. */
static bool judge_descendant(struct attach *a, lsn_t fork, struct err *err) {
    if (a->source.flush > fork) return judge_before(a, fork, err);
    return decide(a, PG_ATTACH_AHEAD, "local timeline %lld begins at " PG_LSN_F ", the source only reaches " PG_LSN_F,
                  (long long)pg_attach_local_timeline(&a->local), PG_LSN_ARGS(fork), PG_LSN_ARGS(a->source.flush));
}

static bool judge_diverged(struct attach *a, lsn_t fork, struct err *err) {
    const struct lineage_entry *ours = lineage_collision(&a->local.lineage, a->upstream);
    if (!ours) return judge_before(a, fork, err);
    const struct lineage_entry *theirs = lineage_find(a->upstream, ours->timeline);
    return decide(a, PG_ATTACH_RECLONE, "timeline %lld is two: \"%s\" at " PG_LSN_F " here, \"%s\" at " PG_LSN_F " in the source",
                  (long long)ours->timeline, ours->fingerprint, PG_LSN_ARGS(ours->begin), theirs->fingerprint, PG_LSN_ARGS(theirs->begin));
}

/* What the source does not say may be said tomorrow, or be pinned by a person; what we lost ourselves is lost. */
static bool judge_unknown(struct attach *a, struct err *err) {
    for (uint32_t i = 0; i < a->upstream->count; i++) {
        const struct lineage_entry *theirs = &a->upstream->entries[i];
        if (!theirs->fingerprint[0] && lineage_find(&a->local.lineage, theirs->timeline))
            return err_set(err, ERR_REFUSED, "source: the fingerprint of its timeline %lld is not known", (long long)theirs->timeline);
    }
    return decide(a, PG_ATTACH_RECLONE, "the history of local timeline %lld can no longer be proved: its fingerprint is lost",
                  (long long)pg_attach_local_timeline(&a->local));
}

static bool judge(struct attach *a, struct err *err) {
    lsn_t *fork = &a->report->fork;
    switch (lineage_compare(&a->local.lineage, a->upstream, fork)) {
    case LINEAGE_SAME: return judge_before(a, UINT64_MAX, err);
    case LINEAGE_ANCESTOR: return judge_before(a, *fork, err);
    case LINEAGE_DESCENDANT: return judge_descendant(a, *fork, err);
    case LINEAGE_DIVERGED: return judge_diverged(a, *fork, err);
    case LINEAGE_UNKNOWN: return judge_unknown(a, err);
    }
    return err_set(err, ERR_INTERNAL, "lineage relation out of range");
}

bool pg_attach_check(const char *data_dir, const struct lineage *mine, const char *conninfo, const struct lineage *upstream,
                     int64_t deadline_boot_ms, struct pg_attach_report *out, struct err *err) {
    struct attach a = {.conninfo = conninfo, .deadline = deadline_boot_ms, .upstream = upstream, .report = out};
    struct err why = {0};
    *out = (struct pg_attach_report){0};
    if (!pg_control_read(data_dir, &a.local.control, err)) return false;
    /* The local end first: a server that goes on receiving meanwhile must not look as if it were ahead. */
    bool was_read = pg_attach_local_read(data_dir, mine, &a.local, &why);
    if (!check_source(&a, err)) return false;
    if (!was_read) {
        if (why.code == ERR_NOT_FOUND) return decide(&a, PG_ATTACH_RECLONE, "%s", why.text);
        return err_set(err, why.code, "%s", why.text);
    }
    out->local_end = a.local.last.end;
    out->local_timeline = pg_attach_local_timeline(&a.local);
    return judge(&a, err);
}
