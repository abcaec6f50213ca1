/* The machine room of the simulator: virtual time, hosts, processes, chance, and the story that is told of it.
 *
 * Agents and coordinators are the production code as it stands, on top of simulated lowest layers (kernel_*.c, ideal.c,
 * network.c, postgres*.c ...) that are put in its place by the linker. Each runs as a coroutine: a call that would block gives
 * the processor away, and the world goes on meanwhile. One thread, one seed, one history: nothing here reads a real clock,
 * real randomness or an address. A history runs in a child process of its own (run.c), so nothing needs to be freed.
 *
 * Who is who: host (machine: clock, files, dead or alive) > process (agent, coordinator: a coroutine) and models (PostgreSQL,
 * dead-man, store, network: callbacks at times). All of them act only inside events; after each event invariants.c looks. */
#ifndef SIM_H
#define SIM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- time: microseconds since the beginning of the history ---- */
typedef int64_t sim_time;
#define MS 1000
#define SECOND 1000000
extern sim_time sim_now;

/* Calls run(context, number) at `when` (not before now). Events of one moment run in the order in which they were asked for. */
void sim_at(sim_time when, void (*run)(void *context, int64_t number), void *context, int64_t number);

/* ---- chance: each purpose has its own stream, so that leaving one deed out changes little else ---- */
struct dice {
    uint64_t state;
};
void dice_open(struct dice *d, const char *purpose, int64_t number); /* from the history's seed */
uint64_t dice_next(struct dice *d);
int64_t dice_between(struct dice *d, int64_t low, int64_t high); /* both included */
void dice_id(struct dice *d, char *text, size_t space); /* 32 hexadecimal digits */
bool dice_chance(struct dice *d, int permille);

/* ---- hosts ---- */
#define HOSTS_MAX 24
#define NOWHERE (-1)
struct files; /* kernel_files.c */
struct host {
    char name[32];
    int index;              /* in hosts[] */
    int site;               /* index of the site; NOWHERE: a coordinator's or a client's */
    int member;             /* index within the site; NOWHERE */
    bool up;
    int boots;
    sim_time booted;        /* its CLOCK_BOOTTIME counts from here */
    int64_t drift_ppm;      /* its clock runs that much too fast; within rho = 1 % */
    int64_t boot_offset_ms; /* no two hosts' clocks have the same origin */
    int64_t wall_offset_ms; /* of its wall clock against true time; jumps */
    bool disk_full;         /* writes fail (ERR_IO) */
    sim_time disk_slow;     /* each durable write blocks for up to this long */
    struct files *files;
    struct process *agent;  /* the agent's, or the coordinator's, process; NULL: not running */
    struct deadman *deadman;   /* NULL: not running; deadman.h */
    struct postgres *postgres; /* NULL: this host has none; postgres.h */
};
extern struct host hosts[HOSTS_MAX];
extern int host_count;
struct host *host_named(const char *name); /* NULL */
int64_t host_boot_ms(const struct host *h);
int64_t host_wall_ms(const struct host *h);
sim_time host_when_boot_ms(const struct host *h, int64_t boot_ms); /* true time at which its clock will say so */
/* The power goes: every process, the dead-man and PostgreSQL end at once, what was not fsynced is lost. */
void host_crash(struct host *h);
void host_boot(struct host *h); /* a new boot id; the agent's service and the dead-man with it start after a moment */

/* ---- processes: production code in a coroutine ---- */
struct process {
    char name[48];       /* "agent ams-1" */
    struct host *host;
    int64_t pid;         /* never given twice */
    bool alive, paused;
    void *context;       /* struct agent *, struct coordinator * */
    struct process_core *core;
};
struct process *process_start(struct host *h, const char *name, void (*main)(struct process *self, void *argument), void *argument);
void process_kill(struct process *p);  /* SIGKILL: at once; of oneself, too (does not return then) */
void process_pause(struct process *p); /* SIGSTOP: takes effect where it stands, also inside a call */
void process_resume(struct process *p);
struct process *process_self(void);    /* whose code runs now; NULL: a model's */
struct host *host_self(void);          /* the current process's host, or that of host_act_as; aborts without either */
/* Production code that runs outside of a process (an HTTP route) takes h for its host. Returns who was taken before; give that back. */
struct host *host_act_as(struct host *h);
void process_wake(struct process *p);  /* something came for it: its process_wait ends. NULL is allowed */
void process_wait(sim_time until);     /* the current process sleeps until then or until it is woken; a wake from before counts */
void process_block(sim_time how_long); /* a call that takes this long and cannot be interrupted (disk) */
/* A place between two effects of the current process. A kill or a pause that waits for its n-th such place strikes here. */
void process_point(const char *what);
int64_t process_points(const struct process *p); /* passed so far */
enum strike { STRIKE_NONE, STRIKE_KILL, STRIKE_PAUSE, STRIKE_POWER }; /* power: host_crash, and host_boot after the pause */
void process_strike_at(struct process *p, int64_t points_from_now, enum strike how, sim_time pause);
/* Hooks of the world: services start a host's processes again. */
extern void (*host_booted)(struct host *h);
extern void (*process_ended)(struct process *p); /* killed, or its main has returned; h->agent is NULL already */
extern void (*host_crashed)(struct host *h);     /* the dead-man's part in host_crash; h->deadman is forgotten after it */

/* ---- the story: who did what when, for people; only kept when sim_telling ---- */
extern bool sim_telling;
#define sim_say(who, ...) do { if (sim_telling) sim_tell((who), __VA_ARGS__); } while (0)
void sim_tell(const char *who, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- figures, summed over all histories (shared memory) ---- */
void count(const char *figure);          /* + 1 */
void count_more(const char *figure, int64_t by);

/* A rule of the world is broken: the history ends here as a failure. `invariant`: "I1 one writer". */
void sim_fail(const char *invariant, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
#define sim_check(invariant, holds, ...) do { if (!(holds)) sim_fail((invariant), __VA_ARGS__); } while (0)

/* ---- the loop ---- */
void sim_begin(uint64_t seed);
void sim_reseed(uint64_t seed);  /* a warm world that was forked goes on as another history */
bool sim_step(void);             /* the next event; false: nothing is left to happen */
void sim_run_until(sim_time end, void (*after_each)(void));
int64_t sim_events(void);
uint64_t sim_fingerprint(void);  /* of everything that happened so far: equal for equal histories */
void sim_mix(uint64_t what);     /* into the fingerprint */
#endif
