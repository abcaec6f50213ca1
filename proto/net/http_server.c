/* The HTTP server's two threads: start and stop, publishing, and the one eventfd by which the loop thread wakes the
 * HTTP thread. What the threads share is named in http_server_parts.h; evhttp is called on the HTTP thread only. */
#include "net/http_server.h"
#include "net/http_server_parts.h"
#include "rt/log.h"
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BODY_MAX_DEFAULT ((size_t)1 << 20)
#define CONNECTIONS_MAX_DEFAULT 1024
#define CONNECTIONS_PER_PEER_LEAST 64
#define MAILBOX_MAX_DEFAULT 256
#define IO_TIMEOUT_MS_DEFAULT 10000
#define DRAIN_MS 500 /* to get the last answers out before the sockets close */

void http_arm(struct event *timer, int64_t ms) {
    struct timeval after = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    event_add(timer, &after);
}

void http_server_wake(struct http_server *s) {
    eventfd_write(s->wake_fd, 1);
}

/* ---- HTTP thread ---- */

static void discard_snapshot(const struct http_server *s, const void *snapshot) {
    if (snapshot && s->snapshot_free)
        s->snapshot_free(snapshot);
}

const void *http_server_snapshot(struct http_server *s) {
    const void *old = NULL;
    pthread_mutex_lock(&s->lock);
    if (s->fresh) {
        old = s->snapshot;
        s->snapshot = s->published;
        s->fresh = false;
    }
    pthread_mutex_unlock(&s->lock);
    discard_snapshot(s, old);
    return s->snapshot;
}

void http_server_drained(struct http_server *s) {
    if (!s->closing)
        return;
    for (const struct http_connection *c = s->connections; c; c = c->next)
        if (c->phase == HTTP_WRITING)
            return;
    event_base_loopbreak(s->base);
}

static void close_down(struct http_server *s) {
    s->closing = true;
    for (size_t i = 0; i < s->port_count; i++)
        http_port_pause(&s->ports[i]);
    for (struct http_exchange *x = s->waiting, *next; x; x = next) {
        next = x->next;
        http_exchange_refuse(x, 503, "shutting down");
    }
    struct timeval drain = {.tv_usec = DRAIN_MS * 1000};
    event_base_loopexit(s->base, &drain);
    http_server_drained(s);
}

static void send_answers(struct http_server *s) {
    for (struct http_mail_answer *answer; (answer = http_mailbox_next_answer(s->mailbox));) {
        struct http_exchange *x = http_exchange_of_letter(s, answer->id);
        if (x) /* else the client is gone, or was told 504 */
            http_exchange_answer(x, answer->status, answer->content_type,
                                 (struct bytes){answer->body.at ? answer->body.at : "", answer->body.len});
        http_mail_answer_free(answer);
    }
}

static void reconsider_holds(struct http_server *s) {
    for (struct http_exchange *x = s->waiting, *next; x; x = next) {
        next = x->next;
        if (x->held)
            http_exchange_consider(x);
    }
}

static void woken(evutil_socket_t fd, short what, void *context) {
    (void)what;
    struct http_server *s = context;
    eventfd_t ignored;
    eventfd_read((int)fd, &ignored); /* first: whatever is handed over after this wakes us again */
    pthread_mutex_lock(&s->lock);
    bool stop = s->stop;
    bool news = s->news;
    s->news = false;
    pthread_mutex_unlock(&s->lock);
    send_answers(s);
    if (news)
        reconsider_holds(s);
    if (stop && !s->closing)
        close_down(s);
}

static void *serve(void *context) {
    struct http_server *s = context;
    event_base_dispatch(s->base);
    return NULL;
}

/* ---- loop thread ---- */

void http_server_publish(struct http_server *s, const void *snapshot) {
    pthread_mutex_lock(&s->lock);
    const void *unseen = s->fresh ? s->published : NULL;
    s->published = snapshot;
    s->fresh = s->news = true;
    pthread_mutex_unlock(&s->lock);
    discard_snapshot(s, unseen);
    http_server_wake(s);
}

int http_server_mail_fd(const struct http_server *s) {
    return http_mailbox_fd(s->mailbox);
}

bool http_server_take(struct http_server *s, struct http_letter **letter) {
    *letter = http_mailbox_take(s->mailbox);
    return *letter != NULL;
}

