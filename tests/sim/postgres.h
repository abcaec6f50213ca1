/* PostgreSQL of one host: the data directory and, while it runs, the server in it. A model of what PostgreSQL 15 does
 * (../../docs and the measured facts name the behaviours), with content: each WAL record is a node of one immutable tree,
 * so that "the same LSN" and "the same rows" can differ here as they can there. */
#ifndef SIM_POSTGRES_H
#define SIM_POSTGRES_H
#include "tests/sim/sim.h"
#include "site-agent/pg/pg_control.h"
#include "site-agent/pg/pg_facts.h"
#include "wire/lsn.h"

/* ---- WAL ---- */
enum wal_kind { WAL_BEGINNING, WAL_COMMIT, WAL_CHECKPOINT, WAL_SHUTDOWN, WAL_END_OF_RECOVERY, WAL_OTHER };
struct wal {
    const struct wal *previous; /* NULL: the beginning of the cluster */
    lsn_t start, end;
    int64_t timeline;
    int kind;
    int64_t commit;       /* WAL_COMMIT: the client's number */
    int64_t made_us;      /* content: the writer's wall clock */
    uint32_t depth, crc;  /* crc: of all content up to here, so different histories have different ones */
    uint32_t own;         /* of this record's bytes alone: what a comparison of one record sees. Nothing in it tells what came
                           * before but the position; checkpoints know whole seconds, other records no time at all */
    lsn_t redo;           /* checkpoints */
    const struct wal *jump;       /* an ancestor further back, for walks in few steps */
    const struct wal *first;      /* the first record of this timeline in this history: END_OF_RECOVERY, or the beginning */
    const struct wal *checkpoint; /* the newest checkpoint up to here, this one included; NULL: none */
};
/* WAL is removed, copied and asked for by whole segments: small ones, so that a history of minutes has many. */
#define WAL_SEGMENT 0x4000
bool wal_holds(const struct wal *tip, const struct wal *record); /* the record is in tip's history (or is tip) */
const struct wal *wal_at_end(const struct wal *tip, lsn_t end);  /* the record that ends there; NULL: none */
const struct wal *wal_common(const struct wal *a, const struct wal *b);
bool wal_has_commit(const struct wal *tip, int64_t commit);
const struct wal *wal_of_commit(int64_t commit);            /* NULL: no record was ever written for it */
/* By numbers alone, as PostgreSQL judges: where `timeline` ends in tip's history (UINT64_MAX: it is the newest; 0: it is not in it). */
lsn_t wal_timeline_end(const struct wal *tip, int64_t timeline);
int64_t wal_timeline_at(const struct wal *tip, lsn_t at);   /* of the record that covers `at`, or would be written there */

/* ---- slots ---- */
struct slot {
    char name[64];
    lsn_t restart;        /* 0: nothing reserved */
    lsn_t saved;          /* restart as the last checkpoint wrote it: what a crash goes back to */
    bool active, lost;
    int64_t walsender_pid;
};
#define SLOTS_MAX 24

/* ---- directory and server ---- */
enum directory_state { DIRECTORY_ABSENT, DIRECTORY_BROKEN, DIRECTORY_THERE };
enum server_state {
    SERVER_DOWN,
    SERVER_STARTING,  /* reads its control file, recovers; answers 57P03 */
    SERVER_RECOVERY,  /* hot standby */
    SERVER_PROMOTING, /* trigger seen, end of recovery under way */
    SERVER_PRODUCTION,
    SERVER_STOPPING,  /* fast: no new connections, walsenders drain, then the shutdown checkpoint */
};
struct postgres {
    struct host *host;
    /* the directory; survives everything but its loss */
    enum directory_state directory;
    uint64_t system_id;
    bool away;                           /* something else is mounted in its place */
    struct directory_content *own;       /* the content that belongs here, while another cluster's directory is mounted */
    bool standby_signal, recovery_signal;
    const struct wal *written, *flushed; /* tip on disk; a power failure takes what is not flushed */
    const struct wal *checkpoint;        /* of pg_control */
    lsn_t redo, min_recovery, oldest_kept; /* WAL below oldest_kept, the beginning of a segment, is recycled */
    int control;                         /* enum pg_control_state */
    struct slot slots[SLOTS_MAX];
    int slot_count;
    /* configuration files, outside the directory: what the agent wrote last */
    char primary_target[32];             /* host to stream from, "" nobody: hosts by name, comma separated, first first */
    char primary_conninfo[1024], primary_slot[64];
    bool ready_for_promotion;
    /* the server */
    enum server_state state;
    int64_t postmaster_pid;  /* 0: no postmaster */
    bool orphans;            /* backends of a killed postmaster go on serving who is connected */
    bool ours;               /* a child of the dead-man; else somebody started it by hand */
    bool paused;             /* SIGSTOP to all of it */
    const struct wal *replayed;
    bool replay_paused;
    struct host *receives_from; /* a walreceiver streams; NULL */
    int64_t receiver_timeline;
    bool connected_ready;    /* configuration that was read by the running server: reload has happened */
    sim_time started;
    bool mixed;              /* has streamed records over a history that is not theirs: other rows under the same numbers */
    int generation;          /* grows with each start and end: late events of an earlier life are void */
    struct postgres_core *core; /* what only postgres*.c know */
    /* what deeds do to it */
    sim_time slow_until, fail_start_until, hung_walsender_until;
};

