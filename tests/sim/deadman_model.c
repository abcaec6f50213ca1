/* The dead-man of one host: its loop, the postmaster that it starts, the deadlines, the kill. A model of
 * site-agent/deadman/deadman_server.c, deadman_postmaster.c and deadman_striker.c with their conditions; its clock is the host's. It
 * sees what lives below it (what it has started in this life), and strangers. */
#include "tests/sim/deadman_inner.h"
#include "rt/str.h"
#include <signal.h>
#include <string.h>

#define FIRST_PID 500000
#define WAKES_MIN 50             /* us */
#define WAKES_MAX (1 * MS)
#define STRIKE_MAX (40 * MS)     /* from the deadline until the last process has its signal, on a busy machine */
#define FSYNC_MIN 200            /* us */
#define FSYNC_MAX (3 * MS)
#define WINDOW_POLL (2 * MS)
#define LEFTOVER_POLL (20 * MS)
#define KILL_POLL (2 * MS)
#define SETTLE_POLL (100 * MS)
#define ABSENT_POLL (1000 * MS)
#define COMPLAIN_MS 5000

static sim_time wakes(struct deadman *d) { return dice_between(&d->dice, WAKES_MIN, WAKES_MAX); }

static int64_t boot_ms(const struct deadman *d) { return host_boot_ms(d->host); }

static void complain(struct deadman *d, const char *message, const char *why) {
    int64_t now_ms = boot_ms(d);
    if (d->complained_ms && now_ms - d->complained_ms < COMPLAIN_MS)
        return;
    d->complained_ms = now_ms;
    sim_say(d->host->name, "dead-man: %s: %s", message, why);
}

void deadman_disk(struct deadman *d) {
    sim_time begin = d->busy_until > sim_now ? d->busy_until : sim_now, usual = dice_between(&d->dice, FSYNC_MIN, FSYNC_MAX);
    d->busy_until = begin + usual + dice_between(&d->dice, 0, d->host->disk_slow);
}

/* ---- what lives below ---- */

bool deadman_tree_lives(const struct deadman *d) {
    return d->tree_pid && (d->pg->postmaster_pid == d->tree_pid || (d->pg->orphans && !d->pg->postmaster_pid));
}

static void kill_tree(struct deadman *d) {
    if (deadman_tree_lives(d))
        postgres_kill_all(d->pg);
}

static bool at_rest(const struct deadman *d) { return !d->now.postmaster_pid && !d->below && !d->unsettled; }

/* ---- deadlines ---- */

/* The striking thread: it touches no disk, so the loop may hang. */
static void on_strike(void *deadman, int64_t number) {
    struct deadman *d = deadman;
    if (!d->alive || number != d->deadline)
        return;
    d->strike_late = d->paused;
    if (d->paused)
        return;
    if (deadman_tree_lives(d)) {
        sim_say(d->host->name, "dead-man: the deadline has passed, everything is killed");
        count("dead-man: strikes");
    }
    kill_tree(d);
    deadman_wake(d, 0);
}

static void begin_kill(struct deadman *d) {
    kill_tree(d);
    if (!d->killing)
        d->killing_since_ms = boot_ms(d);
    d->killing = true;
}

void deadman_deadlines(struct deadman *d) {
    int64_t now_ms = boot_ms(d), fast = d->now.fast_boot_ms, last = d->now.kill_boot_ms;
    if (last && now_ms >= last && !d->now.struck && d->below) {
        begin_kill(d);
        d->now.struck = d->changed = true;
        sim_say(d->host->name, "dead-man: struck, %lld ms after the deadline", (long long)(now_ms - last));
    }
    if (fast && now_ms >= fast && !d->fast_sent && d->now.postmaster_pid) {
        if (d->pg->postmaster_pid == d->now.postmaster_pid)
            postgres_signal(d->pg, SIGINT);
        d->fast_sent = true;
        sim_say(d->host->name, "dead-man: the first deadline has passed, fast stop");
        count("dead-man: fast stops");
    }
}

