/* JSON on top of jansson: the limits that jansson leaves open (depth, size, one error text with a place) and readers
 * that never fail. What the documents mean is in the field tables. */
#include "rt/json.h"
#include "rt/utf8.h"
#include <string.h>

#define JSON_REAL_DIGITS 15 /* as many as survive decimal - double - decimal: 0.1 stays 0.1 */

struct place {
    uint32_t line, column;
};

static void place_pass(struct place *p, char c) {
    if (c == '\n') *p = (struct place){.line = p->line + 1};
    else if (((unsigned char)c & 0xc0) != 0x80) p->column++;
}

/* Where brackets nest too deeply, before the parser recurses into them. Text that is no JSON may fool this; then the
 * parser refuses it. */
static bool is_too_deep(struct bytes text, struct place *at) {
    bool in_string = false;
    uint32_t depth = 0;
    *at = (struct place){.line = 1};
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        place_pass(at, c);
        if (in_string && c == '\\' && i + 1 < text.len) place_pass(at, text.at[++i]);
        else if (c == '"') in_string = !in_string;
        else if (!in_string && (c == '{' || c == '[') && ++depth > JSON_DEPTH_MAX) return true;
        else if (!in_string && (c == '}' || c == ']') && depth > 0) depth--;
    }
    return false;
}

static bool parse_error(const json_error_t *e, struct err *err) {
    char words[sizeof e->text];
    utf8_printable(words, sizeof words, e->text);
    if (json_error_code(e) == json_error_premature_end_of_input)
        return err_set(err, ERR_INVALID, "%d:%d: the text ends before the document does (truncated?): %s", e->line, e->column, words);
    return err_set(err, ERR_INVALID, "%d:%d: %s", e->line, e->column, words);
}

json_t *json_parse(struct bytes text, struct err *err) {
    struct place deep;
    if (text.len > JSON_INPUT_MAX) {
        err_set(err, ERR_INVALID, "1:1: larger than %u bytes", JSON_INPUT_MAX);
        return NULL;
    }
    if (is_too_deep(text, &deep)) {
        err_set(err, ERR_INVALID, "%u:%u: nested deeper than %d", deep.line, deep.column, JSON_DEPTH_MAX);
        return NULL;
    }
    json_error_t e;
    json_t *json = json_loadb(text.len ? text.at : "", text.len, JSON_REJECT_DUPLICATES, &e);
    if (!json) parse_error(&e, err);
    return json;
}

static int add_to_strbuf(const char *data, size_t len, void *to) {
    strbuf_add_bytes(to, data, len);
    return 0;
}

void json_write(const json_t *json, struct strbuf *to) {
    json_dump_callback(json, add_to_strbuf, to, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(JSON_REAL_DIGITS));
}

void json_write_pretty(const json_t *json, struct strbuf *to) {
    json_dump_callback(json, add_to_strbuf, to, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(JSON_REAL_DIGITS));
    strbuf_add(to, "\n");
}

const char *json_text(const json_t *object, const char *key, const char *otherwise) {
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? json_string_value(value) : otherwise;
}

int64_t json_int(const json_t *object, const char *key, int64_t otherwise) {
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool json_bool(const json_t *object, const char *key, bool otherwise) {
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

json_t *json_text_or_null(const char *text) {
    return text && *text ? json_text_safe(text) : json_null();
}

json_t *json_text_safe(const char *text) {
    json_t *json = json_string(text);
    if (json) return json;
    RT_AUTO char *copy = rt_strdup(text);
    for (size_t at = 0, len = strlen(copy), step; at < len; at += step) {
        uint32_t code;
        step = utf8_next(copy + at, len - at, &code);
        if (step == 0) {
            copy[at] = '?'; /* byte for byte, so that it still fits where it came from */
            step = 1;
        }
    }
    return json_string(copy);
}
