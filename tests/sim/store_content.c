/* The content of a store: a sorted list of keys, and the log of what each change replaced. */
#include "tests/sim/store_content.h"
#include "store/store_op.h"
#include <stdlib.h>
#include <string.h>

struct store_change {
    sim_time at;
    int64_t revision;
    const char *key;
    struct bytes before; /* at NULL: it was absent */
};

/* ---- rows ---- */

size_t store_content_place(const struct store_content_rows *rows, const char *key) {
    size_t low = 0, high = rows->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(rows->entries[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct store_entry *find(const struct store_content_rows *rows, const char *key) {
    size_t place = store_content_place(rows, key);
    return place < rows->count && str_eq(rows->entries[place].key, key) ? &rows->entries[place] : NULL;
}

static void insert(struct store_content_rows *rows, const char *key, struct bytes value) {
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity ? 2 * rows->capacity : 64;
        rows->entries = realloc(rows->entries, rows->capacity * sizeof *rows->entries);
        if (!rows->entries)
            abort();
    }
    struct store_entry *at = &rows->entries[store_content_place(rows, key)];
    memmove(at + 1, at, (size_t)(rows->entries + rows->count - at) * sizeof *at);
    *at = (struct store_entry){key, value};
    rows->count++;
}

void store_content_set(struct store_content_rows *rows, const char *key, struct bytes value) {
    struct store_entry *known = find(rows, key);
    if (known && value.at)
        known->value = value;
    else if (known)
        memmove(known, known + 1, (size_t)(rows->entries + --rows->count - known) * sizeof *known);
    else if (value.at)
        insert(rows, key, value);
}

static struct store_content_rows *copy_rows(const struct store_content_rows *rows) {
    struct store_content_rows *copy = rt_alloc(sizeof *copy);
    *copy = (struct store_content_rows){.count = rows->count, .capacity = rows->count + 8};
    copy->entries = rt_alloc(copy->capacity * sizeof *copy->entries);
    if (rows->count)
        memcpy(copy->entries, rows->entries, rows->count * sizeof *copy->entries);
    return copy;
}

void store_content_release(struct store_content_rows *rows) {
    rows->readers--;
    if (!rows->is_private)
        return;
    free(rows->entries);
    rt_free(rows);
}

/* ---- content ---- */

struct store_content *store_content_new(void) {
    struct store_content *c = rt_alloc(sizeof *c);
    c->rows = rt_alloc(sizeof *c->rows);
    return c;
}

struct bytes store_content_get(const struct store_content *c, const char *key) {
    const struct store_entry *e = find(c->rows, key);
    return e ? e->value : (struct bytes){NULL, 0};
}

bool store_content_holds(const struct store_content *c, const struct store_op *ops, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!store_op_holds(&ops[i], store_content_get(c, ops[i].key)))
            return false;
    return true;
}

static void note_change(struct store_content *c, const char *key, struct bytes before) {
    if (c->change_count == c->change_capacity) {
        c->change_capacity = c->change_capacity ? 2 * c->change_capacity : 256;
        c->changes = realloc(c->changes, c->change_capacity * sizeof *c->changes);
        if (!c->changes)
            abort();
    }
    c->changes[c->change_count++] = (struct store_change){sim_now, c->revision, key, before};
}

static struct bytes keep(struct bytes value) {
    if (!value.at)
        return value;
    char *copy = rt_alloc(value.len + 1);
    memcpy(copy, value.at, value.len);
    return (struct bytes){copy, value.len};
}

static void write_op(struct store_content *c, const struct store_op *op) {
    const struct store_entry *known = find(c->rows, op->key);
    if (!known && !op->value.at)
        return;
    const char *key = known ? known->key : rt_strdup(op->key);
    note_change(c, key, known ? known->value : (struct bytes){NULL, 0});
    store_content_set(c->rows, key, keep(op->value));
}

bool store_content_apply(struct store_content *c, const struct store_op *ops, size_t count) {
    size_t writes = 0;
    for (size_t i = 0; i < count; i++)
        writes += store_op_writes(&ops[i]);
    if (!writes)
        return false;
    if (c->rows->readers)
        c->rows = copy_rows(c->rows);
    c->revision++;
    for (size_t i = 0; i < count; i++)
        if (store_op_writes(&ops[i]))
            write_op(c, &ops[i]);
    return true;
}

/* ---- how it was ---- */

struct store_content_rows *store_content_as_of(const struct store_content *c, int64_t revision) {
    struct store_content_rows *rows = copy_rows(c->rows);
    for (size_t i = c->change_count; i > 0 && c->changes[i - 1].revision > revision; i--)
        store_content_set(rows, c->changes[i - 1].key, c->changes[i - 1].before);
    return rows;
}

int64_t store_content_revision_at(const struct store_content *c, sim_time when) {
    int64_t revision = c->revision;
    for (size_t i = c->change_count; i > 0 && c->changes[i - 1].at > when; i--)
        revision = c->changes[i - 1].revision - 1;
    return revision;
}

/* In the log it stands as a change of every key that it had or has. */
void store_content_put_back(struct store_content *c, struct store_content_rows *rows) {
    c->restored = ++c->revision;
    for (size_t i = 0; i < c->rows->count; i++)
        note_change(c, c->rows->entries[i].key, c->rows->entries[i].value);
    for (size_t i = 0; i < rows->count; i++)
        if (!find(c->rows, rows->entries[i].key))
            note_change(c, rows->entries[i].key, (struct bytes){NULL, 0});
    c->rows = rows;
}
