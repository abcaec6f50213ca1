/* PostgreSQL's processes: their birth, what stops them, and their end. How it comes up is in postgres_recovery.c, how it
 * stops politely in postgres_stop.c. */
#include "tests/sim/deadman.h"
#include "tests/sim/postgres_inner.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_PID 100000
#define INITDB_RECORD 0x78
#define WALL_US 1000

void (*postgres_changed)(struct postgres *pg);

/* ---- events of one life ---- */

struct pg_event {
    struct postgres *pg;
    int generation;
    pg_step *step;
    int64_t number;
    struct pg_event *next; /* parked, or free */
};
static struct pg_event *free_events;

static void drop_event(struct pg_event *e) {
    e->next = free_events;
    free_events = e;
}

static void park(struct pg_event *e) {
    struct postgres_core *c = e->pg->core;
    e->next = NULL;
    if (c->parked_last)
        c->parked_last->next = e;
    else
        c->parked = e;
    c->parked_last = e;
}

static void on_event(void *event, int64_t number) {
    (void)number;
    struct pg_event *e = event;
    if (e->generation == e->pg->generation && e->pg->paused) {
        park(e);
        return;
    }
    struct pg_event due = *e;
    drop_event(e);
    if (due.generation == due.pg->generation)
        due.step(due.pg, due.number);
}

void pg_later(struct postgres *pg, sim_time delay, pg_step *step, int64_t number) {
    struct pg_event *e = free_events ? free_events : malloc(sizeof *e);
    if (!e)
        abort();
    if (e == free_events)
        free_events = e->next;
    *e = (struct pg_event){.pg = pg, .generation = pg->generation, .step = step, .number = number};
    sim_at(sim_now + delay, on_event, e, 0);
}

static void unpark(struct postgres *pg) {
    struct pg_event *e = pg->core->parked;
    pg->core->parked = pg->core->parked_last = NULL;
    while (e) {
        struct pg_event *next = e->next;
        sim_at(sim_now, on_event, e, 0);
        e = next;
    }
}

sim_time pg_takes(struct postgres *pg, int64_t low_ms, int64_t high_ms) { return dice_between(&pg->core->dice, low_ms * MS, high_ms * MS); }

#define SLOW_MAX_MS 8000
sim_time pg_recovery_takes(struct postgres *pg, int64_t low_ms, int64_t high_ms) {
    return sim_now < pg->slow_until ? pg_takes(pg, 1000, SLOW_MAX_MS) : pg_takes(pg, low_ms, high_ms);
}

/* ---- who is told ---- */

static void on_notice(void *context, int64_t number) {
    (void)number;
    struct postgres *pg = context;
    pg->core->notice_asked = false;
    if (pg->host->deadman)
        deadman_notice(pg->host);
    if (postgres_changed)
        postgres_changed(pg);
}

/* An event of its own, so that nobody acts on a server that is in the middle of a step. */
void pg_notice(struct postgres *pg) {
    if (pg->core->notice_asked)
        return;
    pg->core->notice_asked = true;
    sim_at(sim_now, on_notice, pg, 0);
}

void pg_set_control(struct postgres *pg, int state) {
    pg->control = state;
    sim_mix((uint64_t)state);
    pg_notice(pg);
}

/* ---- the directory ---- */

int64_t pg_new_pid(void) {
    static int64_t given;
    return FIRST_PID + ++given;
}

struct postgres *postgres_new(struct host *h) {
    struct postgres *pg = calloc(1, sizeof *pg);
    struct postgres_core *core = calloc(1, sizeof *core);
    if (!pg || !core)
        abort();
    pg->host = h;
    pg->core = core;
    dice_open(&core->dice, "postgres", h->index);
    return pg;
}

/* Nothing of an earlier directory is left, and no server runs in it. */
static void empty_directory(struct postgres *pg) {
    struct postgres_core *c = pg->core;
    pg->standby_signal = pg->recovery_signal = pg->mixed = false;
    pg->slot_count = 0;
    pg->min_recovery = 0;
    c->min_recovery_timeline = c->highest_timeline = 0;
    c->newest_history = NULL;
}

