/* Bytes as text: hex and base64 (RFC 4648, section 4). Decoding accepts only what encoding produces, because decoded
 * bytes get compared and verified as signatures: one value must have one spelling. */
#include "rt/str.h"
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void str_hex(char *to, const void *data, size_t len) {
    const unsigned char *from = data;
    for (size_t i = 0; i < len; i++) {
        *to++ = hex_digits[from[i] >> 4];
        *to++ = hex_digits[from[i] & 15];
    }
    *to = '\0';
}

/* Value of a digit in its alphabet, or -1. */
static int digit_value(const char *alphabet, char c) {
    const char *found = c ? strchr(alphabet, c) : NULL;
    return found ? (int)(found - alphabet) : -1;
}

bool str_unhex(void *to, size_t len, const char *hex) {
    if (strnlen(hex, 2 * len + 1) != 2 * len) return false;
    unsigned char *out = to;
    for (size_t i = 0; i < len; i++) {
        int high = digit_value(hex_digits, hex[2 * i]), low = digit_value(hex_digits, hex[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

void str_base64(struct strbuf *to, const void *data, size_t len) {
    const unsigned char *from = data;
    strbuf_add_bytes(to, "", 0);
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        unsigned group = (unsigned)from[i] << 16 | (left > 1 ? (unsigned)from[i + 1] << 8 : 0) | (left > 2 ? from[i + 2] : 0u);
        char four[4] = {base64_digits[group >> 18], base64_digits[group >> 12 & 63],
                        left > 1 ? base64_digits[group >> 6 & 63] : '=', left > 2 ? base64_digits[group & 63] : '='};
        strbuf_add_bytes(to, four, sizeof four);
    }
}

/* One group of four digits of which the last `padding` are '='. */
static bool unbase64_group(struct strbuf *to, const char *four, size_t padding) {
    unsigned group = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < 4 - padding ? digit_value(base64_digits, four[i]) : 0;
        if (value < 0) return false;
        group = group << 6 | (unsigned)value;
    }
    unsigned unused = padding == 2 ? 0xffffu : padding == 1 ? 0xffu : 0;
    if (group & unused) return false; /* left-over bits set: another spelling of the same bytes */
    char three[3] = {(char)(group >> 16 & 255), (char)(group >> 8 & 255), (char)(group & 255)};
    strbuf_add_bytes(to, three, 3 - padding);
    return !to->overflow;
}

bool str_unbase64(struct strbuf *to, const char *text, size_t len) {
    if (len % 4) return false;
    size_t before = to->len;
    strbuf_add_bytes(to, "", 0);
    for (size_t i = 0; i < len; i += 4) {
        size_t padding = i + 4 < len || text[i + 3] != '=' ? 0 : text[i + 2] == '=' ? 2 : 1;
        if (!unbase64_group(to, text + i, padding)) {
            to->len = before; /* nothing is appended by a failed decoding */
            to->at[before] = '\0';
            return false;
        }
    }
    return true;
}
