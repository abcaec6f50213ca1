/* net/http_server.h for the daemons: what their HTTP thread does. It answers from the newest snapshot while the loop waits
 * for a disk, and stands still when the process is stopped. */
#include "rt/clock.h"
#include "tests/sim/network_inner.h"
#include <stdio.h>
#include <string.h>

#define MAILBOX_MAX_DEFAULT 256
#define MAIL_MS_DEFAULT 10000
#define MAIL_MS_MAX 60000
#define HOLD_MS_MAX 25000
#define LOOK_AGAIN (20 * MS) /* while the process is stopped */
#define HAND_OVER_MOST 2000  /* us until the HTTP thread looks at what was published */

/* A request that has come in. */
struct call {
    struct http_server *server;
    struct exchange *exchange;
    int64_t arrived_boot_ms;
    char *hold_key;
    bool held, over;
    struct mail *mail; /* NULL: not mailed */
    struct call *next; /* in server->waiting */
};
struct mail {
    struct http_letter letter; /* first: the owner holds a pointer to it */
    struct call *call;
    struct mail *next;
};
struct http_server {
    struct host *host;
    struct process *process;
    struct http_server_options options;
    const void *snapshot;
    struct call *waiting; /* held or mailed, oldest first */
    struct mail *mails;   /* not taken, oldest first */
    size_t mail_count;    /* those taken and not yet answered, too */
    uint64_t last_letter;
    bool news;            /* held requests have not been looked at since the last publish */
};
static struct http_server *servers[HOSTS_MAX];
static int64_t lives[HOSTS_MAX], last_life;

static struct dice *dice(void) {
    static struct dice d;
    static bool open;
    if (!open)
        dice_open(&d, "http threads", 0);
    open = true;
    return &d;
}

static bool is_alive(const struct http_server *s) { return servers[s->host->index] == s; }

bool server_listens(const struct host *h) { return servers[h->index] != NULL; }
bool server_stands_still(const struct host *h) { return servers[h->index] && servers[h->index]->process->paused; }
int64_t server_life(const struct host *h) { return lives[h->index]; }

bool server_has_mail(const struct process *p) {
    const struct http_server *s = servers[p->host->index];
    return s && s->process == p && s->mails;
}

/* ---- what a route sees ---- */

const char *http_query_get(const struct http_query *q, const char *name) {
    const struct exchange *x = q->query_parameters;
    for (size_t i = 0; i < x->parameter_count; i++)
        if (str_eq(x->parameters[i].name, name))
            return x->parameters[i].value;
    return NULL;
}

const char *http_query_name(const struct http_query *q, size_t index) {
    const struct exchange *x = q->query_parameters;
    return index < x->parameter_count ? x->parameters[index].name : NULL;
}

/* ---- waiting calls ---- */

static void stop_waiting(struct call *call) {
    for (struct call **at = &call->server->waiting; *at; at = &(*at)->next)
        if (*at == call) {
            *at = call->next;
            return;
        }
}

static void wait_longer(struct call *call) {
    struct call **at = &call->server->waiting;
    while (*at)
        at = &(*at)->next;
    call->next = NULL;
    *at = call;
}

static void answer(struct call *call, int status, struct bytes body) {
    stop_waiting(call);
    call->over = true;
    letters_answer(call->exchange, status, body);
}

static void refuse(struct call *call, int status, const char *sentence) {
    char body[256];
    int len = snprintf(body, sizeof body, "{\"error\": {\"code\": \"busy\", \"message\": \"%s\", \"checks\": [], \"cure\": null, \"operation\": null}}", sentence);
    answer(call, status, (struct bytes){body, (size_t)len});
}

static void withdraw(struct mail *mail) {
    struct http_server *s = mail->call->server;
    for (struct mail **at = &s->mails; *at; at = &(*at)->next)
        if (*at == mail) {
            *at = mail->next;
            s->mail_count--;
            return;
        }
}

