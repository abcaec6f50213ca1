/* Durable files: reading with a bound, atomic replacement, removal, and the fsyncs that make them outlive a power
 * failure. Directories and trees are in file_tree.c, locks and private files in file_guard.c. */
#include "rt/file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_CHUNK 16384

void file_close_cleanup(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

bool file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

void file_parent(char *to, size_t size, const char *path) {
    str_copy(to, size, path);
    size_t len = strlen(to);
    while (len > 1 && to[len - 1] == '/') to[--len] = '\0';
    char *slash = strrchr(to, '/');
    if (!slash)
        str_copy(to, size, ".");
    else
        slash[slash == to] = '\0'; /* "/name" has the parent "/" */
}

bool file_sync_dir(const char *path, struct err *err) {
    FILE_AUTO int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_sys(err, errno, "%s: open directory", path);
    if (fsync(fd) != 0) return err_sys(err, errno, "%s: fsync directory", path);
    return true;
}

static bool sync_parent(const char *path, struct err *err) {
    char parent[PATH_MAX];
    file_parent(parent, sizeof parent, path);
    return file_sync_dir(parent, err);
}

static bool read_all(int fd, const char *path, size_t limit, struct strbuf *to, struct err *err) {
    char chunk[READ_CHUNK];
    for (size_t total = 0;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_sys(err, errno, "%s: read", path);
        if (n == 0) return true;
        total += (size_t)n;
        if (total > limit) return err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", path, limit);
        strbuf_add_bytes(to, chunk, (size_t)n);
        if (to->overflow) return err_set(err, ERR_LIMIT, "%s: does not fit into the %zu bytes there is room for", path, to->limit);
    }
}

bool file_read(const char *path, size_t limit, struct strbuf *to, struct err *err) {
    strbuf_add_bytes(to, "", 0); /* an empty file is an empty text, not none */
    /* Non-blocking, so that a FIFO or a device in the file's place is an error or an end instead of a hang. */
    FILE_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) return err_set(err, ERR_NOT_FOUND, "%s: no such file", path);
    if (fd < 0) return err_sys(err, errno, "%s: open", path);
    return read_all(fd, path, limit, to, err);
}

static bool write_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* fchmod because the mode asked for must not depend on the umask. Owner before mode: chown clears set-id bits. */
static bool fill(int fd, const char *path, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid, struct err *err) {
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) && fchown(fd, uid, gid) != 0) return err_sys(err, errno, "%s: change owner", path);
    if (fchmod(fd, mode) != 0) return err_sys(err, errno, "%s: change mode", path);
    if (!write_all(fd, data, len)) return err_sys(err, errno, "%s: write", path);
    if (fsync(fd) != 0) return err_sys(err, errno, "%s: fsync", path);
    return true;
}

bool file_write_as(const char *path, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid, struct err *err) {
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary)
        return err_set(err, ERR_INVALID, "%s: path is too long", path);
    FILE_AUTO int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) return err_sys(err, errno, "%s: make a temporary file beside it", path);
    if (!fill(fd, path, data, len, mode, uid, gid, err)) {
        unlink(temporary);
        return false;
    }
    if (rename(temporary, path) != 0) {
        int why = errno;
        unlink(temporary);
        return err_sys(err, why, "%s: rename into place", path);
    }
    return sync_parent(path, err);
}

bool file_write(const char *path, const void *data, size_t len, mode_t mode, struct err *err) {
    return file_write_as(path, data, len, mode, (uid_t)-1, (gid_t)-1, err);
}

bool file_remove(const char *path, struct err *err) {
    if (unlink(path) != 0 && errno != ENOENT) return err_sys(err, errno, "%s: remove", path);
    /* Also when it was gone already: whoever removed it may not have got as far as the fsync. */
    struct stat st;
    char parent[PATH_MAX];
    file_parent(parent, sizeof parent, path);
    return stat(parent, &st) != 0 && errno == ENOENT ? true : file_sync_dir(parent, err);
}

bool file_rename(const char *from, const char *to, struct err *err) {
    if (rename(from, to) != 0) return err_sys(err, errno, "%s: rename to %s", from, to);
    return sync_parent(to, err) && sync_parent(from, err); /* the new name first: twice is better than not at all */
}

void file_relative_to(char *to, size_t size, const char *base_file, const char *path) {
    STRBUF joined = {0};
    if (path[0] != '/') {
        char base[PATH_MAX], here[PATH_MAX];
        file_parent(base, sizeof base, base_file);
        if (base[0] != '/' && getcwd(here, sizeof here)) strbuf_addf(&joined, "%s/", here);
        if (!str_eq(base, ".")) strbuf_addf(&joined, "%s/", str_eq(base, "/") ? "" : base);
    }
    strbuf_add(&joined, path);
    str_copy(to, size, joined.at);
}
