/* The child side of a job: what its kinds share. For job_*.c only. */
#ifndef AGENT_JOB_CHILD_H
#define AGENT_JOB_CHILD_H
#include "rt/proc.h"
#include "site-agent/job.h"

struct job_child {
    struct job_spec spec;
    struct job_result result; /* filled by the kind as it learns */
    char state_dir[256];
    bool made_work_dir; /* so that a failure may remove it */
};

/* One per kind: true when it is done and `result` is filled. */
bool job_initdb(struct job_child *child, struct err *err);
bool job_copy(struct job_child *child, struct err *err);
bool job_attach(struct job_child *child, struct err *err);

/* Looks at what a running program has said so far; false with an error ends the program. */
typedef bool job_look(void *context, const char *output, struct err *err);
/* Runs one of PostgreSQL's programs as PostgreSQL's user to its end. An exit code other than 0 is ERR_EXTERNAL with the
 * program's own reason. `look` (may be NULL) is called about twice a second. */
bool job_run(const struct job_child *child, const char *const *argv, job_look *look, void *context, struct err *err);
void job_tell_progress(int64_t done_bytes, int64_t total_bytes);

/* ---- the new directory (job_directory.c) ---- */
/* Refuses a data_dir onto which no directory can be renamed, before any work is done; then makes work_dir. */
bool job_make_work_dir(struct job_child *child, struct err *err);
/* A directory at rest is a standby (protocol 4.1): standby.signal, and nothing that would contradict it. */
bool job_park(const struct job_child *child, struct err *err);
/* The result into STATE_DIR/job.result: what was done is known also when nobody listens. */
bool job_keep_result(const struct job_child *child, struct err *err);
bool job_move_into_place(const struct job_child *child, struct err *err);
void job_undo(const struct job_child *child); /* what cannot be removed stays as a leftover for the agent */
#endif
