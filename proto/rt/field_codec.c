/* Values that people write with units, and hashes: durations and sizes in PostgreSQL's manner, times, hex. Formatting
 * is canonical: the largest unit that divides the value. */
#include "rt/clock.h"
#include "rt/field.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};
/* The largest first; a second name of the same unit comes after the one that is written. */
static const struct unit time_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"min", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit size_units[] = {{"TB", INT64_C(1) << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}, {"B", 1}, {NULL, 0}};

static const struct unit *unit_named(const struct unit *units, const char *name) {
    for (; units->name; units++)
        if (strcmp(units->name, name) == 0) return units;
    return NULL;
}

/* A bare number is refused: 10 may be seconds to one reader and milliseconds to another. 0 is 0 in any unit. */
static bool parse_with_unit(const struct unit *units, const char *wants, const char *text, int64_t *value, struct err *err) {
    if (strcmp(text, "0") == 0) {
        *value = 0;
        return true;
    }
    size_t digits = strspn(text, "0123456789");
    const struct unit *unit = unit_named(units, text + digits);
    if (digits == 0 || !unit) return err_set(err, ERR_INVALID, "%s", wants);
    errno = 0;
    int64_t number = strtoll(text, NULL, 10);
    if (errno || __builtin_mul_overflow(number, unit->factor, value))
        return err_set(err, ERR_INVALID, "at most %" PRId64 "%s", INT64_MAX / unit->factor, unit->name);
    return true;
}

static void format_with_unit(const struct unit *units, int64_t value, char *to, size_t size) {
    if (value == 0) {
        str_copy(to, size, "0");
        return;
    }
    while (value % units->factor != 0) units++;
    snprintf(to, size, "%" PRId64 "%s", value / units->factor, units->name);
}

static const char duration_wants[] = "a time with a unit, like 10s (ms, s, m, h, d)";
static const char size_wants[] = "a size with a unit, like 16MB (B, kB, MB, GB, TB)";
static const char wall_wants[] = "a time like 2026-11-21T08:00:00Z";
static const char hex32_wants[] = "64 hex digits";

static bool parse_duration(const char *text, void *out, struct err *err) {
    return parse_with_unit(time_units, duration_wants, text, out, err);
}

static void format_duration(const void *in, char *to, size_t size) {
    format_with_unit(time_units, *(const int64_t *)in, to, size);
}

static bool parse_size(const char *text, void *out, struct err *err) {
    return parse_with_unit(size_units, size_wants, text, out, err);
}

static void format_size(const void *in, char *to, size_t size) {
    format_with_unit(size_units, *(const int64_t *)in, to, size);
}

static bool parse_wall(const char *text, void *out, struct err *err) {
    return clock_parse(text, out) || err_set(err, ERR_INVALID, "%s", wall_wants);
}

static void format_wall(const void *in, char *to, size_t size) {
    char text[CLOCK_TEXT_MAX];
    clock_format(text, *(const int64_t *)in);
    str_copy(to, size, text);
}

static bool parse_hex32(const char *text, void *out, struct err *err) {
    return str_unhex(out, 32, text) || err_set(err, ERR_INVALID, "%s", hex32_wants);
}

static void format_hex32(const void *in, char *to, size_t size) {
    char text[65];
    str_hex(text, in, 32);
    str_copy(to, size, text);
}

const struct field_codec field_duration_ms = {.parse = parse_duration, .format = format_duration, .wants = duration_wants};
const struct field_codec field_size_bytes = {.parse = parse_size, .format = format_size, .wants = size_wants};
const struct field_codec field_wall_ms = {.parse = parse_wall, .format = format_wall, .wants = wall_wants};
const struct field_codec field_hex32 = {.parse = parse_hex32, .format = format_hex32, .wants = hex32_wants};
