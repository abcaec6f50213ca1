/* WAL from another server over the streaming replication protocol (PostgreSQL manual, 55.4), which works with no
 * extension and from standbys too. One connection per question, closed after it: ending a stream politely would mean
 * to read all that is under way. Never answers keepalives: what is asked for is there, or the deadline ends it. */
#include "rt/clock.h"
#include "site-agent/pg/pg_session.h"
#include "site-agent/pg/pg_wal_reader.h"
#include "site-agent/pg/pg_wal_source.h"
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_SLICE_MS 1000 /* poll counts CLOCK_MONOTONIC; a suspend is noticed after this long at the latest */
#define WAL_MESSAGE_HEADER 25 /* 'w', start, end of WAL, time */
#define SQLSTATE_UNDEFINED_FILE "58P01" /* a WAL segment that was removed */
#define HOST_MAX 256

static void conn_cleanup(PGconn **c) { PQfinish(*c); }
#define CONN_AUTO __attribute__((cleanup(conn_cleanup))) PGconn
static void result_cleanup(PGresult **r) { PQclear(*r); }
#define RESULT_AUTO __attribute__((cleanup(result_cleanup))) PGresult

static bool wait_for(PGconn *conn, short events, int64_t deadline, const char *what, struct err *err) {
    for (;;) {
        int64_t left = deadline - clock_boot_ms();
        if (left <= 0) return err_set(err, ERR_TIMEOUT, "%s: nothing by the deadline", what);
        struct pollfd fd = {.fd = PQsocket(conn), .events = events};
        int n = poll(&fd, 1, left < WAIT_SLICE_MS ? (int)left : WAIT_SLICE_MS);
        if (n > 0) return true;
        if (n < 0 && errno != EINTR) return err_sys(err, errno, "%s: poll", what);
    }
}

/* libpq's messages end in a newline and may have several lines. */
static bool fail_with(struct err *err, enum err_code code, const char *what, const char *message) {
    char line[512];
    str_copy(line, sizeof line, message);
    for (size_t n = strlen(line); n > 0 && line[n - 1] == '\n';) line[--n] = '\0';
    for (char *p = line; *p; p++)
        if (*p == '\n') *p = ' ';
    return err_set(err, code, "%s: %s", what, line);
}

static bool fail_result(struct err *err, const char *what, const PGresult *result, const PGconn *conn) {
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (!state) return fail_with(err, ERR_UNREACHABLE, what, PQerrorMessage(conn));
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    enum err_code code = strcmp(state, SQLSTATE_UNDEFINED_FILE) == 0 ? ERR_NOT_FOUND : ERR_EXTERNAL;
    return err_set(err, code, "%s: %s: %s", what, state, message ? message : "no message");
}

/* Our own name, so that nobody takes this for the member's stream (synchronous_standby_names goes by it). `host` and
 * `port` replace the lists of the connection string; "" leaves them. */
static PGconn *connect_host(const char *conninfo, const char *host, const char *port, int64_t deadline, struct err *err) {
    const char *const keywords[] = {"dbname", "replication", "application_name", "gssencmode", "host", "port", NULL};
    const char *const values[] = {conninfo, "true", "pgregent-attach", "disable", host, port, NULL};
    CONN_AUTO *conn = PQconnectStartParams(keywords, values, 1);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    if (!conn || PQstatus(conn) == CONNECTION_BAD) return fail_with(err, ERR_UNREACHABLE, "connect", PQerrorMessage(conn)), NULL;
    while (state != PGRES_POLLING_OK) {
        if (!wait_for(conn, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline, "connect", err)) return NULL;
        state = PQconnectPoll(conn);
        if (state == PGRES_POLLING_FAILED) return fail_with(err, ERR_UNREACHABLE, "connect", PQerrorMessage(conn)), NULL;
    }
    PGconn *connected = conn;
    conn = NULL;
    return connected;
}

static void options_cleanup(PQconninfoOption **o) { PQconninfoFree(*o); }

static const char *option(const PQconninfoOption *options, const char *keyword) {
    while (options->keyword && strcmp(options->keyword, keyword) != 0) options++;
    return options->keyword && options->val ? options->val : "";
}

/* Entry `index` of a comma-separated list; false behind its end. An empty list has one empty entry. */
static bool entry_of(const char *list, size_t index, char to[HOST_MAX]) {
    while (index > 0 && (list = strchr(list, ',')) != NULL) list++, index--;
    if (!list) return false;
    size_t len = strcspn(list, ",");
    snprintf(to, HOST_MAX, "%.*s", (int)(len < HOST_MAX ? len : HOST_MAX - 1), list);
    return true;
}

/* libpq's connect_timeout counts only where libpq itself waits. Here each host of the list gets that long, in order: one
 * that is silent must not eat the time of those behind it. `answers` (may be NULL) gets the host and port that did. */
static PGconn *connect_to(const char *conninfo, int64_t deadline, struct strbuf *answers, struct err *err) {
    __attribute__((cleanup(options_cleanup))) PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    STRBUF failures = {0};
    if (!options) return err_set(err, ERR_INVALID, "connect: not a connection string"), NULL;
    const char *hosts = option(options, "host"), *ports = option(options, "port");
    int64_t share_ms = 1000 * strtoll(option(options, "connect_timeout"), NULL, 10);
    char host[HOST_MAX], port[HOST_MAX];
    for (size_t i = 0; entry_of(hosts, i, host); i++) {
        if (!entry_of(ports, i, port)) entry_of(ports, 0, port); /* one for all */
        int64_t until = clock_boot_ms() + share_ms;
        PGconn *conn = connect_host(conninfo, host, port, share_ms > 0 && until < deadline ? until : deadline, err);
        if (conn && answers) {
            pg_conninfo_add(answers, "host", host);
            pg_conninfo_add(answers, "port", port);
        }
        if (conn) return conn;
        strbuf_addf(&failures, "%s%s:%s: %s", i ? "; " : "", host, port, err->text);
    }
    return err_set(err, err->code, "%s", failures.at), NULL;
}

