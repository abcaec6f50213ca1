/* The files of an embedded store by name; see store_files.h. No SQLite in here.
 *
 * The watch: every commit writes the -wal file, but before it counts; the commit becomes visible in shared memory, which
 * no event tells of. Who wakes up by the writing reads too early and then sleeps. So the committer touches the database
 * afterwards, and that (IN_ATTRIB) is what the watch waits for; a committer that dies in between is found by polling. */
#include "store/store_files.h"
#include "rt/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define NAME_ROOM 16 /* "/store.db-wal" */

/* statfs(2) and linux/magic.h. FUSE is here because what lies behind it may well be on another machine. */
static const struct {
    unsigned long magic;
    const char *name;
} remote_file_systems[] = {
    {0x6969, "NFS"},        {0xff534d42, "CIFS"},   {0xfe534d42, "SMB2"}, {0x517b, "SMB"},       {0x00c36400, "Ceph"}, {0x01021997, "9P"},
    {0x65735546, "FUSE"},   {0x5346414f, "AFS"},    {0x6b414653, "AFS"},  {0x73757245, "Coda"},  {0x01161970, "GFS2"}, {0x7461636f, "OCFS2"},
    {0x0bd00bd0, "Lustre"}, {0x47504653, "GPFS"},   {0x564c, "NCP"},      {0x786f4256, "vboxsf"},
};

static bool check_file_system(const char *directory, struct err *err) {
    struct statfs fs;
    if (statfs(directory, &fs) != 0) return err_sys(err, errno, "%s: statfs", directory);
    const unsigned long magic = (unsigned long)fs.f_type & 0xffffffff;
    for (size_t i = 0; i < sizeof remote_file_systems / sizeof *remote_file_systems; i++)
        if (remote_file_systems[i].magic == magic)
            return err_set(err, ERR_REFUSED, "%s: lies on %s; an embedded store needs a file system of this host, whose locks can be relied on",
                           directory, remote_file_systems[i].name);
    return true;
}

/* A link or a second name would let others lead us, perhaps as root, to a file that is no store. */
static bool check_database(const char *path, struct err *err) {
    struct stat st;
    if (lstat(path, &st) != 0) return errno == ENOENT ? true : err_sys(err, errno, "%s: stat", path);
    if (!S_ISREG(st.st_mode)) return err_set(err, ERR_REFUSED, "%s: is not a plain file", path);
    if (st.st_nlink > 1) return err_set(err, ERR_REFUSED, "%s: has %lu names; give the store a file of its own", path, (unsigned long)st.st_nlink);
    return true;
}

/* A new directory must be as durable as what gets written into it. */
static bool make_directory(const char *directory, struct err *err) {
    char parent[PATH_MAX];
    if (file_exists(directory)) return true;
    snprintf(parent, sizeof parent, "%.*s/..", PATH_MAX - NAME_ROOM, directory);
    return file_mkdirs(directory, 0700, err) && file_sync_dir(parent, err);
}

static void join(char to[PATH_MAX], const char *directory, const char *name) {
    snprintf(to, PATH_MAX, "%.*s/%s", PATH_MAX - NAME_ROOM, directory, name);
}

bool store_files_prepare(const char *directory, struct store_files *files, struct err *err) {
    if (strlen(directory) >= PATH_MAX - NAME_ROOM) return err_set(err, ERR_LIMIT, "%.64s...: path is too long", directory);
    if (!make_directory(directory, err)) return false;
    if (!realpath(directory, files->directory)) return err_sys(err, errno, "%s: resolve", directory);
    if (strlen(files->directory) >= PATH_MAX - NAME_ROOM) return err_set(err, ERR_LIMIT, "%.64s...: path is too long", files->directory);
    join(files->database, files->directory, STORE_FILE_NAME);
    join(files->wal, files->directory, STORE_FILE_NAME "-wal");
    join(files->shm, files->directory, STORE_FILE_NAME "-shm");
    return check_file_system(files->directory, err) && check_database(files->database, err);
}

bool store_files_adopt(const struct store_files *files, struct err *err) {
    struct stat directory, database;
    if (stat(files->directory, &directory) != 0) return err_sys(err, errno, "%s: stat", files->directory);
    if (!check_database(files->database, err)) return false;
    if (lstat(files->database, &database) != 0) return err_sys(err, errno, "%s: stat", files->database);
    if (database.st_size > 0 || database.st_uid != geteuid()) return true; /* somebody's already */
    if (chmod(files->database, (directory.st_mode & 0664) | 0600) != 0) return err_sys(err, errno, "%s: change mode", files->database);
    if (geteuid() == 0 && lchown(files->database, directory.st_uid, directory.st_gid) != 0)
        return err_sys(err, errno, "%s: change owner", files->database);
    return true;
}

static bool identify(const char *path, struct store_file_identity *identity) {
    struct stat st;
    if (stat(path, &st) != 0) return false;
    *identity = (struct store_file_identity){st.st_dev, st.st_ino};
    return true;
}

bool store_files_remember(struct store_files *files, struct err *err) {
    if (!identify(files->wal, &files->wal_identity)) return err_sys(err, errno, "%s: stat", files->wal);
    if (!identify(files->shm, &files->shm_identity)) return err_sys(err, errno, "%s: stat", files->shm);
    return true;
}

static bool is_same(const char *path, const struct store_file_identity *known) {
    struct store_file_identity now;
    return identify(path, &now) && now.device == known->device && now.inode == known->inode;
}

bool store_files_are_same(const struct store_files *files) {
    return is_same(files->wal, &files->wal_identity) && is_same(files->shm, &files->shm_identity);
}

int store_files_watch(const struct store_files *files) {
    FILE_AUTO int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0 || inotify_add_watch(fd, files->directory, IN_ATTRIB | IN_MOVE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF) < 0) return -1;
    int watch_fd = fd;
    fd = -1;
    return watch_fd;
}

void store_files_watch_clear(int watch_fd) {
    char events[4096];
    while (watch_fd >= 0 && read(watch_fd, events, sizeof events) > 0) continue;
}

void store_files_touch(const struct store_files *files) {
    (void)utimensat(AT_FDCWD, files->database, NULL, AT_SYMLINK_NOFOLLOW);
}
