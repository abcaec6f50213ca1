/* Connections of the HTTP server: how many there may be, and how long each may take over what it is doing. evhttp has
 * neither limit, and it tells of a connection only once a whole request has come; so each is entered here when its
 * bufferevent is made, looked at when it has its socket, and struck off when evhttp closes it.
 *
 * A connection is ended by shutdown(2) on its socket: evhttp sees the end of the stream and frees everything itself. */
#include "net/http_server_parts.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#define DROP_READS_MAX 64

static void enter(struct http_connection *c, enum http_phase phase, int64_t ms) {
    c->phase = phase;
    http_arm(c->timer, ms);
}

static void cut(struct http_connection *c) {
    c->phase = HTTP_CUT;
    shutdown(bufferevent_getfd(c->bev), SHUT_RDWR);
}

static void connection_free(struct http_connection *c) {
    struct http_server *s = c->port->server;
    struct http_connection **at = &s->connections;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    evbuffer_remove_cb_entry(bufferevent_get_input(c->bev), c->input_watch);
    if (c->phase == HTTP_NEW)
        bufferevent_decref(c->bev);
    event_free(c->timer);
    rt_free(c);
    http_server_drained(s);
}

/* Closing a socket with unread bytes resets it, and the reset overtakes the TLS alert or the 413 that would have told
 * the client what was wrong. */
static void drop_unread(struct http_connection *c) {
    char dropped[4096];
    for (int i = 0; i < DROP_READS_MAX; i++)
        if (recv(bufferevent_getfd(c->bev), dropped, sizeof dropped, MSG_DONTWAIT) <= 0)
            break;
}

/* evhttp is about to free the connection, whatever the cause. */
static void closed(struct evhttp_connection *evcon, void *context) {
    (void)evcon;
    struct http_connection *c = context;
    if (c->exchange)
        http_exchange_drop(c->exchange);
    drop_unread(c);
    connection_free(c);
}

/* The first byte of the next request on an idle connection starts its clock. */
static void input_came(struct evbuffer *input, const struct evbuffer_cb_info *info, void *context) {
    (void)input;
    struct http_connection *c = context;
    if (info->n_added > 0 && c->phase == HTTP_IDLE)
        enter(c, HTTP_READING, c->port->server->io_timeout_ms);
}

/* Counts those that were let in before, not the rest of the batch that accept(2) has just brought. */
static bool too_many(const struct http_connection *c) {
    const struct http_server *s = c->port->server;
    size_t all = 0, of_peer = 0;
    for (const struct http_connection *other = s->connections; other; other = other->next) {
        bool inside = other != c && other->phase != HTTP_NEW && other->phase != HTTP_CUT;
        all += inside;
        of_peer += inside && str_eq(other->peer_address, c->peer_address);
    }
    return all >= s->connections_max || of_peer >= s->peer_max;
}

/* First look at a connection, now that evhttp has given its bufferevent a socket. The callback argument of the
 * bufferevent is evhttp's connection object; it is NULL if evhttp has given up already. */
static void admit(struct http_connection *c) {
    void *evcon = NULL;
    bufferevent_getcb(c->bev, NULL, NULL, NULL, &evcon);
    if (!evcon) {
        connection_free(c);
        return;
    }
    char *address = NULL;
    uint16_t port;
    evhttp_connection_get_peer(evcon, &address, &port);
    str_copy(c->peer_address, sizeof c->peer_address, address);
    evhttp_connection_set_closecb(evcon, closed, c);
    int fd = bufferevent_getfd(c->bev);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    enter(c, HTTP_READING, c->port->server->io_timeout_ms);
    bufferevent_decref(c->bev);
    if (c->port->server->closing || too_many(c))
        cut(c);
}

static void timer_fired(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct http_connection *c = context;
    if (c->phase == HTTP_NEW)
        admit(c);
    else
        cut(c);
}

/* NULL would make evhttp serve this connection in plain text, so there is no way out but success. */
static struct bufferevent *make_bufferevent(struct event_base *base, struct http_port *port) {
    struct bufferevent *bev;
    if (!port->tls)
        bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    else {
        pthread_mutex_lock(&port->server->lock);
        SSL *ssl = SSL_new(port->context);
        pthread_mutex_unlock(&port->server->lock);
        if (!ssl)
            abort();
        bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    }
    if (!bev)
        abort();
    return bev;
}

struct bufferevent *http_connection_new(struct event_base *base, void *context) {
    struct http_port *port = context;
    struct http_server *s = port->server;
    struct http_connection *c = rt_alloc(sizeof *c);
    c->port = port;
    c->bev = make_bufferevent(base, port);
    c->timer = evtimer_new(base, timer_fired, c);
    if (!c->timer)
        abort();
    /* evhttp reads on while it writes an answer and has no bound then. */
    bufferevent_setwatermark(c->bev, EV_READ, 0, s->body_max + 2 * HTTP_HEADERS_MAX);
    c->input_watch = evbuffer_add_cb(bufferevent_get_input(c->bev), input_came, c);
    c->next = s->connections;
    s->connections = c;
    bufferevent_incref(c->bev); /* until admit has looked */
    event_active(c->timer, EV_TIMEOUT, 1);
    return c->bev;
}

struct http_connection *http_connection_find(struct http_port *port, struct evhttp_request *request) {
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
    struct http_connection *c = port->server->connections;
    while (c && c->bev != bev)
        c = c->next;
    if (c && c->phase == HTTP_NEW)
        admit(c);
    return c;
}

bool http_connection_is_tls(const struct http_connection *c) {
    return bufferevent_openssl_get_ssl(c->bev) != NULL;
}

void http_connection_work(struct http_connection *c, struct http_exchange *x) {
    c->phase = HTTP_WORKING;
    c->exchange = x;
    event_del(c->timer);
    const SSL *ssl = bufferevent_openssl_get_ssl(c->bev);
    if (ssl && c->peer_uri[0] == '\0')
        tls_peer_uri(ssl, c->peer_uri, sizeof c->peer_uri);
}

static void answer_written(struct evhttp_request *request, void *context) {
    (void)request;
    struct http_connection *c = context;
    bool more = evbuffer_get_length(bufferevent_get_input(c->bev)) > 0;
    if (more)
        enter(c, HTTP_READING, c->port->server->io_timeout_ms);
    else
        enter(c, HTTP_IDLE, HTTP_IDLE_MS);
    http_server_drained(c->port->server);
}

void http_connection_write(struct http_connection *c, struct evhttp_request *request) {
    c->exchange = NULL;
    enter(c, HTTP_WRITING, HTTP_WRITE_MS);
    evhttp_request_set_on_complete_cb(request, answer_written, c);
}

void http_connections_free(struct http_server *s) {
    while (s->connections)
        connection_free(s->connections);
}
