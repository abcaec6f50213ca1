/* Pages and records of PostgreSQL 15's WAL. A record is a chain of pieces, one a page, each behind a page header of 24
 * bytes (40 at the start of a segment); it counts only if every header in between announces exactly what is missing
 * and the CRC over the whole is right. Stale bytes of recycled files are told apart by the page's own address and by
 * the pointer to the record before. */
#include "site-agent/pg/pg_wal_reader.h"
#include "rt/file.h"
#include "site-agent/pg/pg_crc32c.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAGE_MAGIC_15 0xD110
#define MAXALIGN 8
#define RECORD_HEADER 24
#define RECORD_CRC_AT 20

enum page_flag {
    PAGE_CONTINUES_RECORD = 0x1,
    PAGE_LONG_HEADER = 0x2,
    PAGE_OVERWRITES_RECORD = 0x8, /* the server gave up the record that was to be continued here */
};

struct page_header {
    uint16_t magic, flags;
    uint32_t timeline;
    uint64_t address;
    uint32_t remaining; /* of the record that the page before began */
    uint32_t padding;
    /* long header only */
    uint64_t system_identifier;
    uint32_t segment_size, page_size;
};
#define PAGE_HEADER_SHORT offsetof(struct page_header, system_identifier)

struct record_header {
    uint32_t length, xid;
    uint64_t previous;
    uint8_t info, rmid;
    uint16_t padding;
    uint32_t crc;
};
_Static_assert(sizeof(struct page_header) == 40 && PAGE_HEADER_SHORT == 24, "page header");
_Static_assert(sizeof(struct record_header) == RECORD_HEADER && offsetof(struct record_header, crc) == RECORD_CRC_AT, "record header");

void pg_wal_reader_init(struct pg_wal_reader *r, const char *wal_dir, int64_t segment_size, int64_t timeline, const struct lineage *lineage) {
    *r = (struct pg_wal_reader){
        .wal_dir = wal_dir, .segment_size = (uint64_t)segment_size, .timeline = timeline, .lineage = lineage, .fd = -1};
}

void pg_wal_reader_free(struct pg_wal_reader *r) { file_close_cleanup(&r->fd); }

/* Opens the file if it is there; true with fd -1 if it is not. */
static bool try_open(struct pg_wal_reader *r, int64_t timeline, uint64_t segment, struct err *err) {
    char path[PATH_MAX];
    uint64_t per_log = 0x100000000u / r->segment_size;
    snprintf(path, sizeof path, "%s/%08" PRIX32 "%08" PRIX32 "%08" PRIX32, r->wal_dir, (uint32_t)timeline, (uint32_t)(segment / per_log),
             (uint32_t)(segment % per_log));
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0 && errno != ENOENT) return err_sys(err, errno, "%s: open", path);
    r->segment = segment;
    return true;
}

/* A new timeline begins with a copy of its parent's segment up to the switch, so the newest file that can hold a
 * position is the one to read; a parent's file counts up to the segment in which it was left. */
static bool open_in_lineage(struct pg_wal_reader *r, uint64_t segment, struct err *err) {
    for (uint32_t i = r->lineage->count; i-- > 0 && r->fd < 0;) {
        const struct lineage_entry *e = &r->lineage->entries[i];
        bool left_before = i + 1 < r->lineage->count && segment > e[1].begin / r->segment_size;
        if (left_before) break;
        if (segment >= e->begin / r->segment_size && !try_open(r, e->timeline, segment, err)) return false;
    }
    return true;
}

static bool open_segment(struct pg_wal_reader *r, uint64_t segment, struct err *err) {
    if (r->fd >= 0 && r->segment == segment) return true;
    file_close_cleanup(&r->fd);
    if (!(r->lineage ? open_in_lineage(r, segment, err) : try_open(r, r->timeline, segment, err))) return false;
    if (r->fd >= 0) return true;
    lsn_t at = segment * r->segment_size;
    return err_set(err, ERR_NOT_FOUND, "%s: no segment of timeline %" PRId64 " for " PG_LSN_F, r->wal_dir, r->timeline, PG_LSN_ARGS(at));
}

static struct page_header header_of(const struct pg_wal_reader *r) {
    struct page_header h;
    memcpy(&h, r->bytes, sizeof h);
    return h;
}

static uint32_t header_size(const struct pg_wal_reader *r) {
    return (header_of(r).flags & PAGE_LONG_HEADER) ? (uint32_t)sizeof(struct page_header) : (uint32_t)PAGE_HEADER_SHORT;
}

