/* The system calls that production code makes itself (sim.mk renames them), and what it asks about processes by number.
 * On a host there is one PostgreSQL to be found: postmaster, walsenders, and backends that have outlived their postmaster. */
#include "net/tls.h"
#include "rt/clock.h"
#include "rt/failpoint.h"
#include "rt/file.h"
#include "rt/proc.h"
#include "site-agent/deadman/deadman_tree.h"
#include "tests/sim/postgres.h"
#include "tests/sim/world.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int simulated_kill(pid_t pid, int signal_number);
int simulated_open(const char *path, int flags, ...);
int simulated_close(int fd);
ssize_t simulated_readlink(const char *path, char *to, size_t size);
char *simulated_realpath(const char *path, char *to);
void simulated_exit(int status) __attribute__((noreturn));

#define PIDFD_MORE 1000000    /* pidfd = pid + this */
#define DIRECTORY_FD 3000     /* any open directory: there is only one that anybody opens */
#define ORPHANS_PID 2000000   /* stands for all backends whose postmaster is gone */

/* ---- processes by number ---- */

static bool is_postmaster(const struct postgres *pg, int64_t pid) { return pg && pid > 0 && pg->postmaster_pid == pid; }

static bool is_walsender(const struct postgres *pg, int64_t pid) { return pg && pid > 0 && postgres_has_walsender(pg, pid); }

static int no_such_process(void) {
    errno = ESRCH;
    return -1;
}

int simulated_kill(pid_t pid, int signal_number) {
    struct postgres *pg = host_self()->postgres;
    process_point("before a signal");
    if (is_postmaster(pg, pid))
        postgres_signal(pg, signal_number);
    else if (is_walsender(pg, pid))
        postgres_end_walsender(pg, pid);
    else if (pg && pg->orphans && pid == ORPHANS_PID)
        postgres_kill_all(pg);
    else
        return no_such_process();
    process_point("after a signal");
    return 0;
}

int proc_pidfd_open(pid_t pid) { return is_postmaster(host_self()->postgres, pid) ? pid + PIDFD_MORE : no_such_process(); }

int proc_pidfd_signal(int pidfd, int signal_number) {
    pid_t pid = pidfd - PIDFD_MORE;
    return is_postmaster(host_self()->postgres, pid) ? simulated_kill(pid, signal_number) : no_such_process();
}

bool proc_stat(pid_t pid, uint64_t *start_ticks, char *state, pid_t *parent) {
    const struct postgres *pg = host_self()->postgres;
    bool postmaster = is_postmaster(pg, pid);
    if (!postmaster && !is_walsender(pg, pid))
        return false;
    *start_ticks = (uint64_t)pid;
    *state = 'S';
    *parent = postmaster ? 1 : (pid_t)pg->postmaster_pid;
    return true;
}

pid_t deadman_tree_stranger(int data_dir) {
    const struct postgres *pg = host_self()->postgres;
    if (data_dir != DIRECTORY_FD || !pg)
        return 0;
    return pg->postmaster_pid ? (pid_t)pg->postmaster_pid : pg->orphans ? ORPHANS_PID : 0;
}

/* ---- files by descriptor and link ---- */

int simulated_open(const char *path, int flags, ...) {
    (void)flags;
    if (file_exists(path))
        return DIRECTORY_FD;
    errno = ENOENT;
    return -1;
}

int simulated_close(int fd) {
    file_close_cleanup(&fd);
    return 0;
}

ssize_t simulated_readlink(const char *path, char *to, size_t size) {
    const struct host *h = host_self();
    char cwd[64];
    int pid = 0;
    if (sscanf(path, "/proc/%d/cwd", &pid) != 1 || !is_postmaster(h->postgres, pid)) {
        errno = ENOENT;
        return -1;
    }
    size_t len = (size_t)snprintf(cwd, sizeof cwd, "/data/%s", h->name);
    len = len < size ? len : size;
    memcpy(to, cwd, len);
    return (ssize_t)len;
}

char *simulated_realpath(const char *path, char *to) {
    if (file_exists(path))
        return strcpy(to, path);
    errno = ENOENT;
    return NULL;
}

void simulated_exit(int status) {
    sim_say(process_self()->name, "exits with %d", status);
    if (process_self()->host->site == NOWHERE)
        invariants_coordinator_ended(process_self()->host, NULL);
    process_kill(process_self());
    abort();
}

/* ---- and the rest ---- */

void failpoint_reach(const char *name) { process_point(name); }

#define YEAR_MS (365LL * 86400 * 1000)
int64_t tls_expiry_wall_ms(const struct tls_files *files) {
    (void)files;
    return clock_wall_ms() + YEAR_MS;
}
