/* WAL records as we read them, beside pg_waldump, and beside what standbys of the same server reach. Segments of 1 MB, so
 * that records cross pages and segments. */
#include "pg_fixture.h"
#include "site-agent/pg/pg_wal_source.h"
#include <arpa/inet.h>

static struct pg_fixture pg;

static int open_fixture(void **state) {
    (void)state;
    pg_fixture_open(&pg);
    return 0;
}
static int close_fixture(void **state) {
    (void)state;
    pg_fixture_close(&pg);
    return 0;
}

/* ---- pg_waldump as witness ---- */

struct dumped {
    lsn_t start, previous;
    unsigned length;
    char text[160]; /* rmgr ... desc */
};
struct dump {
    struct dumped *records;
    size_t count;
};

static void dump_free(struct dump *d) { free(d->records); }
#define DUMP __attribute__((cleanup(dump_free))) struct dump

static bool parse_dumped(const char *line, struct dumped *out) {
    unsigned hi, lo, prev_hi, prev_lo;
    const char *length = strstr(line, "len (rec/tot):"), *lsn = strstr(line, "lsn: ");
    if (!length || !lsn || sscanf(length, "len (rec/tot): %*u/ %u", &out->length) != 1) return false;
    if (sscanf(lsn, "lsn: %X/%X, prev %X/%X", &hi, &lo, &prev_hi, &prev_lo) != 4) return false;
    out->start = ((lsn_t)hi << 32) | lo;
    out->previous = ((lsn_t)prev_hi << 32) | prev_lo;
    str_copy(out->text, sizeof out->text, line);
    return true;
}

/* All records of `timeline` from `from` to the end, as pg_waldump lists them. */
static struct dump dump_wal(const struct pg_server *s, int64_t timeline, lsn_t from) {
    char path[192], number[16], start[LSN_TEXT_MAX], line[8192];
    const char *argv[PG_FIXTURE_ARGS_MAX];
    struct err err = {0};
    struct dump d = {.records = calloc(100000, sizeof *d.records)};
    snprintf(path, sizeof path, "%s.dump", s->data);
    snprintf(number, sizeof number, "%" PRId64, timeline);
    lsn_format(from, start);
    unlink(path);
    pg_fixture_as_postgres((const char *const[]){PG_FIXTURE_BIN "pg_waldump", "-p", s->wal, "-t", number, "-s", start, NULL}, argv);
    struct proc_options options = {.argv = argv, .output_path = path, .deadline_boot_ms = pg_fixture_deadline()};
    assert_true(proc_run(&options, NULL, NULL, &err)); /* its exit code is always 1: it stops at the end of WAL */
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) && d.count < 100000) d.count += parse_dumped(line, &d.records[d.count]);
    fclose(file);
    assert_true(d.count > 0);
    return d;
}

static const struct dumped *last_with(const struct dump *d, const char *words) {
    for (size_t i = d->count; i-- > 0;)
        if (strstr(d->records[i].text, words)) return &d->records[i];
    fail_msg("no record with \"%s\"", words);
    return NULL;
}

/* ---- what we read ---- */

static struct pg_control control_of(const struct pg_server *s) {
    struct pg_control control;
    struct err err = {0};
    if (!pg_control_read(s->data, &control, &err)) fail_msg("%s", err.text);
    return control;
}

static struct pg_wal_record record_at(const struct pg_server *s, int64_t timeline, lsn_t at) {
    struct pg_wal_record r;
    struct err err = {0};
    if (!pg_wal_read_record(s->wal, control_of(s).wal_segment_size, timeline, at, &r, &err)) fail_msg("%s", err.text);
    return r;
}

static struct pg_wal_end end_from(const struct pg_server *s, int64_t timeline, lsn_t from) {
    struct pg_wal_end end;
    struct err err = {0};
    if (!pg_wal_find_end(s->wal, control_of(s).wal_segment_size, timeline, from, 0, &end, &err)) fail_msg("%s", err.text);
    return end;
}

static struct pg_server *busy_server(const char *name) {
    struct pg_server *s = pg_server_init(&pg, name, 1);
    pg_server_append(s, "postgresql.conf", "track_commit_timestamp = on\nmax_prepared_transactions = 4");
    pg_server_start(s);
    pg_server_exec(s, "create table t (x int, y text)");
    pg_server_exec(s, "insert into t select g, repeat('row ', 20) from generate_series(1, 20000) g");
    return s;
}

