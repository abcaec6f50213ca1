/* What a directory at rest holds: where its WAL ends, by which history, and which records can be shown to a source.
 * Private to this directory; the verdict is pg_attach.c's. */
#ifndef PG_ATTACH_LOCAL_H
#define PG_ATTACH_LOCAL_H
#include "site-agent/pg/pg_wal.h"

struct pg_attach_local {
    char wal_dir[512];
    struct pg_control control;
    struct lineage lineage;    /* up to the timeline on which local WAL ends */
    struct pg_wal_record last; /* last valid record */
};
/* `out->control` must have been read. ERR_NOT_FOUND: there is no WAL from the last checkpoint's redo point on. */
bool pg_attach_local_read(const char *data_dir, const struct lineage *mine, struct pg_attach_local *out, struct err *err);

/* Newest record that ends at or before `limit`, and the newest commit or abort at or before it (start 0: none in the
 * WAL that is still there). ERR_NOT_FOUND: no record before `limit` is left. */
bool pg_attach_local_before(const struct pg_attach_local *local, lsn_t limit, int64_t deadline_boot_ms, struct pg_wal_record *last,
                            struct pg_wal_record *commit, struct err *err);
/* Steps back to the first record of its segment, or as far as local WAL goes, never to `floor` or before it. */
bool pg_attach_local_segment_first(const struct pg_attach_local *local, struct pg_wal_record *record, lsn_t floor, int64_t deadline_boot_ms,
                                   struct err *err);
/* One step back in the same sense; *more false: there was none. */
bool pg_attach_local_previous(const struct pg_attach_local *local, struct pg_wal_record *record, lsn_t floor, bool *more, struct err *err);
/* The record's bytes as they stand in the files, page headers inside it included, padding behind it not. */
bool pg_attach_local_bytes(const struct pg_attach_local *local, const struct pg_wal_record *record, struct strbuf *to, struct err *err);
int64_t pg_attach_local_timeline(const struct pg_attach_local *local); /* of the end */
#endif
