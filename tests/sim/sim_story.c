/* What a history leaves behind: the story for people, figures for the campaign, and its failure. */
#include "tests/sim/sim_inner.h"
#include "tests/sim/sim_result.h"
#include "rt/str.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

bool sim_telling;
struct sim_result *sim_result;

void __gcov_dump(void) __attribute__((weak)); /* there in a build for coverage only */

void sim_tell(const char *who, const char *format, ...) {
    printf("%7lld.%03lld s  %s: ", (long long)(sim_now / SECOND), (long long)(sim_now / MS % 1000), who);
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout); /* a crash comes without notice */
}

/* ---- figures ---- */

/* Open addressing over shared memory. A slot's name is written once, by who claims it, and never changes after that. */
#define FIGURES_MAX 1024 /* a power of two */
enum { SLOT_FREE, SLOT_CLAIMED, SLOT_NAMED };
struct figure {
    atomic_int state;
    char name[60];
    _Atomic int64_t value;
};
static struct figure *figures;

void figures_open(void) {
    figures = mmap(NULL, FIGURES_MAX * sizeof *figures, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (figures == MAP_FAILED)
        abort();
}

/* True: this slot is the name's. Whoever claims one at this moment is waited for: a few instructions. */
static bool slot_is(struct figure *slot, const char *name) {
    int expected = SLOT_FREE;
    if (atomic_compare_exchange_strong(&slot->state, &expected, SLOT_CLAIMED)) {
        str_copy(slot->name, sizeof slot->name, name);
        atomic_store(&slot->state, SLOT_NAMED);
        return true;
    }
    while (atomic_load(&slot->state) != SLOT_NAMED)
        continue;
    return strncmp(slot->name, name, sizeof slot->name - 1) == 0;
}

static struct figure *figure_named(const char *name) {
    uint64_t hash = sim_hash_text(name);
    for (uint64_t i = 0; i < FIGURES_MAX; i++) {
        struct figure *slot = &figures[(hash + i) % FIGURES_MAX];
        if (slot_is(slot, name))
            return slot;
    }
    fprintf(stderr, "more than %d figures: no room for %s\n", FIGURES_MAX, name);
    abort();
}

void count_more(const char *figure, int64_t by) {
    if (figures)
        atomic_fetch_add_explicit(&figure_named(figure)->value, by, memory_order_relaxed);
}

void count(const char *figure) { count_more(figure, 1); }

static int by_name(const void *a, const void *b) {
    const struct figure *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

void figures_each(void (*call)(const char *name, int64_t value)) {
    const struct figure *named[FIGURES_MAX];
    size_t n = 0;
    for (size_t i = 0; figures && i < FIGURES_MAX; i++)
        if (atomic_load(&figures[i].state) == SLOT_NAMED)
            named[n++] = &figures[i];
    if (n)
        qsort(named, n, sizeof named[0], by_name);
    for (size_t i = 0; i < n; i++)
        call(named[i]->name, atomic_load(&named[i]->value));
}

/* ---- failure ---- */

static void record(const char *invariant, const char *text) {
    sim_result->failed = true;
    str_copy(sim_result->invariant, sizeof sim_result->invariant, invariant);
    str_copy(sim_result->text, sizeof sim_result->text, text);
    sim_result->at = sim_now;
    sim_result->events = sim_events();
    sim_result->fingerprint = sim_fingerprint();
}

void sim_fail(const char *invariant, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sim_say("FAILED", "%s: %s", invariant, text);
    if (sim_result)
        record(invariant, text);
    else
        fprintf(stderr, "%s: %s\n", invariant, text);
    fflush(stdout);
    if (__gcov_dump)
        __gcov_dump();
    _exit(1);
}
