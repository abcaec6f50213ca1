/* What the loop publishes and the HTTP thread answers from: immutable, made after each commit that changed anything. */
#ifndef COORDINATOR_SNAPSHOT_H
#define COORDINATOR_SNAPSHOT_H
#include "coordinator/coordinator.h"

struct snapshot_site {
    char name[NAME_MAX_BYTES];
    char order_hash[HASH_TEXT_MAX];
    struct text *order;     /* published for it; NULL: none */
    int64_t relay_mark;     /* of its own report */
    struct text *relayed;   /* its newest report, as others get to see it */
    struct text *readiness;
};
struct snapshot_operation {
    char id[OP_ID_MAX];
    struct text *document;
};
struct snapshot_cluster {
    char name[NAME_MAX_BYTES];
    char topology_hash[HASH_TEXT_MAX];
    int64_t topology_version;
    bool topology_behind; /* a site holds a newer one: ours is not handed out to members that have one */
    struct text *topology, *status, *explain, *slots, *history;
    struct snapshot_operation operations[OPERATIONS_MAX]; /* newest first */
    uint32_t operation_count;
    int64_t operations_number;
    struct snapshot_site sites[SITES_MAX];
    uint32_t site_count;
};
struct snapshot {
    int64_t made_boot_ms, made_wall_ms, term;
    struct text *metrics;
    struct snapshot_cluster *clusters;
    uint32_t cluster_count;
};
struct snapshot *snapshot_new(const struct coordinator *c);
void snapshot_free(const void *snapshot);
/* Makes the documents of every cluster that needs them anew. */
void documents_refresh(struct coordinator *c);
struct text *metrics_text(const struct coordinator *c);
#endif
