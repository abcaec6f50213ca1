/* Between the files of the model of PostgreSQL (postgres*.c); everybody else uses postgres.h. */
#ifndef SIM_POSTGRES_INNER_H
#define SIM_POSTGRES_INNER_H
#include "tests/sim/postgres.h"

/* ---- postgres_wal.c ---- */
struct wal_input {
    const struct wal *previous;
    int64_t timeline;
    int kind;
    lsn_t size;        /* multiple of 8 */
    lsn_t redo;
    int64_t commit, made_us;
};
const struct wal *wal_new(const struct wal_input *in);

/* ---- one walsender and one walreceiver: postgres_stream.c. Each end notices in its own time that the other is gone ---- */
struct stream {
    struct postgres *from, *to;
    bool from_alive, to_alive;
    int64_t pid;            /* of the walsender */
    char slot[64];
    int64_t timeline;       /* asked for, then that of the last record received */
    sim_time from_heard, to_heard;
    const struct wal *sending; /* a batch on its way; NULL */
    lsn_t sent, flushed, replayed; /* what the walsender knows of the other end */
    lsn_t latest;           /* what the walreceiver knows of the other end */
    bool streaming;         /* it has once had nothing left to send: pg_stat_replication says "streaming" from then on, never "catchup" again */
    int terms;              /* SIGTERMs that the walsender has got */
    bool buffers_full;      /* when the other end stands still, it blocks in a send, also before the shutdown checkpoint */
};
#define STREAMS_MAX 24

enum receiver { RECEIVER_NONE, RECEIVER_CONNECTING, RECEIVER_WAITING, RECEIVER_STREAMING };

struct commit_waiting {
    int64_t commit;
    const struct wal *record; /* NULL: arrived while everything stood still, not written yet */
    void (*acknowledged)(void *context, int64_t commit);
    void *context;
};
struct checkpoint_waiting {
    void (*done)(void *context, int64_t ok);
    void *context;
};
#define WAITING_MAX 64

struct postgres_core {
    struct dice dice;
    /* of the directory */
    int64_t min_recovery_timeline;
    int64_t highest_timeline;         /* of any history file that lies in pg_wal */
    const struct wal *newest_history; /* the first record of the newest timeline whose history file lies there */
    /* of the server: as its configuration was read last */
    char target[32], slot[64];
    const struct wal *expected;       /* the history that it was started to recover along */
    bool signals_read, unlinked, stop_wanted, orphans_write, setting_pause;
    bool flush_asked, replay_asked, notice_asked, checkpoint_running;
    lsn_t checkpoint_redo;
    int pending_signal;               /* came while it was stopped */
    int64_t started_wall_ms, logical_pid;
    int logical_terms;
    bool received;                    /* something, in this life */
    enum receiver receiver;
    int attempt;                      /* of the walreceiver to connect: a newer one voids the older */
    const char *last_refusal;         /* told once */
    struct stream *stream;            /* its walreceiver's; NULL */
    struct stream *streams[STREAMS_MAX]; /* its walsenders' */
    int stream_count;
    struct copy *copies;              /* base backups that are taken from it */
    struct commit_waiting commits[WAITING_MAX];
    int commit_count;
    struct checkpoint_waiting checkpoints[WAITING_MAX];
    int checkpoint_count;
    struct pg_event *parked, *parked_last; /* what fell due while it was stopped */
};

/* ---- postgres.c: the server's life ---- */
typedef void pg_step(struct postgres *pg, int64_t number);
/* A step of this life of the server: void when it has ended by then, late when it stands still then. */
void pg_later(struct postgres *pg, sim_time delay, pg_step *step, int64_t number);
sim_time pg_takes(struct postgres *pg, int64_t low_ms, int64_t high_ms); /* drawn */
sim_time pg_recovery_takes(struct postgres *pg, int64_t low_ms, int64_t high_ms); /* seconds instead while recovery is slow */
void pg_notice(struct postgres *pg);     /* who waits for changes hears of them within this moment */
void pg_ended(struct postgres *pg);      /* the last process is gone */
int64_t pg_new_pid(void);
bool pg_serves_wal(const struct postgres *pg); /* its walsenders can send */
void pg_read_configuration(struct postgres *pg);
void pg_set_control(struct postgres *pg, int state);

/* ---- postgres_recovery.c ---- */
void pg_begin_start(struct postgres *pg);
void pg_replay(struct postgres *pg);      /* goes on with what has been received */

/* ---- postgres_stop.c ---- */
void pg_fast_stop(struct postgres *pg);

/* ---- postgres_write.c ---- */
const struct wal *pg_append(struct postgres *pg, int kind, int64_t timeline, lsn_t redo, int64_t commit);
void pg_flush_soon(struct postgres *pg);
void pg_fail_commits(struct postgres *pg);
void pg_fail_checkpoints(struct postgres *pg);
void pg_checkpointed(struct postgres *pg, const struct wal *record); /* pg_control and slots say so; old WAL goes */
void pg_restartpoint(struct postgres *pg);
void pg_time_checkpoints(struct postgres *pg);

/* ---- postgres_slots.c ---- */
struct slot *pg_slot(struct postgres *pg, const char *name); /* NULL */
void pg_slots_saved(struct postgres *pg);
void pg_slots_crashed(struct postgres *pg);
void pg_slot_release(struct postgres *pg, const char *name, int64_t pid);
void pg_recycle(struct postgres *pg);

/* ---- postgres_stream.c ---- */
void pg_receiver_begin(struct postgres *pg, sim_time delay);
void pg_receiver_end(struct postgres *pg);
void pg_streams_push(struct postgres *pg);  /* there is more to send */
void pg_streams_end(struct postgres *pg);   /* all its processes are gone */
bool pg_streams_drained(struct postgres *pg); /* every walsender has sent everything, or has given up */
bool pg_streams_stuck(struct postgres *pg);   /* one cannot even take what is to be sent */

/* ---- postgres_copy.c ---- */
struct copy_view { /* one base backup, for the facts of its source */
    int64_t pid;
    const char *slot;
    const struct host *to;
    lsn_t sent;
};
const struct copy *pg_copy_next(const struct postgres *source, const struct copy *after, struct copy_view *out); /* after NULL: the first; NULL: no more */
bool pg_copy_has(const struct postgres *source, int64_t pid);
void pg_copy_end(struct postgres *source, int64_t pid);
void pg_copies_broken(struct postgres *source);
#endif
