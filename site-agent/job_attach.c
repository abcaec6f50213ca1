/* The comparison that goes before attaching to an upstream (protocol 4.3), as PostgreSQL's user: it only reads, and
 * reads what a peer sends. */
#include "rt/clock.h"
#include "site-agent/job_child.h"
#include <errno.h>
#include <grp.h>
#include <unistd.h>

static bool drop_rights(const struct job_spec *spec, struct err *err) {
    gid_t gid = (gid_t)spec->gid;
    if (spec->uid < 0 || geteuid() != 0) return true;
    return (setgroups(1, &gid) == 0 && setgid(gid) == 0 && setuid((uid_t)spec->uid) == 0) || err_sys(err, errno, "switch user");
}

bool job_attach(struct job_child *child, struct err *err) {
    const struct job_spec *spec = &child->spec;
    struct job_result *r = &child->result;
    struct pg_attach_report report;
    if (!drop_rights(spec, err)) return false;
    if (!pg_attach_check(spec->data_dir, &spec->mine, spec->conninfo, &spec->upstream, clock_boot_ms() + spec->deadline_ms, &report, err)) return false;
    r->attach = (int)report.verdict;
    r->local_end = report.local_end;
    r->fork = report.fork;
    str_copy(r->reason, sizeof r->reason, report.reason);
    return true;
}
