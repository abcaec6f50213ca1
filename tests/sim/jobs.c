/* job.h: long work as a process of its own, that ends when the agent does, and leaves behind what a real one leaves: a spec and a
 * mark in the state directory, an unfinished directory beside the data directory, the result of the newest that was finished.
 * Comparing is production code over attach.c; initdb and copying are the model's. */
#include "tests/sim/jobs.h"
#include "rt/clock.h"
#include "rt/file.h"
#include "site-agent/job.h"
#include "site-agent/pg/pg_wal_source.h"
#include "tests/sim/files.h"
#include "tests/sim/network.h"
#include "tests/sim/pg_files.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FORK_MIN (20 * MS) /* until a child of ours is at its work */
#define FORK_MAX (150 * MS)
#define INITDB_MIN (2 * SECOND)
#define INITDB_MAX (5 * SECOND)
#define IDENTIFY_MS 30000
#define COPY_LOOK (5 * SECOND)
#define SYSTEM_ID_FIRST 7000000000000000000u
#define SYSTEM_ID_RANGE 1000000000000000u

struct job {
    struct host *host;
    struct process *child;
    struct job_spec spec;
    struct job_result result;
    char state_dir[256];
    bool over, taken;       /* the child has said its last word; the agent has heard it */
    struct copy *copy;      /* NULL: none is under way */
    bool copy_over, copied;
    struct err refused;     /* why a copy that was made is none of ours */
};
static struct job *running[HOSTS_MAX];

/* ---- files ---- */

struct path {
    char text[400];
};
static struct path in(const char *dir, const char *name) {
    struct path p;
    snprintf(p.text, sizeof p.text, "%s/%s", dir, name);
    return p;
}
#define SPEC "job.json"
#define MARK "job.pid"
#define RESULT "job.result"
#define BEGUN "PG_VERSION" /* the first file of a directory that grows */

static void forget(struct host *h, const char *state_dir) {
    files_remove_tree(h, in(state_dir, SPEC).text);
    files_remove_tree(h, in(state_dir, MARK).text);
}

static bool read_struct(const char *path, void *to, size_t size, struct err *err) {
    STRBUF text = {0};
    if (!file_read(path, size, &text, err))
        return false;
    if (text.len != size)
        return err_set(err, ERR_INVALID, "%s: damaged", path);
    memcpy(to, text.at, size);
    return true;
}

/* ---- the child: one function a kind ---- */

static bool make_work_dir(struct job *j, struct err *err) {
    const char *dir = j->spec.work_dir;
    if (!file_dir_is_empty(j->spec.data_dir))
        return err_set(err, ERR_REFUSED, "%s: is not empty; nothing is put in its place", j->spec.data_dir);
    if (files_exist(j->host, dir))
        return err_set(err, ERR_REFUSED, "%s: is there already; remains of an earlier job must be removed first", dir);
    if (j->host->disk_full)
        return err_set(err, ERR_IO, "%s: no space left on device", dir);
    files_put(j->host, in(dir, BEGUN).text, "15\n", 3);
    return true;
}

static void keep_result(struct job *j) {
    struct job_result kept = j->result;
    kept.ok = true;
    files_put(j->host, in(j->state_dir, RESULT).text, &kept, sizeof kept);
}

static bool run_initdb(struct job *j, struct err *err) {
    struct dice d;
    struct job_result *r = &j->result;
    if (!make_work_dir(j, err))
        return false;
    dice_open(&d, "initdb", j->child->pid);
    process_block(dice_between(&d, INITDB_MIN, INITDB_MAX));
    if (j->host->disk_full)
        return err_set(err, ERR_EXTERNAL, "initdb: could not write: no space left on device");
    uint64_t id = SYSTEM_ID_FIRST + dice_next(&d) % SYSTEM_ID_RANGE;
    files_put(j->host, in(j->spec.work_dir, FILES_SYSTEM_ID).text, &id, sizeof id);
    snprintf(r->system_id, sizeof r->system_id, "%" PRIu64, id);
    str_copy(r->work_dir, sizeof r->work_dir, j->spec.work_dir);
    r->lineage = (struct lineage){.count = 1, .entries = {{.timeline = 1}}};
    snprintf(r->lineage.entries[0].fingerprint, sizeof r->lineage.entries[0].fingerprint, "initdb:%" PRIu64, id);
    keep_result(j);
    return true;
}

static bool right_cluster(const struct job *j, uint64_t theirs, struct err *err) {
    char id[24];
    snprintf(id, sizeof id, "%" PRIu64, theirs);
    return !j->spec.expected_system_id[0] || str_eq(id, j->spec.expected_system_id) || err_set(err, ERR_REFUSED, "source: another cluster (system identifier %s)", id);
}

static void add_fingerprints(const struct job *j, struct lineage *l) {
    STRBUF wal_dir = {0};
    strbuf_addf(&wal_dir, "%s/pg_wal", j->spec.data_dir);
    for (uint32_t i = 0; i < l->count; i++)
        if (!l->entries[i].fingerprint[0])
            pg_lineage_fingerprint(wal_dir.at, 0, l->entries[i].timeline, l->entries[i].begin, l->entries[i].fingerprint, NULL);
}

