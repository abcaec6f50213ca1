/* Agent and dead-man: deadman.h's client side for the production agent, and the server's end of the conversation. Packets are
 * structs in two queues; each side reads when its loop comes to it, and a broken connection is seen only then. */
#include "tests/sim/deadman_inner.h"
#include "rt/clock.h"
#include "rt/str.h"
#include <string.h>

#define REQUESTS_PER_TURN 16
#define START_MIN (5 * MS)    /* fork, exec, and all that comes before listening */
#define START_MAX (100 * MS)
#define START_WAIT_MS 3000
#define START_LOOK (25 * MS)
#define HEAR_MIN 50           /* us until the other process runs */
#define HEAR_MAX (1 * MS)

struct packet {
    struct packet *next;
    sim_time ready;
    union {
        struct deadman_request request;
        struct deadman_status status;
    };
};
struct queue {
    struct packet *first, **last;
};
struct deadman_client {
    struct process *owner;
    struct deadman *server; /* NULL: its end is closed */
    bool open;              /* as far as the agent has noticed */
    int64_t last_id;
    deadman_event *event;
    void *context;
    struct queue requests, statuses;
};

/* ---- queues ---- */

static struct packet *add(struct queue *q, size_t size) {
    struct packet *p = rt_alloc(offsetof(struct packet, request) + size);
    if (!q->first)
        q->last = &q->first;
    *q->last = p;
    q->last = &p->next;
    return p;
}

static struct packet *take(struct queue *q) {
    struct packet *p = q->first;
    q->first = p->next;
    return p;
}

/* ---- the dead-man's end ---- */

static void close_end(struct deadman_client *c) {
    c->server = NULL;
    process_wake(c->owner);
}

void deadman_hang_up(struct deadman *d) {
    if (d->agent)
        close_end(d->agent);
    d->agent = NULL;
    d->kill_count = 0;
}

void deadman_gone(struct deadman *d) {
    deadman_hang_up(d);
    if (d->arriving)
        close_end(d->arriving);
    d->arriving = NULL;
}

void deadman_accept(struct deadman *d) {
    if (!d->arriving)
        return;
    deadman_hang_up(d);
    d->agent = d->arriving;
    d->arriving = NULL;
}

static void on_ready(void *client, int64_t number) {
    const struct deadman_client *c = client;
    (void)number;
    process_wake(c->owner);
}

void deadman_answer(struct deadman *d, int64_t id, const struct err *why) {
    struct deadman_client *c = d->agent;
    if (!c)
        return;
    struct packet *p = add(&c->statuses, sizeof p->status);
    struct deadman_status *s = &p->status;
    *s = d->now;
    s->id = id;
    s->ok = why == NULL;
    if (why)
        str_copy(s->error, sizeof s->error, why->text);
    s->guard = d->window.guard;
    s->window_open = d->window.away || d->window.missing;
    s->last_window_us = d->window.last_us;
    s->descendants = deadman_tree_lives(d) ? d->pg->postmaster_pid ? 6 : 2 : d->below;
    p->ready = d->busy_until > sim_now ? d->busy_until : sim_now;
    if (p->ready > sim_now)
        sim_at(p->ready, on_ready, c, 0);
    else
        process_wake(c->owner);
}

void deadman_push(struct deadman *d) {
    if (d->changed)
        deadman_answer(d, 0, NULL);
    d->changed = false;
}

void deadman_answer_kills(struct deadman *d) {
    for (size_t i = 0; i < d->kill_count; i++)
        deadman_answer(d, d->kill_ids[i], NULL);
    d->kill_count = 0;
}

static void serve_one(struct deadman *d, const struct deadman_request *r) {
    struct err why = {0};
    bool later = false;
    deadman_deadlines(d);
    bool done = deadman_perform(d, r, &later, &why);
    if (!done)
        sim_say(d->host->name, "the dead-man refuses: %s", why.text);
    if (!done || !later)
        deadman_answer(d, r->id, done ? NULL : &why);
}

