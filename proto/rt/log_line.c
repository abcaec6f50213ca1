/* Shapes of a log line. Both forms escape whatever could break a line in two or hide what was said: control
 * characters, quotes, and bytes that are not UTF-8. */
#include "rt/log_line.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ENDING_MAX 8  /* "...", closing quote, brace, newline */
#define ESCAPED_MAX 8 /* longest escape: \u001f; longest character as it is: 4 bytes */

static bool fits(const struct log_line *line, size_t len) {
    return !line->full && len <= sizeof line->at - ENDING_MAX - line->len;
}

/* Once something did not fit, nothing more is added: a line has one cut at most. */
static bool add(struct log_line *line, const char *text, size_t len) {
    if (!fits(line, len)) {
        line->full = true;
        return false;
    }
    memcpy(line->at + line->len, text, len);
    line->len += len;
    return true;
}

/* For the few bytes of an ending, for which `add` keeps room. */
static void add_ending(struct log_line *line, const char *text) {
    size_t len = strlen(text);
    memcpy(line->at + line->len, text, len);
    line->len += len;
}

/* Length of the well-formed UTF-8 character at `s` (RFC 3629: no overlong forms, no surrogates), 0 if there is none. */
static size_t utf8_length(const unsigned char *s) {
    if (s[0] < 0x80) return 1;
    size_t len = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : s[0] >= 0xe0 && s[0] <= 0xef ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
    return len;
}

/* Writes the character at `s` as it may stand between quotes; returns how many bytes of `s` it took. */
static size_t escape(const unsigned char *s, enum log_format format, char out[ESCAPED_MAX]) {
    size_t len = utf8_length(s);
    if (*s == '\n' || *s == '\t' || *s == '\r')
        snprintf(out, ESCAPED_MAX, "\\%c", *s == '\n' ? 'n' : *s == '\t' ? 't' : 'r');
    else if (*s == '"' || *s == '\\')
        snprintf(out, ESCAPED_MAX, "\\%c", *s);
    else if (*s < 0x20 || *s == 0x7f)
        snprintf(out, ESCAPED_MAX, format == LOG_FORMAT_JSON ? "\\u%04x" : "\\x%02x", *s);
    else if (len == 0) /* JSON text has no way to carry a lone byte */
        snprintf(out, ESCAPED_MAX, format == LOG_FORMAT_JSON ? "\\ufffd" : "\\x%02x", *s);
    else
        snprintf(out, ESCAPED_MAX, "%.*s", (int)len, (const char *)s);
    return len ? len : 1;
}

/* The text behind an opening quote, and the closing one. */
static void add_quoted_rest(struct log_line *line, const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    while (*s && !line->full) {
        char out[ESCAPED_MAX];
        s += escape(s, line->format, out);
        add(line, out, strlen(out));
    }
    add_ending(line, line->full ? "...\"" : "\"");
}

/* A value that reads unmistakably without quotes. */
static bool is_plain(const char *text) {
    if (*text == '\0') return false;
    for (const unsigned char *s = (const unsigned char *)text; *s; s++)
        if (*s <= ' ' || *s >= 0x7f || *s == '"' || *s == '=' || *s == '\\') return false;
    return true;
}

/* All of the key or nothing of it. */
static bool add_key(struct log_line *line, const char *key) {
    char head[128];
    bool json = line->format == LOG_FORMAT_JSON;
    const char *between = line->len <= 1 ? "" : json ? "," : " ";
    int len = json ? snprintf(head, sizeof head, "%s\"%s\":", between, key) : snprintf(head, sizeof head, "%s%s=", between, key);
    return len > 0 && (size_t)len < sizeof head && add(line, head, (size_t)len);
}

void log_line_begin(struct log_line *line, enum log_format format) {
    line->format = format;
    line->full = false;
    line->len = 0;
    if (format == LOG_FORMAT_JSON) add(line, "{", 1);
}

void log_line_text(struct log_line *line, const char *key, const char *text) {
    size_t before = line->len, len = strlen(text);
    if (!add_key(line, key)) return;
    if (line->format == LOG_FORMAT_KEY_VALUE && is_plain(text) && fits(line, len))
        add(line, text, len);
    else if (add(line, "\"", 1))
        add_quoted_rest(line, text);
    else
        line->len = before;
}

void log_line_number(struct log_line *line, const char *key, int64_t number) {
    char digits[24];
    size_t before = line->len;
    int len = snprintf(digits, sizeof digits, "%" PRId64, number);
    if (add_key(line, key) && !add(line, digits, (size_t)len)) line->len = before;
}

void log_line_end(struct log_line *line) {
    add_ending(line, line->format == LOG_FORMAT_JSON ? "}\n" : "\n");
}
