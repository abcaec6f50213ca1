/* The agent: one context for the loop thread, in parts that each have their own file.
 *
 *   tick:  records (read the store) -> observe (facts to a view) -> decide -> act -> publish (status, report, snapshot)
 *   wait:  one poll over the store's watch, the dead-man, the postmaster's pidfd, SQL sessions, jobs, mail, signals
 *
 * Only tick.c calls the parts in order; only it and main.c log decisions. */
#ifndef AGENT_H
#define AGENT_H
#include "net/http_client.h"
#include "net/http_server.h"
#include "site-agent/config.h"
#include "site-agent/deadman/deadman.h"
#include "site-agent/decide/decide.h"
#include "site-agent/job.h"
#include "site-agent/pg/pg_config.h"
#include "site-agent/pg/pg_facts.h"
#include "site-agent/pg/pg_session.h"
#include "site-agent/snapshot.h"
#include "rt/file.h"
#include "rt/log.h"
#include "store/store.h"
#include "wire/verify.h"

/* ---- what is durable in STATE_DIR/state.json: marks that may never go back, and what a restart continues ---- */
struct agent_state {
    char instance[INSTANCE_MAX];
    char boot_id[40];
    int64_t term_count;      /* the hold of this boot, "" / 0: none (1.6) */
    char term_random[20];
    int64_t seq_reserved;    /* sendings up to here may have been used (1.1) */
    char store_id[INSTANCE_MAX];
    struct epoch epoch;      /* highest accepted (1.6, 3.2) */
    int64_t serial;
    bool hold_watched;       /* the hold was taken after watching it being renewed, or is the site's birth: it may open */
    bool data_expected;      /* this member once held data */
    int64_t vouch_until_boot_ms; /* our newest voucher, in this boot */
    int64_t last_wall_ms;    /* floor of the receiver's clock: issue time of the newest accepted document (3.5) */
    struct lineage lineage;
};
extern const struct fields agent_state_table;
bool state_open(const char *state_dir, struct agent_state *out, int *lock_fd, struct err *err);
bool state_save(const char *state_dir, const struct agent_state *s, struct err *err);

/* ---- the site's records, as last read from the store (records.c) ---- */
#define RELAYS_MAX SITES_MAX
/* What this site's leader distilled from another site's signed report; key relay/SITE. */
struct relay {
    char site[NAME_MAX_BYTES];
    lsn_t redo;               /* oldest restartpoint of its members that have data: what the anchor must keep */
    struct epoch opened;      /* highest it opened */
    int64_t term_count;
    char leader[NAME_MAX_BYTES];
    bool has_order;
};
extern const struct fields relay_table;
/* A lineage as a document of its own: the key site/lineage, by which replicas inherit what the leader proved. */
struct lineage_record {
    struct lineage lineage;
};
extern const struct fields lineage_record_table;
struct records {
    bool read;                /* at least one read came back in this process */
    int64_t read_boot_ms;     /* when the newest came back */
    int64_t revision;
    int64_t newest_revision;  /* highest that this store has told, by a read or by a swap of ours */
    bool retry;               /* something of the last read could not be kept on disk: the same again */
    bool has_lease, has_vote, has_order;
    bool order_unreadable;    /* an order is held that does not verify here: nothing is accepted in its place */
    struct strbuf lease_text, vote_text, order_text, system_id_text; /* exactly as stored: what a swap expects */
    struct lease lease;
    struct vote vote;
    struct order order;       /* verified again by every member that reads it */
    struct proofs proofs;
    char order_hash[HASH_TEXT_MAX];
    struct strbuf topology_text; /* the leader's signed topology, for members that do not poll */
    char system_id[SYSTEM_ID_MAX];
    int64_t order_seen_boot_ms; /* since when this process knows this order */
    char stop_state[16];      /* of the order in force: "", "receipt", "dropped" */
    struct receipt receipts[REPORT_RECEIPTS_MAX]; /* oldest first */
    char receipt_keys[REPORT_RECEIPTS_MAX][80];
    uint32_t receipt_count;
    struct strbuf oldest_receipt; /* as stored, and its key: the first to go */
    char oldest_receipt_key[80];
    char old_stop_key[128], old_stop_state[16]; /* of a stop order that was replaced since; "": none */
    struct lineage leader_lineage;
    bool has_leader_lineage;
    struct member_status members[MEMBERS_MAX];
    int64_t member_changed_boot_ms[MEMBERS_MAX];
    uint32_t member_count;
    struct relay relays[RELAYS_MAX];
    uint32_t relay_count;
};

