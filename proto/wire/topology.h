/* The topology: what people write, review and sign. The file travels unaltered inside a DSSE envelope (TOPOLOGY_TYPE)
 * over {cluster, topology_version, previous, file}; coordinator, agents and the command parse those very bytes
 * (protocol 3.9). Reading applies defaults, inherits the nearest level and reports every mistake in one run. */
#ifndef WIRE_TOPOLOGY_H
#define WIRE_TOPOLOGY_H
#include "wire/envelope.h"
#include "wire/order.h"

#define TOPOLOGY_TYPE "application/vnd.pgregent.topology.v1+json"
#define TOPOLOGY_FILE_MAX (256 * 1024)
#define PARAMETERS_MAX 96
#define PG_HBA_MAX 48
#define OPERATORS_MAX 16
#define COORDINATORS_MAX 5
#define KEY_TEXT_MAX 64 /* "ed25519:" + base64 of 32 bytes */

struct topology_postgresql { /* merged: member over site over cluster */
    int64_t version;
    char data_dir[256];
    struct field_pair parameters[PARAMETERS_MAX];
    uint32_t parameter_count;
    char pg_hba[PG_HBA_MAX][256];
    uint32_t pg_hba_count;
};
struct topology_local {
    int64_t ttl_ms, stop_time_ms; /* default 10s, 4s */
    bool failsafe_mode;           /* only the default is built */
    int64_t maximum_lag_on_failover;
};
struct topology_member {
    char name[NAME_MAX_BYTES];
    char host[64]; /* from address */
    int64_t port;
    char agent[96]; /* host:port of /v1/ */
    char key[KEY_TEXT_MAX];
    struct field_pair tags[16];
    uint32_t tag_count;
    struct topology_postgresql postgresql; /* merged */
};
struct topology_standby { /* standby_cluster */
    char upstream[NAME_MAX_BYTES]; /* "": whoever is primary */
    char create_replica_methods[4][32]; /* only basebackup is built */
    uint32_t create_replica_method_count;
    char restore_command[512];
    int64_t recovery_min_apply_delay_ms; /* only 0 is built */
};
struct topology_site {
    char name[NAME_MAX_BYTES];
    char embedded[256]; /* store: directory of the embedded store */
    bool standby_given; /* has a standby_cluster section */
    struct topology_standby standby;
    struct topology_local local; /* merged */
    struct topology_member members[MEMBERS_MAX];
    uint32_t member_count;
};
struct topology_operator {
    char name[NAME_MAX_BYTES], key[KEY_TEXT_MAX];
    bool may[16]; /* by enum verb */
};
struct topology_coordinator {
    char name[NAME_MAX_BYTES], address[96], key[KEY_TEXT_MAX];
};
struct topology {
    /* from the envelope */
    int64_t topology_version;
    char previous[HASH_TEXT_MAX]; /* "" for the first */
    char hash[HASH_TEXT_MAX];     /* of this payload */
    /* from the file */
    char cluster[NAME_MAX_BYTES], initial_primary[NAME_MAX_BYTES];
    int64_t absent_member_ms, absent_site_ms, slot_wal_max; /* retention */
    bool isolated_start_open; /* failover.on_isolated_start: open (default wait) */
    struct topology_site sites[SITES_MAX];
    uint32_t site_count;
    struct topology_operator operators[OPERATORS_MAX];
    uint32_t operator_count;
    struct topology_coordinator coordinators[COORDINATORS_MAX];
    uint32_t coordinator_count;
};

/* Parses and checks a topology file offline. NULL-safe: on problems returns false and fills `problems`, all of them in
 * one run. Warnings (one lost key locks everybody out, ...) go to `warnings` (may be NULL) and do not fail. */
bool topology_parse(const char *file_name, struct bytes text, struct topology *out, struct field_problems *problems, struct field_problems *warnings);

/* Seals: the envelope's payload for `file` as version `version` after `previous` ("" first). */
void topology_payload(const char *cluster, int64_t version, const char *previous, struct bytes file, struct strbuf *payload);
/* Opens an envelope, checks that at least one signature is by an operator who may `apply` according to `trusted` (the
 * present topology) or, when trusted is NULL, by one of the pinned keys; then parses payload and file. */
bool topology_open(struct bytes envelope, const struct topology *trusted, const char (*pinned)[KEY_TEXT_MAX], size_t pinned_count,
                   struct topology *out, struct strbuf *file, struct err *err);

/* An envelope that was verified before and kept in a private place: its form is checked, its signers are not. */
bool topology_reopen(struct bytes envelope, struct topology *out, struct err *err);
/* One of the signatures was made by this key, written as in the file ("ed25519:..."). */
bool topology_signed_by(const struct envelope *e, const char *key);

const struct topology_site *topology_site(const struct topology *t, const char *site);
const struct topology_member *topology_member(const struct topology *t, const char *site, const char *member);
/* Site and member by the URI of a certificate pgregent://CLUSTER/SITE/MEMBER; false if not of this topology. */
bool topology_by_uri(const struct topology *t, const char *uri, const char **site, const char **member);
const struct topology_operator *topology_operator(const struct topology *t, const char *key);
const struct topology_coordinator *topology_coordinator(const struct topology *t, const char *name);
/* The names of all verbs, all keys with type, default and reason: Markdown, for docs/topology.md. */
void topology_reference(struct strbuf *to);
#endif
