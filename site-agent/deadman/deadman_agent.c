/* The dead-man's end of the conversation: one agent at a time, each request answered, changes pushed. Nothing here
 * waits for the agent: one that does not read loses its connection, and PostgreSQL its deadline. */
#include "deadman_inner.h"
#include "deadman_socket.h"
#include "deadman_tree.h"
#include "rt/clock.h"
#include "rt/file.h"
#include "rt/log.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define REQUESTS_PER_TURN 16

bool deadman_listen(struct deadman *d, struct err *err) {
    struct sockaddr_un address;
    deadman_socket_address(d->state_fd, &address);
    unlinkat(d->state_fd, DEADMAN_SOCKET_NAME, 0); /* ours by the lock: a dead one's */
    d->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t before = umask(0177);
    bool bound = d->listen_fd >= 0 && bind(d->listen_fd, (struct sockaddr *)&address, sizeof address) == 0;
    umask(before);
    if (!bound || listen(d->listen_fd, 4) != 0)
        return err_sys(err, errno, "listen on %s/%s", d->state_dir, DEADMAN_SOCKET_NAME);
    return true;
}

static void hang_up(struct deadman *d, const char *why) {
    if (d->agent_fd < 0)
        return;
    log_info("agent disconnected", F_STR("reason", why));
    file_close_cleanup(&d->agent_fd);
    d->kill_count = 0; /* the ids were the connection's; the kill itself goes on */
}

void deadman_accept(struct deadman *d) {
    int fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || (peer.uid != 0 && peer.uid != geteuid())) {
        log_warning("connection refused: another user", F_INT("uid", peer.uid));
        close(fd);
        return;
    }
    hang_up(d, "a newer agent came");
    d->agent_fd = fd;
    log_info("agent connected", F_INT("pid", peer.pid));
}

static void send_status(struct deadman *d, int64_t id, const struct err *why) {
    struct deadman_status status = d->now;
    status.id = id;
    status.ok = why == NULL;
    if (why)
        str_copy(status.error, sizeof status.error, why->text);
    status.guard = d->window.guard;
    status.window_open = d->window.away || d->window.missing;
    status.last_window_us = d->window.last_us;
    status.descendants = deadman_tree_empty() ? 0 : deadman_tree_count();
    if (status.descendants == 0 && d->below)
        status.descendants = 1; /* being forked, or ended and about to be reaped: not proved to be gone */
    if (!deadman_socket_send(d->agent_fd, &deadman_status_table, &status))
        hang_up(d, "does not read");
}

void deadman_push(struct deadman *d) {
    if (d->changed && d->agent_fd >= 0)
        send_status(d, 0, NULL);
    d->changed = false;
}

void deadman_answer_kills(struct deadman *d) {
    for (size_t i = 0; i < d->kill_count && d->agent_fd >= 0; i++)
        send_status(d, d->kill_ids[i], NULL);
    d->kill_count = 0;
}

/* Answered by deadman_watch, when nothing is left. */
static bool begin_kill(struct deadman *d, int64_t id, struct err *err) {
    if (d->kill_count == DEADMAN_KILLS_MAX)
        return err_set(err, ERR_LIMIT, "kill: %d requests wait already", DEADMAN_KILLS_MAX);
    d->kill_ids[d->kill_count++] = id;
    deadman_begin_kill(d);
    log_warning("kill of everything requested");
    return true;
}

static bool leave(struct deadman *d, struct err *err) {
    if (!deadman_at_rest(d))
        return err_set(err, ERR_REFUSED, "leave: PostgreSQL runs, or something of it is left");
    return d->leaving = true;
}

static bool perform(struct deadman *d, const struct deadman_request *r, struct err *err) {
    switch ((enum deadman_command)r->command) {
    case DEADMAN_HELLO: return true;
    case DEADMAN_START: return deadman_start(d, r, err);
    case DEADMAN_DEADLINE: deadman_set_deadline(d, r->fast_boot_ms, r->kill_boot_ms); return true;
    case DEADMAN_GUARD: return deadman_guard(d, r->on, err);
    case DEADMAN_SIGNAL: return deadman_signal(d, r->signal_number, err);
    case DEADMAN_KILL: return begin_kill(d, r->id, err);
    case DEADMAN_LEAVE: return leave(d, err);
    }
    return err_set(err, ERR_INTERNAL, "command %d", r->command);
}

static void serve_one(struct deadman *d, const struct deadman_request *r) {
    struct err why = {0};
    deadman_deadlines(d); /* what is due is struck before anything can move it */
    bool done = perform(d, r, &why);
    if (!done)
        log_warning("request refused", F_STR("reason", why.text));
    if (!done || r->command != DEADMAN_KILL)
        send_status(d, r->id, done ? NULL : &why);
}

void deadman_serve(struct deadman *d) {
    struct deadman_request request;
    for (int i = 0; i < REQUESTS_PER_TURN && d->agent_fd >= 0 && !d->leaving; i++) {
        struct err why = {0};
        int got = deadman_socket_receive(d->agent_fd, &deadman_request_table, &request, &why);
        if (got == 0)
            return;
        if (got < 0)
            hang_up(d, why.text);
        else
            serve_one(d, &request);
    }
}
