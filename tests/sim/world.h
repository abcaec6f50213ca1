/* One history: settings and deeds drawn from a seed, the world that is built from them, and its end.
 *
 *   draw (swarm.c) -> world_build -> warm-up or cold birth -> safety phase with deeds -> heal -> liveness phase -> aftermath
 *
 * A plan is data: it can be printed, read back, shortened (shrink.c) and kept as a golden story (tests/sim/stories/). */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H
#include "tests/sim/sim.h"

/* What can be done to the world. X(symbol, name in stories and figures, what it does; who `target`, `other`, `ms`, `number` are) */
#define DEEDS(X)                                                                                                       \
    X(DEED_KILL_AGENT, "kill-agent", "SIGKILL to the agent of host target")                                            \
    X(DEED_KILL_AGENT_AT, "kill-agent-at", "the same, at its number-th next effect")                                   \
    X(DEED_PAUSE_AGENT, "pause-agent", "SIGSTOP for ms to the agent of host target")                                   \
    X(DEED_PAUSE_AGENT_AT, "pause-agent-at", "the same, at its number-th next effect")                                 \
    X(DEED_KILL_DEADMAN, "kill-deadman", "SIGKILL to the dead-man of host target")                                     \
    X(DEED_PAUSE_DEADMAN, "pause-deadman", "SIGSTOP for ms to the dead-man of host target")                            \
    X(DEED_KILL_POSTMASTER, "kill-postmaster", "SIGKILL to the postmaster of host target: its backends live on for ms") \
    X(DEED_CRASH_POSTGRES, "crash-postgres", "a backend of host target crashes: all of PostgreSQL ends")               \
    X(DEED_PAUSE_POSTGRES, "pause-postgres", "all of PostgreSQL of host target stands still for ms")                   \
    X(DEED_PAUSE_HOST, "pause-host", "every process of host target stands still for ms; its clocks go on")             \
    X(DEED_CRASH_HOST, "crash-host", "the power of host target fails for ms")                                          \
    X(DEED_CRASH_HOST_AT, "crash-host-at", "the power of host target fails for ms at its daemon's number-th next effect") \
    X(DEED_CRASH_SITE, "crash-site", "the power of all hosts of site target fails for ms")                             \
    X(DEED_DISK_FULL, "disk-full", "writes of host target fail for ms")                                                \
    X(DEED_DISK_SLOW, "disk-slow", "for ms each durable write of host target blocks for up to number ms")              \
    X(DEED_WALL_JUMP, "wall-jump", "the wall clock of host target jumps by number ms")                                 \
    X(DEED_STORE_DOWN, "store-down", "store of site target does not answer for ms (no quorum)")                        \
    X(DEED_STORE_FLAKY, "store-flaky", "for ms number permille of the swaps there have an unknown outcome")            \
    X(DEED_STORE_SLOW, "store-slow", "for ms each call there takes up to number ms")                                   \
    X(DEED_STORE_STALE, "store-stale", "for ms reads there may be up to number revisions old")                         \
    X(DEED_STORE_DEAF, "store-deaf", "for ms watches there tell nothing")                                              \
    X(DEED_STORE_BACK, "store-back", "after ms down, store of site target comes back as it was number ms ago, with another store id; number 0: empty") \
    X(DEED_CUT, "cut", "nothing passes between hosts target and other for ms")                                         \
    X(DEED_CUT_ONE_WAY, "cut-one-way", "nothing passes from host target to other for ms")                              \
    X(DEED_CUT_CONTROL, "cut-control", "only the control port is cut, both ways")                                      \
    X(DEED_CUT_REPLICATION, "cut-replication", "only PostgreSQL's port is cut, both ways")                             \
    X(DEED_ISOLATE_SITE, "isolate-site", "site target is cut from all others and from the coordinators for ms")        \
    X(DEED_FLAP, "flap", "link target - other goes down and up every number ms, for ms")                               \
    X(DEED_SLOW_LINK, "slow-link", "for ms everything between target and other takes number ms longer, and loses much") \
    X(DEED_LATE_LETTERS, "late-letters", "for ms letters from host target arrive late, twice and in another order")    \
    X(DEED_KILL_COORDINATOR, "kill-coordinator", "SIGKILL to coordinator target; its service starts it again")         \
    X(DEED_KILL_COORDINATOR_AT, "kill-coordinator-at", "the same, at its number-th next effect")                       \
    X(DEED_PAUSE_COORDINATOR, "pause-coordinator", "SIGSTOP for ms")                                                   \
    X(DEED_COORDINATOR_BACK, "coordinator-back", "its journal is put back to how it was number ms ago; number 0: it is empty") \
    X(DEED_REPLAY, "replay", "somebody on the wire repeats an old letter: number picks which, to whom target picks")   \
    X(DEED_START_BY_HAND, "start-by-hand", "somebody starts PostgreSQL of host target without pgregent, if it is down") \
    X(DEED_PROMOTE_BY_HAND, "promote-by-hand", "somebody promotes the standby of host target without pgregent")        \
    X(DEED_STOP_BY_HAND, "stop-by-hand", "somebody stops PostgreSQL of host target (fast)")                            \
    X(DEED_HUNG_WALSENDER, "hung-walsender", "for ms a logical subscriber of host target never confirms: a fast stop waits") \
    X(DEED_SLOW_RECOVERY, "slow-recovery", "for ms starts and replay of host target take long")                        \
    X(DEED_PAUSE_REPLAY, "pause-replay", "pg_wal_replay_pause() on host target for ms")                                \
    X(DEED_FAIL_START, "fail-start", "for ms PostgreSQL of host target does not start")                                \
    X(DEED_DROP_SLOTS, "drop-slots", "somebody drops the slots of host target")                                        \
    X(DEED_WAL_BURST, "wal-burst", "number records of WAL at once on whoever writes")                                  \
    X(DEED_LOSE_DATA, "lose-data", "for ms something else is mounted where the data of host target belong: number 0 nothing, 1 rubbish, 2 another cluster") \
    X(DEED_REMOVE_SIGNAL, "remove-signal", "somebody removes standby.signal from the data directory of host target")   \
    X(DEED_REPLACE_HOST, "replace-host", "host target is replaced by a new machine, with empty disks, after ms")       \
    X(DEED_SWITCHOVER, "switchover", "an operator asks to move to site target within ms")                              \
    X(DEED_SWITCHOVER_TWICE, "switchover-twice", "two operators do, at once, to target and to other")                  \
    X(DEED_ABORT, "abort", "an operator takes the open operation back")                                                \
    X(DEED_APPLY_LEASE, "apply-lease", "an operator applies another ttl, ms, and a stop_time of number percent of it, at site target; other the same: everywhere") \
    X(DEED_APPLY_SETTING, "apply-setting", "an operator applies another setting of PostgreSQL, number, everywhere")    \
    X(DEED_APPLY_TWICE, "apply-twice", "two operators change the same topology at once: the lease as apply-lease does, and a setting") \
    X(DEED_APPLY_OLD, "apply-old", "an operator sends the signed topology of number versions ago again")               \
    X(DEED_APPLY_MEMBER, "apply-member", "an operator applies a topology that names the last member of site target; until then it was in none") \
    X(DEED_APPLY_SITE, "apply-site", "the same with the last site, and all its members")
