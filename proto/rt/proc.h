/* Child processes: argv (never a shell), fixed environment, own process group, pidfd, bounded captured output,
 * deadline with escalation. The owner polls the descriptors and calls proc_step; nothing here blocks or waits. */
#ifndef RT_PROC_H
#define RT_PROC_H
#include "rt/err.h"
#include "rt/str.h"
#include <poll.h>
#include <sys/types.h>

#define PROC_OUTPUT_MAX 65536 /* the newest bytes of stdout and stderr are kept */

struct proc_options {
    const char *const *argv; /* argv[0] an absolute path */
    const char *const *env;  /* NULL-terminated; NULL: PATH, LANG=C, LC_ALL=C only */
    const char *cwd;         /* NULL: "/" */
    bool switch_user;        /* run as uid/gid with that user's supplementary groups dropped to gid */
    uid_t uid;
    gid_t gid;
    int64_t deadline_boot_ms; /* 0: none. At it SIGTERM to the group, `grace_ms` later SIGKILL */
    int64_t grace_ms;         /* 0: 5000 */
    const char *output_path;  /* append stdout and stderr there instead of capturing */
    bool hold_stdin;          /* stdin is a pipe that the parent holds open: the child sees EOF when the parent dies */
    bool join_group;          /* stays in the caller's process group, which then is the caller's to end: signals, deadline and
                               * proc_free reach the program alone, and it counts as over when that has ended */
    int death_signal;         /* sent by the kernel when the calling thread ends; 0: none */
};

enum proc_state { PROC_RUNNING, PROC_EXITED, PROC_SIGNALED };

struct proc;

/* Signals are unblocked and SIGPIPE reset in the child; all descriptors but 0-2 are closed. An exec failure is
 * reported here, as ERR_IO naming argv[0]. */
bool proc_spawn(const struct proc_options *options, struct proc **out, struct err *err);
pid_t proc_pid(const struct proc *p);
/* Fills up to two entries (pidfd, output pipe) and returns how many. */
size_t proc_pollfds(const struct proc *p, struct pollfd *fds);
/* Reads output, reaps, escalates past the deadline. Returns the state; call it on any event, at the deadline, and
 * grace_ms after that. The job runs until the leader and every member of its group have ended (a daemon that makes a
 * session of its own is no member); code and state are the leader's. The descriptors to poll may change at each step. */
enum proc_state proc_step(struct proc *p, int64_t now_boot_ms);
int proc_exit_code(const struct proc *p);  /* exit status, or 128 + signal */
bool proc_timed_out(const struct proc *p); /* the deadline ended it */
const char *proc_output(const struct proc *p);    /* captured so far, NUL-terminated */
void proc_last_line(const struct proc *p, char *to, size_t size); /* last non-empty line: usually the reason */
void proc_signal(struct proc *p, int signal_number); /* to the whole group */
/* SIGKILL to the group and reap if it still runs (waits for the reaping only). */
void proc_free(struct proc *p);

/* Runs to the end with a deadline: for command-line programs and tests, not for the loops of the daemons. */
bool proc_run(const struct proc_options *options, struct strbuf *output, int *exit_code, struct err *err);

int proc_pidfd_open(pid_t pid);                  /* -1 with errno */
int proc_pidfd_signal(int pidfd, int signal_number); /* 0 or -1 with errno */
/* Kernel start time (clock ticks since boot) and state letter of a pid; false if there is none. A zombie ('Z') is not alive. */
bool proc_stat(pid_t pid, uint64_t *start_ticks, char *state, pid_t *parent);
#endif
