/* Rows are collected in one growing buffer, which moves as it grows: pointers into it are set at the end. */
#include "store/store_rows.h"
#include <string.h>

#define ROWS_FIRST 16

static void make_room(struct store_rows *rows) {
    if (rows->count < rows->capacity) return;
    size_t capacity = rows->capacity ? 2 * rows->capacity : ROWS_FIRST;
    struct store_entry *entries = rt_alloc(capacity * sizeof *entries);
    if (rows->count) memcpy(entries, rows->entries, rows->count * sizeof *entries);
    rt_free(rows->entries);
    rows->entries = entries;
    rows->capacity = capacity;
}

void store_rows_add(struct store_rows *rows, const char *key, struct bytes value) {
    make_room(rows);
    strbuf_add_bytes(&rows->memory, key, strlen(key) + 1);
    strbuf_add_bytes(&rows->memory, value.at, value.len);
    strbuf_add_bytes(&rows->memory, "", 1);
    rows->entries[rows->count++].value.len = value.len;
}

bool store_rows_finish(struct store_rows *rows, struct err *err) {
    if (rows->memory.overflow) return err_set(err, ERR_LIMIT, "store: more than can be read at once");
    const char *at = rows->memory.at;
    for (size_t i = 0; i < rows->count; i++) {
        struct store_entry *entry = &rows->entries[i];
        entry->key = at;
        entry->value.at = at + strlen(at) + 1;
        at = entry->value.at + entry->value.len + 1;
    }
    return true;
}

void store_rows_free(struct store_rows *rows) {
    strbuf_free(&rows->memory);
    rt_free(rows->entries);
    *rows = (struct store_rows){0};
}
