/* Clocks. All waiting is on CLOCK_BOOTTIME (it counts suspend); wall time is for people and for expiry of documents. */
#ifndef RT_CLOCK_H
#define RT_CLOCK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t clock_boot_ms(void);
int64_t clock_boot_ns(void);
int64_t clock_wall_ms(void); /* since 1970-01-01 UTC */
#define CLOCK_TEXT_MAX 32
/* RFC 3339 UTC with milliseconds: 2026-11-21T08:00:00.123Z */
void clock_format(char to[CLOCK_TEXT_MAX], int64_t wall_ms);
bool clock_parse(const char *text, int64_t *wall_ms);
/* The kernel's boot id (36 characters), empty if it cannot be read. */
void clock_boot_id(char *to, size_t size);
/* n random bytes from the kernel; aborts if there are none to be had. */
void clock_random(void *to, size_t n);
#endif
