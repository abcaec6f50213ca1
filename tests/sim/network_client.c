/* net/http_client.h for the daemons. As with curl, everything happens inside http_client_wait: requests go out, connections
 * are made, deadlines pass and callbacks run there, so a process that stands still does none of it. */
#include "tests/sim/network_inner.h"
#include <string.h>

#define CONNECT_MS_DEFAULT 2000
#define ANSWER_MAX_DEFAULT ((size_t)4 << 20)
#define CONNECTION_AGE_MAX (50 * SECOND)
#define LEAST_WAIT 100 /* us: what a turn of a loop takes of its processor */

/* A connection that is kept open. */
struct connection {
    int64_t life; /* of the server at its other end */
    sim_time used;
};
struct http_client {
    struct host *host;
    struct process *process;
    struct exchange *exchanges; /* oldest first */
    uint64_t last_id;
    struct connection connections[HOSTS_MAX];
};
static struct http_client *clients[HOSTS_MAX];

bool http_client_new(const struct tls_files *tls, struct http_client **out, struct err *err) {
    (void)tls;
    (void)err;
    struct http_client *c = rt_alloc(sizeof *c);
    c->process = process_self();
    c->host = host_self();
    clients[c->host->index] = c;
    *out = c;
    return true;
}

static void forget(struct http_client *c) {
    for (struct exchange *x = c->exchanges; x; x = x->next) {
        x->over = true;
        x->client = NULL;
    }
    c->exchanges = NULL;
    if (clients[c->host->index] == c)
        clients[c->host->index] = NULL;
}

void http_client_free(struct http_client *c) {
    if (!c)
        return;
    forget(c);
    rt_free(c);
}

void client_process_ended(const struct process *p) {
    struct http_client *c = clients[p->host->index];
    if (c && c->process == p)
        forget(c);
}

/* ---- starting ---- */

static void append(struct http_client *c, struct exchange *x) {
    struct exchange **at = &c->exchanges;
    while (*at)
        at = &(*at)->next;
    *at = x;
}

uint64_t http_client_start(struct http_client *c, const struct http_request *request, http_done *done, void *context) {
    const char *target = "";
    struct host *to = letters_host_of_url(request->url, &target);
    struct exchange *x = exchange_new(c->host, to ? to : c->host, str_eq(request->method, "POST"), target, request->body);
    x->client = c;
    x->id = ++c->last_id;
    x->done = done;
    x->context = context;
    x->until = sim_now + request->deadline_ms * MS;
    x->connect_until = sim_now + (request->connect_ms ? request->connect_ms : CONNECT_MS_DEFAULT) * MS;
    if (x->connect_until > x->until)
        x->connect_until = x->until;
    x->answer_max = request->answer_max ? request->answer_max : ANSWER_MAX_DEFAULT;
    append(c, x);
    if (!to || request->deadline_ms <= 0)
        client_failed(x, ERR_INVALID, to ? "a request needs a deadline" : "no such URL");
    return x->id;
}

static void unlink_exchange(struct http_client *c, const struct exchange *x) {
    for (struct exchange **at = &c->exchanges; *at; at = &(*at)->next)
        if (*at == x) {
            *at = x->next;
            return;
        }
}

void http_client_cancel(struct http_client *c, uint64_t id) {
    for (struct exchange *x = c->exchanges; x; x = x->next)
        if (x->id == id) {
            unlink_exchange(c, x);
            x->over = true;
            x->client = NULL;
            return;
        }
}

/* ---- what comes of it: called by events ---- */

static void conclude(struct exchange *x) {
    x->over = true;
    if (x->told)
        x->told(x->context, x->status, x->answer ? x->answer : "");
    else if (x->client)
        process_wake(x->client->process);
}

void client_connected(struct exchange *x) {
    if (x->over)
        return;
    x->phase = EXCHANGE_CONNECTED;
    process_wake(x->client->process);
}

void client_answered(struct exchange *x, int status, const char *body, size_t len) {
    if (x->over)
        return;
    x->status = status;
    x->answer = body;
    x->answer_len = len;
    conclude(x);
}

void client_failed(struct exchange *x, enum err_code error, const char *why) {
    if (x->over)
        return;
    x->error = error;
    x->why = why;
    conclude(x);
}

