/* Clocks, time stamps (RFC 3339), the boot id and random bytes: what the kernel gives without a file being opened for
 * long. The pure parts of the program never call these; time comes to them with the event. */
#include "rt/clock.h"
#include "rt/str.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define BOOT_ID_LENGTH 36
#define WALL_LEAST_MS (-62167219200000) /* 0000-01-01T00:00:00.000Z: four digits of year are all there are */
#define WALL_MOST_MS 253402300799999    /* 9999-12-31T23:59:59.999Z */

static struct timespec read_clock(clockid_t id) {
    struct timespec t;
    if (clock_gettime(id, &t) != 0) abort(); /* a kernel without these clocks is older than any we run on */
    return t;
}

int64_t clock_boot_ns(void) {
    struct timespec t = read_clock(CLOCK_BOOTTIME);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_boot_ms(void) {
    return clock_boot_ns() / 1000000;
}

int64_t clock_wall_ms(void) {
    struct timespec t = read_clock(CLOCK_REALTIME);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void clock_format(char to[CLOCK_TEXT_MAX], int64_t wall_ms) {
    if (wall_ms < WALL_LEAST_MS) wall_ms = WALL_LEAST_MS;
    if (wall_ms > WALL_MOST_MS) wall_ms = WALL_MOST_MS;
    int64_t ms = wall_ms % 1000;
    if (ms < 0) ms += 1000;
    time_t seconds = (time_t)((wall_ms - ms) / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    /* The remainders change nothing; they show the compiler that the text fits. */
    snprintf(to, CLOCK_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)(tm.tm_year + 1900) % 10000,
             (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
             (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100, (unsigned)ms % 1000);
}

/* Takes exactly `digits` digits and the mark after them ('\0': none), moving *at. */
static bool take_number(const char **at, int digits, char mark, int *value) {
    *value = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (!isdigit((unsigned char)**at)) return false;
        *value = *value * 10 + (**at - '0');
    }
    if (mark == '\0') return true;
    return *(*at)++ == mark;
}

static bool take_fraction_ms(const char **at, int *ms) {
    *ms = 0;
    if (**at != '.') return true;
    (*at)++;
    int digits = 0;
    for (int weight = 100; isdigit((unsigned char)**at); (*at)++, digits++, weight /= 10) *ms += (**at - '0') * weight;
    return digits >= 1 && digits <= 9;
}

/* "Z" or "+hh:mm", which must end the text. */
static bool take_zone_ms(const char *at, int64_t *offset_ms) {
    *offset_ms = 0;
    if (*at == 'Z') return at[1] == '\0';
    if (*at != '+' && *at != '-') return false;
    int sign = *at++ == '-' ? -1 : 1, hours, minutes;
    if (!take_number(&at, 2, ':', &hours) || !take_number(&at, 2, '\0', &minutes)) return false;
    *offset_ms = (int64_t)sign * (hours * 60 + minutes) * 60000;
    return *at == '\0' && hours < 24 && minutes < 60;
}

bool clock_parse(const char *text, int64_t *wall_ms) {
    struct tm tm = {0};
    int year, month, ms;
    int64_t offset_ms;
    if (!take_number(&text, 4, '-', &year) || !take_number(&text, 2, '-', &month) || !take_number(&text, 2, 'T', &tm.tm_mday) ||
        !take_number(&text, 2, ':', &tm.tm_hour) || !take_number(&text, 2, ':', &tm.tm_min) ||
        !take_number(&text, 2, '\0', &tm.tm_sec) || !take_fraction_ms(&text, &ms) || !take_zone_ms(text, &offset_ms))
        return false;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    struct tm normal = tm;
    time_t seconds = timegm(&normal);
    /* timegm turns 31 April into 1 May, hour 24 into the next day and so on: what it had to change was no time. */
    if (normal.tm_mon != tm.tm_mon || normal.tm_hour != tm.tm_hour || normal.tm_min != tm.tm_min || normal.tm_sec != tm.tm_sec)
        return false;
    *wall_ms = (int64_t)seconds * 1000 + ms - offset_ms;
    return true;
}

void clock_boot_id(char *to, size_t size) {
    char id[BOOT_ID_LENGTH + 1] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, id, BOOT_ID_LENGTH) : -1;
    if (fd >= 0) close(fd);
    str_copy(to, size, n == BOOT_ID_LENGTH ? id : "");
}

void clock_random(void *to, size_t n) {
    for (unsigned char *at = to; n > 0;) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) abort(); /* a guessable key or nonce is worse than no process */
        at += got;
        n -= (size_t)got;
    }
}
