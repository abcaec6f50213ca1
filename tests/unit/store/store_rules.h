/* What every store has to do, whatever it is made of. Each rule gets an empty store. */
#ifndef TESTS_STORE_RULES_H
#define TESTS_STORE_RULES_H
#include "store_try.h"
#include <poll.h>

static inline void swap_compares_the_whole_value(struct store *s) {
    assert_outcome(try_swap(s, "lease", NULL, "a"), STORE_DONE);
    assert_outcome(try_swap(s, "lease", NULL, "b"), STORE_BEATEN);
    assert_outcome(try_swap(s, "lease", "", "b"), STORE_BEATEN);
    assert_outcome(try_swap(s, "lease", "ab", "b"), STORE_BEATEN);
    assert_outcome(try_swap(s, "other", "a", "b"), STORE_BEATEN);
    assert_outcome(try_swap(s, "lease", "a", "b"), STORE_DONE);
    assert_reads(s, "", "lease=b");
    assert_outcome(try_swap(s, "lease", "b", NULL), STORE_DONE);
    assert_reads(s, "", "");
}

static inline void empty_value_is_not_absence(struct store *s) {
    assert_outcome(try_swap(s, "k", NULL, ""), STORE_DONE);
    assert_reads(s, "", "k=");
    assert_outcome(try_swap(s, "k", NULL, "x"), STORE_BEATEN);
    assert_outcome(try_swap(s, "k", "", "x"), STORE_DONE);
}

static inline void values_are_bytes(struct store *s) {
    static const char zeros[] = "a\0b", others[] = "a\0c";
    const struct store_op make = {"k", {NULL, 0}, {zeros, 3}};
    const struct store_op wrong = {"k", {others, 3}, {NULL, 0}};
    const struct store_op right = {"k", {zeros, 3}, {NULL, 0}};
    assert_outcome(try_swaps(s, &make, 1), STORE_DONE);
    assert_outcome(try_swaps(s, &wrong, 1), STORE_BEATEN);
    assert_outcome(try_swaps(s, &right, 1), STORE_DONE);
}

static inline void several_keys_change_together_or_not_at_all(struct store *s) {
    const char *same = "a";
    const struct store_op make[] = {{"a", {NULL, 0}, bytes_of("1")}, {"b", {NULL, 0}, bytes_of("1")}};
    const struct store_op beaten[] = {{"a", bytes_of("1"), bytes_of("2")}, {"b", bytes_of("0"), bytes_of("2")}, {"c", {NULL, 0}, bytes_of("2")}};
    const struct store_op guarded[] = {{"a", bytes_of("1"), {NULL, 0}}, {"b", bytes_of("1"), bytes_of("3")}, {"c", {NULL, 0}, {NULL, 0}}};
    assert_outcome(try_swaps(s, make, 2), STORE_DONE);
    assert_outcome(try_swaps(s, beaten, 3), STORE_BEATEN);
    assert_reads(s, "", "a=1 b=1");
    assert_outcome(try_swaps(s, guarded, 3), STORE_DONE);
    assert_reads(s, "", "b=3");
    const struct store_op compared[] = {{"b", bytes_of(same), bytes_of(same)}, {"d", {NULL, 0}, bytes_of("4")}};
    assert_outcome(try_swaps(s, compared, 2), STORE_BEATEN);
    assert_reads(s, "", "b=3");
}

static inline void read_gives_the_prefix_sorted(struct store *s) {
    static const char *const keys[] = {"site/b", "site", "site/a", "site-x", "sitf", "site/", "site0", "s", "zz"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) assert_outcome(try_swap(s, keys[i], NULL, "1"), STORE_DONE);
    assert_reads(s, "site/", "site/=1 site/a=1 site/b=1");
    assert_reads(s, "site", "site=1 site-x=1 site/=1 site/a=1 site/b=1 site0=1");
    assert_reads(s, "zz", "zz=1");
    assert_reads(s, "t", "");
    assert_int_equal(try_read(s, "").count, 9);
}

static inline void revision_grows_with_changes_only(struct store *s) {
    struct seen first = try_swap(s, "k", NULL, "1");
    assert_int_equal(try_read(s, "").revision, first.revision);
    assert_outcome(try_swap(s, "k", NULL, "2"), STORE_BEATEN);
    const struct store_op look = {"other", {NULL, 0}, {NULL, 0}};
    assert_outcome(try_swaps(s, &look, 1), STORE_DONE);
    assert_int_equal(try_read(s, "").revision, first.revision);
    struct seen second = try_swap(s, "k", "1", "2");
    assert_true(second.revision > first.revision);
    assert_int_equal(try_read(s, "").revision, second.revision);
}

static inline void assert_refused(struct seen seen, enum err_code code) {
    assert_outcome(seen, STORE_FAILED);
    if (seen.err.code != code) fail_msg("%s: %s", err_code_name(seen.err.code), seen.err.text);
}

