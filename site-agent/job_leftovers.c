/* What an earlier life of the agent, or a job that was killed, may have left: processes and an unfinished directory.
 * Numbers of processes are given again, so nothing is killed that does not fit the whole mark. */
#include "rt/clock.h"
#include "rt/file.h"
#include "rt/proc.h"
#include "site-agent/job.h"
#include "site-agent/job_mark.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPEC_MAX 65536
#define KILL_WAIT_MS 100 /* SIGKILL takes effect in a few; who is stuck in the kernel is waited for by coming again */

void job_file_path(char *to, size_t size, const char *state_dir, const char *name) {
    snprintf(to, size, "%s/%s", state_dir, name);
}

bool job_file_write(const char *state_dir, const char *name, const char *text, struct err *err) {
    char path[PATH_MAX], fresh[PATH_MAX + 4];
    job_file_path(path, sizeof path, state_dir, name);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE_AUTO int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    size_t len = strlen(text);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len || rename(fresh, path) != 0) return err_sys(err, errno, "%s: write", path);
    return true;
}

/* ---- processes ---- */

struct mark {
    pid_t group, session;
    uint64_t start_ticks;
    char boot_id[40];
};

bool job_mark_write(const char *state_dir, pid_t leader, struct err *err) {
    struct mark m = {.group = leader, .session = getsid(leader)};
    char text[128];
    clock_boot_id(m.boot_id, sizeof m.boot_id);
    if (!proc_stat(leader, &m.start_ticks, NULL, NULL)) return err_set(err, ERR_IO, "process %d cannot be looked at", (int)leader);
    snprintf(text, sizeof text, "%d %d %" PRIu64 " %s\n", (int)m.group, (int)m.session, m.start_ticks, m.boot_id);
    return job_file_write(state_dir, JOB_FILE_MARK, text, err);
}

static bool read_mark(const char *state_dir, struct mark *m) {
    char path[PATH_MAX], boot_id[40] = "";
    STRBUF text = {0};
    job_file_path(path, sizeof path, state_dir, JOB_FILE_MARK);
    clock_boot_id(boot_id, sizeof boot_id);
    return file_read(path, 256, &text, NULL) &&
           sscanf(text.at, "%d %d %" SCNu64 " %39s", &m->group, &m->session, &m->start_ticks, m->boot_id) == 4 && m->group > 1 &&
           str_eq(m->boot_id, boot_id);
}

/* While a member lives the group's number is not given to a new process; so another leader means that all are gone. */
static bool taken_over(const struct mark *m) {
    uint64_t start;
    return proc_stat(m->group, &start, NULL, NULL) && start != m->start_ticks;
}

static bool is_member(const struct mark *m, pid_t pid) {
    uint64_t start;
    char state;
    return getpgid(pid) == m->group && getsid(pid) == m->session && proc_stat(pid, &start, &state, NULL) && start >= m->start_ticks && state != 'Z';
}

static void kill_one(const struct mark *m, pid_t pid) {
    FILE_AUTO int pidfd = proc_pidfd_open(pid);
    if (pidfd >= 0 && is_member(m, pid)) proc_pidfd_signal(pidfd, SIGKILL); /* still the one that was looked at */
}

static void dir_cleanup(DIR **d) {
    if (*d) closedir(*d);
}

/* How many lived. */
static int kill_members(const struct mark *m) {
    __attribute__((cleanup(dir_cleanup))) DIR *processes = opendir("/proc");
    int count = 0;
    for (const struct dirent *e; processes && (e = readdir(processes));) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        if (pid <= 1 || !is_member(m, pid)) continue;
        kill_one(m, pid);
        count++;
    }
    return count;
}

bool job_mark_kill(const char *state_dir) {
    struct mark m;
    if (!read_mark(state_dir, &m) || taken_over(&m)) return true;
    for (int64_t until = clock_boot_ms() + KILL_WAIT_MS; kill_members(&m) > 0;) {
        if (clock_boot_ms() >= until) return false;
        poll(NULL, 0, 2);
    }
    return true;
}

/* ---- files ---- */

static bool there(const char *state_dir, const char *name) {
    char path[PATH_MAX];
    job_file_path(path, sizeof path, state_dir, name);
    return file_exists(path);
}

static bool remove_file(const char *state_dir, const char *name, struct err *err) {
    char path[PATH_MAX];
    job_file_path(path, sizeof path, state_dir, name);
    return file_remove(path, err);
}

bool job_leftovers(const char *state_dir) {
    return there(state_dir, JOB_FILE_SPEC) || there(state_dir, JOB_FILE_MARK);
}

static bool read_document(const char *state_dir, const char *name, const struct fields *table, void *out, struct err *err) {
    char path[PATH_MAX];
    STRBUF text = {0};
    job_file_path(path, sizeof path, state_dir, name);
    return file_read(path, SPEC_MAX, &text, err) && field_from_json(table, path, (struct bytes){text.at, text.len}, out, err);
}

/* A finished directory that is thrown away is no result any more. */
static bool remove_directory(const char *state_dir, const struct job_spec *spec, struct err *err) {
    if (spec->kind == JOB_KIND_ATTACH || !file_exists(spec->work_dir)) return true;
    return remove_file(state_dir, JOB_FILE_RESULT, err) && file_remove_tree(spec->work_dir, err);
}

static bool clean_files(const char *state_dir, struct err *err) {
    static struct job_spec spec; /* loop thread only; large */
    if (there(state_dir, JOB_FILE_SPEC) &&
        !(read_document(state_dir, JOB_FILE_SPEC, &job_spec_table, &spec, err) && remove_directory(state_dir, &spec, err)))
        return false;
    return remove_file(state_dir, JOB_FILE_MARK, err) && remove_file(state_dir, JOB_FILE_SPEC, err);
}

bool job_clean_leftovers(const char *state_dir, bool *left, struct err *err) {
    *left = true;
    if (!job_mark_kill(state_dir)) return true;
    if (!clean_files(state_dir, err)) return err_wrap(err, "remains of a job");
    *left = false;
    return true;
}

bool job_last_result(const char *state_dir, struct job_result *out) {
    struct pg_control control;
    struct err err;
    char id[24];
    if (!read_document(state_dir, JOB_FILE_RESULT, &job_result_table, out, &err)) return false;
    if (!pg_control_read(out->work_dir[0] ? out->work_dir : out->data_dir, &control, &err)) return false;
    snprintf(id, sizeof id, "%" PRIu64, control.system_identifier);
    return str_eq(id, out->system_id);
}
