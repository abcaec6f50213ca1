/* What the configuration files of the programs have in common: YAML, one table of fields, paths relative to the file,
 * a block for the log. Reading one starts and contacts nothing. */
#ifndef RT_CONFIG_FILE_H
#define RT_CONFIG_FILE_H
#include "rt/field.h"
#include "rt/log.h"

/* Fills the zeroed struct at `out`. Every mistake of the file stands in the error, one a line, with file, line and key. */
bool config_file_read(const char *path, const struct fields *table, void *out, struct err *err);

/* Makes a path that the file names absolute, in place; an empty one stays empty. ERR_INVALID when it gets too long. */
bool config_file_resolve(const char *file, char *path, size_t size, struct err *err);

struct log_config {
    int format, level; /* enum log_format, enum log_level */
};
extern const struct fields log_config_table;

#endif
