/* The embedded store in use: the rules of every store, several processes, and each way in which its file can be locked,
 * moved, replaced or full meanwhile. How it opens is in test_embedded_open.c. */
#include "embedded_try.h"
#include "store_rules.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

/* --- the rules of every store */

#define X(rule)                                                                                                        \
    static void embedded_##rule(void **state) {                                                                        \
        (void)state;                                                                                                   \
        struct store *s = open_store();                                                                                \
        rule(s);                                                                                                       \
        store_close(s);                                                                                                \
    }
STORE_RULES(X)
#undef X

static void reopened_store_has_kept_everything(void **state) {
    (void)state;
    struct store *s = open_store();
    struct seen made = try_swap(s, "a/b", NULL, "1");
    store_close(s);
    s = open_store();
    assert_reads(s, "", "a/b=1");
    assert_int_equal(try_read(s, "").revision, made.revision);
    store_close(s);
}

/* --- several processes */

#define WINS_MAX 100

/* Counts up by swaps until WINS_MAX is reached; ends with the number of swaps won. */
static int count_up(int from_parent, int to_parent) {
    struct store *s;
    int wins = 0;
    if (!store_open_embedded(directory, &s, NULL, NULL) || !say(to_parent) || !hear(from_parent)) return 255;
    for (long value = 0; value < WINS_MAX;) {
        char now[24], next[24];
        struct seen seen = try_read(s, "count");
        if (seen.outcome != STORE_DONE) return 254;
        value = seen.count ? strtol(seen.text + strlen("count="), NULL, 10) : 0;
        if (value == WINS_MAX) break;
        snprintf(now, sizeof now, "%ld", value);
        snprintf(next, sizeof next, "%ld", value + 1);
        seen = try_swap(s, "count", seen.count ? now : NULL, next);
        if (seen.outcome == STORE_DONE) wins++;
        else if (seen.outcome != STORE_BEATEN) return 253;
    }
    store_close(s);
    return wins;
}

static void two_processes_compete_and_each_swap_has_one_winner(void **state) {
    (void)state;
    struct child a = start(count_up), b = start(count_up);
    assert_true(hear(a.from) && hear(b.from));
    assert_true(say(a.to) && say(b.to));
    int wins_a = finish(&a), wins_b = finish(&b);
    assert_true(wins_a <= WINS_MAX && wins_b <= WINS_MAX);
    assert_int_equal(wins_a + wins_b, WINS_MAX);
    struct store *s = open_store();
    assert_reads(s, "", "count=100");
    store_close(s);
}

static int open_at_once(int from_parent, int to_parent) {
    struct store *s;
    (void)to_parent;
    if (!hear(from_parent) || !store_open_embedded(directory, &s, NULL, NULL)) return 1;
    store_close(s);
    return 0;
}

static void many_may_open_a_new_store_at_once(void **state) {
    (void)state;
    struct child children[6];
    for (size_t i = 0; i < 6; i++) children[i] = start(open_at_once);
    for (size_t i = 0; i < 6; i++) assert_true(say(children[i].to));
    for (size_t i = 0; i < 6; i++) assert_int_equal(finish(&children[i]), 0);
}

/* Swaps two keys together for ever, and says so after each success. */
static int swap_until_killed(int from_parent, int to_parent) {
    struct store *s;
    (void)from_parent;
    if (!store_open_embedded(directory, &s, NULL, NULL)) return 1;
    for (int i = 0;; i++) {
        char now[24], next[24];
        snprintf(now, sizeof now, "%d", i);
        snprintf(next, sizeof next, "%d", i + 1);
        const struct store_op ops[] = {{"a", bytes_of(i ? now : NULL), bytes_of(next)}, {"b", bytes_of(i ? now : NULL), bytes_of(next)}};
        if (try_swaps(s, ops, 2).outcome != STORE_DONE || !say(to_parent)) return 2;
    }
}

