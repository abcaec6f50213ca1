/* One log line as text, bounded by what a pipe takes in one piece. A value that does not fit is cut and ends in "...",
 * what comes after it is left out; the line stays well-formed. Used by log.c only. */
#ifndef RT_LOG_LINE_H
#define RT_LOG_LINE_H
#include "rt/log.h"
#include <limits.h>
#include <stddef.h>

struct log_line {
    enum log_format format;
    bool full;
    size_t len;
    char at[PIPE_BUF];
};
void log_line_begin(struct log_line *line, enum log_format format);
void log_line_text(struct log_line *line, const char *key, const char *text);
void log_line_number(struct log_line *line, const char *key, int64_t number);
void log_line_end(struct log_line *line); /* with the newline; no NUL */
#endif
