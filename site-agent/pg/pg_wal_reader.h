/* Reading WAL records out of segment files, one page at a time. Private to this directory: what pg_wal.h offers stands
 * on it. Only reads; beside a running server it sees what had been written when the page was loaded. */
#ifndef PG_WAL_READER_H
#define PG_WAL_READER_H
#include "site-agent/pg/pg_wal.h"
#include <stddef.h>

#define PG_WAL_PAGE 8192 /* XLOG_BLCKSZ */
#define PG_WAL_HEAD 64   /* of each record these first bytes are kept: header and the times we look for */

#define PG_LSN_F "%X/%X"
#define PG_LSN_ARGS(lsn) (uint32_t)((lsn) >> 32), (uint32_t)(lsn)

struct pg_wal_reader {
    const char *wal_dir;
    uint64_t segment_size;
    int64_t timeline;              /* newest: pages of a newer one are not ours */
    const struct lineage *lineage; /* which timeline's file may hold a segment; NULL: only `timeline`'s */
    int fd;
    uint64_t segment; /* open in fd */
    lsn_t page;       /* loaded in bytes, if `loaded` */
    bool loaded;
    uint8_t bytes[PG_WAL_PAGE];
    /* about the record read last */
    uint8_t head[PG_WAL_HEAD];
    uint32_t head_len;
    lsn_t data_end; /* behind its last byte, before padding */
    lsn_t resume;   /* after a failure: where the server went on when it gave up this record; 0 if it did not */
};
/* `wal_dir` and `lineage` are borrowed. */
void pg_wal_reader_init(struct pg_wal_reader *r, const char *wal_dir, int64_t segment_size, int64_t timeline, const struct lineage *lineage);
void pg_wal_reader_free(struct pg_wal_reader *r);
#define PG_WAL_READER __attribute__((cleanup(pg_wal_reader_free))) struct pg_wal_reader

/* The record at `at` (a page boundary stands for the first place behind the page header), its CRC checked, and its
 * pointer to the record before it too: `previous`, or any if that is 0. ERR_NOT_FOUND as pg_wal_read_record. */
bool pg_wal_reader_record(struct pg_wal_reader *r, lsn_t at, lsn_t previous, struct pg_wal_record *out, struct err *err);
/* Raw bytes [from, to), page headers included, appended. */
bool pg_wal_reader_bytes(struct pg_wal_reader *r, lsn_t from, lsn_t to, struct strbuf *out, struct err *err);
/* The timeline that an END_OF_RECOVERY record, just read, begins. */
int64_t pg_wal_reader_new_timeline(const struct pg_wal_reader *r);
#endif
