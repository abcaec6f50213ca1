/* One request of the HTTP server: shown to its route, then answered, held until something is published, or put into
 * the mailbox. All of it on the HTTP thread.
 *
 * Answering ends the exchange first and talks to evhttp last: evhttp_send_reply may write at once, fail, and free the
 * connection before it returns. */
#include "net/http_server_parts.h"
#include "rt/clock.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>

const char *http_query_get(const struct http_query *q, const char *name) {
    return evhttp_find_header(q->query_parameters, name);
}

/* HEAD and OPTIONS are shown to routes as GET; what differs is only that their answers have no body. */
static const char *method_name(enum evhttp_cmd_type type) {
    switch ((int)type) { /* int: methods that are not allowed never get here */
    case EVHTTP_REQ_POST: return "POST";
    case EVHTTP_REQ_PUT: return "PUT";
    case EVHTTP_REQ_PATCH: return "PATCH";
    case EVHTTP_REQ_DELETE: return "DELETE";
    default: return "GET";
    }
}

static void stop_waiting(struct http_exchange *x) {
    struct http_exchange **at = &x->connection->port->server->waiting;
    while (*at && *at != x)
        at = &(*at)->next;
    if (*at)
        *at = x->next;
}

static void park(struct http_exchange *x, int64_t ms) {
    struct http_server *s = x->connection->port->server;
    stop_waiting(x);
    x->next = s->waiting;
    s->waiting = x;
    http_arm(x->deadline, ms);
}

static void exchange_free(struct http_exchange *x) {
    stop_waiting(x);
    event_free(x->deadline);
    evhttp_clear_headers(&x->parameters);
    rt_free(x->path);
    rt_free(x->hold_key);
    rt_free(x);
}

/* libevent 2.1 as a rule does not notice that the client of a waiting request is gone (its deadline is for that), but
 * nothing in its interface promises so. */
void http_exchange_drop(struct http_exchange *x) {
    struct evhttp_request *request = x->request;
    exchange_free(x);
    /* After an error evhttp cuts a request that has no answer yet loose from its connection, for us to free. */
    if (!evhttp_request_get_connection(request))
        evhttp_request_free(request);
}

/* ---- answering ---- */

static void add_headers(struct evhttp_request *request, int status, const char *content_type, size_t len, bool closing) {
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    if (status != 204)
        evhttp_add_header(headers, "Content-Type", content_type ? content_type : "application/json");
    if (status == 503)
        evhttp_add_header(headers, "Retry-After", "1");
    if (closing)
        evhttp_add_header(headers, "Connection", "close");
    if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD && status != 204) {
        char text[24];
        snprintf(text, sizeof text, "%zu", len); /* what GET would have brought; evhttp adds it to other methods */
        evhttp_add_header(headers, "Content-Length", text);
    }
}

void http_exchange_answer(struct http_exchange *x, int status, const char *content_type, struct bytes body) {
    struct evhttp_request *request = x->request;
    enum evhttp_cmd_type type = evhttp_request_get_command(request);
    bool bodiless = type == EVHTTP_REQ_HEAD || type == EVHTTP_REQ_OPTIONS || status == 204;
    struct evbuffer *out = evbuffer_new();
    if (!out || (!bodiless && evbuffer_add(out, body.at, body.len) != 0))
        abort();
    add_headers(request, status, content_type, body.len, x->connection->port->server->closing);
    http_connection_write(x->connection, request);
    exchange_free(x);
    evhttp_send_reply(request, status, NULL, out);
    evbuffer_free(out);
}

void http_exchange_refuse(struct http_exchange *x, int status, const char *sentence) {
    STRBUF body = {0};
    /* the error object of docs/api.md */
    strbuf_addf(&body, "{\"error\": {\"code\": \"%s\", \"message\": \"%s\", \"checks\": [], \"cure\": null, \"operation\": null}}\n", status >= 500 ? "busy" : "invalid",
                sentence);
    http_exchange_answer(x, status, NULL, (struct bytes){body.at, body.len});
}

/* ---- waiting ---- */

static void deadline_passed(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct http_exchange *x = context;
    if (x->held) {
        http_exchange_answer(x, 204, NULL, (struct bytes){"", 0});
        return;
    }
    http_mailbox_withdraw(x->connection->port->server->mailbox, x->letter);
    http_exchange_refuse(x, 504, "not answered in time; whether it was done is unknown");
}

static void end_older_holds(struct http_server *s, const char *key) {
    for (struct http_exchange *x = s->waiting, *next; x; x = next) {
        next = x->next;
        if (x->held && str_eq(x->hold_key, key))
            http_exchange_answer(x, 204, NULL, (struct bytes){"", 0});
    }
}

static void hold(struct http_exchange *x, const struct http_reply *reply) {
    int64_t whole = reply->hold_ms < HTTP_HOLD_MAX_MS ? reply->hold_ms : HTTP_HOLD_MAX_MS;
    int64_t left = x->arrived_boot_ms + whole - clock_boot_ms();
    if (!x->held && reply->hold_key) {
        end_older_holds(x->connection->port->server, reply->hold_key);
        x->hold_key = rt_strdup(reply->hold_key);
    }
    x->held = true;
    park(x, left > 0 ? left : 0);
}