static void killed_process_leaves_whole_swaps(void **state) {
    (void)state;
    for (int round = 0; round < 5; round++) {
        struct child c = start(swap_until_killed);
        int said = 0, a = -1, b = -2;
        while (said < 3 + 7 * round && hear(c.from)) said++;
        kill(c.pid, SIGKILL);
        while (hear(c.from)) said++;
        assert_int_equal(finish(&c), -SIGKILL);
        struct store *s = open_store();
        struct seen seen = try_read(s, "");
        assert_int_equal(sscanf(seen.text, "a=%d b=%d", &a, &b), 2);
        assert_int_equal(a, b);
        if (a != said && a != said + 1) fail_msg("%d swaps were confirmed, %d are there", said, a);
        const struct store_op clear[] = {{"a", {NULL, 0}, {NULL, 0}}};
        assert_outcome(try_swaps(s, clear, 1), STORE_BEATEN);
        char text[24];
        snprintf(text, sizeof text, "%d", a);
        assert_outcome(try_swap(s, "a", text, NULL), STORE_DONE);
        assert_outcome(try_swap(s, "b", text, NULL), STORE_DONE);
        store_close(s);
    }
}

static int hold_the_lock(int from_parent, int to_parent) {
    sqlite3 *db;
    if (sqlite3_open(in_directory("store.db"), &db) != SQLITE_OK || sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) return 1;
    return say(to_parent) && !hear(from_parent) ? 0 : 1;
}

static void held_lock_fails_a_swap_within_the_deadline_and_no_read(void **state) {
    (void)state;
    struct store *s = open_store();
    assert_outcome(try_swap(s, "k", NULL, "1"), STORE_DONE);
    struct child c = start(hold_the_lock);
    assert_true(hear(c.from));
    const struct store_op op = {"k", bytes_of("1"), bytes_of("2")};
    struct seen seen;
    int64_t before = clock_boot_ms();
    store_swap(s, &op, 1, before + 100, see, &seen);
    assert_outcome(seen, STORE_FAILED);
    assert_int_equal(seen.err.code, ERR_UNREACHABLE);
    assert_in_range(clock_boot_ms() - before, 0, 900);
    before = clock_boot_ms();
    assert_outcome(try_swap(s, "k", "1", "2"), STORE_FAILED); /* the deadline is far, the bound of 1 s holds */
    assert_in_range(clock_boot_ms() - before, 500, 3000);
    assert_reads(s, "", "k=1");
    assert_int_equal(finish(&c), 0);
    assert_outcome(try_swap(s, "k", "1", "2"), STORE_DONE);
    store_close(s);
}

/* Swaps 1, 2, 3, ... each time it is asked. */
static int swap_on_demand(int from_parent, int to_parent) {
    struct store *s;
    if (!store_open_embedded(directory, &s, NULL, NULL) || !say(to_parent)) return 1;
    for (int i = 0; hear(from_parent); i++) {
        char now[24], next[24];
        snprintf(now, sizeof now, "%d", i);
        snprintf(next, sizeof next, "%d", i + 1);
        if (try_swap(s, "k", i ? now : NULL, next).outcome != STORE_DONE) return 2;
    }
    return 0;
}

/* Woken by the watch, the first read already shows the change: no wake-up comes too early. */
static void watch_fires_when_another_process_has_committed(void **state) {
    (void)state;
    struct child c = start(swap_on_demand);
    assert_true(hear(c.from));
    struct store *s = open_store();
    for (int i = 1; i <= 50; i++) {
        char expected[24];
        store_watch_clear(s);
        assert_true(say(c.to));
        assert_true(is_readable(store_watch_fd(s), TRY_MS));
        store_watch_clear(s);
        snprintf(expected, sizeof expected, "k=%d", i);
        assert_reads(s, "", expected);
    }
    assert_int_equal(finish(&c), 0);
    store_close(s);
}

/* --- the file moves, vanishes, is replaced */

static sqlite3 *opened; /* the connection inside the store, for faults between its own steps */
static const char *vanishing;

static int remember_connection(sqlite3 *db, char **error, const struct sqlite3_api_routines *api) {
    (void)error;
    (void)api;
    opened = db;
    return SQLITE_OK;
}
static int rename_at_commit(void *context) {
    (void)context;
    STRBUF to = {0};
    strbuf_addf(&to, "%s.away", vanishing);
    return rename(vanishing, to.at);
}
static int refuse_commit(void *context) {
    return context == NULL;
}

