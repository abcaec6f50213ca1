/* The child side of a job: its life and its end, whatever the job is. It is leader of its process group and subreaper
 * of all below it; pg_basebackup forks a WAL receiver that outlives it and keeps the slot busy for ever, so everything
 * below is killed when the agent dies (end of file on stdin), on SIGTERM, and when the job is over. */
#include "rt/clock.h"
#include "rt/file.h"
#include "rt/json.h"
#include "site-agent/deadman/deadman_tree.h"
#include "site-agent/job_child.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPEC_MAX 65536
#define KILL_PATIENCE_MS 5000
#define LOOK_EVERY_MS 500
#define REASON_MAX 256

/* ---- the end ---- */

static void reap_all(void) {
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
}

static void kill_descendants(void) {
    int64_t until = clock_boot_ms() + KILL_PATIENCE_MS;
    while (!deadman_tree_empty() && clock_boot_ms() < until) {
        deadman_tree_kill(NULL);
        poll(NULL, 0, 2);
        reap_all();
    }
}

/* Set before anything is killed: what then fails is no news, and nothing more is done. */
static atomic_bool ending;

/* Waits in a thread of its own for the agent's death or word, so that the work itself may block. */
static void *watch(void *context) {
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = *(const int *)context, .events = POLLIN}};
    char nothing[64];
    for (bool over = false; !over;) {
        if (poll(fds, 2, -1) < 0) continue;
        bool heard = fds[0].revents != 0;
        over = fds[1].revents != 0 || (heard && read(STDIN_FILENO, nothing, sizeof nothing) <= 0);
    }
    ending = true;
    kill_descendants();
    kill(0, SIGKILL); /* the group: also what was started meanwhile, and this process */
    return NULL;
}

static bool begin(struct err *err) {
    static int word; /* the thread's for as long as the process lives */
    pthread_t thread;
    sigset_t ends;
    umask(077);
    signal(SIGPIPE, SIG_IGN); /* an agent that is gone is seen by the watch, which also cleans up */
    if (getpgrp() != getpid() && setpgid(0, 0) != 0) return err_sys(err, errno, "make a process group");
    if (!deadman_tree_adopt()) return err_sys(err, errno, "become subreaper");
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    word = signalfd(-1, &ends, SFD_CLOEXEC);
    if (word < 0) return err_sys(err, errno, "signalfd");
    int why = pthread_create(&thread, NULL, watch, &word);
    return why == 0 || err_sys(err, why, "start a thread");
}

/* ---- what it says ---- */

/* Takes `value`. */
static void say(const char *key, json_t *value) {
    JSON_AUTO *line = json_object();
    STRBUF text = {0};
    json_object_set_new(line, key, value);
    json_write(line, &text);
    strbuf_add(&text, "\n");
    for (size_t done = 0; done < text.len;) {
        ssize_t n = write(STDOUT_FILENO, text.at + done, text.len - done);
        if (n < 0 && errno != EINTR) return; /* nobody listens any more */
        if (n > 0) done += (size_t)n;
    }
}

void job_tell_progress(int64_t done_bytes, int64_t total_bytes) {
    json_t *numbers = json_object();
    json_object_set_new(numbers, "done", json_integer(done_bytes));
    json_object_set_new(numbers, "total", json_integer(total_bytes));
    say("progress", numbers);
}

/* ---- PostgreSQL's programs ---- */

/* The first complaint tells the cause; the last line often only tells of the cleaning up after it. */
static void reason_of(const struct proc *p, char to[REASON_MAX]) {
    for (const char *line = proc_output(p); *line;) {
        size_t len = strcspn(line, "\n");
        char text[REASON_MAX];
        snprintf(text, sizeof text, "%.*s", (int)(len < sizeof text ? len : sizeof text), line);
        if (strstr(text, "error: ") || strstr(text, "FATAL: ")) {
            str_copy(to, REASON_MAX, text);
            return;
        }
        line += len + (line[len] == '\n');
    }
    proc_last_line(p, to, REASON_MAX);
}

static void free_proc(struct proc **p) {
    proc_free(*p);
}

bool job_run(const struct job_child *child, const char *const *argv, job_look *look, void *context, struct err *err) {
    __attribute__((cleanup(free_proc))) struct proc *p = NULL;
    const struct proc_options options = {.argv = argv,
                                         .switch_user = child->spec.uid >= 0,
                                         .uid = (uid_t)child->spec.uid,
                                         .gid = (gid_t)child->spec.gid,
                                         .join_group = true,
                                         .death_signal = SIGKILL};
    if (!proc_spawn(&options, &p, err)) return false;
    while (proc_step(p, clock_boot_ms()) == PROC_RUNNING) {
        struct pollfd fds[2];
        if (look && !look(context, proc_output(p), err)) return false;
        poll(fds, proc_pollfds(p, fds), LOOK_EVERY_MS);
    }
    if (look && !look(context, proc_output(p), err)) return false;
    char reason[REASON_MAX] = "";
    if (proc_exit_code(p) == 0) return true;
    reason_of(p, reason);
    return err_set(err, ERR_EXTERNAL, "%s: %s (exit code %d)", argv[0], reason[0] ? reason : "no reason given", proc_exit_code(p));
}

/* ---- the whole ---- */

static bool read_spec(const char *path, struct job_child *child, struct err *err) {
    STRBUF text = {0};
    file_parent(child->state_dir, sizeof child->state_dir, path);
    return file_read(path, SPEC_MAX, &text, err) &&
           field_from_json(&job_spec_table, path, (struct bytes){text.at, text.len}, &child->spec, err);
}

static bool work(struct job_child *child, struct err *err) {
    switch ((enum job_kind)child->spec.kind) {
    case JOB_KIND_INITDB: return job_initdb(child, err);
    case JOB_KIND_COPY: return job_copy(child, err);
    case JOB_KIND_ATTACH: return job_attach(child, err);
    }
    return err_set(err, ERR_INTERNAL, "unknown kind of job");
}

static bool perform(const char *spec_file, struct job_child *child, struct err *err) {
    if (!begin(err) || !read_spec(spec_file, child, err)) return false;
    int64_t started_ms = clock_boot_ms();
    child->result.kind = child->spec.kind;
    str_copy(child->result.key, sizeof child->result.key, child->spec.key);
    bool done = work(child, err);
    while (ending) pause();
    kill_descendants();
    child->result.ok = done;
    child->result.seconds = (double)(clock_boot_ms() - started_ms) / 1000;
    return done;
}

int job_main(const char *spec_file) {
    static struct job_child child; /* large */
    struct err err = {0};
    if (perform(spec_file, &child, &err)) {
        say("result", field_to_json(&job_result_table, &child.result, false));
        return 0;
    }
    if (child.made_work_dir) job_undo(&child);
    say("error", json_text_safe(err.text));
    return 1;
}