void postgres_initdb(struct postgres *pg, uint64_t system_id) {
    empty_directory(pg);
    int64_t now_us = host_wall_ms(pg->host) * WALL_US;
    const struct wal *beginning = wal_new(&(struct wal_input){.timeline = 1, .kind = WAL_BEGINNING, .size = INITDB_RECORD, .made_us = now_us + (int64_t)(system_id % 1000)});
    const struct wal *first = wal_new(&(struct wal_input){.previous = beginning, .timeline = 1, .kind = WAL_SHUTDOWN, .size = INITDB_RECORD, .made_us = now_us});
    pg->directory = DIRECTORY_THERE;
    pg->standby_signal = true; /* parked by the job before it is moved into place */
    pg->system_id = system_id;
    pg->written = pg->flushed = pg->replayed = pg->checkpoint = first;
    pg->redo = first->start;
    pg->oldest_kept = beginning->start;
    pg->core->highest_timeline = 1;
    pg_set_control(pg, PG_SHUT_DOWN);
}

void postgres_wipe(struct postgres *pg) {
    empty_directory(pg);
    pg->directory = DIRECTORY_ABSENT;
    pg->written = pg->flushed = pg->replayed = pg->checkpoint = NULL;
    pg->oldest_kept = pg->redo = 0;
    pg->system_id = 0;
}

/* ---- another directory in its place ---- */

struct directory_content {
    struct postgres pg; /* of these, what belongs to the directory */
    struct postgres_core core;
};

void postgres_mount_other(struct postgres *pg, uint64_t system_id) {
    struct directory_content *own = malloc(sizeof *own);
    if (!own)
        abort();
    *own = (struct directory_content){*pg, *pg->core};
    postgres_initdb(pg, system_id);
    pg->standby_signal = false;
    pg->own = own;
}

void postgres_mount_own(struct postgres *pg) {
    struct directory_content *own = pg->own;
    const struct postgres *was = &own->pg;
    struct postgres_core *c = pg->core;
    pg->system_id = was->system_id;
    pg->standby_signal = was->standby_signal;
    pg->recovery_signal = was->recovery_signal;
    pg->written = was->written;
    pg->flushed = was->flushed;
    pg->replayed = was->replayed;
    pg->checkpoint = was->checkpoint;
    pg->redo = was->redo;
    pg->min_recovery = was->min_recovery;
    pg->oldest_kept = was->oldest_kept;
    memcpy(pg->slots, was->slots, sizeof pg->slots);
    pg->slot_count = was->slot_count;
    c->min_recovery_timeline = own->core.min_recovery_timeline;
    c->highest_timeline = own->core.highest_timeline;
    c->newest_history = own->core.newest_history;
    pg->own = NULL;
    pg_set_control(pg, was->control);
    free(own);
}

/* ---- start ---- */

static int64_t refuse(const char **why, const char *reason) {
    if (why)
        *why = reason;
    return 0;
}

static void new_life(struct postgres *pg) {
    struct postgres_core *c = pg->core;
    pg->generation++;
    pg->paused = pg->replay_paused = pg->connected_ready = false;
    pg->started = sim_now;
    pg->replayed = pg->checkpoint;
    pg->receives_from = NULL;
    pg->receiver_timeline = 0;
    c->signals_read = c->unlinked = c->stop_wanted = c->orphans_write = c->setting_pause = c->received = false;
    c->flush_asked = c->replay_asked = c->checkpoint_running = false;
    c->pending_signal = c->logical_terms = 0;
    c->last_refusal = NULL;
    c->expected = NULL;
    c->receiver = RECEIVER_NONE;
    c->target[0] = c->slot[0] = 0;
    c->parked = c->parked_last = NULL;
}

int64_t postgres_start(struct postgres *pg, bool ours, const char **why) {
    if (pg->directory != DIRECTORY_THERE)
        return refuse(why, "the data directory is not there, or is not one");
    if (pg->postmaster_pid)
        return refuse(why, "lock file \"postmaster.pid\" already exists");
    if (pg->orphans)
        return refuse(why, "pre-existing shared memory block is still in use");
    new_life(pg);
    pg->ours = ours;
    pg->state = SERVER_STARTING;
    pg->postmaster_pid = pg_new_pid();
    pg->core->logical_pid = pg_new_pid();
    pg->core->started_wall_ms = host_wall_ms(pg->host);
    sim_say(pg->host->name, "PostgreSQL starts%s (%s, standby.signal %s)", ours ? "" : " by somebody's hand", pg_control_state_name(pg->control),
            pg->standby_signal ? "there" : "away");
    count("PostgreSQL starts");
    pg_begin_start(pg);
    pg_notice(pg);
    return pg->postmaster_pid;
}

/* ---- end ---- */

static void drop_parked(struct postgres *pg) {
    while (pg->core->parked) {
        struct pg_event *e = pg->core->parked;
        pg->core->parked = e->next;
        drop_event(e);
    }
    pg->core->parked_last = NULL;
}

