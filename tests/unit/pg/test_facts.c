/* Every fact against PostgreSQL's own answer to a plain question, on a primary and on its standby. The facts are asked by a
 * role that has pg_monitor and nothing else, the plain questions by the superuser. */
#include "pg_fixture.h"
#include "site-agent/pg/pg_facts.h"
#include "site-agent/pg/pg_session.h"

static struct pg_fixture pg;
static struct pg_server *primary, *standby;
static struct proc *subscriber;

static void start_subscriber(void) {
    const char *full[PG_FIXTURE_ARGS_MAX];
    struct err err = {0};
    pg_fixture_as_postgres((const char *const[]){PG_FIXTURE_BIN "pg_recvlogical", "-d", pg_server_conninfo(primary), "-S", "to_logical", "--start", "-f", "-", "-s", "0", NULL}, full);
    struct proc_options options = {.argv = full, .output_path = "/dev/null"};
    if (!proc_spawn(&options, &subscriber, &err))
        fail_msg("%s", err.text);
}

/* A primary with an idle site slot, a logical subscriber and a streaming standby whose slot holds an xmin; the standby has an
 * anchor of its own. */
static int start_servers(void **state) {
    (void)state;
    pg_fixture_open(&pg);
    primary = pg_server_init(&pg, "primary", 1);
    pg_server_append(primary, "postgresql.conf", "wal_level = logical\nmax_replication_slots = 80\nhot_standby_feedback = on");
    pg_server_start(primary);
    pg_server_exec(primary, "create role mon login; grant pg_monitor to mon");
    pg_server_exec(primary, "select pg_create_physical_replication_slot('pgregent_site_fra', true)");
    pg_server_exec(primary, "select pg_create_physical_replication_slot('pgregent_member_b', true)");
    pg_server_exec(primary, "select pg_create_physical_replication_slot('unreserved', false)");
    standby = pg_server_copy(&pg, "standby", primary);
    pg_server_append(standby, "postgresql.conf", "primary_slot_name = pgregent_member_b\nwal_receiver_status_interval = 1");
    pg_server_start(standby);
    pg_server_exec(standby, "select pg_create_physical_replication_slot('pgregent_anchor_ams', true)");
    pg_server_exec(primary, "select pg_create_logical_replication_slot('to_logical', 'test_decoding')");
    start_subscriber();
    pg_server_exec(primary, "create table t as select generate_series(1, 1000) as x");
    return 0;
}

static int stop_servers(void **state) {
    (void)state;
    proc_free(subscriber);
    pg_fixture_close(&pg);
    return 0;
}

/* All WAL is sent, replayed and confirmed, and nobody writes. (The subscriber never confirms anything: -s 0.) */
static void come_to_rest(void) {
    pg_server_exec(primary, "checkpoint");
    pg_server_await_replay(standby, pg_server_lsn(primary, "select pg_current_wal_lsn()"));
    pg_server_await(primary,
                    "select count(*) from pg_stat_replication where state = 'streaming' and sent_lsn = pg_current_wal_lsn() "
                    "and (replay_lsn = sent_lsn or pid = (select active_pid from pg_replication_slots where slot_name = 'to_logical'))",
                    "2");
    pg_server_await(primary, "select xmin is not null from pg_replication_slots where slot_name = 'pgregent_member_b'", "t");
}

static void ask(const struct pg_server *s, struct pg_facts *facts) {
    STRBUF conninfo = {0}, text = {0};
    struct err err = {0};
    strbuf_addf(&conninfo, "%s user=mon", pg_server_conninfo(s));
    if (!pg_query_once(conninfo.at, pg_facts_sql, clock_boot_ms() + 20000, &text, &err))
        fail_msg("%s", err.text);
    if (!pg_facts_parse(text.at, text.len, facts, &err))
        fail_msg("%s: %s", err.text, text.at);
}

/* ---- comparing ---- */

struct comparison {
    const struct pg_server *server;
    struct strbuf wrong; /* one line for each fact that differs */
};