/* postgres.c */
struct postgres *postgres_new(struct host *h);
/* As the agent's initdb job leaves it: a directory in its first state, parked as a standby. */
void postgres_initdb(struct postgres *pg, uint64_t system_id);
void postgres_wipe(struct postgres *pg); /* the directory is gone for ever; no server runs */
/* The directory of another cluster, just made and shut down, in the place of its own; and back. No server runs. */
void postgres_mount_other(struct postgres *pg, uint64_t system_id);
void postgres_mount_own(struct postgres *pg);
/* `postgres -D`: reads standby.signal / recovery.signal; returns the postmaster's pid, 0 with *why when it refuses at once.
 * What becomes of it (recovery, production, end) follows in events; `ended` is called when the postmaster is gone. */
int64_t postgres_start(struct postgres *pg, bool ours, const char **why);
void postgres_signal(struct postgres *pg, int signal_number); /* SIGINT fast stop, SIGHUP reload, SIGQUIT, SIGKILL (postmaster only: orphans stay) */
void postgres_kill_all(struct postgres *pg);     /* every process of it */
void postgres_trigger_promotion(struct postgres *pg); /* pg_promote(false) */
void postgres_checkpoint(struct postgres *pg, void (*done)(void *context, int64_t ok), void *context);
void postgres_power_loss(struct postgres *pg);
void postgres_pause(struct postgres *pg, bool on);
bool postgres_accepts_writes(const struct postgres *pg); /* somebody connected could be acknowledged a commit at this moment */
bool postgres_answers(const struct postgres *pg);        /* a new connection gets a session */
/* A client's commit over a session that it has: the record is written; `acknowledged(context, commit or 0)` when it is flushed
 * (0: the connection broke, outcome unknown). A session lasts as long as pg->generation stays and writes are accepted. */
void postgres_commit(struct postgres *pg, int64_t commit, void (*acknowledged)(void *context, int64_t commit), void *context);
void postgres_write_other(struct postgres *pg, int records);
/* Slots: physical, WAL reserved at once. False: it exists already, or there is no room. */
bool postgres_create_slot(struct postgres *pg, const char *name);
bool postgres_drop_slot(struct postgres *pg, const char *name); /* false: active or missing */
bool postgres_advance_slot(struct postgres *pg, const char *name, lsn_t to);
void postgres_end_walsender(struct postgres *pg, int64_t pid); /* SIGTERM: the first does not end one that is stuck sending */
bool postgres_has_walsender(const struct postgres *pg, int64_t pid); /* logical ones, which have no slot here, too */
void postgres_facts(const struct postgres *pg, struct pg_facts *out);
void postgres_control(const struct postgres *pg, struct pg_control *out); /* the directory must be there */
/* Called by the model at every change that others may wait for: server state, control file, replay position, end. */
extern void (*postgres_changed)(struct postgres *pg);

/* postgres_copy.c: pg_basebackup from `source` through `slot` into pg's directory (beside first, renamed at the end). */
struct copy;
struct copy *postgres_copy_start(struct postgres *pg, struct postgres *source, const char *slot, void (*ended)(void *context, int64_t ok), void *context);
void postgres_copy_cancel(struct copy *c);
#endif
