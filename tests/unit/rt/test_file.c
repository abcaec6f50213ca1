/* Durable files, in a directory of the test's own. */
#include "rt/file.h"
#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];

static const char *in_root(const char *name) {
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", root, name);
    return path;
}

static int make_root(void **state) {
    (void)state;
    str_copy(root, sizeof root, "/tmp/test_file.XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
    (void)state;
    struct err err = {0};
    return file_remove_tree(root, &err) ? 0 : -1;
}

static void must(bool done, const struct err *err) {
    if (!done) fail_msg("%s", err->text);
}

static mode_t mode_of(const char *path) {
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static size_t entries_in(const char *path) {
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t count = 0;
    while (readdir(dir)) count++;
    closedir(dir);
    return count - 2; /* . and .. */
}

static void what_is_written_is_read_back(void **state) {
    (void)state;
    struct err err = {0};
    STRBUF text = {0};
    mode_t umask_before = umask(0177);
    must(file_write(in_root("lease"), "one\0two", 7, 0640, &err), &err);
    umask(umask_before);
    must(file_read(in_root("lease"), 100, &text, &err), &err);
    assert_int_equal(text.len, 7);
    assert_memory_equal(text.at, "one\0two", 7);
    assert_int_equal(mode_of(in_root("lease")), 0640);
    must(file_write(in_root("lease"), "", 0, 0600, &err), &err);
    STRBUF empty = {0};
    must(file_read(in_root("lease"), 0, &empty, &err), &err);
    assert_string_equal(empty.at, "");
    assert_int_equal(entries_in(root), 1); /* no temporary file stays behind */
}

/* A reader that has the old file open goes on reading the old file: replaced, not overwritten. */
static void replacement_does_not_touch_the_old_file(void **state) {
    (void)state;
    struct err err = {0};
    must(file_write(in_root("a"), "old", 3, 0600, &err), &err);
    FILE *reader = fopen(in_root("a"), "re");
    must(file_write(in_root("a"), "new", 3, 0600, &err), &err);
    char text[4] = "";
    assert_non_null(fgets(text, sizeof text, reader));
    assert_string_equal(text, "old");
    fclose(reader);
}

static void a_failed_write_leaves_the_target_and_nothing_else(void **state) {
    (void)state;
    struct err err = {0};
    must(file_mkdirs(in_root("taken/inside"), 0700, &err), &err);
    assert_false(file_write(in_root("taken"), "x", 1, 0600, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.text, in_root("taken")));
    assert_int_equal(entries_in(root), 1);
}

static void reading_has_a_limit_and_names_what_is_missing(void **state) {
    (void)state;
    struct err err = {0};
    STRBUF text = {0};
    must(file_write(in_root("big"), "12345", 5, 0600, &err), &err);
    must(file_read(in_root("big"), 5, &text, &err), &err);
    assert_false(file_read(in_root("big"), 4, &text, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_false(file_read(in_root("none"), 4, &text, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, in_root("none")));
    assert_false(file_read(root, 4, &text, &err));
    assert_int_equal(err.code, ERR_IO);
    STRBUF narrow = {.limit = 3};
    assert_false(file_read(in_root("big"), 5, &narrow, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

static void a_fifo_in_the_place_of_a_file_does_not_hang_the_reader(void **state) {
    (void)state;
    struct err err = {0};
    STRBUF text = {0};
    assert_int_equal(mkfifo(in_root("fifo"), 0600), 0);
    must(file_read(in_root("fifo"), 10, &text, &err), &err);
    assert_string_equal(text.at, "");
}

static void removing_twice_is_fine(void **state) {
    (void)state;
    struct err err = {0};
    must(file_write(in_root("a"), "", 0, 0600, &err), &err);
    assert_true(file_exists(in_root("a")));
    must(file_remove(in_root("a"), &err), &err);
    assert_false(file_exists(in_root("a")));
    must(file_remove(in_root("a"), &err), &err);
    must(file_remove(in_root("no/such/directory"), &err), &err);
    assert_false(file_remove(root, &err));
}

static void renaming_moves_between_directories(void **state) {
    (void)state;
    struct err err = {0};
    must(file_mkdirs(in_root("x"), 0700, &err), &err);
    must(file_write(in_root("a"), "1", 1, 0600, &err), &err);
    must(file_rename(in_root("a"), in_root("x/b"), &err), &err);
    assert_true(file_exists(in_root("x/b")) && !file_exists(in_root("a")));
    assert_false(file_rename(in_root("a"), in_root("c"), &err));
}

static void directories_are_made_with_their_parents(void **state) {
    (void)state;
    struct err err = {0};
    mode_t umask_before = umask(0077);
    must(file_mkdirs(in_root("a/b//c/"), 0750, &err), &err);
    umask(umask_before);
    assert_int_equal(mode_of(in_root("a/b/c")), 0750);
    assert_int_equal(mode_of(in_root("a")), 0750);
    must(file_mkdirs(in_root("a/b"), 0700, &err), &err); /* there already: left alone */
    assert_int_equal(mode_of(in_root("a/b")), 0750);
    must(file_write(in_root("plain"), "", 0, 0600, &err), &err);
    assert_false(file_mkdirs(in_root("plain/sub"), 0700, &err));
    assert_false(file_mkdirs("", 0700, &err));
}

static void emptiness_is_seen(void **state) {
    (void)state;
    struct err err = {0};
    assert_true(file_dir_is_empty(in_root("none")));
    must(file_mkdirs(in_root("d"), 0700, &err), &err);
    assert_true(file_dir_is_empty(in_root("d")));
    must(file_write(in_root("d/.hidden"), "", 0, 0600, &err), &err);
    assert_false(file_dir_is_empty(in_root("d")));
    assert_false(file_dir_is_empty(in_root("d/.hidden"))); /* no directory at all is not an empty one */
}

static void a_tree_goes_and_what_its_links_point_to_stays(void **state) {
    (void)state;
    struct err err = {0};
    must(file_mkdirs(in_root("tree/a/b/c"), 0700, &err), &err);
    must(file_mkdirs(in_root("wal"), 0700, &err), &err);
    must(file_write(in_root("wal/segment"), "", 0, 0600, &err), &err);
    must(file_write(in_root("tree/a/b/file"), "", 0, 0400, &err), &err);
    assert_int_equal(symlink(in_root("wal"), in_root("tree/pg_wal")), 0);
    assert_int_equal(symlink("/nowhere", in_root("tree/dangling")), 0);
    must(file_remove_tree(in_root("tree"), &err), &err);
    assert_false(file_exists(in_root("tree")));
    assert_true(file_exists(in_root("wal/segment")));
    must(file_remove_tree(in_root("tree"), &err), &err);
    assert_int_equal(symlink(in_root("wal"), in_root("link")), 0);
    must(file_remove_tree(in_root("link"), &err), &err); /* a link itself: the link goes */
    assert_true(file_exists(in_root("wal/segment")));
}

static void a_lock_keeps_the_second_out_and_names_the_first(void **state) {
    (void)state;
    struct err err = {0};
    FILE_AUTO int first = -1;
    must(file_lock(in_root("lock"), &first, &err), &err);
    int second = -1;
    assert_false(file_lock(in_root("lock"), &second, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    char holder[64];
    snprintf(holder, sizeof holder, "locked by process %d", (int)getpid());
    assert_non_null(strstr(err.text, holder));
    assert_int_equal(second, -1);
    file_close_cleanup(&first);
    must(file_lock(in_root("lock"), &second, &err), &err);
    file_close_cleanup(&second);
}

static void a_private_file_must_be_private(void **state) {
    (void)state;
    struct err err = {0};
    must(file_write(in_root("key"), "k", 1, 0600, &err), &err);
    must(file_check_private(in_root("key"), &err), &err);
    assert_int_equal(chmod(in_root("key"), 0640), 0);
    assert_false(file_check_private(in_root("key"), &err));
    assert_int_equal(err.code, ERR_REFUSED);
    assert_non_null(strstr(err.text, "0640"));
    assert_int_equal(chmod(in_root("key"), 0400), 0);
    must(file_check_private(in_root("key"), &err), &err);
    assert_int_equal(symlink("key", in_root("link")), 0);
    assert_false(file_check_private(in_root("link"), &err));
    assert_int_equal(err.code, ERR_REFUSED);
    assert_false(file_check_private(in_root("none"), &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    if (geteuid() != 0) return; /* only root can give a file away */
    assert_int_equal(chown(in_root("key"), 1, 1), 0);
    assert_false(file_check_private(in_root("key"), &err));
    assert_non_null(strstr(err.text, "belongs to user 1"));
}

static void root_makes_files_and_directories_for_others(void **state) {
    (void)state;
    if (geteuid() != 0) skip();
    struct err err = {0};
    struct stat st;
    must(file_mkdirs_as(in_root("p/q"), 0700, 1, 2, &err), &err);
    must(file_write_as(in_root("p/q/f"), "x", 1, 0600, 1, 2, &err), &err);
    static const char *const made[] = {"p", "p/q", "p/q/f"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(stat(in_root(made[i]), &st), 0);
        assert_true(st.st_uid == 1 && st.st_gid == 2);
    }
}

static void paths_are_relative_to_the_file_that_names_them(void **state) {
    (void)state;
    char to[PATH_MAX], here[PATH_MAX], wanted[2 * PATH_MAX];
    assert_non_null(getcwd(here, sizeof here));
    file_relative_to(to, sizeof to, "/etc/pgregent/agent.yaml", "keys/site.key");
    assert_string_equal(to, "/etc/pgregent/keys/site.key");
    file_relative_to(to, sizeof to, "/etc/pgregent/agent.yaml", "/other/key");
    assert_string_equal(to, "/other/key");
    file_relative_to(to, sizeof to, "/agent.yaml", "key");
    assert_string_equal(to, "/key");
    file_relative_to(to, sizeof to, "agent.yaml", "key");
    snprintf(wanted, sizeof wanted, "%s/key", here);
    assert_string_equal(to, wanted);
    file_relative_to(to, sizeof to, "conf/agent.yaml", "key");
    snprintf(wanted, sizeof wanted, "%s/conf/key", here);
    assert_string_equal(to, wanted);
    file_parent(to, sizeof to, "/a/b//");
    assert_string_equal(to, "/a");
    file_parent(to, sizeof to, "/");
    assert_string_equal(to, "/");
}

int main(void) {
#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        IN_ROOT(what_is_written_is_read_back),
        IN_ROOT(replacement_does_not_touch_the_old_file),
        IN_ROOT(a_failed_write_leaves_the_target_and_nothing_else),
        IN_ROOT(reading_has_a_limit_and_names_what_is_missing),
        IN_ROOT(a_fifo_in_the_place_of_a_file_does_not_hang_the_reader),
        IN_ROOT(removing_twice_is_fine),
        IN_ROOT(renaming_moves_between_directories),
        IN_ROOT(directories_are_made_with_their_parents),
        IN_ROOT(emptiness_is_seen),
        IN_ROOT(a_tree_goes_and_what_its_links_point_to_stays),
        IN_ROOT(a_lock_keeps_the_second_out_and_names_the_first),
        IN_ROOT(a_private_file_must_be_private),
        IN_ROOT(root_makes_files_and_directories_for_others),
        IN_ROOT(paths_are_relative_to_the_file_that_names_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