static void same(struct comparison *c, const char *fact, const char *value, const char *sql) {
    const char *wanted = pg_server_query(c->server, sql);
    if (strcmp(value, wanted) != 0)
        strbuf_addf(&c->wrong, "%s: \"%s\", but PostgreSQL says \"%s\" (%s)\n", fact, value, wanted, sql);
}

static void same_int(struct comparison *c, const char *fact, int64_t value, const char *sql) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    same(c, fact, text, sql);
}

static void same_bool(struct comparison *c, const char *fact, bool value, const char *sql) { same(c, fact, value ? "t" : "f", sql); }

static void same_lsn(struct comparison *c, const char *fact, lsn_t value, const char *sql) {
    char text[LSN_TEXT_MAX] = "";
    if (value)
        lsn_format(value, text);
    same(c, fact, text, sql);
}

/* "select COLUMN from VIEW where KEY" in a buffer of the caller's. */
static const char *from(char to[320], const char *columns, const char *view, const char *key) {
    snprintf(to, 320, "select %s from %s where %s", columns, view, key);
    return to;
}

static void compare_slot(struct comparison *c, const struct pg_slot *slot, const char *end_of_wal) {
    static const char view[] = "pg_replication_slots";
    char sql[320], key[120], diff[160];
    snprintf(key, sizeof key, "slot_name = '%s'", slot->name);
    snprintf(diff, sizeof diff, "coalesce(pg_wal_lsn_diff(%s, restart_lsn), 0)", end_of_wal);
    same_bool(c, "slot physical", slot->physical, from(sql, "slot_type = 'physical'", view, key));
    same_bool(c, "slot active", slot->active, from(sql, "active", view, key));
    same_int(c, "slot active_pid", slot->active_pid, from(sql, "coalesce(active_pid, 0)", view, key));
    same_lsn(c, "slot restart_lsn", slot->restart_lsn, from(sql, "restart_lsn", view, key));
    same(c, "slot wal_status", slot->wal_status, from(sql, "wal_status", view, key));
    same_int(c, "slot retained_bytes", slot->retained_bytes, from(sql, diff, view, key));
    same_bool(c, "slot has_xmin", slot->has_xmin, from(sql, "xmin is not null", view, key));
}

static void compare_sender(struct comparison *c, const struct pg_sender *sender) {
    static const char view[] = "pg_stat_replication";
    char sql[320], key[120], slot[120];
    snprintf(key, sizeof key, "pid = %" PRId64, sender->pid);
    snprintf(slot, sizeof slot, "active_pid = %" PRId64, sender->pid);
    same(c, "sender application_name", sender->application_name, from(sql, "application_name", view, key));
    same(c, "sender state", sender->state, from(sql, "state", view, key));
    same_lsn(c, "sender sent_lsn", sender->sent_lsn, from(sql, "sent_lsn", view, key));
    same_lsn(c, "sender write_lsn", sender->write_lsn, from(sql, "write_lsn", view, key));
    same_lsn(c, "sender flush_lsn", sender->flush_lsn, from(sql, "flush_lsn", view, key));
    same_lsn(c, "sender replay_lsn", sender->replay_lsn, from(sql, "replay_lsn", view, key));
    same(c, "sender slot_name", sender->slot_name, from(sql, "slot_name", "pg_replication_slots", slot));
    same_bool(c, "sender logical", sender->logical, from(sql, "slot_type = 'logical'", "pg_replication_slots", slot));
}

static void compare_common(struct comparison *c, const struct pg_facts *f) {
    same_bool(c, "in_recovery", f->in_recovery, "select pg_is_in_recovery()");
    same_int(c, "server_version_num", f->server_version_num, "show server_version_num");
    same(c, "server_version", f->server_version, "select split_part(version(), ' ', 2)");
    same_int(c, "timeline", f->timeline, "select timeline_id from pg_control_checkpoint()");
    same_lsn(c, "redo_lsn", f->redo_lsn, "select redo_lsn from pg_control_checkpoint()");
    same_bool(c, "pending_restart", f->pending_restart, "select bool_or(pending_restart) from pg_settings");
    same(c, "primary_conninfo_source", f->primary_conninfo_source, "select sourcefile from pg_settings where name = 'primary_conninfo'");
    same_int(c, "started_wall_ms", f->started_wall_ms, "select floor(extract(epoch from pg_postmaster_start_time()) * 1000)::bigint");
    same_int(c, "slot_count", f->slot_count, "select count(*) from pg_replication_slots");
    same_int(c, "sender_count", f->sender_count, "select count(*) from pg_stat_replication");
    const char *end_of_wal = f->in_recovery ? "pg_last_wal_receive_lsn()" : "pg_current_wal_lsn()";
    for (uint32_t i = 0; i < f->slot_count; i++)
        compare_slot(c, &f->slots[i], end_of_wal);
    for (uint32_t i = 0; i < f->sender_count; i++)
        compare_sender(c, &f->senders[i]);
}