/* The next result; never NULL on true. */
static bool next_result(PGconn *conn, const char *what, int64_t deadline, PGresult **out, struct err *err) {
    while (PQisBusy(conn)) {
        if (!wait_for(conn, POLLIN, deadline, what, err)) return false;
        if (!PQconsumeInput(conn)) return fail_result(err, what, NULL, conn);
    }
    *out = PQgetResult(conn);
    return *out ? true : fail_result(err, what, NULL, conn);
}

/* Sends a command and expects this kind of answer. */
static bool command(PGconn *conn, const char *text, ExecStatusType wanted, int64_t deadline, PGresult **out, struct err *err) {
    if (!PQsendQuery(conn, text)) return fail_result(err, text, NULL, conn);
    if (!next_result(conn, text, deadline, out, err)) return false;
    return PQresultStatus(*out) == wanted ? true : fail_result(err, text, *out, conn);
}

bool pg_wal_source_identify(const char *conninfo, int64_t deadline_boot_ms, struct pg_wal_source *out, struct err *err) {
    STRBUF answers = {0};
    strbuf_addf(&answers, "%s ", conninfo);
    CONN_AUTO *conn = connect_to(conninfo, deadline_boot_ms, &answers, err);
    RESULT_AUTO *row = NULL;
    if (!conn || !command(conn, "IDENTIFY_SYSTEM", PGRES_TUPLES_OK, deadline_boot_ms, &row, err)) return false;
    *out = (struct pg_wal_source){0};
    if (!str_copy(out->conninfo, sizeof out->conninfo, answers.at)) return err_set(err, ERR_LIMIT, "the connection string is too long");
    if (PQntuples(row) != 1 || PQnfields(row) < 3 || !lsn_parse(PQgetvalue(row, 0, 2), &out->flush))
        return err_set(err, ERR_EXTERNAL, "IDENTIFY_SYSTEM: not the answer of a PostgreSQL server");
    out->system_identifier = strtoull(PQgetvalue(row, 0, 0), NULL, 10);
    out->timeline = strtoll(PQgetvalue(row, 0, 1), NULL, 10);
    return true;
}

/* One message of the stream: WAL that continues at `expected` is appended, at most up to `len` in all. */
static bool take_message(const char *message, int size, lsn_t expected, size_t len, struct strbuf *to, struct err *err) {
    uint64_t start;
    if (size < 1 || message[0] != 'w') return true; /* keepalive */
    if (size < WAL_MESSAGE_HEADER) return err_set(err, ERR_EXTERNAL, "WAL message of %d bytes", size);
    memcpy(&start, message + 1, sizeof start);
    if (be64toh(start) != expected) return err_set(err, ERR_EXTERNAL, "WAL message for another position than " PG_LSN_F, PG_LSN_ARGS(expected));
    size_t there = (size_t)size - WAL_MESSAGE_HEADER, missing = len - to->len;
    strbuf_add_bytes(to, message + WAL_MESSAGE_HEADER, there < missing ? there : missing);
    return to->overflow ? err_set(err, ERR_LIMIT, "%zu bytes of WAL do not fit into memory", len) : true;
}

/* The server ended the stream: with an error, or because the timeline ends. */
static bool stream_ended(PGconn *conn, const char *what, int64_t deadline, struct err *err) {
    RESULT_AUTO *result = NULL;
    if (!next_result(conn, what, deadline, &result, err)) return false;
    if (PQresultStatus(result) == PGRES_FATAL_ERROR) return fail_result(err, what, result, conn);
    return err_set(err, ERR_NOT_FOUND, "%s: the timeline ends before", what);
}

static bool receive(PGconn *conn, const char *what, lsn_t from, size_t len, int64_t deadline, struct strbuf *to, struct err *err) {
    while (to->len < len) {
        char *message = NULL;
        int size = PQgetCopyData(conn, &message, 1);
        if (size > 0) {
            bool taken = take_message(message, size, from + to->len, len, to, err);
            PQfreemem(message);
            if (!taken) return false;
        } else if (size == 0) {
            if (!wait_for(conn, POLLIN, deadline, what, err)) return false;
            if (!PQconsumeInput(conn)) return fail_result(err, what, NULL, conn);
        } else {
            return stream_ended(conn, what, deadline, err);
        }
    }
    return true;
}

bool pg_wal_fetch(const char *conninfo, int64_t timeline, lsn_t from, size_t len, int64_t deadline_boot_ms, struct strbuf *to, struct err *err) {
    char text[96];
    STRBUF wal = {.limit = len + 1};
    CONN_AUTO *conn = connect_to(conninfo, deadline_boot_ms, NULL, err);
    RESULT_AUTO *started = NULL;
    snprintf(text, sizeof text, "START_REPLICATION PHYSICAL " PG_LSN_F " TIMELINE %" PRId64, PG_LSN_ARGS(from), timeline);
    if (!conn || !command(conn, text, PGRES_COPY_BOTH, deadline_boot_ms, &started, err)) return false;
    if (!receive(conn, text, from, len, deadline_boot_ms, &wal, err)) return false;
    strbuf_add_bytes(to, wal.at, wal.len);
    return to->overflow ? err_set(err, ERR_LIMIT, "%zu bytes of WAL do not fit into the buffer", len) : true;
}
