/* The rendered files: their exact text, what is refused, what counts as a change; then a primary and a standby that really
 * run on them, joined by certificates. */
#include "pg_fixture.h"
#include "site-agent/pg/pg_config.h"
#include "wire/parameter.h"
#include "site-agent/pg/pg_session.h"
#include <arpa/inet.h>
#include <strings.h>
#include <sys/socket.h>

static struct pg_fixture pg;
static uid_t owner_uid;
static gid_t owner_gid;
static char owner_name[64], my_name[64];

static int open_fixture(void **state) {
    (void)state;
    pg_fixture_open(&pg);
    const struct passwd *me = getpwuid(geteuid());
    str_copy(my_name, sizeof my_name, me->pw_name);
    const struct passwd *owner = geteuid() == 0 ? getpwnam("postgres") : me;
    str_copy(owner_name, sizeof owner_name, owner->pw_name);
    owner_uid = owner->pw_uid;
    owner_gid = owner->pw_gid;
    return 0;
}

static int close_fixture(void **state) {
    (void)state;
    pg_fixture_close(&pg);
    return 0;
}

static void set(struct pg_config_input *in, const char *name, const char *value) {
    struct field_pair *p = &in->parameters[in->parameter_count++];
    str_copy(p->name, sizeof p->name, name);
    str_copy(p->value, sizeof p->value, value);
}

static void hba(struct pg_config_input *in, const char *line) { str_copy(in->pg_hba[in->pg_hba_count++], sizeof in->pg_hba[0], line); }

static const struct pg_config_input plain = {
    .cluster = "orders", .member = "ams-1", .major = 15, .data_dir = "/data", .config_dir = "/etc/pg", .socket_dir = "/run/pg",
    .host = "10.0.1.11", .port = 5432, .certificate = "/tls/repl.crt", .key = "/tls/repl.key", .ca = "/tls/ca.crt",
    .os_user = "postgres", .agent_user = "root"};

/* ---- text ---- */

static void the_text_of_a_standby(void **state) {
    (void)state;
    static struct pg_config_input in;
    in = plain;
    str_copy(in.primary_conninfo, sizeof in.primary_conninfo, "host='10.0.1.12' user='pgregent_repl'");
    str_copy(in.primary_slot_name, sizeof in.primary_slot_name, "pgregent_member_ams_1");
    str_copy(in.restore_command, sizeof in.restore_command, "cp /archive/%f %p");
    in.recovery_min_apply_delay_ms = 60000;
    in.slot_wal_max_bytes = INT64_C(20) << 30;
    in.least_max_connections = 300;
    set(&in, "max_connections", "200");
    set(&in, "shared_buffers", "256MB");
    set(&in, "wal_level", "logical");
    set(&in, "max_standby_streaming_delay", "5min");
    set(&in, "search_path", "\"$user\", 'it''s'");
    STRBUF text = {0};
    pg_config_postgresql(&in, &text);
    assert_string_equal(text.at, "# Written by pgregent from the topology. Changes made here are lost; change the topology.\n"
                                 "data_directory = '/data'\n"
                                 "hba_file = '/etc/pg/pg_hba.conf'\n"
                                 "ident_file = '/etc/pg/pg_ident.conf'\n"
                                 "cluster_name = 'orders/ams-1'\n"
                                 "listen_addresses = '10.0.1.11'\n"
                                 "port = '5432'\n"
                                 "unix_socket_directories = '/run/pg'\n"
                                 "ssl_cert_file = '/tls/repl.crt'\n"
                                 "ssl_key_file = '/tls/repl.key'\n"
                                 "ssl_ca_file = '/tls/ca.crt'\n"
                                 "unix_socket_permissions = '0777'\n"
                                 "ssl = 'on'\n"
                                 "hot_standby = 'on'\n"
                                 "wal_log_hints = 'on'\n"
                                 "restart_after_crash = 'off'\n"
                                 "wal_retrieve_retry_interval = '500ms'\n"
                                 "wal_receiver_status_interval = '1s'\n"
                                 "wal_receiver_timeout = '10s'\n"
                                 "wal_sender_timeout = '10s'\n"
                                 "tcp_keepalives_idle = '5s'\n"
                                 "tcp_keepalives_interval = '2s'\n"
                                 "tcp_keepalives_count = '3'\n"
                                 "tcp_user_timeout = '10s'\n"
                                 "logging_collector = 'off'\n"
                                 "log_destination = 'stderr'\n"
                                 "lc_messages = 'C'\n"
                                 "primary_conninfo = 'host=''10.0.1.12'' user=''pgregent_repl'''\n"
                                 "primary_slot_name = 'pgregent_member_ams_1'\n"
                                 "restore_command = 'cp /archive/%f %p'\n"
                                 "recovery_target_timeline = 'latest'\n"
                                 "recovery_min_apply_delay = '60000ms'\n"
                                 "max_slot_wal_keep_size = '20480MB'\n"
                                 "max_connections = '300'\n"
                                 "max_worker_processes = '8'\n"
                                 "max_prepared_transactions = '0'\n"
                                 "max_locks_per_transaction = '64'\n"
                                 "max_wal_senders = '10'\n"
                                 "max_replication_slots = '10'\n"
                                 "wal_level = 'logical'\n"
                                 "wal_keep_size = '64MB'\n"
                                 "hot_standby_feedback = 'off'\n"
                                 "log_line_prefix = '%m [%p] %q%u@%d '\n"
                                 "max_standby_streaming_delay = '5min'\n"
                                 "shared_buffers = '256MB'\n"
                                 "search_path = '\"$user\", ''it''''s'''\n");
}

