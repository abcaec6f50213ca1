/* HTTP client on libcurl's multi interface; the only file that knows curl. It does no retries of its own, follows no
 * redirects and never logs: what went wrong is classified (http_client_error below) and handed to the caller.
 *
 * Curl itself repeats a request whose kept-alive connection turns out closed before a byte of the answer arrived. So a
 * POST may reach a server twice, as with any network; every step of ours is idempotent for that reason. */
#include "net/http_client.h"
#include "rt/file.h"
#include <curl/curl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#define ANSWER_MAX_DEFAULT ((size_t)4 << 20)
#define CONNECT_MS_DEFAULT 2000
#define CONNECTION_AGE_MAX_S 50L /* below the 60 s after which our server closes idle connections */
#define TLS_FILE_MAX ((size_t)1 << 20)

struct exchange {
    uint64_t id;
    struct http_client *client;
    CURL *easy; /* NULL: could not be started, `err` says why */
    struct curl_slist *headers;
    struct strbuf body;
    size_t body_max;
    http_done *done;
    void *context;
    char *url;
    int64_t deadline_ms, connect_ms;
    char curl_text[CURL_ERROR_SIZE];
    struct err err;
    struct exchange *next;
};

/* Certificates are handed to curl from memory: what tls_usable saw is what is used, also while somebody replaces the
 * files, and curl takes other bytes for another identity, so connections of the old one are not reused. */
struct http_client {
    CURLM *multi;
    bool tls;
    struct strbuf ca, certificate, key;
    struct exchange *exchanges;
    uint64_t last_id;
    struct curl_waitfd *waits;
    size_t waits_capacity;
};

/* ---- classification ---- */

static bool nothing_was_sent(CURL *easy) {
    curl_off_t us = 0;
    return curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &us) == CURLE_OK && us == 0;
}

/* First request on a new connection: the moment at which a TLS 1.3 server tells what it thinks of our certificate,
 * because for the client the handshake is over before the server has looked at it. */
static bool first_on_connection(CURL *easy) {
    long connects = 0;
    return curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects) == CURLE_OK && connects > 0;
}

static void timed_out(struct exchange *x) {
    if (!nothing_was_sent(x->easy))
        err_set(&x->err, ERR_TIMEOUT, "no answer after %lld ms", (long long)x->deadline_ms);
    else
        err_set(&x->err, ERR_UNREACHABLE, "connect: timed out after %lld ms",
                (long long)(x->connect_ms < x->deadline_ms ? x->connect_ms : x->deadline_ms));
}

/* The connection broke while sending (55), receiving (56) or ended without an answer (52). */
static void connection_lost(struct exchange *x, const char *detail) {
    /* A reset can overtake the alert that would have told us. */
    static const char hint[] = "; if it recurs the server may be refusing our TLS certificate";
    if (strstr(detail, "alert"))
        err_set(&x->err, ERR_EXTERNAL,
                "the server refused our TLS certificate: %s; check that it is signed by the server's CA and not expired",
                detail);
    else
        err_set(&x->err, nothing_was_sent(x->easy) ? ERR_UNREACHABLE : ERR_TIMEOUT, "connection lost before the answer: %s%s",
                detail, x->client->tls && first_on_connection(x->easy) ? hint : "");
}

static void handshake_failed(struct exchange *x, const char *detail) {
    if (strstr(detail, "alert"))
        err_set(&x->err, ERR_EXTERNAL, "the server refused the TLS handshake: %s; check certificate and CA on both sides",
                detail);
    else if (strstr(detail, "wrong version number") || strstr(detail, "packet length"))
        err_set(&x->err, ERR_EXTERNAL, "the server does not speak TLS on this port (%s); check the port", detail);
    else
        err_set(&x->err, ERR_UNREACHABLE, "connection closed in the TLS handshake: %s", detail);
}

static void classify(struct exchange *x, CURLcode code) {
    const char *detail = x->curl_text[0] ? x->curl_text : curl_easy_strerror(code);
    switch ((int)code) { /* int: curl has a hundred codes, and new ones with each release */
    case CURLE_OK: return;
    case CURLE_OPERATION_TIMEDOUT: timed_out(x); break;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT: err_set(&x->err, ERR_UNREACHABLE, "connect: %s", detail); break;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE: connection_lost(x, detail); break;
    case CURLE_SSL_CONNECT_ERROR: handshake_failed(x, detail); break;
    case CURLE_PEER_FAILED_VERIFICATION:
        err_set(&x->err, ERR_EXTERNAL,
                "we refused the server's TLS certificate: %s; check that our CA file signed it and that its subject "
                "alternative names hold this address",
                detail);
        break;
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE: err_set(&x->err, ERR_EXTERNAL, "our own TLS files: %s", detail); break;
    case CURLE_WRITE_ERROR: err_set(&x->err, ERR_LIMIT, "the answer is longer than %zu bytes", x->body_max); break;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: err_set(&x->err, ERR_INVALID, "%s", detail); break;
    default: err_set(&x->err, ERR_EXTERNAL, "%s (curl error %d)", detail, (int)code); break;
    }
    err_wrap(&x->err, "%s", x->url);
}

