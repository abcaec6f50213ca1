/* Long work: initdb, copy, comparison with the source. One job at a time; its result is taken by the tick after. */
#include "rt/clock.h"
#include "site-agent/agent.h"
#include <stdio.h>
#include <string.h>

#define JOB_BACK_OFF_FIRST_MS 1000
#define JOB_BACK_OFF_LAST_MS 60000
#define ATTACH_DEADLINE_MS 60000
#define COPY_SILENCE_MS 120000
#define ATTACH_RETRY_MS 2000
#define ATTACH_AGAIN_MS 30000 /* after a verdict against the directory: another member of the source may answer */

static void note_job_failure(struct agent *a, const char *why) {
    a->job_failed = true;
    a->job_back_off_ms = a->job_back_off_ms ? a->job_back_off_ms * 2 : JOB_BACK_OFF_FIRST_MS;
    if (a->job_back_off_ms > JOB_BACK_OFF_LAST_MS)
        a->job_back_off_ms = JOB_BACK_OFF_LAST_MS;
    a->job_retry_ms = clock_boot_ms() + a->job_back_off_ms;
    str_copy(a->job_note, sizeof a->job_note, why);
    log_error("job failed", F_STR("reason", why), F_INT("next_try_ms", a->job_back_off_ms));
}

static void spec_common(const struct agent *a, struct job_spec *spec) {
    str_copy(spec->bin_dir, sizeof spec->bin_dir, a->config.postgresql.bin_dir);
    str_copy(spec->data_dir, sizeof spec->data_dir, a->member->postgresql.data_dir);
    snprintf(spec->work_dir, sizeof spec->work_dir, "%s.pgregent-new", a->member->postgresql.data_dir);
    spec->uid = a->config.uid;
    spec->gid = a->config.gid;
}

static void start_job(struct agent *a, enum step step) {
    LARGE_LOCAL struct job_spec spec;
    LARGE_LOCAL struct upstream up;
    memset(&spec, 0, sizeof spec);
    upstream_of(a, &up);
    spec_common(a, &spec);
    spec.mine = a->state.lineage;
    spec.upstream = up.lineage;
    str_copy(spec.conninfo, sizeof spec.conninfo, up.conninfo);
    str_copy(spec.slot, sizeof spec.slot, up.slot);
    str_copy(spec.expected_system_id, sizeof spec.expected_system_id, a->records.system_id);
    if (step == STEP_INITDB) {
        spec.kind = JOB_KIND_INITDB;
        str_copy(spec.key, sizeof spec.key, a->records.order_hash);
    } else if (step == STEP_COPY) {
        spec.kind = JOB_KIND_COPY;
        spec.deadline_ms = COPY_SILENCE_MS;
        str_copy(spec.key, sizeof spec.key, up.target_key);
    } else {
        spec.kind = JOB_KIND_ATTACH;
        spec.deadline_ms = ATTACH_DEADLINE_MS;
        str_copy(spec.key, sizeof spec.key, up.key);
        a->attachment.begun_lives = a->server.lives;
    }
    struct err err = {0};
    if (!job_start(a->self, a->config.state_dir, &spec, &a->job, &err))
        note_job_failure(a, err.text);
}

void act_job(struct agent *a, enum step step) {
    struct err err = {0};
    bool left = false;
    if (step == STEP_CANCEL_JOB && a->job) {
        log_warning("job cancelled");
        job_free(a->job);
        a->job = NULL;
    } else if (step == STEP_CLEAN_COPY) {
        if (!job_clean_leftovers(a->config.state_dir, &left, &err))
            agent_log_step(a, "remove the unfinished copy", &err);
    } else if (!a->job && !a->initdb_ready) {
        start_job(a, step);
    }
}

/* ---- results ---- */

static int attach_word(int verdict) {
    switch ((enum pg_attach_verdict)verdict) {
    case PG_ATTACH_OK: return ATTACH_OK;
    case PG_ATTACH_AHEAD: return ATTACH_AHEAD;
    case PG_ATTACH_REWIND: return ATTACH_REWIND;
    case PG_ATTACH_RECLONE: return ATTACH_RECLONE;
    }
    return ATTACH_FAILED;
}

static void take_attach(struct agent *a, const struct job_result *r) {
    struct attachment *at = &a->attachment;
    str_copy(at->key, sizeof at->key, r->key);
    at->lives = at->begun_lives; /* what has ended meanwhile may have left another directory: then this proves nothing */
    at->verdict = r->ok ? attach_word(r->attach) : ATTACH_FAILED;
    bool apart = at->verdict == ATTACH_REWIND || at->verdict == ATTACH_RECLONE;
    at->retry_boot_ms = clock_boot_ms() + (apart ? ATTACH_AGAIN_MS : ATTACH_RETRY_MS);
    str_copy(at->reason, sizeof at->reason, r->ok ? r->reason : r->error);
    log_info("compared with the source", F_STR("verdict", r->ok ? pg_attach_verdict_name((enum pg_attach_verdict)r->attach) : "failed"), F_STR("reason", at->reason));
}

bool job_keep_lineage(struct agent *a, const struct lineage *lineage, bool data_is_there) {
    struct err err = {0};
    a->state.lineage = *lineage;
    a->state.data_expected |= data_is_there;
    if (state_save(a->config.state_dir, &a->state, &err))
        return true;
    agent_log_step(a, "keep the directory's lineage", &err);
    return false;
}

static void take_copy(struct agent *a, const struct job_result *r) {
    struct upstream *up = rt_alloc(sizeof *up);
    job_keep_lineage(a, &r->lineage, true);
    upstream_of(a, up);
    str_copy(a->attachment.key, sizeof a->attachment.key, up->key); /* a copy of it is part of its history */
    a->attachment.lives = a->server.lives;
    a->attachment.verdict = ATTACH_OK;
    log_info("copied", F_INT("bytes", r->bytes), F_INT("ms", (int64_t)(r->seconds * 1000)));
    rt_free(up);
}

void job_take_result(struct agent *a) {
    struct job_result *r = &a->job_result;
    if (!a->job || !job_step(a->job, clock_boot_ms(), r))
        return;
    enum job_kind kind = job_kind(a->job);
    job_free(a->job);
    a->job = NULL;
    if (kind == JOB_KIND_ATTACH) {
        take_attach(a, r);
        return;
    }
    if (!r->ok) {
        note_job_failure(a, r->error);
        return;
    }
    a->job_failed = false;
    a->job_back_off_ms = 0;
    if (kind == JOB_KIND_COPY)
        take_copy(a, r);
    else
        a->initdb_ready = true;
}

/* initdb has made a directory: its identifier goes into the store first, then the directory to its place (3.8). */
void initdb_adopt(struct agent *a) {
    const struct job_result *r = &a->job_result;
    char work_dir[512];
    struct err err = {0};
    bool left = false;
    if (!a->initdb_ready || !lease_valid(&a->lease, clock_boot_ms()) || a->swap_pending)
        return;
    if (!str_eq(a->records.system_id, r->system_id)) {
        swap_system_id(a, r->system_id);
        return;
    }
    snprintf(work_dir, sizeof work_dir, "%s.pgregent-new", a->member->postgresql.data_dir);
    if (!job_keep_lineage(a, &r->lineage, false))
        return;
    if (!file_rename(work_dir, a->member->postgresql.data_dir, &err) || !job_clean_leftovers(a->config.state_dir, &left, &err))
        agent_log_step(a, "move the new directory to its place", &err);
    a->initdb_ready = file_exists(work_dir);
    if (!a->initdb_ready)
        job_keep_lineage(a, &r->lineage, true);
}
