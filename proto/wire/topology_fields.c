/* Every key of the topology file: type, default, what it is for and why one would change it. The reference page is
 * made of these tables; what is known and not built is refused here by name. */
#include "wire/topology_file.h"

#define KEY(T, text, m) .name = (text), .offset = offsetof(T, m), .size = sizeof(((T *)0)->m)
/* A key that has no place in the structs yet: everything but the value in `built` is refused. */
#define NOT_BUILT_MAP(text, d) {.name = (text), .type = FIELD_TYPE_TEXT_MAP, .flags = FIELD_LATER, .max = 16, .doc = (d)}
#define NOT_BUILT_CHOICE(text, n, built, d)                                                                            \
    {.name = (text), .type = FIELD_TYPE_ENUM, .names = (n), .flags = FIELD_LATER, .otherwise = (built), .doc = (d)}

static const char *const format_names[] = {"1", NULL};
static const char *const synchronous_names[] = {"off", "on", "quorum", NULL};
static const char *const protection_names[] = {"max_performance", "max_availability", "max_protection", NULL};
static const char *const manual_names[] = {"manual", "automatic", NULL};
static const char *const isolated_names[] = {"wait", "open", NULL};

static const struct field postgresql_fields[] = {
    FIELD_INT64(struct topology_postgresql, version, "15", 13, 16, 0,
                "major version on every member; a changed one is refused by apply, an upgrade is a new cluster"),
    FIELD_TEXT(struct topology_postgresql, data_dir, 0,
               "data directory, absolute; default /var/lib/postgresql/CLUSTER/data; change it when the data lie on a volume of their own, "
               "or when two members share a host"),
    FIELD_TEXT_MAP(struct topology_postgresql, parameters, parameter_count, 0,
                   "PostgreSQL parameters, merged key by key over the levels; those that pgregent sets itself are refused"),
    FIELD_TEXTS(struct topology_postgresql, pg_hba, pg_hba_count, 0,
                "lines of pg_hba.conf, put after pgregent's own; the nearest level's list is taken whole"),
    FIELD_END};
static const struct fields postgresql_table = FIELDS("postgresql", struct topology_postgresql, postgresql_fields);

static const struct field local_fields[] = {
    {KEY(struct topology_local, "ttl", ttl_ms), .type = FIELD_TYPE_CUSTOM, .codec = &field_duration_ms, .low = TTL_LEAST_MS, .high = 3600000,
     .otherwise = "10s", .doc = "length of the site lease: after this long without a renewal the primary is stopped and another member may "
                                "lead; longer where the store or the disks stall now and then, shorter for a quicker local failover, but not "
                                "below the time that a question to another site and its answer take by way of the coordinator: a cold start of the primary waits for them"},
    {KEY(struct topology_local, "stop_time", stop_time_ms), .type = FIELD_TYPE_CUSTOM, .codec = &field_duration_ms, .low = STOP_TIME_LEAST_MS,
     .high = 3600000, .otherwise = "4s", .doc = "time kept at the end of ttl for stopping PostgreSQL: demotion begins at ttl - stop_time; "
                                                "longer where backends die slowly"},
    NOT_BUILT_CHOICE("synchronous_mode", synchronous_names, "off", "synchronous replication among the members of a site; only off"),
    FIELD_BOOL(struct topology_local, failsafe_mode, "true", 0,
               "keep the primary while the store is away and all members agree; not in effect yet (a primary without its store stops), "
               "so writing true is warned of"),
    FIELD_CUSTOM(struct topology_local, maximum_lag_on_failover, &field_size_bytes, "1MB", 0,
                 "a member further behind than this does not take over locally; larger where commits may be lost rather than time"),
    FIELD_END};
static const struct fields local_table = FIELDS("local", struct topology_local, local_fields);

