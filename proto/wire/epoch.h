/* Epochs (protocol 2.1): (generation, step, site), compared in that order, sites by the bytes of their names. A planned
 * move adds a step, a forced one adds a generation and sets step 0. Pure. */
#ifndef WIRE_EPOCH_H
#define WIRE_EPOCH_H
#include "rt/field.h"

#define NAME_MAX_BYTES 32 /* cluster, site and member names: [a-z][a-z0-9-]{0,30} and NUL */
struct epoch {
    int64_t generation, step;
    char site[NAME_MAX_BYTES];
};
#define EPOCH_TEXT_MAX 80
int epoch_compare(const struct epoch *a, const struct epoch *b); /* <0, 0, >0; the zero epoch is below all */
bool epoch_is_zero(const struct epoch *e);
void epoch_format(const struct epoch *e, char to[EPOCH_TEXT_MAX]);       /* "1.0@ams": documents, logs; "" for zero */
void epoch_format_short(const struct epoch *e, char to[EPOCH_TEXT_MAX]); /* "1.0": for people */
bool epoch_parse(const char *text, struct epoch *e);
extern const struct field_codec field_epoch;
bool name_is_valid(const char *name); /* [a-z][a-z0-9-]{0,30} */
#endif
