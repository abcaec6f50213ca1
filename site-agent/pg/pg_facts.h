/* What a running server says about itself, in one query that answers with one JSON document. */
#ifndef PG_FACTS_H
#define PG_FACTS_H
#include "rt/field.h"
#include "wire/lsn.h"

#define PG_SLOTS_MAX 64
#define PG_SENDERS_MAX 32

struct pg_slot {
    char name[64];
    bool physical, active;
    int64_t active_pid;
    lsn_t restart_lsn;
    char wal_status[16]; /* reserved, extended, unreserved, lost; "" unknown */
    int64_t retained_bytes; /* from restart_lsn to the current end */
    bool has_xmin;
};
struct pg_sender {
    int64_t pid;
    char application_name[64], state[16]; /* startup catchup streaming backup stopping */
    char slot_name[64];                   /* the slot it holds, "" none */
    bool logical;
    lsn_t sent_lsn, write_lsn, flush_lsn, replay_lsn;
};
struct pg_facts {
    bool in_recovery;
    int64_t server_version_num; /* 150018 */
    char server_version[32];    /* 15.18 */
    int64_t timeline;           /* written to in production; received or replayed in recovery */
    lsn_t write_lsn;            /* primary: pg_current_wal_lsn (written) ; standby: 0 */
    lsn_t flush_lsn;            /* primary only */
    lsn_t receive_lsn;          /* standby: max(last receive, last replay) */
    lsn_t replay_lsn;
    lsn_t redo_lsn;             /* (pg_control_checkpoint()).redo_lsn: last checkpoint or restartpoint */
    int64_t replay_lag_ms;      /* now - last replayed commit, 0 when receive = replay and on a primary; -1 unknown */
    char replay_pause_state[24];/* "not paused", ... */
    char receiver_status[16];   /* streaming, waiting, ...; "" no receiver */
    char receiver_slot[64];
    int64_t receiver_timeline;
    lsn_t receiver_latest_end;  /* what the upstream said it had */
    char receiver_host[64];
    int64_t receiver_port;
    char primary_conninfo_source[256]; /* sourcefile of primary_conninfo: must be ours */
    bool pending_restart;
    struct pg_slot slots[PG_SLOTS_MAX];
    uint32_t slot_count;
    struct pg_sender senders[PG_SENDERS_MAX];
    uint32_t sender_count;
    int64_t started_wall_ms;    /* pg_postmaster_start_time */
};
extern const struct fields pg_facts_table;
extern const char pg_facts_sql[]; /* runs with pg_monitor; one row, one column of JSON; PostgreSQL 13 to 16 */
bool pg_facts_parse(const char *text, size_t len, struct pg_facts *out, struct err *err);
#endif
