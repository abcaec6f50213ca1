/* The two short times in which a directory lacks standby.signal, as site-agent/deadman/deadman_window.c opens, watches and
 * closes them: same conditions, in the same order, on the model's directory. */
#include "tests/sim/deadman_inner.h"
#include "tests/sim/files.h"
#include <stdio.h>

struct path {
    char text[96];
};
static struct path state_file(const struct deadman *d, const char *name) {
    struct path p;
    snprintf(p.text, sizeof p.text, "/state/%s/%s", d->host->name, name);
    return p;
}

bool window_mark_is_there(const struct deadman *d) { return files_exist(d->host, state_file(d, "authorised-start").text); }

/* A postmaster, or what is left of one, that was not started in this life of the dead-man. */
bool window_stranger(const struct deadman *d) { return (d->pg->postmaster_pid || d->pg->orphans) && !deadman_tree_lives(d); }

static bool can_write(const struct deadman *d, const char *what, struct err *err) {
    if (d->pg->directory != DIRECTORY_THERE)
        return err_set(err, ERR_IO, "create %s: no such directory", what);
    return !d->host->disk_full || err_set(err, ERR_IO, "create %s: no space left on device", what);
}

static bool create_file(struct deadman *d, bool *file, const char *name, struct err *err) {
    if (!can_write(d, name, err))
        return false;
    *file = true;
    deadman_disk(d);
    return true;
}

bool window_attach(struct deadman *d, struct err *err) {
    if (d->pg->directory != DIRECTORY_THERE)
        return err_set(err, ERR_INVALID, "global/pg_control cannot be read");
    d->window.absent = false;
    postgres_control(d->pg, &d->window.before);
    return true;
}

/* pg_control's state if the present run wrote it, else -1. (The real file has a time in whole seconds, too: two crashes in
 * recovery look alike here for longer than there, and the window stays open until production.) */
static int state_of_this_run(const struct deadman *d) {
    struct pg_control now;
    const struct pg_control *before = &d->window.before;
    if (d->pg->directory != DIRECTORY_THERE)
        return -1;
    postgres_control(d->pg, &now);
    bool same = now.state == before->state && now.checkpoint == before->checkpoint && now.redo == before->redo && now.timeline == before->timeline &&
                now.min_recovery_point == before->min_recovery_point && now.min_recovery_timeline == before->min_recovery_timeline;
    return same ? -1 : now.state;
}

bool window_record(struct deadman *d, struct err *err) {
    if (d->host->disk_full)
        return err_set(err, ERR_IO, "record of the window: no space left on device");
    files_put(d->host, state_file(d, "window").text, d->host->name, 1);
    deadman_disk(d);
    return d->window.recorded = true;
}

static bool drop_record(struct deadman *d) {
    files_remove_tree(d->host, state_file(d, "authorised-start").text);
    files_remove_tree(d->host, state_file(d, "window").text);
    d->window.recorded = false;
    deadman_disk(d);
    return true;
}

void window_open(struct deadman *d) {
    d->window.present = sim_now;
    d->pg->standby_signal = false;
    d->window.away = true;
    count("windows opened by a start");
}

static bool put_back(struct deadman *d, struct err *err) {
    struct window *w = &d->window;
    bool ours = w->away || w->missing || w->guard;
    if (!w->away && !w->missing && d->pg->standby_signal)
        return true;
    if (!create_file(d, &d->pg->standby_signal, "standby.signal", err))
        return false;
    if (ours)
        w->last_us = sim_now - w->present;
    w->away = w->missing = false;
    return true;
}

/* With no directory nothing is left to be put back; the record keeps what may be open in it. (The model has one directory at
 * most: what is there again is what was there.) */
static bool put_back_at_rest(struct deadman *d, struct err *err) {
    struct window *w = &d->window;
    if (d->pg->directory == DIRECTORY_THERE)
        return put_back(d, err);
    w->absent = w->recorded;
    w->away = w->missing = w->guard = w->leftover = false;
    return true;
}

bool window_restore(struct deadman *d, struct err *err) {
    return put_back_at_rest(d, err) && (d->window.absent || d->window.guard || !d->window.recorded || drop_record(d));
}

bool window_finish(struct deadman *d, struct err *err) {
    struct window *w = &d->window;
    if (!put_back_at_rest(d, err))
        return false;
    if (w->absent)
        return true;
    if (w->guard)
        d->pg->recovery_signal = false;
    w->guard = w->leftover = false;
    return !w->recorded || drop_record(d);
}

bool window_guard(struct deadman *d, bool on, struct err *err) {
    struct window *w = &d->window;
    if (!on)
        return window_finish(d, err);
    if (w->guard)
        return true;
    if (!window_record(d, err) || !create_file(d, &d->pg->recovery_signal, "recovery.signal", err))
        return false;
    w->present = sim_now;
    count("promotions guarded");
    return w->guard = true;
}

static bool step_start(struct deadman *d, enum window_event *event, struct err *err) {
    int state = state_of_this_run(d);
    if (state != PG_IN_CRASH_RECOVERY && state != PG_IN_PRODUCTION)
        return true;
    if (!window_restore(d, err))
        return false;
    *event = WINDOW_CLOSED;
    return true;
}

static bool step_guard(struct deadman *d, enum window_event *event, struct err *err) {
    struct window *w = &d->window;
    bool over = w->leftover ? !window_stranger(d) : state_of_this_run(d) == PG_IN_PRODUCTION;
    w->missing = w->missing || !d->pg->standby_signal;
    if (!w->missing)
        w->present = sim_now;
    else if (!(w->leftover ? put_back_at_rest(d, err) : put_back(d, err)))
        return false;
    if (!over)
        return true;
    enum window_event end = w->leftover ? WINDOW_SETTLED : WINDOW_PROMOTED;
    if (!window_finish(d, err))
        return false;
    *event = end;
    return true;
}

bool window_step(struct deadman *d, enum window_event *event, struct err *err) {
    *event = WINDOW_NOTHING;
    if (d->window.away)
        return step_start(d, event, err);
    return !d->window.guard || step_guard(d, event, err);
}

bool window_recover(struct deadman *d, struct err *err) {
    struct window *w = &d->window;
    enum window_event event;
    if (!files_exist(d->host, state_file(d, "window").text))
        return true;
    w->recorded = true;
    w->absent = d->pg->directory != DIRECTORY_THERE;
    if (w->absent)
        return true;
    w->guard = w->leftover = true;
    w->present = sim_now;
    count("windows of an earlier dead-man closed");
    return step_guard(d, &event, err);
}

/* A start unlinks without a sync: after a power failure the file may be there again. */
void window_power_lost(struct deadman *d) {
    if (d->window.away && d->pg->directory == DIRECTORY_THERE && dice_chance(&d->dice, 500))
        d->pg->standby_signal = true;
}