/* ---- an order that came in by poll and waits for the leader's decision ---- */
struct candidate {
    bool present;
    struct strbuf text; /* the envelope */
    struct order order;
    struct proofs proofs;
    char hash[HASH_TEXT_MAX];
    enum order_verdict verdict;
    char reason[192];
};

#define TARGET_MAX (NAME_MAX_BYTES * (MEMBERS_MAX + 1))
/* ---- the server under the dead-man ---- */
struct server {
    struct deadman_client *deadman;
    struct deadman_status status;   /* newest */
    bool status_known;
    int postmaster_fd;              /* pidfd, -1 */
    int64_t postmaster_fd_pid;
    bool postmaster_over;           /* that pidfd has told its end; the dead-man's word of it is yet to come */
    struct pg_session *main, *probe;
    struct pg_session *setup;       /* as superuser, at birth only */
    bool setup_running;
    int64_t guard_sent_pid;         /* the postmaster whose promotion the dead-man was asked to guard */
    struct pg_facts facts;
    int64_t facts_boot_ms, probe_boot_ms; /* last good answers */
    bool facts_running, probe_running;
    int64_t facts_asked_ms, probe_asked_ms;
    int64_t slots_done_ms;          /* when the last change of slots came back */
    bool command_running;           /* an SQL command of act is under way on `main` */
    struct pg_control control;
    bool control_ok;
    char control_error[256];
    /* what the running (or next) server is configured for */
    struct pg_config_input applied;
    struct strbuf applied_text;     /* rendered postgresql.conf and pg_hba.conf */
    char applied_target[TARGET_MAX];        /* "site/member" list that primary_conninfo leads to; "" nobody */
    bool applied_known;
    bool restart_pending;
    /* stop and start */
    char stop_order[HASH_TEXT_MAX]; /* the stop order for which SIGINT was sent */
    int64_t stop_pid;               /* to which postmaster; any stop of ours */
    bool stop_sent_for_running;     /* SIGINT was sent to the postmaster that still runs: it answers no queries now */
    int64_t stop_sent_boot_ms, stop_sent_wall_ms, stop_nudged_ms;
    int64_t walsenders[PG_SENDERS_MAX]; /* logical ones, noted before the stop */
    uint32_t walsender_count;
    int64_t start_id;               /* the start request that has no answer yet */
    int64_t catchup_since_ms;       /* a walsender has been catching up since; 0: none is */
    int64_t timeline_seen;          /* highest that the running server told */
    bool starting_primary;          /* that start is one as a primary */
    int64_t back_off_until_ms, back_off_ms;
    bool start_failed;
    int64_t lives;                  /* of PostgreSQL that have ended under our eyes: what a directory was proved to be then is to be proved anew */
    int64_t kill_sent_ms;
    int64_t production_pid;         /* the postmaster that was seen in production */
    int64_t ending_since_ms;        /* it says that it shuts down; 0: it does not */
    int64_t lost_deadman_ms;        /* when the connection broke, if no status has come since */
    int64_t deadman_retry_ms, guard_sent_ms;
    int64_t deadline_sent_ms;       /* the kill deadline the dead-man has */
    int64_t promote_sent_ms;
    int64_t writable_wall_ms;       /* when the promoted server was first seen out of recovery */
    char checkpointed_order[HASH_TEXT_MAX];
    bool roles_made;
};

/* ---- comparison with an upstream (4.3), cached for what it was made for: that history, and one life of the server ---- */
struct attachment {
    char key[HASH_TEXT_MAX];
    int64_t lives;      /* of the server, that had ended when the comparison began */
    int64_t begun_lives; /* the same, of the comparison that runs */
    int verdict; /* enum view_attach */
    char reason[256];
    int64_t retry_boot_ms;
};

