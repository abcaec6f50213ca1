/* Shapes of a log line. Both forms escape whatever could break a line in two or hide what was said: control
 * characters, quotes, and bytes that are not UTF-8. */
#include "rt/log_line.h"
#include "rt/utf8.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ENDING_MAX 8  /* "...", closing quote, brace, newline */
#define UTF8_MAX 4
#define ESCAPED_MAX 8 /* longest escape: \u001f */

static bool fits(const struct log_line *line, size_t len) {
    return !line->full && line->len + len + ENDING_MAX <= sizeof line->at;
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

/* Writes the character at `s` as it may stand between quotes; returns how many bytes of `s` it took. */
static size_t escape(const char *s, enum log_format format, char out[ESCAPED_MAX]) {
    uint32_t code = 0;
    size_t len = utf8_next(s, strnlen(s, UTF8_MAX), &code);
    unsigned byte = (unsigned char)*s;
    if (byte == '\n' || byte == '\t' || byte == '\r')
        snprintf(out, ESCAPED_MAX, "\\%c", byte == '\n' ? 'n' : byte == '\t' ? 't' : 'r');
    else if (byte == '"' || byte == '\\')
        snprintf(out, ESCAPED_MAX, "\\%c", (int)byte);
    else if (byte < 0x20 || byte == 0x7f)
        snprintf(out, ESCAPED_MAX, format == LOG_FORMAT_JSON ? "\\u%04x" : "\\x%02x", byte);
    else if (len == 0) /* JSON text has no way to carry a lone byte */
        snprintf(out, ESCAPED_MAX, format == LOG_FORMAT_JSON ? "\\ufffd" : "\\x%02x", byte);
    else
        snprintf(out, ESCAPED_MAX, "%.*s", (int)len, s);
    return len ? len : 1;
}

/* The text behind an opening quote, and the closing one. */
static void add_quoted_rest(struct log_line *line, const char *text) {
    while (*text && !line->full) {
        char out[ESCAPED_MAX];
        text += escape(text, line->format, out);
        add(line, out, strlen(out));
    }
    add_ending(line, line->full ? "...\"" : "\"");
}

/* A value that reads unmistakably without quotes. */
static bool is_plain(const char *text) {
    if (*text == '\0') return false;
    for (; *text; text++)
        if (*text <= ' ' || *text >= 0x7f || strchr("\"=\\", *text)) return false;
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
