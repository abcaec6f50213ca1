/* pg_session.h over the model of the server on the same host: connects, sends one query at a time, gives each its deadline,
 * reconnects with a pause. What comes from the server comes in events that wake the process; it is told in pg_session_step only,
 * as pg_session.h promises. A server that stands still says nothing: the deadlines do. */
#include "tests/sim/session.h"
#include "tests/sim/world.h"
#include <string.h>

#define QUEUE_MAX 16
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 1000
#define ROUNDS_MAX 64
#define TAKES_MIN (1 * MS)
#define TAKES_MAX (5 * MS)
#define LOOK_AGAIN (50 * MS) /* at a server that stands still */

struct query {
    const char *sql;
    char *memory; /* NULL: sql is for ever */
    int64_t deadline_ms;
    pg_done *done;
    void *context;
};
enum state { CLOSED, CONNECTING, IDLE, BUSY };
struct pg_session {
    struct process *owner;
    struct postgres *server;
    char *conninfo;
    struct dice dice;
    int64_t connect_ms, attempt_ends_ms, pause_ms, retry_at_ms;
    enum state state;
    int64_t life;           /* of the connection: what was asked over an earlier one comes to nothing */
    int64_t postmaster_pid; /* whose backend serves us */
    bool arrived;           /* CONNECTING, BUSY: `answer` waits to be taken */
    struct session_answer answer;
    struct query queue[QUEUE_MAX];
    size_t count;
    bool lost;
    struct err refusal;
    char refusal_sqlstate[6];
    struct pg_session *next; /* of all sessions of the history that are open */
};

static struct pg_session *sessions[HOSTS_MAX];

/* ---- the queue ---- */

static void finish(struct pg_session *s, size_t at, const struct pg_result *result) {
    struct query q = s->queue[at];
    s->count--;
    memmove(&s->queue[at], &s->queue[at + 1], (s->count - at) * sizeof q);
    q.done(q.context, result);
    rt_free(q.memory);
}

static void finish_err(struct pg_session *s, size_t at, const struct err *why, const char *sqlstate) {
    struct pg_result result = {.err = *why};
    str_copy(result.sqlstate, sizeof result.sqlstate, sqlstate);
    finish(s, at, &result);
}

/* ---- what the server does, in events ---- */

/* One question over one connection. A statement that is on its way is executed, whatever becomes of who asked. */
struct asked {
    struct pg_session *session;
    struct postgres *server;
    int64_t life, postmaster_pid;
    const char *sql;
    char *memory;
};

static bool is_void(const struct asked *q) { return !q->session->owner->alive || q->session->life != q->life; }

static bool serves(const struct postgres *pg, int64_t postmaster_pid) {
    return pg->postmaster_pid && pg->postmaster_pid == postmaster_pid && (pg->paused || postgres_answers(pg));
}

static bool stands(const struct pg_session *s) { return serves(s->server, s->postmaster_pid); }

static void forget(struct asked *q) {
    rt_free(q->memory);
    rt_free(q);
}

static void arrive(const struct asked *q, const struct session_answer *answer) {
    if (is_void(q)) {
        rt_free(answer->memory);
        return;
    }
    q->session->answer = *answer;
    q->session->arrived = true;
    process_wake(q->session->owner);
}

static void refuse_connection(const struct postgres *pg, struct session_answer *to) {
    if (!pg->postmaster_pid)
        err_set(&to->result.err, ERR_UNREACHABLE, "connection to server on socket failed: No such file or directory");
    else if (pg->state == SERVER_STOPPING)
        session_refuse(to, "57P03", "the database system is shutting down");
    else if (pg->state == SERVER_STARTING)
        session_refuse(to, "57P03", "the database system is starting up");
    else
        session_refuse(to, "28000", "role \"pgregent\" does not exist");
}

static void on_connect(void *context, int64_t number) {
    struct asked *q = context;
    const struct postgres *pg = q->server;
    (void)number;
    if (!is_void(q) && pg->paused && pg->postmaster_pid) {
        sim_at(sim_now + LOOK_AGAIN, on_connect, q, 0);
        return;
    }
    struct session_answer answer = {.result = {.ok = postgres_answers(pg) && session_role_exists(pg, q->session->conninfo)}};
    if (!answer.result.ok)
        refuse_connection(pg, &answer);
    else if (!is_void(q))
        q->session->postmaster_pid = pg->postmaster_pid;
    arrive(q, &answer);
    forget(q);
}

