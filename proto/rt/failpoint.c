/* The points are collected by the linker, in a section of their own. */
#include "rt/failpoint.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Weak: a program without points has no such section. */
extern const char *const __start_failpoints[] __attribute__((weak));
extern const char *const __stop_failpoints[] __attribute__((weak));

static bool names(const char *wish, const char *name, long *nth) {
    size_t len = strlen(name);
    if (strncmp(wish, name, len) != 0 || (wish[len] && wish[len] != ':'))
        return false;
    *nth = wish[len] ? strtol(wish + len + 1, NULL, 10) : 1;
    return true;
}

void failpoint_reach(const char *name) {
    static long reached;
    const char *wish = getenv("PGREGENT_FAILPOINT");
    long nth;
    if (wish && names(wish, name, &nth) && ++reached >= nth)
        _exit(FAILPOINT_STATUS);
}

void failpoint_list(void) {
    for (const char *const *point = __start_failpoints; point < __stop_failpoints; point++)
        if (point == __start_failpoints || strcmp(point[0], point[-1]) != 0)
            puts(*point);
}
