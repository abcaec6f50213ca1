/* One record by its position: what kind it is, and reading it. */
#include "site-agent/pg/pg_wal_reader.h"

/* resource managers and operations (access/rmgrlist.h, catalog/pg_control.h, access/xact.h) */
#define RMGR_XLOG 0
#define RMGR_TRANSACTION 1

enum pg_wal_kind pg_wal_kind(const struct pg_wal_record *r) {
    if (r->rmid == RMGR_XLOG) {
        if ((r->info & 0xF0) == 0x00) return PG_WAL_CHECKPOINT_SHUTDOWN;
        if ((r->info & 0xF0) == 0x90) return PG_WAL_END_OF_RECOVERY;
    } else if (r->rmid == RMGR_TRANSACTION) {
        uint32_t op = r->info & 0x70; /* commit, abort, commit prepared, abort prepared */
        if (op == 0x00 || op == 0x20 || op == 0x30 || op == 0x40) return PG_WAL_COMMIT_OR_ABORT;
    }
    return PG_WAL_OTHER;
}

bool pg_wal_read_record(const char *wal_dir, int64_t segment_size, int64_t timeline, lsn_t at, struct pg_wal_record *out, struct err *err) {
    PG_WAL_READER reader;
    pg_wal_reader_init(&reader, wal_dir, segment_size, timeline, NULL);
    return pg_wal_reader_record(&reader, at, 0, out, err);
}