/* ---- one exchange ---- */

static size_t take_body(char *data, size_t size, size_t count, void *context) {
    struct exchange *x = context;
    size_t len = size * count;
    if (len > x->body_max - x->body.len)
        return 0; /* curl ends the transfer with CURLE_WRITE_ERROR */
    strbuf_add_bytes(&x->body, data, len);
    return len;
}

static void set_request(struct exchange *x, const struct http_request *request) {
    CURL *easy = x->easy;
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    if (strcmp(request->method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (strcmp(request->method, "GET") != 0 || request->body.len > 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body.at ? request->body.at : "");
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
        x->headers = curl_slist_append(NULL, "Content-Type: application/json");
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, x->headers);
    }
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)x->deadline_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)x->connect_ms);
}

static void set_connection(CURL *easy) {
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* cancelling does not wait for a resolver thread */
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 10L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 5L);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, CONNECTION_AGE_MAX_S);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "pgregent/" PGREGENT_VERSION);
}

static void set_blob(CURL *easy, CURLoption option, const struct strbuf *pem) {
    struct curl_blob blob = {.data = pem->at, .len = pem->len, .flags = CURL_BLOB_COPY};
    curl_easy_setopt(easy, option, &blob);
}

/* A client with certificates speaks only https, so that a mistyped URL cannot send a document in plain text. */
static void set_tls(const struct http_client *c, CURL *easy) {
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, c->tls ? "https" : "http");
    if (!c->tls)
        return;
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L); /* a resumed session would outlive a change of the CA */
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    set_blob(easy, CURLOPT_CAINFO_BLOB, &c->ca);
    set_blob(easy, CURLOPT_SSLCERT_BLOB, &c->certificate);
    set_blob(easy, CURLOPT_SSLKEY_BLOB, &c->key);
}

static void exchange_free(struct exchange *x) {
    if (x->easy) {
        curl_multi_remove_handle(x->client->multi, x->easy);
        curl_easy_cleanup(x->easy);
    }
    curl_slist_free_all(x->headers);
    strbuf_free(&x->body);
    rt_free(x->url);
    rt_free(x);
}

/* Takes the exchange with this id out of the list; NULL if there is none. */
static struct exchange *unlink_exchange(struct http_client *c, uint64_t id) {
    for (struct exchange **at = &c->exchanges; *at; at = &(*at)->next)
        if ((*at)->id == id) {
            struct exchange *found = *at;
            *at = found->next;
            return found;
        }
    return NULL;
}

static bool start(struct http_client *c, struct exchange *x, const struct http_request *request) {
    if (x->deadline_ms <= 0)
        return err_set(&x->err, ERR_INVALID, "%s: a request needs a deadline", x->url);
    CURL *easy = curl_easy_init();
    if (!easy)
        return err_set(&x->err, ERR_INTERNAL, "%s: curl cannot make a handle", x->url);
    x->easy = easy;
    set_request(x, request);
    set_connection(easy);
    set_tls(c, easy);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->curl_text);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, x);
    CURLMcode code = curl_multi_add_handle(c->multi, easy);
    if (code == CURLM_OK)
        return true;
    curl_easy_cleanup(easy);
    x->easy = NULL;
    return err_set(&x->err, ERR_INTERNAL, "%s: %s", x->url, curl_multi_strerror(code));
}

uint64_t http_client_start(struct http_client *c, const struct http_request *request, http_done *done, void *context) {
    struct exchange *x = rt_alloc(sizeof *x);
    x->id = ++c->last_id;
    x->client = c;
    x->done = done;
    x->context = context;
    x->url = rt_strdup(request->url);
    x->deadline_ms = request->deadline_ms;
    x->connect_ms = request->connect_ms ? request->connect_ms : CONNECT_MS_DEFAULT;
    x->body_max = request->answer_max ? request->answer_max : ANSWER_MAX_DEFAULT;
    x->body.limit = x->body_max;
    x->next = c->exchanges;
    c->exchanges = x;
    start(c, x, request); /* a failure waits in x->err for the next step */
    return x->id;
}

void http_client_cancel(struct http_client *c, uint64_t id) {
    struct exchange *x = unlink_exchange(c, id);
    if (x)
        exchange_free(x);
}

/* ---- the loop ---- */

