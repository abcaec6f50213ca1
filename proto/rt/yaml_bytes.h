/* The look at a YAML file's bytes before they are parsed. For yaml.c. */
#ifndef RT_YAML_BYTES_H
#define RT_YAML_BYTES_H
#include "rt/err.h"
#include "rt/str.h"

/* Where the text ends: from 0, as libyaml counts. */
struct yaml_end {
    size_t line, column;
};
/* Refuses (ERR_INVALID, "name:line:column: message") what is too large, not UTF-8, or holds tabs, control characters,
 * or line ends that an editor does not show as such. Takes a byte order mark off *text. */
bool yaml_bytes_check(const char *name, struct bytes *text, struct yaml_end *end, struct err *err);
#endif
