/* What a site tells the coordinator, each second and on change, and what other sites get to see of it (relayed as it
 * was signed). Envelope type REPORT_TYPE, signed by the member that speaks. */
#ifndef WIRE_REPORT_H
#define WIRE_REPORT_H
#include "wire/order.h"

#define REPORT_TYPE "application/vnd.pgregent.report.v1+json"
#define REPORT_RECEIPTS_MAX 16
#define REPORT_SLOTS_MAX 48
#define REPORT_PROBLEMS_MAX 16
#define VOUCHERS_MAX SITES_MAX
/* Patroni's words. */
#define MEMBER_ROLES(X)                                                                                                \
    X(MEMBER_UNINITIALIZED, "uninitialized") X(MEMBER_PRIMARY, "primary") X(MEMBER_STANDBY_LEADER, "standby_leader")  \
    X(MEMBER_REPLICA, "replica") X(MEMBER_DEMOTED, "demoted")
enum member_role {
#define X(symbol, name) symbol,
    MEMBER_ROLES(X)
#undef X
};
#define MEMBER_STATES(X)                                                                                               \
    X(STATE_STOPPED, "stopped") X(STATE_STARTING, "starting") X(STATE_RUNNING, "running") X(STATE_STREAMING, "streaming") \
    X(STATE_ARCHIVE_RECOVERY, "in archive recovery") X(STATE_STOPPING, "stopping") X(STATE_CREATING, "creating replica")  \
    X(STATE_INITIALIZING, "initializing new cluster") X(STATE_START_FAILED, "start failed") X(STATE_CRASHED, "crashed")    \
    X(STATE_DATA_MISSING, "data missing") X(STATE_UNKNOWN, "unknown")
enum member_state {
#define X(symbol, name) symbol,
    MEMBER_STATES(X)
#undef X
};
extern const char *const member_role_names[], *const member_state_names[];

struct report_slot {
    char name[SLOT_NAME_MAX];
    int kind;
    bool active;
    lsn_t restart_lsn;
    int64_t retained_bytes;
    char wal_status[16];
    bool covering; /* restart_lsn is not past what the consumer needs, and the segment file exists */
};
/* One member, as it publishes itself in the site's store (key members/NAME) and as the leader reports it. */
struct member_status {
    char name[NAME_MAX_BYTES], instance[INSTANCE_MAX];
    int64_t beat;        /* grows with each publication: its change, not its time, shows life */
    int64_t age_ms;      /* in a report: since the reporter last saw `beat` change, on its own clock */
    int role, state;
    bool has_data;       /* a data directory with a valid pg_control */
    char system_id[SYSTEM_ID_MAX];
    int64_t timeline;
    lsn_t lsn, replay_lsn, redo_lsn; /* written (primary) or received; replayed; last checkpoint or restartpoint redo */
    bool writable;       /* accepted writes when last asked */
    char upstream[NAME_MAX_BYTES]; /* member it streams from */
    char host[64];
    int64_t port;
    bool pending_restart;
    int64_t replay_lag_ms; /* -1 unknown */
    char postgresql_version[16], agent_version[16];
    char rule[8];        /* the rule that holds: "R07" */
    char why[192];       /* its sentence */
    char job[24];        /* running long work: copy, initdb, attach */
    int64_t job_done_bytes, job_total_bytes; /* -1 unknown */
    struct report_slot slots[REPORT_SLOTS_MAX];
    uint32_t slot_count;
    bool not_streaming_reasoned; /* replica, leader exists, not streaming */
    int64_t topology_version;
    bool target_ready;   /* prepare with target was carried out here */
    bool checkpointed;   /* prepare with checkpoint was carried out here */
    int64_t blockers;    /* what would hold up a stop: walsenders in catchup, ... */
    char blocker_text[128];
    char replay_pause_state[24];
    lsn_t flush_of_upstream; /* what the upstream said it had (receiver_latest_end) */
};
extern const struct fields member_status_table;

/* A promise not to accept a promotion order for the asker's length (protocol 2.8b). Bound to the asker's nonce. */
struct voucher {
    char site[NAME_MAX_BYTES]; /* to whom */
    char nonce[36];
    struct epoch opened; /* highest opened epoch that the asker knows */
};
struct voucher_ask {
    char nonce[36]; /* "": asks nothing */
    struct epoch opened;
    int64_t length_ms;
};
struct report_problem {
    char id[48], severity[12], member[NAME_MAX_BYTES];
    int64_t since; /* wall ms */
    char message[256], cure[192];
};
struct report {
    char cluster[NAME_MAX_BYTES], site[NAME_MAX_BYTES], member[NAME_MAX_BYTES], instance[INSTANCE_MAX];
    char life[20];   /* random, of the reporting process */
    int64_t seq;     /* grows within a life */
    int64_t made_at; /* wall ms */
    char system_id[SYSTEM_ID_MAX];
    int64_t topology_version;
    char topology_hash[HASH_TEXT_MAX];
    bool store_ok;
    bool speaks;     /* the reporter holds the site lease now */
    struct lease lease;
    struct vote vote;
    bool has_order;
    char order_hash[HASH_TEXT_MAX];
    int64_t order_serial;
    struct epoch order_epoch;
    int order_kind, order_role;
    char stop_state[16]; /* of a stop order in force: "", receipt, dropped */
    char order_op[OP_ID_MAX];
    int64_t coordinator_term;
    char coordinator[NAME_MAX_BYTES];
    char refused_hash[HASH_TEXT_MAX]; /* the last order refused here, and why: so that the coordinator plans again */
    char refused_reason[192];
    struct lineage lineage; /* of the leader's directory */
    char leader[NAME_MAX_BYTES];
    struct member_status members[MEMBERS_MAX];
    uint32_t member_count;
    char receipts[REPORT_RECEIPTS_MAX][PROOF_TEXT_MAX]; /* signed, newest last */
    uint32_t receipt_count;
    struct voucher_ask ask;
    struct voucher vouchers[VOUCHERS_MAX];
    uint32_t voucher_count;
    struct report_problem problems[REPORT_PROBLEMS_MAX];
    uint32_t problem_count;
};
extern const struct fields report_table;
#endif
