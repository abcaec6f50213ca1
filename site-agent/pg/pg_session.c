/* The state machine behind pg_session.h: no connection -> connecting -> idle <-> busy, all of it moved by
 * pg_session_step, so that callbacks are only ever called from there (and from pg_session_query when the queue is full).
 * It does not know what the queries mean, and never sends one twice: what became of a lost one is for the caller to find out. */
#include "site-agent/pg/pg_session.h"
#include "rt/clock.h"
#include <ctype.h>
#include <libpq-fe.h>
#include <string.h>

#define QUEUE_MAX 16
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 1000
#define ROUNDS_MAX 64 /* transitions in one step: bounds the time taken from the loop */

struct query {
    char *sql;
    char **params;
    int n_params;
    int64_t deadline_ms;
    pg_done *done;
    void *context;
};

enum state { CLOSED, CONNECTING, IDLE, BUSY };

struct pg_session {
    char *conninfo;
    int64_t connect_ms;
    PGconn *conn;
    enum state state;
    short want;                /* CONNECTING: POLLIN or POLLOUT, as libpq asked; BUSY: POLLOUT while unsent bytes remain */
    int64_t attempt_ends_ms;   /* CONNECTING */
    int64_t pause_ms, retry_at_ms;
    struct query queue[QUEUE_MAX]; /* in order; while BUSY, or `lost`, the first one is with the server */
    size_t count;
    PGresult *result; /* of the first query, until libpq says that nothing follows */
    bool warning;
    bool farewell; /* the server announced the end of an idle connection ("terminating connection"), which libpq takes for a notice */
    bool lost; /* the first query was with the server when the connection went: to be told at the next step */
    struct err refusal; /* why the newest attempt failed; ERR_NONE after a success */
    char refusal_sqlstate[6];
};

static void query_free(struct query *q) {
    for (int i = 0; i < q->n_params; i++)
        rt_free(q->params[i]);
    rt_free(q->params);
    rt_free(q->sql);
}

static struct query queue_take(struct pg_session *s, size_t at) {
    struct query q = s->queue[at];
    s->count--;
    memmove(&s->queue[at], &s->queue[at + 1], (s->count - at) * sizeof q);
    return q;
}

/* Takes the query out before the callback, which may queue the next one or reset the session. */
static void finish(struct pg_session *s, size_t at, const struct pg_result *result) {
    struct query q = queue_take(s, at);
    q.done(q.context, result);
    query_free(&q);
}

static void finish_err(struct pg_session *s, size_t at, const struct err *why, const char *sqlstate) {
    struct pg_result result = {.ok = false, .err = *why};
    str_copy(result.sqlstate, sizeof result.sqlstate, sqlstate);
    finish(s, at, &result);
}

/* ---- the connection ---- */

static void on_notice(void *context, const PGresult *notice) {
    struct pg_session *s = context;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    s->warning = s->warning || str_eq(severity, "WARNING");
    s->farewell = s->farewell || str_eq(severity, "FATAL") || str_eq(severity, "PANIC");
}

/* Forgets the connection. A query that was with the server is told at the next step that its outcome is unknown. */
static void drop(struct pg_session *s) {
    s->lost = s->lost || s->state == BUSY;
    PQclear(s->result);
    s->result = NULL;
    PQfinish(s->conn);
    s->conn = NULL;
    s->farewell = false;
    s->state = CLOSED;
}

/* libpq's words, without the newline at the end and the source location that verbose messages carry. */
static void copy_message(char *to, size_t size, const char *from) {
    str_copy(to, size, from);
    char *end = strstr(to, "\nLOCATION:");
    if (end)
        *end = '\0';
    for (size_t n = strlen(to); n > 0 && isspace((unsigned char)to[n - 1]); n--)
        to[n - 1] = '\0';
}

/* While connecting libpq gives no error fields, but its verbose text has the code: "... FATAL:  57P03: the database ...".
 * Takes it out of the text. */
