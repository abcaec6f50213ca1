/* The journal: what was put is there after a restart, all of it or nothing; a stranger in the store is noticed. And the
 * audit log on it: a chain that cannot be mended unseen. */
#include "coordinator/audit.h"
#include "rt/clock.h"
#include "rt/file.h"
#include "store/store.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char directory[64];

static struct journal *open_journal(bool *fresh) {
    struct journal *j = NULL;
    struct err err = {0};
    if (!journal_open(directory, &j, fresh, &err))
        fail_msg("%s", err.text);
    return j;
}

static void commit(struct journal *j) {
    struct err err = {0};
    if (!journal_commit(j, &err))
        fail_msg("%s", err.text);
}

static int make_directory(void **state) {
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/pgregent-journal-%d", (int)getpid());
    return 0;
}
static int remove_directory(void **state) {
    struct err err = {0};
    (void)state;
    return file_remove_tree(directory, &err) ? 0 : -1;
}

static void what_was_committed_is_there_after_a_restart(void **state) {
    bool fresh;
    struct journal *j = open_journal(&fresh);
    (void)state;
    assert_true(fresh);
    journal_put(j, "cluster/orders/marks", "1");
    journal_put(j, "term", "7");
    commit(j);
    journal_put(j, "term", "8");
    journal_put(j, "cluster/orders/marks", NULL);
    assert_string_equal(journal_get(j, "term"), "8"); /* read as it will be */
    assert_null(journal_get(j, "cluster/orders/marks"));
    journal_close(j); /* died before the commit */
    j = open_journal(&fresh);
    assert_false(fresh);
    assert_string_equal(journal_get(j, "term"), "7");
    assert_string_equal(journal_get(j, "cluster/orders/marks"), "1");
    journal_close(j);
}

static void more_changes_than_one_swap_holds_are_all_written(void **state) {
    bool fresh;
    struct journal *j = open_journal(&fresh);
    char key[64];
    (void)state;
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "cluster/many/%02d", i);
        journal_put(j, key, "x");
    }
    assert_true(journal_is_dirty(j));
    commit(j);
    assert_false(journal_is_dirty(j));
    journal_close(j);
    j = open_journal(&fresh);
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "cluster/many/%02d", i);
        assert_string_equal(journal_get(j, key), "x");
        journal_put(j, key, NULL);
    }
    commit(j);
    assert_null(journal_get(j, "cluster/many/07"));
    journal_close(j);
}

static void a_value_put_back_before_the_commit_is_no_loss(void **state) {
    bool fresh;
    struct journal *j = open_journal(&fresh);
    (void)state;
    journal_put(j, "back", "1");
    commit(j);
    journal_put(j, "back", "2");
    journal_put(j, "back", "1");
    commit(j);
    journal_put(j, "gone", "1");
    journal_put(j, "gone", NULL);
    commit(j);
    assert_string_equal(journal_get(j, "back"), "1");
    assert_null(journal_get(j, "gone"));
    journal_close(j);
}

static void only_one_process_writes_a_journal(void **state) {
    bool fresh;
    struct journal *j = open_journal(&fresh), *second = NULL;
    struct err err = {0};
    (void)state;
    assert_false(journal_open(directory, &second, &fresh, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    journal_close(j);
}

static void on_done(void *context, const struct store_answer *answer) { *(enum store_outcome *)context = answer->outcome; }

/* Writes past the journal, as a restored backup or a curious person would. */
static void write_behind_its_back(const char *key, const char *was, const char *is) {
    struct store *s = NULL;
    struct err err = {0};
    enum store_outcome outcome = STORE_FAILED;
    if (!store_open_embedded(directory, &s, NULL, &err))
        fail_msg("%s", err.text);
    struct store_op op = {.key = key, .expect = {was, was ? strlen(was) : 0}, .value = {is, strlen(is)}};
    store_swap(s, &op, 1, clock_boot_ms() + 1000, on_done, &outcome);
    store_close(s);
    assert_int_equal(outcome, STORE_DONE);
}

static void a_stranger_in_the_store_is_noticed(void **state) {
    bool fresh;
    struct journal *j = open_journal(&fresh);
    struct err err = {0};
    (void)state;
    journal_put(j, "mine", "1");
    commit(j);
    write_behind_its_back("mine", "1", "theirs");
    journal_put(j, "mine", "2");
    assert_false(journal_commit(j, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    journal_close(j);
}

/* ---- audit ---- */

static void add_records(struct audit *a, int count) {
    for (int i = 0; i < count; i++) {
        struct audit_record r = {.actor = "alice", .what = "operation started", .cluster = "orders"};
        audit_add(a, &r);
    }
}

static void verify(struct journal *j, int64_t records, const char *problem) {
    STRBUF problems = {0};
    struct err err = {0};
    int64_t count = 0;
    assert_true(audit_verify(j, &count, &problems, &err));
    assert_int_equal(count, records);
    if (!problem)
        assert_string_equal(problems.at ? problems.at : "", "");
    else
        assert_non_null(strstr(problems.at ? problems.at : "", problem));
}

static char *first_record;
static void keep_first(void *context, const char *key, struct bytes value) {
    (void)context;
    if (str_eq(key, "audit/0000000000000001")) {
        first_record = rt_alloc(value.len + 1);
        memcpy(first_record, value.at, value.len);
    }
}

static void the_audit_chain_goes_on_after_a_restart_and_shows_a_changed_record(void **state) {
    bool fresh;
    struct audit a;
    struct err err = {0};
    struct journal *j = open_journal(&fresh);
    (void)state;
    assert_true(audit_open(&a, j, &err));
    add_records(&a, 3);
    commit(j);
    journal_close(j);
    j = open_journal(&fresh);
    assert_true(audit_open(&a, j, &err));
    assert_int_equal(a.n, 3);
    add_records(&a, 2);
    commit(j);
    verify(j, 5, NULL);
    assert_true(journal_read_audit(j, keep_first, NULL, &err));
    RT_AUTO char *changed = rt_strdup(first_record);
    *strstr(changed, "alice") = 'm'; /* malice */
    write_behind_its_back("audit/0000000000000001", first_record, changed);
    rt_free(first_record);
    verify(j, 5, "audit/0000000000000002: does not follow");
    journal_close(j);
}

/* The head is written with the first swap of a long commit: a death after it leaves a head that names too much. */
static void an_audit_log_that_was_cut_short_goes_on_and_says_so(void **state) {
    bool fresh;
    struct audit a;
    struct err err = {0};
    struct journal *j = open_journal(&fresh);
    (void)state;
    assert_true(audit_open(&a, j, &err));
    add_records(&a, 2);
    commit(j);
    RT_AUTO char *head = rt_strdup(journal_get(j, "audit-head"));
    journal_close(j);
    write_behind_its_back("audit-head", head, "{\"n\":4,\"hash\":\"00\"}");
    j = open_journal(&fresh);
    verify(j, 2, "should be number 4");
    assert_true(audit_open(&a, j, &err));
    assert_int_equal(a.n, 2);
    assert_int_equal(a.lost, 2);
    add_records(&a, 1);
    commit(j);
    verify(j, 3, NULL);
    journal_close(j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_committed_is_there_after_a_restart, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(more_changes_than_one_swap_holds_are_all_written, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_value_put_back_before_the_commit_is_no_loss, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(only_one_process_writes_a_journal, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_stranger_in_the_store_is_noticed, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(an_audit_log_that_was_cut_short_goes_on_and_says_so, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(the_audit_chain_goes_on_after_a_restart_and_shows_a_changed_record, make_directory, remove_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
