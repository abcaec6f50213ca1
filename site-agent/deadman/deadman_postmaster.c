/* Start, deadlines, end and kill of the one postmaster. The checks of a start are about this directory and this
 * moment; whether the site may open at all was decided by the agent, whose word is the mark. */
#include "deadman_inner.h"
#include "deadman_tree.h"
#include "rt/clock.h"
#include "rt/file.h"
#include "rt/log.h"
#include "rt/proc.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define WINDOW_POLL_MS 2
#define LEFTOVER_POLL_MS 20    /* each look walks through /proc */
#define KILL_POLL_MS 2
#define KILL_SLOW_AFTER_MS 1000 /* what did not die by then sleeps uninterruptibly */
#define KILL_SLOW_POLL_MS 50
#define SETTLE_POLL_MS 100
#define ABSENT_POLL_MS 1000
#define COMPLAIN_MS 5000
#define MARK_MAX 4096

/* At most one line every few seconds about what is tried again all the time. */
static void complain(struct deadman *d, const char *message, const char *why, int64_t pid) {
    int64_t now = clock_boot_ms();
    if (d->complained_ms && now - d->complained_ms < COMPLAIN_MS)
        return;
    d->complained_ms = now;
    log_error(message, F_STR("reason", why), F_INT("pid", pid));
}

static bool check_request(const struct deadman_request *r, struct err *err) {
    if (r->argv_count == 0 || r->argv[0][0] != '/')
        return err_set(err, ERR_INVALID, "start: argv[0] must be an absolute path");
    if (r->data_dir[0] != '/')
        return err_set(err, ERR_INVALID, "start: data_dir must be an absolute path");
    if ((r->uid < 0) != (r->gid < 0))
        return err_set(err, ERR_INVALID, "start: uid and gid go together");
    if (r->primary && r->kill_boot_ms <= clock_boot_ms())
        return err_set(err, ERR_REFUSED, "start as primary: the kill deadline must lie ahead");
    if (r->kill_boot_ms && r->kill_boot_ms <= clock_boot_ms())
        return err_set(err, ERR_REFUSED, "start: the kill deadline has passed");
    return true;
}

/* The agent wrote and synced why it may open; without it nobody may. */
static bool check_mark(const struct deadman *d, struct err *err) {
    char path[1024];
    STRBUF mark = {0};
    snprintf(path, sizeof path, "%s/authorised-start", d->state_dir);
    if (!file_read(path, MARK_MAX, &mark, err))
        return err_wrap(err, "start as primary: no authorisation");
    if (mark.len == 0)
        return err_set(err, ERR_REFUSED, "start as primary: %s is empty", path);
    log_info("start as primary is authorised", F_STR("mark", mark.at));
    return true;
}

static bool check_directory(struct deadman *d, const struct deadman_request *r, struct err *err) {
    deadman_watch(d); /* a directory that was absent may be back, with its window still open */
    if (d->now.postmaster_pid)
        return err_set(err, ERR_CONFLICT, "start: postmaster %lld runs already", (long long)d->now.postmaster_pid);
    if (!deadman_at_rest(d))
        return err_set(err, ERR_CONFLICT, "start: the last postmaster left %lld processes or an unfinished window",
                       (long long)deadman_tree_count());
    if (!deadman_window_attach(&d->window, r->data_dir, err))
        return err_wrap(err, "start");
    pid_t stranger = deadman_tree_stranger(d->window.dir);
    if (stranger)
        return err_set(err, ERR_CONFLICT, "start: process %d of another PostgreSQL works in %s", (int)stranger, r->data_dir);
    if (!r->primary && !deadman_window_has_signal(&d->window))
        return err_set(err, ERR_REFUSED, "start as standby: %s has no standby.signal", r->data_dir);
    return !r->primary || check_mark(d, err);
}

static void note_start(struct deadman *d, const struct deadman_request *r, pid_t pid) {
    uint64_t ticks = 0;
    char state;
    pid_t parent;
    proc_stat(pid, &ticks, &state, &parent);
    d->now.postmaster_pid = pid;
    d->now.postmaster_start_ticks = (int64_t)ticks;
    d->now.postmaster_started_boot_ms = clock_boot_ms();
    d->now.started_primary = r->primary;
    d->changed = true;
    log_info("postmaster started", F_INT("pid", pid), F_STR("mode", r->primary ? "primary" : "standby"), F_STR("data_dir", r->data_dir));
}