/* A record much longer than a segment. */
static void write_long_record(const struct pg_server *s) {
    pg_server_exec(s, "select pg_logical_emit_message(false, 'long', repeat('x', 3300000))");
}

static void every_record_is_found_where_pg_waldump_finds_it(void **state) {
    (void)state;
    struct pg_server *s = busy_server("every");
    lsn_t from = control_of(s).redo;
    write_long_record(s);
    pg_server_exec(s, "select pg_switch_wal()");
    pg_server_exec(s, "begin; delete from t where x < 100; rollback");
    pg_server_exec(s, "begin; delete from t where x < 10; prepare transaction 'p'");
    pg_server_exec(s, "commit prepared 'p'");
    pg_server_stop(s);

    DUMP d = dump_wal(s, 1, from);
    int64_t segment = control_of(s).wal_segment_size;
    int page_crossers = 0, segment_crossers = 0;
    lsn_t end = d.records[0].start, previous = d.records[0].previous;
    for (size_t i = 0; i < d.count; i++) {
        const struct dumped *wanted = &d.records[i];
        struct pg_wal_record r = record_at(s, 1, end); /* where the one before ended, a boundary included */
        if (r.start != wanted->start || r.length != wanted->length || r.previous != previous) fail_msg("read otherwise: %s", wanted->text);
        page_crossers += r.start / 8192 != (r.end - 1) / 8192;
        segment_crossers += r.start / (uint64_t)segment + 1 < r.end / (uint64_t)segment;
        end = r.end;
        previous = r.start;
    }
    assert_true(page_crossers > 100);
    assert_true(segment_crossers > 0);
    assert_non_null(last_with(&d, "SWITCH"));
    struct pg_wal_end found = end_from(s, 1, from);
    assert_int_equal(found.last.start, d.records[d.count - 1].start);
    assert_int_equal(found.last_commit.start, last_with(&d, "COMMIT_PREPARED")->start);
}

static void the_last_commit_carries_its_microsecond(void **state) {
    (void)state;
    struct pg_server *s = busy_server("commit");
    lsn_t from = control_of(s).redo;
    pg_server_exec(s, "insert into t values (-1)");
    static const char *const sql = "select (extract(epoch from timestamp) * 1000000)::bigint - 946684800000000 from pg_last_committed_xact()";
    int64_t committed = strtoll(pg_server_query(s, sql), NULL, 10);
    struct pg_wal_end end = end_from(s, 1, from);
    assert_int_equal(end.last_commit.microseconds, committed);
    assert_int_equal(pg_wal_kind(&end.last_commit), PG_WAL_COMMIT_OR_ABORT);

    /* applied changes carry their origin before the time */
    pg_server_exec(s, "select pg_replication_origin_create('o'); select pg_replication_origin_session_setup('o'); insert into t values (-3)");
    assert_int_equal(end_from(s, 1, from).last_commit.microseconds, strtoll(pg_server_query(s, sql), NULL, 10));
    pg_server_exec(s, "begin; insert into t values (-2); rollback"); /* an abort counts as well, and has a time too */
    pg_server_exec(s, "checkpoint");
    struct pg_wal_end later = end_from(s, 1, from);
    assert_true(later.last_commit.start > end.last_commit.start);
    assert_true(later.last_commit.microseconds > committed);
    pg_server_stop(s);
    DUMP d = dump_wal(s, 1, from);
    assert_int_equal(later.last_commit.start, last_with(&d, "ABORT")->start);
    /* no commit behind the shutdown checkpoint */
    assert_int_equal(end_from(s, 1, control_of(s).redo).last_commit.start, 0);
}

