/* From a struct to JSON, by its table. The compact text is what gets signed and hashed, so it depends on the struct's
 * fields alone: keys in table order, one spelling for each value. */
#include "rt/field_inner.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char redacted[] = "***";

/* Would a reader who does not find the key fill in just what is empty? Only then may it be left out. */
static bool absent_reads_empty(const struct field *f) {
    if (f->type == FIELD_TYPE_OBJECT) {
        if (f->flags & FIELD_PRESENCE) return true;
        for (const struct field *child = f->table->fields; child->name; child++)
            if (!absent_reads_empty(child)) return false;
        return true;
    }
    if (!f->otherwise || field_has_count(f)) return true;
    if (f->type == FIELD_TYPE_ENUM) return strcmp(f->otherwise, f->names[0]) == 0;
    static const char *const empty[] = {"", "0", "false", "off", "no"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
        if (strcmp(f->otherwise, empty[i]) == 0) return f->type != FIELD_TYPE_TEXT || i == 0;
    return false;
}

static bool is_left_out(const struct field *f, const void *in) {
    if (f->flags & FIELD_LATER) return true;
    if (!field_is_empty(f, in)) return false;
    if (f->flags & FIELD_OMIT_EMPTY) return !(f->flags & FIELD_REQUIRED) && absent_reads_empty(f);
    return (f->flags & FIELD_PRESENCE) && !(f->flags & FIELD_NULL_EMPTY);
}

/* A char array, also one that lost its NUL. */
static json_t *write_text(const char *text, size_t size) {
    RT_AUTO char *copy = rt_alloc(size + 1);
    memcpy(copy, text, strnlen(text, size));
    return json_text_safe(copy);
}

static json_t *write_number(const char *text) {
    char *end;
    errno = 0;
    int64_t whole = strtoll(text, &end, 10);
    if (*text && !*end && !errno) return json_integer(whole);
    double real = strtod(text, &end);
    return *text && !*end ? json_real(real) : NULL;
}

static json_t *write_custom(const struct field *f, const void *member) {
    char text[FIELD_CUSTOM_TEXT_MAX] = "";
    f->codec->format(member, text, sizeof text);
    json_t *number = f->codec->as_number ? write_number(text) : NULL;
    return number ? number : json_text_safe(text);
}

/* A value that has no name is a mistake of the program: null, which no reader takes for any of the names. */
static json_t *write_enum(const struct field *f, int value) {
    for (int i = 0; f->names[i]; i++)
        if (i == value) return json_text_safe(f->names[i]);
    return json_null();
}

static void set_key(json_t *object, const char *key, json_t *value) {
    json_t *safe = json_text_safe(key);
    json_object_set_new(object, json_string_value(safe), value);
    json_decref(safe);
}

static json_t *write_list(const struct field *f, const void *in, bool redact) {
    json_t *list = json_array();
    const char *element = field_in(f, in);
    for (uint32_t i = 0, count = field_count(f, in); i < count; i++, element += f->size)
        json_array_append_new(list, f->type == FIELD_TYPE_LIST ? field_to_json(f->table, element, redact) : write_text(element, f->size));
    return list;
}

static json_t *write_map(const struct field *f, const void *in, bool redact) {
    json_t *map = json_object();
    const char *element = field_in(f, in);
    for (uint32_t i = 0, count = field_count(f, in); i < count; i++, element += f->size) set_key(map, element, field_to_json(f->table, element, redact));
    return map;
}

static json_t *write_text_map(const struct field *f, const void *in) {
    json_t *map = json_object();
    const struct field_pair *pair = field_in(f, in);
    for (uint32_t i = 0, count = field_count(f, in); i < count; i++, pair++) set_key(map, pair->name, write_text(pair->value, sizeof pair->value));
    return map;
}

static json_t *write_field(const struct field *f, const void *in, bool redact) {
    const void *member = field_in(f, in);
    bool empty = field_is_empty(f, in);
    if (empty && (f->flags & FIELD_NULL_EMPTY)) return json_null();
    if (!empty && redact && (f->flags & FIELD_SECRET)) return json_string(redacted);
    switch (f->type) {
    case FIELD_TYPE_TEXT:
        return write_text(member, f->size);
    case FIELD_TYPE_INT:
        return json_integer(*(const int64_t *)member);
    case FIELD_TYPE_BOOL:
        return json_boolean(*(const bool *)member);
    case FIELD_TYPE_ENUM:
        return write_enum(f, *(const int *)member);
    case FIELD_TYPE_CUSTOM:
        return write_custom(f, member);
    case FIELD_TYPE_OBJECT:
        return field_to_json(f->table, member, redact);
    case FIELD_TYPE_LIST:
    case FIELD_TYPE_TEXTS:
        return write_list(f, in, redact);
    case FIELD_TYPE_MAP:
        return write_map(f, in, redact);
    case FIELD_TYPE_TEXT_MAP:
        return write_text_map(f, in);
    }
    return json_null();
}

json_t *field_to_json(const struct fields *table, const void *in, bool redact) {
    json_t *object = json_object();
    for (const struct field *f = table->fields; f->name; f++)
        if (!is_left_out(f, in)) json_object_set_new(object, f->name, write_field(f, in, redact));
    return object;
}

void field_to_text(const struct fields *table, const void *in, struct strbuf *to) {
    JSON_AUTO *json = field_to_json(table, in, false);
    json_write(json, to);
}
