/* Bounded copying, a growing text buffer, and the byte slice that envelopes and bodies travel in. */
#ifndef RT_STR_H
#define RT_STR_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes; never NUL-terminated by promise. */
struct bytes {
    const char *at;
    size_t len;
};

/* A growing, always NUL-terminated buffer on the heap. Zero-initialise; free with strbuf_free, or declare with
 * STRBUF. Growth beyond `limit` (0: 64 MiB) sets `overflow` and drops what does not fit. Out of memory aborts. */
struct strbuf {
    char *at;
    size_t len, capacity, limit;
    bool overflow;
};
void strbuf_add(struct strbuf *b, const char *text);
void strbuf_add_bytes(struct strbuf *b, const void *data, size_t len);
void strbuf_addf(struct strbuf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void strbuf_vaddf(struct strbuf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
void strbuf_reset(struct strbuf *b); /* empties, keeps the memory */
void strbuf_free(struct strbuf *b);
#define STRBUF __attribute__((cleanup(strbuf_free))) struct strbuf

/* Copies with truncation and NUL; true if all of it fitted. */
bool str_copy(char *to, size_t size, const char *from);
bool str_eq(const char *a, const char *b); /* NULL equals only NULL */
bool str_starts(const char *text, const char *prefix);
/* Levenshtein distance, for "did you mean"; texts beyond 64 characters count as far apart. */
size_t str_distance(const char *a, const char *b);
/* Nearest of `count` names to `word` with distance at most 2 and below the word's length, else NULL. */
const char *str_nearest(const char *word, const char *const *names, size_t count);

/* Lower-case hex; `to` needs 2 * len + 1. */
void str_hex(char *to, const void *data, size_t len);
bool str_unhex(void *to, size_t len, const char *hex); /* exactly 2 * len digits */
/* Standard base64 with padding. Encoding appends. Decoding is strict (canonical alphabet, padding, no blanks). */
void str_base64(struct strbuf *to, const void *data, size_t len);
bool str_unbase64(struct strbuf *to, const char *text, size_t len);

/* A large local of a loop thread: it has a place of its own for good, and keeps nothing between two calls. The simulator
 * runs many daemons in one thread and gives each call its own. */
#ifndef LARGE_LOCAL
#define LARGE_LOCAL static
#endif

void *rt_alloc(size_t size); /* zeroed; aborts when there is no memory */
char *rt_strdup(const char *text);
void rt_free(void *memory);
void rt_free_cleanup(void *pointer_to_pointer); /* for __attribute__((cleanup)) */
#define RT_AUTO __attribute__((cleanup(rt_free_cleanup)))

#endif
