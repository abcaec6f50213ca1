/* pg_control as we read it, beside what pg_controldata says about the same directory. */
#include "pg_fixture.h"
#include "site-agent/pg/pg_control.h"
#include "site-agent/pg/pg_crc32c.h"

static struct pg_fixture pg;
static struct pg_server *server, *standby;

static int make_server(void **state) {
    (void)state;
    pg_fixture_open(&pg);
    server = pg_server_init(&pg, "a", 16);
    pg_server_append(server, "postgresql.conf", "max_connections = 33\nmax_wal_senders = 7\nmax_worker_processes = 9\n"
                                                "max_prepared_transactions = 4\nmax_locks_per_transaction = 70\nwal_log_hints = on");
    pg_server_start(server);
    standby = pg_server_copy(&pg, "b", server);
    pg_server_start(standby);
    return 0;
}
static int remove_server(void **state) {
    (void)state;
    pg_fixture_close(&pg);
    return 0;
}

/* The value behind "label:" in pg_controldata's output. */
static const char *controldata(const struct pg_server *s, const char *label) {
    static char value[128];
    STRBUF out = {0};
    assert_int_equal(PG_OUTPUT(&out, "pg_controldata", s->data), 0);
    const char *line = strstr(out.at, label);
    if (!line) fail_msg("pg_controldata has no \"%s\"", label);
    line += strlen(label) + 1;
    line += strspn(line, " ");
    snprintf(value, sizeof value, "%.*s", (int)strcspn(line, "\n"), line);
    return value;
}

static void expect_number(const struct pg_server *s, const char *label, int64_t is) {
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, is);
    assert_string_equal(text, controldata(s, label));
}

static void expect_lsn(const struct pg_server *s, const char *label, lsn_t is) {
    char text[LSN_TEXT_MAX];
    lsn_format(is, text);
    assert_string_equal(text, controldata(s, label));
}

static struct pg_control read_control(const struct pg_server *s) {
    struct pg_control control;
    struct err err = {0};
    if (!pg_control_read(s->data, &control, &err)) fail_msg("%s", err.text);
    return control;
}

static void expect_as_controldata(const struct pg_server *s) {
    struct pg_control c = read_control(s);
    expect_number(s, "Database system identifier", (int64_t)c.system_identifier);
    expect_number(s, "pg_control version number", c.version);
    expect_number(s, "Catalog version number", c.catalog_version);
    expect_lsn(s, "Latest checkpoint location", c.checkpoint);
    expect_lsn(s, "Latest checkpoint's REDO location", c.redo);
    expect_number(s, "Latest checkpoint's TimeLineID", c.timeline);
    expect_lsn(s, "Minimum recovery ending location", c.min_recovery_point);
    expect_number(s, "Min recovery ending loc's timeline", c.min_recovery_timeline);
    expect_number(s, "Bytes per WAL segment", c.wal_segment_size);
    expect_number(s, "max_connections setting", c.max_connections);
    expect_number(s, "max_worker_processes setting", c.max_worker_processes);
    expect_number(s, "max_wal_senders setting", c.max_wal_senders);
    expect_number(s, "max_prepared_xacts setting", c.max_prepared_transactions);
    expect_number(s, "max_locks_per_xact setting", c.max_locks_per_transaction);
    expect_number(s, "Data page checksum version", c.data_checksums);
    assert_string_equal(c.wal_log_hints ? "on" : "off", controldata(s, "wal_log_hints setting"));
    assert_string_equal(pg_control_state_name(c.state), controldata(s, "Database cluster state"));
}

static void all_fields_agree_with_pg_controldata(void **state) {
    (void)state;
    expect_as_controldata(server);
    expect_as_controldata(standby);
    assert_int_equal(read_control(server).max_connections, 33);
    assert_int_equal(read_control(server).max_locks_per_transaction, 70);
    assert_true(read_control(server).wal_log_hints);
}

