/* What a server that others may follow says about itself over a replication connection. For this directory and
 * the copy job. */
#ifndef PG_WAL_SOURCE_H
#define PG_WAL_SOURCE_H
#include "site-agent/pg/pg_wal.h"

#define PG_WAL_CONNINFO_MAX 1536
struct pg_wal_source {
    char conninfo[PG_WAL_CONNINFO_MAX]; /* reaches the one host of the list that answered: what is asked next, is asked there */
    uint64_t system_identifier;
    int64_t timeline;
    lsn_t flush; /* how far its WAL reaches; on a standby, what it received or replayed */
};
bool pg_wal_source_identify(const char *conninfo, int64_t deadline_boot_ms, struct pg_wal_source *out, struct err *err);
#endif
