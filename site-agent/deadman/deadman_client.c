/* The agent's end: connects, starts a dead-man when there is none, sends requests, hands answers on. Only connecting
 * waits, and only for a dead-man that it has just started. */
#include "deadman.h"
#include "deadman_socket.h"
#include "rt/clock.h"
#include "rt/file.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_WAIT_MS 3000
#define START_POLL_MS 5
#define STEP_PACKETS_MAX 64 /* a step returns to the agent's loop after so many */

struct deadman_client {
    int fd; /* -1: the connection is gone */
    int64_t last_id;
    deadman_event *event;
    void *context;
};

static bool try_connect(int dir_fd, int *out, struct err *err) {
    struct sockaddr_un address;
    deadman_socket_address(dir_fd, &address);
    FILE_AUTO int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return err_sys(err, errno, "connect to the dead-man");
    *out = fd;
    fd = -1;
    return true;
}

/* The second child: a session of its own, nothing of the agent's but its user and environment. */
static _Noreturn void become_deadman(const char *state_dir, const char *binary, const char *log) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    int null = open("/dev/null", O_RDWR);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
    dup2(null, 0);
    dup2(null, 1);
    dup2(out >= 0 ? out : null, 2);
    close_range(3, ~0u, 0);
    execl(binary, binary, "--state-dir", state_dir, (char *)NULL);
    dprintf(2, "%s: %s\n", binary, strerror(errno));
    _exit(127);
}

/* Double fork: the dead-man must not be the agent's child, nor in its session. */
static bool start_detached(const char *state_dir, const char *binary, struct err *err) {
    char log[1024];
    if (access(binary, X_OK) != 0)
        return err_sys(err, errno, "%s", binary);
    snprintf(log, sizeof log, "%s/deadman.log", state_dir);
    pid_t child = fork();
    if (child < 0)
        return err_sys(err, errno, "fork");
    if (child == 0) {
        setsid();
        pid_t second = fork();
        if (second == 0)
            become_deadman(state_dir, binary, log);
        _exit(second < 0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return status == 0 || err_set(err, ERR_IO, "fork for %s", binary);
}

static bool connect_or_start(int dir_fd, const char *state_dir, const char *binary, int *fd, struct err *err) {
    struct err why = {0};
    if (try_connect(dir_fd, fd, &why))
        return true;
    if (!binary)
        return err_set(err, why.code, "%s", why.text);
    if (!start_detached(state_dir, binary, err))
        return false;
    for (int64_t until = clock_boot_ms() + START_WAIT_MS; clock_boot_ms() < until;) {
        if (try_connect(dir_fd, fd, &why))
            return true;
        poll(NULL, 0, START_POLL_MS);
    }
    return err_set(err, ERR_TIMEOUT, "%s did not answer within %d ms (see %s/deadman.log): %s", binary, START_WAIT_MS, state_dir, why.text);
}

bool deadman_connect(const char *state_dir, const char *binary, deadman_event *event, void *context, struct deadman_client **out, struct err *err) {
    FILE_AUTO int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_sys(err, errno, "open %s", state_dir);
    int fd;
    if (!connect_or_start(dir, state_dir, binary, &fd, err))
        return false;
    struct deadman_client *c = rt_alloc(sizeof *c);
    *c = (struct deadman_client){.fd = fd, .event = event, .context = context};
    *out = c;
    return true;
}

void deadman_disconnect(struct deadman_client *c) {
    if (!c)
        return;
    file_close_cleanup(&c->fd);
    rt_free(c);
}

bool deadman_alive(const struct deadman_client *c) { return c && c->fd >= 0; }

/* A dead-man that does not take a packet within its socket's buffer hangs; that counts as gone, as the agent must then
 * act without it. */
int64_t deadman_send(struct deadman_client *c, const struct deadman_request *request) {
    if (!deadman_alive(c))
        return 0;
    struct deadman_request numbered = *request;
    numbered.id = ++c->last_id;
    if (deadman_socket_send(c->fd, &deadman_request_table, &numbered))
        return numbered.id;
    if (errno != EMSGSIZE)
        file_close_cleanup(&c->fd);
    return 0;
}

size_t deadman_pollfd(const struct deadman_client *c, struct pollfd *fd) {
    if (!deadman_alive(c))
        return 0;
    *fd = (struct pollfd){.fd = c->fd, .events = POLLIN};
    return 1;
}

void deadman_step(struct deadman_client *c) {
    for (int i = 0; i < STEP_PACKETS_MAX && deadman_alive(c); i++) {
        struct deadman_status status;
        int got = deadman_socket_receive(c->fd, &deadman_status_table, &status, NULL);
        if (got == 0)
            return;
        if (got < 0)
            file_close_cleanup(&c->fd);
        else
            c->event(c->context, &status);
    }
}