static void set_deadline(struct deadman *d, int64_t fast_boot_ms, int64_t kill_boot_ms) {
    d->now.fast_boot_ms = fast_boot_ms;
    d->now.kill_boot_ms = kill_boot_ms;
    d->fast_sent = d->strike_late = false;
    d->deadline++;
    if (kill_boot_ms)
        sim_at(host_when_boot_ms(d->host, kill_boot_ms) + dice_between(&d->dice, 0, STRIKE_MAX), on_strike, d, d->deadline);
    deadman_deadlines(d);
}

/* ---- start, in two steps: the record is on disk before the window opens ---- */

static bool check_request(const struct deadman *d, const struct deadman_request *r, struct err *err) {
    int64_t now_ms = boot_ms(d);
    if (r->primary && r->kill_boot_ms <= now_ms)
        return err_set(err, ERR_REFUSED, "start as primary: the kill deadline must lie ahead");
    return !r->kill_boot_ms || r->kill_boot_ms > now_ms || err_set(err, ERR_REFUSED, "start: the kill deadline has passed");
}

static void watch(struct deadman *d);

static bool check_directory(struct deadman *d, const struct deadman_request *r, struct err *err) {
    watch(d);
    if (d->now.postmaster_pid)
        return err_set(err, ERR_CONFLICT, "start: postmaster %lld runs already", (long long)d->now.postmaster_pid);
    if (!at_rest(d))
        return err_set(err, ERR_CONFLICT, "start: the last postmaster left processes or an unfinished window");
    if (!window_attach(d, err))
        return err_wrap(err, "start");
    if (window_stranger(d))
        return err_set(err, ERR_CONFLICT, "start: another PostgreSQL works in %s", r->data_dir);
    if (!r->primary && !d->pg->standby_signal)
        return err_set(err, ERR_REFUSED, "start as standby: %s has no standby.signal", r->data_dir);
    return !r->primary || window_mark_is_there(d) || err_set(err, ERR_REFUSED, "start as primary: no authorisation");
}

static void note_start(struct deadman *d, const struct deadman_request *r, int64_t pid) {
    d->now.postmaster_pid = d->now.postmaster_start_ticks = d->tree_pid = pid;
    d->now.postmaster_started_boot_ms = boot_ms(d);
    d->now.started_primary = r->primary;
    d->changed = true;
}

static bool go(struct deadman *d, const struct deadman_request *r, struct err *err) {
    const char *why = "";
    d->unsettled = d->below = true;
    d->now.struck = false;
    set_deadline(d, r->fast_boot_ms, r->kill_boot_ms);
    if (r->primary)
        window_open(d);
    int64_t pid = postgres_start(d->pg, true, &why);
    if (pid) {
        note_start(d, r, pid);
        return true;
    }
    watch(d);
    return err_set(err, ERR_IO, "start: %s", why);
}

static bool begin_start(struct deadman *d, const struct deadman_request *r, bool *later, struct err *err) {
    if (!check_request(d, r, err) || !check_directory(d, r, err))
        return false;
    if (!r->primary)
        return go(d, r, err);
    if (!window_record(d, err))
        return false;
    d->starting = rt_alloc(sizeof *d->starting);
    *d->starting = *r;
    return *later = true;
}

static void finish_start(struct deadman *d) {
    struct err why = {0};
    struct deadman_request *r = d->starting;
    d->starting = NULL;
    bool done = go(d, r, &why);
    deadman_answer(d, r->id, done ? NULL : &why);
    rt_free(r);
}

/* ---- the other commands ---- */

static bool guard(struct deadman *d, bool on, struct err *err) {
    if (on && (!d->now.postmaster_pid || d->now.started_primary || d->window.away))
        return err_set(err, ERR_REFUSED, "guard: no standby runs here");
    if (!on && !d->window.guard)
        return true;
    if (d->window.leftover)
        return err_set(err, ERR_REFUSED, "guard: processes of an earlier dead-man still run");
    return window_guard(d, on, err) ? (d->changed = true) : err_wrap(err, "guard");
}

static bool send_signal(struct deadman *d, int64_t number, struct err *err) {
    if (!d->now.postmaster_pid)
        return err_set(err, ERR_NOT_FOUND, "signal: no postmaster runs");
    if (d->pg->postmaster_pid == d->now.postmaster_pid)
        postgres_signal(d->pg, (int)number);
    return true;
}

