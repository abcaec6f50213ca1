/* Durable files. Every write that matters goes: temporary file beside the target, fsync, rename, fsync of the
 * directory. Errors name the path. */
#ifndef RT_FILE_H
#define RT_FILE_H
#include "rt/err.h"
#include "rt/str.h"
#include <sys/types.h>

/* Whole file, at most `limit` bytes (ERR_LIMIT beyond; ERR_NOT_FOUND if there is none), appended to `to`. */
bool file_read(const char *path, size_t limit, struct strbuf *to, struct err *err);
/* Atomic and durable replacement. owner (uid_t)-1 keeps the process's. */
bool file_write(const char *path, const void *data, size_t len, mode_t mode, struct err *err);
bool file_write_as(const char *path, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid, struct err *err);
/* Durable removal; a missing file is fine. */
bool file_remove(const char *path, struct err *err);
bool file_exists(const char *path);
/* Makes missing parents too; existing directories are left alone. */
bool file_mkdirs(const char *path, mode_t mode, struct err *err);
bool file_mkdirs_as(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err); /* owner of what it makes */
bool file_sync_dir(const char *path, struct err *err);
/* rename + fsync of both parents. */
bool file_rename(const char *from, const char *to, struct err *err);
/* Removes a tree without following links or leaving its file system. A missing tree is fine. */
bool file_remove_tree(const char *path, struct err *err);
bool file_dir_is_empty(const char *path); /* also true when it does not exist */
/* Takes an exclusive flock on `path` (made if missing), held while *fd is open. ERR_CONFLICT with the holder's pid. */
bool file_lock(const char *path, int *fd, struct err *err);
/* Refuses (ERR_REFUSED) a private file that is not a regular file owned by us, or that others may read. */
bool file_check_private(const char *path, struct err *err);
/* Absolute path of `path` as seen from the directory of `base_file` (a configuration file). */
void file_relative_to(char *to, size_t size, const char *base_file, const char *path);
/* Directory part of `path`: "." when there is none. */
void file_parent(char *to, size_t size, const char *path);
void file_close_cleanup(int *fd); /* for __attribute__((cleanup)) */
#define FILE_AUTO __attribute__((cleanup(file_close_cleanup)))
#endif
