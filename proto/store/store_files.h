/* The files of an embedded store, seen from outside: where they lie, whose they are, whether they are still the same,
 * and the watch on them. Works by name only (stat, chown, utimes): opening and closing the database beside SQLite would
 * drop the locks of the whole process (POSIX, fcntl). */
#ifndef STORE_STORE_FILES_H
#define STORE_STORE_FILES_H
#include "rt/err.h"
#include <limits.h>
#include <sys/types.h>

#define STORE_FILE_NAME "store.db"

struct store_file_identity {
    dev_t device;
    ino_t inode;
};
struct store_files {
    char directory[PATH_MAX]; /* resolved: a later change of working directory or of a link changes nothing */
    char database[PATH_MAX], wal[PATH_MAX], shm[PATH_MAX];
    struct store_file_identity wal_identity, shm_identity;
};

/* Makes the directory (0700) if it is missing; refuses network file systems, whose locks cannot be relied on, and a
 * database that is not a plain file with one name. */
bool store_files_prepare(const char *directory, struct store_files *files, struct err *err);

/* A database that SQLite has just made (it is empty) gets the read and write bits of its directory (never: writable for all) and, when we are
 * root, its owner: so a store that root opened first does not lock out the account that the directory was made for.
 * The other files need no care: SQLite gives -wal and -shm the owner (as root) and the mode of the database. */
bool store_files_adopt(const struct store_files *files, struct err *err);

/* Notes which -wal and -shm we use; both are there as long as a connection is. */
bool store_files_remember(struct store_files *files, struct err *err);
/* False when they are gone or others by now: what we write goes where nobody else will look. */
bool store_files_are_same(const struct store_files *files);

/* A descriptor that becomes readable when something may have changed, -1 if the kernel has none left. */
int store_files_watch(const struct store_files *files);
void store_files_watch_clear(int watch_fd);
/* Tells the watches of all processes, after a commit. */
void store_files_touch(const struct store_files *files);
#endif
