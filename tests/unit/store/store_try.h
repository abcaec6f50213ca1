/* Short words for the tests of the stores: one call, its answer copied. */
#ifndef TESTS_STORE_TRY_H
#define TESTS_STORE_TRY_H
#include "rt/clock.h"
#include "rt/file.h"
#include "store/store.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants some of those first */
#include <cmocka.h>

#define TRY_MS 5000

struct seen {
    enum store_outcome outcome;
    struct err err;
    size_t count;
    int64_t revision;
    char text[512]; /* "key=value key=value", cut off where it does not fit */
};

static inline void see(void *context, const struct store_answer *answer) {
    struct seen *seen = context;
    STRBUF text = {.limit = sizeof seen->text - 1};
    *seen = (struct seen){.outcome = answer->outcome, .err = answer->err, .count = answer->count, .revision = answer->revision};
    for (size_t i = 0; i < answer->count; i++) {
        const struct store_entry *entry = &answer->entries[i];
        strbuf_addf(&text, "%s%s=%.*s", i ? " " : "", entry->key, (int)entry->value.len, entry->value.at);
    }
    if (text.at) str_copy(seen->text, sizeof seen->text, text.at);
}

static inline struct bytes bytes_of(const char *text) {
    return (struct bytes){text, text ? strlen(text) : 0};
}

static inline struct seen try_swaps(struct store *s, const struct store_op *ops, size_t count) {
    struct seen seen = {.outcome = STORE_FAILED};
    str_copy(seen.err.text, sizeof seen.err.text, "no answer");
    store_swap(s, ops, count, clock_boot_ms() + TRY_MS, see, &seen);
    return seen;
}

/* NULL: absent. */
static inline struct seen try_swap(struct store *s, const char *key, const char *expect, const char *value) {
    const struct store_op op = {key, bytes_of(expect), bytes_of(value)};
    return try_swaps(s, &op, 1);
}

static inline struct seen try_read(struct store *s, const char *prefix) {
    struct seen seen = {.outcome = STORE_FAILED};
    str_copy(seen.err.text, sizeof seen.err.text, "no answer");
    store_read(s, prefix, clock_boot_ms() + TRY_MS, see, &seen);
    return seen;
}

#define assert_outcome(seen_, outcome_)                                                                                \
    do {                                                                                                               \
        struct seen s_ = (seen_);                                                                                      \
        if (s_.outcome != (outcome_)) fail_msg("outcome %d instead of %d: %s", (int)s_.outcome, (int)(outcome_), s_.err.text); \
    } while (0)
#define assert_reads(store_, prefix_, text_)                                                                           \
    do {                                                                                                               \
        struct seen r_ = try_read(store_, prefix_);                                                                    \
        assert_outcome(r_, STORE_DONE);                                                                                \
        assert_string_equal(r_.text, text_);                                                                           \
    } while (0)

#endif
