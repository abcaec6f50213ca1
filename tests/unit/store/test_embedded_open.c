/* Opening the embedded store: what it makes, whose it becomes, what it refuses, and how it tells a reboot. */
#include "embedded_try.h"
#include <grp.h>

static void missing_directory_is_made_for_us_alone(void **state) {
    (void)state;
    struct stat st;
    struct store *s;
    struct err err;
    char inner[128];
    snprintf(inner, sizeof inner, "%s/new/site", directory);
    assert_true(store_open_embedded(inner, &s, NULL, &err));
    assert_int_equal(stat(inner, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(in_directory("new/site/store.db"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(in_directory("new/site/store.db-wal"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    store_close(s);
}

static void become_nobody(void) {
    if (geteuid() != 0) return;
    if (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0) _exit(99);
}

/* The store and its directory belong to the user, but one of them may not be written. */
static int open_unwritable(mode_t directory_mode, mode_t file_mode) {
    struct store *s;
    struct err err;
    become_nobody();
    if (!store_open_embedded(directory, &s, NULL, NULL)) return 1;
    store_close(s);
    if (chmod(in_directory("store.db"), file_mode) != 0 || chmod(directory, directory_mode) != 0) return 2;
    bool is_open = store_open_embedded(directory, &s, NULL, &err);
    (void)chmod(directory, 0700);
    if (is_open) return 3;
    return err.code == ERR_IO && strstr(err.text, "must be writable") && strstr(err.text, directory) ? 0 : 4;
}
static int open_in_unwritable_directory(int from_parent, int to_parent) {
    (void)from_parent;
    (void)to_parent;
    return open_unwritable(0500, 0600);
}
static int open_unwritable_file(int from_parent, int to_parent) {
    (void)from_parent;
    (void)to_parent;
    return open_unwritable(0700, 0400);
}

static void read_only_store_is_refused_with_path_and_cure(void **state) {
    (void)state;
    if (geteuid() == 0) assert_int_equal(chown(directory, NOBODY, NOBODY), 0);
    struct child c = start(open_in_unwritable_directory);
    assert_int_equal(finish(&c), 0);
    c = start(open_unwritable_file);
    assert_int_equal(finish(&c), 0);
}

static void store_opened_by_root_belongs_to_the_owner_of_its_directory(void **state) {
    (void)state;
    if (geteuid() != 0) return; /* nothing to hand over */
    static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm"};
    struct stat st;
    assert_int_equal(chown(directory, NOBODY, NOBODY), 0);
    assert_int_equal(chmod(directory, 0770), 0);
    for (int round = 0; round < 2; round++) { /* the second time -wal and -shm are made anew */
        struct store *s = open_store();
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(stat(in_directory(names[i]), &st), 0);
            assert_int_equal(st.st_uid, NOBODY);
            assert_int_equal(st.st_gid, NOBODY);
            assert_int_equal(st.st_mode & 07777, 0660);
        }
        store_close(s);
    }
}

static void damaged_and_foreign_files_are_refused(void **state) {
    (void)state;
    struct err err;
    assert_true(file_write(in_directory("store.db"), "this is no database, but is long enough to look at", 50, 0600, &err));
    assert_open_fails("damaged");
    assert_int_equal(unlink(in_directory("store.db")), 0);
    hurt("CREATE TABLE somebody(elses)");
    assert_open_fails("something else");
    hurt("DROP TABLE somebody");
    store_close(open_store());
    hurt("PRAGMA user_version = 2");
    assert_open_fails("has format 2");
}

static void damaged_page_is_found_at_opening(void **state) {
    (void)state;
    struct store *s = open_store();
    char value[3000], noise[4096];
    memset(value, 'v', sizeof value - 1);
    memset(noise, 'n', sizeof noise);
    value[sizeof value - 1] = '\0';
    assert_outcome(try_swap(s, "a", NULL, value), STORE_DONE);
    assert_outcome(try_swap(s, "b", NULL, value), STORE_DONE);
    store_close(s);
    int fd = open(in_directory("store.db"), O_WRONLY);
    assert_int_equal(pwrite(fd, noise, sizeof noise, 4096), sizeof noise);
    close(fd);
    assert_open_fails("damaged");
}

static void links_and_wrong_places_are_refused(void **state) {
    (void)state;
    struct err err;
    struct store *s;
    assert_int_equal(symlink("/dev/null", in_directory("store.db")), 0);
    assert_open_fails("not a plain file");
    assert_int_equal(unlink(in_directory("store.db")), 0);
    assert_true(file_write(in_directory("file"), "", 0, 0600, &err));
    char other[128];
    snprintf(other, sizeof other, "%s/file", directory);
    assert_int_equal(link(other, in_directory("store.db")), 0);
    assert_open_fails("has 2 names");
    assert_false(store_open_embedded(other, &s, NULL, &err));
    assert_non_null(strstr(err.text, other));
}

static void reboot_is_told_once_and_keeps_the_data(void **state) {
    (void)state;
    bool rebooted = true;
    struct store *s;
    struct err err;
    assert_true(store_open_embedded(directory, &s, &rebooted, &err));
    assert_false(rebooted); /* a new store has seen no other boot */
    assert_outcome(try_swap(s, "k", NULL, "1"), STORE_DONE);
    store_close(s);
    hurt("UPDATE meta SET boot_id = '00000000-0000-4000-8000-000000000000'");
    for (int round = 0; round < 2; round++) {
        assert_true(store_open_embedded(directory, &s, &rebooted, &err));
        assert_int_equal(rebooted, round == 0);
        assert_reads(s, "", "k=1");
        store_close(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        in_a_directory(missing_directory_is_made_for_us_alone),
        in_a_directory(read_only_store_is_refused_with_path_and_cure),
        in_a_directory(store_opened_by_root_belongs_to_the_owner_of_its_directory),
        in_a_directory(damaged_and_foreign_files_are_refused),
        in_a_directory(damaged_page_is_found_at_opening),
        in_a_directory(links_and_wrong_places_are_refused),
        in_a_directory(reboot_is_told_once_and_keeps_the_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
