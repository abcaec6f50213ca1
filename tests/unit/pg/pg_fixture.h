/* Real PostgreSQL servers for unit tests: made in a temporary directory, reached by socket only, run as `postgres` when
 * the test is root, always stopped at the end (the kernel does it if the test dies). Failures end the test by assert.
 *
 *   static struct pg_fixture pg;                              in the group setup: pg_fixture_open(&pg)
 *   struct pg_server *a = pg_server_init(&pg, "a", 1);        initdb with 1 MB segments
 *   pg_server_start(a); pg_server_exec(a, "create table t (x int)");
 *   struct pg_server *b = pg_server_copy(&pg, "b", a);        base backup, follows a
 *   pg_server_start(b); ... pg_server_stop(a);                in the group teardown: pg_fixture_close(&pg) */
#ifndef PG_FIXTURE_H
#define PG_FIXTURE_H
#include "rt/clock.h"
#include "rt/file.h"
#include "rt/proc.h"
#include "wire/lsn.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define PG_FIXTURE_BIN "/usr/lib/postgresql/15/bin/"
#define PG_FIXTURE_PATIENCE_MS 60000
#define PG_FIXTURE_SERVERS_MAX 40
#define PG_FIXTURE_ARGS_MAX 24

struct pg_server {
    char name[32], data[160], wal[168], socket_dir[168], log[168];
    int port;
    pid_t pid;      /* postmaster; 0 when stopped */
    int alive_pipe; /* end of file when the last process of the server is gone */
};
struct pg_fixture {
    char base[128];
    struct pg_server *servers[PG_FIXTURE_SERVERS_MAX];
    int count;
};

static inline void pg_fixture_pause(void) { nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); }

static inline int64_t pg_fixture_deadline(void) { return clock_boot_ms() + PG_FIXTURE_PATIENCE_MS; }

/* argv as it must be run: PostgreSQL's programs refuse root. */
static inline void pg_fixture_as_postgres(const char *const *argv, const char *to[PG_FIXTURE_ARGS_MAX]) {
    static const char *const drop[] = {"/usr/bin/setpriv",  "--reuid=postgres", "--regid=postgres",
                                       "--init-groups", "--pdeathsig=QUIT", "--"};
    int n = 0;
    for (size_t i = 0; geteuid() == 0 && i < sizeof drop / sizeof drop[0]; i++) to[n++] = drop[i];
    for (; *argv && n < PG_FIXTURE_ARGS_MAX - 1; argv++) to[n++] = *argv;
    to[n] = NULL;
}

/* Runs one of PostgreSQL's programs; its output is appended to `out`. Returns the exit code. */
static inline int pg_fixture_try(struct strbuf *out, const char *const *argv) {
    const char *full[PG_FIXTURE_ARGS_MAX];
    struct err err = {0};
    int code = -1;
    pg_fixture_as_postgres(argv, full);
    struct proc_options options = {.argv = full, .deadline_boot_ms = pg_fixture_deadline()};
    if (!proc_run(&options, out, &code, &err)) fail_msg("%s: %s", argv[0], err.text);
    return code;
}

static inline void pg_fixture_run(const char *const *argv) {
    STRBUF out = {0};
    if (pg_fixture_try(&out, argv) != 0) fail_msg("%s failed: %s", argv[0], out.at ? out.at : "");
}
#define PG_RUN(program, ...) pg_fixture_run((const char *const[]){PG_FIXTURE_BIN program, __VA_ARGS__, NULL})
#define PG_OUTPUT(out, program, ...) pg_fixture_try((out), (const char *const[]){PG_FIXTURE_BIN program, __VA_ARGS__, NULL})

/* The test may be root, the server is not. */
static inline void pg_fixture_give(const char *path) {
    const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    if (user) assert_int_equal(chown(path, user->pw_uid, user->pw_gid), 0);
}

static inline void pg_fixture_open(struct pg_fixture *f) {
    memset(f, 0, sizeof *f);
    str_copy(f->base, sizeof f->base, "/tmp/pgregent-unit-XXXXXX");
    assert_non_null(mkdtemp(f->base));
    pg_fixture_give(f->base);
}

