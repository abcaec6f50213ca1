/* The store in memory, for tests of what uses a store: the rules of store.h without a disk, and faults on demand. */
#include "store/store.h"
#include "store/store_op.h"
#include "store/store_rows.h"
#include <assert.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MEMORY_ENTRIES_MAX 1024

struct memory_entry {
    char *key, *value;
    size_t len;
};
struct memory {
    struct store base;
    struct memory_entry entries[MEMORY_ENTRIES_MAX]; /* sorted by key */
    size_t count;
    int64_t revision;
    int watch_fd;
    int fault_count;
    enum store_outcome fault;
    bool fault_applied;
};

static struct memory *memory_of(struct store *s) {
    return (struct memory *)s; /* base is its first member */
}

/* Where the key is, or where it would have to go. */
static size_t place_of(const struct memory *m, const char *key) {
    size_t i = 0;
    while (i < m->count && strcmp(m->entries[i].key, key) < 0) i++;
    return i;
}

static bool is_at(const struct memory *m, size_t place, const char *key) {
    return place < m->count && str_eq(m->entries[place].key, key);
}

static struct bytes value_of(const struct memory *m, const char *key) {
    size_t place = place_of(m, key);
    if (!is_at(m, place, key)) return (struct bytes){NULL, 0};
    return (struct bytes){m->entries[place].value, m->entries[place].len};
}

static void drop(struct memory *m, const char *key) {
    size_t place = place_of(m, key);
    if (!is_at(m, place, key)) return;
    rt_free(m->entries[place].key);
    rt_free(m->entries[place].value);
    m->count--;
    memmove(&m->entries[place], &m->entries[place + 1], (m->count - place) * sizeof *m->entries);
}

static void put(struct memory *m, const char *key, struct bytes value) {
    struct memory_entry entry = {.key = rt_strdup(key), .value = rt_alloc(value.len + 1), .len = value.len};
    memcpy(entry.value, value.at, value.len);
    drop(m, key);
    assert(m->count < MEMORY_ENTRIES_MAX);
    size_t place = place_of(m, key);
    memmove(&m->entries[place + 1], &m->entries[place], (m->count - place) * sizeof *m->entries);
    m->entries[place] = entry;
    m->count++;
}

static bool all_hold(const struct memory *m, const struct store_op *ops, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!store_op_holds(&ops[i], value_of(m, ops[i].key))) return false;
    return true;
}

static void apply(struct memory *m, const struct store_op *ops, size_t count) {
    bool changed = false;
    for (size_t i = 0; i < count; i++) {
        if (!store_op_writes(&ops[i])) continue;
        if (ops[i].value.at)
            put(m, ops[i].key, ops[i].value);
        else
            drop(m, ops[i].key);
        changed = true;
    }
    if (!changed) return;
    m->revision++;
    if (m->watch_fd >= 0) (void)eventfd_write(m->watch_fd, 1);
}

static enum store_outcome swap_by_rules(struct memory *m, const struct store_op *ops, size_t count) {
    if (!all_hold(m, ops, count)) return STORE_BEATEN;
    apply(m, ops, count);
    return STORE_DONE;
}

static void memory_swap(struct store *s, const struct store_op *ops, size_t count, int64_t deadline_boot_ms, store_done *done, void *context) {
    (void)deadline_boot_ms; /* nothing here takes time */
    struct memory *m = memory_of(s);
    struct store_answer answer = {0};
    if (m->fault_count > 0) {
        m->fault_count--;
        if (m->fault_applied) (void)swap_by_rules(m, ops, count);
        answer.outcome = m->fault;
        err_set(&answer.err, m->fault == STORE_UNKNOWN ? ERR_TIMEOUT : ERR_UNREACHABLE, "store in memory: fault switched on by the test");
    } else {
        answer.outcome = swap_by_rules(m, ops, count);
        answer.revision = m->revision;
    }
    done(context, &answer);
}

static void memory_read(struct store *s, const char *prefix, int64_t deadline_boot_ms, store_done *done, void *context) {
    (void)deadline_boot_ms;
    const struct memory *m = memory_of(s);
    STORE_ROWS rows = {0};
    struct store_answer answer = {.revision = m->revision};
    for (size_t i = place_of(m, prefix); i < m->count && str_starts(m->entries[i].key, prefix); i++)
        store_rows_add(&rows, m->entries[i].key, (struct bytes){m->entries[i].value, m->entries[i].len});
    answer.outcome = store_rows_finish(&rows, &answer.err) ? STORE_DONE : STORE_FAILED;
    answer.entries = rows.entries;
    answer.count = rows.count;
    done(context, &answer);
}

static int memory_watch_fd(const struct store *s) {
    return ((const struct memory *)s)->watch_fd;
}

static void memory_watch_clear(struct store *s) {
    eventfd_t changes;
    if (memory_of(s)->watch_fd >= 0) (void)eventfd_read(memory_of(s)->watch_fd, &changes);
}

static void memory_close(struct store *s) {
    struct memory *m = memory_of(s);
    while (m->count > 0) drop(m, m->entries[m->count - 1].key);
    if (m->watch_fd >= 0) close(m->watch_fd);
    rt_free(m);
}

static const struct store_ops memory_ops = {memory_swap, memory_read, memory_watch_fd, memory_watch_clear, memory_close};

struct store *store_open_memory(void) {
    struct memory *m = rt_alloc(sizeof *m);
    m->base.ops = &memory_ops;
    m->watch_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return &m->base;
}

void store_memory_fault(struct store *s, int n, enum store_outcome outcome, bool applied) {
    struct memory *m = memory_of(s);
    assert(outcome == STORE_UNKNOWN || (outcome == STORE_FAILED && !applied));
    m->fault_count = n;
    m->fault = outcome;
    m->fault_applied = applied;
}
