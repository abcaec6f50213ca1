/* WAL records read straight from segment files: where local WAL ends, the last commit, the end of the shutdown
 * checkpoint that a receipt names, and the END_OF_RECOVERY record that fingerprints a timeline (protocol 4.2, 4.3).
 * PostgreSQL 15 page and record layout. Blocking; called on small ranges by the agent and on long ones by jobs. */
#ifndef PG_WAL_H
#define PG_WAL_H
#include "site-agent/pg/pg_control.h"
#include "wire/lsn.h"

/* One record by position. */
struct pg_wal_record {
    lsn_t start, end; /* end = where the next one may begin: MAXALIGN, page headers crossed; a boundary stays the boundary;
                       * behind a segment switch the next segment's start */
    lsn_t previous;   /* start of the record before it; 0 for the first of a cluster */
    uint32_t length, crc, rmid, info;
    int64_t timeline;     /* of the page it was read from */
    int64_t microseconds; /* COMMIT/ABORT: xact_time; END_OF_RECOVERY: end_time; PostgreSQL epoch (2000-01-01); else 0 */
};
enum pg_wal_kind { PG_WAL_OTHER, PG_WAL_COMMIT_OR_ABORT, PG_WAL_CHECKPOINT_SHUTDOWN, PG_WAL_END_OF_RECOVERY };
enum pg_wal_kind pg_wal_kind(const struct pg_wal_record *r);

/* Reads and checks (CRC32C) the record that starts at `at` on `timeline`. The segment is looked for under exactly that
 * timeline. ERR_NOT_FOUND: segment missing, or no valid record there (the text says which). */
bool pg_wal_read_record(const char *wal_dir, int64_t segment_size, int64_t timeline, lsn_t at, struct pg_wal_record *out, struct err *err);

/* Walks from `from` (a record start, e.g. a redo pointer) on `timeline` to the last valid record. `last` is that
 * record, `last_commit` the last commit or abort among them (start 0 if none). Bounded by `limit_bytes` (0: none). */
struct pg_wal_end {
    struct pg_wal_record last, last_commit;
};
bool pg_wal_find_end(const char *wal_dir, int64_t segment_size, int64_t timeline, lsn_t from, int64_t limit_bytes, struct pg_wal_end *out, struct err *err);

/* `DATA_DIR/pg_wal/%08X.history`, parsed into lineage entries with empty fingerprints for all but timeline 1
 * ("initdb:SYSTEM_ID"); the timeline itself is appended as last entry. Timeline 1 has no file. */
bool pg_history_read(const char *data_dir, int64_t timeline, uint64_t system_identifier, struct lineage *out, struct err *err);
bool pg_history_parse(const char *text, int64_t timeline, uint64_t system_identifier, struct lineage *out, struct err *err);

/* Fingerprint of `timeline` that began at `begin`: finds its END_OF_RECOVERY record in the segment of `begin` (or the
 * next one). ERR_NOT_FOUND when the segment is gone or holds none yet. */
bool pg_lineage_fingerprint(const char *wal_dir, int64_t segment_size, int64_t timeline, lsn_t begin, char to[LINEAGE_FINGERPRINT_MAX], struct err *err);

/* Raw WAL bytes [from, from+len) of `timeline` from a server over a replication connection (START_REPLICATION PHYSICAL),
 * blocking with a deadline: for jobs only. `conninfo` as primary_conninfo; each of its hosts gets its connect_timeout. */
bool pg_wal_fetch(const char *conninfo, int64_t timeline, lsn_t from, size_t len, int64_t deadline_boot_ms, struct strbuf *to, struct err *err);

/* Protocol 4.3, the gate before a directory attaches to an upstream: the last valid record and the last commit record of
 * local WAL must stand byte for byte in the source at the same LSNs on its lineage. Blocking; run as a job. */
enum pg_attach_verdict {
    PG_ATTACH_OK,        /* local history is a prefix of the source's: start and stream */
    PG_ATTACH_AHEAD,     /* same lineage; the source has not got that far yet: wait */
    PG_ATTACH_REWIND,    /* a record past the confirmed fork: pg_rewind */
    PG_ATTACH_RECLONE,   /* other content under the same numbers, or it can no longer be proved */
};
struct pg_attach_report {
    enum pg_attach_verdict verdict;
    lsn_t local_end, fork;
    int64_t local_timeline;
    char reason[512];
};
const char *pg_attach_verdict_name(enum pg_attach_verdict v);
/* The directory must be at rest. `mine` and `upstream`: lineage lists (mine from the state directory). */
bool pg_attach_check(const char *data_dir, const struct lineage *mine, const char *conninfo, const struct lineage *upstream,
                     int64_t deadline_boot_ms, struct pg_attach_report *out, struct err *err);
#endif
