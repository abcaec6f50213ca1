/* Enumerates and kills the processes below the dead-man by /proc. Reads no disk and keeps no state. */
#include "deadman_tree.h"
#include "rt/proc.h"
#include "rt/str.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct member {
    pid_t pid, parent;
    uint64_t start_ticks;
    char state;
    bool ours;
};
struct walk {
    struct member *at;
    size_t count, capacity;
};

bool deadman_tree_adopt(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0; }

bool deadman_tree_empty(void) {
    siginfo_t info = {0};
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 && errno == ECHILD;
}

static void walk_add(struct walk *walk, const struct member *member) {
    if (walk->count == walk->capacity) {
        size_t capacity = walk->capacity ? 2 * walk->capacity : 512;
        struct member *grown = rt_alloc(capacity * sizeof *grown);
        if (walk->count)
            memcpy(grown, walk->at, walk->count * sizeof *grown);
        rt_free(walk->at);
        *walk = (struct walk){grown, walk->count, capacity};
    }
    walk->at[walk->count++] = *member;
}

static void walk_free(struct walk *walk) { rt_free(walk->at); }
#define WALK __attribute__((cleanup(walk_free))) struct walk

static void close_dir(DIR **dir) {
    if (*dir)
        closedir(*dir);
}

/* Calls `each` with the pid of every process. */
static void each_process(void (*each)(pid_t pid, void *context), void *context) {
    __attribute__((cleanup(close_dir))) DIR *proc = opendir("/proc");
    const struct dirent *entry;
    while (proc && (entry = readdir(proc)) != NULL) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        if (*end == 0 && pid > 0)
            each((pid_t)pid, context);
    }
}

static void note_member(pid_t pid, void *context) {
    struct member m = {.pid = pid};
    if (proc_stat(pid, &m.start_ticks, &m.state, &m.parent))
        walk_add(context, &m);
}

static int by_pid(const void *a, const void *b) {
    const struct member *left = a, *right = b;
    return (left->pid > right->pid) - (left->pid < right->pid);
}

static bool is_ours(const struct walk *walk, pid_t pid) {
    struct member wanted = {.pid = pid};
    const struct member *m = walk->count ? bsearch(&wanted, walk->at, walk->count, sizeof wanted, by_pid) : NULL;
    return m && m->ours;
}

/* Marks children, then their children, until a pass finds no more: the depth of the tree in passes. */
static void mark_descendants(struct walk *walk) {
    pid_t self = getpid();
    for (bool found = true; found;) {
        found = false;
        for (size_t i = 0; i < walk->count; i++) {
            struct member *m = &walk->at[i];
            if (!m->ours && (m->parent == self || is_ours(walk, m->parent)))
                m->ours = found = true;
        }
    }
}

static void walk_descendants(struct walk *walk) {
    each_process(note_member, walk);
    if (walk->count)
        qsort(walk->at, walk->count, sizeof *walk->at, by_pid);
    mark_descendants(walk);
}

static bool alive(const struct member *m) { return m->ours && m->state != 'Z' && m->state != 'X'; }

int64_t deadman_tree_count(void) {
    WALK walk = {0};
    walk_descendants(&walk);
    int64_t count = 0;
    for (size_t i = 0; i < walk.count; i++)
        count += alive(&walk.at[i]);
    return count;
}

/* Through a pidfd whose process still has the start time that was seen below us: the number may have been given to
 * somebody else in between. */
static void kill_member(const struct member *m) {
    int pidfd = proc_pidfd_open(m->pid);
    if (pidfd < 0)
        return;
    uint64_t ticks = 0;
    char state;
    pid_t parent;
    if (proc_stat(m->pid, &ticks, &state, &parent) && ticks == m->start_ticks)
        proc_pidfd_signal(pidfd, SIGKILL);
    close(pidfd);
}

/* Children of ours first: the postmaster is one, and without it nothing forks anew. */
int64_t deadman_tree_kill(pid_t *stuck) {
    WALK walk = {0};
    walk_descendants(&walk);
    pid_t self = getpid(), sleeper = 0;
    int64_t count = 0;
    for (int direct = 1; direct >= 0; direct--)
        for (size_t i = 0; i < walk.count; i++) {
            const struct member *m = &walk.at[i];
            if (!alive(m) || (m->parent == self) != (direct == 1))
                continue;
            kill_member(m);
            count++;
            if (m->state == 'D')
                sleeper = m->pid;
        }
    if (stuck)
        *stuck = sleeper;
    return count;
}

struct stranger {
    struct stat directory;
    struct walk walk;
    pid_t found;
};

static bool is_postgres(pid_t pid) {
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, name, sizeof name - 1);
    close(fd);
    return n > 0 && (str_eq(name, "postgres\n") || str_eq(name, "postmaster\n"));
}

/* Every PostgreSQL process has its data directory as working directory, leftover backends of a dead postmaster too. */
static void note_stranger(pid_t pid, void *context) {
    struct stranger *s = context;
    char path[64];
    struct stat there;
    snprintf(path, sizeof path, "/proc/%d/cwd", (int)pid);
    if (s->found == 0 && is_postgres(pid) && stat(path, &there) == 0 && there.st_dev == s->directory.st_dev &&
        there.st_ino == s->directory.st_ino && !is_ours(&s->walk, pid))
        s->found = pid;
}

/* A postmaster of another user, whose working directory we may not look at, is known by its pid file only. */
static pid_t pid_file_owner(int data_dir) {
    char text[32] = "";
    int fd = openat(data_dir, "postmaster.pid", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    char path[64];
    struct stat there;
    snprintf(path, sizeof path, "/proc/%ld/cwd", pid);
    bool hidden = pid > 0 && stat(path, &there) != 0 && errno == EACCES;
    return hidden && is_postgres((pid_t)pid) ? (pid_t)pid : 0;
}

pid_t deadman_tree_stranger(int data_dir) {
    struct stranger s = {0};
    if (fstat(data_dir, &s.directory) != 0)
        return 0;
    walk_descendants(&s.walk);
    each_process(note_stranger, &s);
    walk_free(&s.walk);
    return s.found ? s.found : pid_file_owner(data_dir);
}
