/* What Patroni's endpoints say about this member at the moment of the answer. For health*.c only. */
#ifndef AGENT_HEALTH_H
#define AGENT_HEALTH_H
#include "rt/json.h"
#include "site-agent/snapshot.h"

struct health {
    const struct snapshot *s;
    int64_t now_boot_ms;
    bool leads; /* the lease's deadline has not passed now, whatever was true at publishing */
    bool primary, standby_leader, replica;
    bool running; /* PostgreSQL takes connections, as Patroni's state "running" */
};
void health_judge(const struct snapshot *s, int64_t now_boot_ms, struct health *out);
const char *health_replication_state(const struct health *h); /* "streaming", "in archive recovery", "" */
bool health_cluster_unlocked(const struct health *h);

/* The documents of /patroni and every check, /cluster, /history. */
json_t *health_status(const struct health *h);
json_t *health_cluster(const struct health *h);
json_t *health_history(const struct health *h);
/* Prometheus text. */
void health_metrics(const struct health *h, struct strbuf *to);
#endif