static bool kill_all(struct deadman *d, int64_t id, bool *later, struct err *err) {
    if (d->kill_count == KILLS_MAX)
        return err_set(err, ERR_LIMIT, "kill: %d requests wait already", KILLS_MAX);
    d->kill_ids[d->kill_count++] = id;
    begin_kill(d);
    count("dead-man: kills on request");
    return *later = true;
}

bool deadman_perform(struct deadman *d, const struct deadman_request *r, bool *later, struct err *err) {
    switch ((enum deadman_command)r->command) {
    case DEADMAN_HELLO: return true;
    case DEADMAN_START: return begin_start(d, r, later, err);
    case DEADMAN_DEADLINE: set_deadline(d, r->fast_boot_ms, r->kill_boot_ms); return true;
    case DEADMAN_GUARD: return guard(d, r->on, err);
    case DEADMAN_SIGNAL: return send_signal(d, r->signal_number, err);
    case DEADMAN_KILL: return kill_all(d, r->id, later, err);
    case DEADMAN_LEAVE: return at_rest(d) ? (d->leaving = true) : err_set(err, ERR_REFUSED, "leave: PostgreSQL runs, or something of it is left");
    }
    return err_set(err, ERR_INTERNAL, "command %d", r->command);
}

/* ---- what has ended ---- */

#define KILLED (128 + SIGKILL)
static void postmaster_ended(struct deadman *d) {
    struct err why = {0};
    bool clean = d->pg->control == PG_SHUT_DOWN || d->pg->control == PG_SHUT_DOWN_IN_RECOVERY;
    if (!window_restore(d, &why))
        complain(d, "standby.signal cannot be put back", why.text);
    d->now.last_exit = clean ? 0 : KILLED;
    d->now.postmaster_pid = d->now.postmaster_start_ticks = d->now.postmaster_started_boot_ms = 0;
    d->now.started_primary = false;
    d->changed = true;
}

static void reap(struct deadman *d) {
    if (d->now.postmaster_pid && d->pg->postmaster_pid != d->now.postmaster_pid)
        postmaster_ended(d);
    if (!d->below || deadman_tree_lives(d))
        return;
    d->below = false;
    d->tree_pid = 0;
    d->changed = true;
}

/* ---- what is watched ---- */

static void watch_absent(struct deadman *d) {
    struct err why = {0};
    if (!window_recover(d, &why)) {
        complain(d, "standby.signal cannot be put back", why.text);
        return;
    }
    if (d->window.absent)
        return;
    d->unsettled = d->window.leftover;
    d->changed = true;
}

static void watch_window(struct deadman *d) {
    enum window_event event;
    struct err why = {0};
    if (!window_step(d, &event, &why)) {
        complain(d, "standby.signal cannot be put back", why.text);
        return;
    }
    switch (event) {
    case WINDOW_NOTHING: return;
    case WINDOW_CLOSED: sim_say(d->host->name, "dead-man: standby.signal is back after %lld us", (long long)d->window.last_us); break;
    case WINDOW_PROMOTED:
        d->now.started_primary = true;
        sim_say(d->host->name, "dead-man: promoted under guard");
        break;
    case WINDOW_SETTLED: d->unsettled = false; break;
    }
    d->changed = true;
}

static void settle(struct deadman *d) {
    struct err why = {0};
    if (!(d->below ? window_restore(d, &why) : window_finish(d, &why))) {
        complain(d, "standby.signal cannot be put back", why.text);
        return;
    }
    if (!d->below) {
        d->unsettled = false;
        d->changed = true;
    }
}

static void watch_kill(struct deadman *d) {
    if (d->below) {
        kill_tree(d);
        return;
    }
    d->killing = false;
    deadman_answer_kills(d);
}

static void watch(struct deadman *d) {
    if (d->window.absent)
        watch_absent(d);
    if (d->now.postmaster_pid || d->window.leftover)
        watch_window(d);
    else if (d->unsettled)
        settle(d);
    if (d->killing)
        watch_kill(d);
}

/* ---- the loop ---- */

