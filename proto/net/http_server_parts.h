/* The inside of the HTTP server, shared by its files only: http_server.c (threads, publishing, life), http_port.c
 * (addresses and TLS), http_connection.c (limits and deadlines of connections), http_exchange.c (one request).
 *
 * Who may touch what: fields under `lock` both threads; everything else, after the start, the HTTP thread alone. */
#ifndef NET_HTTP_SERVER_PARTS_H
#define NET_HTTP_SERVER_PARTS_H
#include "net/http_mailbox.h"
#include "net/http_server.h"
#include "net/tls_context.h"
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <pthread.h>

#define HTTP_PORTS_MAX 4
#define HTTP_HEADERS_MAX (16 * 1024)
#define HTTP_IDLE_MS 60000  /* between two requests of a kept-alive connection */
#define HTTP_WRITE_MS 60000 /* for a whole answer: a client that reads slower than that is gone */
#define HTTP_HOLD_MAX_MS 25000
#define HTTP_MAIL_MAX_MS 60000

/* One address that is listened on. */
struct http_port {
    struct http_server *server;
    struct evhttp *http;
    struct evhttp_bound_socket *bound;
    http_route *route;
    bool tls, client_certificates;
    struct tls_files files;
    SSL_CTX *context; /* under the server's lock: reload replaces it */
};

enum http_phase {
    HTTP_NEW,     /* accepted in this very turn of the loop */
    HTTP_READING, /* handshake or request under way: io_timeout_ms */
    HTTP_WORKING, /* the request has its own deadline */
    HTTP_WRITING, /* HTTP_WRITE_MS */
    HTTP_IDLE,    /* HTTP_IDLE_MS */
    HTTP_CUT,     /* its socket is shut down, evhttp will free it */
};

struct http_connection {
    struct http_port *port;
    struct bufferevent *bev;
    struct evbuffer_cb_entry *input_watch;
    struct event *timer;
    enum http_phase phase;
    char peer_address[64], peer_uri[256];
    struct http_exchange *exchange; /* the request that is being worked on */
    struct http_connection *next;
};

/* One request from its arrival to its answer. */
struct http_exchange {
    struct http_connection *connection;
    struct evhttp_request *request;
    struct event *deadline;
    uint64_t letter; /* 0: not mailed */
    bool held;
    int64_t arrived_boot_ms;
    char *path, *hold_key;
    struct evkeyvalq parameters;
    struct http_exchange *next; /* in server->waiting while held or mailed */
};

struct http_server {
    void *context;
    void (*snapshot_free)(const void *snapshot);
    size_t body_max, connections_max, peer_max;
    int64_t io_timeout_ms;
    struct http_port ports[HTTP_PORTS_MAX];
    size_t port_count;
    struct http_mailbox *mailbox;
    struct event_base *base;
    struct event *wake_event;
    int wake_fd;
    pthread_t thread;

    const void *snapshot;
    struct http_connection *connections;
    struct http_exchange *waiting;
    uint64_t last_letter;
    bool closing;

    pthread_mutex_t lock;
    const void *published; /* newest snapshot, if `fresh`: not yet seen by the HTTP thread */
    bool fresh, news, stop; /* news: held requests have not been looked at since the last publish */
};

void http_arm(struct event *timer, int64_t ms);

/* http_server.c */
const void *http_server_snapshot(struct http_server *s); /* the newest one, stays until the next call */
void http_server_wake(struct http_server *s);
void http_server_drained(struct http_server *s); /* ends the loop if it is closing and nothing is being written */

/* http_port.c */
bool http_port_open(struct http_port *port, const struct http_listener *listener, struct err *err);
SSL_CTX *http_port_load(const struct http_port *port, struct err *err);
void http_port_pause(struct http_port *port); /* accepts nothing more */
void http_port_close(struct http_port *port);

/* http_connection.c */
struct bufferevent *http_connection_new(struct event_base *base, void *port); /* evhttp's bevcb */
struct http_connection *http_connection_find(struct http_port *port, struct evhttp_request *request);
bool http_connection_is_tls(const struct http_connection *c);
void http_connection_work(struct http_connection *c, struct http_exchange *x);
void http_connection_write(struct http_connection *c, struct evhttp_request *request);
void http_connections_free(struct http_server *s);

/* http_exchange.c */
void http_exchange_begin(struct evhttp_request *request, void *port); /* evhttp's gencb */
void http_exchange_consider(struct http_exchange *x); /* calls the route and does what it says */
void http_exchange_answer(struct http_exchange *x, int status, const char *content_type, struct bytes body);
void http_exchange_refuse(struct http_exchange *x, int status, const char *sentence);
struct http_exchange *http_exchange_of_letter(struct http_server *s, uint64_t letter);
void http_exchange_drop(struct http_exchange *x); /* its connection is going away */
#endif
