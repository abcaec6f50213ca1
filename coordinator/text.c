/* Shared texts. */
#include "coordinator/text.h"
#include <string.h>

struct text *text_new(const char *at, size_t len) {
    struct text *t = rt_alloc(sizeof *t + len + 1);
    atomic_init(&t->refs, 1);
    t->len = len;
    if (len)
        memcpy(t->at, at, len);
    return t;
}

struct text *text_of(const struct strbuf *b) { return text_new(b->at, b->len); }

struct text *text_ref(struct text *t) {
    if (t)
        atomic_fetch_add(&t->refs, 1);
    return t;
}

void text_unref(struct text *t) {
    if (t && atomic_fetch_sub(&t->refs, 1) == 1)
        rt_free(t);
}

void text_set(struct text **place, struct text *owned) {
    text_unref(*place);
    *place = owned;
}
