/* The store in memory keeps the rules of every store, and fails as it is told to. */
#include "store_rules.h"

#define X(rule)                                                                                                        \
    static void memory_##rule(void **state) {                                                                          \
        (void)state;                                                                                                   \
        struct store *s = store_open_memory();                                                                         \
        rule(s);                                                                                                       \
        store_close(s);                                                                                                \
    }
STORE_RULES(X)
#undef X

static void unknown_outcome_may_have_happened(void **state) {
    (void)state;
    struct store *s = store_open_memory();
    store_memory_fault(s, 1, STORE_UNKNOWN, true);
    assert_outcome(try_swap(s, "k", NULL, "1"), STORE_UNKNOWN);
    assert_reads(s, "", "k=1");
    store_memory_fault(s, 1, STORE_UNKNOWN, false);
    assert_outcome(try_swap(s, "k", "1", "2"), STORE_UNKNOWN);
    assert_reads(s, "", "k=1");
    store_close(s);
}

/* A fault does not make a swap succeed whose comparison fails. */
static void fault_respects_comparisons(void **state) {
    (void)state;
    struct store *s = store_open_memory();
    store_memory_fault(s, 1, STORE_UNKNOWN, true);
    assert_outcome(try_swap(s, "k", "0", "1"), STORE_UNKNOWN);
    assert_reads(s, "", "");
    store_close(s);
}

static void faults_end_after_their_number(void **state) {
    (void)state;
    struct store *s = store_open_memory();
    store_memory_fault(s, 2, STORE_FAILED, false);
    assert_outcome(try_swap(s, "k", NULL, "1"), STORE_FAILED);
    assert_outcome(try_swap(s, "k", NULL, "1"), STORE_FAILED);
    assert_outcome(try_swap(s, "k", NULL, "1"), STORE_DONE);
    store_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define X(rule) cmocka_unit_test(memory_##rule),
        STORE_RULES(X)
#undef X
        cmocka_unit_test(unknown_outcome_may_have_happened),
        cmocka_unit_test(fault_respects_comparisons),
        cmocka_unit_test(faults_end_after_their_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
