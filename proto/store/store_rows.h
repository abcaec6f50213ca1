/* What a read hands to its callback: copies of keys and values, so that the callback may swap while it looks at them. */
#ifndef STORE_STORE_ROWS_H
#define STORE_STORE_ROWS_H
#include "store/store.h"

/* Zero-initialise. Keys must be added in order. */
struct store_rows {
    struct strbuf memory; /* key NUL value NUL, one after the other */
    struct store_entry *entries;
    size_t count, capacity;
};
void store_rows_add(struct store_rows *rows, const char *key, struct bytes value);
/* Now the entries may be used, until store_rows_free. ERR_LIMIT when there was more than fits (64 MiB). */
bool store_rows_finish(struct store_rows *rows, struct err *err);
void store_rows_free(struct store_rows *rows);
#define STORE_ROWS __attribute__((cleanup(store_rows_free))) struct store_rows
#endif
