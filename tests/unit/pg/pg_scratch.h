/* A PostgreSQL server of a test's own: in a directory under /tmp, on a Unix socket there, owned by "postgres" when the test
 * runs as root (PostgreSQL refuses root). Everything here fails the test that calls it. */
#ifndef PG_SCRATCH_H
#define PG_SCRATCH_H
#include "rt/clock.h"
#include "rt/file.h"
#include "rt/proc.h"
#include "rt/str.h"
#include <libpq-fe.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
/* after setjmp.h and friends */
#include <cmocka.h>

#define SCRATCH_BIN "/usr/lib/postgresql/15/bin/"
#define SCRATCH_PORT 5432 /* only names the socket file */

struct scratch {
    char dir[64];
    uid_t uid; /* owner of the server processes */
    gid_t gid;
};

static inline void scratch_open(struct scratch *s) {
    snprintf(s->dir, sizeof s->dir, "/tmp/pgregent-test-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->uid = geteuid();
    s->gid = getegid();
    if (s->uid != 0)
        return;
    const struct passwd *owner = getpwnam("postgres");
    assert_non_null(owner);
    s->uid = owner->pw_uid;
    s->gid = owner->pw_gid;
    assert_int_equal(chown(s->dir, s->uid, s->gid), 0);
}

static inline void scratch_close(struct scratch *s) {
    struct err err;
    assert_true(file_remove_tree(s->dir, &err));
}

/* Runs as the owner, NULL-terminated argv with an absolute path; its output in the message if it fails. */
static inline void scratch_run(const struct scratch *s, const char *const *argv) {
    STRBUF output = {0};
    struct err err;
    int exit_code = -1;
    struct proc_options options = {
        .argv = argv, .switch_user = geteuid() == 0, .uid = s->uid, .gid = s->gid, .cwd = s->dir, .deadline_boot_ms = clock_boot_ms() + 60000};
    if (!proc_run(&options, &output, &exit_code, &err))
        fail_msg("%s: %s", argv[0], err.text);
    if (exit_code != 0)
        fail_msg("%s: exit %d: %s", argv[0], exit_code, output.at);
}
#define SCRATCH_RUN(s, ...) scratch_run((s), (const char *const[]){__VA_ARGS__, NULL})

static inline void scratch_path(const struct scratch *s, const char *name, char to[128]) { snprintf(to, 128, "%s/%s", s->dir, name); }

static inline void scratch_initdb(const struct scratch *s, const char *name) {
    char data[128];
    scratch_path(s, name, data);
    SCRATCH_RUN(s, SCRATCH_BIN "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "--locale=C", "-E", "UTF8");
}

/* Socket directory of the server NAME; made by scratch_start. */
static inline void scratch_conninfo(const struct scratch *s, const char *name, char to[256]) {
    snprintf(to, 256, "host=%s/%s.sock port=%d user=postgres dbname=postgres", s->dir, name, SCRATCH_PORT);
}

static inline void scratch_start(const struct scratch *s, const char *name, const char *settings) {
    char data[128], log[160], sockets[160], options[512];
    scratch_path(s, name, data);
    snprintf(log, sizeof log, "%s.log", data);
    snprintf(sockets, sizeof sockets, "%s.sock", data);
    struct err err;
    assert_true(file_mkdirs_as(sockets, 0700, s->uid, s->gid, &err));
    snprintf(options, sizeof options, "-c listen_addresses='' -c port=%d -c unix_socket_directories=%s -c fsync=off -c max_connections=20 %s",
             SCRATCH_PORT, sockets, settings);
    SCRATCH_RUN(s, SCRATCH_BIN "pg_ctl", "-D", data, "-l", log, "-w", "-s", "-o", options, "start");
}

static inline void scratch_stop(const struct scratch *s, const char *name) {
    char data[128];
    scratch_path(s, name, data);
    SCRATCH_RUN(s, SCRATCH_BIN "pg_ctl", "-D", data, "-m", "immediate", "-w", "-s", "stop");
}

/* First column of the first row ("" for none), by plain libpq: the other opinion. */
static inline void scratch_sql(const char *conninfo, const char *sql, char *to, size_t size) {
    PGconn *conn = PQconnectdb(conninfo);
    if (PQstatus(conn) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(conn));
    PGresult *r = PQexec(conn, sql);
    if (PQresultStatus(r) != PGRES_TUPLES_OK && PQresultStatus(r) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    snprintf(to, size, "%s", PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    PQfinish(conn);
}

static inline void scratch_do(const char *conninfo, const char *sql) {
    char ignored[8];
    scratch_sql(conninfo, sql, ignored, sizeof ignored);
}

/* Asks until the answer is `wanted`; ten seconds at most. */
static inline void scratch_await(const char *conninfo, const char *sql, const char *wanted) {
    char answer[256];
    for (int64_t until = clock_boot_ms() + 10000; clock_boot_ms() < until; usleep(10000)) {
        scratch_sql(conninfo, sql, answer, sizeof answer);
        if (strcmp(answer, wanted) == 0)
            return;
    }
    fail_msg("%s: \"%s\", not \"%s\", after 10 s", sql, answer, wanted);
}
#endif