void pg_ended(struct postgres *pg) {
    if (!pg->postmaster_pid && !pg->orphans)
        return;
    sim_say(pg->host->name, "PostgreSQL has ended (%s, timeline %lld up to %llx)", pg_control_state_name(pg->control), (long long)pg->written->timeline,
            (unsigned long long)pg->written->end);
    pg->state = SERVER_DOWN;
    pg->postmaster_pid = 0;
    pg->orphans = pg->paused = pg->replay_paused = false;
    pg->generation++;
    drop_parked(pg);
    pg_receiver_end(pg);
    pg_streams_end(pg);
    pg_copies_broken(pg);
    pg_slots_crashed(pg);
    pg_fail_checkpoints(pg);
    pg_fail_commits(pg);
    pg_notice(pg);
}

void postgres_kill_all(struct postgres *pg) { pg_ended(pg); }

void postgres_power_loss(struct postgres *pg) {
    pg_ended(pg);
    if (pg->directory == DIRECTORY_THERE)
        pg->written = pg->replayed = pg->flushed;
}

/* ---- signals ---- */

#define QUIT_MS 5
#define QUIT_MAX_MS 16
static void on_quit(struct postgres *pg, int64_t number) {
    (void)number;
    pg_ended(pg);
}

static void on_reload(struct postgres *pg, int64_t number) {
    (void)number;
    if (pg->postmaster_pid)
        pg_read_configuration(pg);
}

static void on_orphans_gone(struct postgres *pg, int64_t number) {
    (void)number;
    if (pg->orphans)
        pg_ended(pg);
}

/* Short lives are as likely as long ones: most backends notice at once, a busy one goes on. */
static sim_time life_of_orphans(struct postgres *pg) {
    static const int64_t most_ms[] = {20, 300, 3000, 20000};
    return pg_takes(pg, 5, most_ms[dice_between(&pg->core->dice, 0, 3)]);
}

/* SIGKILL to the postmaster alone: no new session, no start beside it, and whoever is connected goes on. */
static void kill_postmaster(struct postgres *pg) {
    sim_say(pg->host->name, "the postmaster is killed; its backends live on");
    count("postmasters killed alone");
    pg->core->orphans_write = pg->state == SERVER_PRODUCTION;
    pg->orphans = true;
    pg->state = SERVER_DOWN;
    pg->postmaster_pid = 0;
    pg_receiver_end(pg);
    pg_fail_checkpoints(pg);
    pg_later(pg, life_of_orphans(pg), on_orphans_gone, 0);
    pg_notice(pg);
}

void postgres_signal(struct postgres *pg, int signal_number) {
    if (!pg->postmaster_pid)
        return;
    if (signal_number == SIGKILL)
        kill_postmaster(pg);
    else if (signal_number == SIGSTOP || signal_number == SIGCONT)
        postgres_pause(pg, signal_number == SIGSTOP);
    else if (pg->paused && signal_number != SIGHUP)
        pg->core->pending_signal = signal_number;
    else if (signal_number == SIGINT || signal_number == SIGTERM)
        pg_fast_stop(pg);
    else if (signal_number == SIGQUIT)
        pg_later(pg, pg_takes(pg, QUIT_MS, QUIT_MAX_MS), on_quit, 0);
    else if (signal_number == SIGHUP)
        pg_later(pg, pg_takes(pg, 5, 20), on_reload, 0);
}

void postgres_pause(struct postgres *pg, bool on) {
    if (pg->paused == on || (on && !pg->postmaster_pid && !pg->orphans))
        return;
    pg->paused = on;
    sim_say(pg->host->name, on ? "PostgreSQL stands still" : "PostgreSQL goes on");
    if (on)
        return;
    unpark(pg);
    int pending = pg->core->pending_signal;
    pg->core->pending_signal = 0;
    if (pending)
        postgres_signal(pg, pending);
}

/* ---- what it can do at this moment ---- */

bool postgres_accepts_writes(const struct postgres *pg) {
    return !pg->paused && (pg->state == SERVER_PRODUCTION || (pg->orphans && pg->core->orphans_write));
}

bool postgres_answers(const struct postgres *pg) {
    return pg->postmaster_pid && !pg->paused && (pg->state == SERVER_RECOVERY || pg->state == SERVER_PROMOTING || pg->state == SERVER_PRODUCTION);
}

/* A stop ends sessions at once, walsenders last. */
bool pg_serves_wal(const struct postgres *pg) { return pg->orphans || (pg->postmaster_pid && pg->state != SERVER_STARTING && pg->state != SERVER_DOWN); }