static struct store *open_store_to_hurt(void) {
    sqlite3_auto_extension((void (*)(void))remember_connection);
    struct store *s = open_store();
    sqlite3_reset_auto_extension();
    return s;
}

static void assert_unreachable(struct store *s) {
    struct seen seen = try_swap(s, "other", NULL, "1");
    assert_outcome(seen, STORE_FAILED);
    assert_int_equal(seen.err.code, ERR_UNREACHABLE);
    assert_non_null(strstr(seen.err.text, "moved"));
    seen = try_read(s, "");
    assert_outcome(seen, STORE_FAILED);
    assert_int_equal(seen.err.code, ERR_UNREACHABLE);
}

/* The commit itself succeeds, into a file that nobody else will look at. */
static void file_renamed_during_a_swap_makes_it_unknown(void **state) {
    (void)state;
    static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm"};
    for (size_t i = 0; i < 3; i++) {
        struct store *s = open_store_to_hurt();
        STRBUF path = {0};
        strbuf_add(&path, in_directory(names[i]));
        vanishing = path.at;
        sqlite3_commit_hook(opened, rename_at_commit, NULL);
        struct seen seen = try_swap(s, "k", NULL, "1");
        assert_outcome(seen, STORE_UNKNOWN);
        assert_non_null(strstr(seen.err.text, directory));
        sqlite3_commit_hook(opened, NULL, NULL);
        assert_unreachable(s);
        store_close(s);
        assert_true(file_remove_tree(directory, NULL));
    }
}

static void file_gone_before_a_swap_stays_lost_until_reopened(void **state) {
    (void)state;
    struct store *s = open_store();
    char away[160];
    snprintf(away, sizeof away, "%s/away", directory);
    assert_outcome(try_swap(s, "k", NULL, "1"), STORE_DONE);
    assert_int_equal(rename(in_directory("store.db"), away), 0);
    assert_unreachable(s);
    assert_int_equal(rename(away, in_directory("store.db")), 0);
    assert_unreachable(s);
    store_close(s);
    s = open_store();
    assert_reads(s, "", "k=1");
    store_close(s);
}

static void deleted_file_is_noticed_and_not_made_again(void **state) {
    (void)state;
    struct store *s = open_store();
    assert_int_equal(unlink(in_directory("store.db")), 0);
    assert_unreachable(s);
    assert_false(file_exists(in_directory("store.db")));
    store_close(s);
}

/* --- commits that fail */

static void refused_commit_is_unknown_and_read_back_as_it_was(void **state) {
    (void)state;
    struct store *s = open_store_to_hurt();
    assert_outcome(try_swap(s, "k", NULL, "1"), STORE_DONE);
    sqlite3_commit_hook(opened, refuse_commit, NULL);
    assert_outcome(try_swap(s, "k", "1", "2"), STORE_UNKNOWN);
    assert_outcome(try_read(s, ""), STORE_FAILED); /* what is in the log could not be settled yet */
    sqlite3_commit_hook(opened, NULL, NULL);
    assert_reads(s, "", "k=1");
    assert_outcome(try_swap(s, "k", "1", "2"), STORE_DONE);
    store_close(s);
}

static int failing_syncs;
static int (*real_sync)(sqlite3_file *, int);
static int sync_fails(sqlite3_file *file, int flags) {
    if (failing_syncs == 0) return real_sync(file, flags);
    failing_syncs--;
    return SQLITE_IOERR_FSYNC;
}

