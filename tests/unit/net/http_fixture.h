/* A small HTTP service and its clients for the tests: the test's own thread is the loop thread. Routes:
 *   /state      the published text, 503 before the first publish
 *   /who        address and SAN URI of the peer
 *   /echo?x=    method, path, x and length of the body
 *   /hold?ms=&key=  held until a text other than "quiet" is published
 *   /mail?ms=   to the mailbox
 *   /big        more than fits into the socket buffers */
#ifndef TESTS_NET_HTTP_FIXTURE_H
#define TESTS_NET_HTTP_FIXTURE_H
#include "net/http_client.h"
#include "net/http_server.h"
#include "rt/clock.h"
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define BIG_BYTES (32 << 20)
#define PATIENCE_MS 20000 /* a test that waits this long has failed */

static atomic_int snapshots_alive;
static atomic_int holds_seen; /* by the route, repeated looks not counted */

static inline void snapshot_free(const void *snapshot) {
    snapshots_alive--;
    free((void *)(uintptr_t)snapshot);
}

static inline void publish(struct http_server *s, const char *text) {
    snapshots_alive++;
    http_server_publish(s, strdup(text));
}

static inline long number(const struct http_query *q, const char *name) {
    const char *text = http_query_get(q, name);
    return text ? strtol(text, NULL, 10) : 0;
}

static inline enum http_verdict route(void *context, const void *snapshot, const struct http_query *q, struct http_reply *reply) {
    (void)context;
    if (str_eq(q->path, "/hold") && (!snapshot || str_eq(snapshot, "quiet"))) {
        reply->hold_ms = number(q, "ms");
        reply->hold_key = http_query_get(q, "key");
        holds_seen += q->held_ms == 0;
        return HTTP_HOLD;
    }
    if (str_eq(q->path, "/mail")) {
        reply->mail_ms = number(q, "ms");
        return HTTP_MAIL;
    }
    reply->content_type = "text/plain";
    if (str_eq(q->path, "/who"))
        strbuf_addf(&reply->body, "%s %s", q->peer_address, q->peer_uri);
    else if (str_starts(q->path, "/echo"))
        strbuf_addf(&reply->body, "%s %s %s %zu", q->method, q->path,
                    http_query_get(q, "x") ? http_query_get(q, "x") : "-", q->body.len);
    else if (str_eq(q->path, "/big"))
        for (int i = 0; i < BIG_BYTES / 16; i++)
            strbuf_add(&reply->body, "0123456789abcdef");
    else if (snapshot)
        strbuf_addf(&reply->body, "%s", (const char *)snapshot);
    else
        reply->status = 503;
    return HTTP_ANSWER;
}

/* Starts a server with one listener on a free port of 127.0.0.1. */
static inline struct http_server *serve_with(struct http_server_options options, const struct tls_files *tls) {
    options.listeners[0] = (struct http_listener){
        .address = "127.0.0.1:0", .tls = tls, .client_certificates = tls != NULL, .route = route};
    options.listener_count = 1;
    options.snapshot_free = snapshot_free;
    struct http_server *s;
    struct err err = {0};
    if (!http_server_start(&options, &s, &err))
        fail_msg("%s", err.text);
    return s;
}

static inline struct http_client *client_with(const struct tls_files *tls) {
    struct http_client *c;
    struct err err = {0};
    if (!http_client_new(tls, &c, &err))
        fail_msg("%s", err.text);
    return c;
}

/* What became of a request. */
struct got {
    bool over;
    int status;
    char body[256];
    struct err err;
};

static inline void on_answer(void *context, const struct http_answer *answer) {
    struct got *got = context;
    got->over = true;
    got->status = answer->status;
    got->err = answer->err;
    str_copy(got->body, sizeof got->body, answer->body.at);
}