static void deadline_passed(void *context, int64_t number) {
    struct call *call = context;
    if (call->over || !is_alive(call->server))
        return;
    if (call->server->process->paused) {
        sim_at(sim_now + LOOK_AGAIN, deadline_passed, call, number);
        return;
    }
    if (!call->mail) {
        answer(call, 204, (struct bytes){"", 0});
        return;
    }
    withdraw(call->mail);
    count("letters unanswered by the loop");
    refuse(call, 504, "not answered in time; whether it was done is unknown");
}

/* ---- what a route says ---- */

static void end_older_holds(struct http_server *s, const char *key) {
    for (struct call *call = s->waiting, *next; call; call = next) {
        next = call->next;
        if (call->held && str_eq(call->hold_key, key))
            answer(call, 204, (struct bytes){"", 0});
    }
}

static void hold(struct call *call, const struct http_reply *reply) {
    if (call->held)
        return; /* goes on waiting, for the same deadline */
    if (reply->hold_key) {
        end_older_holds(call->server, reply->hold_key);
        call->hold_key = rt_strdup(reply->hold_key);
    }
    call->held = true;
    count("polls held");
    wait_longer(call);
    int64_t hold_ms = reply->hold_ms < HOLD_MS_MAX ? reply->hold_ms : HOLD_MS_MAX;
    sim_at(sim_now + hold_ms * MS, deadline_passed, call, 0);
}

static struct mail *mail_of(struct call *call) {
    const struct exchange *x = call->exchange;
    struct mail *mail = rt_alloc(sizeof *mail);
    struct http_letter *letter = &mail->letter;
    letter->id = ++call->server->last_letter;
    str_copy(letter->method, sizeof letter->method, x->post ? "POST" : "GET");
    str_copy(letter->path, sizeof letter->path, x->path);
    str_copy(letter->query, sizeof letter->query, x->query);
    str_copy(letter->peer_uri, sizeof letter->peer_uri, x->peer_uri);
    strbuf_add_bytes(&letter->body, x->body, x->len);
    mail->call = call;
    return mail;
}

static void put(struct http_server *s, struct mail *mail) {
    struct mail **at = &s->mails;
    while (*at)
        at = &(*at)->next;
    *at = mail;
    s->mail_count++;
    process_wake(s->process);
}

static void mail_it(struct call *call, int64_t ms) {
    struct http_server *s = call->server;
    size_t most = s->options.mailbox_max ? s->options.mailbox_max : MAILBOX_MAX_DEFAULT;
    if (s->mail_count >= most) {
        count("mailbox full");
        refuse(call, 503, "too many requests are waiting; try again");
        return;
    }
    call->mail = mail_of(call);
    call->held = false;
    wait_longer(call);
    ms = ms <= 0 ? MAIL_MS_DEFAULT : ms < MAIL_MS_MAX ? ms : MAIL_MS_MAX;
    sim_at(sim_now + ms * MS, deadline_passed, call, 0);
    put(s, call->mail);
}

static int64_t held_ms(const struct call *call) {
    int64_t ms = clock_boot_ms() - call->arrived_boot_ms;
    return !call->held ? 0 : ms > 0 ? ms : 1;
}

static void consider(struct call *call) {
    struct http_server *s = call->server;
    const struct exchange *x = call->exchange;
    struct http_query query = {.method = x->post ? "POST" : "GET", .path = x->path, .body = {x->body, x->len}, .peer_address = x->from ? x->from->name : "",
                               .peer_uri = x->peer_uri, .held_ms = held_ms(call), .query_parameters = x};
    struct http_reply reply = {.status = 200};
    switch (s->options.listeners[0].route(s->options.context, s->snapshot, &query, &reply)) {
    case HTTP_ANSWER:
        answer(call, reply.status, (struct bytes){reply.body.at ? reply.body.at : "", reply.body.len});
        break;
    case HTTP_HOLD:
        hold(call, &reply);
        break;
    case HTTP_MAIL:
        mail_it(call, reply.mail_ms);
        break;
    }
    strbuf_free(&reply.body);
}

/* ---- the HTTP thread's turns ---- */

static void receive_again(void *exchange, int64_t number) {
    (void)number;
    server_receive(exchange);
}