static void a_receipt_names_the_end_that_the_standby_replays(void **state) {
    (void)state;
    struct pg_server *a = busy_server("stopped"), *b = pg_server_copy(&pg, "follower", a);
    pg_server_start(b);
    pg_server_await(a, "select count(*) from pg_stat_replication where state = 'streaming'", "1");
    pg_server_stop(a);
    struct pg_control control = control_of(a);
    assert_int_equal(control.state, PG_SHUT_DOWN);
    struct pg_wal_record checkpoint = record_at(a, control.timeline, control.checkpoint);
    assert_int_equal(pg_wal_kind(&checkpoint), PG_WAL_CHECKPOINT_SHUTDOWN);
    pg_server_await_replay(b, checkpoint.end);
    assert_int_equal(pg_server_lsn(b, "select pg_last_wal_replay_lsn()"), checkpoint.end);
    assert_int_equal(end_from(a, 1, control.redo).last.end, checkpoint.end);
}

/* Stops `s` so that its shutdown checkpoint, `length` bytes with padding, ends where a page does. The server may write
 * something of its own in between; the caller then tries again. */
static struct pg_wal_record stop_near_boundary(struct pg_server *s, int64_t length) {
    char sql[160];
    pg_server_await(s, "select count(*) from pg_stat_replication where state = 'streaming'", "1");
    for (int i = 0; i < 50; i++) {
        lsn_t now = pg_server_lsn(s, "select pg_current_wal_insert_lsn()");
        if (8192 - (int64_t)(now % 8192) == length) break;
        int64_t room = 8192 - (int64_t)(now % 8192) - length - 56; /* 56: a message of three bytes */
        if (room < 300) room += 8192 - 24;
        snprintf(sql, sizeof sql, "select pg_logical_emit_message(false, 'p', repeat('x', %d))", (int)(room / 8 * 8) + 1);
        pg_server_exec(s, sql);
    }
    pg_server_stop(s);
    return record_at(s, 1, control_of(s).checkpoint);
}

static void at_a_page_boundary_the_end_is_the_boundary(void **state) {
    (void)state;
    struct pg_server *a = busy_server("boundary"), *b = pg_server_copy(&pg, "boundary2", a);
    pg_server_start(b);
    pg_server_await(a, "select count(*) from pg_stat_replication where state = 'streaming'", "1");
    pg_server_stop(a);
    int64_t length = (record_at(a, 1, control_of(a).checkpoint).length + 7) / 8 * 8;
    struct pg_wal_record last = {.end = 1};
    for (int i = 0; i < 5 && last.end % 8192; i++) {
        pg_server_start(a);
        last = stop_near_boundary(a, length);
    }
    assert_int_equal(last.end % 8192, 0);
    pg_server_await_replay(b, last.end);
    assert_int_equal(pg_server_lsn(b, "select pg_last_wal_replay_lsn()"), last.end);
    pg_server_start(a);
    pg_server_exec(a, "insert into t values (1)");
    struct pg_wal_record next = record_at(a, 1, last.end);
    assert_int_equal(next.previous, last.start);
    assert_int_equal(next.start, last.end + 24);
}

static void after_a_crash_the_end_is_pg_waldumps_last_record(void **state) {
    (void)state;
    struct pg_server *s = busy_server("crash");
    lsn_t from = control_of(s).redo;
    pg_server_exec(s, "begin; insert into t select g from generate_series(1, 5000) g; commit");
    pg_server_crash(s);
    DUMP d = dump_wal(s, 1, from);
    assert_int_equal(end_from(s, 1, from).last.start, d.records[d.count - 1].start);
    assert_int_equal(end_from(s, 1, from).last_commit.start, last_with(&d, "COMMIT")->start);
}

static void segment_path(const struct pg_server *s, int64_t timeline, lsn_t at, char to[256]) {
    snprintf(to, 256, "%s/%08X%08X%08X", s->wal, (unsigned)timeline, (unsigned)(at >> 32), (unsigned)(at & 0xFFFFFFFF) >> 20);
}

static void a_record_that_was_given_up_is_walked_past(void **state) {
    (void)state;
    struct pg_server *s = busy_server("given-up");
    lsn_t from = control_of(s).redo;
    char path[256];
    pg_server_exec(s, "checkpoint");
    write_long_record(s);
    pg_server_exec(s, "insert into t values (1)");
    lsn_t end = pg_server_lsn(s, "select pg_current_wal_flush_lsn()");
    pg_server_crash(s);
    /* as if the crash had come when only the beginning of the long record was on disk */
    for (lsn_t at = end + (4 << 20); at > end - (3 << 20); at -= 1 << 20) {
        segment_path(s, 1, at, path);
        unlink(path);
    }
    pg_server_start(s);
    pg_server_exec(s, "insert into t values (2)");
    pg_server_stop(s);
    DUMP d = dump_wal(s, 1, from);
    assert_non_null(last_with(&d, "OVERWRITE_CONTRECORD"));
    assert_int_equal(end_from(s, 1, from).last.start, d.records[d.count - 1].start);
}

