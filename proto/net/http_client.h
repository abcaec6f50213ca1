/* HTTP client on libcurl's multi interface, and the one place where a daemon's loop waits: http_client_wait polls
 * curl's sockets together with the owner's descriptors. Single-threaded: one client per loop. */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H
#include "net/tls.h"
#include "rt/err.h"
#include "rt/str.h"
#include <poll.h>
#include <stdint.h>

struct http_client;
struct http_request {
    const char *method;       /* "GET", "POST", "PUT" */
    const char *url;          /* https://host:port/path */
    struct bytes body;        /* copied */
    int64_t deadline_ms;      /* for the whole exchange, from now; required */
    int64_t connect_ms;       /* 0: 2000 */
    size_t answer_max;        /* 0: 4 MiB; beyond it the request fails with ERR_LIMIT */
};
struct http_answer {
    int status;        /* 0: no answer; then err says why: ERR_UNREACHABLE (nothing was sent), ERR_TIMEOUT (outcome
                          unknown: no answer in time, or the connection broke before it), ERR_EXTERNAL (TLS refused:
                          the text says which side and what to check), ERR_LIMIT, ERR_INVALID */
    struct bytes body; /* valid during the callback; NUL-terminated too */
    struct err err;
};
/* Called from http_client_wait. It may start further requests and cancel others. */
typedef void http_done(void *context, const struct http_answer *answer);

/* tls NULL: plain http only (tests, health). Keeps connections alive and reuses them. TLS 1.3, peer and host verified.
 * Proxies from the environment are ignored. A client with certificates refuses http:// URLs. The first client makes
 * the process ignore SIGPIPE, unless it handles it. */
bool http_client_new(const struct tls_files *tls, struct http_client **out, struct err *err);
void http_client_free(struct http_client *c); /* cancels what runs, without callbacks */
/* New certificates for connections made from now on. */
bool http_client_reload(struct http_client *c, const struct tls_files *tls, struct err *err);
/* Returns an id > 0 for http_client_cancel. Failures to start are delivered by the callback, too. */
uint64_t http_client_start(struct http_client *c, const struct http_request *request, http_done *done, void *context);
void http_client_cancel(struct http_client *c, uint64_t id); /* no callback */
/* Waits until curl has work, an fd is ready (revents set) or timeout_ms passed; runs finished callbacks. Any number of fds. */
void http_client_wait(struct http_client *c, struct pollfd *fds, size_t count, int64_t timeout_ms);
/* One exchange to its end: for the command-line program and tests. The body is appended to `body`. */
bool http_client_run(struct http_client *c, const struct http_request *request, int *status, struct strbuf *body, struct err *err);
#endif
