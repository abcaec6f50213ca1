/* From options to a running program: descriptors, fork, and what the child does until exec. Between fork and exec only
 * async-signal-safe calls are made, because the parent may have threads. What fails there comes back through a pipe
 * that a successful exec closes. */
#include "rt/file.h"
#include "rt/proc_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPORT_FD 3           /* in the child, until exec */
#define ABOVE_STANDARD_FDS 10 /* sources are moved up here first, so that dup2 to 0-3 cannot overwrite one */
#define CHILD_FAILED 127      /* told why; the parent reads that and not the status */
#define CHILD_MUTE 126        /* could not even tell: nobody listens any more */

/* X(symbol, what the child was about to do) */
#define STAGES(X)                                                                                                      \
    X(STAGE_DESCRIPTORS, "set up descriptors")                                                                         \
    X(STAGE_GROUP, "make a process group")                                                                             \
    X(STAGE_USER, "switch user")                                                                                       \
    X(STAGE_DEATH_SIGNAL, "ask for a signal at the parent's death")                                                    \
    X(STAGE_CWD, "change directory")                                                                                   \
    X(STAGE_OUTPUT, "open the output file")                                                                            \
    X(STAGE_EXEC, "execute")

enum stage {
#define X(symbol, words) symbol,
    STAGES(X)
#undef X
};

static const char *const stage_words[] = {
#define X(symbol, words) words,
    STAGES(X)
#undef X
};

struct report {
    enum stage stage;
    int errno_value;
};

struct channel {
    int read_end, write_end;
};
static void close_channel(struct channel *c) {
    file_close_cleanup(&c->read_end);
    file_close_cleanup(&c->write_end);
}
#define CHANNEL __attribute__((cleanup(close_channel))) struct channel
#define CHANNEL_CLOSED {-1, -1}

static bool open_channel(struct channel *c) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    c->read_end = ends[0];
    c->write_end = ends[1];
    return true;
}

static int take(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}

static const char *const plain_env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C",
                                        "LC_ALL=C", NULL};

/* execve is older than const: it takes arrays of char * and changes nothing in them. */
static char *const *exec_vector(const char *const *texts) {
    union {
        const char *const *ours;
        char *const *theirs;
    } u = {.ours = texts};
    return u.theirs;
}

/* ---- in the child ---- */

static _Noreturn void fail(int report_fd, enum stage stage) {
    struct report report = {.stage = stage, .errno_value = errno};
    if (write(report_fd, &report, sizeof report) < 0) _exit(CHILD_MUTE);
    _exit(CHILD_FAILED);
}

static void reset_signals(void) {
    struct sigaction otherwise = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) sigaction(number, &otherwise, NULL); /* SIGKILL and the like refuse: fine */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool place_descriptors(int in, int out, int report) {
    in = fcntl(in, F_DUPFD_CLOEXEC, ABOVE_STANDARD_FDS);
    out = fcntl(out, F_DUPFD_CLOEXEC, ABOVE_STANDARD_FDS);
    report = fcntl(report, F_DUPFD_CLOEXEC, ABOVE_STANDARD_FDS);
    return in >= 0 && out >= 0 && report >= 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(out, 2) == 2 &&
           dup3(report, REPORT_FD, O_CLOEXEC) == REPORT_FD && close_range(REPORT_FD + 1, UINT_MAX, 0) == 0;
}

/* Who has no right to switch users and is that user already, has nothing to switch. */
static bool switch_user(const struct proc_options *options) {
    uid_t uid = options->uid;
    gid_t gid = options->gid;
    if (geteuid() != 0 && uid == geteuid() && gid == getegid()) return true;
    return setgroups(1, &gid) == 0 && setgid(gid) == 0 && setuid(uid) == 0;
}

/* Opened as the user that runs the program: the file is that user's, and a link in its place leads root nowhere. */
static bool append_output(const char *path) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    return fd >= 0 && dup2(fd, 1) == 1 && dup2(fd, 2) == 2;
}

/* After the change of user, which clears it. A parent that died before is not reported any more. */
static bool follow_parent(int signal_number, pid_t parent) {
    if (prctl(PR_SET_PDEATHSIG, signal_number) != 0) return false;
    errno = ESRCH;
    return getppid() == parent;
}

static _Noreturn void child(const struct proc_options *options, pid_t parent, int in, int out, int report) {
    reset_signals();
    if (!place_descriptors(in, out, report)) fail(report, STAGE_DESCRIPTORS);
    if (!options->join_group && setpgid(0, 0) != 0) fail(REPORT_FD, STAGE_GROUP);
    if (options->switch_user && !switch_user(options)) fail(REPORT_FD, STAGE_USER);
    if (options->death_signal && !follow_parent(options->death_signal, parent)) fail(REPORT_FD, STAGE_DEATH_SIGNAL);
    if (chdir(options->cwd ? options->cwd : "/") != 0) fail(REPORT_FD, STAGE_CWD);
    if (options->output_path && !append_output(options->output_path)) fail(REPORT_FD, STAGE_OUTPUT);
    execve(options->argv[0], exec_vector(options->argv), exec_vector(options->env ? options->env : plain_env));
    fail(REPORT_FD, STAGE_EXEC);
}

/* ---- in the parent ---- */

/* Signals are blocked across the fork: a handler of the parent must not run in the child. */
static pid_t fork_child(const struct proc_options *options, int in, int out, int report) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) child(options, parent, in, out, report);
    int why = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return pid;
}

static void reap(pid_t pid) {
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
}

/* Returns when the child has become the program, or has said why not. */
static bool await_exec(pid_t pid, int report_fd, const char *program, struct err *err) {
    struct report report;
    ssize_t n;
    do n = read(report_fd, &report, sizeof report);
    while (n < 0 && errno == EINTR);
    if (n == 0) return true;
    reap(pid);
    if (n != (ssize_t)sizeof report) return err_set(err, ERR_IO, "%s: start: no report from the child", program);
    return err_sys(err, report.errno_value, "%s: %s", program, stage_words[report.stage]);
}

bool proc_launch(const struct proc_options *options, struct proc_launched *out, struct err *err) {
    const char *program = options->argv[0];
    CHANNEL report = CHANNEL_CLOSED, output = CHANNEL_CLOSED, held = CHANNEL_CLOSED;
    FILE_AUTO int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0) return err_sys(err, errno, "%s: open /dev/null", program);
    if (!open_channel(&report) || (!options->output_path && !open_channel(&output)) || (options->hold_stdin && !open_channel(&held)))
        return err_sys(err, errno, "%s: pipe", program);
    int in = options->hold_stdin ? held.read_end : nothing;
    pid_t pid = fork_child(options, in, options->output_path ? nothing : output.write_end, report.write_end);
    if (pid < 0) return err_sys(err, errno, "%s: fork", program);
    file_close_cleanup(&report.write_end);
    if (!await_exec(pid, report.read_end, program, err)) return false;

    int pidfd = proc_pidfd_open(pid);
    if (pidfd < 0 || (output.read_end >= 0 && fcntl(output.read_end, F_SETFL, O_NONBLOCK) != 0)) {
        int why = errno;
        file_close_cleanup(&pidfd);
        kill(options->join_group ? pid : -pid, SIGKILL);
        reap(pid);
        return err_sys(err, why, "%s: watch process %d", program, (int)pid);
    }
    *out = (struct proc_launched){
        .pid = pid, .pidfd = pidfd, .output_fd = take(&output.read_end), .stdin_fd = take(&held.write_end)};
    return true;
}
