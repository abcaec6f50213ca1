/* For the tests of the embedded store: a directory a test, outsiders that hurt the file, other processes. SQLite itself
 * is used only to hurt. */
#ifndef TESTS_EMBEDDED_TRY_H
#define TESTS_EMBEDDED_TRY_H
#include "store_try.h"
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534 /* somebody who is not root */

static char directory[64]; /* of the running test */

static inline int make_directory(void **state) {
    (void)state;
    str_copy(directory, sizeof directory, "/tmp/test_embedded.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}
static inline int remove_directory(void **state) {
    (void)state;
    sqlite3_reset_auto_extension();
    return file_remove_tree(directory, NULL) ? 0 : -1;
}

static inline const char *in_directory(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static inline struct store *open_store(void) {
    struct store *s = NULL;
    struct err err;
    if (!store_open_embedded(directory, &s, NULL, &err)) fail_msg("%s", err.text);
    return s;
}

static inline void assert_open_fails(const char *words) {
    struct store *s;
    struct err err;
    if (store_open_embedded(directory, &s, NULL, &err)) fail_msg("opened, but \"%s\" was expected", words);
    if (!strstr(err.text, words) || !strstr(err.text, directory)) fail_msg("%s", err.text);
}

/* Runs SQL on the file as an outsider would. */
static inline void hurt(const char *sql) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(in_directory("store.db"), &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* --- other processes: they talk by one pipe in each direction and end with the number that `play` returns */

struct child {
    pid_t pid;
    int to, from;
};
typedef int play(int from_parent, int to_parent);

static inline struct child start(play *part) {
    int down[2], up[2];
    assert_int_equal(pipe2(down, O_CLOEXEC), 0);
    assert_int_equal(pipe2(up, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(down[1]);
        close(up[0]);
        _exit(part(down[0], up[1]));
    }
    close(down[0]);
    close(up[1]);
    return (struct child){pid, down[1], up[0]};
}

static inline int finish(struct child *c) {
    int status;
    close(c->to);
    close(c->from);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline bool say(int fd) {
    return write(fd, "x", 1) == 1;
}
static inline bool hear(int fd) {
    char c;
    return read(fd, &c, 1) == 1;
}

#define in_a_directory(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

#endif
