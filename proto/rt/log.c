/* Log lines: when a line is written, to where, and what happens when it cannot be. How a line looks is log_line.c. */
#include "rt/log.h"
#include "rt/clock.h"
#include "rt/log_line.h"
#include "rt/str.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warning", "error"};
#define LEVEL_COUNT (sizeof level_names / sizeof level_names[0])

static struct {
    const char *program;
    enum log_format format;
    enum log_level least;
    const struct log_field *standing;
    atomic_uint lost; /* lines dropped since the last one that was written */
    atomic_bool torn; /* the last line was written in part: end it before the next */
} logger = {.program = "pgregent", .least = LOG_INFO};

void log_open(const char *program, enum log_format format, enum log_level least, const struct log_field *standing) {
    logger.program = program;
    logger.format = format;
    logger.least = least;
    logger.standing = standing;
    struct stat st;
    if (fstat(STDERR_FILENO, &st) != 0 || !(S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))) return;
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    if (flags >= 0) fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
}

bool log_level_parse(const char *name, enum log_level *level) {
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        if (!str_eq(name, level_names[i])) continue;
        *level = (enum log_level)i;
        return true;
    }
    return false;
}

static void add_fields(struct log_line *line, const struct log_field *fields) {
    for (; fields && fields->key; fields++) {
        if (fields->text)
            log_line_text(line, fields->key, fields->text);
        else
            log_line_number(line, fields->key, fields->number);
    }
}

static ssize_t write_once(const char *text, size_t len) {
    ssize_t written;
    do written = write(STDERR_FILENO, text, len);
    while (written < 0 && errno == EINTR);
    return written;
}

/* One write a line: up to PIPE_BUF bytes a pipe takes whole or not at all, so lines of threads do not mix. */
static bool write_line(const struct log_line *line) {
    if (atomic_exchange(&logger.torn, false) && write_once("\n", 1) != 1) {
        atomic_store(&logger.torn, true);
        return false;
    }
    ssize_t written = write_once(line->at, line->len);
    if (written > 0 && (size_t)written < line->len) atomic_store(&logger.torn, true);
    return written > 0;
}

void log_emit(enum log_level level, const char *message, const struct log_field *fields) {
    if (level < logger.least) return;
    int kept_errno = errno; /* callers log between a failed call and its errno */
    char now[CLOCK_TEXT_MAX];
    clock_format(now, clock_wall_ms());
    unsigned lost = atomic_exchange(&logger.lost, 0);
    struct log_line line;
    log_line_begin(&line, logger.format);
    log_line_text(&line, "time", now);
    log_line_text(&line, "level", level_names[level]);
    log_line_text(&line, "program", logger.program);
    if (lost) log_line_number(&line, "lost", lost);
    add_fields(&line, logger.standing);
    log_line_text(&line, "message", message);
    add_fields(&line, fields);
    log_line_end(&line);
    if (!write_line(&line)) atomic_fetch_add(&logger.lost, lost + 1);
    errno = kept_errno;
}