/* ---- talk with the coordinator (reporting.c) ---- */
struct uplink {
    struct http_client *http;
    uint32_t coordinator; /* index in use */
    uint64_t report_id, poll_id, topology_id;
    int64_t report_due_ms, poll_due_ms, topology_due_ms;
    int64_t seq;
    char last_report_key[HASH_TEXT_MAX]; /* of the content that counts as a change */
    int64_t relay_seen;
    json_t *relayed; /* other sites' reports that wait until no move is under way; NULL: none */
    char order_seen[HASH_TEXT_MAX]; /* newest order that a poll brought, whatever became of it */
    bool reached;
    int64_t failed_since_ms;
    char last_error[256];
    char refused_hash[HASH_TEXT_MAX], refused_reason[192];
};

/* ---- vouchers (2.8b): what we ask, what others ask of us ---- */
struct vouching {
    char nonce[36];
    int64_t asked_boot_ms, asked_wall_ms;
    struct epoch opened;
    bool answered[SITES_MAX];        /* by index of the topology's sites */
    int64_t confirmed_until_ms;      /* all have answered: may open until then */
    struct voucher given[VOUCHERS_MAX];
    uint32_t given_count;
    char given_nonce[SITES_MAX][36]; /* newest nonce answered, per site */
    struct voucher_ask questions[SITES_MAX]; /* not answered yet */
    int64_t question_boot_ms[SITES_MAX];
};

/* Inside the write gap of a move: only what the move needs is written and said. */
#define MOVING_WAKE_MS 2
#define CLOCK_AHEAD_MAX_MS 300000 /* how far a document's clock may be ahead of ours */

struct agent {
    struct agent_config config;
    char self[512];            /* path of this binary: jobs run it */
    char deadman_binary[512];
    int state_lock;
    struct agent_state state;
    char life[20]; /* random, of this process: numbers begin anew with each */
    struct sign_key *key;
    struct topology *topology; /* NULL: none held */
    struct strbuf topology_text;
    int64_t topology_seq;      /* sendings from this number on are made by it */
    int64_t former_stop_time_ms; /* of the one before, which counts for a hold of its time: agent_stop_time_ms */
    const struct topology_site *site;
    const struct topology_member *member;
    struct store *store;
    char store_error[256];
    struct lease_memory lease;
    bool swap_pending;
    struct records records;
    struct candidate candidate;
    struct server server;
    struct attachment attachment;
    struct job *job;
    struct job_result job_result;
    bool job_failed;
    int64_t job_retry_ms, job_back_off_ms;
    char job_note[256];
    bool initdb_ready;         /* work_dir holds a finished initdb: adopt it */
    struct uplink uplink;
    struct vouching vouching;
    struct http_server *http;
    struct view view;
    struct plan plan;
    const struct rule *shown[CONCERN_COUNT]; /* last logged */
    struct report *report;     /* newest, as sent */
    struct member_status self_status;
    int64_t beat, published_boot_ms;
    char published_key[HASH_TEXT_MAX];
    int64_t snapshot_boot_ms, certificate_expiry_wall_ms;
    char topology_error[256];
    char step_error[256]; /* last one logged */
    int64_t step_error_boot_ms, ticked_boot_ms, session_port;
    bool stopping, reload;
    int signal_fd;
};