/* Between the child that stands ready and its exec: nothing but the window. */
static bool open_and_go(struct deadman *d, const struct deadman_request *r, struct deadman_child *child, struct err *err) {
    if (r->primary && !deadman_window_open(&d->window, err)) {
        deadman_spawn_cancel(child);
        return false;
    }
    return deadman_spawn_go(child, err);
}

bool deadman_start(struct deadman *d, const struct deadman_request *r, struct err *err) {
    struct deadman_child child;
    if (!check_request(r, err) || !check_directory(d, r, err))
        return false;
    if (r->primary && !deadman_window_record(&d->window, err))
        return false;
    d->unsettled = d->below = true;
    d->now.struck = false;
    deadman_set_deadline(d, r->fast_boot_ms, r->kill_boot_ms);
    if (deadman_spawn_prepare(r, &d->inherited, &child, err) && open_and_go(d, r, &child, err)) {
        note_start(d, r, child.pid);
        return true;
    }
    deadman_watch(d);
    return err_wrap(err, "start");
}

bool deadman_guard(struct deadman *d, bool on, struct err *err) {
    if (on && (!d->now.postmaster_pid || d->now.started_primary || d->window.away))
        return err_set(err, ERR_REFUSED, "guard: no standby runs here");
    if (!on && !d->window.guard)
        return true;
    if (d->window.leftover)
        return err_set(err, ERR_REFUSED, "guard: processes of an earlier dead-man still run in %s", d->window.data_dir);
    if (!deadman_window_guard(&d->window, on, err))
        return err_wrap(err, "guard");
    log_info(on ? "promotion is guarded" : "promotion is not guarded any more");
    return d->changed = true;
}

bool deadman_signal(struct deadman *d, int64_t number, struct err *err) {
    if (number < 1)
        return err_set(err, ERR_INVALID, "signal: which?");
    if (!d->now.postmaster_pid)
        return err_set(err, ERR_NOT_FOUND, "signal: no postmaster runs");
    kill((pid_t)d->now.postmaster_pid, (int)number);
    log_info("signal to the postmaster", F_INT("signal", number), F_INT("pid", d->now.postmaster_pid));
    return true;
}

void deadman_set_deadline(struct deadman *d, int64_t fast_boot_ms, int64_t kill_boot_ms) {
    d->now.fast_boot_ms = fast_boot_ms;
    d->now.kill_boot_ms = kill_boot_ms;
    d->fast_sent = false;
    deadman_striker_set(&d->striker, kill_boot_ms);
    deadman_deadlines(d);
}

void deadman_begin_kill(struct deadman *d) {
    deadman_tree_kill(NULL);
    if (!d->killing)
        d->killing_since_ms = clock_boot_ms();
    d->killing = true;
}

void deadman_deadlines(struct deadman *d) {
    int64_t now = clock_boot_ms(), fast = d->now.fast_boot_ms, last = d->now.kill_boot_ms;
    if (last && now >= last && !d->now.struck && d->below && !deadman_tree_empty()) {
        deadman_begin_kill(d);
        d->now.struck = d->changed = true;
        log_error("the deadline has passed: killed everything", F_INT("late_ms", now - last));
    }
    if (fast && now >= fast && !d->fast_sent && d->now.postmaster_pid) {
        kill((pid_t)d->now.postmaster_pid, SIGINT);
        d->fast_sent = true;
        log_warning("the first deadline has passed: fast stop", F_INT("late_ms", now - fast));
    }
    int64_t next = d->now.postmaster_pid && fast > now ? fast : last > now ? last : 0;
    deadman_timer_set(d->timer_fd, next && last > now && last < next ? last : next);
}

static void postmaster_ended(struct deadman *d, const siginfo_t *info) {
    struct err why;
    if (!deadman_window_restore(&d->window, &why))
        complain(d, "standby.signal cannot be put back", why.text, info->si_pid);
    d->now.last_exit = info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
    d->now.postmaster_pid = d->now.postmaster_start_ticks = d->now.postmaster_started_boot_ms = 0;
    d->now.started_primary = false;
    d->changed = true;
    log_info("postmaster ended", F_INT("pid", info->si_pid), F_INT("exit", d->now.last_exit));
}