static const struct field failover_fields[] = {
    NOT_BUILT_CHOICE("mode", manual_names, "manual", "automatic failover between sites; only manual"),
    NOT_BUILT_CHOICE("reinstate", manual_names, "manual", "bringing a former primary site back by itself; only manual"),
    FIELD_CHOICE(struct file_failover, on_isolated_start, isolated_names, 0,
                 "a primary site that was down as a whole waits until every site that may be primary confirms its epoch, or a person does; "
                 "open: it opens at once, which can give two primaries after a forced move"),
    FIELD_END};
static const struct fields failover_table = FIELDS("failover", struct file_failover, failover_fields);

static const struct field retention_fields[] = {
    {KEY(struct file_retention, "absent_member", absent_member_ms), .type = FIELD_TYPE_CUSTOM, .codec = &field_duration_ms,
     .otherwise = "30m", .doc = "how long an absent member keeps its slot; longer for long maintenance, shorter for small disks"},
    {KEY(struct file_retention, "absent_site", absent_site_ms), .type = FIELD_TYPE_CUSTOM, .codec = &field_duration_ms, .otherwise = "24h",
     .doc = "how long an absent site keeps its slots; after that it is copied anew"},
    {KEY(struct file_retention, "slot_wal_max", slot_wal_max), .type = FIELD_TYPE_CUSTOM, .codec = &field_size_bytes, .otherwise = "20GB",
     .doc = "most WAL that one slot may keep (max_slot_wal_keep_size): what the disk can spare"},
    FIELD_END};
static const struct fields retention_table = FIELDS("retention", struct file_retention, retention_fields);

static const struct field standby_fields[] = {
    FIELD_TEXT(struct topology_standby, upstream, 0, "site to stream from; default whoever is primary; name one to cascade"),
    FIELD_TEXTS(struct topology_standby, create_replica_methods, create_replica_method_count, 0,
                "how the first member gets its copy; default and only one built: basebackup"),
    FIELD_TEXT(struct topology_standby, restore_command, 0,
               "fetches WAL from an archive when streaming cannot; set it where there is an archive that every member of the site reaches"),
    {KEY(struct topology_standby, "recovery_min_apply_delay", recovery_min_apply_delay_ms), .type = FIELD_TYPE_CUSTOM, .flags = FIELD_LATER,
     .codec = &field_duration_ms, .otherwise = "0", .doc = "a site that replays late, against mistakes of people; only 0"},
    FIELD_END};
static const struct fields standby_table = FIELDS("standby_cluster", struct topology_standby, standby_fields);

static const struct field store_fields[] = {
    FIELD_TEXT(struct file_store, embedded, 0,
               "directory of the embedded store, absolute, on a local disk: for a site whose members share one host"),
    NOT_BUILT_MAP("etcd", "etcd as the site's store, for members on several hosts; only embedded"),
    FIELD_END};
static const struct fields store_table = FIELDS("store", struct file_store, store_fields);

static const struct field member_fields[] = {
    FIELD_TEXT(struct file_member, address, FIELD_REQUIRED, "host:port of its PostgreSQL, as clients and other sites reach it"),
    FIELD_TEXT(struct file_member, agent, 0, "host:port of its agent; default the host of address, port 7401; another where that is taken"),
    FIELD_TEXT(struct file_member, key, FIELD_REQUIRED, "public half of the agent's signing_key"),
    FIELD_TEXT_MAP(struct file_member, tags, tag_count, 0, "Patroni's tags, e.g. failover_priority, nofailover; others are shown in status"),
    FIELD_OBJECT(struct file_member, postgresql, &postgresql_table, 0, "over the site's and the cluster's"),
    FIELD_END};
static const struct fields member_table = FIELDS("member", struct file_member, member_fields);