static bool check_page(const struct pg_wal_reader *r, lsn_t page, struct err *err) {
    struct page_header h = header_of(r);
    const char *wrong = NULL;
    if (h.magic != PAGE_MAGIC_15)
        wrong = h.magic ? "not a WAL page of PostgreSQL 15" : "nothing written";
    else if (h.address != page)
        wrong = "left over from another position";
    else if (h.timeline == 0 || h.timeline > r->timeline)
        wrong = "of a newer timeline";
    else if (page % r->segment_size == 0 && (!(h.flags & PAGE_LONG_HEADER) || h.segment_size != r->segment_size || h.page_size != PG_WAL_PAGE))
        wrong = "of another segment size";
    if (wrong) return err_set(err, ERR_NOT_FOUND, "page at " PG_LSN_F ": %s", PG_LSN_ARGS(page), wrong);
    return true;
}

static bool load_page(struct pg_wal_reader *r, lsn_t at, struct err *err) {
    lsn_t page = at - at % PG_WAL_PAGE;
    if (r->loaded && r->page == page) return true;
    r->loaded = false;
    if (!open_segment(r, page / r->segment_size, err)) return false;
    ssize_t n = pread(r->fd, r->bytes, sizeof r->bytes, (off_t)(page % r->segment_size));
    if (n < 0) return err_sys(err, errno, "%s: read at " PG_LSN_F, r->wal_dir, PG_LSN_ARGS(page));
    if (n != sizeof r->bytes) return err_set(err, ERR_NOT_FOUND, "segment file ends before " PG_LSN_F, PG_LSN_ARGS(page + PG_WAL_PAGE));
    if (!check_page(r, page, err)) return false;
    r->page = page;
    r->loaded = true;
    return true;
}

/* Loads the page of `*at` and moves a page boundary behind the page's header. */
static bool find_start(struct pg_wal_reader *r, lsn_t *at, struct err *err) {
    if (*at % MAXALIGN) return err_set(err, ERR_NOT_FOUND, "no record can start at " PG_LSN_F, PG_LSN_ARGS(*at));
    if (!load_page(r, *at, err)) return false;
    uint32_t offset = (uint32_t)(*at % PG_WAL_PAGE);
    bool continues = (header_of(r).flags & PAGE_CONTINUES_RECORD) != 0;
    if (offset == 0 ? continues : offset < header_size(r))
        return err_set(err, ERR_NOT_FOUND, "no record starts at " PG_LSN_F ": %s", PG_LSN_ARGS(*at),
                       offset ? "inside a page header" : "the page continues an older record");
    if (offset == 0) *at += header_size(r);
    return true;
}

/* The page at `at` must continue the record of which `missing` bytes are still to come. */
static bool check_continues(struct pg_wal_reader *r, lsn_t at, uint32_t missing, struct err *err) {
    struct page_header h = header_of(r);
    if (h.flags & PAGE_OVERWRITES_RECORD) r->resume = at;
    if ((h.flags & PAGE_CONTINUES_RECORD) && h.remaining == missing) return true;
    return err_set(err, ERR_NOT_FOUND, "page at " PG_LSN_F " does not continue the record: %u bytes announced, %u missing", PG_LSN_ARGS(at),
                   (h.flags & PAGE_CONTINUES_RECORD) ? h.remaining : 0, missing);
}

static void keep_head(struct pg_wal_reader *r, const uint8_t *piece, uint32_t len) {
    uint32_t room = PG_WAL_HEAD - r->head_len, n = len < room ? len : room;
    memcpy(r->head + r->head_len, piece, n);
    r->head_len += n;
}

/* Follows the record from page to page; *crc covers all behind the header. */
static bool follow(struct pg_wal_reader *r, lsn_t at, uint32_t length, uint32_t *crc, struct err *err) {
    uint32_t done = 0;
    r->head_len = 0;
    *crc = 0;
    while (done < length) {
        if (at % PG_WAL_PAGE == 0) {
            if (!load_page(r, at, err) || !check_continues(r, at, length - done, err)) return false;
            at += header_size(r);
        }
        uint32_t room = PG_WAL_PAGE - (uint32_t)(at % PG_WAL_PAGE), n = length - done < room ? length - done : room;
        const uint8_t *piece = r->bytes + at % PG_WAL_PAGE;
        uint32_t skip = done >= RECORD_HEADER ? 0 : RECORD_HEADER - done;
        if (skip < n) *crc = pg_crc32c(*crc, piece + skip, n - skip);
        keep_head(r, piece, n);
        done += n;
        at += n;
    }
    r->data_end = at;
    return true;
}

