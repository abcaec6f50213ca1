/* A child process and its group as one job. The leader stays unreaped until no member of the group lives: so long its
 * number cannot be given to anybody else, so a signal to the group never hits a stranger, and a helper that outlives
 * its leader (the WAL receiver of pg_basebackup, say) still counts as the job running and still meets the deadline.
 * Who wants to live on makes a session of its own, as pg_ctl does for the postmaster. */
#include "rt/file.h"
#include "rt/proc_internal.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRACE_DEFAULT_MS 5000
#define READ_CHUNK 16384
#define READS_A_STEP 64  /* 1 MiB: the most a pipe holds, and a bound on what a chatty child takes from its owner's loop */
#define MEMBER_TRIES 8   /* members that vanish between being found and being watched */
#define CODE_UNKNOWN 255 /* somebody else reaped the leader */

enum escalation { ESCALATION_NONE, ESCALATION_TERM, ESCALATION_KILL };

struct proc {
    pid_t pid;
    pid_t target; /* of signals: the group as -pid, or the program alone */
    int pidfd; /* of the leader; once that is dead, of a member that lives */
    int output_fd, stdin_fd;
    enum proc_state state;
    bool leader_ended, timed_out;
    enum proc_state leader_state; /* how the leader ended */
    int exit_code;
    int64_t deadline_boot_ms, kill_boot_ms, grace_ms;
    enum escalation escalation;
    size_t output_len;
    char output[PROC_OUTPUT_MAX + 1];
};

bool proc_spawn(const struct proc_options *options, struct proc **out, struct err *err) {
    struct proc_launched launched;
    if (!proc_launch(options, &launched, err)) return false;
    struct proc *p = rt_alloc(sizeof *p);
    p->pid = launched.pid;
    p->target = options->join_group ? launched.pid : -launched.pid;
    p->pidfd = launched.pidfd;
    p->output_fd = launched.output_fd;
    p->stdin_fd = launched.stdin_fd;
    p->deadline_boot_ms = options->deadline_boot_ms;
    p->grace_ms = options->grace_ms > 0 ? options->grace_ms : GRACE_DEFAULT_MS;
    *out = p;
    return true;
}

/* ---- output ---- */

static void keep_newest(struct proc *p, const char *data, size_t len) {
    if (p->output_len + len > PROC_OUTPUT_MAX) {
        size_t drop = p->output_len + len - PROC_OUTPUT_MAX;
        memmove(p->output, p->output + drop, p->output_len - drop);
        p->output_len -= drop;
    }
    char *at = p->output + p->output_len;
    memcpy(at, data, len);
    for (size_t i = 0; i < len; i++)
        if (at[i] == '\0') at[i] = '?'; /* or all that follows would be lost to readers of a C string */
    p->output_len += len;
    p->output[p->output_len] = '\0';
}

static void read_output(struct proc *p) {
    _Static_assert(READ_CHUNK <= PROC_OUTPUT_MAX, "a chunk fits into the buffer");
    for (int i = 0; p->output_fd >= 0 && i < READS_A_STEP; i++) {
        char chunk[READ_CHUNK];
        ssize_t n = read(p->output_fd, chunk, sizeof chunk);
        if (n > 0)
            keep_newest(p, chunk, (size_t)n);
        else if (n < 0 && errno == EAGAIN)
            return;
        else if (n == 0 || errno != EINTR)
            file_close_cleanup(&p->output_fd);
    }
}

/* ---- end ---- */

/* Looks whether the leader has ended and leaves it unreaped. */
static void look_at_leader(struct proc *p) {
    siginfo_t info = {0};
    int result;
    do result = waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    while (result != 0 && errno == EINTR);
    if (result == 0 && info.si_pid == 0) return;
    p->leader_ended = true;
    bool exited = result != 0 || info.si_code == CLD_EXITED;
    p->leader_state = exited ? PROC_EXITED : PROC_SIGNALED;
    p->exit_code = result != 0 ? CODE_UNKNOWN : exited ? info.si_status : 128 + info.si_status;
}