static const struct field site_fields[] = {
    FIELD_OBJECT(struct file_site, postgresql, &postgresql_table, 0, "over the cluster's"),
    FIELD_OBJECT(struct file_site, local, &local_table, 0, "over the cluster's"),
    FIELD_OBJECT(struct file_site, standby_cluster, &standby_table, 0, "how this site follows, whenever it is not primary"),
    FIELD_OBJECT(struct file_site, store, &store_table, FIELD_REQUIRED, "where the site keeps its lease, votes and orders"),
    FIELD_MAP(struct file_site, members, member_count, &member_table, FIELD_REQUIRED, "PostgreSQL instances; their order only breaks ties"),
    FIELD_END};
static const struct fields site_table = FIELDS("site", struct file_site, site_fields);

static const struct field coordinator_fields[] = {
    FIELD_TEXT(struct topology_coordinator, address, FIELD_REQUIRED, "host:port, as agents and people reach it"),
    FIELD_TEXT(struct topology_coordinator, key, FIELD_REQUIRED, "public half of its signing_key"),
    FIELD_END};
static const struct fields coordinator_table = FIELDS("coordinator", struct topology_coordinator, coordinator_fields);

static const struct field operator_fields[] = {
    FIELD_TEXT(struct file_operator, key, FIELD_REQUIRED, "public half of the operator_key"),
    FIELD_TEXTS(struct file_operator, may, may_count, FIELD_REQUIRED, "verbs that it may sign for, or all"),
    FIELD_END};
static const struct fields operator_table = FIELDS("operator", struct file_operator, operator_fields);

static const struct field keys_fields[] = {
    FIELD_MAP(struct file_keys, operators, operator_count, &operator_table, FIELD_REQUIRED, "who may change something"),
    {.name = "recovery", .type = FIELD_TYPE_TEXTS, .flags = FIELD_LATER, .max = 5, .doc = "keys kept offline that may only replace operators"},
    FIELD_TEXT_MAP(struct file_keys, approvals, approval_count, 0, "signatures that a verb needs; default 1, more are not built yet"),
    FIELD_END};
static const struct fields keys_table = FIELDS("keys", struct file_keys, keys_fields);

static const struct field topology_fields[] = {
    FIELD_CHOICE(struct topology_file, format, format_names, FIELD_REQUIRED, "of this file"),
    FIELD_TEXT(struct topology_file, cluster, FIELD_REQUIRED, "name of the cluster; it stands in certificates and orders, so it stays"),
    FIELD_TEXT(struct topology_file, initial_primary, FIELD_REQUIRED, "site where the cluster is born; used once, by apply --create"),
    FIELD_OBJECT(struct topology_file, postgresql, &postgresql_table, 0, "again in a site or a member: the nearest wins"),
    FIELD_OBJECT(struct topology_file, local, &local_table, 0, "high availability inside a site; again in a site"),
    NOT_BUILT_CHOICE("protection", protection_names, "max_performance", "synchronous replication between sites; only max_performance"),
    FIELD_OBJECT(struct topology_file, failover, &failover_table, 0, "moves between sites"),
    FIELD_OBJECT(struct topology_file, retention, &retention_table, 0, "WAL kept for whoever is away"),
    FIELD_MAP(struct topology_file, sites, site_count, &site_table, FIELD_REQUIRED, "datacenters; their order only breaks ties"),
    NOT_BUILT_MAP("witnesses", "voters without data, for automatic failover"),
    FIELD_MAP(struct topology_file, coordinators, coordinator_count, &coordinator_table, FIELD_REQUIRED, "who may sign orders"),
    FIELD_OBJECT(struct topology_file, keys, &keys_table, FIELD_REQUIRED, "who may ask for what"),
    FIELD_END};
const struct fields topology_file_table = FIELDS("topology", struct topology_file, topology_fields);

void topology_reference(struct strbuf *to) {
    field_reference(&topology_file_table, to);
    strbuf_add(to, "Verbs of `may` and `approvals`: ");
    for (size_t i = 0; verb_names[i]; i++) strbuf_addf(to, "%s`%s`", i ? ", " : "", verb_names[i]);
    strbuf_add(to, ", and in `may` also `all`.\n");
}