/* Appends one line to DATA/NAME, e.g. a setting to postgresql.conf. */
static inline void pg_server_append(const struct pg_server *s, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline void pg_server_append(const struct pg_server *s, const char *name, const char *format, ...) {
    char path[256];
    va_list args;
    snprintf(path, sizeof path, "%s/%s", s->data, name);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    va_start(args, format);
    vfprintf(file, format, args);
    va_end(args);
    fputc('\n', file);
    fclose(file);
    pg_fixture_give(path);
}

static inline struct pg_server *pg_server_new(struct pg_fixture *f, const char *name) {
    assert_true(f->count < PG_FIXTURE_SERVERS_MAX);
    struct pg_server *s = f->servers[f->count++] = rt_alloc(sizeof *s);
    *s = (struct pg_server){.port = 20000 + f->count, .alive_pipe = -1};
    str_copy(s->name, sizeof s->name, name);
    snprintf(s->data, sizeof s->data, "%s/%s", f->base, name);
    snprintf(s->wal, sizeof s->wal, "%s/pg_wal", s->data);
    snprintf(s->log, sizeof s->log, "%s.log", s->data);
    snprintf(s->socket_dir, sizeof s->socket_dir, "%s.sock", s->data);
    assert_int_equal(mkdir(s->socket_dir, 0755), 0);
    pg_fixture_give(s->socket_dir);
    return s;
}

/* To reach it as superuser; also good as primary_conninfo. */
static inline const char *pg_server_conninfo(const struct pg_server *s) {
    static char text[4][256];
    static int turn;
    char *to = text[turn++ % 4];
    snprintf(to, sizeof text[0], "host=%s port=%d user=postgres dbname=postgres", s->socket_dir, s->port);
    return to;
}

static inline void pg_server_settings(const struct pg_server *s) {
    pg_server_append(s, "postgresql.conf", "listen_addresses = ''\nport = %d\nunix_socket_directories = '%s'", s->port, s->socket_dir);
}

static inline struct pg_server *pg_server_init(struct pg_fixture *f, const char *name, int segment_mb) {
    struct pg_server *s = pg_server_new(f, name);
    char segment[32];
    snprintf(segment, sizeof segment, "--wal-segsize=%d", segment_mb);
    PG_RUN("initdb", "-D", s->data, "--no-sync", "--no-instructions", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", segment);
    pg_server_settings(s);
    pg_server_append(s, "postgresql.conf",
                     "fsync = off\nautovacuum = off\nshared_buffers = 16MB\nmin_wal_size = 32MB\nmax_wal_size = 1GB\n"
                     "wal_keep_size = 256MB\nwal_retrieve_retry_interval = 100ms\nlog_line_prefix = '%%m [%%p] '");
    return s;
}

static inline void pg_server_fail(const struct pg_server *s, const char *what) {
    STRBUF log = {0};
    struct err err = {0};
    file_read(s->log, 1 << 20, &log, &err);
    fail_msg("server %s %s; its log:\n%s", s->name, what, log.at ? log.at : err.text);
}

static inline void pg_server_child(const struct pg_server *s) {
    const char *full[PG_FIXTURE_ARGS_MAX];
    pg_fixture_as_postgres((const char *const[]){PG_FIXTURE_BIN "postgres", "-D", s->data, NULL}, full);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    int log = open(s->log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(log, 1);
    dup2(log, 2);
    if (chdir("/") == 0) execv(full[0], (char *const *)(uintptr_t)full);
    _exit(127);
}

/* Starts it and returns when it takes connections (as primary, or as standby that is consistent). */
static inline void pg_server_start(struct pg_server *s) {
    int alive[2];
    assert_int_equal(s->pid, 0);
    assert_int_equal(pipe2(alive, O_CLOEXEC), 0);
    s->pid = fork();
    if (s->pid == 0) {
        fcntl(alive[1], F_SETFD, 0); /* every process of the server inherits it */
        pg_server_child(s);
    }
    close(alive[1]);
    s->alive_pipe = alive[0];
    int64_t deadline = pg_fixture_deadline();
    while (PQping(pg_server_conninfo(s)) != PQPING_OK) {
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
            s->pid = 0;
            pg_server_fail(s, "ended at its start");
        }
        if (clock_boot_ms() > deadline) pg_server_fail(s, "does not take connections");
        pg_fixture_pause();
    }
}

/* Signals the postmaster and waits until every process of the server is gone. */
static inline void pg_server_end(struct pg_server *s, int signal_number) {
    if (s->pid == 0) return;
    kill(s->pid, signal_number);
    struct pollfd gone = {.fd = s->alive_pipe, .events = POLLIN};
    bool in_time = poll(&gone, 1, PG_FIXTURE_PATIENCE_MS) == 1;
    if (!in_time) kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    close(s->alive_pipe);
    s->pid = 0;
    s->alive_pipe = -1;
    if (!in_time) pg_server_fail(s, "did not stop");
}
static inline void pg_server_stop(struct pg_server *s) { pg_server_end(s, SIGINT); }   /* fast */
static inline void pg_server_crash(struct pg_server *s) { pg_server_end(s, SIGKILL); }

/* One statement; first column of the first row, or "". */
static inline const char *pg_server_query(const struct pg_server *s, const char *sql) {
    static char value[4][8192];
    static int turn;
    char *to = value[turn++ % 4];
    to[0] = '\0';
    PGconn *conn = PQconnectdb(pg_server_conninfo(s));
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK && PQntuples(result) > 0) str_copy(to, sizeof value[0], PQgetvalue(result, 0, 0));
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) str_copy(to, sizeof value[0], PQerrorMessage(conn));
    PQclear(result);
    PQfinish(conn);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) fail_msg("%s: %s: %s", s->name, sql, to);
    return to;
}
static inline void pg_server_exec(const struct pg_server *s, const char *sql) { pg_server_query(s, sql); }

