/* What a comparison of a swap means; shared by the backends. */
#ifndef STORE_STORE_OP_H
#define STORE_STORE_OP_H
#include "store/store.h"
#include <string.h>

/* Does the key, which holds `now` (at NULL: is absent), have what the op expects? */
static inline bool store_op_holds(const struct store_op *op, struct bytes now) {
    if (!op->expect.at || !now.at) return !op->expect.at && !now.at;
    return op->expect.len == now.len && memcmp(op->expect.at, now.at, now.len) == 0;
}

/* False when the op only compares. */
static inline bool store_op_writes(const struct store_op *op) {
    return op->value.at != op->expect.at;
}
#endif
