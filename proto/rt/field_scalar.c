/* One field at a time: text to member, emptiness, defaults, and what a field wants in words. Walks no documents. */
#include "rt/field_inner.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool field_has_count(const struct field *f) {
    return f->type == FIELD_TYPE_LIST || f->type == FIELD_TYPE_MAP || f->type == FIELD_TYPE_TEXTS || f->type == FIELD_TYPE_TEXT_MAP;
}

uint32_t field_count(const struct field *f, const void *in) {
    uint32_t count;
    memcpy(&count, (const char *)in + f->count_offset, sizeof count);
    return count < f->max ? count : f->max;
}

void field_count_set(const struct field *f, void *out, uint32_t count) {
    memcpy((char *)out + f->count_offset, &count, sizeof count);
}

static bool is_zero(const char *at, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (at[i]) return false;
    return true;
}

/* Without looking at a `present` flag, which is not of the table. */
static bool object_is_empty(const struct fields *table, const void *in) {
    for (const struct field *f = table->fields; f->name; f++)
        if (!field_is_empty(f, in)) return false;
    return true;
}

bool field_is_empty(const struct field *f, const void *in) {
    const char *member = field_in(f, in);
    if (field_has_count(f)) return field_count(f, in) == 0;
    if (f->type == FIELD_TYPE_TEXT) return f->size == 0 || *member == '\0';
    if (f->type != FIELD_TYPE_OBJECT) return is_zero(member, f->size);
    if (f->flags & FIELD_PRESENCE) return !*member;
    return object_is_empty(f->table, member);
}

void field_clear(const struct field *f, void *out) {
    if (field_has_count(f)) field_count_set(f, out, 0);
    else memset(field_at(f, out), 0, f->size);
}

/* Digits, with a minus before them if need be: no plus, no leading zeros (octal to some), nothing around. */
static bool parse_int(const char *text, int64_t *value) {
    const char *digits = text + (*text == '-');
    if (*digits == '\0' || strspn(digits, "0123456789") != strlen(digits)) return false;
    if (*digits == '0' && (digits[1] || digits != text)) return false;
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return errno == 0;
}

static bool parse_bool(const char *text, enum node_scalar kind, bool *value) {
    static const char *const words[] = {"false", "true", "off", "on", "no", "yes"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i]) != 0) continue;
        *value = i % 2 == 1;
        return kind == NODE_PLAIN || (kind == NODE_BOOL && i < 2);
    }
    return false;
}

static bool parse_enum(const struct field *f, const char *text, int *value) {
    for (int i = 0; f->names[i]; i++) {
        if (strcmp(text, f->names[i]) != 0) continue;
        *value = i;
        return true;
    }
    return false;
}

bool field_scalar_parse(const struct field *f, const char *text, enum node_scalar kind, void *out, struct err *why) {
    void *member = field_at(f, out);
    bool is_text = kind == NODE_PLAIN || kind == NODE_QUOTED;
    switch (f->type) {
    case FIELD_TYPE_TEXT:
        return is_text && str_copy(member, f->size, text);
    case FIELD_TYPE_INT:
        return (kind == NODE_PLAIN || kind == NODE_NUMBER) && parse_int(text, member);
    case FIELD_TYPE_BOOL:
        return parse_bool(text, kind, member);
    case FIELD_TYPE_ENUM:
        return is_text && parse_enum(f, text, member);
    case FIELD_TYPE_CUSTOM:
        return (is_text || kind == NODE_NUMBER) && f->codec->parse(text, member, why);
    case FIELD_TYPE_OBJECT:
    case FIELD_TYPE_LIST:
    case FIELD_TYPE_MAP:
    case FIELD_TYPE_TEXTS:
    case FIELD_TYPE_TEXT_MAP:
        break;
    }
    return false;
}

static bool has_range(const struct field *f) {
    bool number = f->type == FIELD_TYPE_INT || (f->type == FIELD_TYPE_CUSTOM && f->size == sizeof(int64_t));
    return number && f->low < f->high;
}