enum deed_kind {
#define X(symbol, name, says) symbol,
    DEEDS(X)
#undef X
    DEED_KINDS
};
extern const char *const deed_names[DEED_KINDS];
struct deed {
    sim_time at;       /* since the begin of the safety phase */
    int kind;
    int target, other; /* host (index in hosts[]) or site; NOWHERE where it has none */
    int64_t ms, number;
};
#define DEEDS_MAX 64

struct settings {
    int sites;         /* 2 or 3 */
    int members;       /* per site, 1 to 3 */
    bool one_host;     /* the members of a site share a host's fate and clock (embedded store) */
    bool born;         /* the history begins before `apply --create`; else with a healthy cluster */
    int clients;       /* writing, per site */
    int64_t ttl_ms, stop_time_ms;
    int latency_ms;    /* between sites, one way */
    int64_t safety_ms; /* length of the safety phase */
};
struct script {
    uint64_t seed;
    struct settings settings;
    struct deed deeds[DEEDS_MAX];
    int deed_count;
};
void plan_draw(uint64_t seed, struct script *out); /* swarm.c */
/* Text, one line a deed: what `--story` prints and tests/sim/stories/ holds. */
struct strbuf;
void plan_write(const struct script *p, struct strbuf *to);
bool plan_read(const char *text, struct script *out, char *problem, size_t size);

bool world_run_until_whole(sim_time end, char *lacking, size_t size); /* false: it has not become so */
/* Plays it to its end. Returns if all went well; a failure ends the process by sim_fail. */
void world_play(const struct script *p);