static void expect_no_record(const struct pg_server *s, int64_t timeline, lsn_t at, const char *words) {
    struct pg_wal_record r;
    struct err err = {0};
    assert_false(pg_wal_read_record(s->wal, 1 << 20, timeline, at, &r, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    if (!strstr(err.text, words)) fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void flip_byte(const char *path, long at) {
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ 0x40, file);
    fclose(file);
}

/* What a recycled file holds behind the end may look like a record, checksum and all; only its place in the chain is wrong. */
static void stale_bytes_behind_the_end_are_no_record(void **state) {
    (void)state;
    struct pg_server *s = busy_server("stale");
    lsn_t from = control_of(s).redo;
    char path[256];
    pg_server_stop(s);
    struct pg_wal_record last = record_at(s, 1, control_of(s).checkpoint), stale;
    segment_path(s, 1, last.start, path);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    char bytes[8192];
    assert_true(last.end % 8192 + last.length < 8192 && last.length <= sizeof bytes);
    fseek(file, (long)(last.start & 0xFFFFF), SEEK_SET);
    assert_int_equal(fread(bytes, 1, last.length, file), last.length);
    fseek(file, (long)(last.end & 0xFFFFF), SEEK_SET);
    assert_int_equal(fwrite(bytes, 1, last.length, file), last.length);
    fclose(file);
    stale = record_at(s, 1, last.end); /* asked for by position it passes */
    assert_int_equal(stale.crc, last.crc);
    assert_int_equal(end_from(s, 1, from).last.start, last.start);
}

static void damaged_missing_and_recycled_wal_is_no_record(void **state) {
    (void)state;
    struct pg_server *s = busy_server("damaged");
    lsn_t from = control_of(s).redo;
    pg_server_stop(s);
    DUMP d = dump_wal(s, 1, from);
    const struct dumped *last = &d.records[d.count - 1], *before = &d.records[d.count - 2];
    char path[256], other[256];
    struct err err = {0};
    struct pg_wal_end end;
    segment_path(s, 1, last->start, path);

    expect_no_record(s, 1, last->start + 4, "can start");
    expect_no_record(s, 1, last->start + 8, ""); /* bytes inside a record: what they say depends on it */
    expect_no_record(s, 1, record_at(s, 1, last->start).end, "no record");
    expect_no_record(s, 1, (last->start & ~(lsn_t)0xFFFFF) + 8, "inside a page header");
    expect_no_record(s, 2, last->start, "no segment of timeline 2");
    expect_no_record(s, 1, last->start + ((lsn_t)1 << 32), "no segment of timeline 1");

    flip_byte(path, (long)(last->start & 0xFFFFF) + 40);
    expect_no_record(s, 1, last->start, "checksum");
    assert_int_equal(end_from(s, 1, from).last.start, before->start);
    /* the same bytes under another name are leftovers */
    segment_path(s, 1, last->start + ((lsn_t)64 << 20), other);
    assert_int_equal(rename(path, other), 0);
    expect_no_record(s, 1, last->start + ((lsn_t)64 << 20), "left over");
    assert_false(pg_wal_find_end(s->wal, 1 << 20, 1, last->start, 0, &end, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_false(pg_wal_find_end(s->wal, 1 << 20, 1, from, 100000, &end, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

/* ---- timelines ---- */

static void a_promotion_leaves_a_fingerprint(void **state) {
    (void)state;
    struct pg_server *a = busy_server("old"), *b = pg_server_copy(&pg, "new", a);
    char print[LINEAGE_FINGERPRINT_MAX], wanted[LINEAGE_FINGERPRINT_MAX], at[LSN_TEXT_MAX];
    struct lineage lineage;
    struct err err = {0};
    pg_server_start(b);
    pg_server_await(a, "select count(*) from pg_stat_replication where state = 'streaming'", "1");
    pg_server_stop(a);
    lsn_t end = record_at(a, 1, control_of(a).checkpoint).end;
    pg_server_await_replay(b, end);
    assert_false(pg_history_read(b->data, 2, 7, &lineage, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_false(pg_lineage_fingerprint(b->wal, 1 << 20, 2, end, print, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);

    pg_server_promote(b);
    if (!pg_history_read(b->data, 2, 7, &lineage, &err)) fail_msg("%s", err.text);
    assert_int_equal(lineage.count, 2);
    assert_string_equal(lineage.entries[0].fingerprint, "initdb:7");
    assert_string_equal(lineage.entries[1].fingerprint, "");
    assert_int_equal(lineage.entries[1].timeline, 2);
    assert_int_equal(lineage.entries[1].begin, end); /* switch point = end of the old primary's shutdown checkpoint */
    if (!pg_lineage_fingerprint(b->wal, 1 << 20, 2, end, print, &err)) fail_msg("%s", err.text);

    DUMP d = dump_wal(b, 2, end);
    struct pg_wal_record r = record_at(b, 2, last_with(&d, "END_OF_RECOVERY")->start);
    assert_int_equal(pg_wal_kind(&r), PG_WAL_END_OF_RECOVERY);
    lsn_format(r.start, at);
    snprintf(wanted, sizeof wanted, "eor:%s:%08x:%" PRId64, at, r.crc, r.microseconds);
    assert_string_equal(print, wanted);
    int64_t ago = clock_wall_ms() - (r.microseconds / 1000 + 946684800000);
    assert_in_range(ago, 0, PG_FIXTURE_PATIENCE_MS);
}

static void history_files_are_read_with_their_oddities(void **state) {
    (void)state;
    struct lineage l;
    struct err err = {0};
    /* "before LSN" brings its own newline, so a blank line follows */
    const char *text = "1\t0/3000060\tno recovery target specified\n\n2\t0/5000148\tbefore LSN 0/5000148\n\n\n# said by hand\n7\t1/0\tafter\n";
    assert_true(pg_history_parse(text, 9, 42, &l, &err));
    assert_int_equal(l.count, 4);
    static const struct {
        int64_t timeline;
        lsn_t begin;
    } wanted[] = {{1, 0}, {2, 0x3000060}, {7, 0x5000148}, {9, 0x100000000}};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(l.entries[i].timeline, wanted[i].timeline);
        assert_int_equal(l.entries[i].begin, wanted[i].begin);
    }
    assert_string_equal(l.entries[0].fingerprint, "initdb:42");
    assert_true(pg_history_parse("", 1, 42, &l, &err) && l.count == 1);
    static const char *const wrong[] = {"x\t0/1\n", "1\n", "1\t0\n", "1 0/9\n1 0/a\n", "2 0/9\n1 0/a\n", "1 0/9\n2 0/8\n", "9\t0/9\n", "0\t0/9\n", "-1\t0/9\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (pg_history_parse(wrong[i], 9, 42, &l, &err)) fail_msg("taken for a history: %s", wrong[i]);
}

static void a_long_history_keeps_its_newest_timelines(void **state) {
    (void)state;
    struct lineage l;
    struct err err = {0};
    STRBUF text = {0};
    for (unsigned i = 1; i < 100; i++) strbuf_addf(&text, "%u\t0/%X\treason\n", i, i * 8);
    assert_true(pg_history_parse(text.at, 100, 42, &l, &err));
    assert_int_equal(l.count, LINEAGE_MAX);
    assert_int_equal(l.entries[LINEAGE_MAX - 1].timeline, 100);
    assert_int_equal(l.entries[LINEAGE_MAX - 1].begin, 99 * 8);
    assert_int_equal(l.entries[0].timeline, 100 - LINEAGE_MAX + 1);
    assert_int_equal(l.entries[0].begin, (100 - LINEAGE_MAX) * 8);
}

/* ---- from another server ---- */

static void wal_is_fetched_byte_for_byte(void **state) {
    (void)state;
    struct pg_server *s = busy_server("source");
    write_long_record(s);
    pg_server_exec(s, "insert into t values (1)");
    lsn_t end = pg_server_lsn(s, "select pg_current_wal_flush_lsn()"), from = end - (2 << 20) - 1234;
    STRBUF wal = {0};
    struct err err = {0};
    if (!pg_wal_fetch(pg_server_conninfo(s), 1, from, end - from, pg_fixture_deadline(), &wal, &err)) fail_msg("%s", err.text);
    assert_int_equal(wal.len, end - from);
    for (lsn_t at = from; at < end;) {
        char path[256];
        STRBUF file = {0};
        segment_path(s, 1, at, path);
        assert_true(file_read(path, 1 << 20, &file, &err));
        size_t offset = at & 0xFFFFF, n = (1 << 20) - offset < end - at ? (1 << 20) - offset : end - at;
        assert_memory_equal(wal.at + (at - from), file.at + offset, n);
        at += n;
    }
    int64_t soon = clock_boot_ms() + 300;
    assert_false(pg_wal_fetch(pg_server_conninfo(s), 1, end - 8, 4096, soon, &wal, &err)); /* not there yet */
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_false(pg_wal_fetch(pg_server_conninfo(s), 1, 0x10000, 8, pg_fixture_deadline(), &wal, &err)); /* no longer there */
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_false(pg_wal_fetch(pg_server_conninfo(s), 5, from, 8, pg_fixture_deadline(), &wal, &err));
    assert_int_equal(err.code, ERR_EXTERNAL);
    pg_server_stop(s);
    assert_false(pg_wal_fetch(pg_server_conninfo(s), 1, from, 8, pg_fixture_deadline(), &wal, &err));
    assert_int_equal(err.code, ERR_UNREACHABLE);
}

#define SILENCE_MS 3000
/* Takes connections, as the kernel does for anybody who listens, and never says a word. Returns its port. */
static int listen_silently(int *fd) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(*fd, 8), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin_port);
}

static void a_silent_host_leaves_time_for_the_next(void **state) {
    (void)state;
    struct pg_server *s = pg_server_init(&pg, "second", 1);
    struct pg_wal_source source;
    struct err err = {0};
    STRBUF wal = {0};
    char conninfo[512];
    FILE_AUTO int fd = -1;
    pg_server_start(s);
    snprintf(conninfo, sizeof conninfo, "host=127.0.0.1,%s port=%d,%d user=postgres dbname=postgres connect_timeout=%d", s->socket_dir, listen_silently(&fd), s->port,
             SILENCE_MS / 1000);
    int64_t deadline = clock_boot_ms() + 20000; /* one that the silent host must not use up */
    if (!pg_wal_source_identify(conninfo, deadline, &source, &err)) fail_msg("%s", err.text);
    assert_int_equal(source.timeline, 1);
    lsn_t from = pg_server_lsn(s, "select redo_lsn from pg_control_checkpoint()");
    int64_t asked_ms = clock_boot_ms();
    if (!pg_wal_fetch(source.conninfo, 1, from, 8, deadline, &wal, &err)) fail_msg("%s", err.text);
    assert_int_equal(wal.len, 8);
    assert_true(clock_boot_ms() - asked_ms < SILENCE_MS); /* the next question went to who had answered */
    pg_server_stop(s);
    file_close_cleanup(&fd);
    assert_false(pg_wal_source_identify(conninfo, deadline, &source, &err)); /* both are named when none answers */
    assert_non_null(strstr(err.text, "127.0.0.1"));
    assert_non_null(strstr(err.text, s->socket_dir));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_is_found_where_pg_waldump_finds_it),
        cmocka_unit_test(the_last_commit_carries_its_microsecond),
        cmocka_unit_test(a_receipt_names_the_end_that_the_standby_replays),
        cmocka_unit_test(at_a_page_boundary_the_end_is_the_boundary),
        cmocka_unit_test(after_a_crash_the_end_is_pg_waldumps_last_record),
        cmocka_unit_test(a_record_that_was_given_up_is_walked_past),
        cmocka_unit_test(stale_bytes_behind_the_end_are_no_record),
        cmocka_unit_test(damaged_missing_and_recycled_wal_is_no_record),
        cmocka_unit_test(a_promotion_leaves_a_fingerprint),
        cmocka_unit_test(history_files_are_read_with_their_oddities),
        cmocka_unit_test(a_long_history_keeps_its_newest_timelines),
        cmocka_unit_test(wal_is_fetched_byte_for_byte),
        cmocka_unit_test(a_silent_host_leaves_time_for_the_next),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
