/* Errors as values: setting and wrapping. Every text is formatted aside first, because a caller may quote the very
 * error it is about to overwrite. Does not log. */
#include "rt/err.h"
#include "rt/str.h"
#include <stdio.h>
#include <string.h>

/* Room for one multi-byte character more than fits, so that str_copy sees where to cut. */
#define ASIDE_MAX (ERR_TEXT_MAX + 4)

const char *err_code_name(enum err_code code) {
    switch (code) {
#define X(symbol, name)                                                                                                \
    case symbol:                                                                                                       \
        return name;
        ERR_CODES(X)
#undef X
    }
    return "unknown";
}

bool err_set(struct err *err, enum err_code code, const char *format, ...) {
    if (!err) return false;
    char aside[ASIDE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(aside, sizeof aside, format, args);
    va_end(args);
    err->code = code;
    str_copy(err->text, sizeof err->text, aside);
    return false;
}

bool err_sys(struct err *err, int errno_value, const char *format, ...) {
    if (!err) return false;
    char aside[ASIDE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(aside, sizeof aside, format, args);
    va_end(args);
    char words[128]; /* strerror_r may answer from here or from a constant; strerror shares one buffer among threads */
    return err_set(err, ERR_IO, "%s: %s", aside, strerror_r(errno_value, words, sizeof words));
}

bool err_wrap(struct err *err, const char *format, ...) {
    if (!err) return false;
    char aside[ASIDE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(aside, sizeof aside, format, args);
    va_end(args);
    return err_set(err, err->code, "%s: %s", aside, err->text);
}