/* ---- the world, for models and invariants ---- */
struct site_world {
    char name[32];
    int index;
    struct host *members[3];
    int member_count;
};
extern struct site_world sites[3];
extern int site_count;
extern const struct script *world_plan;
extern bool world_healed;  /* the liveness phase: no deed is in force any more */
extern int coordinator_count; /* processes; the second one only by DEED kinds of several coordinators */
extern struct host *coordinator_hosts[2];

/* ---- topology_world.c: what the operators write and sign ---- */
/* The part of a file that changes while the world runs. */
struct declared {
    struct {
        bool named, last_named; /* the site, and its last member, stand in the file */
        int64_t ttl_ms, stop_time_ms;
    } sites[3];
    int64_t setting;
};
struct signed_topology {
    struct declared declared;
    int64_t version;
    char hash[72], previous[72]; /* of its payload, and of the one that it replaces */
    const char *envelope;
};
void topologies_begin(const struct script *p); /* signs the first */
const struct signed_topology *topology_sign_next(const struct declared *d, int64_t version, const char *previous);
const struct signed_topology *topology_signed(const char *hash); /* NULL: none has it */
const struct signed_topology *topology_before(const struct signed_topology *t); /* NULL: it is the first */
const struct signed_topology *topology_in_force(void); /* that the coordinator has, or the newest that an agent has: what people find when they look; else the first */
bool world_names_site(int site);            /* by the topology in force */
bool world_names(const struct host *member);
bool world_agrees_on_topology(void);        /* no two agents have other topologies of one version */
int64_t topology_newest_version(void);      /* that was ever signed */

/* deeds.c: one function a kind begins it and asks for its end */
void deed_do(const struct deed *d);
void deeds_heal(void);
void deed_put_journal_back(int64_t ago_ms); /* the coordinator's; 0: it is empty */

/* agent_world.c, coordinator_world.c: production daemons as processes */
void agent_service_start(struct host *h);       /* as systemd would: starts it now, and again after each death */
void coordinator_service_start(struct host *h);
struct agent;
struct coordinator;
struct agent *agent_on(const struct host *h);   /* NULL: does not run */
struct coordinator *coordinator_on(const struct host *h);

/* operators.c */
void operator_apply(bool create); /* the topology that people have, to a coordinator that has none */
void operator_change(const struct deed *d); /* operators_apply.c: the kinds apply-... */
void operator_switchover(int to_site, int64_t deadline_ms);
void operator_abort(void);
void operators_step(void); /* each second: who sees an operation that waits for a person takes it back, once all is healed */
int operations_accepted(void);

/* pg_files.c: where PostgreSQL of that host listens, as the topology names it */
void member_address(const struct host *h, char *host, size_t size, int64_t *port);

/* clients.c: writers that know what was acknowledged to them */
void clients_start(void);
int64_t clients_acknowledged(void); /* commits */
bool client_was_acknowledged(int64_t commit);

/* invariants.c */
struct wal;
void invariants_begin(void);
void invariants_acknowledged(const struct host *h, const struct wal *record); /* clients.c: a client got its acknowledgement */
void invariants_excuse(const struct host *h); /* deeds.c: a person promoted it by hand, or took its data for ever */
bool invariants_can_spare(const struct host *h); /* deeds.c: nothing of what only it has is needed */
void invariants_forget(const struct host *h);  /* deeds.c: it is a new machine, whose marks begin anew */
void invariants_unguard(const struct host *h); /* deeds.c: its dead-man is stopped */
void invariants_store_back(int site);         /* deeds.c: the store of that site is an older one now */
void invariants_slots_dropped(void);          /* deeds.c: by a person: WAL may go that somebody needs */
void invariants_check(void);      /* after each event */
void invariants_coordinator_ended(const struct host *h, const char *why); /* coordinator_world.c, kernel_system.c: by itself; why: it did not come up */
bool world_has_converged(char *lacking, size_t size); /* liveness: one primary writable, all else streams, nothing open */
bool world_operation_is_open(void);
bool world_needs_nobody(void);    /* no member and no site waits for a person, as far as that is simulated */
bool world_bootstrap_was_taken_back(void);
void aftermath_play(void);        /* aftermath.c: left alone, then moved, a whole cluster stays one */
void invariants_end(void);        /* at the end: every acknowledged row is in the primary */
#endif
