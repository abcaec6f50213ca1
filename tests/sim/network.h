/* The network between hosts: latency, loss (which TCP turns into delay), partitions by direction and by port. */
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H
#include "tests/sim/sim.h"

enum port { PORT_CONTROL = 1, PORT_REPLICATION = 2, PORT_CLIENT = 4, PORT_ALL = 7 };
struct link {
    int cut;            /* bits of enum port that are dropped in this direction; counted per deed: see link_cut */
    int cuts[3];        /* how many deeds hold each */
    int64_t slow_ms;    /* added delay */
    int loss_permille;
    bool disorder;      /* letters late, twice, in another order */
};
extern struct link links[HOSTS_MAX][HOSTS_MAX]; /* [from][to] */
void network_begin(void);
void link_cut(int from, int to, int ports, bool on); /* nested: as many offs as ons */
void network_heal(void);
bool network_passes(const struct host *from, const struct host *to, enum port port); /* both up, not cut */
sim_time network_delay(const struct host *from, const struct host *to); /* one way, drawn anew each time; loss adds retransmissions */

/* "10.1.0.INDEX:7400": where the coordinator or agent of that host listens; the world writes it into the topology. */
void http_address(const struct host *h, char *to, size_t size);

/* network_client.c, network_server.c: the HTTP client and server of production code (net/http_client.h, net/http_server.h)
 * live on this; network_letters.c carries what they say. */
void http_host_crashed(struct host *h);
void http_process_ended(struct process *p); /* its requests and listeners are gone */
/* Somebody on the wire repeats an old letter (DEED_REPLAY). */
void network_replay(int target, int64_t number);
/* An operator's command, by mutual TLS from nowhere: POST to a coordinator. `answered` gets status 0 when it does not answer in time. */
void network_post(struct host *coordinator, const char *path, const char *body, void (*answered)(void *context, int status, const char *body), void *context);
#endif
