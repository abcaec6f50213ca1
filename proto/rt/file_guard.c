/* Who may: the lock that keeps a second process out, and the check that a private file is private. */
#include "rt/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The holder's pid as it wrote it into the file; "unknown" between its taking the lock and its writing. */
static void read_holder(int fd, char to[24]) {
    char text[24];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    size_t len = 0;
    while (n > 0 && len < (size_t)n && text[len] >= '0' && text[len] <= '9') len++;
    text[len] = '\0';
    str_copy(to, sizeof text, len ? text : "unknown");
}

bool file_lock(const char *path, int *fd, struct err *err) {
    FILE_AUTO int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) return err_sys(err, errno, "%s: open", path);
    char pid[24];
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return err_sys(err, errno, "%s: lock", path);
        read_holder(lock, pid);
        return err_set(err, ERR_CONFLICT, "%s: locked by process %s", path, pid);
    }
    int len = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(lock, 0) != 0 || pwrite(lock, pid, (size_t)len, 0) != len) return err_sys(err, errno, "%s: write", path);
    *fd = lock;
    lock = -1;
    return true;
}

bool file_check_private(const char *path, struct err *err) {
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "%s: no such file", path) : err_sys(err, errno, "%s: stat", path);
    if (!S_ISREG(st.st_mode)) return err_set(err, ERR_REFUSED, "%s: is not a regular file", path);
    if (st.st_uid != geteuid())
        return err_set(err, ERR_REFUSED, "%s: belongs to user %u, not to user %u that runs this", path, st.st_uid, geteuid());
    if (st.st_mode & 077)
        return err_set(err, ERR_REFUSED, "%s: mode %04o lets others at it; it must be 0600 or 0400", path, st.st_mode & 07777);
    return true;
}
