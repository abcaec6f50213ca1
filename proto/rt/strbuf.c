/* The growing text buffer. Text that is added must not lie in the buffer itself. */
#include "rt/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRBUF_LIMIT_DEFAULT ((size_t)64 << 20)
#define STRBUF_FIRST 64

/* Makes room for `want` more bytes and a NUL as far as the limit allows; returns how many of them may be added. */
static size_t room_for(struct strbuf *b, size_t want) {
    size_t limit = b->limit ? b->limit : STRBUF_LIMIT_DEFAULT;
    size_t left = limit > b->len ? limit - b->len : 0;
    if (want > left) {
        want = left;
        b->overflow = true;
    }
    size_t need = b->len + want + 1;
    if (need > b->capacity) {
        size_t capacity = b->capacity ? b->capacity : STRBUF_FIRST;
        while (capacity < need) capacity *= 2;
        char *at = realloc(b->at, capacity);
        if (!at) abort();
        b->at = at;
        b->capacity = capacity;
    }
    return want;
}

void strbuf_add_bytes(struct strbuf *b, const void *data, size_t len) {
    size_t n = room_for(b, len);
    if (n) memcpy(b->at + b->len, data, n);
    b->len += n;
    b->at[b->len] = '\0';
}

void strbuf_add(struct strbuf *b, const char *text) {
    strbuf_add_bytes(b, text, strlen(text));
}

void strbuf_vaddf(struct strbuf *b, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int wanted = vsnprintf(NULL, 0, format, args);
    size_t n = room_for(b, wanted > 0 ? (size_t)wanted : 0);
    vsnprintf(b->at + b->len, n + 1, format, again);
    va_end(again);
    b->len += n;
    b->at[b->len] = '\0';
}

void strbuf_addf(struct strbuf *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    strbuf_vaddf(b, format, args);
    va_end(args);
}

void strbuf_reset(struct strbuf *b) {
    b->len = 0;
    b->overflow = false;
    if (b->at) b->at[0] = '\0';
}

void strbuf_free(struct strbuf *b) {
    free(b->at);
    b->at = NULL;
    b->len = b->capacity = 0;
    b->overflow = false;
}
