/* What may not stand in a YAML file, character by character. The rule behind it: a reviewer's screen and the parser
 * must see the same lines. YAML 1.1 ends lines at characters that no editor breaks at, so a comment could hide a key. */
#include "rt/yaml_bytes.h"
#include "rt/node.h"
#include "rt/utf8.h"
#include <string.h>

static const char *objection(uint32_t code, bool before_newline) {
    if (code == '\t') return "a tab: indent with spaces, and write \\t in a quoted text";
    if (code == '\r') return before_newline ? NULL : "a carriage return inside a line";
    if (code == '\n') return NULL;
    if (code == 0x85 || code == 0x2028 || code == 0x2029) return "a Unicode line end, which editors do not show";
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return "a control character";
    if (code == 0xfeff || code == 0xfffe || code == 0xffff) return "a byte order mark inside the text";
    if ((code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)) return "a Unicode direction mark, which reorders what is shown";
    return NULL;
}

static bool starts_with(struct bytes text, const char *bytes, size_t len) {
    return text.len >= len && memcmp(text.at, bytes, len) == 0;
}

static bool check_encoding(const char *name, struct bytes *text, struct err *err) {
    if (text->len > YAML_INPUT_MAX) return err_set(err, ERR_INVALID, "%s: larger than %u bytes", name, YAML_INPUT_MAX);
    if (starts_with(*text, "\xff\xfe", 2) || starts_with(*text, "\xfe\xff", 2))
        return err_set(err, ERR_INVALID, "%s:1:1: UTF-16: save the file as UTF-8", name);
    if (starts_with(*text, "\xef\xbb\xbf", 3)) *text = (struct bytes){.at = text->at + 3, .len = text->len - 3};
    if (text->len == 0) return err_set(err, ERR_INVALID, "%s: empty: there is no document in it", name);
    return true;
}

bool yaml_bytes_check(const char *name, struct bytes *text, struct yaml_end *end, struct err *err) {
    if (!check_encoding(name, text, err)) return false;
    *end = (struct yaml_end){0};
    for (size_t i = 0, step; i < text->len; i += step) {
        uint32_t code = 0;
        step = utf8_next(text->at + i, text->len - i, &code);
        const char *why = step == 0 ? "not UTF-8" : objection(code, i + 1 < text->len && text->at[i + 1] == '\n');
        if (why) return err_set(err, ERR_INVALID, "%s:%zu:%zu: %s", name, end->line + 1, end->column + 1, why);
        if (code == '\n') *end = (struct yaml_end){.line = end->line + 1};
        else end->column++;
    }
    return true;
}
