/* The directory that initdb and copy make: beside the data directory until it is whole, parked as a standby, then moved
 * into place by one rename. Runs in the child, with the agent's rights. */
#include "rt/file.h"
#include "site-agent/job_child.h"
#include "site-agent/pg/pg_config.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOUNT_CURE "a directory cannot be renamed onto a mount point; let data_dir be a subdirectory of it"

static uid_t owner(const struct job_child *child) { return child->spec.uid >= 0 ? (uid_t)child->spec.uid : (uid_t)-1; }
static gid_t group(const struct job_child *child) { return child->spec.gid >= 0 ? (gid_t)child->spec.gid : (gid_t)-1; }

/* Said before hours of copying instead of after them; the rename itself checks again. */
static bool check_target(const char *data_dir, struct err *err) {
    struct stat st, above;
    char parent[PATH_MAX];
    if (lstat(data_dir, &st) != 0) return errno == ENOENT || err_sys(err, errno, "%s: stat", data_dir);
    if (S_ISLNK(st.st_mode)) return err_set(err, ERR_REFUSED, "%s: is a symbolic link; name the directory that it leads to as data_dir", data_dir);
    if (!S_ISDIR(st.st_mode)) return err_set(err, ERR_REFUSED, "%s: is not a directory", data_dir);
    file_parent(parent, sizeof parent, data_dir);
    if (stat(parent, &above) == 0 && above.st_dev != st.st_dev) return err_set(err, ERR_REFUSED, "%s: " MOUNT_CURE, data_dir);
    if (!file_dir_is_empty(data_dir)) return err_set(err, ERR_REFUSED, "%s: is not empty; nothing is put in its place", data_dir);
    return true;
}

bool job_make_work_dir(struct job_child *child, struct err *err) {
    const char *dir = child->spec.work_dir;
    struct stat st;
    if (!check_target(child->spec.data_dir, err)) return false;
    if (lstat(dir, &st) == 0) return err_set(err, ERR_REFUSED, "%s: is there already; remains of an earlier job must be removed first", dir);
    if (!file_mkdirs_as(dir, 0700, owner(child), group(child), err)) return false;
    child->made_work_dir = true;
    return true;
}

static bool remove_from(const char *dir, const char *name, struct err *err) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return (unlink(path) == 0 || errno == ENOENT) || err_sys(err, errno, "%s: remove", path);
}

bool job_park(const struct job_child *child, struct err *err) {
    static const char *const strangers[] = {"recovery.signal", "postmaster.opts", "postmaster.pid"}; /* of the source */
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        if (!remove_from(child->spec.work_dir, strangers[i], err)) return false;
    if (!pg_config_strip_auto(child->spec.work_dir, err)) return false;
    snprintf(path, sizeof path, "%s/standby.signal", child->spec.work_dir);
    return file_write_as(path, "", 0, 0600, owner(child), group(child), err); /* with the directory's fsync */
}

bool job_keep_result(const struct job_child *child, struct err *err) {
    char path[PATH_MAX];
    struct job_result result = child->result;
    STRBUF text = {0};
    result.ok = true;
    field_to_text(&job_result_table, &result, &text);
    snprintf(path, sizeof path, "%s/job.result", child->state_dir);
    return file_write(path, text.at, text.len, 0600, err);
}

bool job_move_into_place(const struct job_child *child, struct err *err) {
    const char *from = child->spec.work_dir, *to = child->spec.data_dir;
    char parent[PATH_MAX];
    file_parent(parent, sizeof parent, to);
    if (rename(from, to) == 0) return file_sync_dir(parent, err);
    if (errno == EBUSY) return err_set(err, ERR_REFUSED, "%s: " MOUNT_CURE, to);
    if (errno == ENOTEMPTY || errno == EEXIST) return err_set(err, ERR_REFUSED, "%s: is not empty any more; nothing is put in its place", to);
    return err_sys(err, errno, "%s: rename to %s", from, to);
}

void job_undo(const struct job_child *child) {
    char path[PATH_MAX];
    struct err err;
    snprintf(path, sizeof path, "%s/job.result", child->state_dir);
    if (file_remove(path, &err)) file_remove_tree(child->spec.work_dir, &err);
}