bool field_scalar_in_range(const struct field *f, const void *in) {
    if (!has_range(f)) return true;
    int64_t value;
    memcpy(&value, field_in(f, in), sizeof value);
    return value >= f->low && value <= f->high;
}

static void format_bound(const struct field *f, int64_t bound, char to[FIELD_CUSTOM_TEXT_MAX]) {
    if (f->type == FIELD_TYPE_CUSTOM) f->codec->format(&bound, to, FIELD_CUSTOM_TEXT_MAX);
    else snprintf(to, FIELD_CUSTOM_TEXT_MAX, "%" PRId64, bound);
}

static void wants_number(const struct field *f, const char *noun, char to[FIELD_WANTS_MAX]) {
    char low[FIELD_CUSTOM_TEXT_MAX], high[FIELD_CUSTOM_TEXT_MAX];
    format_bound(f, f->low, low);
    format_bound(f, f->high, high);
    bool has_low = has_range(f) && f->low != INT64_MIN, has_high = has_range(f) && f->high != INT64_MAX;
    if (has_low && has_high) snprintf(to, FIELD_WANTS_MAX, "%s from %.40s to %.40s", noun, low, high);
    else if (has_low) snprintf(to, FIELD_WANTS_MAX, "%s, at least %.40s", noun, low);
    else if (has_high) snprintf(to, FIELD_WANTS_MAX, "%s, at most %.40s", noun, high);
    else str_copy(to, FIELD_WANTS_MAX, noun);
}

static void wants_enum(const struct field *f, char to[FIELD_WANTS_MAX]) {
    STRBUF text = {0};
    for (int i = 0; f->names[i]; i++) strbuf_addf(&text, "%s%s", i ? ", " : "one of ", f->names[i]);
    str_copy(to, FIELD_WANTS_MAX, text.at ? text.at : "");
}

void field_wants(const struct field *f, char to[FIELD_WANTS_MAX]) {
    switch (f->type) {
    case FIELD_TYPE_TEXT:
        snprintf(to, FIELD_WANTS_MAX, "a text of at most %zu bytes", f->size ? f->size - 1 : 0);
        return;
    case FIELD_TYPE_INT:
        wants_number(f, "a whole number", to);
        return;
    case FIELD_TYPE_BOOL:
        str_copy(to, FIELD_WANTS_MAX, "true or false");
        return;
    case FIELD_TYPE_ENUM:
        wants_enum(f, to);
        return;
    case FIELD_TYPE_CUSTOM:
        if (has_range(f)) wants_number(f, f->codec->wants, to);
        else str_copy(to, FIELD_WANTS_MAX, f->codec->wants);
        return;
    case FIELD_TYPE_OBJECT:
        str_copy(to, FIELD_WANTS_MAX, "a map");
        return;
    case FIELD_TYPE_LIST:
        str_copy(to, FIELD_WANTS_MAX, "a list of maps");
        return;
    case FIELD_TYPE_MAP:
        str_copy(to, FIELD_WANTS_MAX, "a map from names to maps");
        return;
    case FIELD_TYPE_TEXTS:
        str_copy(to, FIELD_WANTS_MAX, "a list of texts");
        return;
    case FIELD_TYPE_TEXT_MAP:
        str_copy(to, FIELD_WANTS_MAX, "a map from names to values");
        return;
    }
}

static bool is_scalar(const struct field *f) {
    return !field_has_count(f) && f->type != FIELD_TYPE_OBJECT;
}

void field_defaults(const struct fields *table, void *out) {
    for (const struct field *f = table->fields; f->name; f++) {
        if (f->type == FIELD_TYPE_OBJECT) field_defaults(f->table, field_at(f, out));
        if (!is_scalar(f) || !f->otherwise || f->size == 0) continue;
        if (!field_scalar_parse(f, f->otherwise, NODE_PLAIN, out, NULL)) {
            fprintf(stderr, "%s.%s: bad default %s\n", table->name, f->name, f->otherwise);
            abort(); /* a mistake in the table, not in a document */
        }
    }
}