#define SLEEPS (-1)
static sim_time sleep_time(const struct deadman *d) {
    if (d->killing)
        return KILL_POLL;
    if (d->window.leftover)
        return LEFTOVER_POLL;
    if (d->window.away || d->window.guard)
        return WINDOW_POLL;
    if (d->unsettled && !d->now.postmaster_pid)
        return SETTLE_POLL;
    return d->window.absent ? ABSENT_POLL : SLEEPS;
}

static void wake_for_deadlines(struct deadman *d) {
    int64_t now_ms = boot_ms(d), fast = d->now.fast_boot_ms, last = d->now.kill_boot_ms;
    if (d->now.postmaster_pid && fast > now_ms)
        deadman_wake(d, host_when_boot_ms(d->host, fast) - sim_now + wakes(d));
    if (last > now_ms)
        deadman_wake(d, host_when_boot_ms(d->host, last) - sim_now + dice_between(&d->dice, 0, STRIKE_MAX));
}

static void turn(struct deadman *d) {
    if (d->starting)
        finish_start(d);
    deadman_deadlines(d);
    reap(d);
    watch(d);
    deadman_accept(d);
    deadman_serve(d);
    deadman_push(d);
    sim_time sleep = sleep_time(d);
    if (sleep != SLEEPS)
        deadman_wake(d, sleep);
    if (d->starting)
        deadman_wake(d, 0);
    wake_for_deadlines(d);
}

static void leave(struct deadman *d) {
    d->alive = false;
    d->host->deadman = NULL;
    deadman_gone(d);
}

static void on_turn(void *deadman, int64_t number) {
    struct deadman *d = deadman;
    (void)number;
    if (!d->alive || d->paused || sim_now < d->planned) /* an earlier plan, or none until it goes on */
        return;
    d->planned = INT64_MAX;
    if (sim_now < d->busy_until)
        deadman_wake(d, 0);
    else
        turn(d);
    if (d->leaving)
        leave(d);
}

void deadman_wake(struct deadman *d, sim_time delay) {
    sim_time when = sim_now + delay;
    if (when < d->busy_until)
        when = d->busy_until;
    if (when >= d->planned)
        return;
    d->planned = when;
    sim_at(when, on_turn, d, 0);
}

/* ---- life and death ---- */

static void on_power_lost(struct host *h) {
    struct deadman *d = h->deadman;
    if (!d)
        return;
    d->alive = false;
    window_power_lost(d);
    deadman_gone(d);
}

void deadman_begin(struct host *h) {
    static int64_t begun;
    struct deadman *d = rt_alloc(sizeof *d);
    struct err why = {0};
    *d = (struct deadman){.host = h, .pg = h->postgres, .alive = true, .planned = INT64_MAX, .now = {.protocol = DEADMAN_PROTOCOL, .last_exit = -1}};
    d->now.pid = FIRST_PID + ++begun;
    dice_open(&d->dice, "deadman", d->now.pid);
    h->deadman = d;
    host_crashed = on_power_lost;
    if (!window_recover(d, &why)) {
        complain(d, "cannot run", why.text);
        d->alive = false;
        h->deadman = NULL;
        return;
    }
    d->unsettled = d->window.leftover;
    sim_say(h->name, "dead-man: watches%s", d->window.leftover ? ", an earlier one ended in a window" : "");
    deadman_wake(d, 0);
}

void deadman_crash(struct host *h) {
    struct deadman *d = h->deadman;
    if (!d)
        return;
    sim_say(h->name, "dead-man: is killed");
    d->alive = false;
    h->deadman = NULL;
    deadman_gone(d);
    if (deadman_tree_lives(d) && d->pg->postmaster_pid)
        postgres_signal(d->pg, SIGINT);
    d->pg->ours = false;
}

void deadman_pause(struct host *h, bool on) {
    struct deadman *d = h->deadman;
    if (!d || d->paused == on)
        return;
    sim_say(h->name, on ? "dead-man: is paused" : "dead-man: goes on");
    d->paused = on;
    if (on)
        return;
    d->planned = INT64_MAX;
    if (d->strike_late)
        sim_at(sim_now + wakes(d), on_strike, d, d->deadline);
    deadman_wake(d, wakes(d));
}

void deadman_notice(struct host *h) {
    if (h->deadman)
        deadman_wake(h->deadman, wakes(h->deadman));
}