static inline const char *url_of(struct http_server *s, const char *scheme, const char *path) {
    static char url[4][1024];
    static unsigned turn;
    char *to = url[turn++ % 4];
    snprintf(to, sizeof url[0], "%s://127.0.0.1:%d%s", scheme, http_server_port(s, 0), path);
    return to;
}

static inline uint64_t request(struct http_client *c, struct got *got, const char *method, const char *url, const char *body) {
    *got = (struct got){0};
    return http_client_start(c,
                             &(struct http_request){.method = method,
                                                    .url = url,
                                                    .body = {body, body ? strlen(body) : 0},
                                                    .deadline_ms = PATIENCE_MS},
                             on_answer, got);
}

static inline void await(struct http_client *c, const struct got *got) {
    int64_t end = clock_boot_ms() + 2 * PATIENCE_MS;
    while (!got->over && clock_boot_ms() < end)
        http_client_wait(c, NULL, 0, end - clock_boot_ms());
    assert_true(got->over);
}

/* Until the route has seen that many holds since the test's own start of counting. */
static inline void await_holds(struct http_client *c, int count) {
    int64_t end = clock_boot_ms() + PATIENCE_MS;
    while (holds_seen < count && clock_boot_ms() < end)
        http_client_wait(c, NULL, 0, 1);
    assert_in_range(holds_seen, count, 1000000);
}

static inline struct got ask(struct http_client *c, const char *method, const char *url, const char *body) {
    struct got got;
    request(c, &got, method, url, body);
    await(c, &got);
    return got;
}

/* Runs the client until a letter comes. */
static inline struct http_letter *await_letter(struct http_server *s, struct http_client *c) {
    struct http_letter *letter = NULL;
    int64_t end = clock_boot_ms() + PATIENCE_MS;
    while (!http_server_take(s, &letter) && clock_boot_ms() < end) {
        struct pollfd mail = {.fd = http_server_mail_fd(s), .events = POLLIN};
        http_client_wait(c, &mail, 1, end - clock_boot_ms());
    }
    assert_non_null(letter);
    return letter;
}

static inline void answer_text(struct http_server *s, struct http_letter *letter, int status, const char *text) {
    http_server_answer(s, letter, status, "text/plain", (struct bytes){text, strlen(text)});
}

#define assert_answer(outcome, expected_status, expected_body)                                                             \
    do {                                                                                                               \
        struct got got_ = (outcome);                                                                                   \
        if (got_.status != (expected_status))                                                                          \
            fail_msg("status %d, not %d: %s%s", got_.status, (expected_status), got_.body, got_.err.text);             \
        assert_string_equal(got_.body, (expected_body));                                                               \
    } while (0)

#define assert_error(outcome, expected_code, expected_text)                                                                \
    do {                                                                                                               \
        struct got got_ = (outcome);                                                                                   \
        if (got_.err.code != (expected_code) || !strstr(got_.err.text, (expected_text)))                               \
            fail_msg("expected %s with '%s', got %d %s: %s", err_code_name(expected_code), (expected_text),            \
                     got_.status, err_code_name(got_.err.code), got_.err.text);                                        \
    } while (0)

/* ---- a client that does as it likes ---- */

static inline int raw_connect(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static inline void raw_send(int fd, const char *text) {
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Reads until the text appears; false when the server closes first. */
static inline bool raw_expect(int fd, const char *text) {
    char seen[4096] = "";
    size_t len = 0;
    while (!strstr(seen, text) && len < sizeof seen - 1) {
        ssize_t n = recv(fd, seen + len, sizeof seen - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        seen[len] = '\0';
    }
    return strstr(seen, text) != NULL;
}

/* Waits for the end of the stream; false if nothing ends within the patience. */
static inline bool raw_closed(int fd) {
    char dropped[4096];
    ssize_t n;
    while ((n = recv(fd, dropped, sizeof dropped, 0)) > 0)
        ;
    return n == 0 || errno == ECONNRESET || errno == EPIPE;
}
#endif
