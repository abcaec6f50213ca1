/* Time, chance and the fingerprint: the queue of what is going to happen, and the one loop that lets it happen. */
#include "tests/sim/sim.h"
#include "tests/sim/sim_inner.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

sim_time sim_now;

struct event {
    sim_time when;
    int64_t order; /* of asking: decides within one moment */
    void (*run)(void *context, int64_t number);
    void *context;
    int64_t number;
};
/* A binary heap: at[0] is the next one. */
static struct {
    struct event *at;
    size_t count, room;
} queue;
static int64_t asked, happened, at_this_moment;
static uint64_t fingerprint, seed_salt;

/* So many events in one microsecond are a loop that waits for nothing. */
#define MOMENT_EVENTS_MAX 200000

/* ---- chance ---- */

uint64_t sim_scramble(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t sim_hash_text(const char *text) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

/* A stream knows its purpose only; the seed comes in at each throw, so that sim_reseed reaches streams that are open. */
void dice_open(struct dice *d, const char *purpose, int64_t number) {
    d->state = sim_scramble(sim_hash_text(purpose) ^ sim_scramble((uint64_t)number));
}

uint64_t dice_next(struct dice *d) {
    d->state += 0x9e3779b97f4a7c15u;
    return sim_scramble(d->state ^ seed_salt);
}

int64_t dice_between(struct dice *d, int64_t low, int64_t high) {
    if (high <= low)
        return low;
    uint64_t span = (uint64_t)high - (uint64_t)low + 1;
    uint64_t drawn = span ? dice_next(d) % span : dice_next(d);
    return (int64_t)((uint64_t)low + drawn);
}

/* Draws in an order of our own: that of a call's arguments is the compiler's. */
void dice_id(struct dice *d, char *text, size_t space) {
    uint64_t low = dice_next(d), high = dice_next(d);
    snprintf(text, space, "%016" PRIx64 "%016" PRIx64, high, low);
}

bool dice_chance(struct dice *d, int permille) { return dice_between(d, 0, 999) < permille; }

/* ---- the queue ---- */

static bool is_before(const struct event *a, const struct event *b) {
    return a->when != b->when ? a->when < b->when : a->order < b->order;
}

static void sift_up(size_t hole, const struct event *e) {
    while (hole > 0 && is_before(e, &queue.at[(hole - 1) / 2])) {
        queue.at[hole] = queue.at[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    queue.at[hole] = *e;
}

static void sift_down(const struct event *e) {
    size_t hole = 0;
    for (size_t child; (child = 2 * hole + 1) < queue.count; hole = child) {
        if (child + 1 < queue.count && is_before(&queue.at[child + 1], &queue.at[child]))
            child++;
        if (is_before(e, &queue.at[child]))
            break;
        queue.at[hole] = queue.at[child];
    }
    queue.at[hole] = *e;
}

void sim_at(sim_time when, void (*run)(void *context, int64_t number), void *context, int64_t number) {
    if (queue.count == queue.room) {
        queue.room = queue.room ? queue.room * 2 : 1024;
        queue.at = realloc(queue.at, queue.room * sizeof *queue.at);
        if (!queue.at)
            abort();
    }
    struct event e = {.when = when > sim_now ? when : sim_now, .order = asked++, .run = run, .context = context, .number = number};
    sift_up(queue.count++, &e);
}

static struct event take_next(void) {
    struct event first = queue.at[0], last = queue.at[--queue.count];
    if (queue.count)
        sift_down(&last);
    return first;
}

/* ---- the loop ---- */

void sim_begin(uint64_t seed) {
    sim_now = 0;
    queue.count = 0;
    asked = happened = at_this_moment = 0;
    sim_reseed(seed);
    fingerprint = sim_scramble(seed);
}

void sim_reseed(uint64_t seed) { seed_salt = sim_scramble(seed ^ 0x70677265u); }

void sim_mix(uint64_t what) { fingerprint = sim_scramble(fingerprint ^ what); }

bool sim_step(void) {
    if (queue.count == 0)
        return false;
    struct event e = take_next();
    at_this_moment = e.when == sim_now ? at_this_moment + 1 : 0;
    if (at_this_moment > MOMENT_EVENTS_MAX)
        sim_fail("I25 standstill", "%d events in one microsecond: somebody waits for nothing", MOMENT_EVENTS_MAX);
    sim_now = e.when;
    happened++;
    sim_mix((uint64_t)e.when);
    sim_mix((uint64_t)e.order);
    e.run(e.context, e.number);
    return true;
}

void sim_run_until(sim_time end, void (*after_each)(void)) {
    while (queue.count && queue.at[0].when <= end) {
        sim_step();
        if (after_each)
            after_each();
    }
    if (sim_now < end)
        sim_now = end;
}

int64_t sim_events(void) { return happened; }
uint64_t sim_fingerprint(void) { return fingerprint; }
