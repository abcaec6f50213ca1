/* What the loop publishes and the HTTP thread answers from: immutable, made anew after each tick that changed anything. */
#ifndef AGENT_SNAPSHOT_H
#define AGENT_SNAPSHOT_H
#include "net/http_server.h"
#include "wire/report.h"

struct snapshot_rule {
    char concern[12], id[8], name[32], sentence[256];
    bool waits_for_person;
};
struct snapshot {
    struct report report;          /* as this member sees its site */
    struct member_status self;
    bool leader;                   /* holds the site lease, deadline not passed when published */
    int64_t lease_deadline_boot_ms;/* compare with the clock at each answer */
    int64_t ticked_boot_ms;        /* when the loop last came round: /liveness */
    int64_t ttl_ms;
    bool primary_site;             /* the site's order says primary and it has opened */
    bool in_recovery, postmaster;
    char scope[NAME_MAX_BYTES], server_version[32];
    int64_t server_version_num, postmaster_started_wall_ms;
    int64_t received_lsn_lag_bytes;/* replica: upstream's position - replayed; -1 unknown */
    struct field_pair tags[16];
    uint32_t tag_count;
    struct snapshot_rule rules[4]; /* lease, orders, role, slots */
    int64_t certificate_expiry_wall_ms;
};
/* Patroni's health endpoints and /metrics (plain listener). */
enum http_verdict health_route(void *context, const void *snapshot, const struct http_query *query, struct http_reply *reply);
/* /v1/ of the agent (mutual TLS). */
enum http_verdict api_route(void *context, const void *snapshot, const struct http_query *query, struct http_reply *reply);
#endif
