/* The end of local WAL is on the newest timeline of which a first record is here: a standby may hold history files of
 * timelines that it has not received yet, and its pg_control may still name an older one. */
#include "site-agent/pg/pg_attach_local.h"
#include "rt/clock.h"
#include "site-agent/pg/pg_wal_reader.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t pg_attach_local_timeline(const struct pg_attach_local *local) { return local->lineage.entries[local->lineage.count - 1].timeline; }

static void dir_cleanup(DIR **d) {
    if (*d) closedir(*d);
}

/* Number of "00000003.history", 0 for any other name. */
static int64_t history_number(const char *name) {
    char *rest;
    unsigned long number = strtoul(name, &rest, 16);
    return rest == name + 8 && strcmp(rest, ".history") == 0 ? (int64_t)number : 0;
}

/* The newest timeline in (floor, below) that has a history file, else floor. */
static bool next_older(const char *wal_dir, int64_t floor, int64_t below, int64_t *out, struct err *err) {
    __attribute__((cleanup(dir_cleanup))) DIR *dir = opendir(wal_dir);
    if (!dir) return err_sys(err, errno, "%s: open directory", wal_dir);
    *out = floor;
    for (const struct dirent *e; (e = readdir(dir));) {
        int64_t number = history_number(e->d_name);
        if (number > *out && number < below) *out = number;
    }
    return true;
}

/* History of `timeline` by its file, else by what the state directory remembers. */
static bool history_of(const char *data_dir, const struct pg_control *control, int64_t timeline, const struct lineage *mine, struct lineage *out,
                       struct err *err) {
    struct err why = {0};
    if (pg_history_read(data_dir, timeline, control->system_identifier, out, &why)) return true;
    const struct lineage_entry *remembered = lineage_find(mine, timeline);
    if (why.code != ERR_NOT_FOUND || !remembered) return err_set(err, why.code, "%s", why.text);
    *out = *mine;
    out->count = (uint32_t)(remembered - mine->entries) + 1;
    return true;
}

/* Index of the entry that the last checkpoint lies on; false if this history left that timeline before it. */
static bool holds_checkpoint(const struct lineage *l, const struct pg_control *control, uint32_t *index) {
    const struct lineage_entry *e = lineage_find(l, control->timeline);
    if (!e) return false;
    *index = (uint32_t)(e - l->entries);
    return *index + 1 == l->count || e[1].begin > control->redo;
}

/* Tries the timelines of this history from the newest down to the checkpoint's; cuts it at the one that WAL ends on. */
static bool end_on(struct pg_attach_local *local, struct lineage *history, bool *found, struct err *err) {
    uint32_t base;
    *found = false;
    if (!holds_checkpoint(history, &local->control, &base)) return true;
    for (uint32_t i = history->count; i-- > base;) {
        const struct lineage_entry *e = &history->entries[i];
        struct pg_wal_end end;
        struct err why = {0};
        lsn_t from = i == base ? local->control.redo : e->begin;
        if (pg_wal_find_end(local->wal_dir, local->control.wal_segment_size, e->timeline, from, 0, &end, &why)) {
            history->count = i + 1;
            local->lineage = *history;
            local->last = end.last;
            *found = true;
            return true;
        }
        if (why.code != ERR_NOT_FOUND) return err_set(err, why.code, "%s", why.text);
    }
    return true;
}

static bool find_end(struct pg_attach_local *local, const char *data_dir, const struct lineage *mine, struct err *err) {
    const struct pg_control *control = &local->control;
    int64_t timeline = INT64_MAX;
    do {
        struct lineage history;
        bool found;
        if (!next_older(local->wal_dir, control->timeline, timeline, &timeline, err)) return false;
        if (!history_of(data_dir, control, timeline, mine, &history, err)) return false;
        if (!end_on(local, &history, &found, err)) return false;
        if (found) return true;
    } while (timeline > control->timeline);
    return err_set(err, ERR_NOT_FOUND, "no WAL of timeline %lld from " PG_LSN_F " on", (long long)control->timeline, PG_LSN_ARGS(control->redo));
}