static void deliver(struct exchange *x) {
    unlink_exchange(x->client, x->id);
    struct http_answer answer = {.body = {x->body.at ? x->body.at : "", x->body.len}, .err = x->err};
    long status = 0;
    if (x->err.code == ERR_NONE && curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
        answer.status = (int)status;
    x->done(x->context, &answer);
    exchange_free(x);
}

static struct exchange *find_unstarted(struct http_client *c) {
    struct exchange *x = c->exchanges;
    while (x && x->easy)
        x = x->next;
    return x;
}

/* Lets curl work and runs the callbacks of what has ended; true if there was one. Bounded by `last`: what callbacks
 * start is looked at in the next step, so two requests that start each other cannot keep the loop here. */
static bool step(struct http_client *c) {
    bool any = false;
    uint64_t last = c->last_id;
    int running;
    curl_multi_perform(c->multi, &running);
    for (struct exchange *x; (x = find_unstarted(c)) && x->id <= last; any = true)
        deliver(x);
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(c->multi, &left)); any = true) {
        char *private = NULL;
        CURLcode code = message->data.result; /* copied: removing the handle frees the message */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        struct exchange *x = (struct exchange *)(void *)private;
        classify(x, code);
        deliver(x);
    }
    return any;
}

/* The owner's descriptors in curl's words. Negative ones are left out, as poll(2) does. */
static unsigned fill_waits(struct http_client *c, const struct pollfd *fds, size_t count) {
    if (count > c->waits_capacity) {
        rt_free(c->waits);
        c->waits = rt_alloc(count * sizeof *c->waits);
        c->waits_capacity = count;
    }
    unsigned used = 0;
    for (size_t i = 0; i < count; i++) {
        if (fds[i].fd < 0)
            continue;
        int events = (fds[i].events & POLLIN ? CURL_WAIT_POLLIN : 0) | (fds[i].events & POLLPRI ? CURL_WAIT_POLLPRI : 0) |
                     (fds[i].events & POLLOUT ? CURL_WAIT_POLLOUT : 0);
        c->waits[used++] = (struct curl_waitfd){.fd = fds[i].fd, .events = (short)events};
    }
    return used;
}

void http_client_wait(struct http_client *c, struct pollfd *fds, size_t count, int64_t timeout_ms) {
    if (step(c) || find_unstarted(c) || timeout_ms < 0)
        timeout_ms = 0;
    for (size_t i = 0; i < count; i++)
        fds[i].revents = 0;
    unsigned used = fill_waits(c, fds, count);
    curl_multi_poll(c->multi, c->waits, used, timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms, NULL);
    /* Curl wakes for POLLHUP and POLLERR but does not report them: a closed pipe would make the caller spin. */
    if (count > 0)
        poll(fds, count, 0);
    step(c);
}

struct outcome {
    bool over;
    int status;
    struct strbuf *body;
    struct err err;
};

static void remember(void *context, const struct http_answer *answer) {
    struct outcome *outcome = context;
    outcome->over = true;
    outcome->status = answer->status;
    outcome->err = answer->err;
    strbuf_add_bytes(outcome->body, answer->body.at, answer->body.len);
}

bool http_client_run(struct http_client *c, const struct http_request *request, int *status, struct strbuf *body, struct err *err) {
    struct outcome outcome = {.body = body};
    http_client_start(c, request, remember, &outcome);
    while (!outcome.over) /* ends: curl keeps the deadline */
        http_client_wait(c, NULL, 0, 1000);
    if (outcome.err.code != ERR_NONE)
        return err_set(err, outcome.err.code, "%s", outcome.err.text);
    *status = outcome.status;
    return true;
}

/* ---- life ---- */

/* With CURLOPT_NOSIGNAL curl leaves SIGPIPE to the program, and OpenSSL writes with plain write(2). */
static void prepare_process(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

static void wipe(struct strbuf *secret) {
    if (secret->at)
        explicit_bzero(secret->at, secret->capacity);
    strbuf_free(secret);
}

bool http_client_reload(struct http_client *c, const struct tls_files *tls, struct err *err) {
    STRBUF ca = {0};
    STRBUF certificate = {0};
    __attribute__((cleanup(wipe))) struct strbuf key = {0};
    if (!tls_usable(tls, err) || !file_read(tls->ca, TLS_FILE_MAX, &ca, err) ||
        !file_read(tls->certificate, TLS_FILE_MAX, &certificate, err) || !file_read(tls->key, TLS_FILE_MAX, &key, err))
        return false;
    struct strbuf old[] = {c->ca, c->certificate, c->key};
    c->ca = ca, c->certificate = certificate, c->key = key;
    ca = old[0], certificate = old[1], key = old[2];
    c->tls = true;
    return true;
}

bool http_client_new(const struct tls_files *tls, struct http_client **out, struct err *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare_process);
    struct http_client *c = rt_alloc(sizeof *c);
    c->multi = curl_multi_init();
    if (!c->multi)
        err_set(err, ERR_INTERNAL, "curl cannot make a multi handle");
    if (!c->multi || (tls && !http_client_reload(c, tls, err))) {
        http_client_free(c);
        return false;
    }
    *out = c;
    return true;
}

void http_client_free(struct http_client *c) {
    if (!c)
        return;
    while (c->exchanges)
        http_client_cancel(c, c->exchanges->id);
    if (c->multi)
        curl_multi_cleanup(c->multi);
    strbuf_free(&c->ca);
    strbuf_free(&c->certificate);
    wipe(&c->key);
    rt_free(c->waits);
    rt_free(c);
}