static void the_ways_in(void **state) {
    (void)state;
    static struct pg_config_input in;
    in = plain;
    hba(&in, "hostssl all all 10.0.0.0/8 scram-sha-256");
    hba(&in, "host all all 0.0.0.0/0\treject");
    STRBUF text = {0}, map = {0}, same = {0};
    pg_config_hba(&in, &text);
    assert_string_equal(strchr(text.at, '\n') + 1, "# type  database     user           address  method\n"
                                                   "local   all          postgres                peer map=pgregent\n"
                                                   "local   all          pgregent                peer map=pgregent\n"
                                                   "local   all          all                     peer\n"
                                                   "hostssl replication  pgregent_repl  all      cert\n"
                                                   "# from the topology\n"
                                                   "hostssl all all 10.0.0.0/8 scram-sha-256\n"
                                                   "host all all 0.0.0.0/0 reject\n");
    pg_config_ident(&in, &map);
    assert_string_equal(strchr(map.at, '\n') + 1, "# map  system user  database user\n"
                                                  "pgregent  \"postgres\"  postgres\n"
                                                  "pgregent  \"postgres\"  pgregent\n"
                                                  "pgregent  \"root\"  postgres\n"
                                                  "pgregent  \"root\"  pgregent\n");
    str_copy(in.agent_user, sizeof in.agent_user, "postgres");
    pg_config_ident(&in, &same);
    assert_null(strstr(same.at, "root"));
}

static const char *line_of(const struct strbuf *text, const char *name, char to[256]) {
    size_t n = strlen(name);
    for (const char *at = text->at; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, name, n) == 0 && strncmp(at + n, " = ", 3) == 0) {
            snprintf(to, 256, "%.*s", (int)strcspn(at + n + 3, "\n"), at + n + 3);
            return to;
        }
    return "absent";
}

#define ASSERT_LINE(text, name, wanted) assert_string_equal(line_of((text), (name), (char[256]){0}), (wanted))

static void the_larger_number_wins(void **state) {
    (void)state;
    static struct pg_config_input in;
    in = plain;
    in.least_max_worker_processes = 12;
    in.least_max_wal_senders = 7;
    in.least_max_prepared_transactions = 5;
    in.least_max_locks_per_transaction = 128;
    set(&in, "Max_Connections", "400");
    set(&in, "max_locks_per_transaction", "64");
    set(&in, "max_wal_senders", "3");
    set(&in, "max_replication_slots", "40");
    STRBUF text = {0};
    pg_config_postgresql(&in, &text);
    ASSERT_LINE(&text, "max_connections", "'400'");
    ASSERT_LINE(&text, "max_worker_processes", "'12'");
    ASSERT_LINE(&text, "max_wal_senders", "'10'");
    ASSERT_LINE(&text, "max_prepared_transactions", "'5'");
    ASSERT_LINE(&text, "max_locks_per_transaction", "'128'");
    ASSERT_LINE(&text, "max_replication_slots", "'40'");
    ASSERT_LINE(&text, "max_slot_wal_keep_size", "'-1'");
    ASSERT_LINE(&text, "Max_Connections", "absent"); /* once, under its own name */
}

