/* What one member knows at one moment: flat facts, gathered by observe.c (or by a scenario file, a sweep, the
 * simulator). Times are durations relative to `now`, so that a view means the same on every host. Field names are the
 * keys of the golden scenarios and of `pgregent explain`. */
#ifndef DECIDE_VIEW_H
#define DECIDE_VIEW_H
#include <stdbool.h>
#include <stdint.h>

/* Each X list: X(symbol, text). The texts are what scenario files and logs say. */
#define VIEW_VERDICTS(X) X(VERDICT_ACCEPT, "accept") X(VERDICT_REPEATED, "repeated") X(VERDICT_REFUSE, "refuse")
#define VIEW_KINDS(X)                                                                                                  \
    X(KIND_BIRTH, "birth") X(KIND_STANDBY, "standby") X(KIND_PREPARE, "prepare") X(KIND_STOP, "stop")                  \
    X(KIND_PROMOTE, "promote") X(KIND_FOLLOW, "follow") X(KIND_ABORT, "abort")
#define VIEW_ROLES(X)                                                                                                  \
    X(ROLE_UNASSIGNED, "unassigned") X(ROLE_PRIMARY, "primary") X(ROLE_STANDBY, "standby") X(ROLE_STOPPED, "stopped")  \
    X(ROLE_FENCED, "fenced")
/* How far replay stands from the end that the receipt names. */
#define VIEW_CLOSINGS(X)                                                                                               \
    X(CLOSING_UNKNOWN, "unknown") X(CLOSING_BEFORE, "before") /* WAL is lacking */                                     \
    X(CLOSING_RECEIVED, "received") /* all of it is here, and is being replayed */                                     \
    X(CLOSING_EXACT, "exact") X(CLOSING_PAST, "past") X(CLOSING_OTHER_LINEAGE, "other lineage")
#define VIEW_DATA(X)                                                                                                   \
    X(DATA_ABSENT, "absent") /* no directory, or an empty one */                                                      \
    X(DATA_PRESENT, "present") X(DATA_BROKEN, "broken") /* something without a valid pg_control */
#define VIEW_CONTROLS(X)                                                                                               \
    X(CONTROL_UNKNOWN, "unknown") X(CONTROL_SHUT_DOWN, "shut down") X(CONTROL_SHUT_DOWN_IN_RECOVERY, "shut down in recovery") \
    X(CONTROL_IN_RECOVERY, "in archive recovery") X(CONTROL_IN_PRODUCTION, "in production") X(CONTROL_OTHER, "other")
#define VIEW_ATTACHES(X)                                                                                               \
    X(ATTACH_UNCHECKED, "unchecked") X(ATTACH_OK, "ok") X(ATTACH_AHEAD, "ahead") X(ATTACH_REWIND, "rewind")            \
    X(ATTACH_RECLONE, "reclone") X(ATTACH_FAILED, "failed")
#define VIEW_FOLLOWS(X) X(FOLLOW_NOBODY, "nobody") X(FOLLOW_RIGHT, "right") X(FOLLOW_WRONG, "wrong")
#define VIEW_JOBS(X) X(JOB_NONE, "none") X(JOB_INITDB, "initdb") X(JOB_COPY, "copy") X(JOB_ATTACH, "attach")

#define X(symbol, text) symbol,
enum view_verdict { VIEW_VERDICTS(X) };
enum view_kind { VIEW_KINDS(X) };
enum view_role { VIEW_ROLES(X) };
enum view_closing { VIEW_CLOSINGS(X) };
enum view_data { VIEW_DATA(X) };
enum view_control { VIEW_CONTROLS(X) };
enum view_attach { VIEW_ATTACHES(X) };
enum view_follow { VIEW_FOLLOWS(X) };
enum view_job { VIEW_JOBS(X) };
#undef X

