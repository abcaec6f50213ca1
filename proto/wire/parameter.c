/* The tables of parameter names: reserved ones with the reason, and those that need a restart. Taken from pg_settings of
 * PostgreSQL 15; the unit test compares them with the real server. */
#include "wire/parameter.h"
#include <string.h>
#include <strings.h>

#define FROM_TOPOLOGY "comes from the topology"
#define FROM_ADDRESS "comes from the member's address"
#define OWN_FILES "pgregent keeps the files"
#define OWN_TLS "comes from the agent's replication certificate"
#define OWN_RECOVERY "pgregent alone decides where recovery ends"
#define OWN_DEADLINES "the deadlines of a failover count on it"
#define OWN_LOG "the server logs to the agent's log file"
#define FIXED "fixed by initdb or by the build"
#define DIRECTIVE "is a directive, not a parameter; every setting stands in the topology"

struct reserved {
    const char *name, *reason;
};
static const struct reserved reserved[] = {
    {"primary_conninfo", FROM_TOPOLOGY},
    {"primary_slot_name", FROM_TOPOLOGY},
    {"restore_command", "comes from standby_cluster.restore_command"},
    {"recovery_min_apply_delay", "comes from standby_cluster.recovery_min_apply_delay"},
    {"max_slot_wal_keep_size", "comes from retention.slot_wal_max"},
    {"synchronous_standby_names", "comes from local.synchronous_mode and protection"},
    {"cluster_name", "is the name of cluster and member"},
    {"listen_addresses", FROM_ADDRESS},
    {"port", FROM_ADDRESS},
    {"unix_socket_directories", OWN_FILES},
    {"unix_socket_permissions", "the rules for local connections are in pg_hba"},
    {"unix_socket_group", "the rules for local connections are in pg_hba"},
    {"config_file", OWN_FILES},
    {"data_directory", "comes from postgresql.data_dir"},
    {"hba_file", OWN_FILES},
    {"ident_file", OWN_FILES},
    {"external_pid_file", OWN_FILES},
    {"include", DIRECTIVE},
    {"include_dir", DIRECTIVE},
    {"include_if_exists", DIRECTIVE},
    {"ssl", OWN_TLS},
    {"ssl_cert_file", OWN_TLS},
    {"ssl_key_file", OWN_TLS},
    {"ssl_ca_file", OWN_TLS},
    {"hot_standby", "pgregent asks standbys how far they are"},
    {"wal_log_hints", "pg_rewind needs it"},
    {"restart_after_crash", "PostgreSQL would open again for writes without a check of the lease"},
    {"promote_trigger_file", OWN_RECOVERY},
    {"recovery_target", OWN_RECOVERY},
    {"recovery_target_action", OWN_RECOVERY},
    {"recovery_target_inclusive", OWN_RECOVERY},
    {"recovery_target_lsn", OWN_RECOVERY},
    {"recovery_target_name", OWN_RECOVERY},
    {"recovery_target_time", OWN_RECOVERY},
    {"recovery_target_timeline", OWN_RECOVERY},
    {"recovery_target_xid", OWN_RECOVERY},
    {"recovery_end_command", "it would run inside the promotion, while nobody can write"},
    {"wal_retrieve_retry_interval", OWN_DEADLINES},
    {"wal_receiver_status_interval", OWN_DEADLINES},
    {"wal_receiver_timeout", OWN_DEADLINES},
    {"wal_sender_timeout", OWN_DEADLINES},
    {"tcp_keepalives_idle", OWN_DEADLINES},
    {"tcp_keepalives_interval", OWN_DEADLINES},
    {"tcp_keepalives_count", OWN_DEADLINES},
    {"tcp_user_timeout", OWN_DEADLINES},
    {"logging_collector", OWN_LOG},
    {"log_destination", OWN_LOG},
    {"lc_messages", "messages are searched for known causes"},
    {"block_size", FIXED},
    {"data_checksums", FIXED},
    {"data_directory_mode", FIXED},
    {"debug_assertions", FIXED},
    {"in_hot_standby", FIXED},
    {"integer_datetimes", FIXED},
    {"lc_collate", FIXED},
    {"lc_ctype", FIXED},
    {"max_function_args", FIXED},
    {"max_identifier_length", FIXED},
    {"max_index_keys", FIXED},
    {"segment_size", FIXED},
    {"server_encoding", FIXED},
    {"server_version", FIXED},
    {"server_version_num", FIXED},
    {"shared_memory_size", FIXED},
    {"shared_memory_size_in_huge_pages", FIXED},
    {"ssl_library", FIXED},
    {"wal_block_size", FIXED},
    {"wal_segment_size", FIXED},
};

static const char *const floors[] = {
    "max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction",
    "max_replication_slots",
};

/* Allowed to the user, but checked, or overridden before a promotion. */
static const char *const overridden[] = {"wal_level", "max_standby_streaming_delay", "max_standby_archive_delay"};

static const char *const needs_restart[] = {
    "archive_mode", "autovacuum_freeze_max_age", "autovacuum_max_workers", "autovacuum_multixact_freeze_max_age", "bonjour",
    "bonjour_name", "cluster_name", "config_file", "data_directory", "data_sync_retry", "dynamic_shared_memory_type",
    "event_source", "external_pid_file", "hba_file", "hot_standby", "huge_page_size", "huge_pages", "ident_file",
    "ignore_invalid_pages", "jit_provider", "listen_addresses", "logging_collector", "max_connections",
    "max_files_per_process", "max_locks_per_transaction", "max_logical_replication_workers", "max_pred_locks_per_transaction",
    "max_prepared_transactions", "max_replication_slots", "max_wal_senders", "max_worker_processes",
    "min_dynamic_shared_memory", "old_snapshot_threshold", "port", "recovery_target", "recovery_target_action",
    "recovery_target_inclusive", "recovery_target_lsn", "recovery_target_name", "recovery_target_time",
    "recovery_target_timeline", "recovery_target_xid", "shared_buffers", "shared_memory_type", "shared_preload_libraries",
    "superuser_reserved_connections", "track_activity_query_size", "track_commit_timestamp", "unix_socket_directories",
    "unix_socket_group", "unix_socket_permissions", "wal_buffers", "wal_decode_buffer_size", "wal_level", "wal_log_hints",
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool is_among(const char *name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
/* One parameter to postgresql.conf: no directive, nothing that could end the line. An extension's has a class and a dot. */
static bool is_valid_name(const char *parameter) {
    const char *at = parameter;
    do {
        if (!*at || !strchr(LETTERS, *at))
            return false;
        at += strspn(at, LETTERS "0123456789$");
    } while (*at == '.' && *++at);
    return *at == '\0' && at[-1] != '.';
}

static const char *reserved_reason(const char *parameter) {
    for (size_t i = 0; i < COUNT(reserved); i++)
        if (strcasecmp(parameter, reserved[i].name) == 0)
            return reserved[i].reason;
    return NULL;
}

const char *parameter_reserved(const char *parameter) {
    return is_valid_name(parameter) ? reserved_reason(parameter) : "is not the name of a parameter";
}

bool parameter_is_floor(const char *parameter) { return is_among(parameter, floors, COUNT(floors)); }

bool parameter_is_managed(const char *parameter) {
    return reserved_reason(parameter) || parameter_is_floor(parameter) || is_among(parameter, overridden, COUNT(overridden));
}

bool parameter_needs_restart(const char *parameter) { return is_among(parameter, needs_restart, COUNT(needs_restart)); }
