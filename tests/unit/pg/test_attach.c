/* May this directory follow that server? The situations after which people were surprised, each made with real servers. */
#include "pg_fixture.h"
#include "site-agent/pg/pg_wal.h"

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

/* ---- the story tellers ---- */

static struct pg_server *primary(const char *name) {
    struct pg_server *s = pg_server_init(&pg, name, 1);
    pg_server_append(s, "postgresql.conf", "wal_log_hints = on"); /* pg_rewind wants it */
    pg_server_start(s);
    pg_server_exec(s, "create table t (x int)");
    pg_server_exec(s, "insert into t select generate_series(1, 1000)");
    return s;
}

static struct pg_server *standby_of(const char *name, const struct pg_server *upstream) {
    struct pg_server *s = pg_server_copy(&pg, name, upstream);
    pg_server_start(s);
    return s;
}

static lsn_t flushed(const struct pg_server *s) { return pg_server_lsn(s, "select pg_current_wal_flush_lsn()"); }

static void catch_up(const struct pg_server *standby, const struct pg_server *upstream) { pg_server_await_replay(standby, flushed(upstream)); }

/* Stops a primary cleanly, the standbys having streamed to the end. */
static void stop_streamed(struct pg_server *s, const struct pg_server *const *standbys, int n) {
    char wanted[8];
    struct pg_control control;
    struct pg_wal_record last;
    struct err err = {0};
    snprintf(wanted, sizeof wanted, "%d", n);
    pg_server_await(s, "select count(*) from pg_stat_replication where state = 'streaming'", wanted);
    pg_server_stop(s);
    assert_true(pg_control_read(s->data, &control, &err));
    assert_true(pg_wal_read_record(s->wal, control.wal_segment_size, control.timeline, control.checkpoint, &last, &err));
    for (int i = 0; i < n; i++) pg_server_await_replay(standbys[i], last.end);
}

/* What the member would have in its state directory: its history with the fingerprints that its WAL gives. */
static struct lineage lineage_of(const struct pg_server *s) {
    struct pg_control control;
    struct lineage l;
    struct err err = {0};
    int64_t timeline;
    assert_true(pg_control_read(s->data, &control, &err));
    timeline = control.timeline > control.min_recovery_timeline ? control.timeline : control.min_recovery_timeline;
    if (!pg_history_read(s->data, timeline, control.system_identifier, &l, &err)) fail_msg("%s", err.text);
    for (uint32_t i = 0; i < l.count; i++) {
        struct lineage_entry *e = &l.entries[i];
        if (e->timeline > 1 && !pg_lineage_fingerprint(s->wal, control.wal_segment_size, e->timeline, e->begin, e->fingerprint, &err))
            fail_msg("%s", err.text);
    }
    return l;
}

static const struct lineage nothing_remembered;

static struct pg_attach_report check(const struct pg_server *s, const struct lineage *mine, const struct pg_server *upstream,
                                     const struct lineage *theirs) {
    struct pg_attach_report report;
    struct err err = {0};
    if (!pg_attach_check(s->data, mine, pg_server_conninfo(upstream), theirs, pg_fixture_deadline(), &report, &err)) fail_msg("%s", err.text);
    return report;
}

static void expect(const struct pg_server *s, const struct pg_server *upstream, enum pg_attach_verdict wanted, const char *words) {
    struct lineage theirs = lineage_of(upstream);
    struct pg_attach_report report = check(s, &nothing_remembered, upstream, &theirs);
    if (report.verdict != wanted || !strstr(report.reason, words))
        fail_msg("%s to %s: %s: %s", s->name, upstream->name, pg_attach_verdict_name(report.verdict), report.reason);
    print_message("    %s: %s\n", pg_attach_verdict_name(report.verdict), report.reason);
}

