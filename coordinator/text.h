/* Texts that loop thread and HTTP thread share: immutable, counted, freed by whoever lets go last. */
#ifndef COORDINATOR_TEXT_H
#define COORDINATOR_TEXT_H
#include "rt/str.h"
#include <stdatomic.h>

struct text {
    atomic_int refs;
    size_t len;
    char at[]; /* NUL-terminated */
};
struct text *text_new(const char *at, size_t len);
struct text *text_of(const struct strbuf *b);
struct text *text_ref(struct text *t); /* NULL stays NULL */
void text_unref(struct text *t);
void text_set(struct text **place, struct text *owned); /* lets go of what was there */
#endif
