/* Bounded copying, comparing, and the nearest name for "did you mean". Hex and base64 are in str_encode.c. */
#include "rt/str.h"
#include <string.h>

#define DISTANCE_TEXT_MAX 64
#define NEAR_ENOUGH 2

static bool utf8_continues(char c) {
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Truncation never leaves half a UTF-8 character behind: such a text could not be written as JSON. */
bool str_copy(char *to, size_t size, const char *from) {
    if (size == 0) return false;
    size_t len = strnlen(from, size);
    bool fits = len < size;
    if (!fits) {
        len = size - 1;
        for (int back = 0; back < 3 && len > 0 && utf8_continues(from[len]); back++) len--;
    }
    memcpy(to, from, len);
    to[len] = '\0';
    return fits;
}

bool str_eq(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool str_starts(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static size_t least(size_t a, size_t b, size_t c) {
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

size_t str_distance(const char *a, const char *b) {
    size_t a_len = strnlen(a, DISTANCE_TEXT_MAX + 1), b_len = strnlen(b, DISTANCE_TEXT_MAX + 1);
    if (a_len > DISTANCE_TEXT_MAX || b_len > DISTANCE_TEXT_MAX) return SIZE_MAX;
    size_t row[DISTANCE_TEXT_MAX + 1]; /* row[j]: distance of the part of `a` seen so far to the first j of `b` */
    for (size_t j = 0; j <= b_len; j++) row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

const char *str_nearest(const char *word, const char *const *names, size_t count) {
    const char *nearest = NULL;
    size_t smallest = NEAR_ENOUGH + 1;
    for (size_t i = 0; i < count; i++) {
        size_t distance = str_distance(word, names[i]);
        if (distance < smallest && distance < strlen(word)) {
            smallest = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