void deadman_serve(struct deadman *d) {
    for (int i = 0; i < REQUESTS_PER_TURN && d->agent && d->agent->requests.first && !d->leaving && !d->starting && d->busy_until <= sim_now; i++) {
        struct packet *p = take(&d->agent->requests);
        serve_one(d, &p->request);
        rt_free(p);
    }
    if (d->agent && d->agent->requests.first && !d->starting)
        deadman_wake(d, 0);
}

/* ---- the agent's end ---- */

static sim_time hearing(struct deadman *d) { return dice_between(&d->dice, HEAR_MIN, HEAR_MAX); }

static void on_started(void *host, int64_t boots) {
    struct host *h = host;
    if (h->up && h->boots == boots && !h->deadman) /* else the lock is taken */
        deadman_begin(h);
}

static bool start_it(struct host *h, struct err *err) {
    int64_t until_ms = clock_boot_ms() + START_WAIT_MS;
    struct dice d;
    dice_open(&d, "start of the dead-man", sim_now + h->index);
    sim_at(sim_now + dice_between(&d, START_MIN, START_MAX), on_started, h, h->boots);
    while (!h->deadman && clock_boot_ms() < until_ms)
        process_block(START_LOOK);
    return h->deadman || err_set(err, ERR_TIMEOUT, "the dead-man did not answer within %d ms", START_WAIT_MS);
}

bool deadman_connect(const char *state_dir, const char *binary, deadman_event *event, void *context, struct deadman_client **out, struct err *err) {
    struct host *h = host_self();
    (void)state_dir;
    (void)binary;
    process_point("before the dead-man is reached");
    if (!h->deadman && !start_it(h, err))
        return false;
    struct deadman_client *c = rt_alloc(sizeof *c);
    *c = (struct deadman_client){.owner = process_self(), .server = h->deadman, .open = true, .event = event, .context = context};
    if (h->deadman->arriving)
        close_end(h->deadman->arriving);
    h->deadman->arriving = c;
    deadman_wake(h->deadman, hearing(h->deadman));
    process_point("after the dead-man was reached");
    *out = c;
    return true;
}

static void leave_server(struct deadman_client *c) {
    struct deadman *d = c->server;
    if (d && d->agent == c)
        deadman_hang_up(d);
    if (d && d->arriving == c)
        d->arriving = NULL;
    c->server = NULL;
}

void deadman_disconnect(struct deadman_client *c) {
    if (!c)
        return;
    leave_server(c);
    c->open = false;
}

void deadman_agent_ended(struct process *agent) {
    struct deadman *d = agent->host->deadman;
    if (d && d->agent && d->agent->owner == agent)
        leave_server(d->agent);
    if (d && d->arriving && d->arriving->owner == agent)
        leave_server(d->arriving);
}

bool deadman_alive(const struct deadman_client *c) { return c && c->open; }

int64_t deadman_send(struct deadman_client *c, const struct deadman_request *request) {
    if (!deadman_alive(c))
        return 0;
    process_point("before a word to the dead-man");
    if (!c->server) {
        c->open = false;
        return 0;
    }
    struct packet *p = add(&c->requests, sizeof p->request);
    p->request = *request;
    int64_t id = p->request.id = ++c->last_id;
    deadman_wake(c->server, hearing(c->server));
    process_point("after a word to the dead-man");
    return id;
}

/* Answers wake the process. */
size_t deadman_pollfd(const struct deadman_client *c, struct pollfd *fd) {
    (void)c;
    (void)fd;
    return 0;
}

void deadman_step(struct deadman_client *c) {
    while (deadman_alive(c) && c->statuses.first && c->statuses.first->ready <= sim_now) {
        struct packet *p = take(&c->statuses);
        c->event(c->context, &p->status);
        rt_free(p);
    }
    if (!c->statuses.first && !c->server)
        c->open = false;
}