/* False if path or query are too long for a letter. */
static bool fill_letter(struct http_letter *letter, struct http_exchange *x, struct bytes body) {
    const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(x->request));
    str_copy(letter->method, sizeof letter->method, method_name(evhttp_request_get_command(x->request)));
    str_copy(letter->peer_address, sizeof letter->peer_address, x->connection->peer_address);
    str_copy(letter->peer_uri, sizeof letter->peer_uri, x->connection->peer_uri);
    letter->body.limit = body.len + 1;
    strbuf_add_bytes(&letter->body, body.at, body.len);
    return str_copy(letter->path, sizeof letter->path, x->path) &&
           str_copy(letter->query, sizeof letter->query, query ? query : "");
}

static void mail(struct http_exchange *x, struct bytes body, int64_t ms) {
    struct http_server *s = x->connection->port->server;
    struct http_letter *letter = http_mailbox_blank(s->mailbox);
    if (!letter) {
        http_exchange_refuse(x, 503, "too many requests are waiting; try again");
        return;
    }
    letter->id = ++s->last_letter;
    if (!fill_letter(letter, x, body)) {
        http_mailbox_discard(s->mailbox, letter);
        http_exchange_refuse(x, 414, "path or query string too long");
        return;
    }
    x->held = false;
    x->letter = letter->id;
    park(x, ms <= 0 ? 10000 : ms < HTTP_MAIL_MAX_MS ? ms : HTTP_MAIL_MAX_MS);
    http_mailbox_put(s->mailbox, letter);
}

struct http_exchange *http_exchange_of_letter(struct http_server *s, uint64_t letter) {
    struct http_exchange *x = s->waiting;
    while (x && x->letter != letter)
        x = x->next;
    return x;
}

/* ---- routing ---- */

/* 0 only at the first look, also when the second comes within the same millisecond. */
static int64_t held_ms(const struct http_exchange *x) {
    int64_t ms = clock_boot_ms() - x->arrived_boot_ms;
    return !x->held ? 0 : ms > 0 ? ms : 1;
}

static struct bytes body_of(struct evhttp_request *request) {
    struct evbuffer *input = evhttp_request_get_input_buffer(request);
    size_t len = evbuffer_get_length(input);
    if (len == 0)
        return (struct bytes){"", 0};
    const unsigned char *at = evbuffer_pullup(input, -1);
    if (!at)
        abort();
    return (struct bytes){(const char *)at, len};
}

void http_exchange_consider(struct http_exchange *x) {
    struct http_port *port = x->connection->port;
    struct http_query query = {
        .method = method_name(evhttp_request_get_command(x->request)),
        .path = x->path,
        .body = body_of(x->request),
        .peer_address = x->connection->peer_address,
        .peer_uri = x->connection->peer_uri,
        .held_ms = held_ms(x),
        .query_parameters = &x->parameters,
    };
    struct http_reply reply = {.status = 200};
    switch (port->route(port->server->context, http_server_snapshot(port->server), &query, &reply)) {
    case HTTP_ANSWER:
        http_exchange_answer(x, reply.status, reply.content_type,
                             (struct bytes){reply.body.at ? reply.body.at : "", reply.body.len});
        break;
    case HTTP_HOLD: hold(x, &reply); break;
    case HTTP_MAIL: mail(x, query.body, reply.mail_ms); break;
    }
    strbuf_free(&reply.body);
}

/* Decodes path and query string; false if they are malformed. A %00 would cut the path short of what it says. */
static bool parse_target(struct http_exchange *x) {
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(x->request);
    const char *query = uri ? evhttp_uri_get_query(uri) : NULL;
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    size_t len = 0;
    char *decoded = path ? evhttp_uridecode(path, 0, &len) : NULL;
    bool sound = decoded && strlen(decoded) == len;
    x->path = rt_strdup(sound ? decoded : "");
    free(decoded);
    return evhttp_parse_query_str(query ? query : "", &x->parameters) == 0 && sound;
}

void http_exchange_begin(struct evhttp_request *request, void *context) {
    struct http_port *port = context;
    struct http_connection *c = http_connection_find(port, request);
    if (!c)
        abort(); /* every bufferevent is ours: see http_connection_new */
    struct http_exchange *x = rt_alloc(sizeof *x);
    x->connection = c;
    x->request = request;
    x->arrived_boot_ms = clock_boot_ms();
    x->deadline = evtimer_new(port->server->base, deadline_passed, x);
    if (!x->deadline)
        abort();
    bool cut = c->phase == HTTP_CUT; /* what had arrived before the cut is still read */
    http_connection_work(c, x);
    bool sound = parse_target(x);
    if (port->tls && !http_connection_is_tls(c))
        http_exchange_refuse(x, 403, "this port speaks TLS only");
    else if (!sound)
        http_exchange_refuse(x, 400, "malformed path or query string");
    else if (cut || port->server->closing)
        http_exchange_refuse(x, 503, cut ? "too many connections" : "shutting down");
    else
        http_exchange_consider(x);
}
