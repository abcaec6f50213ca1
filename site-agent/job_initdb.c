/* Birth of a cluster: initdb beside the data directory. It is not moved into place here: the new identifier goes into
 * the store first (protocol 3.8), so the result says where the directory stands. */
#include "site-agent/job_child.h"
#include <inttypes.h>
#include <stdio.h>

#define ARGUMENTS_MAX 32

static size_t arguments(const struct job_spec *spec, const char *program, const char *argv[ARGUMENTS_MAX]) {
    static const char *const usual[] = {"--auth-local=peer", "--auth-host=reject", "--data-checksums", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"};
    size_t n = 0;
    argv[n++] = program;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) argv[n++] = usual[i];
    for (uint32_t i = 0; i < spec->topology_initdb_count; i++) argv[n++] = spec->topology_initdb[i]; /* the later one wins */
    argv[n++] = "-U";
    argv[n++] = "postgres";
    argv[n++] = "-D";
    argv[n++] = spec->work_dir;
    argv[n] = NULL;
    return n;
}
_Static_assert(sizeof((struct job_spec *)0)->topology_initdb / sizeof((struct job_spec *)0)->topology_initdb[0] + 12 < ARGUMENTS_MAX, "arguments fit");

/* Timeline 1 is named by the system identifier. */
static bool identify(struct job_child *child, struct err *err) {
    struct pg_control control;
    struct job_result *r = &child->result;
    if (!pg_control_read(child->spec.work_dir, &control, err)) return false;
    snprintf(r->system_id, sizeof r->system_id, "%" PRIu64, control.system_identifier);
    return pg_history_parse("", 1, control.system_identifier, &r->lineage, err);
}

bool job_initdb(struct job_child *child, struct err *err) {
    char program[300];
    const char *argv[ARGUMENTS_MAX];
    snprintf(program, sizeof program, "%s/initdb", child->spec.bin_dir);
    arguments(&child->spec, program, argv);
    if (!job_make_work_dir(child, err) || !job_run(child, argv, NULL, NULL, err)) return false;
    str_copy(child->result.work_dir, sizeof child->result.work_dir, child->spec.work_dir);
    return job_park(child, err) && identify(child, err) && job_keep_result(child, err);
}
