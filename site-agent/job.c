/* The agent's side of a job: starts the child, follows what it says, takes its result. Never waits. What is left behind
 * by a job that could not end in order is job_leftovers.c's. */
#include "site-agent/job.h"
#include "rt/file.h"
#include "rt/json.h"
#include "rt/proc.h"
#include "site-agent/job_mark.h"
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct job {
    struct proc *proc;
    enum job_kind kind;
    char key[128], state_dir[256], work_dir[256];
    bool over;
};

/* ---- start ---- */

/* What is removed after a failure must be ours beyond doubt. */
static bool check_spec(const struct job_spec *spec, struct err *err) {
    char data_parent[PATH_MAX], work_parent[PATH_MAX];
    if (spec->data_dir[0] != '/') return err_set(err, ERR_INVALID, "data_dir '%s': not an absolute path", spec->data_dir);
    if (spec->kind == JOB_KIND_ATTACH) return true;
    file_parent(data_parent, sizeof data_parent, spec->data_dir);
    file_parent(work_parent, sizeof work_parent, spec->work_dir);
    size_t len = strlen(spec->data_dir);
    bool beside = str_eq(data_parent, work_parent) && strncmp(spec->work_dir, spec->data_dir, len) == 0 && spec->work_dir[len] == '.';
    return beside || err_set(err, ERR_INVALID, "work_dir '%s': must be named '%s.' and something", spec->work_dir, spec->data_dir);
}

static bool write_spec(const char *state_dir, const struct job_spec *spec, struct err *err) {
    char path[PATH_MAX], last[PATH_MAX];
    STRBUF text = {0};
    field_to_text(&job_spec_table, spec, &text);
    if (spec->kind == JOB_KIND_ATTACH) return job_file_write(state_dir, JOB_FILE_SPEC, text.at, err); /* leaves no directory */
    job_file_path(path, sizeof path, state_dir, JOB_FILE_SPEC);
    job_file_path(last, sizeof last, state_dir, JOB_FILE_RESULT);
    return file_remove(last, err) && file_write(path, text.at, text.len, 0600, err);
}

static void forget(const char *state_dir) {
    char path[PATH_MAX];
    job_file_path(path, sizeof path, state_dir, JOB_FILE_MARK);
    unlink(path);
    job_file_path(path, sizeof path, state_dir, JOB_FILE_SPEC);
    unlink(path); /* should it come back after a power failure: a leftover without a directory, harmless */
}

static bool spawn(const char *self, const char *state_dir, struct proc **proc, struct err *err) {
    char spec_file[PATH_MAX];
    job_file_path(spec_file, sizeof spec_file, state_dir, JOB_FILE_SPEC);
    const char *const argv[] = {self, "job", spec_file, NULL};
    const struct proc_options options = {.argv = argv, .hold_stdin = true};
    if (!proc_spawn(&options, proc, err)) return false;
    if (job_mark_write(state_dir, proc_pid(*proc), err)) return true;
    proc_free(*proc);
    return false;
}

bool job_start(const char *self, const char *state_dir, const struct job_spec *spec, struct job **out, struct err *err) {
    struct proc *proc;
    if (!check_spec(spec, err)) return err_wrap(err, "job");
    if (job_leftovers(state_dir)) return err_set(err, ERR_CONFLICT, "job: remains of an earlier one must be removed first");
    if (!write_spec(state_dir, spec, err)) return err_wrap(err, "job");
    if (!spawn(self, state_dir, &proc, err)) {
        forget(state_dir);
        return err_wrap(err, "job");
    }
    struct job *j = rt_alloc(sizeof *j);
    j->proc = proc;
    j->kind = (enum job_kind)spec->kind;
    str_copy(j->key, sizeof j->key, spec->key);
    str_copy(j->state_dir, sizeof j->state_dir, state_dir);
    if (spec->kind != JOB_KIND_ATTACH) str_copy(j->work_dir, sizeof j->work_dir, spec->work_dir);
    *out = j;
    return true;
}

/* ---- what it says ---- */

/* The newest whole line that begins so. */
static struct bytes newest_line(const char *output, const char *prefix) {
    struct bytes found = {"", 0};
    for (const char *line = output, *end; (end = strchr(line, '\n')); line = end + 1)
        if (str_starts(line, prefix)) found = (struct bytes){line, (size_t)(end - line)};
    return found;
}

void job_progress(const struct job *j, int64_t *done_bytes, int64_t *total_bytes) {
    struct bytes line = newest_line(proc_output(j->proc), "{\"progress\"");
    JSON_AUTO *message = line.len ? json_parse(line, NULL) : NULL;
    const json_t *numbers = json_object_get(message, "progress");
    *done_bytes = numbers ? json_int(numbers, "done", -1) : -1;
    *total_bytes = numbers ? json_int(numbers, "total", -1) : -1;
}

static bool read_result(struct bytes line, struct job_result *result, struct err *err) {
    JSON_AUTO *message = json_parse(line, err);
    STRBUF text = {0};
    if (!message) return false;
    json_write(json_object_get(message, "result"), &text);
    return field_from_json(&job_result_table, "result", (struct bytes){text.at, text.len}, result, err);
}

static void explain_failure(const struct job *j, struct job_result *result) {
    struct bytes line = newest_line(proc_output(j->proc), "{\"error\"");
    JSON_AUTO *message = line.len ? json_parse(line, NULL) : NULL;
    char last[256];
    proc_last_line(j->proc, last, sizeof last);
    *result = (struct job_result){.kind = (int)j->kind};
    if (message)
        str_copy(result->error, sizeof result->error, json_text(message, "error", ""));
    else
        snprintf(result->error, sizeof result->error, "the job ended with code %d and no result%s%s", proc_exit_code(j->proc), last[0] ? "; last line: " : "", last);
}

static void take_result(const struct job *j, struct job_result *result) {
    struct bytes line = newest_line(proc_output(j->proc), "{\"result\"");
    struct err err = {0};
    bool read = line.len && proc_exit_code(j->proc) == 0 && read_result(line, result, &err);
    if (!read) explain_failure(j, result);
    str_copy(result->key, sizeof result->key, j->key);
}

/* ---- life and end ---- */

size_t job_pollfds(const struct job *j, struct pollfd *fds) {
    return proc_pollfds(j->proc, fds);
}

enum job_kind job_kind(const struct job *j) {
    return j->kind;
}

const char *job_key(const struct job *j) {
    return j->key;
}

/* A child that was killed can leave its own children behind, in its group. */
static void end_orphans(const struct job *j) {
    char state;
    if (proc_stat(proc_pid(j->proc), NULL, &state, NULL) && state == 'Z') proc_signal(j->proc, SIGKILL);
}

bool job_step(struct job *j, int64_t now_boot_ms, struct job_result *result) {
    if (proc_step(j->proc, now_boot_ms) == PROC_RUNNING) {
        end_orphans(j);
        return false;
    }
    take_result(j, result);
    if (!j->work_dir[0] || !file_exists(j->work_dir)) forget(j->state_dir); /* else a leftover, or a finished initdb to adopt */
    j->over = true;
    return true;
}

void job_free(struct job *j) {
    if (!j) return;
    proc_free(j->proc);
    if (!j->over && j->kind == JOB_KIND_ATTACH) forget(j->state_dir);
    rt_free(j);
}
