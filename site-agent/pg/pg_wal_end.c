/* Where local WAL ends: forwards, record by record, since pg_control only knows the last checkpoint and a directory with
 * the newer checkpoint may well hold the older WAL. */
#include "site-agent/pg/pg_wal_reader.h"

bool pg_wal_find_end(const char *wal_dir, int64_t segment_size, int64_t timeline, lsn_t from, int64_t limit_bytes, struct pg_wal_end *out,
                     struct err *err) {
    PG_WAL_READER reader;
    struct pg_wal_end end = {0};
    pg_wal_reader_init(&reader, wal_dir, segment_size, timeline, NULL);
    if (!pg_wal_reader_record(&reader, from, 0, &end.last, err)) return false;
    for (;;) {
        struct pg_wal_record next;
        struct err stop = {0};
        if (pg_wal_kind(&end.last) == PG_WAL_COMMIT_OR_ABORT) end.last_commit = end.last;
        bool found = pg_wal_reader_record(&reader, end.last.end, end.last.start, &next, &stop);
        /* after a crash inside a record the server goes on behind it, chained to the record before */
        if (!found && reader.resume) found = pg_wal_reader_record(&reader, reader.resume, end.last.start, &next, &stop);
        if (!found && stop.code != ERR_NOT_FOUND) return err_set(err, stop.code, "%s", stop.text);
        if (!found) break;
        if (limit_bytes && next.start - from > (uint64_t)limit_bytes)
            return err_set(err, ERR_LIMIT, "WAL goes on more than %lld bytes behind " PG_LSN_F, (long long)limit_bytes, PG_LSN_ARGS(from));
        end.last = next;
    }
    *out = end;
    return true;
}
