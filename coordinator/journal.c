/* The journal: a copy of the store's keys in memory, and a list of changes that the next commit writes, in one swap or in
 * several. A swap that was sent is sent unchanged until its outcome is known: only then does one key tell for all. */
#include "coordinator/journal.h"
#include "rt/clock.h"
#include "rt/failpoint.h"
#include "rt/file.h"
#include "store/store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMIT_DEADLINE_MS 5000
#define AUDIT_PREFIX "audit/"

_Static_assert(JOURNAL_VALUE_MAX == STORE_VALUE_MAX, "a value of the journal is one of the store");

struct journal_key {
    char key[STORE_KEY_MAX + 1];
    char *stored; /* what the store has; NULL: nothing */
    char *wanted; /* what it shall have after the commit */
    char *sent;   /* what the swap under way gives it */
    bool changed, keep, sending;
};
struct journal {
    struct store *store;
    int lock;
    struct journal_key *keys; /* sorted by name */
    size_t count, capacity;
    size_t changes;
    size_t sending; /* keys of the swap under way, or of unknown outcome */
};

static size_t find(const struct journal *j, const char *key, bool *found) {
    size_t low = 0, high = j->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(j->keys[middle].key, key);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

static struct journal_key *add(struct journal *j, const char *key) {
    bool found;
    size_t at = find(j, key, &found);
    if (found)
        return &j->keys[at];
    if (j->count == j->capacity) {
        size_t capacity = j->capacity ? j->capacity * 2 : 64;
        struct journal_key *grown = rt_alloc(capacity * sizeof *grown);
        if (j->count)
            memcpy(grown, j->keys, j->count * sizeof *grown);
        rt_free(j->keys);
        j->keys = grown;
        j->capacity = capacity;
    }
    memmove(j->keys + at + 1, j->keys + at, (j->count - at) * sizeof j->keys[0]);
    j->count++;
    j->keys[at] = (struct journal_key){.keep = true};
    str_copy(j->keys[at].key, sizeof j->keys[at].key, key);
    return &j->keys[at];
}

static void drop(struct journal *j, size_t at) {
    rt_free(j->keys[at].stored);
    rt_free(j->keys[at].wanted);
    rt_free(j->keys[at].sent);
    memmove(j->keys + at, j->keys + at + 1, (j->count - at - 1) * sizeof j->keys[0]);
    j->count--;
}

/* ---- opening ---- */

struct loading {
    struct journal *journal;
    struct err err;
    bool ok;
    size_t count;
};

static char *copy(struct bytes value) {
    char *text = rt_alloc(value.len + 1);
    memcpy(text, value.at, value.len);
    return text;
}

static void on_loaded(void *context, const struct store_answer *answer) {
    struct loading *l = context;
    l->ok = answer->outcome == STORE_DONE;
    l->err = answer->err;
    l->count += answer->count;
    for (size_t i = 0; l->ok && i < answer->count; i++) {
        struct journal_key *k = add(l->journal, answer->entries[i].key);
        k->stored = copy(answer->entries[i].value);
        k->wanted = copy(answer->entries[i].value);
    }
}

/* The audit records are many, and read only to be verified. */
static const char *const kept[] = {"audit-head", "cluster/", "term"};

bool journal_open(const char *directory, struct journal **out, bool *fresh, struct err *err) {
    struct journal *j = rt_alloc(sizeof *j);
    j->lock = -1;
    char lock[600];
    snprintf(lock, sizeof lock, "%s/coordinator.lock", directory);
    struct loading l = {.journal = j, .ok = true};
    if (!file_mkdirs(directory, 0700, err) || !file_lock(lock, &j->lock, err) || !store_open_embedded(directory, &j->store, NULL, err)) {
        journal_close(j);
        return false;
    }
    for (size_t i = 0; l.ok && i < sizeof kept / sizeof kept[0]; i++)
        store_read(j->store, kept[i], clock_boot_ms() + COMMIT_DEADLINE_MS, on_loaded, &l);
    if (!l.ok) {
        err_set(err, l.err.code, "read the journal: %s", l.err.text);
        journal_close(j);
        return false;
    }
    *fresh = l.count == 0;
    *out = j;
    return true;
}

void journal_close(struct journal *j) {
    if (!j)
        return;
    while (j->count)
        drop(j, j->count - 1);
    rt_free(j->keys);
    if (j->store)
        store_close(j->store);
    file_close_cleanup(&j->lock);
    rt_free(j);
}

/* ---- reading and putting ---- */

const char *journal_get(const struct journal *j, const char *key) {
    bool found;
    size_t at = find(j, key, &found);
    return found ? j->keys[at].wanted : NULL;
}

void journal_each(const struct journal *j, const char *prefix, void (*call)(void *, const char *, const char *), void *context) {
    bool found;
    for (size_t i = find(j, prefix, &found); i < j->count && str_starts(j->keys[i].key, prefix); i++)
        if (j->keys[i].wanted)
            call(context, j->keys[i].key, j->keys[i].wanted);
}

static void put(struct journal *j, const char *key, const char *value, bool keep) {
    struct journal_key *k = add(j, key);
    if (str_eq(k->wanted, value))
        return;
    rt_free(k->wanted);
    k->wanted = value ? rt_strdup(value) : NULL;
    k->keep = keep;
    if (!k->changed)
        j->changes++;
    k->changed = true;
}
void journal_put(struct journal *j, const char *key, const char *value) { put(j, key, value, true); }
void journal_append(struct journal *j, const char *key, const char *value) { put(j, key, value, false); }
bool journal_is_dirty(const struct journal *j) { return j->changes > 0; }

/* ---- committing ---- */

static struct bytes text_bytes(const char *text) { return text ? (struct bytes){text, strlen(text)} : (struct bytes){NULL, 0}; }

/* What was put back before it was sent is no change. */
static void choose(struct journal *j) {
    for (size_t i = 0; i < j->count && j->sending < STORE_SWAP_MAX; i++) {
        struct journal_key *k = &j->keys[i];
        if (!k->changed || str_eq(k->stored, k->wanted))
            continue;
        k->sending = true;
        k->sent = k->wanted ? rt_strdup(k->wanted) : NULL;
        j->sending++;
    }
}

static size_t collect(const struct journal *j, struct store_op ops[STORE_SWAP_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < j->count; i++)
        if (j->keys[i].sending)
            ops[count++] = (struct store_op){j->keys[i].key, text_bytes(j->keys[i].stored), text_bytes(j->keys[i].sent)};
    return count;
}

/* Written: what was sent is what the store has now. */
static void settle(struct journal *j) {
    for (size_t i = 0; i < j->count; i++) {
        struct journal_key *k = &j->keys[i];
        if (!k->sending)
            continue;
        rt_free(k->stored);
        k->stored = k->sent;
        k->sent = NULL;
        k->sending = false;
    }
    j->sending = 0;
}

/* Changes that are none any more, and keys that nobody will ask for again. */
static void tidy(struct journal *j) {
    for (size_t i = j->count; i > 0; i--) {
        struct journal_key *k = &j->keys[i - 1];
        if (k->changed && str_eq(k->stored, k->wanted)) {
            k->changed = false;
            j->changes--;
        }
        if (!k->changed && (!k->wanted || !k->keep))
            drop(j, i - 1);
    }
}

struct checking {
    const struct store_op *op;
    bool is_sent, is_stored;
    enum store_outcome outcome;
    struct err err;
};
static bool same_bytes(struct bytes a, struct bytes b) { return !a.at == !b.at && a.len == b.len && (!a.at || !memcmp(a.at, b.at, a.len)); }
static void on_checked(void *context, const struct store_answer *answer) {
    struct checking *c = context;
    struct bytes now = {NULL, 0};
    for (size_t i = 0; i < answer->count; i++)
        if (str_eq(answer->entries[i].key, c->op->key))
            now = answer->entries[i].value;
    c->outcome = answer->outcome;
    c->err = answer->err;
    c->is_sent = same_bytes(now, c->op->value);
    c->is_stored = same_bytes(now, c->op->expect);
}

/* A swap that was beaten, or whose outcome is unknown: reads back what became of a key of it, which tells for all. What
 * cannot be read tells nothing: the swap is sent again later. */
static bool read_back(struct journal *j, const struct store_op *op, bool *done, struct err *err) {
    struct checking c = {.op = op};
    store_read(j->store, op->key, clock_boot_ms() + COMMIT_DEADLINE_MS, on_checked, &c);
    if (c.outcome != STORE_DONE)
        return err_set(err, ERR_IO, "write the journal: the outcome is not known, and reading back: %s", c.err.text);
    *done = c.is_sent;
    return c.is_sent || c.is_stored || err_set(err, ERR_CONFLICT, "key %s is not what this coordinator wrote", op->key);
}

struct committing {
    enum store_outcome outcome;
    struct err err;
};
static void on_committed(void *context, const struct store_answer *answer) {
    struct committing *c = context;
    c->outcome = answer->outcome;
    c->err = answer->err;
}

static bool commit_some(struct journal *j, struct err *err) {
    struct store_op ops[STORE_SWAP_MAX];
    size_t count = collect(j, ops);
    struct committing c = {.outcome = STORE_UNKNOWN};
    FAILPOINT("journal-before-commit");
    store_swap(j->store, ops, count, clock_boot_ms() + COMMIT_DEADLINE_MS, on_committed, &c);
    FAILPOINT("journal-after-commit");
    bool done = c.outcome == STORE_DONE;
    if ((c.outcome == STORE_BEATEN || c.outcome == STORE_UNKNOWN) && !read_back(j, &ops[0], &done, err))
        return false;
    if (!done)
        return err_set(err, c.err.code == ERR_NONE || c.err.code == ERR_CONFLICT ? ERR_IO : c.err.code, "write the journal: %s", c.err.text);
    settle(j);
    return true;
}

bool journal_commit(struct journal *j, struct err *err) {
    while (j->changes) {
        if (!j->sending)
            choose(j);
        if (j->sending && !commit_some(j, err))
            return false;
        tidy(j);
    }
    return true;
}

/* ---- the audit records ---- */

struct fetching {
    const char *key;
    struct strbuf *to;
    bool ok, found;
    struct err err;
};
static void on_fetched(void *context, const struct store_answer *answer) {
    struct fetching *f = context;
    f->ok = answer->outcome == STORE_DONE;
    f->err = answer->err;
    for (size_t i = 0; f->ok && i < answer->count; i++)
        if (str_eq(answer->entries[i].key, f->key)) {
            strbuf_add_bytes(f->to, answer->entries[i].value.at, answer->entries[i].value.len);
            f->found = true;
        }
}

bool journal_read(struct journal *j, const char *key, struct strbuf *to, bool *found, struct err *err) {
    struct fetching f = {.key = key, .to = to};
    store_read(j->store, key, clock_boot_ms() + COMMIT_DEADLINE_MS, on_fetched, &f);
    *found = f.found;
    return f.ok || err_set(err, f.err.code, "read %s: %s", key, f.err.text);
}

struct reading {
    void (*call)(void *, const char *, struct bytes);
    void *context;
    bool ok;
    struct err err;
};
static void on_audit(void *context, const struct store_answer *answer) {
    struct reading *r = context;
    r->ok = answer->outcome == STORE_DONE;
    r->err = answer->err;
    for (size_t i = 0; r->ok && i < answer->count; i++)
        r->call(r->context, answer->entries[i].key, answer->entries[i].value);
}

bool journal_read_audit(struct journal *j, void (*call)(void *, const char *, struct bytes), void *context, struct err *err) {
    struct reading r = {.call = call, .context = context};
    store_read(j->store, AUDIT_PREFIX, clock_boot_ms() + COMMIT_DEADLINE_MS, on_audit, &r);
    return r.ok || err_set(err, r.err.code, "read the audit log: %s", r.err.text);
}
