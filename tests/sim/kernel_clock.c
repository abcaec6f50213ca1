/* rt/clock.h for the host of whoever asks. clock_text.c is the production one. */
#include "rt/clock.h"
#include "tests/sim/sim_inner.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t clock_boot_ms(void) { return host_boot_ms(host_self()); }
int64_t clock_boot_ns(void) { return host_boot_ms(host_self()) * 1000000; }
int64_t clock_wall_ms(void) { return host_wall_ms(host_self()); }

void clock_boot_id(char *to, size_t size) {
    const struct host *h = host_self();
    snprintf(to, size, "%08x-0000-4000-8000-%012x", (unsigned)(sim_hash_text(h->name) >> 32), (unsigned)h->boots);
}

void clock_random(void *to, size_t n) {
    if (!process_self())
        abort();
    for (char *at = to; n > 0;) {
        uint64_t drawn = dice_next(process_dice(process_self()));
        size_t part = n < sizeof drawn ? n : sizeof drawn;
        memcpy(at, &drawn, part);
        at += part;
        n -= part;
    }
}