static void the_state_follows_the_life_of_a_server(void **state) {
    (void)state;
    assert_int_equal(read_control(server).state, PG_IN_PRODUCTION);
    assert_int_equal(read_control(standby).state, PG_IN_ARCHIVE_RECOVERY);
    pg_server_stop(standby);
    assert_int_equal(read_control(standby).state, PG_SHUT_DOWN_IN_RECOVERY);
    pg_server_crash(server);
    assert_int_equal(read_control(server).state, PG_IN_PRODUCTION);
    pg_server_start(server);
    pg_server_stop(server);
    assert_int_equal(read_control(server).state, PG_SHUT_DOWN);
    expect_as_controldata(server);
    assert_string_equal(pg_control_state_name(99), "unrecognized");
}

/* A directory with nothing but a pg_control of our own making. */
static void write_control(const char *dir, const void *data, size_t len) {
    char path[192];
    struct err err = {0};
    snprintf(path, sizeof path, "%s/global", dir);
    assert_true(file_mkdirs(path, 0700, &err));
    snprintf(path, sizeof path, "%s/global/pg_control", dir);
    if (!file_write(path, data, len, 0600, &err)) fail_msg("%s", err.text);
}

static void expect_refused(const char *dir, enum err_code code, const char *words) {
    struct pg_control control;
    struct err err = {0};
    assert_false(pg_control_read(dir, &control, &err));
    assert_string_equal(err_code_name(err.code), err_code_name(code));
    if (!strstr(err.text, words)) fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void what_cannot_be_trusted_is_refused(void **state) {
    (void)state;
    char path[192], dir[160];
    STRBUF file = {0};
    struct err err = {0};
    snprintf(path, sizeof path, "%s/global/pg_control", server->data);
    snprintf(dir, sizeof dir, "%s/made", pg.base);
    assert_true(file_read(path, 1 << 20, &file, &err));
    expect_refused(dir, ERR_NOT_FOUND, "pg_control");

    write_control(dir, file.at, 200);
    expect_refused(dir, ERR_INVALID, "200 bytes");
    file.at[60] ^= 1;
    write_control(dir, file.at, file.len);
    expect_refused(dir, ERR_INVALID, "checksum");
    file.at[60] ^= 1;
    file.at[8] ^= 1; /* PG_CONTROL_VERSION */
    write_control(dir, file.at, file.len);
    expect_refused(dir, ERR_UNSUPPORTED, "1301");
}

static void the_major_version_is_read(void **state) {
    (void)state;
    char dir[160], path[192];
    int major = 0;
    struct err err = {0};
    assert_true(pg_version_read(server->data, &major, &err));
    assert_int_equal(major, 15);
    snprintf(dir, sizeof dir, "%s/made", pg.base);
    assert_false(pg_version_read(dir, &major, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    snprintf(path, sizeof path, "%s/PG_VERSION", dir);
    assert_true(file_mkdirs(dir, 0700, &err) && file_write(path, "9.6\n", 4, 0600, &err));
    assert_false(pg_version_read(dir, &major, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

static void the_checksum_is_crc32c(void **state) {
    (void)state;
    static const char digits[] = "123456789", longer[] = "a longer text, so that whole steps and a rest are summed";
    assert_int_equal(pg_crc32c(0, digits, 9), 0xE3069283); /* the published check value */
    for (size_t cut = 0; cut < sizeof longer; cut++)
        assert_int_equal(pg_crc32c(pg_crc32c(0, longer, cut), longer + cut, sizeof longer - cut), pg_crc32c(0, longer, sizeof longer));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_crc32c),
        cmocka_unit_test(all_fields_agree_with_pg_controldata),
        cmocka_unit_test(the_state_follows_the_life_of_a_server),
        cmocka_unit_test(what_cannot_be_trusted_is_refused),
        cmocka_unit_test(the_major_version_is_read),
    };
    return cmocka_run_group_tests(tests, make_server, remove_server);
}
