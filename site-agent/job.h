/* Long work as a child process of its own: `pgregent-agent job SPEC-FILE`, which may block, runs pg_basebackup and the
 * like, and ends with everything below it when the agent dies (it holds its standard input: EOF means kill and exit).
 * It speaks JSON lines on stdout: {"progress": {"done": n, "total": n}} and at the end {"result": {...}} or
 * {"error": "..."}. Agent side and child side share these structs. */
#ifndef AGENT_JOB_H
#define AGENT_JOB_H
#include "rt/err.h"
#include "rt/field.h"
#include "site-agent/pg/pg_wal.h"
#include <poll.h>

#define JOB_KINDS(X) X(JOB_KIND_INITDB, "initdb") X(JOB_KIND_COPY, "copy") X(JOB_KIND_ATTACH, "attach")
enum job_kind {
#define X(symbol, name) symbol,
    JOB_KINDS(X)
#undef X
};

/* What is to be done; a file in the state directory, so that leftovers of a killed job can be told and removed. */
struct job_spec {
    int kind;
    char key[128];            /* the caller's mark of what this serves (order hash, lineage): comes back in the result */
    char bin_dir[256], data_dir[256];
    char work_dir[280];       /* initdb, copy: beside data_dir ("DATA_DIR.pgregent-new"), renamed onto it at the end */
    int64_t uid, gid;         /* PostgreSQL's user; -1: do not switch */
    char conninfo[2048];      /* copy, attach: the source */
    char slot[64];            /* copy: held beforehand; also its application_name in conninfo */
    char expected_system_id[24]; /* copy: refuse a source with another one; "": any */
    struct lineage mine, upstream; /* attach: both; copy: upstream's, inherited when proved */
    char topology_initdb[8][128]; /* initdb: further arguments */
    uint32_t topology_initdb_count;
    int64_t deadline_ms;      /* attach: for the whole check; copy: without progress */
};
extern const struct fields job_spec_table;

struct job_result {
    bool ok;
    char error[512];
    char key[128];
    int kind;
    char data_dir[256];      /* copy: where the new directory stands */
    char work_dir[256];      /* initdb: where it stands until the caller renames it (protocol 3.8) */
    char system_id[24];
    struct lineage lineage;  /* of the new directory */
    int attach;              /* enum pg_attach_verdict */
    lsn_t local_end, fork;
    char reason[512];
    int64_t bytes;
    double seconds;
};
extern const struct fields job_result_table;

/* ---- agent side ---- */
struct job;
/* Writes the spec to STATE_DIR/job.json, starts `self` (path of this binary) with it. ERR_CONFLICT while there are
 * leftovers; ERR_INVALID when work_dir is not a name beside data_dir. */
bool job_start(const char *self, const char *state_dir, const struct job_spec *spec, struct job **out, struct err *err);
size_t job_pollfds(const struct job *j, struct pollfd *fds); /* up to two */
/* True when it has ended: then the result is filled. */
bool job_step(struct job *j, int64_t now_boot_ms, struct job_result *result);
enum job_kind job_kind(const struct job *j);
const char *job_key(const struct job *j);
void job_progress(const struct job *j, int64_t *done_bytes, int64_t *total_bytes); /* -1: unknown */
void job_free(struct job *j); /* kills it and all below it */
/* Leftovers of an earlier life: kills a job whose group still runs (recorded pgid and start time), removes its
 * work_dir and job.json. True in *left while something could not be removed. */
bool job_clean_leftovers(const char *state_dir, bool *left, struct err *err);
bool job_leftovers(const char *state_dir); /* there is something to clean and no job of ours runs */
/* The newest initdb or copy that was finished, as long as its directory stands where the result says: for an agent that
 * died before it took (and stored) the result. An initdb is to be adopted instead of cleaned; a copy's lineage holds for
 * an agent that knows none of its own, since the file stays until the next initdb or copy. */
bool job_last_result(const char *state_dir, struct job_result *out);

/* ---- child side: main of `pgregent-agent job SPEC-FILE`; returns the exit code ---- */
int job_main(const char *spec_file);
#endif