/* WAL is asked first: a state directory may belong to an older copy of the directory. What a person pinned stays. */
static void add_fingerprints(struct pg_attach_local *local, const struct lineage *mine) {
    for (uint32_t i = 0; i < local->lineage.count; i++) {
        struct lineage_entry *e = &local->lineage.entries[i];
        const struct lineage_entry *remembered = lineage_find(mine, e->timeline);
        bool usable = remembered && remembered->begin == e->begin && remembered->fingerprint[0];
        bool pinned = usable && !str_starts(remembered->fingerprint, "eor:");
        if (e->timeline == 1 && !pinned) continue;
        if (!pinned && pg_lineage_fingerprint(local->wal_dir, local->control.wal_segment_size, e->timeline, e->begin, e->fingerprint, NULL)) continue;
        if (usable) str_copy(e->fingerprint, sizeof e->fingerprint, remembered->fingerprint);
    }
}

bool pg_attach_local_read(const char *data_dir, const struct lineage *mine, struct pg_attach_local *out, struct err *err) {
    snprintf(out->wal_dir, sizeof out->wal_dir, "%s/pg_wal", data_dir);
    if (!find_end(out, data_dir, mine, err)) return err_wrap(err, "%s: end of WAL", data_dir);
    add_fingerprints(out, mine);
    return true;
}

static void open_reader(const struct pg_attach_local *local, struct pg_wal_reader *reader) {
    pg_wal_reader_init(reader, local->wal_dir, local->control.wal_segment_size, pg_attach_local_timeline(local), &local->lineage);
}

/* One record back along the chain. */
static bool step_back(struct pg_wal_reader *reader, struct pg_wal_record *record, int64_t deadline, struct err *err) {
    if (record->previous == 0) return err_set(err, ERR_NOT_FOUND, "the first record of the cluster is reached");
    if (clock_boot_ms() >= deadline) return err_set(err, ERR_TIMEOUT, "walking WAL back: deadline passed at " PG_LSN_F, PG_LSN_ARGS(record->start));
    return pg_wal_reader_record(reader, record->previous, 0, record, err);
}

bool pg_attach_local_before(const struct pg_attach_local *local, lsn_t limit, int64_t deadline_boot_ms, struct pg_wal_record *last,
                            struct pg_wal_record *commit, struct err *err) {
    PG_WAL_READER reader;
    struct err why = {0};
    open_reader(local, &reader);
    *last = local->last;
    while (last->end > limit)
        if (!step_back(&reader, last, deadline_boot_ms, err)) return false;
    *commit = *last;
    while (pg_wal_kind(commit) != PG_WAL_COMMIT_OR_ABORT) {
        if (step_back(&reader, commit, deadline_boot_ms, &why)) continue;
        if (why.code != ERR_NOT_FOUND) return err_set(err, why.code, "%s", why.text);
        *commit = (struct pg_wal_record){0};
        break;
    }
    return true;
}

/* One step back that stays above `floor`; the end of what is there is no failure. */
static bool step_back_above(struct pg_wal_reader *reader, struct pg_wal_record *record, lsn_t floor, int64_t deadline, bool *more, struct err *err) {
    struct err why = {0};
    *more = record->previous > floor && step_back(reader, record, deadline, &why);
    return *more || why.code == ERR_NONE || why.code == ERR_NOT_FOUND || err_set(err, why.code, "%s", why.text);
}

bool pg_attach_local_previous(const struct pg_attach_local *local, struct pg_wal_record *record, lsn_t floor, bool *more, struct err *err) {
    PG_WAL_READER reader;
    open_reader(local, &reader);
    return step_back_above(&reader, record, floor, INT64_MAX, more, err);
}

bool pg_attach_local_segment_first(const struct pg_attach_local *local, struct pg_wal_record *record, lsn_t floor, int64_t deadline_boot_ms,
                                   struct err *err) {
    PG_WAL_READER reader;
    uint64_t size = (uint64_t)local->control.wal_segment_size, segment = record->start / size;
    bool more = true;
    open_reader(local, &reader);
    while (more && record->previous / size == segment)
        if (!step_back_above(&reader, record, floor, deadline_boot_ms, &more, err)) return false;
    return true;
}

bool pg_attach_local_bytes(const struct pg_attach_local *local, const struct pg_wal_record *record, struct strbuf *to, struct err *err) {
    PG_WAL_READER reader;
    struct pg_wal_record again;
    open_reader(local, &reader);
    return pg_wal_reader_record(&reader, record->start, record->previous, &again, err) &&
           pg_wal_reader_bytes(&reader, record->start, reader.data_end, to, err);
}
