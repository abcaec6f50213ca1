/* The striking thread. It only signals: reaping and telling are the main loop's, which wakes at the same time. */
#include "deadman_striker.h"
#include "deadman_tree.h"
#include "rt/clock.h"
#include <errno.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define STACK_BYTES (256u << 10) /* all of it is locked in memory */
#define PASS_MS 2

static bool strike_pass(struct deadman_striker *s) {
    pthread_mutex_lock(&s->lock);
    bool due = s->kill_boot_ms != 0 && clock_boot_ms() >= s->kill_boot_ms;
    bool again = due && deadman_tree_kill(NULL) > 0;
    pthread_mutex_unlock(&s->lock);
    return again;
}

static void *strike_thread(void *context) {
    struct deadman_striker *s = context;
    for (;;) {
        uint64_t expirations;
        if (read(s->timer_fd, &expirations, sizeof expirations) < 0 && errno != EINTR)
            poll(NULL, 0, PASS_MS);
        while (strike_pass(s))
            poll(NULL, 0, PASS_MS);
    }
    return NULL;
}

bool deadman_striker_start(struct deadman_striker *s, struct err *err) {
    s->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
    if (s->timer_fd < 0)
        return err_sys(err, errno, "timerfd");
    pthread_mutex_init(&s->lock, NULL);
    pthread_attr_t small;
    pthread_t thread;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_BYTES);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &small, strike_thread, s);
    pthread_attr_destroy(&small);
    return error == 0 || err_sys(err, error, "striking thread");
}

void deadman_striker_set(struct deadman_striker *s, int64_t kill_boot_ms) {
    pthread_mutex_lock(&s->lock);
    s->kill_boot_ms = kill_boot_ms;
    deadman_timer_set(s->timer_fd, kill_boot_ms);
    pthread_mutex_unlock(&s->lock);
}

void deadman_timer_set(int timer_fd, int64_t boot_ms) {
    struct itimerspec when = {.it_value = {.tv_sec = boot_ms / 1000, .tv_nsec = boot_ms % 1000 * 1000000}};
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}
