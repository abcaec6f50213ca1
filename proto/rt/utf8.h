/* UTF-8, strictly: no surrogates, no overlong forms, nothing beyond U+10FFFF. For the parsers of this directory. */
#ifndef RT_UTF8_H
#define RT_UTF8_H
#include <stddef.h>
#include <stdint.h>

/* Length of the first character of `left` bytes and its code; 0 when they begin with no whole character. */
size_t utf8_next(const char *at, size_t left, uint32_t *code);
/* Copies text for a message: control characters, invalid bytes and what reorders a line on a terminal become '?';
 * text that does not fit ends in "...". `size` is at least 4. */
void utf8_printable(char *to, size_t size, const char *from);
#endif