static inline lsn_t pg_server_lsn(const struct pg_server *s, const char *sql) {
    lsn_t lsn = 0;
    const char *text = pg_server_query(s, sql);
    if (*text && !lsn_parse(text, &lsn)) fail_msg("%s: not an LSN: %s", sql, text);
    return lsn;
}

/* Waits until the statement answers `wanted`. */
static inline void pg_server_await(const struct pg_server *s, const char *sql, const char *wanted) {
    int64_t deadline = pg_fixture_deadline();
    while (strcmp(pg_server_query(s, sql), wanted) != 0) {
        if (clock_boot_ms() > deadline) pg_server_fail(s, sql);
        pg_fixture_pause();
    }
}

static inline void pg_server_await_replay(const struct pg_server *standby, lsn_t lsn) {
    char text[LSN_TEXT_MAX], sql[128];
    lsn_format(lsn, text);
    snprintf(sql, sizeof sql, "select pg_last_wal_replay_lsn() >= '%s'", text);
    pg_server_await(standby, sql, "t");
}

/* From the next start (or reload) on it follows `upstream`; NULL: nobody. */
static inline void pg_server_follow(const struct pg_server *s, const struct pg_server *upstream) {
    pg_server_append(s, "standby.signal", " ");
    pg_server_append(s, "postgresql.conf", "primary_conninfo = '%s'", upstream ? pg_server_conninfo(upstream) : "");
}

/* Base backup of a running server, set up to follow it. */
static inline struct pg_server *pg_server_copy(struct pg_fixture *f, const char *name, const struct pg_server *from) {
    struct pg_server *s = pg_server_new(f, name);
    PG_RUN("pg_basebackup", "-D", s->data, "-d", pg_server_conninfo(from), "-X", "stream", "-c", "fast", "--no-sync");
    pg_server_settings(s);
    pg_server_follow(s, from);
    return s;
}

/* Triggered promotion, and waits until it takes writes. */
static inline void pg_server_promote(const struct pg_server *s) {
    pg_server_exec(s, "select pg_promote(true, 60)");
    pg_server_await(s, "select pg_is_in_recovery()", "f");
}

/* Safe from a teardown: stops what runs, removes all. */
static inline void pg_fixture_close(struct pg_fixture *f) {
    struct err err = {0};
    for (int i = 0; i < f->count; i++) {
        pg_server_end(f->servers[i], SIGQUIT);
        rt_free(f->servers[i]);
    }
    f->count = 0;
    file_remove_tree(f->base, &err);
}
#endif
