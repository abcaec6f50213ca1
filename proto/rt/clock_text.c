/* Time stamps: RFC 3339 to milliseconds since 1970 and back. Pure. */
#include "rt/clock.h"
#include <ctype.h>
#include <stdio.h>
#include <time.h>

#define WALL_LEAST_MS (-62167219200000) /* 0000-01-01T00:00:00.000Z: four digits of year are all there are */
#define WALL_MOST_MS 253402300799999    /* 9999-12-31T23:59:59.999Z */

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
