/* A thread that does nothing but kill everything below the dead-man at the deadline. The main loop writes to disks
 * (log, signal files), and a disk may hang for longer than a lease; this thread touches none. */
#ifndef DEADMAN_STRIKER_H
#define DEADMAN_STRIKER_H
#include "rt/err.h"
#include <pthread.h>
#include <stdint.h>

struct deadman_striker {
    pthread_mutex_t lock; /* held over one pass of kills: who sets a new deadline is not struck by the old one */
    int timer_fd;
    int64_t kill_boot_ms; /* 0: none */
};
bool deadman_striker_start(struct deadman_striker *s, struct err *err);
void deadman_striker_set(struct deadman_striker *s, int64_t kill_boot_ms);
/* One shot at a time of CLOCK_BOOTTIME, 0: never. A time that has passed fires at once, also after a suspend. */
void deadman_timer_set(int timer_fd, int64_t boot_ms);
#endif