void deadman_reap(struct deadman *d) {
    siginfo_t info = {0};
    /* Looked at first, reaped after: while the dead postmaster is still in the process table nobody else can start. */
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 && info.si_pid != 0) {
        if (info.si_pid == d->now.postmaster_pid)
            postmaster_ended(d, &info);
        waitpid(info.si_pid, NULL, __WALL);
        info.si_pid = 0;
    }
    if (d->below && deadman_tree_empty()) {
        d->below = false;
        d->changed = true;
    }
}

/* A directory with an open window that was not mounted when we began, or that went while PostgreSQL ran. */
static void watch_absent(struct deadman *d) {
    struct err why;
    if (!deadman_window_recover(&d->window, &why)) {
        complain(d, "standby.signal cannot be put back", why.text, 0);
        return;
    }
    if (d->window.absent)
        return;
    d->unsettled = d->window.leftover;
    d->changed = true;
    log_warning("the directory is there, in which a window was left open: standby.signal is back", F_STR("data_dir", d->window.data_dir));
}

static void watch_window(struct deadman *d) {
    enum deadman_window_event event;
    struct err why;
    if (!deadman_window_step(&d->window, &event, &why)) {
        complain(d, "standby.signal cannot be put back", why.text, d->now.postmaster_pid);
        return;
    }
    switch (event) {
    case DEADMAN_WINDOW_NOTHING: return;
    case DEADMAN_WINDOW_CLOSED: log_info("standby.signal is back", F_INT("away_us", d->window.last_us)); break;
    case DEADMAN_WINDOW_PROMOTED:
        d->now.started_primary = true;
        log_info("promoted under guard, standby.signal is back", F_INT("away_us_at_most", d->window.last_us));
        break;
    case DEADMAN_WINDOW_SETTLED:
        d->unsettled = false;
        log_info("the directory that an earlier dead-man left is a standby again", F_STR("data_dir", d->window.data_dir));
        break;
    }
    d->changed = true;
}

/* After the postmaster: standby.signal stays put back, and the guard ends only with the last process. */
static void settle(struct deadman *d) {
    struct err why;
    bool empty = !d->below;
    if (!(empty ? deadman_window_finish(&d->window, &why) : deadman_window_restore(&d->window, &why))) {
        complain(d, "standby.signal cannot be put back", why.text, 0);
        return;
    }
    if (!empty)
        return;
    d->unsettled = false;
    d->changed = true;
    if (d->window.dir < 0)
        log_warning("the data directory is gone: nothing is left to be put back", F_STR("data_dir", d->window.data_dir));
}

static void watch_kill(struct deadman *d) {
    if (!d->below) {
        d->killing = false;
        deadman_answer_kills(d);
        return;
    }
    pid_t stuck;
    int64_t left = deadman_tree_kill(&stuck);
    if (left > 0 && clock_boot_ms() - d->killing_since_ms > KILL_SLOW_AFTER_MS)
        complain(d, "processes do not die", stuck ? "uninterruptible sleep" : "killed and still there", stuck);
}

void deadman_watch(struct deadman *d) {
    if (d->window.absent)
        watch_absent(d);
    if (d->now.postmaster_pid || d->window.leftover)
        watch_window(d);
    else if (d->unsettled)
        settle(d);
    if (d->killing)
        watch_kill(d);
}

int deadman_sleep_ms(const struct deadman *d) {
    if (d->killing)
        return clock_boot_ms() - d->killing_since_ms > KILL_SLOW_AFTER_MS ? KILL_SLOW_POLL_MS : KILL_POLL_MS;
    if (d->window.leftover)
        return LEFTOVER_POLL_MS;
    if (d->window.away || d->window.guard)
        return WINDOW_POLL_MS;
    if (d->unsettled && !d->now.postmaster_pid)
        return SETTLE_POLL_MS;
    return d->window.absent ? ABSENT_POLL_MS : -1;
}

bool deadman_at_rest(const struct deadman *d) { return !d->now.postmaster_pid && !d->below && !d->unsettled; }
