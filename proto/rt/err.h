/* Errors are values: a code for programs, one bounded sentence for people, wrapped with context on the way up
 * ("site fra: put lease: connect: timed out after 2000 ms"). Functions that can fail return bool (true: done) and
 * take a `struct err *` last; on true the error is untouched. Low layers never log. */
#ifndef RT_ERR_H
#define RT_ERR_H
#include <stdbool.h>

#define ERR_TEXT_MAX 1024

/* X(symbol, name in JSON and logs) */
#define ERR_CODES(X)                                                                                                   \
    X(ERR_NONE, "none")                                                                                                \
    X(ERR_INVALID, "invalid")         /* input is malformed or out of range; retrying cannot help */                  \
    X(ERR_REFUSED, "refused")         /* understood and not allowed: a check, a right, an epoch */                    \
    X(ERR_CONFLICT, "conflict")       /* somebody else changed it first */                                            \
    X(ERR_NOT_FOUND, "not_found")                                                                                      \
    X(ERR_TIMEOUT, "timeout")         /* outcome unknown */                                                           \
    X(ERR_UNREACHABLE, "unreachable") /* nothing was sent */                                                          \
    X(ERR_LIMIT, "limit")             /* a stated bound was passed */                                                 \
    X(ERR_IO, "io")                   /* the operating system said no */                                              \
    X(ERR_EXTERNAL, "external")       /* another program or server failed; its words are in the text */              \
    X(ERR_UNSUPPORTED, "unsupported") /* known, and not built yet */                                                  \
    X(ERR_INTERNAL, "internal")

enum err_code {
#define X(symbol, name) symbol,
    ERR_CODES(X)
#undef X
};

struct err {
    enum err_code code;
    char text[ERR_TEXT_MAX];
};

const char *err_code_name(enum err_code code);

/* Sets the error and returns false, so that callers write `return err_set(err, ...)`. A NULL err is allowed. */
bool err_set(struct err *err, enum err_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* As err_set with ": " and strerror(errno_value) appended. */
bool err_sys(struct err *err, int errno_value, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Puts "CONTEXT: " before the text that is there and returns false. */
bool err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