/* records.c */
void records_read(struct agent *a);
void records_heard_revision(struct records *r, int64_t revision); /* a swap's answer told it */
bool records_load_marks(struct agent *a, struct err *err); /* at the start, from the durable copy of the order */
const struct member_status *records_member(const struct agent *a, const char *name);
bool records_member_fresh(const struct agent *a, const char *name, int64_t now_ms);
void records_site_state(const struct agent *a, struct site_state *out); /* for order_judge */
/* swap.c: the site's compare-and-swaps. Each takes the records as last read for granted and is beaten by any change. */
void hold_remember(struct agent *a, bool birth); /* when a new term of ours was seen in the record */
void swap_take(struct agent *a);
void swap_renew(struct agent *a);
void swap_create_site(struct agent *a);
void swap_accept(struct agent *a);
void swap_decline(struct agent *a);
void swap_store_receipt(struct agent *a);
void swap_drop_stop(struct agent *a);
void swap_ask(struct agent *a);
void swap_opened(struct agent *a);
void swap_system_id(struct agent *a, const char *system_id);
void swap_publish(struct agent *a, const char *key, const char *value); /* plain put of a key of our own */
/* observe.c */
void observe(struct agent *a, struct view *v);
/* act.c and its parts */
void act(struct agent *a, const struct plan *p);
void server_step(struct agent *a);      /* facts, probe, control file, dead-man's pushes */
void server_set_deadline(struct agent *a);
bool server_is_proved(const struct agent *a, const char *key); /* the directory is part of the history of that key (4.3) */
bool server_configure(struct agent *a, bool write); /* desired configuration; true if it differs from what is applied */
void server_event(void *agent, const struct deadman_status *status);
void act_server(struct agent *a, enum step step);
void act_slots(struct agent *a, enum step step);
void act_job(struct agent *a, enum step step);
void job_take_result(struct agent *a);
void initdb_adopt(struct agent *a);
bool job_keep_lineage(struct agent *a, const struct lineage *lineage, bool data_is_there); /* durably */
/* upstream.c: whom this member follows or copies from */
struct upstream {
    bool wanted;           /* the order, or the site's leader, says so */
    bool known;            /* an address is known */
    char target[TARGET_MAX]; /* for logs and comparison: "ams ams-1 ams-2" */
    char target_key[HASH_TEXT_MAX]; /* its hash: names a copy from it */
    char conninfo[1024];
    char slot[SLOT_NAME_MAX];
    struct lineage lineage;
    bool slot_ready;       /* our slot is known to stand there */
    bool alive;
    bool received;         /* the server receives from one of its members through our slot: proof enough that it is configured so */
    char key[HASH_TEXT_MAX]; /* hash of target and newest timeline and fingerprint: what an attach verdict is for */
};
void upstream_of(struct agent *a, struct upstream *out);
/* slots.c */
struct slot_wish {
    char name[SLOT_NAME_MAX];
    enum slot_kind kind;
    lsn_t needed;          /* advance to here when nobody consumes it; 0: leave */
    bool consumed;         /* its consumer streams through it here */
};
uint32_t slots_wanted(struct agent *a, struct slot_wish *out, uint32_t max);
void slots_view(struct agent *a, struct view *v);
void slots_free_stale(struct agent *a); /* ends walsenders of a downstream site's former leader (4.7) */
/* publish.c, reporting.c */
void publish(struct agent *a);
void report_fill(struct agent *a, struct report *r, bool sign_receipts);
void uplink_step(struct agent *a);
int64_t uplink_due_ms(const struct agent *a); /* boot ms; INT64_MAX: nothing to say */
bool vouching_wants_renewal(const struct agent *a); /* a question waits for it */
int64_t vouching_length_ms(const struct agent *a); /* for how long others are asked to vouch */
void vouching_step(struct agent *a);
void vouching_hear(struct agent *a, const struct report *r); /* another site's signed report */
void vouching_ask(struct agent *a);      /* begin, or go on with, a round of vouchers */
/* topology_hold.c */
bool topology_load(struct agent *a, struct err *err);
bool topology_take(struct agent *a, struct bytes envelope, struct err *err);
/* How long before its deadline this hold's demotion begins: as the topology says by which the sending was made that the deadline
 * counts from. A longer ttl or stop_time counts from its first renewal on, so that changing them stops nobody. */
int64_t agent_stop_time_ms(const struct agent *a);
void topology_share(struct agent *a); /* the leader gives it to its site, the others take it from there */
/* life.c */
bool agent_begin(struct agent *a, struct err *err); /* config, key and uplink.http stand */
void agent_round(struct agent *a);
void agent_leave(struct agent *a);
/* tick.c */
void agent_tick(struct agent *a);
void agent_wait(struct agent *a);
void agent_log_step(struct agent *a, const char *what, const struct err *err);
int64_t agent_wall_ms(const struct agent *a); /* the receiver's clock, with its floor (3.5) */
#endif
