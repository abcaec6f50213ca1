/* What the field_*.c files share. For them only. */
#ifndef RT_FIELD_INNER_H
#define RT_FIELD_INNER_H
#include "rt/field.h"
#include "rt/node_inner.h"

#define FIELD_COUNT_MAX 128 /* fields of one table */
#define FIELD_CUSTOM_TEXT_MAX 512
#define FIELD_WANTS_MAX 256

static inline void *field_at(const struct field *f, void *out) { return (char *)out + f->offset; }
static inline const void *field_in(const struct field *f, const void *in) { return (const char *)in + f->offset; }
/* Lists, maps: how many elements there are, never more than the array holds. */
uint32_t field_count(const struct field *f, const void *in);
void field_count_set(const struct field *f, void *out, uint32_t count);
bool field_has_count(const struct field *f);

/* Zero, empty, false; objects: absent, or all of it empty. */
bool field_is_empty(const struct field *f, const void *in);
void field_clear(const struct field *f, void *out);

/* What the field takes, as a noun: "a whole number from 1 to 65535", "one of off, on". */
void field_wants(const struct field *f, char to[FIELD_WANTS_MAX]);

/* TEXT, INT, BOOL, ENUM, CUSTOM: text to member; `kind` says how it was written. On failure `why` may hold what is
 * wanted in the codec's words. field_scalar_in_range comes second, so that a default may lie outside ("0: unset"). */
bool field_scalar_parse(const struct field *f, const char *text, enum node_scalar kind, void *out, struct err *why);
bool field_scalar_in_range(const struct field *f, const void *in);
#endif