static void compare_primary(struct comparison *c, const struct pg_facts *f) {
    compare_common(c, f);
    same_lsn(c, "write_lsn", f->write_lsn, "select pg_current_wal_lsn()");
    same_lsn(c, "flush_lsn", f->flush_lsn, "select pg_current_wal_flush_lsn()");
    same_lsn(c, "receive_lsn", f->receive_lsn, "select ''");
    same_lsn(c, "replay_lsn", f->replay_lsn, "select ''");
    same_int(c, "replay_lag_ms", f->replay_lag_ms, "select 0");
    same(c, "replay_pause_state", f->replay_pause_state, "select ''");
    same(c, "receiver_status", f->receiver_status, "select ''");
    same_int(c, "receiver_port", f->receiver_port, "select 0");
}

static void compare_standby(struct comparison *c, const struct pg_facts *f) {
    compare_common(c, f);
    same_lsn(c, "write_lsn", f->write_lsn, "select ''");
    same_lsn(c, "flush_lsn", f->flush_lsn, "select ''");
    same_lsn(c, "receive_lsn", f->receive_lsn, "select pg_last_wal_receive_lsn()");
    same_lsn(c, "replay_lsn", f->replay_lsn, "select pg_last_wal_replay_lsn()");
    same_int(c, "replay_lag_ms", f->replay_lag_ms, "select 0");
    same(c, "replay_pause_state", f->replay_pause_state, "select pg_get_wal_replay_pause_state()");
    same(c, "receiver_status", f->receiver_status, "select status from pg_stat_wal_receiver");
    same(c, "receiver_slot", f->receiver_slot, "select slot_name from pg_stat_wal_receiver");
    same_int(c, "receiver_timeline", f->receiver_timeline, "select received_tli from pg_stat_wal_receiver");
    same_lsn(c, "receiver_latest_end", f->receiver_latest_end, "select latest_end_lsn from pg_stat_wal_receiver");
    same(c, "receiver_host", f->receiver_host, "select sender_host from pg_stat_wal_receiver");
    same_int(c, "receiver_port", f->receiver_port, "select sender_port from pg_stat_wal_receiver");
}

/* The background writer may log a snapshot at any time, so a comparison counts only if WAL stood still meanwhile. */
static void compare_at_rest(const struct pg_server *s, struct pg_facts *facts, void (*compare)(struct comparison *, const struct pg_facts *)) {
    for (int tries = 0; tries < 10; tries++) {
        come_to_rest();
        struct comparison c = {.server = s};
        lsn_t before = pg_server_lsn(primary, "select pg_current_wal_lsn()");
        ask(s, facts);
        compare(&c, facts);
        bool stood_still = before == pg_server_lsn(primary, "select pg_current_wal_lsn()");
        char wrong[4096] = "";
        if (c.wrong.at)
            str_copy(wrong, sizeof wrong, c.wrong.at);
        strbuf_free(&c.wrong);
        if (!wrong[0])
            return;
        if (stood_still)
            fail_msg("%s:\n%s", s->name, wrong);
    }
    fail_msg("WAL never stood still");
}

static const struct pg_slot *slot_of(const struct pg_facts *f, const char *name) {
    for (uint32_t i = 0; i < f->slot_count; i++)
        if (strcmp(f->slots[i].name, name) == 0)
            return &f->slots[i];
    fail_msg("no slot %s", name);
    return NULL;
}

/* ---- stories ---- */

