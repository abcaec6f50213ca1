/* The topology file as it is written, before the levels are merged into struct topology, and what its readers share.
 * For topology_*.c only. A value that a level leaves out is told by the node tree, not by the value. */
#ifndef WIRE_TOPOLOGY_FILE_H
#define WIRE_TOPOLOGY_FILE_H
#include "wire/topology.h"

#define TOPOLOGY_PATH_MAX 192
#define VERB_NAME_MAX 16
#define AGENT_PORT 7401
#define TTL_LEAST_MS 2000
#define STOP_TIME_LEAST_MS 500

struct file_member {
    char name[NAME_MAX_BYTES];
    char address[96], agent[96], key[KEY_TEXT_MAX];
    struct field_pair tags[16];
    uint32_t tag_count;
    struct topology_postgresql postgresql;
};
struct file_store {
    char embedded[256];
};
struct file_site {
    char name[NAME_MAX_BYTES];
    struct topology_postgresql postgresql;
    struct topology_local local;
    struct topology_standby standby_cluster;
    struct file_store store;
    struct file_member members[MEMBERS_MAX];
    uint32_t member_count;
};
struct file_operator {
    char name[NAME_MAX_BYTES], key[KEY_TEXT_MAX];
    char may[16][VERB_NAME_MAX];
    uint32_t may_count;
};
struct topology_file {
    int format;
    char cluster[NAME_MAX_BYTES], initial_primary[NAME_MAX_BYTES];
    struct topology_postgresql postgresql;
    struct topology_local local;
    struct file_failover {
        int on_isolated_start;
    } failover;
    struct file_retention {
        int64_t absent_member_ms, absent_site_ms, slot_wal_max;
    } retention;
    struct file_site sites[SITES_MAX];
    uint32_t site_count;
    struct topology_coordinator coordinators[COORDINATORS_MAX];
    uint32_t coordinator_count;
    struct file_keys {
        struct file_operator operators[OPERATORS_MAX];
        uint32_t operator_count;
        struct field_pair approvals[16];
        uint32_t approval_count;
    } keys;
};
extern const struct fields topology_file_table;

/* Where the checks find places and put what they found. */
struct topology_check {
    const struct node *root;
    struct field_problems *problems, *warnings; /* warnings may be NULL */
};
/* At the deepest node along the dotted path. */
const struct node *topology_node(const struct topology_check *c, const char *path);
const struct node *topology_written(const struct topology_check *c, const char *path); /* NULL unless there in full */
void topology_problem(const struct topology_check *c, const char *path, const char *format, ...) __attribute__((format(printf, 3, 4)));
void topology_warning(const struct topology_check *c, const char *path, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* "10.0.1.11:5432", "[2001:db8::1]:5432", "db1.example:5432"; false when it is none of these. */
bool topology_split_address(const char *text, char *host, size_t host_size, int64_t *port);
/* One machine, as far as addresses tell: equal, or both loopback. */
bool topology_same_host(const char *a, const char *b);

/* Names, keys, rights, what is not built (topology_check.c); one part against another (topology_cross.c). */
void topology_check_file(const struct topology_check *c, const struct topology_file *file);
void topology_check_local(const struct topology_check *c, const struct topology_local *local, const char *path);
void topology_check_cross(const struct topology_check *c, const struct topology *t);
#endif
