/* One address of the HTTP server: the socket, its TLS context, and evhttp with our bounds in place of its defaults. */
#include "net/http_server_parts.h"
#include <arpa/inet.h>
#include <errno.h>
#include <event2/listener.h>
#include <string.h>
#include <sys/socket.h>

#define BACKLOG 128
#define ACCEPT_PAUSE_MS 100

static void resume(evutil_socket_t fd, short what, void *listener) {
    (void)fd, (void)what;
    evconnlistener_enable(listener);
}

/* accept(2) failed, as a rule for want of descriptors. The connection stays in the queue and the socket readable, so
 * without a pause the thread would spin. */
static void accept_failed(struct evconnlistener *listener, void *context) {
    (void)context;
    evconnlistener_disable(listener);
    struct timeval pause = {.tv_usec = ACCEPT_PAUSE_MS * 1000};
    event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, resume, listener, &pause);
}

/* Numeric "host:port" or "[host]:port". libevent refuses port 0 and takes an address without a port for it, so both
 * ways round are mended here: the port must be written, and 0 means a free one. */
static bool parse_address(const char *text, struct sockaddr_storage *to, int *len, struct err *err) {
    char host[64] = "";
    const char *colon = strrchr(text, ':');
    bool has_port = colon && colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1);
    if (has_port && str_eq(colon, ":0") && (size_t)(colon - text) < sizeof host)
        memcpy(host, text, (size_t)(colon - text));
    *len = sizeof *to;
    if (has_port && evutil_parse_sockaddr_port(host[0] ? host : text, (struct sockaddr *)to, len) == 0 &&
        (to->ss_family == AF_INET || text[0] == '['))
        return true;
    return err_set(err, ERR_INVALID, "listen on %s: write a numeric address and a port, as 127.0.0.1:7400 or [::1]:7400", text);
}

static struct evconnlistener *listen_on(struct event_base *base, const char *text, struct err *err) {
    struct sockaddr_storage address;
    int len;
    if (!parse_address(text, &address, &len, err))
        return NULL;
    errno = 0;
    struct evconnlistener *listener =
        evconnlistener_new_bind(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
                                BACKLOG, (struct sockaddr *)&address, len);
    if (!listener && errno == EADDRINUSE)
        err_set(err, ERR_CONFLICT, "listen on %s: another program has this address (ss -ltnp shows which)", text);
    else if (!listener)
        err_sys(err, errno, "listen on %s", text);
    return listener;
}

static void configure(struct http_port *port) {
    const struct http_server *s = port->server;
    evhttp_set_allowed_methods(port->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_POST |
                                               EVHTTP_REQ_PUT | EVHTTP_REQ_PATCH | EVHTTP_REQ_DELETE);
    evhttp_set_max_headers_size(port->http, HTTP_HEADERS_MAX);
    evhttp_set_max_body_size(port->http, (ev_ssize_t)s->body_max);
    evhttp_set_bevcb(port->http, http_connection_new, port);
    evhttp_set_gencb(port->http, http_exchange_begin, port);
}

SSL_CTX *http_port_load(const struct http_port *port, struct err *err) {
    return tls_context_server(&port->files, port->client_certificates, err);
}

bool http_port_open(struct http_port *port, const struct http_listener *listener, struct err *err) {
    port->route = listener->route;
    port->tls = listener->tls != NULL;
    port->client_certificates = listener->client_certificates;
    if (port->tls) {
        port->files = *listener->tls;
        if (!(port->context = http_port_load(port, err)))
            return err_wrap(err, "listen on %s", listener->address);
    } else if (listener->client_certificates)
        return err_set(err, ERR_INVALID, "listen on %s: client certificates need TLS files", listener->address);
    struct evconnlistener *socket = listen_on(port->server->base, listener->address, err);
    if (!socket)
        return false;
    evconnlistener_set_error_cb(socket, accept_failed);
    port->http = evhttp_new(port->server->base);
    port->bound = port->http ? evhttp_bind_listener(port->http, socket) : NULL;
    if (!port->bound) {
        evconnlistener_free(socket);
        return err_set(err, ERR_INTERNAL, "listen on %s: libevent has no memory", listener->address);
    }
    configure(port);
    return true;
}

void http_port_pause(struct http_port *port) {
    evconnlistener_disable(evhttp_bound_socket_get_listener(port->bound));
}

void http_port_close(struct http_port *port) {
    if (port->http)
        evhttp_free(port->http);
    SSL_CTX_free(port->context);
}

int http_server_port(const struct http_server *s, size_t listener) {
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    if (listener >= s->port_count ||
        getsockname(evhttp_bound_socket_get_fd(s->ports[listener].bound), (struct sockaddr *)&address, &len) != 0)
        return 0;
    return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
                                         : ntohs(((struct sockaddr_in *)&address)->sin_port);
}
