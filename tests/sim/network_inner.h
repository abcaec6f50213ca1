/* Between the files of the simulated HTTP: letters (network_letters.c) carry exchanges from clients (network_client.c) to
 * servers (network_server.c) and back. */
#ifndef SIM_NETWORK_INNER_H
#define SIM_NETWORK_INNER_H
#include "net/http_client.h"
#include "net/http_server.h"
#include "tests/sim/network.h"

#define PARAMETERS_MAX 16
struct parameter {
    const char *name, *value;
};

enum exchange_phase {
    EXCHANGE_NEW,        /* the client has not looked at it yet */
    EXCHANGE_CONNECTING,
    EXCHANGE_CONNECTED,  /* the client may send it when it comes round */
    EXCHANGE_SENT,       /* from here on the outcome is unknown until there is an answer */
};

/* One request and what comes of it. Copies of it on the wire are the same exchange; the first answer counts. */
struct exchange {
    struct host *from;   /* NULL: somebody who is no host of ours */
    struct host *to;
    bool post;
    char *path;          /* without the query string */
    char *query;         /* as it stands in the URL, "" when there is none */
    struct parameter parameters[PARAMETERS_MAX];
    size_t parameter_count;
    char *body;
    size_t len;
    char peer_uri[96];   /* of the asker's certificate */
    /* the asker's side */
    enum exchange_phase phase;
    struct http_client *client; /* NULL: of nobody who would still take an answer */
    uint64_t id;
    sim_time connect_until, until;
    http_done *done;
    void *context;
    size_t answer_max;
    void (*told)(void *context, int status, const char *body); /* network_post's */
    bool over;           /* answered, or given up: nothing more counts */
    int status;          /* of the answer; 0 with an error */
    const char *answer;
    size_t answer_len;
    enum err_code error;
    const char *why;     /* of the error; a literal */
    struct exchange *next;
};

/* ---- network_letters.c ---- */
struct exchange *exchange_new(struct host *from, struct host *to, bool post, const char *target, struct bytes body);
/* "https://10.1.0.INDEX:7400/path?query"; NULL: no such URL. *target: from the path on. */
struct host *letters_host_of_url(const char *url, const char **target);
void letters_connect(struct exchange *x);
void letters_send(struct exchange *x);
void letters_answer(struct exchange *x, int status, struct bytes body);
void letters_break(struct exchange *x, enum err_code error, const char *why); /* its connection, by the server's end */

/* ---- network_client.c ---- */
void client_connected(struct exchange *x);
void client_answered(struct exchange *x, int status, const char *body, size_t len);
void client_failed(struct exchange *x, enum err_code error, const char *why);
struct exchange *client_poll_of(const struct host *h); /* the held question that its agent waits for; NULL */
void client_process_ended(const struct process *p);

/* ---- network_server.c ---- */
void server_receive(struct exchange *x);
bool server_listens(const struct host *h);
bool server_stands_still(const struct host *h); /* its process is stopped: connections come in and nobody talks */
int64_t server_life(const struct host *h); /* changes when connections to it are gone, as far as others can see; 0: none listens */
bool server_has_mail(const struct process *p);
void server_process_ended(const struct process *p);
#endif