static void break_syncs_of_the_log(int count) {
    static sqlite3_io_methods methods;
    sqlite3_file *wal = NULL;
    sqlite3_file_control(opened, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    methods = *wal->pMethods;
    real_sync = methods.xSync;
    methods.xSync = sync_fails;
    wal->pMethods = &methods;
    failing_syncs = count;
}

/* The swap is written to the log in full, but its fsync fails; reading back says "did not happen"; then power fails. */
static int read_back_and_die(int from_parent, int to_parent) {
    (void)from_parent;
    (void)to_parent;
    sqlite3_auto_extension((void (*)(void))remember_connection);
    struct store *s;
    if (!store_open_embedded(directory, &s, NULL, NULL)) return 1;
    if (try_swap(s, "k", NULL, "1").outcome != STORE_DONE) return 2;
    break_syncs_of_the_log(1);
    if (try_swap(s, "k", "1", "2").outcome != STORE_UNKNOWN) return 3;
    return str_eq(try_read(s, "").text, "k=1") ? 0 : 4;
}

static void what_was_read_back_after_an_unknown_commit_is_final(void **state) {
    (void)state;
    struct child c = start(read_back_and_die);
    assert_int_equal(finish(&c), 0);
    struct store *s = open_store();
    assert_reads(s, "", "k=1");
    store_close(s);
}

static void limit_file_size(rlim_t bytes) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A quota: the log cannot grow. */
static void failing_writes_name_the_file_and_heal(void **state) {
    (void)state;
    struct store *s = open_store();
    struct stat st;
    assert_outcome(try_swap(s, "k", NULL, "1"), STORE_DONE);
    assert_int_equal(stat(in_directory("store.db-wal"), &st), 0);
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    limit_file_size((rlim_t)st.st_size);
    struct seen unknown = try_swap(s, "k", "1", "2"), later = try_swap(s, "k", "1", "2"), read = try_read(s, "");
    limit_file_size(RLIM_INFINITY);
    signal(SIGXFSZ, before);
    assert_outcome(unknown, STORE_UNKNOWN);
    assert_outcome(later, STORE_FAILED);
    assert_outcome(read, STORE_FAILED);
    assert_non_null(strstr(later.err.text, in_directory("store.db")));
    assert_non_null(strstr(later.err.text, "quota"));
    assert_reads(s, "", "k=1");
    assert_outcome(try_swap(s, "k", "1", "2"), STORE_DONE);
    store_close(s);
}

/* Fills a small file system of its own; 100: may not mount here. */
static int fill_the_disk(int from_parent, int to_parent) {
    (void)from_parent;
    (void)to_parent;
    char *value = rt_alloc(STORE_VALUE_MAX + 1);
    struct store *s;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return 100;
    if (mount("none", directory, "tmpfs", 0, "size=1m") != 0) return 100;
    if (!store_open_embedded(directory, &s, NULL, NULL)) return 1;
    memset(value, 'v', STORE_VALUE_MAX);
    struct seen seen = {0};
    char key[16];
    for (int i = 0; i < 16 && seen.outcome == STORE_DONE; i++) {
        snprintf(key, sizeof key, "k%d", i);
        seen = try_swap(s, key, NULL, value);
    }
    if (seen.outcome != STORE_UNKNOWN || !strstr(seen.err.text, "no space") || !strstr(seen.err.text, directory)) return 2;
    seen = try_read(s, key);
    return seen.outcome == STORE_DONE && seen.count == 0 ? 0 : 3;
}

static void full_disk_is_named_and_nothing_half_written(void **state) {
    (void)state;
    struct child c = start(fill_the_disk);
    int code = finish(&c);
    if (code == 100) print_message("full disk: not tried, only root can mount one\n");
    else assert_int_equal(code, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define X(rule) in_a_directory(embedded_##rule),
        STORE_RULES(X)
#undef X
        in_a_directory(reopened_store_has_kept_everything),
        in_a_directory(two_processes_compete_and_each_swap_has_one_winner),
        in_a_directory(many_may_open_a_new_store_at_once),
        in_a_directory(killed_process_leaves_whole_swaps),
        in_a_directory(held_lock_fails_a_swap_within_the_deadline_and_no_read),
        in_a_directory(watch_fires_when_another_process_has_committed),
        in_a_directory(file_renamed_during_a_swap_makes_it_unknown),
        in_a_directory(file_gone_before_a_swap_stays_lost_until_reopened),
        in_a_directory(deleted_file_is_noticed_and_not_made_again),
        in_a_directory(refused_commit_is_unknown_and_read_back_as_it_was),
        in_a_directory(what_was_read_back_after_an_unknown_commit_is_final),
        in_a_directory(failing_writes_name_the_file_and_heal),
        in_a_directory(full_disk_is_named_and_nothing_half_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
