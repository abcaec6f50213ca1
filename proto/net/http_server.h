/* HTTP/1.1 server on libevent's evhttp in a thread of its own. It answers from what the owner published and hands
 * changes over through a bounded mailbox, so the loop thread never waits for a client and shares no state with one.
 *
 *   loop thread                                   HTTP thread
 *   http_server_publish(snapshot) --eventfd-->    route(GET) answers from the snapshot, or holds the request
 *   http_server_take() <--eventfd-- mailbox <--   route(POST) puts a letter (full: 503 with Retry-After)
 *   http_server_answer(letter)     --eventfd-->   sends the answer
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H
#include "net/tls.h"
#include "rt/err.h"
#include "rt/str.h"
#include <stdint.h>

struct http_server;

/* What a route sees. Text is valid during the call. */
struct http_query {
    const char *method; /* GET (for HEAD and OPTIONS, too) POST PUT PATCH DELETE */
    const char *path;   /* decoded, without the query string */
    struct bytes body;
    const char *peer_address;
    const char *peer_uri;         /* SAN URI of the client certificate, "" in plain HTTP */
    int64_t held_ms;              /* 0 at the first call; then how long the request has been held */
    const void *query_parameters; /* use http_query_get */
};
const char *http_query_get(const struct http_query *q, const char *name); /* NULL when absent */
const char *http_query_name(const struct http_query *q, size_t index);   /* name of the parameter at 0, 1, ...; NULL behind the last */

enum http_verdict {
    HTTP_ANSWER, /* status, type and body are filled */
    HTTP_HOLD,   /* look at it again after the next publish, until hold_ms is over; then 204 */
    HTTP_MAIL,   /* give it to the loop thread as a letter; the loop answers within mail_ms, else 504 */
};
struct http_reply {
    int status;
    const char *content_type; /* NULL: application/json */
    struct strbuf body;       /* freed by the server */
    int64_t hold_ms;          /* HTTP_HOLD: whole time since arrival, at most 25000 */
    const char *hold_key;     /* HTTP_HOLD: a newer held request with the same key ends the older with 204; copied */
    int64_t mail_ms;          /* HTTP_MAIL: 0 = 10000 */
};
/* Runs on the HTTP thread with the newest snapshot (NULL before the first publish). Must not block. HEAD is routed as
 * GET and loses its body; OPTIONS likewise. */
typedef enum http_verdict http_route(void *context, const void *snapshot, const struct http_query *query, struct http_reply *reply);

struct http_listener {
    const char *address;         /* "127.0.0.1:7400" or "[::1]:7400" */
    const struct tls_files *tls; /* NULL: plain HTTP */
    bool client_certificates;    /* require one signed by the CA */
    http_route *route;
};
struct http_server_options {
    struct http_listener listeners[4];
    size_t listener_count;
    void *context;
    void (*snapshot_free)(const void *snapshot); /* called when no request can see it any more, on either thread */
    size_t body_max;        /* 0: 1 MiB; beyond: 413 */
    size_t connections_max; /* 0: 1024 over all; per peer address an eighth, at least 64 */
    size_t mailbox_max;     /* 0: 256 letters */
    int64_t io_timeout_ms;  /* 0: 10000: handshake, header and body of one request, absolute, dripping or not */
};

/* Binds and starts the thread. An address in use is ERR_CONFLICT and names it. */
bool http_server_start(const struct http_server_options *options, struct http_server **out, struct err *err);
void http_server_stop(struct http_server *s); /* ends held requests with 503, joins; letters taken must be answered before */
int http_server_port(const struct http_server *s, size_t listener); /* the port bound, for addresses like 127.0.0.1:0 */
bool http_server_reload(struct http_server *s, struct err *err); /* rereads the TLS files; on error the old stay */
/* Takes ownership of the immutable snapshot. Loop thread only. */
void http_server_publish(struct http_server *s, const void *snapshot);

/* A request in the mailbox. Text and body belong to the letter. */
struct http_letter {
    uint64_t id;
    char method[8];
    char path[512];
    char query[1024]; /* raw query string */
    char peer_address[64];
    char peer_uri[256];
    struct strbuf body;
};
int http_server_mail_fd(const struct http_server *s); /* readable while letters wait; for the loop's poll */
bool http_server_take(struct http_server *s, struct http_letter **letter); /* false: empty */
/* Answers and frees the letter. If the client is gone the answer is dropped. Body is copied. */
void http_server_answer(struct http_server *s, struct http_letter *letter, int status, const char *content_type, struct bytes body);
#endif