static void a_primary_at_rest(void **state) {
    (void)state;
    struct pg_facts f;
    compare_at_rest(primary, &f, compare_primary);
    /* the comparison has met what it is there for */
    assert_int_equal(f.slot_count, 4);
    assert_int_equal(f.sender_count, 2);
    assert_true(slot_of(&f, "pgregent_site_fra")->retained_bytes > 0);
    assert_false(slot_of(&f, "pgregent_site_fra")->active);
    assert_true(slot_of(&f, "pgregent_member_b")->active);
    assert_true(slot_of(&f, "pgregent_member_b")->has_xmin);
    assert_true(slot_of(&f, "unreserved")->restart_lsn == 0);
    assert_string_equal(slot_of(&f, "unreserved")->wal_status, "");
    assert_false(slot_of(&f, "to_logical")->physical);
    assert_true(f.senders[0].logical != f.senders[1].logical);
}

static void a_standby_at_rest(void **state) {
    (void)state;
    struct pg_facts f;
    compare_at_rest(standby, &f, compare_standby);
    assert_string_equal(f.receiver_status, "streaming");
    assert_string_equal(f.receiver_slot, "pgregent_member_b");
    assert_string_equal(f.replay_pause_state, "not paused");
    assert_int_equal(f.slot_count, 1);
    assert_true(f.primary_conninfo_source[0] == '/');
}

static void what_is_received_and_not_replayed_is_lag(void **state) {
    (void)state;
    struct pg_facts f;
    come_to_rest();
    pg_server_exec(standby, "select pg_wal_replay_pause()");
    pg_server_await(standby, "select pg_get_wal_replay_pause_state()", "paused");
    pg_server_exec(primary, "insert into t select generate_series(1, 1000)");
    char sql[120], end[LSN_TEXT_MAX];
    lsn_format(pg_server_lsn(primary, "select pg_current_wal_lsn()"), end);
    snprintf(sql, sizeof sql, "select pg_last_wal_receive_lsn() >= '%s'", end);
    pg_server_await(standby, sql, "t");
    ask(standby, &f);
    assert_string_equal(f.replay_pause_state, "paused");
    assert_true(f.receive_lsn > f.replay_lsn);
    assert_in_range(f.replay_lag_ms, 1, 60000);
    pg_server_exec(standby, "select pg_wal_replay_resume()");
    come_to_rest();
    ask(standby, &f);
    assert_int_equal(f.replay_lag_ms, 0);
}

static void a_changed_setting_waits_for_a_restart(void **state) {
    (void)state;
    struct pg_facts f;
    ask(primary, &f);
    assert_false(f.pending_restart);
    pg_server_exec(primary, "alter system set max_connections = 77");
    pg_server_exec(primary, "select pg_reload_conf()");
    pg_server_await(primary, "select bool_or(pending_restart) from pg_settings", "t");
    ask(primary, &f);
    assert_true(f.pending_restart);
    pg_server_exec(primary, "alter system reset max_connections");
    pg_server_exec(primary, "select pg_reload_conf()");
    pg_server_await(primary, "select bool_or(pending_restart) from pg_settings", "f");
}

static void alter_system_shows_as_source_of_primary_conninfo(void **state) {
    (void)state;
    struct pg_facts f;
    pg_server_exec(primary, "alter system set primary_conninfo = 'host=elsewhere'");
    pg_server_exec(primary, "select pg_reload_conf()");
    pg_server_await(primary, "show primary_conninfo", "host=elsewhere");
    ask(primary, &f);
    assert_non_null(strstr(f.primary_conninfo_source, "/postgresql.auto.conf"));
    pg_server_exec(primary, "alter system reset primary_conninfo");
    pg_server_exec(primary, "select pg_reload_conf()");
}

static void when_slots_are_too_many_ours_are_kept(void **state) {
    (void)state;
    struct pg_facts f;
    pg_server_exec(primary, "select count(pg_create_physical_replication_slot('many_' || i)) from generate_series(1, 70) i");
    ask(primary, &f);
    assert_int_equal(f.slot_count, PG_SLOTS_MAX);
    slot_of(&f, "pgregent_site_fra");
    slot_of(&f, "pgregent_member_b");
    pg_server_exec(primary, "select count(pg_drop_replication_slot('many_' || i)) from generate_series(1, 70) i");
}

