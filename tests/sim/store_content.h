/* What a store holds, and held: sorted keys with their values, a revision, and every change so far, so that it can be seen
 * and put back as it was. No faults, no time passes here. For stores.c. */
#ifndef SIM_STORE_CONTENT_H
#define SIM_STORE_CONTENT_H
#include "store/store.h"
#include "tests/sim/sim.h"

/* Rows that a reader holds (`readers`) are left as they are: the next change makes new ones. Keys and values live as long as
 * the history; values end with a NUL. */
struct store_content_rows {
    struct store_entry *entries;
    size_t count, capacity;
    int readers;
    bool is_private; /* no store's: of the one reader, who ends it */
};
struct store_change;
struct store_content {
    struct store_content_rows *rows;
    int64_t revision;
    int64_t restored; /* revision at which it was put back last: what was before is not of this store */
    struct store_change *changes;
    size_t change_count, change_capacity;
};
struct store_content *store_content_new(void);
struct bytes store_content_get(const struct store_content *c, const char *key); /* at NULL: absent */
bool store_content_holds(const struct store_content *c, const struct store_op *ops, size_t count);
/* Writes all ops that write; false: none does, and nothing has changed. */
bool store_content_apply(struct store_content *c, const struct store_op *ops, size_t count);
/* Rows as of an earlier revision, for the caller alone. */
struct store_content_rows *store_content_as_of(const struct store_content *c, int64_t revision);
int64_t store_content_revision_at(const struct store_content *c, sim_time when);
void store_content_release(struct store_content_rows *rows); /* a reader is done with them */
/* From now on it holds these rows; its revision goes on growing. */
void store_content_put_back(struct store_content *c, struct store_content_rows *rows);
/* Key and value must last. value.at NULL: removed. */
void store_content_set(struct store_content_rows *rows, const char *key, struct bytes value);
size_t store_content_place(const struct store_content_rows *rows, const char *key); /* where it is or would be */
#endif
