/* Looking at processes by number: pidfds and /proc. A number alone proves nothing, it may have been given to another
 * process; callers keep the start time with it, or a pidfd. */
#include "rt/proc_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

struct stat_line {
    char state;
    pid_t parent, group;
    uint64_t start_ticks;
};

int proc_pidfd_open(pid_t pid) {
    return pidfd_open(pid, 0); /* close-on-exec by itself */
}

int proc_pidfd_signal(int pidfd, int signal_number) {
    return pidfd_send_signal(pidfd, signal_number, NULL, 0);
}

/* proc(5): "pid (comm) state ppid pgrp ... starttime ...". The name may hold blanks and parentheses, so the fields are
 * counted from the last one. */
static bool parse_stat(const char *text, struct stat_line *out) {
    const char *fields = strrchr(text, ')');
    return fields && sscanf(fields,
                            ") %c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64,
                            &out->state, &out->parent, &out->group, &out->start_ticks) == 4;
}

static bool read_stat(pid_t pid, struct stat_line *out) {
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return false;
    text[n] = '\0';
    return parse_stat(text, out);
}

bool proc_stat(pid_t pid, uint64_t *start_ticks, char *state, pid_t *parent) {
    struct stat_line line;
    if (pid <= 0 || !read_stat(pid, &line)) return false;
    if (start_ticks) *start_ticks = line.start_ticks;
    if (state) *state = line.state;
    if (parent) *parent = line.parent;
    return true;
}

static bool is_dead(char state) {
    return state == 'Z' || state == 'X' || state == 'x';
}

pid_t proc_group_member(pid_t group) {
    DIR *dir = opendir("/proc");
    pid_t found = 0;
    for (const struct dirent *entry; dir && !found && (entry = readdir(dir));) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        struct stat_line line;
        if (*end != '\0' || pid <= 0 || pid > INT_MAX || !read_stat((pid_t)pid, &line)) continue;
        if (line.group == group && !is_dead(line.state)) found = (pid_t)pid;
    }
    if (dir) closedir(dir);
    return found;
}