static void on_checkpointed(void *context, int64_t ok) {
    struct asked *q = context;
    struct session_answer answer = {.result = {.ok = true}};
    if (!ok)
        session_refuse(&answer, "57P01", "terminating connection due to administrator command");
    arrive(q, &answer);
    forget(q);
}

static void on_query(void *context, int64_t number) {
    struct asked *q = context;
    struct session_answer answer = {0};
    (void)number;
    bool goes_on = serves(q->server, q->postmaster_pid);
    if (goes_on && q->server->paused) {
        sim_at(sim_now + LOOK_AGAIN, on_query, q, 0);
        return;
    }
    if (goes_on && !session_run(q->server, q->sql, &answer, on_checkpointed, q))
        return;
    if (goes_on)
        arrive(q, &answer);
    forget(q);
}

static void ask(struct pg_session *s, const char *sql, void (*event)(void *context, int64_t number)) {
    struct asked *q = rt_alloc(sizeof *q);
    *q = (struct asked){.session = s, .server = s->server, .life = s->life, .postmaster_pid = s->postmaster_pid};
    q->memory = sql && sql != pg_facts_sql ? rt_strdup(sql) : NULL;
    q->sql = q->memory ? q->memory : sql;
    s->arrived = false;
    sim_at(sim_now + dice_between(&s->dice, TAKES_MIN, TAKES_MAX), event, q, 0);
}

/* ---- the connection ---- */

static void drop(struct pg_session *s) {
    s->lost = s->lost || s->state == BUSY;
    s->state = CLOSED;
    s->life++;
    s->arrived = false;
    s->postmaster_pid = 0;
    rt_free(s->answer.memory);
    s->answer = (struct session_answer){0};
}

static void connect_failed(struct pg_session *s, int64_t now, const struct pg_result *why) {
    err_set(&s->refusal, ERR_UNREACHABLE, "connect: %s", why->err.text);
    str_copy(s->refusal_sqlstate, sizeof s->refusal_sqlstate, why->sqlstate);
    drop(s);
    s->pause_ms = s->pause_ms == 0 ? PAUSE_FIRST_MS : s->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : s->pause_ms * 2;
    s->retry_at_ms = now + s->pause_ms;
    for (size_t n = s->count; n > 0 && s->count > 0; n--)
        finish_err(s, 0, &s->refusal, s->refusal_sqlstate);
}

static bool connect_continue(struct pg_session *s, int64_t now) {
    struct pg_result late = {0};
    if (now >= s->attempt_ends_ms) {
        err_set(&late.err, ERR_UNREACHABLE, "no answer within %lld ms", (long long)s->connect_ms);
        connect_failed(s, now, &late);
        return true;
    }
    if (!s->arrived)
        return false;
    s->arrived = false;
    if (s->answer.result.ok) {
        s->state = IDLE;
        s->refusal = (struct err){0};
        return true;
    }
    struct pg_result why = s->answer.result;
    connect_failed(s, now, &why);
    return true;
}

static bool idle_step(struct pg_session *s) {
    if (!stands(s)) {
        drop(s);
        return true;
    }
    if (s->count == 0)
        return false;
    s->state = BUSY;
    process_point("before a query");
    ask(s, s->queue[0].sql, on_query);
    return true;
}

static bool busy_step(struct pg_session *s) {
    if (!s->arrived && stands(s))
        return false;
    if (!s->arrived) {
        drop(s);
        return true;
    }
    struct session_answer answer = s->answer;
    s->answer = (struct session_answer){0};
    s->arrived = false;
    s->state = IDLE;
    s->pause_ms = 0;
    process_point("after a query");
    finish(s, 0, &answer.result);
    rt_free(answer.memory);
    return true;
}