static void a_standby_about_to_be_promoted_waits_for_nothing(void **state) {
    (void)state;
    static struct pg_config_input in;
    in = plain;
    in.ready_for_promotion = true;
    str_copy(in.restore_command, sizeof in.restore_command, "fetch %f %p");
    set(&in, "max_standby_archive_delay", "-1");
    STRBUF text = {0};
    pg_config_postgresql(&in, &text);
    ASSERT_LINE(&text, "max_standby_streaming_delay", "'0'");
    ASSERT_LINE(&text, "max_standby_archive_delay", "'0'");
    ASSERT_LINE(&text, "restore_command", "''");
}

/* ---- refusals ---- */

struct refusal {
    const char *name, *value, *words;
};

static void a_parameter_that_is_ours_or_malformed_is_refused_with_the_reason(void **state) {
    (void)state;
    static const struct refusal refusals[] = {
        {"primary_conninfo", "host=evil", "comes from the topology"},
        {"PRIMARY_CONNINFO", "host=evil", "comes from the topology"},
        {"restart_after_crash", "on", "lease"},
        {"recovery_target_action", "promote", "recovery"},
        {"include", "/tmp/more.conf", "directive"},
        {"block_size", "8192", "initdb"},
        {"work_mem = 1\nport", "1", "not the name"},
        {"", "1", "not the name"},
        {"my.", "1", "not the name"},
        {"1a", "1", "not the name"},
        {"work_mem", "4MB\nport = 1", "control characters"},
        {"wal_level", "minimal", "replica or logical"},
        {"max_connections", "many", "whole number"},
        {"max_connections", "-1", "whole number"},
        {"max_connections", "99999999999", "whole number"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        static struct pg_config_input in;
        struct err err = {0};
        in = plain;
        set(&in, refusals[i].name, refusals[i].value);
        assert_false(pg_config_check(&in, &err));
        assert_int_equal(err.code, ERR_INVALID);
        if (!strstr(err.text, refusals[i].words))
            fail_msg("%s: \"%s\" does not say \"%s\"", refusals[i].name, err.text, refusals[i].words);
    }
}

static void a_parameter_set_twice_is_refused(void **state) {
    (void)state;
    static struct pg_config_input in;
    struct err err = {0};
    in = plain;
    set(&in, "work_mem", "4MB");
    assert_true(pg_config_check(&in, &err));
    set(&in, "Work_Mem", "8MB");
    assert_false(pg_config_check(&in, &err));
    assert_non_null(strstr(err.text, "twice"));
}

static void what_else_is_refused(void **state) {
    (void)state;
    static struct pg_config_input in;
    struct err err = {0};
    in = plain;
    assert_true(pg_config_check(&in, &err));
    memset(in.socket_dir, 'd', 99);
    in.socket_dir[0] = '/';
    assert_false(pg_config_check(&in, &err)); /* 99 + /.s.PGSQL.5432 = 113 */
    assert_non_null(strstr(err.text, "113 bytes, the kernel takes 107: choose a shorter directory"));
    in.socket_dir[93] = '\0';
    assert_true(pg_config_check(&in, &err));
    in = plain;
    str_copy(in.socket_dir, sizeof in.socket_dir, "/a,/b");
    assert_false(pg_config_check(&in, &err));
    in = plain;
    str_copy(in.key, sizeof in.key, "relative.key");
    assert_false(pg_config_check(&in, &err));
    assert_non_null(strstr(err.text, "key: wants an absolute path"));
    in = plain;
    str_copy(in.agent_user, sizeof in.agent_user, "/^.*$");
    assert_false(pg_config_check(&in, &err));
    in = plain;
    hba(&in, "local all all peer\nlocal all all trust");
    assert_false(pg_config_check(&in, &err));
    in = plain;
    hba(&in, "local all all peer \\");
    assert_false(pg_config_check(&in, &err));
    in = plain;
    str_copy(in.restore_command, sizeof in.restore_command, "a\nb");
    assert_false(pg_config_check(&in, &err));
}

/* Even unchecked, rendering gives one parameter a line and lets nothing reserved through. */
static void rendering_alone_lets_nothing_in(void **state) {
    (void)state;
    static struct pg_config_input in;
    in = plain;
    set(&in, "restart_after_crash", "on");
    set(&in, "work_mem", "4MB'\nrestart_after_crash = on\n");
    hba(&in, "local x x peer\nlocal all all trust");
    STRBUF text = {0}, rules = {0};
    pg_config_postgresql(&in, &text);
    pg_config_hba(&in, &rules);
    assert_null(strstr(text.at, "\nrestart_after_crash = on"));
    assert_null(strstr(text.at, "restart_after_crash = 'on'"));
    ASSERT_LINE(&text, "work_mem", "'4MB''\\012restart_after_crash = on\\012'");
    assert_null(strstr(rules.at, "\nlocal all all trust"));
}

/* ---- files ---- */

static void scratch_input(struct pg_config_input *in, const char *name) {
    *in = plain;
    snprintf(in->config_dir, sizeof in->config_dir, "%s/%s", pg.base, name);
    snprintf(in->data_dir, sizeof in->data_dir, "%s/%s", pg.base, name);
}

static void writes(const struct pg_config_input *in, bool changed, bool restart) {
    bool got_changed = !changed, got_restart = !restart;
    struct err err = {0};
    if (!pg_config_write(in, owner_uid, owner_gid, &got_changed, &got_restart, &err))
        fail_msg("%s", err.text);
    assert_int_equal(got_changed, changed);
    assert_int_equal(got_restart, restart);
}

static void a_change_is_seen_and_known_for_what_it_costs(void **state) {
    (void)state;
    static struct pg_config_input in;
    scratch_input(&in, "etc");
    writes(&in, true, false); /* nothing was there */
    writes(&in, false, false);
    set(&in, "work_mem", "8MB");
    writes(&in, true, false);
    set(&in, "shared_buffers", "64MB");
    writes(&in, true, true);
    writes(&in, false, false);
    in.parameter_count--; /* the default comes back: that is a change too */
    writes(&in, true, true);
    in.least_max_connections = 500;
    writes(&in, true, true);
    str_copy(in.primary_conninfo, sizeof in.primary_conninfo, "host='new'");
    writes(&in, true, false);
    hba(&in, "hostssl all all all scram-sha-256");
    writes(&in, true, false);
    static const char *const files[] = {"postgresql.conf", "pg_hba.conf", "pg_ident.conf"};
    for (size_t i = 0; i < 3; i++) {
        char path[640];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", in.config_dir, files[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(st.st_uid, owner_uid);
    }
}

static void what_is_refused_is_not_written(void **state) {
    (void)state;
    static struct pg_config_input in;
    struct err err = {0};
    bool changed, restart;
    scratch_input(&in, "refused");
    set(&in, "port", "1");
    assert_false(pg_config_write(&in, owner_uid, owner_gid, &changed, &restart, &err));
    assert_false(changed);
    assert_false(file_exists(in.config_dir));
}

static void strip(const char *dir, const char *before, const char *after) {
    char path[200];
    struct err err = {0};
    STRBUF text = {0};
    snprintf(path, sizeof path, "%s/postgresql.auto.conf", dir);
    assert_true(file_write_as(path, before, strlen(before), 0600, owner_uid, owner_gid, &err));
    if (!pg_config_strip_auto(dir, &err))
        fail_msg("%s", err.text);
    assert_true(file_read(path, 10000, &text, &err));
    assert_string_equal(text.at ? text.at : "", after);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, owner_uid);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void alter_system_does_not_outlive_the_topology(void **state) {
    (void)state;
    char dir[160];
    struct err err = {0};
    snprintf(dir, sizeof dir, "%s/auto", pg.base);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_true(pg_config_strip_auto(dir, &err)); /* no file: nothing to do */
    strip(dir,
          "# Do not edit this file manually!\n"
          "work_mem = '64MB'\n"
          "primary_conninfo = 'host=elsewhere password=''x'''\n"
          "Primary_Slot_Name='s'\n"
          "recovery_target_lsn = '0/1'\n"
          "restore_command = 'cp'\n"
          "  synchronous_standby_names = '*'\n"
          "promote_trigger_file = '/tmp/x'\n"
          "max_connections = '50'\n"
          "restart_after_crash 'on'\n"
          "pg_stat_statements.max = '100'\n"
          "log_line_prefix = 'port = 1'", /* no newline at the end */
          "# Do not edit this file manually!\n"
          "work_mem = '64MB'\n"
          "pg_stat_statements.max = '100'\n"
          "log_line_prefix = 'port = 1'\n");
    strip(dir, "primary_conninfo = 'x'\n", "");
    strip(dir, "# nothing of ours", "# nothing of ours"); /* untouched */
}

static void the_command_line(void **state) {
    (void)state;
    static struct pg_argv argv;
    struct err err = {0};
    assert_true(pg_config_argv("/usr/lib/postgresql/15/bin", &plain, &argv, &err));
    static const char *const wanted[] = {"/usr/lib/postgresql/15/bin/postgres", "-D", "/data", "-c", "config_file=/etc/pg/postgresql.conf",
                                         "-c", "hba_file=/etc/pg/pg_hba.conf", "-c", "ident_file=/etc/pg/pg_ident.conf", "-c", "restart_after_crash=off"};
    size_t n = sizeof wanted / sizeof *wanted;
    for (size_t i = 0; i < n; i++)
        assert_string_equal(argv.argv[i], wanted[i]);
    assert_null(argv.argv[n]);
    static char long_dir[5000];
    memset(long_dir, 'x', sizeof long_dir - 1);
    assert_false(pg_config_argv(long_dir, &plain, &argv, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

/* ---- real servers ---- */

struct running {
    struct pg_config_input in;
    struct proc *proc;
    char log[200], conninfo[300];
};

static int free_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static const char *in_base(const char *name) {
    static char text[4][200];
    static int turn;
    char *to = text[turn++ % 4];
    snprintf(to, sizeof text[0], "%s/%s", pg.base, name);
    return to;
}

/* One certificate that is its own authority, good for server and client. */
static void make_certificate(void) {
    static const char *const openssl[] = {"/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=pgregent_repl", "-addext", "subjectAltName=IP:127.0.0.1"};
    const char *argv[sizeof openssl / sizeof *openssl + 5];
    size_t n = 0;
    for (; n < sizeof openssl / sizeof *openssl; n++)
        argv[n] = openssl[n];
    argv[n++] = "-keyout";
    argv[n++] = in_base("tls.key");
    argv[n++] = "-out";
    argv[n++] = in_base("tls.crt");
    argv[n] = NULL;
    pg_fixture_run(argv);
}

static void running_input(struct running *r, const char *name, const char *data_dir, const char *socket_dir) {
    struct pg_config_input *in = &r->in;
    *in = plain;
    str_copy(in->member, sizeof in->member, name);
    str_copy(in->data_dir, sizeof in->data_dir, data_dir);
    snprintf(in->config_dir, sizeof in->config_dir, "%s/%s.etc", pg.base, name);
    str_copy(in->socket_dir, sizeof in->socket_dir, socket_dir);
    str_copy(in->host, sizeof in->host, "127.0.0.1");
    in->port = free_port();
    str_copy(in->certificate, sizeof in->certificate, in_base("tls.crt"));
    str_copy(in->ca, sizeof in->ca, in_base("tls.crt"));
    str_copy(in->key, sizeof in->key, in_base("tls.key"));
    str_copy(in->os_user, sizeof in->os_user, owner_name);
    str_copy(in->agent_user, sizeof in->agent_user, my_name);
    snprintf(r->log, sizeof r->log, "%s/%s.run.log", pg.base, name);
    snprintf(r->conninfo, sizeof r->conninfo, "host=%s port=%" PRId64 " dbname=postgres user=postgres", in->socket_dir, in->port);
}

static void ask(const struct running *r, const char *sql, char to[256]) {
    STRBUF answer = {0};
    struct err err = {0};
    if (!pg_query_once(r->conninfo, sql, clock_boot_ms() + 10000, &answer, &err))
        fail_msg("%s: %s", sql, err.text);
    str_copy(to, 256, answer.at ? answer.at : "");
}

#define ASSERT_ANSWER(r, sql, wanted)                                                                                  \
    do {                                                                                                               \
        char answer_[256];                                                                                             \
        ask((r), (sql), answer_);                                                                                      \
        assert_string_equal(answer_, (wanted));                                                                        \
    } while (0)

static void await_answer(const struct running *r, const char *sql, const char *wanted) {
    int64_t deadline = pg_fixture_deadline();
    char answer[256];
    for (ask(r, sql, answer); strcmp(answer, wanted) != 0 && clock_boot_ms() < deadline; ask(r, sql, answer))
        pg_fixture_pause();
    assert_string_equal(answer, wanted);
}

static void await_server(struct running *r) {
    int64_t deadline = pg_fixture_deadline();
    struct err err = {0};
    STRBUF ignored = {0};
    while (!pg_query_once(r->conninfo, "select 1", clock_boot_ms() + 2000, &ignored, &err)) {
        if (proc_step(r->proc, clock_boot_ms()) != PROC_RUNNING || clock_boot_ms() > deadline) {
            STRBUF log = {0};
            struct err why = {0};
            file_read(r->log, 1 << 20, &log, &why);
            fail_msg("%s; its log:\n%s", err.text, log.at ? log.at : why.text);
        }
        pg_fixture_pause();
    }
}

static void start(struct running *r) {
    static struct pg_argv argv;
    const char *full[PG_FIXTURE_ARGS_MAX];
    struct err err = {0};
    bool changed, restart;
    if (!pg_config_write(&r->in, owner_uid, owner_gid, &changed, &restart, &err) || !pg_config_strip_auto(r->in.data_dir, &err) ||
        !pg_config_argv("/usr/lib/postgresql/15/bin", &r->in, &argv, &err))
        fail_msg("%s", err.text);
    pg_fixture_as_postgres(argv.argv, full);
    struct proc_options options = {.argv = full, .output_path = r->log};
    if (!proc_spawn(&options, &r->proc, &err))
        fail_msg("%s", err.text);
    await_server(r);
}

static void stop(struct running *r) {
    if (!r->proc)
        return;
    proc_signal(r->proc, SIGQUIT);
    int64_t deadline = pg_fixture_deadline();
    while (proc_step(r->proc, clock_boot_ms()) == PROC_RUNNING && clock_boot_ms() < deadline)
        pg_fixture_pause();
    proc_free(r->proc);
    r->proc = NULL;
}

static struct running primary, standby;

static int start_primary(void **state) {
    if (open_fixture(state) != 0)
        return -1;
    make_certificate();
    struct pg_server *s = pg_server_init(&pg, "primary", 1);
    pg_server_append(s, "postgresql.auto.conf", "restart_after_crash = 'on'\nwork_mem = '5MB'");
    running_input(&primary, "ams-1", s->data, s->socket_dir);
    set(&primary.in, "fsync", "off");
    set(&primary.in, "max_connections", "40");
    set(&primary.in, "shared_buffers", "16MB");
    set(&primary.in, "pgregent_test.hostile", "it's \"a\\b\" # '' \\n");
    set(&primary.in, "log_line_prefix", "%m '%p' \\ ");
    hba(&primary.in, "hostssl all all 10.0.0.0/8 scram-sha-256");
    start(&primary);
    return 0;
}

static int stop_all(void **state) {
    stop(&standby);
    stop(&primary);
    return close_fixture(state);
}

static void a_server_runs_on_the_files_without_complaint(void **state) {
    (void)state;
    ASSERT_ANSWER(&primary, "select count(*) from pg_file_settings where error is not null or not applied", "0");
    ASSERT_ANSWER(&primary, "select count(*) from pg_hba_file_rules where error is not null", "0");
    ASSERT_ANSWER(&primary, "select count(*) from pg_hba_file_rules", "5");
    ASSERT_ANSWER(&primary, "select count(*) from pg_ident_file_mappings where error is not null", "0");
    ASSERT_ANSWER(&primary, "select bool_or(pending_restart) from pg_settings", "f");
    ASSERT_ANSWER(&primary, "select current_setting('restart_after_crash')", "off");
    ASSERT_ANSWER(&primary, "select current_setting('work_mem')", "5MB"); /* a DBA's ALTER SYSTEM stands where it does no harm */
    ASSERT_ANSWER(&primary, "select current_setting('cluster_name')", "orders/ams-1");
    ASSERT_ANSWER(&primary, "select current_setting('wal_sender_timeout')", "10s");
    ASSERT_ANSWER(&primary, "select current_setting('pgregent_test.hostile')", "it's \"a\\b\" # '' \\n");
    ASSERT_ANSWER(&primary, "select current_setting('log_line_prefix')", "%m '%p' \\ ");
    char source[256];
    ask(&primary, "select sourcefile from pg_settings where name = 'primary_conninfo'", source);
    assert_true(str_starts(source, primary.in.config_dir));
}

/* What changes without a restart is taken over by a reload. */
static void a_reload_takes_a_change_over(void **state) {
    (void)state;
    struct err err = {0};
    bool changed, restart;
    str_copy(primary.in.restore_command, sizeof primary.in.restore_command, "false '%f' \"%p\"");
    assert_true(pg_config_write(&primary.in, owner_uid, owner_gid, &changed, &restart, &err));
    assert_true(changed);
    assert_false(restart);
    ASSERT_ANSWER(&primary, "select pg_reload_conf()", "t");
    await_answer(&primary, "select current_setting('restore_command')", "false '%f' \"%p\"");
}

static void the_tables_agree_with_the_server(void **state) {
    (void)state;
    PGconn *conn = PQconnectdb(primary.conninfo);
    PGresult *r = PQexec(conn, "select name, context from pg_settings");
    assert_int_equal(PQresultStatus(r), PGRES_TUPLES_OK);
    assert_true(PQntuples(r) > 300);
    for (int i = 0; i < PQntuples(r); i++) {
        const char *name = PQgetvalue(r, i, 0), *context = PQgetvalue(r, i, 1);
        if (parameter_needs_restart(name) != (strcmp(context, "postmaster") == 0))
            fail_msg("%s: context is %s", name, context);
        if (strcmp(context, "internal") == 0 && !parameter_reserved(name))
            fail_msg("%s is internal and not reserved", name);
        assert_false(parameter_reserved(name) && !parameter_is_managed(name));
    }
    PQclear(r);
    PQfinish(conn);
}

static bool line_is_known(const char *name) {
    static const char *const choices[] = {"wal_keep_size", "hot_standby_feedback", "log_line_prefix"};
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        if (strcmp(name, choices[i]) == 0)
            return true;
    return parameter_is_managed(name);
}

/* A setting of ours that the user could set too would be decided by the order of lines. */
static void all_that_we_write_is_managed_or_a_known_choice(void **state) {
    (void)state;
    STRBUF text = {0};
    char name[64];
    pg_config_postgresql(&plain, &text);
    for (const char *at = strchr(text.at, '\n') + 1; *at; at = strchr(at, '\n') + 1) {
        assert_int_equal(sscanf(at, "%63s = ", name), 1);
        if (!line_is_known(name))
            fail_msg("%s", name);
    }
}

/* ---- who gets in ---- */

static bool gets_in(const char *conninfo) {
    PGconn *conn = PQconnectdb(conninfo);
    bool in = PQstatus(conn) == CONNECTION_OK;
    PQfinish(conn);
    return in;
}

/* Over TLS with the certificate of the agents; `mode` and `more` to spoil it. */
static void replication_conninfo(struct strbuf *to, const char *member, bool with_certificate) {
    char port[16];
    snprintf(port, sizeof port, "%" PRId64, primary.in.port);
    pg_conninfo_add(to, "host", "127.0.0.1");
    pg_conninfo_add(to, "port", port);
    pg_conninfo_add(to, "user", "pgregent_repl");
    pg_conninfo_add(to, "sslmode", "verify-full");
    pg_conninfo_add(to, "sslrootcert", primary.in.ca);
    pg_conninfo_add(to, "sslcert", with_certificate ? primary.in.certificate : "/nowhere.crt");
    pg_conninfo_add(to, "sslkey", with_certificate ? primary.in.key : "/nowhere.key");
    pg_conninfo_add(to, "application_name", member);
    pg_conninfo_add(to, "gssencmode", "disable");
    pg_conninfo_add(to, "connect_timeout", "5");
}

static void only_the_right_ones_get_in(void **state) {
    (void)state;
    char sql[256], text[512];
    ask(&primary, "create role pgregent_repl replication login", sql);
    ask(&primary, "create role pgregent login", sql);
    ask(&primary, "create role somebody login", sql);
    snprintf(text, sizeof text, "%s user=pgregent", primary.conninfo);
    assert_true(gets_in(text)); /* by the map */
    snprintf(text, sizeof text, "%s user=somebody", primary.conninfo);
    assert_false(gets_in(text)); /* peer: we are not somebody */
    snprintf(text, sizeof text, "host=127.0.0.1 port=%" PRId64 " user=postgres dbname=postgres", primary.in.port);
    assert_false(gets_in(text)); /* over the network not even we */
    STRBUF good = {0}, without = {0};
    replication_conninfo(&good, "probe", true);
    replication_conninfo(&without, "probe", false);
    assert_false(gets_in(good.at)); /* to a database: no */
    pg_conninfo_add(&good, "replication", "true");
    pg_conninfo_add(&without, "replication", "true");
    assert_true(gets_in(good.at));
    assert_false(gets_in(without.at));
    pg_conninfo_add(&good, "user", "somebody"); /* the certificate names pgregent_repl */
    assert_false(gets_in(good.at));
}

static void a_standby_follows_by_certificate(void **state) {
    (void)state;
    char ignored[256], socket_dir[200];
    STRBUF conninfo = {0};
    struct err err = {0};
    ask(&primary, "select pg_create_physical_replication_slot('pgregent_member_ams_2', true)", ignored);
    replication_conninfo(&conninfo, "ams-2", true);
    PG_RUN("pg_basebackup", "-D", in_base("ams-2"), "-d", conninfo.at, "-X", "stream", "-c", "fast", "--no-sync", "-R");
    str_copy(socket_dir, sizeof socket_dir, in_base("ams-2.sock"));
    assert_true(file_mkdirs_as(socket_dir, 0700, owner_uid, owner_gid, &err));
    running_input(&standby, "ams-2", in_base("ams-2"), socket_dir);
    standby.in.least_max_connections = 40; /* as pg_control of the copy says; PostgreSQL does not start below it */
    set(&standby.in, "max_connections", "30");
    set(&standby.in, "fsync", "off");
    str_copy(standby.in.primary_conninfo, sizeof standby.in.primary_conninfo, conninfo.at);
    str_copy(standby.in.primary_slot_name, sizeof standby.in.primary_slot_name, "pgregent_member_ams_2");
    start(&standby);
    await_answer(&primary,
                 "select coalesce(max(usename || ' ' || state || ' ' || active), '') from pg_stat_replication "
                 "join pg_replication_slots on active_pid = pid where application_name = 'ams-2'",
                 "pgregent_repl streaming true");
    char source[256];
    ask(&standby, "select sourcefile from pg_settings where name = 'primary_conninfo'", source);
    assert_true(str_starts(source, standby.in.config_dir)); /* not the one that -R left in postgresql.auto.conf */
}

int main(void) {
    const struct CMUnitTest texts[] = {
        cmocka_unit_test(the_text_of_a_standby),
        cmocka_unit_test(the_ways_in),
        cmocka_unit_test(the_larger_number_wins),
        cmocka_unit_test(a_standby_about_to_be_promoted_waits_for_nothing),
        cmocka_unit_test(a_parameter_that_is_ours_or_malformed_is_refused_with_the_reason),
        cmocka_unit_test(a_parameter_set_twice_is_refused),
        cmocka_unit_test(what_else_is_refused),
        cmocka_unit_test(rendering_alone_lets_nothing_in),
        cmocka_unit_test(all_that_we_write_is_managed_or_a_known_choice),
        cmocka_unit_test(a_change_is_seen_and_known_for_what_it_costs),
        cmocka_unit_test(what_is_refused_is_not_written),
        cmocka_unit_test(alter_system_does_not_outlive_the_topology),
        cmocka_unit_test(the_command_line),
    };
    const struct CMUnitTest servers[] = {
        cmocka_unit_test(a_server_runs_on_the_files_without_complaint),
        cmocka_unit_test(a_reload_takes_a_change_over),
        cmocka_unit_test(the_tables_agree_with_the_server),
        cmocka_unit_test(only_the_right_ones_get_in),
        cmocka_unit_test(a_standby_follows_by_certificate),
    };
    int failed = cmocka_run_group_tests(texts, open_fixture, close_fixture);
    return failed + cmocka_run_group_tests(servers, start_primary, stop_all);
}
