/* fork, the child's preparation, and exec of the postmaster. Decides nothing about whether it may start. */
#include "deadman_spawn.h"
#include "rt/file.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The child may ask a directory service for its groups; exec may have to read the program from a slow disk. */
#define PREPARE_MS 5000

static const char oom_path[] = "/proc/self/oom_score_adj";

static bool write_text(const char *path, const char *text) {
    FILE_AUTO int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool may_lock_without_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
        return true;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {0};
    return syscall(SYS_capget, &header, sets) == 0 && (sets[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK));
}

void deadman_harden(struct deadman_inherited *before) {
    STRBUF score = {0};
    if (file_read(oom_path, sizeof before->oom_score_adj - 1, &score, NULL)) {
        str_copy(before->oom_score_adj, sizeof before->oom_score_adj, score.at);
        before->oom_changed = write_text(oom_path, "-1000");
    }
    if (may_lock_without_limit()) /* with a limit, locked memory turns a later allocation into a failure */
        mlockall(MCL_CURRENT | MCL_FUTURE);
}

static void restore_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    struct sigaction plain = {.sa_handler = SIG_DFL};
    for (int n = 1; n < NSIG; n++)
        sigaction(n, &plain, NULL); /* fails for the two that nobody may change */
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Opened while still privileged (the log directory need not belong to PostgreSQL's user), never through a link. */
static int open_stdio(const struct deadman_request *r) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log = r->log_path[0] ? open(r->log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640) : null;
    if (null < 0 || log < 0)
        return errno;
    if (log != null && r->uid >= 0 && geteuid() == 0 && fchown(log, (uid_t)r->uid, (gid_t)r->gid) != 0)
        return errno;
    return dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 ? errno : 0;
}

/* With the user's supplementary groups: a key readable by a group only is the usual thing on Debian. */
static int switch_user(const struct deadman_request *r) {
    if (r->uid < 0 || (uid_t)r->uid == geteuid())
        return 0;
    gid_t gid = (gid_t)r->gid;
    const struct passwd *user = getpwuid((uid_t)r->uid);
    if (user ? initgroups(user->pw_name, gid) : setgroups(1, &gid))
        return errno;
    if (user) {
        setenv("HOME", user->pw_dir, 1);
        setenv("USER", user->pw_name, 1);
        setenv("LOGNAME", user->pw_name, 1);
    }
    return setresgid(gid, gid, gid) != 0 || setresuid((uid_t)r->uid, (uid_t)r->uid, (uid_t)r->uid) != 0 ? errno : 0;
}

/* PostgreSQL would speak to the service manager about a unit that is not its own. */
static void clear_environment(void) {
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
}

static int prepare_child(const struct deadman_request *r, const struct deadman_inherited *before, pid_t parent) {
    setsid();
    if (before->oom_changed)
        write_text(oom_path, before->oom_score_adj);
    restore_signals();
    clear_environment();
    umask(077);
    int error = open_stdio(r);
    if (error == 0)
        error = switch_user(r);
    /* A PostgreSQL without its dead-man has no deadline: fast stop. After the change of user, which clears it. */
    if (error == 0 && (prctl(PR_SET_PDEATHSIG, SIGINT) != 0 || getppid() != parent))
        error = errno ? errno : ECHILD;
    return error ? error : chdir("/") != 0 ? errno : 0;
}

static _Noreturn void run_child(const struct deadman_request *r, const struct deadman_inherited *before, pid_t parent, int channel) {
    char *argv[17] = {0};
    for (uint32_t i = 0; i < r->argv_count; i++)
        argv[i] = strdup(r->argv[i]);
    int error = prepare_child(r, before, parent);
    char word;
    if (write(channel, &error, sizeof error) == sizeof error && error == 0 && read(channel, &word, 1) == 1) {
        close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
        execv(argv[0], argv);
        error = errno;
        if (write(channel, &error, sizeof error) < 0)
            _exit(126);
    }
    _exit(127);
}

/* The next word of the child: 0 or an errno; end of file is 0 too, since exec closes the channel. */
static bool hear(const struct deadman_child *child, int *error) {
    struct pollfd fd = {.fd = child->channel, .events = POLLIN};
    *error = 0;
    if (poll(&fd, 1, PREPARE_MS) != 1)
        return false;
    return read(child->channel, error, sizeof *error) >= 0;
}

bool deadman_spawn_prepare(const struct deadman_request *request, const struct deadman_inherited *before, struct deadman_child *child, struct err *err) {
    int ends[2], error;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return err_sys(err, errno, "socketpair");
    pid_t parent = getpid();
    *child = (struct deadman_child){.pid = fork(), .channel = ends[0]};
    if (child->pid == 0)
        run_child(request, before, parent, ends[1]);
    close(ends[1]);
    if (child->pid < 0) {
        error = errno;
        file_close_cleanup(&child->channel);
        return err_sys(err, error, "fork");
    }
    bool heard = hear(child, &error);
    if (heard && error == 0)
        return true;
    deadman_spawn_cancel(child);
    return heard ? err_sys(err, error, "preparing to run %s", request->argv[0])
                 : err_set(err, ERR_TIMEOUT, "preparing to run %s took over %d ms", request->argv[0], PREPARE_MS);
}

bool deadman_spawn_go(struct deadman_child *child, struct err *err) {
    int error = 0;
    if (send(child->channel, "", 1, MSG_NOSIGNAL) != 1) {
        deadman_spawn_cancel(child);
        return err_set(err, ERR_IO, "the child ended before exec");
    }
    bool heard = hear(child, &error);
    if (!heard || error != 0) {
        deadman_spawn_cancel(child);
        return heard ? err_sys(err, error, "exec") : err_set(err, ERR_TIMEOUT, "exec took over %d ms", PREPARE_MS);
    }
    file_close_cleanup(&child->channel);
    return true;
}

void deadman_spawn_cancel(struct deadman_child *child) {
    kill(child->pid, SIGKILL);
    file_close_cleanup(&child->channel);
}
