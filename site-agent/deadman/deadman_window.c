/* Opens, watches and closes the windows without standby.signal. Reads and writes the data directory's signal files and
 * the state directory's record and mark; knows nothing of processes but whether one works in the directory. */
#include "deadman_window.h"
#include "deadman_tree.h"
#include "site-agent/pg/pg_control.h"
#include "rt/clock.h"
#include "rt/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STANDBY_SIGNAL "standby.signal"
#define RECOVERY_SIGNAL "recovery.signal"
#define CONTROL "global/pg_control"

static void state_path(const struct deadman_window *w, const char *name, char *to, size_t size) {
    snprintf(to, size, "%s/%s", w->state_dir, name);
}

static bool has_file(const struct deadman_window *w, const char *name) {
    return faccessat(w->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Anything else at a data directory's path (an empty mount point, above all) is not it. */
static bool is_cluster(int dir) { return dir >= 0 && faccessat(dir, CONTROL, F_OK, AT_SYMLINK_NOFOLLOW) == 0; }

bool deadman_window_has_signal(const struct deadman_window *w) { return has_file(w, STANDBY_SIGNAL); }

static bool sync_directory(const struct deadman_window *w, struct err *err) {
    return fsync(w->dir) == 0 || err_sys(err, errno, "sync of %s", w->data_dir);
}

/* An empty file that belongs to the owner of the directory. */
static bool create_file(const struct deadman_window *w, const char *name, struct err *err) {
    struct stat owner;
    if (fstat(w->dir, &owner) != 0)
        return err_sys(err, errno, "stat of %s", w->data_dir);
    FILE_AUTO int fd = openat(w->dir, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, errno, "create %s/%s", w->data_dir, name);
    /* As an ordinary user we own it already, and may not give it away. */
    if (geteuid() == 0 && fchown(fd, owner.st_uid, owner.st_gid) != 0)
        return err_sys(err, errno, "chown of %s/%s", w->data_dir, name);
    if (fsync(fd) != 0)
        return err_sys(err, errno, "sync of %s/%s", w->data_dir, name);
    return sync_directory(w, err);
}

static bool remove_file(const struct deadman_window *w, const char *name, struct err *err) {
    if (unlinkat(w->dir, name, 0) != 0)
        return errno == ENOENT || err_sys(err, errno, "remove %s/%s", w->data_dir, name);
    return sync_directory(w, err);
}

static bool open_directory(struct deadman_window *w, const char *data_dir, struct err *err) {
    int dir = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_sys(err, errno, "open %s", data_dir);
    file_close_cleanup(&w->dir);
    w->dir = dir;
    str_copy(w->data_dir, sizeof w->data_dir, data_dir);
    return true;
}

/* pg_control as it lies there; 0 bytes when it cannot be read. */
static size_t read_control(const struct deadman_window *w, unsigned char to[DEADMAN_CONTROL_BYTES]) {
    FILE_AUTO int fd = openat(w->dir, CONTROL, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, to, DEADMAN_CONTROL_BYTES, 0);
    return n > 0 ? (size_t)n : 0;
}

bool deadman_window_attach(struct deadman_window *w, const char *data_dir, struct err *err) {
    if (!open_directory(w, data_dir, err))
        return false;
    w->before_length = read_control(w, w->before);
    if (w->before_length == 0)
        return err_set(err, ERR_INVALID, "%s/" CONTROL " cannot be read", data_dir);
    w->absent = false;
    return true;
}

/* pg_control's state if the present run wrote it, else -1. */
static int state_of_this_run(const struct deadman_window *w) {
    unsigned char now[DEADMAN_CONTROL_BYTES];
    size_t length = read_control(w, now);
    struct pg_control control;
    if (length == 0 || (length == w->before_length && memcmp(now, w->before, length) == 0))
        return -1;
    return pg_control_read(w->data_dir, &control, NULL) ? control.state : -1;
}

bool deadman_window_record(struct deadman_window *w, struct err *err) {
    char path[1024];
    state_path(w, "window", path, sizeof path);
    if (!file_write(path, w->data_dir, strlen(w->data_dir), 0600, err))
        return err_wrap(err, "record of the window");
    return w->recorded = true;
}

/* The mark goes before the record: a dead-man killed between the two removes it at its next start. */
static bool drop_record(struct deadman_window *w, struct err *err) {
    char path[1024];
    state_path(w, "authorised-start", path, sizeof path);
    if (!file_remove(path, err))
        return false;
    state_path(w, "window", path, sizeof path);
    if (!file_remove(path, err))
        return false;
    w->recorded = false;
    return true;
}

/* Without a sync: should the machine fail in the window, the file had better be there again. */
bool deadman_window_open(struct deadman_window *w, struct err *err) {
    w->present_ns = clock_boot_ns();
    if (unlinkat(w->dir, STANDBY_SIGNAL, 0) != 0 && errno != ENOENT)
        return err_sys(err, errno, "remove %s/" STANDBY_SIGNAL, w->data_dir);
    return w->away = true;
}

static bool put_back(struct deadman_window *w, struct err *err) {
    bool ours = w->away || w->missing || w->guard; /* else somebody's promotion by hand, of unknown age */
    if (!w->away && !w->missing && has_file(w, STANDBY_SIGNAL))
        return true;
    if (!create_file(w, STANDBY_SIGNAL, err))
        return false;
    if (ours)
        w->last_us = (clock_boot_ns() - w->present_ns) / 1000;
    w->away = w->missing = false;
    return true;
}

static bool is_same_directory(int one, int other) {
    struct stat a, b;
    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The directory behind the descriptor is no cluster any more: it was removed, or its filesystem was taken away. Then the
 * one at its path counts, which may be the same one mounted anew. With none there nothing is left to be put back, and
 * the record keeps what may be open in it (`absent`). False: the descriptor is still what counts. */
static bool look_anew(struct deadman_window *w) {
    unsigned char bytes[DEADMAN_CONTROL_BYTES];
    if (read_control(w, bytes) > 0)
        return false;
    FILE_AUTO int dir = open(w->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if ((dir < 0 && errno != ENOENT && errno != ENOTDIR) || (dir >= 0 && is_same_directory(dir, w->dir)))
        return false;
    file_close_cleanup(&w->dir);
    if (is_cluster(dir)) {
        w->dir = dir;
        dir = -1;
    } else {
        w->absent = w->recorded;
        w->away = w->missing = w->guard = w->leftover = false;
    }
    return true;
}

/* As put_back, for a directory that may have been changed for another meanwhile. True without `dir`: there is none. */
static bool put_back_at_rest(struct deadman_window *w, struct err *err) {
    if (w->dir < 0 || put_back(w, err))
        return true;
    return look_anew(w) && (w->dir < 0 || put_back(w, err));
}

bool deadman_window_restore(struct deadman_window *w, struct err *err) {
    if (!put_back_at_rest(w, err))
        return false;
    return w->dir < 0 || w->guard || !w->recorded || drop_record(w, err);
}

bool deadman_window_finish(struct deadman_window *w, struct err *err) {
    if (!put_back_at_rest(w, err))
        return false;
    if (w->dir < 0)
        return true;
    if (w->guard && !remove_file(w, RECOVERY_SIGNAL, err))
        return false;
    w->guard = w->leftover = false;
    return !w->recorded || drop_record(w, err);
}

bool deadman_window_guard(struct deadman_window *w, bool on, struct err *err) {
    if (!on)
        return deadman_window_finish(w, err);
    if (w->guard)
        return true;
    if (!deadman_window_record(w, err) || !create_file(w, RECOVERY_SIGNAL, err))
        return false;
    w->present_ns = clock_boot_ns();
    return w->guard = true;
}

static bool step_start(struct deadman_window *w, enum deadman_window_event *event, struct err *err) {
    int state = state_of_this_run(w);
    if (state != PG_IN_CRASH_RECOVERY && state != PG_IN_PRODUCTION)
        return true;
    if (!deadman_window_restore(w, err))
        return false;
    *event = DEADMAN_WINDOW_CLOSED;
    return true;
}

static bool step_guard(struct deadman_window *w, enum deadman_window_event *event, struct err *err) {
    /* In this order: "in production" means that the unlink has happened, so a file seen after it is ours. */
    bool over = w->leftover ? deadman_tree_stranger(w->dir) == 0 : state_of_this_run(w) == PG_IN_PRODUCTION;
    w->missing = w->missing || !has_file(w, STANDBY_SIGNAL);
    if (!w->missing)
        w->present_ns = clock_boot_ns();
    else if (!(w->leftover ? put_back_at_rest(w, err) : put_back(w, err))) /* what runs is in the directory that it began in */
        return false;
    if (!over)
        return true;
    enum deadman_window_event end = w->leftover ? DEADMAN_WINDOW_SETTLED : DEADMAN_WINDOW_PROMOTED;
    if (!deadman_window_finish(w, err))
        return false;
    *event = end;
    return true;
}

bool deadman_window_step(struct deadman_window *w, enum deadman_window_event *event, struct err *err) {
    *event = DEADMAN_WINDOW_NOTHING;
    if (w->away)
        return step_start(w, event, err);
    return !w->guard || step_guard(w, event, err);
}

bool deadman_window_recover(struct deadman_window *w, struct err *err) {
    char path[1024];
    STRBUF record = {0};
    struct err why = {0};
    state_path(w, "window", path, sizeof path);
    if (!file_read(path, sizeof w->data_dir - 1, &record, &why)) {
        if (why.code == ERR_NOT_FOUND)
            return true;
        return err_set(err, why.code, "%s", why.text);
    }
    w->recorded = true;
    FILE_AUTO int dir = open(record.at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    w->absent = !is_cluster(dir);
    if (w->absent)
        return true;
    if (!open_directory(w, record.at, err))
        return false;
    w->guard = w->leftover = true;
    w->present_ns = clock_boot_ns();
    enum deadman_window_event event;
    return step_guard(w, &event, err);
}