/* Inherited from the upstream when its list holds the copy's timeline, and nothing in the copy says otherwise. */
static bool establish_lineage(const struct job *j, const struct pg_control *control, struct lineage *out, struct err *err) {
    const struct lineage *upstream = &j->spec.upstream;
    const struct lineage_entry *proved = lineage_find(upstream, control->timeline);
    if (!pg_history_read(j->spec.data_dir, control->timeline, control->system_identifier, out, err))
        return false;
    add_fingerprints(j, out);
    if (!proved)
        return true;
    const struct lineage_entry *other = lineage_collision(upstream, out);
    if (other)
        return err_set(err, ERR_REFUSED, "source: its timeline %" PRId64 " is not the one of that number in the upstream's history", other->timeline);
    *out = *upstream;
    out->count = (uint32_t)(proved - upstream->entries) + 1;
    return true;
}

/* The model has put the copy into its place: what the job does with it before that is done now, in one moment. */
static bool examine(struct job *j, struct err *err) {
    struct pg_control control;
    struct job_result *r = &j->result;
    if (!pg_control_read(j->spec.data_dir, &control, err) || !right_cluster(j, control.system_identifier, err) || !establish_lineage(j, &control, &r->lineage, err))
        return false;
    snprintf(r->system_id, sizeof r->system_id, "%" PRIu64, control.system_identifier);
    str_copy(r->data_dir, sizeof r->data_dir, j->spec.data_dir);
    keep_result(j);
    files_remove_tree(j->host, j->spec.work_dir);
    return true;
}

static void on_copied(void *job, int64_t ok) {
    struct job *j = job;
    struct host *before = host_act_as(j->host);
    j->copied = ok && examine(j, &j->refused);
    if (ok && !j->copied)
        j->host->postgres->directory = DIRECTORY_ABSENT; /* it is never moved into place */
    j->copy_over = true;
    j->copy = NULL;
    host_act_as(before);
    process_wake(j->child);
}

static struct host *answering_host(const char *conninfo) {
    struct host *h;
    for (int i = 0; (h = conninfo_host(conninfo, i)); i++)
        if (network_passes(host_self(), h, PORT_REPLICATION) && network_passes(h, host_self(), PORT_REPLICATION) && postgres_answers(h->postgres))
            return h;
    return NULL;
}

static bool run_copy(struct job *j, struct err *err) {
    struct pg_wal_source source;
    if (!j->spec.slot[0])
        return err_set(err, ERR_INVALID, "no slot is named: a copy without one may lose its WAL on the way");
    if (!pg_wal_source_identify(j->spec.conninfo, clock_boot_ms() + IDENTIFY_MS, &source, err))
        return err_wrap(err, "source");
    if (!right_cluster(j, source.system_identifier, err) || !make_work_dir(j, err))
        return false;
    struct host *from = answering_host(j->spec.conninfo);
    if (!from)
        return err_set(err, ERR_EXTERNAL, "pg_basebackup: no host of the source answers");
    j->copy = postgres_copy_start(j->host->postgres, from->postgres, j->spec.slot, on_copied, j);
    while (!j->copy_over)
        process_wait(sim_now + COPY_LOOK);
    if (!j->copied && j->refused.code)
        return err_set(err, j->refused.code, "%s", j->refused.text);
    return j->copied || err_set(err, ERR_EXTERNAL, "pg_basebackup: failed");
}

static bool run_attach(struct job *j, struct err *err) {
    const struct job_spec *spec = &j->spec;
    struct pg_attach_report report;
    if (!pg_attach_check(spec->data_dir, &spec->mine, spec->conninfo, &spec->upstream, clock_boot_ms() + spec->deadline_ms, &report, err))
        return false;
    j->result.attach = (int)report.verdict;
    j->result.local_end = report.local_end;
    j->result.fork = report.fork;
    str_copy(j->result.reason, sizeof j->result.reason, report.reason);
    return true;
}

static bool work(struct job *j, struct err *err) {
    switch ((enum job_kind)j->spec.kind) {
    case JOB_KIND_INITDB: return run_initdb(j, err);
    case JOB_KIND_COPY: return run_copy(j, err);
    case JOB_KIND_ATTACH: return run_attach(j, err);
    }
    return false;
}

static void undo(struct job *j) {
    if (j->spec.kind == JOB_KIND_ATTACH)
        return;
    files_remove_tree(j->host, in(j->state_dir, RESULT).text);
    files_remove_tree(j->host, j->spec.work_dir);
}

static void child_main(struct process *self, void *job) {
    struct job *j = job;
    struct dice d;
    struct err err = {0};
    dice_open(&d, "job", self->pid);
    process_block(dice_between(&d, FORK_MIN, FORK_MAX));
    int64_t began_ms = clock_boot_ms();
    j->result.kind = j->spec.kind;
    str_copy(j->result.key, sizeof j->result.key, j->spec.key);
    j->result.ok = work(j, &err);
    j->result.seconds = (double)(clock_boot_ms() - began_ms) / 1000;
    if (!j->result.ok) {
        undo(j);
        str_copy(j->result.error, sizeof j->result.error, err.text);
    }
    sim_say(self->name, "is done: %s", j->result.ok ? j->spec.kind == JOB_KIND_ATTACH ? j->result.reason : "fine" : j->result.error);
    j->over = true;
    process_wake(j->host->agent);
}