struct view {
    /* the ground we stand on */
    bool topology;         /* a signed topology is held */
    bool store_ok;         /* the last read of the store succeeded, less than a lease length ago */
    bool store_went_back;  /* below a durable mark, or another store id (1.6) */
    bool swap_pending;     /* a swap of ours has no outcome yet */
    /* the site lease (1) */
    bool record;           /* the store has a lease record */
    bool lease_valid;      /* we hold it, and the deadline has not passed */
    bool lease_ours;       /* the record names this instance (perhaps from an earlier life) */
    int64_t lease_left_ms; /* until our deadline; 0 when not holding */
    int64_t renew_in_ms;   /* until the next renewal is due; <= 0: now */
    int64_t take_in_ms;    /* until we may take: 0 now, -1 never */
    int64_t stop_time_ms;  /* demotion starts this long before the deadline */
    bool better_candidate; /* another live member of the site has data and we have none, or it has more WAL */
    /* the order in force, and one that has come in (3) */
    bool order;
    int order_kind, role;  /* enum view_kind, view_role */
    bool upstream;         /* standby: the order names whom to follow */
    bool candidate;        /* an authentic order that is not the one we hold */
    int candidate_verdict, candidate_kind;
    bool candidate_first;  /* it is the site's first (base none) */
    bool absent_waited;    /* no record was there for the full wait (1.5) */
    /* where this site stands in the order's epoch (2) */
    bool asked, opened;    /* the vote record has asked / opened at the order's epoch */
    bool declined;         /* the order's epoch is burnt here */
    bool superseded;       /* a higher epoch than any of ours was opened by another site */
    bool confirmed;        /* may open: watched hold, birth, or vouchers within their length (2.8) */
    bool vouching;         /* a voucher of ours to another site still runs (2.8b) */
    int closing;           /* promote: replay against the receipt's end */
    bool order_expired;    /* promote, not asked yet: its time to start something is over (3.5) */
    bool receipt;          /* stop: our receipt is stored */
    bool dropped;          /* stop: the request was dropped at its deadline, for good */
    bool stop_requested;   /* stop: SIGINT was sent for this order, by this run of the server */
    int64_t stop_left_ms;  /* stop: until the order's deadline */
    /* the dead-man and the processes */
    bool deadman;          /* connected */
    bool postmaster;       /* a postmaster of ours runs under it */
    bool foreign;          /* a live postmaster that the dead-man did not start holds the directory */
    bool ending;           /* it says that it shuts down, not by a request of this process, for longer than stop_time */
    bool leftovers;        /* processes below the dead-man, but no postmaster */
    bool as_primary;       /* the running postmaster was started, or promoted, as a primary */
    bool start_failed;     /* the last start ended by itself; back_off_ms until the next try */
    int64_t back_off_ms;
    /* the directory */
    int data;
    bool data_expected;    /* this member once held data (durable) */
    bool identity;         /* its system identifier is the cluster's */
    bool signal;           /* standby.signal lies there */
    int control;
    bool copy_left;        /* remains of an unfinished copy or initdb lie beside it */
    /* the server */
    bool answers;          /* new and established connection both answered lately */
    bool starved;          /* in recovery for long, follows nobody and does not answer: it needs its source's WAL to be consistent */
    bool in_recovery;
    bool lineage_known;    /* the fingerprint of the newest timeline is in the state directory */
    bool roles;            /* birth: our database roles exist */
    int follow;            /* its configuration against where it should stream from */
    bool streaming;
    bool ready;            /* target settings are applied and in force */
    bool want_ready, want_checkpoint; /* what a prepare order asks for */
    bool checkpointed;     /* done for this order */
    bool replay_paused;
    int attach;            /* protocol 4.3 verdict for this directory against the present upstream */
    bool source;           /* somebody to copy from or follow is known and alive */
    bool source_slot;      /* our slot stands there */
    /* long work */
    int job;
    bool job_cancel;       /* it serves an order or leader that is no longer in force */
    bool job_failed;       /* the last one failed; back_off_ms until the next try */
    /* slots (5 of the design) */
    bool slots_missing, slots_extra, slots_behind;
    bool slots_turn;       /* the other members have theirs, or we are not the leader */
};
#endif
