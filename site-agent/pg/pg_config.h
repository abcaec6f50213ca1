/* The configuration files that pgregent owns, all outside the data directory (pg_basebackup and pg_rewind overwrite
 * what lies inside). The server is started with -c config_file=..., so a start by hand uses the directory's own
 * untouched initdb defaults and standby.signal. Rendering is pure; writing is atomic and says whether anything changed. */
#ifndef PG_CONFIG_H
#define PG_CONFIG_H
#include "rt/err.h"
#include "rt/field.h"

struct pg_config_input {
    char cluster[64], member[64];
    int64_t major; /* 15 */
    char data_dir[512], config_dir[512], socket_dir[128];
    char host[64]; /* listen_addresses */
    int64_t port;
    struct field_pair parameters[128]; /* the user's, nearest level applied already */
    uint32_t parameter_count;
    char pg_hba[64][256]; /* the user's lines, after ours */
    uint32_t pg_hba_count;
    char certificate[512], key[512], ca[512]; /* server and replication client side */
    char os_user[64];      /* owner of the server process: maps to the superuser and to pgregent */
    char agent_user[64];   /* the user the agent runs as (root or the same) */
    /* following; empty conninfo: follow nobody */
    char primary_conninfo[1024], primary_slot_name[64];
    char restore_command[512];
    int64_t recovery_min_apply_delay_ms;
    bool ready_for_promotion; /* max_standby_*_delay = 0, restore_command = '' (postgres.md, stop and hand over 4, 5) */
    int64_t least_max_connections, least_max_worker_processes, least_max_wal_senders, least_max_prepared_transactions,
        least_max_locks_per_transaction; /* from pg_control: a standby may not start below them; 0: no floor */
    int64_t slot_wal_max_bytes;          /* max_slot_wal_keep_size; 0: unlimited */
};
/* Everything that rendering and the server would stumble over: reserved or malformed names, a parameter set twice, control
 * characters, relative paths, a socket path beyond 107 bytes, wal_level below replica. ERR_INVALID says where and why.
 * max_* numbers are not refused for being low: the larger of the user's, the least_* floor and our default is written. */
bool pg_config_check(const struct pg_config_input *in, struct err *err);
void pg_config_postgresql(const struct pg_config_input *in, struct strbuf *to);
void pg_config_hba(const struct pg_config_input *in, struct strbuf *to);
void pg_config_ident(const struct pg_config_input *in, struct strbuf *to);
/* Checks, then writes the three into config_dir (owner uid/gid). *changed: any differed; *restart: a changed line needs a
 * restart (false when there was no file to compare with: pg_settings.pending_restart knows better). */
bool pg_config_write(const struct pg_config_input *in, uid_t uid, gid_t gid, bool *changed, bool *restart, struct err *err);
/* Takes primary_*, recovery_target_*, restore_command, synchronous_standby_names, promote_trigger_file and our managed
 * names out of DATA_DIR/postgresql.auto.conf. The directory must be at rest. */
bool pg_config_strip_auto(const char *data_dir, struct err *err);
/* `postgres` arguments for a start: -D, -c config_file=..., -c hba_file... ; at most `max`, NULL-terminated texts in `memory`. */
#define PG_ARGV_MAX 16
struct pg_argv {
    const char *argv[PG_ARGV_MAX];
    char memory[4096];
};
bool pg_config_argv(const char *bin_dir, const struct pg_config_input *in, struct pg_argv *out, struct err *err);
#endif