static void note(void *context, const struct pg_result *result) {
    int *answers = context;
    *answers = result->ok ? 1 : -1;
}

static int answer_of(struct pg_session *s, const char *sql) {
    int answer = 0;
    pg_session_query(s, sql, NULL, 0, clock_boot_ms() + 3000, note, &answer);
    while (answer == 0) {
        struct pollfd fd;
        poll(&fd, pg_session_pollfd(s, &fd), 20);
        pg_session_step(s, clock_boot_ms());
    }
    return answer;
}

/* A DBA's VACUUM FULL of a shared catalog, or a session that forgot its transaction. */
static void a_locked_catalog_does_not_hide_the_facts(void **state) {
    (void)state;
    STRBUF conninfo = {0};
    strbuf_addf(&conninfo, "%s user=mon", pg_server_conninfo(primary));
    struct pg_session *s = pg_session_new(conninfo.at, 2000);
    assert_int_equal(answer_of(s, pg_facts_sql), 1);
    PGconn *locker = PQconnectdb(pg_server_conninfo(primary));
    PQclear(PQexec(locker, "begin"));
    PGresult *locked = PQexec(locker, "lock table pg_database, pg_authid in access exclusive mode");
    assert_int_equal(PQresultStatus(locked), PGRES_COMMAND_OK);
    PQclear(locked);
    assert_int_equal(answer_of(s, pg_facts_sql), 1);
    PQfinish(locker);
    pg_session_free(s);
}

static void text_that_is_no_document_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"", "{", "[]", "{}", "{\"in_recovery\": true}"};
    static struct pg_facts f;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        assert_false(pg_facts_parse(bad[i], strlen(bad[i]), &f, &err));
        assert_true(err.text[0] != '\0');
    }
}

static void without_its_upstream_a_standby_has_no_receiver(void **state) {
    (void)state;
    struct pg_facts f;
    come_to_rest();
    pg_server_exec(primary, "insert into t select generate_series(1, 50000)"); /* dirty pages for the next story */
    pg_server_await_replay(standby, pg_server_lsn(primary, "select pg_current_wal_lsn()"));
    proc_free(subscriber);
    subscriber = NULL;
    pg_server_crash(primary);
    pg_server_await(standby, "select count(*) from pg_stat_wal_receiver", "0");
    ask(standby, &f);
    assert_string_equal(f.receiver_status, "");
    assert_true(f.receiver_latest_end == 0);
    assert_true(f.receive_lsn >= f.replay_lsn && f.replay_lsn > 0);
    assert_int_equal(f.timeline, 1);
}

/* The control file has it only after the checkpoint that follows the promotion in its own time (minutes, with dirty pages). */
static void a_promotion_shows_its_timeline_at_once(void **state) {
    (void)state;
    struct pg_facts f;
    pg_server_promote(standby);
    ask(standby, &f);
    assert_string_equal(pg_server_query(standby, "select timeline_id from pg_control_checkpoint()"), "1");
    assert_false(f.in_recovery);
    assert_int_equal(f.timeline, 2);
    assert_true(f.write_lsn > 0 && f.flush_lsn > 0);
    assert_true(f.receive_lsn == 0 && f.replay_lsn == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_primary_at_rest),
        cmocka_unit_test(a_standby_at_rest),
        cmocka_unit_test(what_is_received_and_not_replayed_is_lag),
        cmocka_unit_test(a_changed_setting_waits_for_a_restart),
        cmocka_unit_test(alter_system_shows_as_source_of_primary_conninfo),
        cmocka_unit_test(when_slots_are_too_many_ours_are_kept),
        cmocka_unit_test(a_locked_catalog_does_not_hide_the_facts),
        cmocka_unit_test(text_that_is_no_document_is_refused),
        cmocka_unit_test(without_its_upstream_a_standby_has_no_receiver),
        cmocka_unit_test(a_promotion_shows_its_timeline_at_once),
    };
    return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
