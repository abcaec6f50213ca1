/* A base backup of the source through a slot that is held already, beside the data directory; parked as a standby, its
 * history established, then moved into place. User tablespaces are not built yet: seen and refused. */
#include "rt/clock.h"
#include "site-agent/job_child.h"
#include "site-agent/pg/pg_wal_source.h"
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define IDENTIFY_MS 30000
/* While the source makes its checkpoint, and while our own disks sync, nothing flows and nothing is wrong. */
#define QUIET_PHASE_MS (60 * 60 * 1000)
#define TABLESPACES_REFUSED "the source has tablespaces of its own, which is not built yet; directories that pg_basebackup has made for them on this host are to be removed by hand"

/* ---- before ---- */

static bool right_cluster(const struct job_spec *spec, uint64_t theirs, struct err *err) {
    char id[24];
    snprintf(id, sizeof id, "%" PRIu64, theirs);
    if (!spec->expected_system_id[0] || str_eq(id, spec->expected_system_id)) return true;
    return err_set(err, ERR_REFUSED, "source: another cluster (system identifier %s, ours %s)", id, spec->expected_system_id);
}

static bool check_source(const struct job_spec *spec, struct err *err) {
    struct pg_wal_source source;
    if (!spec->slot[0]) return err_set(err, ERR_INVALID, "no slot is named: a copy without one may lose its WAL on the way");
    if (!pg_wal_source_identify(spec->conninfo, clock_boot_ms() + IDENTIFY_MS, &source, err)) return err_wrap(err, "source");
    return right_cluster(spec, source.system_identifier, err);
}

/* ---- pg_basebackup ---- */

struct progress {
    int64_t silence_ms, changed_boot_ms;
    size_t length; /* of the output when last looked at */
    int64_t done, total;
};

/* pg_basebackup -P: "   3089/23113 kB (13%), 0/1 tablespace (...)"; the newest such line. */
static bool newest_line(const char *output, int64_t *done, int64_t *total, int *tablespaces) {
    bool found = false;
    for (const char *line = output; *line; line += strcspn(line, "\n"), line += *line == '\n')
        found |= sscanf(line, " %" SCNd64 "/%" SCNd64 " kB (%*d%%), %*d/%d tablespace", done, total, tablespaces) == 3;
    return found;
}

static bool quiet_phase(const char *output) {
    size_t len = strlen(output);
    while (len && output[len - 1] == '\n') len--;
    while (len && output[len - 1] != '\n') len--;
    return strstr(output + len, "waiting for checkpoint") || strstr(output + len, "syncing data");
}

static bool look(void *context, const char *output, struct err *err) {
    struct progress *p = context;
    int64_t done = p->done, total = p->total, now_ms = clock_boot_ms();
    int tablespaces = 1;
    size_t length = strlen(output);
    bool moved = newest_line(output, &done, &total, &tablespaces) && (done * 1024 != p->done || total * 1024 != p->total);
    if (tablespaces > 1) return err_set(err, ERR_UNSUPPORTED, TABLESPACES_REFUSED);
    if (moved) {
        p->done = done * 1024;
        p->total = total * 1024;
        job_tell_progress(p->done, p->total);
    }
    if (moved || length != p->length) p->changed_boot_ms = now_ms;
    p->length = length;
    int64_t patience_ms = quiet_phase(output) && p->silence_ms < QUIET_PHASE_MS ? QUIET_PHASE_MS : p->silence_ms;
    if (p->silence_ms == 0 || now_ms - p->changed_boot_ms < patience_ms) return true;
    return err_set(err, ERR_TIMEOUT, "pg_basebackup: no progress for %" PRId64 " s at %" PRId64 " of %" PRId64 " bytes", patience_ms / 1000, p->done, p->total);
}

static bool run_basebackup(struct job_child *child, struct err *err) {
    const struct job_spec *spec = &child->spec;
    struct progress progress = {.silence_ms = spec->deadline_ms, .changed_boot_ms = clock_boot_ms()};
    char program[300];
    snprintf(program, sizeof program, "%s/pg_basebackup", spec->bin_dir);
    const char *const argv[] = {program, "-D", spec->work_dir, "-d", spec->conninfo, "-S", spec->slot, "-X", "stream",
                                "-c", "fast", "--no-password", "-P", "-v", NULL};
    bool done = job_run(child, argv, look, &progress, err);
    child->result.bytes = progress.done;
    return done;
}

/* ---- after ---- */

static void dir_cleanup(DIR **d) {
    if (*d) closedir(*d);
}

static bool check_no_tablespaces(const char *dir, struct err *err) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/pg_tblspc", dir);
    __attribute__((cleanup(dir_cleanup))) DIR *links = opendir(path);
    for (const struct dirent *e; links && (e = readdir(links));)
        if (e->d_name[0] != '.') return err_set(err, ERR_UNSUPPORTED, TABLESPACES_REFUSED);
    return true;
}

/* What WAL still proves about the history that was read from a file. */
static void add_fingerprints(const char *dir, const struct pg_control *control, struct lineage *l) {
    char wal_dir[PATH_MAX];
    snprintf(wal_dir, sizeof wal_dir, "%s/pg_wal", dir);
    for (uint32_t i = 0; i < l->count; i++) {
        struct lineage_entry *e = &l->entries[i];
        struct err gone; /* then it stays unknown */
        if (!e->fingerprint[0]) pg_lineage_fingerprint(wal_dir, control->wal_segment_size, e->timeline, e->begin, e->fingerprint, &gone);
    }
}

/* Inherited from the upstream when its list holds the copy's timeline, and nothing in the copy says otherwise. */
static bool establish_lineage(const struct job_spec *spec, const struct pg_control *control, struct lineage *out, struct err *err) {
    const struct lineage_entry *proved = lineage_find(&spec->upstream, control->timeline);
    struct err why = {0};
    bool read = pg_history_read(spec->work_dir, control->timeline, control->system_identifier, out, &why);
    if (!read && (why.code != ERR_NOT_FOUND || !proved)) return err_set(err, why.code, "%s", why.text);
    if (read) add_fingerprints(spec->work_dir, control, out);
    if (!proved) return true;
    const struct lineage_entry *other = read ? lineage_collision(&spec->upstream, out) : NULL;
    if (other) return err_set(err, ERR_REFUSED, "source: its timeline %" PRId64 " is not the one of that number in the upstream's history", other->timeline);
    *out = spec->upstream;
    out->count = (uint32_t)(proved - spec->upstream.entries) + 1;
    return true;
}

static bool examine(struct job_child *child, struct err *err) {
    const struct job_spec *spec = &child->spec;
    struct job_result *r = &child->result;
    struct pg_control control;
    if (!pg_control_read(spec->work_dir, &control, err) || !right_cluster(spec, control.system_identifier, err)) return false;
    snprintf(r->system_id, sizeof r->system_id, "%" PRIu64, control.system_identifier);
    str_copy(r->data_dir, sizeof r->data_dir, spec->data_dir);
    return check_no_tablespaces(spec->work_dir, err) && establish_lineage(spec, &control, &r->lineage, err);
}

bool job_copy(struct job_child *child, struct err *err) {
    return check_source(&child->spec, err) && job_make_work_dir(child, err) && run_basebackup(child, err) && examine(child, err) &&
           job_park(child, err) && job_keep_result(child, err) && job_move_into_place(child, err);
}
