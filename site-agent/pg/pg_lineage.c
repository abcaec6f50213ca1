/* The fingerprint of a timeline: position, checksum and microsecond of the record with which its promotion ended
 * recovery. Two promotions from one position differ in it, though number and history file are equal. */
#include "site-agent/pg/pg_wal_reader.h"
#include <inttypes.h>
#include <stdio.h>

static void write_fingerprint(const struct pg_wal_record *r, char to[LINEAGE_FINGERPRINT_MAX]) {
    char at[LSN_TEXT_MAX];
    lsn_format(r->start, at);
    snprintf(to, LINEAGE_FINGERPRINT_MAX, "eor:%s:%08" PRIx32 ":%" PRId64, at, r->crc, r->microseconds);
}

/* It is the first record of the timeline, unless the parent ended inside a record: then a note about that stands before. */
static bool search(struct pg_wal_reader *reader, int64_t timeline, lsn_t begin, struct pg_wal_record *out, struct err *err) {
    lsn_t limit = (begin / reader->segment_size + 2) * reader->segment_size;
    if (!pg_wal_reader_record(reader, begin, 0, out, err)) return false;
    while (out->end < limit) {
        if (pg_wal_kind(out) == PG_WAL_END_OF_RECOVERY && pg_wal_reader_new_timeline(reader) == timeline) return true;
        lsn_t previous = out->start;
        if (!pg_wal_reader_record(reader, out->end, previous, out, err)) return false;
    }
    return err_set(err, ERR_NOT_FOUND, "none up to " PG_LSN_F, PG_LSN_ARGS(limit));
}

bool pg_lineage_fingerprint(const char *wal_dir, int64_t segment_size, int64_t timeline, lsn_t begin, char to[LINEAGE_FINGERPRINT_MAX],
                            struct err *err) {
    PG_WAL_READER reader;
    struct pg_wal_record record;
    pg_wal_reader_init(&reader, wal_dir, segment_size, timeline, NULL);
    if (!search(&reader, timeline, begin, &record, err)) return err_wrap(err, "end-of-recovery record of timeline %" PRId64, timeline);
    write_fingerprint(&record, to);
    return true;
}