static void take_sqlstate(char *text, char to[6]) {
    to[0] = '\0';
    for (char *at = strstr(text, ":  "); at; at = strstr(at + 1, ":  ")) {
        size_t n = strspn(at + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (n != 5 || at[8] != ':')
            continue;
        memcpy(to, at + 3, 5);
        to[5] = '\0';
        memmove(at + 3, at + 10, strlen(at + 10) + 1);
        return;
    }
}

/* One attempt is over without a connection: nothing was sent, so everybody who waits is told so now. Callbacks may queue
 * again: those wait for the next attempt. */
static void connect_failed(struct pg_session *s, int64_t now, const char *reason) {
    char text[ERR_TEXT_MAX];
    copy_message(text, sizeof text, reason);
    take_sqlstate(text, s->refusal_sqlstate);
    err_set(&s->refusal, ERR_UNREACHABLE, "connect: %s%s%s", s->refusal_sqlstate, s->refusal_sqlstate[0] ? ": " : "", text);
    drop(s);
    s->pause_ms = s->pause_ms == 0 ? PAUSE_FIRST_MS : s->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : s->pause_ms * 2;
    s->retry_at_ms = now + s->pause_ms;
    for (size_t n = s->count; n > 0 && s->count > 0; n--)
        finish_err(s, 0, &s->refusal, s->refusal_sqlstate);
}

/* search_path: we connect as a superuser to databases in which users may create functions and operators. */
static void connect_begin(struct pg_session *s, int64_t now) {
    const char *const keywords[] = {"options", "dbname", "gssencmode", "client_encoding", "fallback_application_name", NULL};
    const char *const values[] = {"-c search_path=pg_catalog -c standard_conforming_strings=on", s->conninfo, "disable", "UTF8", "pgregent", NULL};
    s->conn = PQconnectStartParams(keywords, values, 1);
    s->state = CONNECTING;
    s->want = POLLOUT;
    s->attempt_ends_ms = now + s->connect_ms;
    if (!s->conn || PQstatus(s->conn) == CONNECTION_BAD) {
        connect_failed(s, now, s->conn ? PQerrorMessage(s->conn) : "out of memory");
        return;
    }
    PQsetErrorVerbosity(s->conn, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(s->conn, on_notice, s);
}

static bool ready(const struct pg_session *s, short events) {
    struct pollfd fd = {.fd = PQsocket(s->conn), .events = events};
    return poll(&fd, 1, 0) > 0;
}

/* True if something moved. libpq reads and writes blindly when polled too early, so the socket is asked first. */
static bool connect_continue(struct pg_session *s, int64_t now) {
    if (now >= s->attempt_ends_ms) {
        STRBUF text = {0};
        strbuf_addf(&text, "no answer within %lld ms", (long long)s->connect_ms);
        connect_failed(s, now, text.at);
        return true;
    }
    if (!ready(s, s->want))
        return false;
    switch (PQconnectPoll(s->conn)) {
    case PGRES_POLLING_READING: s->want = POLLIN; return true;
    case PGRES_POLLING_WRITING: s->want = POLLOUT; return true;
    case PGRES_POLLING_OK:
        if (PQsetnonblocking(s->conn, 1) == 0) {
            s->state = IDLE;
            s->refusal = (struct err){0};
            return true;
        }
        break;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE: break;
    }
    connect_failed(s, now, PQerrorMessage(s->conn));
    return true;
}

/* ---- one query ---- */

static bool flush(struct pg_session *s) {
    int left = PQflush(s->conn);
    s->want = left > 0 ? POLLOUT : 0;
    return left >= 0;
}

static void send_first(struct pg_session *s) {
    const struct query *q = &s->queue[0];
    s->warning = false;
    s->state = BUSY;
    if (!PQsendQueryParams(s->conn, q->sql, q->n_params, NULL, (const char *const *)q->params, NULL, NULL, 0) || !flush(s))
        drop(s);
}

static void describe_error(const PGresult *from, struct pg_result *to) {
    const char *state = PQresultErrorField(from, PG_DIAG_SQLSTATE), *message = PQresultErrorField(from, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(from, PG_DIAG_MESSAGE_DETAIL);
    str_copy(to->sqlstate, sizeof to->sqlstate, state ? state : "");
    err_set(&to->err, ERR_EXTERNAL, "%s: %s%s%s", state, message ? message : "no message", detail ? "; " : "", detail ? detail : "");
}

/* An error without an SQLSTATE is libpq's own: the connection went. */
static bool is_loss(const PGresult *r) { return PQresultStatus(r) == PGRES_FATAL_ERROR && !PQresultErrorField(r, PG_DIAG_SQLSTATE); }

static void deliver(struct pg_session *s) {
    PGresult *r = s->result;
    s->result = NULL;
    s->state = IDLE;
    s->pause_ms = 0;
    struct pg_result out = {.warning = s->warning};
    ExecStatusType status = PQresultStatus(r);
    out.ok = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    if (status == PGRES_FATAL_ERROR)
        describe_error(r, &out);
    else if (!out.ok)
        err_set(&out.err, ERR_INTERNAL, "not a query with one result: %s", PQresStatus(status));
    if (out.ok && PQntuples(r) > 0 && PQnfields(r) > 0 && !PQgetisnull(r, 0, 0)) {
        out.text = PQgetvalue(r, 0, 0);
        out.text_len = (size_t)PQgetlength(r, 0, 0);
    }
    bool usable = PQstatus(s->conn) == CONNECTION_OK && PQtransactionStatus(s->conn) == PQTRANS_IDLE;
    if (!usable)
        drop(s);
    finish(s, 0, &out);
    PQclear(r);
}

/* The server's own last word ("57P01: terminating connection") beats libpq's "connection lost". */
static bool ended(struct pg_session *s) {
    if (s->result)
        deliver(s);
    else
        drop(s);
    return true;
}

static bool is_copy(const PGresult *r) {
    ExecStatusType t = PQresultStatus(r);
    return t == PGRES_COPY_IN || t == PGRES_COPY_OUT || t == PGRES_COPY_BOTH;
}

/* Reads what has come. True if the first query is over, one way or the other. */
static bool collect(struct pg_session *s) {
    if (!PQconsumeInput(s->conn) && PQisBusy(s->conn))
        return ended(s);
    while (!PQisBusy(s->conn)) {
        PGresult *r = PQgetResult(s->conn);
        if (!r || is_loss(r)) {
            PQclear(r);
            return ended(s);
        }
        if (s->result) {
            PQclear(r); /* the first one says most */
            continue;
        }
        s->result = r;
        if (is_copy(r)) /* it would be returned again for ever */
            return ended(s);
    }
    return false;
}

/* A connection at rest: sees that the server has gone before a query is lost on it, then sends the next one. */
static bool idle_step(struct pg_session *s) {
    /* PQisBusy: for its reading of what has come, which may be a farewell */
    if (ready(s, POLLIN) && (!PQconsumeInput(s->conn) || PQisBusy(s->conn) || s->farewell)) {
        drop(s);
        return true;
    }
    if (s->count == 0)
        return false;
    send_first(s);
    return true;
}

/* ---- deadlines ---- */

static void tell_unknown(struct pg_session *s, int64_t now) {
    struct err why = {0};
    s->lost = false;
    bool late = now >= s->queue[0].deadline_ms;
    err_set(&why, ERR_TIMEOUT, late ? "no answer by the deadline, connection dropped: outcome unknown" : "connection lost before the answer: outcome unknown");
    finish_err(s, 0, &why, "");
}

/* A query that was never sent: the newest refusal says why, if there is one. */
static void tell_not_sent(struct pg_session *s, size_t at) {
    struct err why = {0};
    if (s->state == CLOSED && s->refusal.code != ERR_NONE) {
        why = s->refusal;
        finish_err(s, at, &why, s->refusal_sqlstate);
        return;
    }
    err_set(&why, ERR_UNREACHABLE, "not sent by its deadline: %s", pg_session_connected(s) ? "the session was busy" : "still connecting");
    finish_err(s, at, &why, "");
}

static size_t first_waiting(const struct pg_session *s) { return s->state == BUSY || s->lost ? 1 : 0; }

/* Index of a waiting query that is past its deadline; the queue's length if there is none. */
static size_t find_late(const struct pg_session *s, int64_t now) {
    size_t i = first_waiting(s);
    while (i < s->count && now < s->queue[i].deadline_ms)
        i++;
    return i;
}

/* Callbacks may queue queries that are late already, so the number of rounds is bounded. */
static void expire(struct pg_session *s, int64_t now) {
    if (s->state == BUSY && now >= s->queue[0].deadline_ms)
        drop(s);
    for (int i = 0; i < QUEUE_MAX; i++) {
        size_t late = find_late(s, now);
        if (late >= s->count)
            return;
        tell_not_sent(s, late);
    }
}

/* ---- the interface ---- */

struct pg_session *pg_session_new(const char *conninfo, int64_t connect_ms) {
    struct pg_session *s = rt_alloc(sizeof *s);
    s->conninfo = rt_strdup(conninfo);
    s->connect_ms = connect_ms;
    return s;
}

void pg_session_free(struct pg_session *s) {
    if (!s)
        return;
    drop(s);
    while (s->count > 0) {
        struct query q = queue_take(s, s->count - 1);
        query_free(&q);
    }
    rt_free(s->conninfo);
    rt_free(s);
}

void pg_session_reset(struct pg_session *s) {
    drop(s);
    s->pause_ms = s->retry_at_ms = 0;
    s->refusal = (struct err){0};
}

static char **copy_params(const char *const *params, int n) {
    char **copy = n > 0 ? rt_alloc((size_t)n * sizeof *copy) : NULL;
    for (int i = 0; i < n; i++)
        copy[i] = params[i] ? rt_strdup(params[i]) : NULL;
    return copy;
}

void pg_session_query(struct pg_session *s, const char *sql, const char *const *params, int n_params, int64_t deadline_boot_ms, pg_done *done, void *context) {
    if (s->count == QUEUE_MAX) {
        struct pg_result full = {.ok = false};
        err_set(&full.err, ERR_LIMIT, "%d queries wait already", QUEUE_MAX);
        done(context, &full);
        return;
    }
    s->queue[s->count++] = (struct query){
        .sql = rt_strdup(sql), .params = copy_params(params, n_params), .n_params = n_params, .deadline_ms = deadline_boot_ms, .done = done, .context = context};
}

bool pg_session_connected(const struct pg_session *s) { return s->state == IDLE || s->state == BUSY; }

int pg_session_backend_pid(const struct pg_session *s) { return pg_session_connected(s) ? PQbackendPID(s->conn) : 0; }

size_t pg_session_pollfd(const struct pg_session *s, struct pollfd *fd) {
    if (s->state == CLOSED)
        return 0;
    short events = s->state == CONNECTING ? s->want : s->state == BUSY ? (short)(POLLIN | s->want) : POLLIN;
    *fd = (struct pollfd){.fd = PQsocket(s->conn), .events = events};
    return 1;
}

/* When the state itself has something to do, apart from the deadlines of queries. */
static int64_t state_due(const struct pg_session *s) {
    switch (s->state) {
    case CLOSED: return s->count > 0 ? s->retry_at_ms : INT64_MAX;
    case CONNECTING: return s->attempt_ends_ms;
    case IDLE: return s->count > 0 ? 0 : INT64_MAX;
    case BUSY: return INT64_MAX;
    }
    return 0;
}

int64_t pg_session_next_deadline(const struct pg_session *s) {
    if (s->lost)
        return 0;
    int64_t next = state_due(s);
    for (size_t i = 0; i < s->count; i++)
        next = s->queue[i].deadline_ms < next ? s->queue[i].deadline_ms : next;
    return next;
}

static bool advance(struct pg_session *s, int64_t now) {
    switch (s->state) {
    case CLOSED:
        if (s->count == 0 || now < s->retry_at_ms)
            return false;
        connect_begin(s, now);
        return true;
    case CONNECTING: return connect_continue(s, now);
    case IDLE: return idle_step(s);
    case BUSY:
        if (s->want && ready(s, POLLOUT) && !flush(s)) {
            drop(s);
            return true;
        }
        return collect(s);
    }
    return false;
}

void pg_session_step(struct pg_session *s, int64_t now_boot_ms) {
    bool moved = true;
    for (int round = 0; moved && round < ROUNDS_MAX; round++) {
        expire(s, now_boot_ms);
        if (s->lost)
            tell_unknown(s, now_boot_ms);
        else
            moved = advance(s, now_boot_ms);
    }
}