static bool advance(struct pg_session *s, int64_t now) {
    switch (s->state) {
    case CLOSED:
        if (s->count == 0 || now < s->retry_at_ms)
            return false;
        s->state = CONNECTING;
        s->attempt_ends_ms = now + s->connect_ms;
        ask(s, NULL, on_connect);
        return true;
    case CONNECTING: return connect_continue(s, now);
    case IDLE: return idle_step(s);
    case BUSY: return busy_step(s);
    }
    return false;
}

/* ---- deadlines ---- */

static void tell_unknown(struct pg_session *s, int64_t now) {
    struct err why = {0};
    s->lost = false;
    err_set(&why, ERR_TIMEOUT, now >= s->queue[0].deadline_ms ? "no answer by the deadline: outcome unknown" : "connection lost before the answer: outcome unknown");
    finish_err(s, 0, &why, "");
}

static void tell_not_sent(struct pg_session *s, size_t at) {
    struct err why = s->refusal;
    bool refused = s->state == CLOSED && why.code != ERR_NONE;
    if (!refused)
        err_set(&why, ERR_UNREACHABLE, "not sent by its deadline");
    finish_err(s, at, &why, refused ? s->refusal_sqlstate : "");
}

static void expire(struct pg_session *s, int64_t now) {
    if (s->state == BUSY && now >= s->queue[0].deadline_ms)
        drop(s);
    size_t at = s->state == BUSY || s->lost ? 1 : 0;
    for (int i = 0; i < QUEUE_MAX && at < s->count; i++) {
        if (now < s->queue[at].deadline_ms)
            at++;
        else
            tell_not_sent(s, at);
    }
}

/* ---- the interface ---- */

struct pg_session *pg_session_new(const char *conninfo, int64_t connect_ms) {
    static int64_t made;
    struct pg_session *s = rt_alloc(sizeof *s);
    struct host *h = host_self();
    s->owner = process_self();
    s->server = h->postgres;
    s->conninfo = rt_strdup(conninfo);
    s->connect_ms = connect_ms;
    dice_open(&s->dice, "session", ++made);
    if (sessions[h->index] && !sessions[h->index]->owner->alive)
        sessions[h->index] = NULL; /* of an agent that is no more */
    s->next = sessions[h->index];
    sessions[h->index] = s;
    return s;
}

/* Its memory stays: events may still name it. */
void pg_session_free(struct pg_session *s) {
    if (!s)
        return;
    drop(s);
    s->count = 0;
    s->lost = false;
    struct pg_session **at = &sessions[s->server->host->index];
    while (*at && *at != s)
        at = &(*at)->next;
    if (*at)
        *at = s->next;
}

void pg_session_reset(struct pg_session *s) {
    drop(s);
    s->pause_ms = s->retry_at_ms = 0;
    s->refusal = (struct err){0};
}

void pg_session_query(struct pg_session *s, const char *sql, const char *const *params, int n_params, int64_t deadline_boot_ms, pg_done *done, void *context) {
    (void)params;
    (void)n_params;
    if (s->count == QUEUE_MAX) {
        struct pg_result full = {0};
        err_set(&full.err, ERR_LIMIT, "%d queries wait already", QUEUE_MAX);
        done(context, &full);
        return;
    }
    struct query *q = &s->queue[s->count++];
    *q = (struct query){.memory = sql == pg_facts_sql ? NULL : rt_strdup(sql), .deadline_ms = deadline_boot_ms, .done = done, .context = context};
    q->sql = q->memory ? q->memory : sql;
}

bool pg_session_connected(const struct pg_session *s) { return s->state == IDLE || s->state == BUSY; }

int pg_session_backend_pid(const struct pg_session *s) { return pg_session_connected(s) ? 1 : 0; }

/* Processes are woken here, not polled. */
size_t pg_session_pollfd(const struct pg_session *s, struct pollfd *fd) {
    (void)s;
    (void)fd;
    return 0;
}

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
        if (s->queue[i].deadline_ms < next)
            next = s->queue[i].deadline_ms;
    return next;
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

void session_notice(struct postgres *pg) {
    for (struct pg_session *s = sessions[pg->host->index]; s; s = s->next)
        if (s->postmaster_pid && s->owner->alive && !stands(s))
            process_wake(s->owner);
}
