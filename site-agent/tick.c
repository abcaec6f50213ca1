/* The loop thread, top to bottom: read the store, renew, observe, decide, act, publish, talk; then one wait for
 * everything that can happen. */
#include "rt/clock.h"
#include "site-agent/lineage.h"
#include "site-agent/agent.h"
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* The receiver's clock, never behind the newest document that was accepted (3.5), and never far ahead of what it says
 * itself: a clock that was wrong for a moment, and has been set back, must not make everything look old. */
int64_t agent_wall_ms(const struct agent *a) {
    int64_t now_ms = clock_wall_ms(), most_ms = now_ms + CLOCK_AHEAD_MAX_MS;
    int64_t floor_ms = a->state.last_wall_ms < most_ms ? a->state.last_wall_ms : most_ms;
    return now_ms > floor_ms ? now_ms : floor_ms;
}

#define SAME_ERROR_EVERY_MS 10000
void agent_log_step(struct agent *a, const char *what, const struct err *err) {
    int64_t now_ms = clock_boot_ms();
    if (str_eq(a->step_error, err->text) && now_ms - a->step_error_boot_ms < SAME_ERROR_EVERY_MS)
        return;
    str_copy(a->step_error, sizeof a->step_error, err->text);
    a->step_error_boot_ms = now_ms;
    log_warning("step failed", F_STR("step", what), F_STR("code", err_code_name(err->code)), F_STR("error", err->text));
}

static void log_decisions(struct agent *a) {
    static const char *const concerns[CONCERN_COUNT] = {"lease", "orders", "role", "slots"};
    for (int i = 0; i < CONCERN_COUNT; i++) {
        const struct rule *r = a->plan.rules[i];
        if (a->shown[i] == r)
            continue;
        a->shown[i] = r;
        log_emit(r->waits_for_person ? LOG_WARNING : i == CONCERN_ROLE ? LOG_INFO : LOG_DEBUG, r->sentence,
                 LOG_FIELDS_(F_STR("concern", concerns[i]), F_STR("rule", r->id), F_STR("name", r->name)));
    }
}

/* A gap in the loop (suspend, a stopped process) makes what was known old: observe first, act in the next round. */
#define GAP_MS 2000
static bool after_gap(struct agent *a, int64_t now_ms) {
    int64_t gap_ms = a->ticked_boot_ms ? now_ms - a->ticked_boot_ms : 0; /* since the end of the last tick: waiting only */
    if (gap_ms < GAP_MS)
        return false;
    log_warning("the loop stood still; nothing is done before everything was looked at again", F_INT("ms", gap_ms));
    return true;
}

void agent_tick(struct agent *a) {
    bool gap = after_gap(a, clock_boot_ms());
    records_read(a);
    topology_share(a);
    server_step(a);
    job_take_result(a);
    initdb_adopt(a);
    vouching_step(a);
    observe(a, &a->view);
    decide(&a->view, &a->plan);
    log_decisions(a);
    if (!gap && a->member)
        act(a, &a->plan);
    if (a->member && !gap) {
        slots_free_stale(a);
        lineage_publish(a);
    }
    publish(a);
    uplink_step(a);
    a->ticked_boot_ms = clock_boot_ms();
}

/* ---- waiting ---- */

enum { FDS_MAX = 24 };
struct waiting {
    struct pollfd fds[FDS_MAX];
    size_t count;
    int64_t until_ms;
};
static void wait_for(struct waiting *w, int fd) {
    if (fd >= 0 && w->count < FDS_MAX)
        w->fds[w->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
}
static void wait_until(struct waiting *w, int64_t boot_ms) {
    if (boot_ms < w->until_ms)
        w->until_ms = boot_ms;
}

static void wait_for_server(struct agent *a, struct waiting *w) {
    struct server *s = &a->server;
    if (!s->postmaster_over)
        wait_for(w, s->postmaster_fd);
    if (s->deadman)
        w->count += deadman_pollfd(s->deadman, &w->fds[w->count]);
    struct pg_session *const sessions[] = {s->main, s->probe, s->setup};
    for (size_t i = 0; i < sizeof sessions / sizeof sessions[0]; i++) {
        w->count += pg_session_pollfd(sessions[i], &w->fds[w->count]);
        wait_until(w, pg_session_next_deadline(sessions[i]));
    }
}

/* Who has ended stays readable for ever. It wakes this loop once; the dead-man, which may be slow, tells the rest. */
static void note_postmaster_end(struct server *s, const struct waiting *w) {
    for (size_t i = 0; i < w->count; i++)
        s->postmaster_over |= w->fds[i].fd == s->postmaster_fd && w->fds[i].revents;
}

static void take_signals(struct agent *a) {
    struct signalfd_siginfo info;
    while (read(a->signal_fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP)
            a->reload = true;
        else
            a->stopping = true;
    }
}

void agent_wait(struct agent *a) {
    struct waiting w = {.until_ms = clock_boot_ms() + a->plan.wake_ms};
    wait_for(&w, a->signal_fd);
    if (a->store)
        wait_for(&w, store_watch_fd(a->store));
    wait_for_server(a, &w);
    if (a->job)
        w.count += job_pollfds(a->job, &w.fds[w.count]);
    wait_until(&w, uplink_due_ms(a));
    int64_t left_ms = w.until_ms - clock_boot_ms();
    http_client_wait(a->uplink.http, w.fds, w.count, left_ms > 0 ? left_ms : 0);
    note_postmaster_end(&a->server, &w);
    int64_t now_ms = clock_boot_ms();
    pg_session_step(a->server.main, now_ms);
    pg_session_step(a->server.probe, now_ms);
    pg_session_step(a->server.setup, now_ms);
    take_signals(a);
}
