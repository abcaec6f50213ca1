/* What stands in STATE_DIR/job.json and job.result, and in the result line of a job. */
#include "site-agent/job.h"
#include "wire/lineage_field.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
#define X(symbol, name) name,
    JOB_KINDS(X)
#undef X
    NULL};
/* In the order of enum pg_attach_verdict. */
static const char *const verdict_names[] = {"ok", "ahead", "rewind", "reclone", NULL};

static bool seconds_parse(const char *text, void *out, struct err *err) {
    char *rest;
    double seconds = strtod(text, &rest);
    if (rest == text || *rest || !(seconds >= 0)) return err_set(err, ERR_INVALID, "a number of seconds");
    memcpy(out, &seconds, sizeof seconds);
    return true;
}

static void seconds_format(const void *in, char *to, size_t size) {
    double seconds;
    memcpy(&seconds, in, sizeof seconds);
    snprintf(to, size, "%.3f", seconds);
}

static const struct field_codec field_seconds = {
    .parse = seconds_parse, .format = seconds_format, .as_number = true, .wants = "a number of seconds"};

static const struct field spec_fields[] = {
    FIELD_CHOICE(struct job_spec, kind, kind_names, FIELD_REQUIRED, "what is to be done"),
    FIELD_TEXT(struct job_spec, key, 0, "the caller's mark of what this serves"),
    FIELD_TEXT(struct job_spec, bin_dir, 0, "directory of PostgreSQL's programs"),
    FIELD_TEXT(struct job_spec, data_dir, FIELD_REQUIRED, "data directory"),
    FIELD_TEXT(struct job_spec, work_dir, 0, "where the new directory grows, beside data_dir"),
    FIELD_INT64(struct job_spec, uid, "-1", -1, UINT32_MAX, 0, "PostgreSQL's user; -1: do not switch"),
    FIELD_INT64(struct job_spec, gid, "-1", -1, UINT32_MAX, 0, "its group"),
    FIELD_TEXT(struct job_spec, conninfo, 0, "the source"),
    FIELD_TEXT(struct job_spec, slot, 0, "slot that holds the WAL"),
    FIELD_TEXT(struct job_spec, expected_system_id, 0, "refuse a source with another one"),
    FIELD_LINEAGE(struct job_spec, mine, 0, "attach: timelines of the local directory"),
    FIELD_LINEAGE(struct job_spec, upstream, 0, "timelines of the source"),
    FIELD_TEXTS(struct job_spec, topology_initdb, topology_initdb_count, 0, "further arguments of initdb"),
    FIELD_INT64(struct job_spec, deadline_ms, "0", 0, INT64_MAX / 4, 0, "attach: for all; copy: without progress"),
    FIELD_END};
const struct fields job_spec_table = FIELDS("job", struct job_spec, spec_fields);

static const struct field result_fields[] = {
    FIELD_BOOL(struct job_result, ok, NULL, 0, "it was done"),
    FIELD_TEXT(struct job_result, error, FIELD_NULL_EMPTY, "why not"),
    FIELD_TEXT(struct job_result, key, 0, "the caller's mark"),
    FIELD_CHOICE(struct job_result, kind, kind_names, 0, "what was done"),
    FIELD_TEXT(struct job_result, data_dir, FIELD_NULL_EMPTY, "copy: where the new directory stands"),
    FIELD_TEXT(struct job_result, work_dir, FIELD_NULL_EMPTY, "initdb: where it stands until it is renamed"),
    FIELD_TEXT(struct job_result, system_id, FIELD_NULL_EMPTY, "its system identifier"),
    FIELD_LINEAGE(struct job_result, lineage, 0, "its timelines"),
    FIELD_CHOICE(struct job_result, attach, verdict_names, 0, "attach: the verdict"),
    FIELD_CUSTOM(struct job_result, local_end, &field_lsn, NULL, FIELD_NULL_EMPTY, "attach: end of local WAL"),
    FIELD_CUSTOM(struct job_result, fork, &field_lsn, NULL, FIELD_NULL_EMPTY, "attach: where the histories part"),
    FIELD_TEXT(struct job_result, reason, FIELD_NULL_EMPTY, "attach: why"),
    FIELD_INT64(struct job_result, bytes, NULL, 0, INT64_MAX, 0, "copied"),
    FIELD_CUSTOM(struct job_result, seconds, &field_seconds, NULL, 0, "how long it took"),
    FIELD_END};
const struct fields job_result_table = FIELDS("job result", struct job_result, result_fields);