void server_receive(struct exchange *x) {
    struct http_server *s = servers[x->to->index];
    if (!x->to->up)
        return;
    if (!s) {
        letters_break(x, ERR_TIMEOUT, "connection lost before the answer");
        return;
    }
    if (s->process->paused) {
        sim_at(sim_now + LOOK_AGAIN, receive_again, x, 0);
        return;
    }
    struct host *before = host_act_as(s->host);
    struct call *call = rt_alloc(sizeof *call);
    call->server = s;
    call->exchange = x;
    call->arrived_boot_ms = clock_boot_ms();
    consider(call);
    host_act_as(before);
}

static void reconsider_holds(void *server, int64_t number) {
    struct http_server *s = server;
    if (!s->news || !is_alive(s))
        return;
    if (s->process->paused) {
        sim_at(sim_now + LOOK_AGAIN, reconsider_holds, s, number);
        return;
    }
    s->news = false;
    struct host *before = host_act_as(s->host);
    for (struct call *call = s->waiting, *next; call; call = next) {
        next = call->next;
        if (call->held)
            consider(call);
    }
    host_act_as(before);
}

/* ---- the loop's side ---- */

static void discard(const struct http_server *s, const void *snapshot) {
    if (snapshot && s->options.snapshot_free)
        s->options.snapshot_free(snapshot);
}

/* The HTTP thread may be quicker than the loop's next step, or not come round before the process is killed. */
void http_server_publish(struct http_server *s, const void *snapshot) {
    process_point("before a snapshot is published");
    discard(s, s->snapshot);
    s->snapshot = snapshot;
    if (s->waiting) {
        s->news = true;
        if (dice_chance(dice(), 500))
            reconsider_holds(s, 0);
        else
            sim_at(sim_now + dice_between(dice(), 0, HAND_OVER_MOST), reconsider_holds, s, 0);
    }
    process_point("after a snapshot was published");
}

int http_server_mail_fd(const struct http_server *s) {
    (void)s;
    return -1; /* http_client_wait looks for itself */
}

bool http_server_take(struct http_server *s, struct http_letter **letter) {
    struct mail *mail = s->mails;
    if (!mail)
        return false;
    s->mails = mail->next;
    *letter = &mail->letter;
    return true;
}

void http_server_answer(struct http_server *s, struct http_letter *letter, int status, const char *content_type, struct bytes body) {
    struct mail *mail = (struct mail *)letter; /* letter is its first member */
    (void)content_type;
    process_point("before a letter is answered");
    s->mail_count--;
    if (!mail->call->over)
        answer(mail->call, status, body);
    strbuf_free(&letter->body);
    rt_free(mail);
    process_point("after a letter was answered");
}

bool http_server_reload(struct http_server *s, struct err *err) {
    (void)s;
    (void)err;
    return true;
}

/* ---- life ---- */

bool http_server_start(const struct http_server_options *options, struct http_server **out, struct err *err) {
    struct host *h = host_self();
    if (servers[h->index])
        return err_set(err, ERR_CONFLICT, "listen on %s: address already in use", options->listeners[0].address);
    struct http_server *s = rt_alloc(sizeof *s);
    s->host = h;
    s->process = process_self();
    s->options = *options;
    servers[h->index] = s;
    lives[h->index] = ++last_life;
    *out = s;
    return true;
}

/* With `broken` the other ends get to see it; a host without power says nothing. */
static void end(struct http_server *s, bool broken) {
    servers[s->host->index] = NULL;
    if (broken)
        lives[s->host->index] = 0;
    for (struct call *call = s->waiting; call; call = call->next) {
        call->over = true;
        if (broken && !call->exchange->over)
            letters_break(call->exchange, ERR_TIMEOUT, "connection lost before the answer");
    }
    s->waiting = NULL;
}

void http_server_stop(struct http_server *s) {
    if (!s || !is_alive(s))
        return;
    for (struct call *call = s->waiting, *next; call; call = next) {
        next = call->next;
        refuse(call, 503, "shutting down");
    }
    end(s, true);
}

void server_process_ended(const struct process *p) {
    struct http_server *s = servers[p->host->index];
    if (s && s->process == p)
        end(s, true);
}

void http_host_crashed(struct host *h) {
    if (servers[h->index])
        end(servers[h->index], false);
}
