/* Reading UTF-8 character by character, and making foreign text fit for a message. Does not convert anything. */
#include "rt/utf8.h"
#include <stdbool.h>
#include <string.h>

static size_t length_from_first(unsigned char first) {
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return 2;
    if (first >= 0xe0 && first <= 0xef) return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

size_t utf8_next(const char *at, size_t left, uint32_t *code) {
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = left > 0 ? length_from_first((unsigned char)at[0]) : 0;
    if (length == 0 || length > left) return 0;
    uint32_t value = (unsigned char)at[0] & first_bits[length];
    for (size_t i = 1; i < length; i++) {
        if (((unsigned char)at[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | ((unsigned char)at[i] & 0x3f);
    }
    if (value < lowest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return 0;
    *code = value;
    return length;
}

/* Controls, what has no width, and the separators and direction marks that make a terminal show something else than
 * what is written. */
static bool is_printable(uint32_t code) {
    static const struct {
        uint32_t first, last;
    } hidden[] = {{0, 0x1f}, {0x7f, 0x9f}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x2069}, {0xfeff, 0xfeff}, {0xfffe, 0xffff}};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (code >= hidden[i].first && code <= hidden[i].last) return false;
    return true;
}

void utf8_printable(char *to, size_t size, const char *from) {
    static const char cut[] = "...";
    size_t left = strlen(from), used = 0, keep = 0; /* keep: where the text could still be cut for the dots */
    while (left > 0) {
        uint32_t code = 0;
        size_t length = utf8_next(from, left, &code);
        bool as_is = length > 0 && is_printable(code);
        size_t writes = as_is ? length : 1;
        if (used + writes >= size) {
            memcpy(to + keep, cut, sizeof cut);
            return;
        }
        if (as_is) memcpy(to + used, from, length);
        else to[used] = '?';
        used += writes;
        if (used + sizeof cut <= size) keep = used;
        from += length > 0 ? length : 1;
        left -= length > 0 ? length : 1;
    }
    to[used] = '\0';
}
