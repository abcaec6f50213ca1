/* Addresses in the topology: host and port. Resolves nothing. */
#include "rt/str.h"
#include "wire/topology_file.h"
#include <string.h>

static bool is_port(const char *text, int64_t *port) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] || text[0] == '0') return false;
    *port = 0;
    for (; *text; text++) *port = *port * 10 + (*text - '0');
    return *port <= 65535;
}

/* Where the host begins and how long it is; what is left after it is ":PORT". */
static bool find_host(const char *text, const char **host, size_t *len, const char **port) {
    bool bracketed = text[0] == '[';
    *host = text + bracketed;
    *len = bracketed ? strspn(*host, "0123456789abcdefABCDEF:.") : strcspn(*host, ":");
    if (!bracketed && strspn(*host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") < *len) return false;
    *port = *host + *len;
    if (bracketed && *(*port)++ != ']') return false;
    return *(*port)++ == ':' && *len > 0;
}

/* An address is where others connect to, so "all addresses of this host" is none. */
static bool is_wildcard(const char *host) {
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

bool topology_split_address(const char *text, char *host, size_t host_size, int64_t *port) {
    const char *begin, *port_text;
    size_t len;
    if (!find_host(text, &begin, &len, &port_text) || len >= host_size) return false;
    memcpy(host, begin, len);
    host[len] = '\0';
    return !is_wildcard(host) && is_port(port_text, port);
}

static bool is_loopback(const char *host) {
    return str_starts(host, "127.") || strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0;
}

bool topology_same_host(const char *a, const char *b) {
    return strcmp(a, b) == 0 || (is_loopback(a) && is_loopback(b));
}
