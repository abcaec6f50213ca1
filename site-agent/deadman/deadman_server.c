/* The dead-man's loop: one process per state directory, asleep until a deadline, a child's end or the agent wakes it. */
#include "deadman_inner.h"
#include "deadman_tree.h"
#include "rt/clock.h"
#include "rt/file.h"
#include "rt/log.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define LOCK_WAIT_MS 500
#define LOCK_POLL_MS 10

static bool open_log(const char *path, struct err *err) {
    if (path) {
        FILE_AUTO int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
            return err_sys(err, errno, "open %s", path);
    }
    log_open("deadman", LOG_FORMAT_KEY_VALUE, LOG_INFO, NULL);
    return true;
}

static bool take_state_dir(struct deadman *d, struct err *err) {
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/deadman.lock", d->state_dir);
    d->state_fd = open(d->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->state_fd < 0)
        return err_sys(err, errno, "open %s", d->state_dir);
    /* A predecessor that was killed may hold the lock for a moment yet, with the agent asking for a successor already. */
    for (int64_t until = clock_boot_ms() + LOCK_WAIT_MS; !file_lock(path, &d->lock_fd, err); poll(NULL, 0, LOCK_POLL_MS))
        if (err->code != ERR_CONFLICT || clock_boot_ms() > until)
            return err_wrap(err, "another dead-man runs for %s", d->state_dir);
    return true;
}

static bool open_events(struct deadman *d, struct err *err) {
    sigset_t mine;
    sigemptyset(&mine);
    const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&mine, numbers[i]);
    sigprocmask(SIG_BLOCK, &mine, NULL); /* before the thread, which inherits it */
    signal(SIGPIPE, SIG_IGN);
    d->signal_fd = signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK);
    d->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    return (d->signal_fd >= 0 && d->timer_fd >= 0) || err_sys(err, errno, "signalfd, timerfd");
}

/* What an earlier dead-man left open is closed before anybody can ask for anything. */
static bool recover(struct deadman *d, struct err *err) {
    if (!deadman_window_recover(&d->window, err))
        return err_wrap(err, "closing the window that an earlier dead-man left open");
    if (d->window.absent)
        log_warning("an earlier dead-man ended in a window, and its directory is not there");
    if (d->window.dir >= 0)
        log_warning("an earlier dead-man ended in a window: standby.signal is back", F_STR("data_dir", d->window.data_dir));
    d->unsettled = d->window.leftover;
    return true;
}

static bool set_up(struct deadman *d, const char *log_path, struct err *err) {
    setsid(); /* fails where we lead a session already */
    if (!open_log(log_path, err) || chdir("/") != 0 || !take_state_dir(d, err) || !recover(d, err) || !open_events(d, err))
        return false;
    if (!deadman_tree_adopt())
        return err_sys(err, errno, "child subreaper");
    deadman_harden(&d->inherited);
    return deadman_striker_start(&d->striker, err) && deadman_listen(d, err);
}

static void read_signals(struct deadman *d) {
    struct signalfd_siginfo info;
    while (read(d->signal_fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGTERM && info.ssi_signo != SIGINT)
            continue;
        d->leaving = d->leaving || deadman_at_rest(d);
        if (!d->leaving)
            log_warning("asked to end: ignored while PostgreSQL runs", F_INT("signal", info.ssi_signo), F_INT("by_pid", info.ssi_pid));
    }
}

/* One turn. The deadlines come first: after a suspend nothing may be done before what was due in it. */
static void turn(struct deadman *d) {
    struct pollfd fds[] = {{d->signal_fd, POLLIN, 0}, {d->timer_fd, POLLIN, 0}, {d->listen_fd, POLLIN, 0}, {d->agent_fd, POLLIN, 0}};
    poll(fds, sizeof fds / sizeof *fds, deadman_sleep_ms(d));
    deadman_deadlines(d);
    deadman_reap(d);
    deadman_watch(d);
    read_signals(d);
    if (fds[2].revents)
        deadman_accept(d);
    deadman_serve(d);
    deadman_push(d);
}

static int run(struct deadman *d, const char *log_path) {
    struct err why = {0};
    if (!set_up(d, log_path, &why)) {
        log_error("cannot run", F_STR("reason", why.text));
        return 1;
    }
    log_info("watching", F_STR("state_dir", d->state_dir), F_INT("pid", getpid()));
    while (!d->leaving)
        turn(d);
    unlinkat(d->state_fd, "deadman.sock", 0);
    log_info("leaving: nothing runs");
    return 0;
}

int deadman_run(const char *state_dir, const char *log_path) {
    static struct deadman d; /* the striking thread holds a part of it until the process ends */
    char absolute[PATH_MAX];
    d = (struct deadman){.state_dir = absolute, .state_fd = -1, .lock_fd = -1, .listen_fd = -1, .agent_fd = -1,
                         .window = {.state_dir = absolute, .dir = -1},
                         .now = {.protocol = DEADMAN_PROTOCOL, .pid = getpid(), .last_exit = -1}};
    clock_boot_id(d.now.boot_id, sizeof d.now.boot_id);
    if (!realpath(state_dir, absolute)) {
        fprintf(stderr, "pgregent-deadman: %s: no such directory\n", state_dir);
        return 1;
    }
    return run(&d, log_path);
}