/* ---- its end from outside ---- */

static void kill_child(struct job *j) {
    if (running[j->host->index] == j)
        running[j->host->index] = NULL;
    if (j->copy)
        postgres_copy_cancel(j->copy);
    j->copy = NULL;
    process_kill(j->child);
}

void jobs_agent_ended(const struct host *h) {
    if (running[h->index])
        kill_child(running[h->index]);
}

/* ---- the agent's side ---- */

static const char *const kind_names[] = {
#define X(symbol, name) name,
    JOB_KINDS(X)
#undef X
};

static bool write_spec(const char *state_dir, const struct job_spec *spec, struct err *err) {
    struct host *h = host_self();
    if (h->disk_full)
        return err_set(err, ERR_IO, "%s/" SPEC ": no space left on device", state_dir);
    if (spec->kind == JOB_KIND_ATTACH) { /* need not outlive the machine's fall */
        files_put(h, in(state_dir, SPEC).text, spec, sizeof *spec);
        return true;
    }
    files_remove_tree(h, in(state_dir, RESULT).text);
    return file_write(in(state_dir, SPEC).text, spec, sizeof *spec, 0600, err);
}

bool job_start(const char *self, const char *state_dir, const struct job_spec *spec, struct job **out, struct err *err) {
    struct host *h = host_self();
    char name[48];
    (void)self;
    if (job_leftovers(state_dir))
        return err_set(err, ERR_CONFLICT, "job: remains of an earlier one must be removed first");
    if (!write_spec(state_dir, spec, err))
        return err_wrap(err, "job");
    process_point("before a job is started");
    struct job *j = rt_alloc(sizeof *j);
    j->host = h;
    j->spec = *spec;
    str_copy(j->state_dir, sizeof j->state_dir, state_dir);
    files_put(h, in(state_dir, MARK).text, "mark", 4);
    snprintf(name, sizeof name, "%s of %s", kind_names[spec->kind], h->name);
    j->child = process_start(h, name, child_main, j);
    running[h->index] = j;
    count(kind_names[spec->kind]);
    process_point("after a job was started");
    *out = j;
    return true;
}

/* Its end wakes the agent. */
size_t job_pollfds(const struct job *j, struct pollfd *fds) {
    (void)j;
    (void)fds;
    return 0;
}

bool job_step(struct job *j, int64_t now_boot_ms, struct job_result *result) {
    (void)now_boot_ms;
    if (!j->over)
        return false;
    running[j->host->index] = NULL;
    j->taken = true;
    *result = j->result;
    if (j->spec.kind == JOB_KIND_ATTACH || !files_exist(j->host, j->spec.work_dir))
        forget(j->host, j->state_dir);
    process_point("after a job's result was taken");
    return true;
}

enum job_kind job_kind(const struct job *j) { return (enum job_kind)j->spec.kind; }
const char *job_key(const struct job *j) { return j->spec.key; }

void job_progress(const struct job *j, int64_t *done_bytes, int64_t *total_bytes) {
    (void)j;
    *done_bytes = *total_bytes = -1;
}

void job_free(struct job *j) {
    if (!j || j->taken)
        return;
    kill_child(j);
    if (j->spec.kind == JOB_KIND_ATTACH)
        forget(j->host, j->state_dir);
}

/* ---- leftovers ---- */

bool job_leftovers(const char *state_dir) {
    return files_exist(host_self(), in(state_dir, SPEC).text) || files_exist(host_self(), in(state_dir, MARK).text);
}

/* Jobs of an agent that is no more have ended with it. */
bool job_clean_leftovers(const char *state_dir, bool *left, struct err *err) {
    struct host *h = host_self();
    RT_AUTO struct job_spec *spec = rt_alloc(sizeof *spec);
    *left = true;
    process_point("before remains of a job are removed");
    if (files_exist(h, in(state_dir, SPEC).text)) {
        if (!read_struct(in(state_dir, SPEC).text, spec, sizeof *spec, err))
            return err_wrap(err, "remains of a job");
        if (spec->kind != JOB_KIND_ATTACH && files_exist(h, spec->work_dir)) {
            files_remove_tree(h, in(state_dir, RESULT).text);
            process_point("between the result of a job and its directory");
            files_remove_tree(h, spec->work_dir);
        }
    }
    forget(h, state_dir);
    process_point("after remains of a job were removed");
    *left = false;
    return true;
}

bool job_last_result(const char *state_dir, struct job_result *out) {
    struct pg_control control;
    struct err err = {0};
    char id[24];
    if (!read_struct(in(state_dir, RESULT).text, out, sizeof *out, &err))
        return false;
    if (!pg_control_read(out->work_dir[0] ? out->work_dir : out->data_dir, &control, &err))
        return false;
    snprintf(id, sizeof id, "%" PRIu64, control.system_identifier);
    return str_eq(id, out->system_id);
}
