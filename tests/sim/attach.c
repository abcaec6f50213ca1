/* What the comparison before attaching sees (protocol 4.3): its own WAL files, and a source over the network. The judgement is
 * production code (pg_attach.c); this gives it records and bytes from the trees of both, and no more than real files and a
 * real source would tell: positions, the bytes of single records, commit times, what has not been recycled. */
#include "site-agent/pg/pg_attach_local.h"
#include "site-agent/pg/pg_wal_source.h"
#include "rt/clock.h"
#include "tests/sim/network.h"
#include "tests/sim/pg_files.h"
#include <inttypes.h>
#include <string.h>

/* A record's bytes: its header knows where the one before begins, nothing in it knows more of the past. */
struct record_bytes {
    lsn_t start, previous;
    uint32_t length, content;
};
_Static_assert(sizeof(struct record_bytes) == 24, "no padding: it is compared as bytes");

static struct record_bytes bytes_of(const struct wal *w) {
    return (struct record_bytes){.start = w->start, .previous = w->previous ? w->previous->start : 0, .length = (uint32_t)(w->end - w->start), .content = w->own};
}

/* ---- local ---- */

static const struct postgres *here(const struct pg_attach_local *local) { return pg_files_server(local->wal_dir); }

static const struct wal *node_of(const struct pg_attach_local *local, const struct pg_wal_record *record) {
    const struct postgres *pg = here(local);
    return pg && pg->directory == DIRECTORY_THERE ? pg_files_from(pg, pg->written, record->start) : NULL;
}

int64_t pg_attach_local_timeline(const struct pg_attach_local *local) { return local->lineage.entries[local->lineage.count - 1].timeline; }

/* WAL is asked first; what it does not hold any more is remembered, and what a person pinned stays. */
static void add_fingerprints(struct pg_attach_local *local, const struct lineage *mine) {
    for (uint32_t i = 0; i < local->lineage.count; i++) {
        struct lineage_entry *e = &local->lineage.entries[i];
        const struct lineage_entry *remembered = lineage_find(mine, e->timeline);
        bool usable = remembered && remembered->begin == e->begin && remembered->fingerprint[0];
        bool pinned = usable && !str_starts(remembered->fingerprint, "eor:");
        bool found = !pinned && (e->timeline == 1 || pg_lineage_fingerprint(local->wal_dir, local->control.wal_segment_size, e->timeline, e->begin, e->fingerprint, NULL));
        if (!found && usable)
            str_copy(e->fingerprint, sizeof e->fingerprint, remembered->fingerprint);
    }
}

bool pg_attach_local_read(const char *data_dir, const struct lineage *mine, struct pg_attach_local *out, struct err *err) {
    const struct postgres *pg = pg_files_server(data_dir);
    snprintf(out->wal_dir, sizeof out->wal_dir, "%s/pg_wal", data_dir);
    if (!pg || pg->directory != DIRECTORY_THERE || out->control.redo < pg_files_begin(pg) || pg->written->end <= out->control.redo)
        return err_set(err, ERR_NOT_FOUND, "%s: end of WAL: no WAL from %" PRIx64 " on", data_dir, out->control.redo);
    if (!pg_history_read(data_dir, pg->written->timeline, out->control.system_identifier, &out->lineage, err))
        return false;
    pg_files_record(pg->written, &out->last);
    add_fingerprints(out, mine);
    return true;
}

bool pg_attach_local_before(const struct pg_attach_local *local, lsn_t limit, int64_t deadline_boot_ms, struct pg_wal_record *last,
                            struct pg_wal_record *commit, struct err *err) {
    const struct postgres *pg = here(local);
    const struct wal *w = node_of(local, &local->last);
    (void)deadline_boot_ms;
    while (w && w->end > limit)
        w = pg_files_before(pg, w);
    if (!w)
        return err_set(err, ERR_NOT_FOUND, "no record before %" PRIx64 " is left", limit);
    pg_files_record(w, last);
    while (w && w->kind != WAL_COMMIT)
        w = pg_files_before(pg, w);
    *commit = (struct pg_wal_record){0};
    if (w)
        pg_files_record(w, commit);
    return true;
}

bool pg_attach_local_previous(const struct pg_attach_local *local, struct pg_wal_record *record, lsn_t floor, bool *more, struct err *err) {
    const struct wal *w = record->previous > floor ? node_of(local, record) : NULL;
    const struct wal *before = w ? pg_files_before(here(local), w) : NULL;
    (void)err;
    *more = before != NULL;
    if (before)
        pg_files_record(before, record);
    return true;
}

bool pg_attach_local_segment_first(const struct pg_attach_local *local, struct pg_wal_record *record, lsn_t floor, int64_t deadline_boot_ms,
                                   struct err *err) {
    uint64_t size = (uint64_t)local->control.wal_segment_size, segment = record->start / size;
    bool more = true;
    (void)deadline_boot_ms;
    while (more && record->previous / size == segment)
        pg_attach_local_previous(local, record, floor, &more, err);
    return true;
}

bool pg_attach_local_bytes(const struct pg_attach_local *local, const struct pg_wal_record *record, struct strbuf *to, struct err *err) {
    const struct wal *w = node_of(local, record);
    if (!w)
        return err_set(err, ERR_NOT_FOUND, "no record at %" PRIx64, record->start);
    struct record_bytes bytes = bytes_of(w);
    strbuf_add_bytes(to, (const char *)&bytes, sizeof bytes);
    return true;
}