static inline void limits_hold(struct store *s) {
    char key[STORE_KEY_MAX + 2], value_key[] = "v";
    char *value = rt_alloc(STORE_VALUE_MAX + 2);
    struct store_op many[STORE_SWAP_MAX + 1];
    char names[STORE_SWAP_MAX + 1][8];
    memset(key, 'k', sizeof key);
    memset(value, 'v', STORE_VALUE_MAX + 1);
    key[STORE_KEY_MAX + 1] = value[STORE_VALUE_MAX + 1] = '\0';
    assert_refused(try_swap(s, key, NULL, "x"), ERR_LIMIT);
    assert_refused(try_swap(s, value_key, NULL, value), ERR_LIMIT);
    key[STORE_KEY_MAX] = value[STORE_VALUE_MAX] = '\0';
    assert_outcome(try_swap(s, key, NULL, value), STORE_DONE);
    assert_outcome(try_swap(s, key, value, NULL), STORE_DONE);
    rt_free(value);
    for (size_t i = 0; i <= STORE_SWAP_MAX; i++) {
        snprintf(names[i], sizeof names[i], "n%zu", i);
        many[i] = (struct store_op){names[i], {NULL, 0}, bytes_of("1")};
    }
    assert_refused(try_swaps(s, many, STORE_SWAP_MAX + 1), ERR_LIMIT);
    assert_refused(try_swaps(s, many, 0), ERR_LIMIT);
    assert_outcome(try_swaps(s, many, STORE_SWAP_MAX), STORE_DONE);
    assert_int_equal(try_read(s, "n").count, STORE_SWAP_MAX);
}

static inline void wrong_calls_are_answered(struct store *s) {
    static const char *const bad[] = {"", "Key", "a b", "a\n", "a%", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_refused(try_swap(s, bad[i], NULL, "x"), ERR_INVALID);
    assert_refused(try_read(s, "A"), ERR_INVALID);
    const struct store_op twice[] = {{"a", {NULL, 0}, bytes_of("1")}, {"a", {NULL, 0}, bytes_of("2")}};
    assert_refused(try_swaps(s, twice, 2), ERR_INVALID);
    static const char value[] = "abc";
    const struct store_op part = {"a", {value, 3}, {value, 2}};
    assert_refused(try_swaps(s, &part, 1), ERR_INVALID);
    struct seen late;
    const struct store_op op = {"a", {NULL, 0}, bytes_of("1")};
    store_swap(s, &op, 1, clock_boot_ms() - 1, see, &late);
    assert_refused(late, ERR_UNREACHABLE);
    store_read(s, "", clock_boot_ms() - 1, see, &late);
    assert_refused(late, ERR_UNREACHABLE);
    assert_reads(s, "", "");
}

static inline bool is_readable(int fd, int timeout_ms) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

static inline void watch_tells_of_changes_only(struct store *s) {
    int fd = store_watch_fd(s);
    assert_true(fd >= 0);
    assert_outcome(try_swap(s, "k", NULL, "1"), STORE_DONE);
    assert_true(is_readable(fd, TRY_MS));
    store_watch_clear(s);
    assert_false(is_readable(fd, 0));
    assert_outcome(try_swap(s, "k", NULL, "2"), STORE_BEATEN);
    const struct store_op look = {"other", {NULL, 0}, {NULL, 0}};
    assert_outcome(try_swaps(s, &look, 1), STORE_DONE);
    assert_reads(s, "", "k=1");
    assert_false(is_readable(fd, 0));
}

/* The callback of a read swaps on what it was shown: the entries are its own until it returns. */
static inline void swap_inside_read(void *context, const struct store_answer *answer) {
    struct store *s = context;
    const struct store_op op = {answer->entries[0].key, answer->entries[0].value, {NULL, 0}};
    assert_outcome(try_swaps(s, &op, 1), STORE_DONE);
    assert_string_equal(answer->entries[0].key, "k");
    assert_memory_equal(answer->entries[0].value.at, "1", 1);
}
static inline void callback_may_swap(struct store *s) {
    assert_outcome(try_swap(s, "k", NULL, "1"), STORE_DONE);
    store_read(s, "", clock_boot_ms() + TRY_MS, swap_inside_read, s);
    assert_reads(s, "", "");
}

#define STORE_RULES(X)                                                                                                 \
    X(swap_compares_the_whole_value)                                                                                   \
    X(empty_value_is_not_absence)                                                                                      \
    X(values_are_bytes)                                                                                                \
    X(several_keys_change_together_or_not_at_all)                                                                      \
    X(read_gives_the_prefix_sorted)                                                                                    \
    X(revision_grows_with_changes_only)                                                                                \
    X(limits_hold)                                                                                                     \
    X(wrong_calls_are_answered)                                                                                        \
    X(watch_tells_of_changes_only)                                                                                     \
    X(callback_may_swap)

#endif