static void expect_error(const struct pg_server *s, const struct pg_server *upstream, const struct lineage *theirs, enum err_code code, const char *words) {
    struct pg_attach_report report;
    struct err err = {0};
    assert_false(pg_attach_check(s->data, &nothing_remembered, pg_server_conninfo(upstream), theirs, pg_fixture_deadline(), &report, &err));
    assert_string_equal(err_code_name(err.code), err_code_name(code));
    if (!strstr(err.text, words)) fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

/* Starts the directory as what the verdict says it can be, and sees it stream. */
static void stream_from(struct pg_server *s, const struct pg_server *upstream) {
    pg_server_follow(s, upstream);
    pg_server_start(s);
    pg_server_await(s, "select status from pg_stat_wal_receiver", "streaming");
    catch_up(s, upstream);
}

/* ---- the stories ---- */

static void a_standby_that_is_behind_may_stream(void **state) {
    (void)state;
    struct pg_server *a = primary("behind-a"), *b = standby_of("behind-b", a);
    pg_server_exec(a, "insert into t values (1)");
    catch_up(b, a);
    pg_server_stop(b);
    expect(b, a, PG_ATTACH_OK, "stands in the source");
    pg_server_exec(a, "insert into t select generate_series(1, 10000)");
    expect(b, a, PG_ATTACH_OK, "stands in the source");
    stream_from(b, a);
    pg_server_crash(b);
    expect(b, a, PG_ATTACH_OK, "stands in the source");
}

static void after_a_clean_switchover_the_old_primary_may_stream(void **state) {
    (void)state;
    struct pg_server *a = primary("clean-a"), *b = standby_of("clean-b", a);
    const struct pg_server *standbys[] = {b};
    stop_streamed(a, standbys, 1);
    pg_server_promote(b);
    pg_server_exec(b, "insert into t values (2)");
    expect(a, b, PG_ATTACH_OK, "stands in the source");
    struct lineage theirs = lineage_of(b);
    struct pg_attach_report report = check(a, &nothing_remembered, b, &theirs);
    assert_int_equal(report.local_end, report.fork); /* not a byte was lost */
    assert_int_equal(report.local_timeline, 1);
    stream_from(a, b);

    /* and back: now it ends on timeline 2, and its last checkpoint may still be on 1 */
    pg_server_stop(a);
    expect(a, b, PG_ATTACH_OK, "stands in the source");
    pg_server_start(a);
    standbys[0] = a;
    stop_streamed(b, standbys, 1);
    pg_server_promote(a);
    expect(b, a, PG_ATTACH_OK, "stands in the source");
    report = check(b, &nothing_remembered, a, &(struct lineage[]){lineage_of(a)}[0]);
    assert_int_equal(report.local_timeline, 2);
    stream_from(b, a);
}

/* pg_control names the last restartpoint, which may be segments and a timeline behind what was received. */
static void the_end_is_found_beyond_what_pg_control_knows(void **state) {
    (void)state;
    struct pg_server *a = primary("beyond-a"), *b = standby_of("beyond-b", a), *c = standby_of("beyond-c", a);
    const struct pg_server *standbys[] = {b, c};
    pg_server_exec(a, "insert into t select generate_series(1, 40000)");
    stop_streamed(a, standbys, 2);
    pg_server_promote(b);
    pg_server_follow(c, b);
    pg_server_exec(c, "select pg_reload_conf()");
    pg_server_exec(b, "insert into t values (-1)");
    lsn_t end = flushed(b);
    pg_server_await_replay(c, end);
    pg_server_crash(c);
    struct pg_control control;
    struct lineage theirs = lineage_of(b);
    struct err err = {0};
    assert_true(pg_control_read(c->data, &control, &err));
    assert_int_equal(control.timeline, 1);
    struct pg_attach_report report = check(c, &nothing_remembered, b, &theirs);
    assert_int_equal(report.verdict, PG_ATTACH_OK);
    assert_int_equal(report.local_timeline, 2);
    assert_true(report.local_end >= end);
}

static void a_standby_past_the_fork_must_be_rewound(void **state) {
    (void)state;
    struct pg_server *a = primary("past-a"), *b = standby_of("past-b", a), *c = standby_of("past-c", a);
    catch_up(b, a);
    pg_server_stop(b);
    pg_server_exec(a, "insert into t select generate_series(1, 5000)"); /* C has it, B never will */
    catch_up(c, a);
    pg_server_stop(c);
    pg_server_crash(a);
    pg_server_follow(b, NULL);
    pg_server_start(b);
    pg_server_promote(b);
    expect(c, b, PG_ATTACH_REWIND, "past the fork");
    expect(a, b, PG_ATTACH_REWIND, "past the fork"); /* crashed, never shut down */
    /* a history file alone brings no WAL of that timeline */
    char from[256], to[256];
    snprintf(from, sizeof from, "%s/00000002.history", b->wal);
    snprintf(to, sizeof to, "%s/00000002.history", c->wal);
    pg_fixture_run((const char *const[]){"/bin/cp", from, to, NULL});
    expect(c, b, PG_ATTACH_REWIND, "past the fork");
    /* the new primary has by far overtaken it: the position alone would not show it */
    pg_server_exec(b, "insert into t select generate_series(1, 20000)");
    expect(c, b, PG_ATTACH_REWIND, "past the fork");
}

/* Two standbys of one primary, promoted apart at one position: number, switch point and history file are equal. */
static void the_same_timeline_number_twice_is_two_histories(void **state) {
    (void)state;
    struct pg_server *a = primary("twice-a"), *b = standby_of("twice-b", a), *c = standby_of("twice-c", a);
    const struct pg_server *standbys[] = {b, c};
    stop_streamed(a, standbys, 2);
    pg_server_promote(b);
    pg_server_promote(c);
    struct lineage lb = lineage_of(b), lc = lineage_of(c);
    assert_int_equal(lb.count, 2);
    assert_int_equal(lb.entries[1].timeline, lc.entries[1].timeline);
    assert_int_equal(lb.entries[1].begin, lc.entries[1].begin);
    assert_string_not_equal(lb.entries[1].fingerprint, lc.entries[1].fingerprint);
    pg_server_exec(b, "insert into t values (-1)");
    pg_server_exec(c, "insert into t values (-2)");
    pg_server_stop(c);
    expect(c, b, PG_ATTACH_RECLONE, "timeline 2 is two");
    /* the old primary may follow either */
    expect(a, b, PG_ATTACH_OK, "stands in the source");
    /* a state directory that belongs to B's copy does not hide it: WAL is asked first */
    assert_int_equal(check(c, &lb, b, &lb).verdict, PG_ATTACH_RECLONE);

    /* pg_rewind is content, which is why it may not be asked */
    STRBUF out = {0};
    assert_int_equal(PG_OUTPUT(&out, "pg_rewind", "-D", c->data, "--source-server", pg_server_conninfo(b), "--dry-run"), 0);
    assert_non_null(strstr(out.at, "no rewind required"));
}

/* No promotion, no new number: a copy was started by hand as a primary and wrote. */
static void a_copy_that_wrote_on_the_same_timeline_is_found_by_its_bytes(void **state) {
    (void)state;
    struct pg_server *a = primary("hand-a"), *b = standby_of("hand-b", a);
    char path[256];
    catch_up(b, a);
    pg_server_stop(b);
    snprintf(path, sizeof path, "%s/standby.signal", b->data);
    assert_int_equal(unlink(path), 0);
    pg_server_start(b);
    pg_server_exec(b, "insert into t values (-1)");
    pg_server_stop(b);
    pg_server_exec(a, "insert into t select generate_series(1, 5000)");
    expect(b, a, PG_ATTACH_RECLONE, "in the source");
}

/* As above with records of equal length on both sides, and ending in records that are equal but for the rows before. */
static void equal_lengths_do_not_hide_it(void **state) {
    (void)state;
    struct pg_server *a = primary("silent-a");
    pg_server_stop(a);
    struct pg_server *b = pg_server_new(&pg, "silent-b");
    pg_fixture_run((const char *const[]){"/bin/cp", "-a", a->data, b->data, NULL});
    pg_server_settings(b);
    pg_server_start(a);
    pg_server_start(b);
    pg_server_exec(a, "insert into t values (111)");
    pg_server_exec(b, "insert into t values (222)");
    pg_server_stop(a);
    pg_server_stop(b);
    pg_server_start(a);
    pg_server_exec(a, "insert into t select generate_series(1, 5000)");
    expect(b, a, PG_ATTACH_RECLONE, "other content");
}

static void ahead_of_the_source_waits(void **state) {
    (void)state;
    struct pg_server *a = primary("ahead-a"), *b = standby_of("ahead-b", a), *c = standby_of("ahead-c", a);
    pg_server_stop(c);
    pg_server_exec(a, "insert into t select generate_series(1, 5000)");
    catch_up(b, a);
    pg_server_stop(b);
    pg_server_stop(a);
    pg_server_start(c); /* a source that missed it */
    expect(b, c, PG_ATTACH_AHEAD, "the source only");
    pg_server_start(a);
    catch_up(c, a);
    expect(b, c, PG_ATTACH_OK, "stands in the source"); /* a standby is as good a source */
}

static void ahead_by_a_timeline_waits_too_unless_the_source_went_on_without_it(void **state) {
    (void)state;
    struct pg_server *a = primary("late-a"), *b = standby_of("late-b", a);
    const struct pg_server *standbys[] = {b};
    stop_streamed(a, standbys, 1);
    pg_server_promote(b);
    pg_server_exec(b, "insert into t values (-1)");
    pg_server_stop(b);
    /* the old primary as a standby that has not heard of timeline 2 */
    pg_server_follow(a, NULL);
    pg_server_start(a);
    expect(b, a, PG_ATTACH_AHEAD, "local timeline 2");
    pg_server_stop(a);
    /* and as a primary that goes on, on a timeline of another number: B is to be thrown back */
    struct lineage theirs = lineage_of(a);
    char path[256];
    snprintf(path, sizeof path, "%s/standby.signal", a->data);
    assert_int_equal(unlink(path), 0);
    pg_server_start(a);
    pg_server_exec(a, "insert into t values (-2)");
    assert_int_equal(check(b, &nothing_remembered, a, &theirs).verdict, PG_ATTACH_REWIND);
}

static void what_the_source_no_longer_has_cannot_be_proved(void **state) {
    (void)state;
    struct pg_server *a = primary("gone-a"), *b = standby_of("gone-b", a);
    catch_up(b, a);
    pg_server_stop(b);
    pg_server_append(a, "postgresql.conf", "wal_keep_size = 0\nmax_wal_size = 2MB\nmin_wal_size = 2MB");
    pg_server_exec(a, "select pg_reload_conf()");
    for (int i = 0; i < 3; i++) {
        pg_server_exec(a, "insert into t select generate_series(1, 20000)");
        pg_server_exec(a, "checkpoint");
    }
    expect(b, a, PG_ATTACH_RECLONE, "can no longer be read in the source");
}

static void remove_segments(const struct pg_server *s, const char *before) {
    char path[512], name[32], last[32];
    str_copy(last, sizeof last, before);
    for (unsigned i = 1; i < 64; i++) {
        snprintf(name, sizeof name, "0000000100000000%08X", i);
        if (strcmp(name, last) >= 0) break;
        snprintf(path, sizeof path, "%s/%s", s->wal, name);
        unlink(path);
    }
}

/* A checkpoint record can be equal in two copies with different rows, so alone it proves nothing. */
static void a_lone_checkpoint_record_proves_nothing(void **state) {
    (void)state;
    struct pg_server *a = primary("lone-a"), *b = standby_of("lone-b", a);
    const struct pg_server *standbys[] = {b};
    pg_server_exec(a, "select pg_switch_wal()"); /* as archive_mode does before a shutdown checkpoint */
    stop_streamed(a, standbys, 1);
    pg_server_promote(b);
    expect(a, b, PG_ATTACH_OK, "stands in the source");
    struct pg_control control;
    struct err err = {0};
    char segment[32];
    assert_true(pg_control_read(a->data, &control, &err));
    snprintf(segment, sizeof segment, "0000000100000000%08X", (unsigned)(control.checkpoint >> 20));
    remove_segments(a, segment);
    expect(a, b, PG_ATTACH_RECLONE, "nothing but the last record");
    remove_segments(a, "000000010000000000000040");
    expect(a, b, PG_ATTACH_RECLONE, "no WAL of timeline 1");
}

static void a_lost_fingerprint_of_ours_cannot_be_proved_one_of_theirs_is_asked_for(void **state) {
    (void)state;
    struct pg_server *a = primary("lost-a"), *b = standby_of("lost-b", a);
    const struct pg_server *standbys[] = {b};
    stop_streamed(a, standbys, 1);
    pg_server_promote(b);
    struct lineage theirs = lineage_of(b), mine = theirs, pinned = theirs, none = theirs;
    none.entries[1].fingerprint[0] = '\0';
    str_copy(pinned.entries[1].fingerprint, LINEAGE_FINGERPRINT_MAX, "pinned:adopted");
    pg_server_follow(a, b);
    pg_server_start(a);
    for (int i = 0; i < 3; i++) { /* the segment with the record goes from A, and its pg_control is on timeline 2 */
        pg_server_exec(b, "insert into t select generate_series(1, 20000)");
        pg_server_exec(b, "checkpoint");
        catch_up(a, b);
        pg_server_exec(a, "checkpoint");
    }
    pg_server_stop(a);
    assert_int_equal(check(a, &pinned, b, &pinned).verdict, PG_ATTACH_OK); /* what a person pinned is not overruled by WAL */
    char path[256];
    lsn_t begin = theirs.entries[1].begin;
    snprintf(path, sizeof path, "%s/00000002%08X%08X", a->wal, (unsigned)(begin >> 32), (unsigned)(begin & 0xFFFFFFFF) >> 20);
    unlink(path);

    assert_int_equal(check(a, &nothing_remembered, b, &theirs).verdict, PG_ATTACH_RECLONE);
    assert_int_equal(check(a, &mine, b, &theirs).verdict, PG_ATTACH_OK); /* remembered in the state directory */
    assert_int_equal(check(a, &pinned, b, &pinned).verdict, PG_ATTACH_OK);
    expect_error(a, b, &none, ERR_REFUSED, "timeline 2 is not known");
}

static void a_wrong_source_is_an_error_and_no_verdict(void **state) {
    (void)state;
    struct pg_server *a = primary("wrong-a"), *b = standby_of("wrong-b", a), *other = primary("wrong-other");
    const struct pg_server *standbys[] = {b};
    struct lineage of_a = lineage_of(a), of_other = lineage_of(other);
    stop_streamed(a, standbys, 1);
    expect_error(a, other, &of_other, ERR_REFUSED, "another cluster");
    expect_error(a, b, &nothing_remembered, ERR_REFUSED, "lineage is not known");
    pg_server_promote(b);
    expect_error(a, b, &of_a, ERR_CONFLICT, "is on timeline 2"); /* the list we were given is behind */
    pg_server_stop(b);
    expect_error(a, b, &of_a, ERR_UNREACHABLE, "connect");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_standby_that_is_behind_may_stream),
        cmocka_unit_test(after_a_clean_switchover_the_old_primary_may_stream),
        cmocka_unit_test(the_end_is_found_beyond_what_pg_control_knows),
        cmocka_unit_test(a_standby_past_the_fork_must_be_rewound),
        cmocka_unit_test(the_same_timeline_number_twice_is_two_histories),
        cmocka_unit_test(a_copy_that_wrote_on_the_same_timeline_is_found_by_its_bytes),
        cmocka_unit_test(equal_lengths_do_not_hide_it),
        cmocka_unit_test(ahead_of_the_source_waits),
        cmocka_unit_test(ahead_by_a_timeline_waits_too_unless_the_source_went_on_without_it),
        cmocka_unit_test(what_the_source_no_longer_has_cannot_be_proved),
        cmocka_unit_test(a_lone_checkpoint_record_proves_nothing),
        cmocka_unit_test(a_lost_fingerprint_of_ours_cannot_be_proved_one_of_theirs_is_asked_for),
        cmocka_unit_test(a_wrong_source_is_an_error_and_no_verdict),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