static bool is_switch(const struct record_header *h) { return h->rmid == 0 && (h->info & 0xF0) == 0x40; }

static lsn_t round_up(lsn_t at, uint64_t unit) { return (at + unit - 1) / unit * unit; }

/* Where the data of a record without block references begins in its head; 0 if it is not there. Short headers are
 * (id, length), long ones carry four bytes of length; an origin and a top-level xid may stand before. */
static uint32_t main_data_at(const struct pg_wal_reader *r) {
    for (uint32_t at = RECORD_HEADER; at < r->head_len;) {
        switch (r->head[at]) {
        case 255: return at + 2;
        case 254: return at + 5;
        case 253: at += 3; break;
        case 252: at += 5; break;
        default: return 0;
        }
    }
    return 0;
}

static int64_t time_of(const struct pg_wal_reader *r, const struct pg_wal_record *record) {
    enum pg_wal_kind kind = pg_wal_kind(record);
    uint32_t at = main_data_at(r);
    int64_t microseconds = 0;
    bool timed = kind == PG_WAL_COMMIT_OR_ABORT || kind == PG_WAL_END_OF_RECOVERY;
    if (timed && at && at + sizeof microseconds <= r->head_len) memcpy(&microseconds, r->head + at, sizeof microseconds);
    return microseconds;
}

int64_t pg_wal_reader_new_timeline(const struct pg_wal_reader *r) {
    uint32_t at = main_data_at(r), timeline = 0;
    if (at && at + 8 + sizeof timeline <= r->head_len) memcpy(&timeline, r->head + at + 8, sizeof timeline);
    return timeline;
}

static bool check_header(const struct record_header *h, lsn_t at, lsn_t previous, uint32_t payload_crc, const uint8_t *head, struct err *err) {
    uint32_t crc = pg_crc32c(payload_crc, head, RECORD_CRC_AT);
    if (crc != h->crc)
        return err_set(err, ERR_NOT_FOUND, "record at " PG_LSN_F ": checksum %08X does not match the content (%08X)", PG_LSN_ARGS(at), h->crc, crc);
    if (previous ? h->previous != previous : h->previous >= at)
        return err_set(err, ERR_NOT_FOUND, "record at " PG_LSN_F " follows " PG_LSN_F ", not " PG_LSN_F, PG_LSN_ARGS(at), PG_LSN_ARGS(h->previous),
                       PG_LSN_ARGS(previous));
    return true;
}

bool pg_wal_reader_record(struct pg_wal_reader *r, lsn_t at, lsn_t previous, struct pg_wal_record *out, struct err *err) {
    r->resume = 0;
    if (!find_start(r, &at, err)) return false;
    uint32_t length, payload_crc, timeline = header_of(r).timeline;
    memcpy(&length, r->bytes + at % PG_WAL_PAGE, sizeof length); /* never split: records start on 8 bytes */
    if (length < RECORD_HEADER) return err_set(err, ERR_NOT_FOUND, "no record at " PG_LSN_F ": length %u", PG_LSN_ARGS(at), length);
    if (!follow(r, at, length, &payload_crc, err)) return false;
    struct record_header h;
    memcpy(&h, r->head, sizeof h);
    if (!check_header(&h, at, previous, payload_crc, r->head, err)) return false;
    *out = (struct pg_wal_record){.start = at, .end = round_up(r->data_end, is_switch(&h) ? r->segment_size : MAXALIGN),
                                  .previous = h.previous, .length = length, .crc = h.crc, .rmid = h.rmid, .info = h.info, .timeline = timeline};
    out->microseconds = time_of(r, out);
    return true;
}

bool pg_wal_reader_bytes(struct pg_wal_reader *r, lsn_t from, lsn_t to, struct strbuf *out, struct err *err) {
    while (from < to) {
        if (!load_page(r, from, err)) return false;
        size_t offset = from % PG_WAL_PAGE, room = PG_WAL_PAGE - offset, n = to - from < room ? to - from : room;
        strbuf_add_bytes(out, r->bytes + offset, n);
        from += n;
    }
    if (out->overflow) return err_set(err, ERR_LIMIT, "WAL range does not fit into memory");
    return true;
}