/* Watches some member in the dead leader's place; false if none lives. */
static bool watch_member(struct proc *p) {
    if (p->target > 0) return false; /* in a group that is not its own */
    for (int i = 0; i < MEMBER_TRIES; i++) {
        pid_t member = proc_group_member(p->pid);
        if (member == 0) return false;
        file_close_cleanup(&p->pidfd);
        p->pidfd = proc_pidfd_open(member);
        if (p->pidfd >= 0) return true;
    }
    return true; /* without an event; the next step looks again */
}

static void reap(const struct proc *p) {
    siginfo_t info;
    while (waitid(P_PID, (id_t)p->pid, &info, WEXITED) != 0 && errno == EINTR) continue;
}

static void finish(struct proc *p) {
    read_output(p); /* what was written between the last read and the end */
    if (p->timed_out) kill(p->target, SIGKILL); /* a member born while we looked; free of harm before the reaping */
    reap(p);
    p->state = p->leader_state;
    file_close_cleanup(&p->pidfd);
    file_close_cleanup(&p->output_fd);
    file_close_cleanup(&p->stdin_fd);
}

static void escalate(struct proc *p, int64_t now_boot_ms) {
    if (p->escalation == ESCALATION_NONE && p->deadline_boot_ms != 0 && now_boot_ms >= p->deadline_boot_ms) {
        p->escalation = ESCALATION_TERM;
        p->timed_out = true;
        p->kill_boot_ms = now_boot_ms + p->grace_ms; /* from now: an owner that came late still grants the grace */
        kill(p->target, SIGTERM);
    } else if (p->escalation == ESCALATION_TERM && now_boot_ms >= p->kill_boot_ms) {
        p->escalation = ESCALATION_KILL;
    }
    if (p->escalation == ESCALATION_KILL) kill(p->target, SIGKILL); /* at every step: the group may have grown */
}

enum proc_state proc_step(struct proc *p, int64_t now_boot_ms) {
    if (p->state != PROC_RUNNING) return p->state;
    read_output(p);
    if (!p->leader_ended) look_at_leader(p);
    if (p->leader_ended && !watch_member(p))
        finish(p);
    else
        escalate(p, now_boot_ms);
    return p->state;
}

void proc_signal(struct proc *p, int signal_number) {
    if (p->state == PROC_RUNNING) kill(p->target, signal_number);
}

void proc_free(struct proc *p) {
    if (!p) return;
    if (p->state == PROC_RUNNING) {
        kill(p->target, SIGKILL);
        reap(p);
    }
    file_close_cleanup(&p->pidfd);
    file_close_cleanup(&p->output_fd);
    file_close_cleanup(&p->stdin_fd);
    rt_free(p);
}

/* ---- asking ---- */

pid_t proc_pid(const struct proc *p) {
    return p->pid;
}

size_t proc_pollfds(const struct proc *p, struct pollfd *fds) {
    size_t count = 0;
    if (p->pidfd >= 0) fds[count++] = (struct pollfd){.fd = p->pidfd, .events = POLLIN};
    if (p->output_fd >= 0) fds[count++] = (struct pollfd){.fd = p->output_fd, .events = POLLIN};
    return count;
}

int proc_exit_code(const struct proc *p) {
    return p->exit_code;
}

bool proc_timed_out(const struct proc *p) {
    return p->timed_out;
}

const char *proc_output(const struct proc *p) {
    return p->output;
}

void proc_last_line(const struct proc *p, char *to, size_t size) {
    const char *end = p->output + p->output_len;
    while (end > p->output && strchr(" \t\r\n", end[-1])) end--;
    const char *start = end;
    while (start > p->output && start[-1] != '\n') start--;
    size_t len = (size_t)(end - start);
    char line[ERR_TEXT_MAX];
    if (len > sizeof line - 1) len = sizeof line - 1;
    memcpy(line, start, len);
    line[len] = '\0';
    str_copy(to, size, line);
}