struct exchange *client_poll_of(const struct host *h) {
    for (struct exchange *x = clients[h->index] ? clients[h->index]->exchanges : NULL; x; x = x->next)
        if (x->phase == EXCHANGE_SENT && !x->over && str_eq(x->path, "/v1/orders"))
            return x;
    return NULL;
}

/* ---- the loop ---- */

static sim_time limit_of(const struct exchange *x) { return x->phase == EXCHANGE_SENT ? x->until : x->connect_until; }
static bool has_ended(const struct exchange *x) { return x->over || sim_now >= limit_of(x); }

static bool is_connected(const struct http_client *c, const struct host *to) {
    const struct connection *k = &c->connections[to->index];
    return k->life && k->life == server_life(to) && sim_now - k->used < CONNECTION_AGE_MAX;
}

static void send_now(struct exchange *x) {
    process_point("before a request goes out");
    x->phase = EXCHANGE_SENT;
    letters_send(x);
    process_point("after a request went out");
}

static void get_on(struct http_client *c, struct exchange *x) {
    if (has_ended(x) || x->phase == EXCHANGE_CONNECTING || x->phase == EXCHANGE_SENT)
        return;
    if (x->phase == EXCHANGE_CONNECTED || is_connected(c, x->to)) {
        send_now(x);
        return;
    }
    x->phase = EXCHANGE_CONNECTING;
    letters_connect(x);
}

/* As curl does, deadlines are looked at before what has come in meanwhile. */
static void settle(struct exchange *x) {
    bool late = sim_now >= limit_of(x) && x->error != ERR_INVALID;
    if (late) {
        x->error = x->phase == EXCHANGE_SENT ? ERR_TIMEOUT : ERR_UNREACHABLE;
        x->why = x->phase == EXCHANGE_SENT ? "no answer in time" : "connect: timed out";
    } else if (!x->error && x->answer_len > x->answer_max) {
        x->error = ERR_LIMIT;
        x->why = "the answer is too long";
    }
    x->over = true;
    count(x->error == ERR_TIMEOUT ? "requests timed out" : x->error ? "requests failed" : "requests answered");
}

static void deliver(struct http_client *c, struct exchange *x) {
    settle(x);
    unlink_exchange(c, x);
    x->client = NULL;
    c->connections[x->to->index] = x->error ? (struct connection){0} : (struct connection){server_life(x->to), sim_now};
    struct http_answer answer = {.status = x->error ? 0 : x->status, .body = {"", 0}};
    if (x->error)
        err_set(&answer.err, x->error, "%s: %s", x->to->name, x->why);
    else
        answer.body = (struct bytes){x->answer, x->answer_len};
    x->done(x->context, &answer);
}

static struct exchange *first_ended(const struct http_client *c, uint64_t last) {
    for (struct exchange *x = c->exchanges; x; x = x->next)
        if (x->id <= last && has_ended(x))
            return x;
    return NULL;
}

/* True if a callback ran. What callbacks start is looked at in the next step. */
static bool step(struct http_client *c) {
    bool any = false;
    uint64_t last = c->last_id;
    for (struct exchange *x = c->exchanges; x; x = x->next)
        get_on(c, x);
    for (struct exchange *x; (x = first_ended(c, last)); any = true)
        deliver(c, x);
    return any;
}

/* Sources of the loop have no descriptors here: whoever has something for a process wakes it, and it reads them all. */
void http_client_wait(struct http_client *c, struct pollfd *fds, size_t count_of_fds, int64_t timeout_ms) {
    bool at_once = step(c) || timeout_ms <= 0 || server_has_mail(c->process);
    sim_time until = at_once ? sim_now : host_when_boot_ms(c->host, host_boot_ms(c->host) + timeout_ms);
    for (size_t i = 0; i < count_of_fds; i++)
        fds[i].revents = 0;
    for (const struct exchange *x = c->exchanges; x; x = x->next)
        until = limit_of(x) < until ? limit_of(x) : until;
    process_wait(until > sim_now + LEAST_WAIT ? until : sim_now + LEAST_WAIT);
    step(c);
}

/* ---- both halves ---- */

void http_process_ended(struct process *p) {
    server_process_ended(p);
    client_process_ended(p);
}
