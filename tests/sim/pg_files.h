/* The data directory of a host as the agent and its jobs read it: pg_control, WAL segments, history files. Between pg_files.c,
 * attach.c and jobs.c. */
#ifndef SIM_PG_FILES_H
#define SIM_PG_FILES_H
#include "site-agent/pg/pg_wal.h"
#include "tests/sim/postgres.h"

/* "/data/HOST" or what lies in it, on the host of whoever asks; NULL: another path. */
struct postgres *pg_files_server(const char *path);
/* Where its WAL files begin: segments are removed, and copied, as a whole. */
lsn_t pg_files_begin(const struct postgres *pg);
/* What lies in them, records of recycled segments left out; NULL: nothing that begins, or ends, there. */
const struct wal *pg_files_from(const struct postgres *pg, const struct wal *tip, lsn_t start);
const struct wal *pg_files_before(const struct postgres *pg, const struct wal *record);
void pg_files_record(const struct wal *w, struct pg_wal_record *out);
/* The number-th host of a connection string; NULL: there are not so many. */
struct host *conninfo_host(const char *conninfo, int number);
#endif
