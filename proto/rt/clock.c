/* Clocks, the boot id and random bytes: what the kernel gives. The pure parts of the program never call these; time
 * comes to them with the event. */
#include "rt/clock.h"
#include "rt/str.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define BOOT_ID_LENGTH 36

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