void http_server_answer(struct http_server *s, struct http_letter *letter, int status, const char *content_type, struct bytes body) {
    http_mailbox_answer(s->mailbox, letter, status, content_type, body);
    http_server_wake(s);
}

bool http_server_reload(struct http_server *s, struct err *err) {
    SSL_CTX *contexts[HTTP_PORTS_MAX] = {0};
    bool good = true;
    for (size_t i = 0; i < s->port_count && good; i++)
        if (s->ports[i].tls)
            good = (contexts[i] = http_port_load(&s->ports[i], err)) != NULL;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->port_count && good; i++) {
        SSL_CTX *old = s->ports[i].context;
        s->ports[i].context = contexts[i];
        contexts[i] = old;
    }
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < s->port_count; i++)
        SSL_CTX_free(contexts[i]); /* connections that use the old one keep it alive */
    return good;
}

/* ---- life ---- */

static void server_free(struct http_server *s) {
    for (size_t i = 0; i < s->port_count; i++)
        http_port_close(&s->ports[i]);
    http_connections_free(s);
    if (s->wake_event)
        event_free(s->wake_event);
    if (s->base)
        event_base_free(s->base);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    http_mailbox_free(s->mailbox);
    discard_snapshot(s, s->snapshot);
    discard_snapshot(s, s->fresh ? s->published : NULL);
    pthread_mutex_destroy(&s->lock);
    rt_free(s);
}

/* libevent's own words about broken sockets and the like; it has no other way to say them. */
static void libevent_says(int severity, const char *text) {
    if (severity >= EVENT_LOG_WARN)
        log_warning("libevent", F_STR("text", text));
}

static struct http_server *server_new(const struct http_server_options *options) {
    struct http_server *s = rt_alloc(sizeof *s);
    s->context = options->context;
    s->snapshot_free = options->snapshot_free;
    s->body_max = options->body_max ? options->body_max : BODY_MAX_DEFAULT;
    s->connections_max = options->connections_max ? options->connections_max : CONNECTIONS_MAX_DEFAULT;
    s->peer_max = s->connections_max / 8 > CONNECTIONS_PER_PEER_LEAST ? s->connections_max / 8 : CONNECTIONS_PER_PEER_LEAST;
    s->io_timeout_ms = options->io_timeout_ms ? options->io_timeout_ms : IO_TIMEOUT_MS_DEFAULT;
    s->wake_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

static bool prepare(struct http_server *s, const struct http_server_options *options, struct err *err) {
    s->mailbox = http_mailbox_new(options->mailbox_max ? options->mailbox_max : MAILBOX_MAX_DEFAULT, err);
    if (!s->mailbox)
        return false;
    if ((s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0)
        return err_sys(err, errno, "HTTP server: eventfd");
    if (!(s->base = event_base_new()))
        return err_set(err, ERR_INTERNAL, "HTTP server: libevent cannot make an event base");
    s->wake_event = event_new(s->base, s->wake_fd, EV_READ | EV_PERSIST, woken, s);
    if (!s->wake_event || event_add(s->wake_event, NULL) != 0)
        return err_set(err, ERR_INTERNAL, "HTTP server: libevent cannot watch an eventfd");
    for (size_t i = 0; i < options->listener_count && i < HTTP_PORTS_MAX; i++) {
        struct http_port *port = &s->ports[s->port_count++];
        port->server = s;
        if (!http_port_open(port, &options->listeners[i], err))
            return false;
    }
    return true;
}

/* Signals belong to the loop thread; SIGPIPE of a closed client stays blocked here and does no harm. */
static int start_thread(struct http_server *s) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int problem = pthread_create(&s->thread, NULL, serve, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (problem == 0)
        pthread_setname_np(s->thread, "http");
    return problem;
}

bool http_server_start(const struct http_server_options *options, struct http_server **out, struct err *err) {
    event_set_log_callback(libevent_says);
    struct http_server *s = server_new(options);
    int problem = 0;
    if (!prepare(s, options, err) || ((problem = start_thread(s)) && !err_sys(err, problem, "HTTP server: thread"))) {
        server_free(s);
        return false;
    }
    *out = s;
    return true;
}

void http_server_stop(struct http_server *s) {
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_mutex_unlock(&s->lock);
    http_server_wake(s);
    pthread_join(s->thread, NULL);
    server_free(s);
}
