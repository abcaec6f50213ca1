/* Log lines to stderr: key=value for people, JSON for machines. One event a line; never blocks: when the pipe behind
 * stderr is full the line is dropped and counted, and the next line that fits says how many were lost. */
#ifndef RT_LOG_H
#define RT_LOG_H
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_FORMAT_KEY_VALUE, LOG_FORMAT_JSON };

struct log_field {
    const char *key;
    const char *text; /* NULL: the number */
    int64_t number;
};
#define F_STR(k, v) ((struct log_field){.key = (k), .text = (v)})
#define F_INT(k, v) ((struct log_field){.key = (k), .number = (int64_t)(v)})

/* Program name ("agent"), shown as `program=`; level below which lines are dropped. Makes stderr non-blocking only if
 * it is a pipe or socket. `standing` fields (cluster, site, member) are added to every line; the array must live on. */
void log_open(const char *program, enum log_format format, enum log_level least, const struct log_field *standing);
bool log_level_parse(const char *name, enum log_level *level);
void log_emit(enum log_level level, const char *message, const struct log_field *fields);

#define LOG_FIELDS_(...) ((const struct log_field[]){__VA_ARGS__ __VA_OPT__(,) {0}})
#define log_debug(message, ...) log_emit(LOG_DEBUG, message, LOG_FIELDS_(__VA_ARGS__))
#define log_info(message, ...) log_emit(LOG_INFO, message, LOG_FIELDS_(__VA_ARGS__))
#define log_warning(message, ...) log_emit(LOG_WARNING, message, LOG_FIELDS_(__VA_ARGS__))
#define log_error(message, ...) log_emit(LOG_ERROR, message, LOG_FIELDS_(__VA_ARGS__))

#endif
