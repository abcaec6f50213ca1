/* Many histories: workers take seeds in turn, each plays one after the other, the runner adds up and prints. */
#include "rt/str.h"
#include "tests/sim/run.h"
#include "tests/sim/run_rules.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS_MAX = 64, FAILURES_MAX = 4096, SEEDS_SHOWN = 10 };
#define PROGRESS_SECONDS 2
struct failure {
    uint64_t seed;
    char invariant[64];
};
/* In shared memory; numbers are changed by atomic operations only. */
struct campaign {
    struct campaign_wish wish;
    int64_t taken, played, failed, events;
    sim_time simulated;
    bool stop;
    struct failure failures[FAILURES_MAX];
};
#define ADD(number, by) __atomic_fetch_add(&(number), (by), __ATOMIC_RELAXED)
#define GET(number) __atomic_load_n(&(number), __ATOMIC_RELAXED)

/* ---- workers ---- */

static void note_failure(struct campaign *c, uint64_t seed, const struct sim_result *r) {
    int64_t at = ADD(c->failed, 1);
    if (at < FAILURES_MAX) {
        c->failures[at].seed = seed;
        str_copy(c->failures[at].invariant, sizeof c->failures[at].invariant, r->invariant);
    }
    printf("seed %llu failed at %.3f s: %s: %s\n", (unsigned long long)seed, (double)r->at / SECOND, r->invariant, r->text);
    if (c->wish.until_failure)
        __atomic_store_n(&c->stop, true, __ATOMIC_RELAXED);
}

static void play_seed(struct campaign *c, uint64_t seed) {
    struct script p;
    struct sim_result r;
    c->wish.draw(seed, &p);
    if (c->wish.again)
        history_play_again(&p, &r);
    else
        history_play(&p, &(struct manner){0}, &r);
    ADD(c->played, 1);
    ADD(c->events, r.events);
    ADD(c->simulated, r.at);
    if (r.failed)
        note_failure(c, seed, &r);
}

__attribute__((noreturn)) static void work(struct campaign *c, int worker) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    rules_use(worker);
    history_open();
    while (!GET(c->stop)) {
        int64_t at = ADD(c->taken, 1);
        if (at >= c->wish.seeds)
            break;
        play_seed(c, c->wish.from + (uint64_t)at * c->wish.stride);
    }
    fflush(stdout);
    _exit(0);
}

/* ---- the runner ---- */

static double seconds_since(const struct timespec *then) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

static void show_progress(struct campaign *c, const struct timespec *begun) {
    double seconds = seconds_since(begun);
    fprintf(stderr, "\r%lld of %lld histories, %lld failed, %.0f per second ", (long long)GET(c->played), (long long)c->wish.seeds, (long long)GET(c->failed),
            (double)GET(c->played) / seconds);
}

static void wait_for_workers(struct campaign *c, int left, const struct timespec *begun) {
    bool terminal = isatty(STDOUT_FILENO);
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    while (left > 0) {
        while (left > 0 && waitpid(-1, NULL, WNOHANG) > 0)
            left--;
        if (left > 0)
            sigtimedwait(&ends, NULL, &(struct timespec){PROGRESS_SECONDS, 0});
        if (terminal)
            show_progress(c, begun);
    }
    if (terminal)
        fprintf(stderr, "\r%*s\r", 78, "");
}

static void run_workers(struct campaign *c, const struct timespec *begun) {
    int workers = c->wish.workers;
    sigset_t ends, before;
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ends, &before);
    fflush(NULL);
    for (int i = 0; i < workers; i++) {
        pid_t worker = fork();
        if (worker < 0) {
            perror("fork");
            exit(2);
        }
        if (worker == 0) {
            sigprocmask(SIG_SETMASK, &before, NULL);
            setvbuf(stdout, NULL, _IOLBF, 0);
            work(c, i);
        }
    }
    wait_for_workers(c, workers, begun);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* ---- figures ---- */

static int64_t deeds_done[DEED_KINDS];
static void sort_figure(const char *figure, int64_t value) {
    for (int i = 0; i < DEED_KINDS; i++)
        if (str_eq(deed_names[i], figure)) {
            deeds_done[i] = value;
            return;
        }
    printf("  %-40s %lld\n", figure, (long long)value);
}
static void show_deeds(const char *title, bool done) {
    printf("%s:", title);
    for (int i = 0; i < DEED_KINDS; i++)
        if (done && deeds_done[i])
            printf(" %s %lld", deed_names[i], (long long)deeds_done[i]);
        else if (!done && !deeds_done[i])
            printf(" %s", deed_names[i]);
    puts("");
}

static void show_size(struct campaign *c, double seconds) {
    double simulated = (double)c->simulated / SECOND;
    printf("%lld histories, %lld events, %.1f hours (%.3f years) simulated in %.1f s: %.0f histories per second, %d workers\n", (long long)c->played,
           (long long)c->events, simulated / 3600, simulated / 86400 / 365.25, seconds, (double)c->played / seconds, c->wish.workers);
}

static int compare_failures(const void *a, const void *b) {
    const struct failure *x = a, *y = b;
    int by_name = strcmp(x->invariant, y->invariant);
    return by_name ? by_name : x->seed < y->seed ? -1 : x->seed > y->seed;
}

static void show_failures(struct campaign *c) {
    int64_t count = c->failed < FAILURES_MAX ? c->failed : FAILURES_MAX;
    qsort(c->failures, (size_t)count, sizeof c->failures[0], compare_failures);
    for (int64_t i = 0, of_kind; i < count; i += of_kind) {
        of_kind = 1;
        while (i + of_kind < count && str_eq(c->failures[i].invariant, c->failures[i + of_kind].invariant))
            of_kind++;
        printf("FAILED %s: %lld histories, seeds", c->failures[i].invariant, (long long)of_kind);
        for (int64_t k = i; k < i + of_kind && k < i + SEEDS_SHOWN; k++)
            printf(" %llu", (unsigned long long)c->failures[k].seed);
        printf("; replay: %s%llu\n", c->wish.replay, (unsigned long long)c->failures[i].seed);
    }
}

int64_t campaign_run(const struct campaign_wish *wish) {
    struct timespec begun;
    struct campaign *c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    c->wish = *wish;
    if (!c->wish.workers)
        c->wish.workers = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (c->wish.workers > WORKERS_MAX)
        c->wish.workers = WORKERS_MAX;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    rules_open(c->wish.workers);
    figures_open();
    run_workers(c, &begun);
    show_size(c, seconds_since(&begun));
    puts("figures:");
    figures_each(sort_figure);
    show_deeds("deeds", true);
    show_deeds("deeds never done", false);
    rules_report();
    show_failures(c);
    printf("%lld histories, %lld failed\n", (long long)c->played, (long long)c->failed);
    return c->failed;
}
