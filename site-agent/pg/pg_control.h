/* pg_control, read from the file: the truth about a directory at rest, and the first to say "shut down".
 * Layouts by PG_CONTROL_VERSION (1300: PostgreSQL 13 to 16). */
#ifndef PG_CONTROL_H
#define PG_CONTROL_H
#include "wire/lsn.h"

/* PostgreSQL's DBState, same numbers. X(symbol, number, text as pg_controldata prints it) */
#define PG_CONTROL_STATES(X)                                                                                           \
    X(PG_STARTUP, 0, "starting up")                                                                                    \
    X(PG_SHUT_DOWN, 1, "shut down")                                                                                    \
    X(PG_SHUT_DOWN_IN_RECOVERY, 2, "shut down in recovery")                                                            \
    X(PG_SHUTTING_DOWN, 3, "shutting down")                                                                            \
    X(PG_IN_CRASH_RECOVERY, 4, "in crash recovery")                                                                    \
    X(PG_IN_ARCHIVE_RECOVERY, 5, "in archive recovery")                                                                \
    X(PG_IN_PRODUCTION, 6, "in production")
enum pg_control_state {
#define X(symbol, number, text) symbol = number,
    PG_CONTROL_STATES(X)
#undef X
};
const char *pg_control_state_name(int state);

struct pg_control {
    uint64_t system_identifier;
    uint32_t version, catalog_version;
    int state; /* enum pg_control_state */
    lsn_t checkpoint, redo, min_recovery_point;
    int64_t timeline, min_recovery_timeline; /* of the last checkpoint */
    int64_t wal_segment_size;
    bool data_checksums, wal_log_hints;
    int64_t max_connections, max_worker_processes, max_wal_senders, max_prepared_transactions, max_locks_per_transaction;
};
/* Reads DATA_DIR/global/pg_control, CRC checked; a torn read is tried once more. ERR_NOT_FOUND when there is no such
 * file, ERR_UNSUPPORTED for another layout, ERR_INVALID for a bad CRC. */
bool pg_control_read(const char *data_dir, struct pg_control *out, struct err *err);
/* Major version from DATA_DIR/PG_VERSION. */
bool pg_version_read(const char *data_dir, int *major, struct err *err);
#endif
