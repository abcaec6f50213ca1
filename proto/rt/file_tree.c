/* Directories: making them with their parents, removing whole trees. */
#include "rt/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A data directory is some ten levels deep; a limit bounds the descriptors and the stack that a hostile tree costs. */
#define TREE_DEPTH_MAX 128

static void close_dir(DIR **dir) {
    if (*dir) closedir(*dir);
}
#define DIR_AUTO __attribute__((cleanup(close_dir))) DIR

static bool is_dot(const char *name) {
    return str_eq(name, ".") || str_eq(name, "..");
}

bool file_dir_is_empty(const char *path) {
    DIR_AUTO *dir = opendir(path);
    if (!dir) return errno == ENOENT;
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (!is_dot(entry->d_name)) return false;
    return true;
}

/* Through a descriptor: in a directory of somebody else's the name could be exchanged for a link meanwhile. Owner and
 * mode are set apart from mkdir, so that the umask does not matter. */
static bool give(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err) {
    FILE_AUTO int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return err_sys(err, errno, "%s: open directory", path);
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) && fchown(fd, uid, gid) != 0) return err_sys(err, errno, "%s: change owner", path);
    if (fchmod(fd, mode) != 0) return err_sys(err, errno, "%s: change mode", path);
    return true;
}

/* One level, whose parent is there. */
static bool make_one(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err) {
    if (mkdir(path, 0700) != 0) {
        int why = errno;
        struct stat st;
        if (why == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return true;
        return err_sys(err, why, "%s: make directory", path);
    }
    char parent[PATH_MAX];
    file_parent(parent, sizeof parent, path);
    return give(path, mode, uid, gid, err) && file_sync_dir(parent, err);
}

bool file_mkdirs_as(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err) {
    char part[PATH_MAX];
    if (path[0] == '\0' || !str_copy(part, sizeof part, path)) return err_set(err, ERR_INVALID, "'%s': not a path", path);
    for (char *slash = part; (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        if (!make_one(part, mode, uid, gid, err)) return false;
        *slash = '/';
    }
    return make_one(part, mode, uid, gid, err);
}

bool file_mkdirs(const char *path, mode_t mode, struct err *err) {
    return file_mkdirs_as(path, mode, (uid_t)-1, (gid_t)-1, err);
}

/* A tree being removed: `root` for messages, `device` that must not be left. */
struct removal {
    const char *root;
    dev_t device;
};

static bool empty_dir(const struct removal *removal, int fd, int depth, struct err *err);

static bool remove_subdir(const struct removal *removal, int parent, const char *name, int depth, struct err *err) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return err_sys(err, errno, "%s: open directory %s in it", removal->root, name);
    if (!empty_dir(removal, fd, depth + 1, err)) return false;
    if (unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return err_sys(err, errno, "%s: remove directory %s in it", removal->root, name);
    return true;
}

static bool remove_entry(const struct removal *removal, int parent, const char *name, int depth, struct err *err) {
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return true;
    if (errno != EISDIR && errno != EPERM) return err_sys(err, errno, "%s: remove %s in it", removal->root, name);
    return remove_subdir(removal, parent, name, depth, err);
}

/* Empties the directory open at `fd`, which it takes over. */
static bool empty_dir(const struct removal *removal, int fd, int depth, struct err *err) {
    DIR_AUTO *dir = fdopendir(fd);
    if (!dir) {
        int why = errno;
        close(fd);
        return err_sys(err, why, "%s: read directory", removal->root);
    }
    struct stat st;
    if (depth > TREE_DEPTH_MAX) return err_set(err, ERR_LIMIT, "%s: deeper than %d directories", removal->root, TREE_DEPTH_MAX);
    if (fstat(fd, &st) != 0) return err_sys(err, errno, "%s: stat", removal->root);
    if (st.st_dev != removal->device) return err_set(err, ERR_REFUSED, "%s: another file system is mounted in it", removal->root);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry && errno) return err_sys(err, errno, "%s: read directory", removal->root);
        if (!entry) return true;
        if (!is_dot(entry->d_name) && !remove_entry(removal, fd, entry->d_name, depth, err)) return false;
    }
}

bool file_remove_tree(const char *path, struct err *err) {
    struct stat st;
    if (lstat(path, &st) != 0) return errno == ENOENT ? true : err_sys(err, errno, "%s: stat", path);
    if (!S_ISDIR(st.st_mode)) return file_remove(path, err); /* of a link the link itself */
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return err_sys(err, errno, "%s: open directory", path);
    struct removal removal = {.root = path, .device = st.st_dev};
    if (!empty_dir(&removal, fd, 1, err)) return false;
    if (rmdir(path) != 0 && errno != ENOENT) return err_sys(err, errno, "%s: remove directory", path);
    return true;
}