/* ---- the source ---- */

#define UNREACHABLE_AFTER (3 * SECOND) /* a router says that the host is not there, at times */
#define LOOK_AGAIN (1 * SECOND)
#define CONNECT_TIMEOUT_MS 5000 /* as in the connection strings */
#define TALK_MIN (2 * MS)
#define TALK_MAX (40 * MS)

static bool is_late(int64_t deadline_boot_ms, const char *what, struct err *err) {
    return clock_boot_ms() >= deadline_boot_ms && !err_set(err, ERR_TIMEOUT, "%s: nothing by the deadline", what);
}

static bool passes(const struct host *h) {
    return h->up && !h->postgres->paused && network_passes(host_self(), h, PORT_REPLICATION) && network_passes(h, host_self(), PORT_REPLICATION);
}

/* One question and its answer, as long as both ends and the way between them stand. */
static bool talk(const struct host *h, int64_t deadline_boot_ms, const char *what, struct err *err) {
    struct dice d;
    dice_open(&d, h->name, sim_now);
    sim_time there = network_delay(host_self(), h), back = network_delay(h, host_self());
    process_block(there + back + dice_between(&d, TALK_MIN, TALK_MAX));
    while (!passes(h)) {
        if (is_late(deadline_boot_ms, what, err))
            return false;
        process_block(LOOK_AGAIN);
    }
    return !is_late(deadline_boot_ms, what, err) && (postgres_answers(h->postgres) || err_set(err, ERR_UNREACHABLE, "%s: connection closed by the server", what));
}

/* The next host of the list is tried when one refuses, and when one has said nothing for its share of the time. */
static bool host_is_gone(const struct host *h, struct err *err) {
    struct dice d;
    if (h->up)
        return false;
    dice_open(&d, h->name, h->boots);
    if (!dice_chance(&d, 500))
        return false;
    process_block(UNREACHABLE_AFTER);
    return !err_set(err, ERR_UNREACHABLE, "connect: no route to host");
}

static struct host *connect_to(const char *conninfo, int64_t deadline_boot_ms, struct err *err) {
    struct host *h;
    err_set(err, ERR_UNREACHABLE, "connect: no host is named");
    for (int i = 0; (h = conninfo_host(conninfo, i)); i++) {
        if (host_is_gone(h, err))
            continue;
        int64_t until = clock_boot_ms() + CONNECT_TIMEOUT_MS;
        if (talk(h, until < deadline_boot_ms ? until : deadline_boot_ms, "connect", err))
            return h;
        if (is_late(deadline_boot_ms, "connect", err))
            return NULL;
    }
    return NULL;
}

/* A standby tells how far it has received on the timeline that it replays. */
static const struct wal *reach(const struct postgres *pg) {
    bool standby = pg->state != SERVER_PRODUCTION;
    return standby && pg->flushed->timeline != pg->replayed->timeline ? pg->replayed : pg->flushed;
}

bool pg_wal_source_identify(const char *conninfo, int64_t deadline_boot_ms, struct pg_wal_source *out, struct err *err) {
    struct host *h = connect_to(conninfo, deadline_boot_ms, err);
    if (!h || !talk(h, deadline_boot_ms, "IDENTIFY_SYSTEM", err))
        return false;
    const struct wal *w = reach(h->postgres);
    *out = (struct pg_wal_source){.system_identifier = h->postgres->system_id, .timeline = w->timeline, .flush = w->end};
    str_copy(out->conninfo, sizeof out->conninfo, conninfo);
    *err = (struct err){0};
    return true;
}

/* What a walsender has to say to START_REPLICATION at `from` on `timeline`. */
static bool check_position(const struct postgres *pg, int64_t timeline, lsn_t from, struct err *err) {
    lsn_t end = wal_timeline_end(pg->flushed, timeline);
    if (!end || from > end)
        return err_set(err, ERR_EXTERNAL, "requested starting point %" PRIx64 " on timeline %lld is not in this server's history", from, (long long)timeline);
    if (from > pg->flushed->end)
        return err_set(err, ERR_EXTERNAL, "requested starting point %" PRIx64 " is ahead of the WAL flush position", from);
    if (from < pg_files_begin(pg))
        return err_set(err, ERR_NOT_FOUND, "58P01: requested WAL segment has already been removed");
    return from < end || err_set(err, ERR_NOT_FOUND, "the timeline ends before");
}

bool pg_wal_fetch(const char *conninfo, int64_t timeline, lsn_t from, size_t len, int64_t deadline_boot_ms, struct strbuf *to, struct err *err) {
    struct host *h = connect_to(conninfo, deadline_boot_ms, err);
    if (!h || !talk(h, deadline_boot_ms, "START_REPLICATION", err) || !check_position(h->postgres, timeline, from, err))
        return false;
    const struct wal *w = pg_files_from(h->postgres, h->postgres->flushed, from);
    struct record_bytes bytes = {.start = UINT64_MAX}; /* in the middle of some record */
    if (w)
        bytes = bytes_of(w);
    if (len != sizeof bytes)
        return err_set(err, ERR_INTERNAL, "the simulator's records have %zu bytes", sizeof bytes);
    strbuf_add_bytes(to, (const char *)&bytes, sizeof bytes);
    *err = (struct err){0};
    return true;
}
