/* Processes: production code that runs as a coroutine, waits, is paused and killed.
 *
 * Code of a process runs only inside an event of its own (go_on), never inside another process's. A life that has ended is
 * never resumed: its stack is used again, and what it had on the heap stays until the history ends. */
#include "tests/sim/deadman.h"
#include "tests/sim/network.h"
#include "tests/sim/sim_inner.h"
#include "tests/sim/stores.h"
#include "rt/str.h"
#include <stdlib.h>

#define FIRST_PID 10000000 /* far from those of PostgreSQL's processes, whose model numbers them itself */

enum waiting { RUNS, WAITS, BLOCKED }; /* BLOCKED: no wake ends it */
struct process_core {
    struct stack *stack;
    void (*main)(struct process *self, void *argument);
    void *argument;
    enum waiting waiting;
    int64_t wait;      /* number of the wait under way: an event of an earlier one is void */
    bool wake_kept;    /* a wake came that no wait has seen yet */
    bool due;          /* its wait ended while it was paused */
    int64_t points, strike_at;
    enum strike strike;
    sim_time strike_pause;
    struct dice dice;
};

void (*process_ended)(struct process *p);
static struct process *current;
static struct host *acting;
static int64_t pids, lives[HOSTS_MAX];

struct process *process_self(void) { return current; }

struct host *host_act_as(struct host *h) {
    struct host *before = acting;
    acting = h;
    return before;
}

struct host *host_self(void) {
    if (!current && !acting)
        abort();
    return current ? current->host : acting;
}

struct dice *process_dice(struct process *p) { return &p->core->dice; }

/* ---- switching ---- */

/* From the loop: p runs until it waits or ends. */
static void go_on(struct process *p) {
    struct process_core *core = p->core;
    core->waiting = RUNS;
    core->wait++;
    core->due = false;
    sim_mix((uint64_t)p->pid);
    current = p;
    stack_enter(core->stack);
    current = NULL;
    if (!p->alive)
        stack_give_back(core->stack);
}

static void wait_is_over(void *process, int64_t wait) {
    struct process *p = process;
    if (!p->alive || p->core->waiting == RUNS || p->core->wait != wait)
        return;
    if (p->paused)
        p->core->due = true;
    else
        go_on(p);
}

static void give_way(enum waiting how) {
    struct process *p = current;
    p->core->waiting = how;
    stack_leave(p->core->stack);
}

/* ---- life ---- */

__attribute__((noreturn)) static void live(void) {
    struct process *p = current;
    p->core->main(p, p->core->argument);
    process_kill(p);
    abort();
}

struct process *process_start(struct host *h, const char *name, void (*main)(struct process *self, void *argument), void *argument) {
    struct process *p = rt_alloc(sizeof *p);
    p->core = rt_alloc(sizeof *p->core);
    str_copy(p->name, sizeof p->name, name);
    p->host = h;
    p->pid = FIRST_PID + ++pids;
    p->alive = true;
    p->core->main = main;
    p->core->argument = argument;
    p->core->waiting = BLOCKED;
    p->core->stack = stack_take(live);
    dice_open(&p->core->dice, h->name, ++lives[h->index]);
    sim_at(sim_now, wait_is_over, p, p->core->wait);
    return p;
}

/* All that the kernel and the others on its host close for it. */
static void clear_away(struct process *p) {
    if (p->host->agent == p)
        p->host->agent = NULL;
    http_process_ended(p);
    store_process_ended(p);
    deadman_agent_ended(p);
    files_process_ended(p);
    if (process_ended)
        process_ended(p);
}

void process_kill(struct process *p) {
    if (!p || !p->alive)
        return;
    sim_say(p->name, "ends");
    p->alive = false;
    clear_away(p);
    if (p == current)
        stack_leave_for_ever(p->core->stack);
    stack_give_back(p->core->stack);
}

/* ---- waiting ---- */

void process_wait(sim_time until) {
    struct process_core *core = current->core;
    if (!core->wake_kept) {
        sim_at(until, wait_is_over, current, core->wait);
        give_way(WAITS);
    }
    core->wake_kept = false;
}

void process_wake(struct process *p) {
    if (!p || !p->alive || p->core->wake_kept)
        return;
    p->core->wake_kept = true;
    if (p->core->waiting == WAITS)
        sim_at(sim_now, wait_is_over, p, p->core->wait);
}

void process_block(sim_time how_long) {
    sim_at(sim_now + how_long, wait_is_over, current, current->core->wait);
    give_way(BLOCKED);
}

/* ---- pauses ---- */

void process_pause(struct process *p) {
    if (!p || !p->alive || p->paused)
        return;
    sim_say(p->name, "is paused");
    p->paused = true;
    if (p != current)
        return;
    p->core->due = true; /* where it stands it waits for nothing else */
    give_way(BLOCKED);
}

void process_resume(struct process *p) {
    if (!p || !p->alive || !p->paused)
        return;
    sim_say(p->name, "goes on");
    p->paused = false;
    if (p->core->due)
        sim_at(sim_now, wait_is_over, p, p->core->wait);
}

/* ---- strikes ---- */

static void resume_after_strike(void *process, int64_t number) {
    (void)number;
    process_resume(process);
}

static void power_comes(void *host, int64_t number) {
    (void)number;
    if (!((struct host *)host)->up)
        host_boot(host);
}
static void power_fails(void *host, int64_t pause) {
    struct host *h = host;
    if (!h->up)
        return;
    host_crash(h);
    sim_at(sim_now + pause, power_comes, h, 0);
}

static void strike(struct process *p, const char *where) {
    enum strike how = p->core->strike;
    p->core->strike = STRIKE_NONE;
    sim_say(p->name, "is struck at \"%s\"", where);
    if (how == STRIKE_POWER) {
        sim_at(sim_now, power_fails, p->host, p->core->strike_pause);
        process_pause(p); /* it does not come to anything else */
        return;
    }
    if (how == STRIKE_KILL)
        process_kill(p);
    sim_at(sim_now + p->core->strike_pause, resume_after_strike, p, 0);
    process_pause(p);
}

void process_point(const char *what) {
    struct process *p = current;
    if (!p)
        return;
    p->core->points++;
    sim_mix(sim_hash_text(what));
    if (p->core->strike != STRIKE_NONE && p->core->points >= p->core->strike_at)
        strike(p, what);
}

int64_t process_points(const struct process *p) { return p->core->points; }

void process_strike_at(struct process *p, int64_t points_from_now, enum strike how, sim_time pause) {
    p->core->strike = how;
    p->core->strike_at = p->core->points + points_from_now;
    p->core->strike_pause = pause;
}
