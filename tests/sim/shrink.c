/* A plan that fails, made short: deeds are left out as long as the same invariant fails (first halves, then smaller parts,
 * then one by one), then the world is made smaller, then times are made round. The seed stays, so each purpose's chance
 * is what it was. */
#include "rt/str.h"
#include "tests/sim/run.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TRIES_MAX = 1500, ROUNDS_MAX = 4 };
struct shrinker {
    struct script plan;         /* the shortest so far */
    struct sim_result failure;  /* how it fails */
    int tries;
};

/* Keeps the candidate if it fails in the same way. */
static bool keep(struct shrinker *s, const struct script *candidate) {
    struct sim_result r;
    if (s->tries >= TRIES_MAX || !memcmp(candidate, &s->plan, sizeof *candidate))
        return false;
    s->tries++;
    history_play(candidate, &(struct manner){0}, &r);
    if (!r.failed || !str_eq(r.invariant, s->failure.invariant))
        return false;
    s->plan = *candidate;
    s->failure = r;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%d tries: %d deeds, fails at %.3f s ", s->tries, s->plan.deed_count, (double)r.at / SECOND);
    return true;
}

/* ---- deeds ---- */

static struct script without(const struct script *p, int first, int count) {
    struct script shorter = *p;
    memmove(shorter.deeds + first, p->deeds + first + count, (size_t)(p->deed_count - first - count) * sizeof p->deeds[0]);
    shorter.deed_count -= count;
    memset(shorter.deeds + shorter.deed_count, 0, (size_t)count * sizeof p->deeds[0]);
    return shorter;
}

static void leave_out(struct shrinker *s) {
    for (int part = s->plan.deed_count; part > 0; part /= 2)
        for (int at = s->plan.deed_count - part; at >= 0; at -= part) { /* the last ones matter least */
            if (at + part > s->plan.deed_count)
                continue;
            struct script shorter = without(&s->plan, at, part);
            keep(s, &shorter);
        }
}

/* ---- the world ---- */

static bool is_about_site(int kind) {
    return kind == DEED_CRASH_SITE || kind == DEED_ISOLATE_SITE || (kind >= DEED_STORE_DOWN && kind <= DEED_STORE_BACK) || kind == DEED_SWITCHOVER ||
           kind == DEED_SWITCHOVER_TWICE || kind == DEED_APPLY_LEASE || kind == DEED_APPLY_TWICE || kind == DEED_APPLY_MEMBER;
}

/* Hosts are numbered site by site; coordinators and clients follow. False: the host is not there any more. */
static bool move_host(int *host, const struct settings *from, const struct settings *to) {
    int count = from->sites * from->members, left = to->sites * to->members;
    if (*host == NOWHERE)
        return true;
    if (*host >= count) {
        *host += left - count;
        return true;
    }
    int site = *host / from->members, member = *host % from->members;
    *host = site * to->members + member;
    return site < to->sites && member < to->members;
}

static bool move_deed(struct deed *d, int kind, const struct settings *from, const struct settings *to) {
    if (is_about_site(kind))
        return d->target < to->sites && d->other < to->sites;
    if (kind == DEED_KILL_COORDINATOR || kind == DEED_KILL_COORDINATOR_AT || kind == DEED_PAUSE_COORDINATOR || kind == DEED_COORDINATOR_BACK)
        return true; /* these are numbered by themselves */
    return move_host(&d->target, from, to) && move_host(&d->other, from, to);
}

static void make_smaller(struct shrinker *s, int site_number, int members) {
    struct script p = s->plan;
    p.settings.sites = site_number;
    p.settings.members = members;
    p.settings.one_host &= members > 1;
    for (int i = 0; i < p.deed_count;) {
        if (move_deed(&p.deeds[i], p.deeds[i].kind, &s->plan.settings, &p.settings))
            i++;
        else
            p = without(&p, i, 1);
    }
    keep(s, &p);
}

#define TRY(change)                                                                                                    \
    do {                                                                                                               \
        struct script p = s->plan;                                                                                     \
        struct settings *t = &p.settings;                                                                              \
        change;                                                                                                        \
        keep(s, &p);                                                                                                   \
    } while (0)

static void simplify_world(struct shrinker *s) {
    if (s->plan.settings.sites > 2)
        make_smaller(s, 2, s->plan.settings.members);
    for (int members = 1; members < s->plan.settings.members; members++)
        make_smaller(s, s->plan.settings.sites, members);
    TRY(t->one_host = false);
    TRY(t->born = false);
    TRY(t->clients = 0);
    TRY(t->clients = t->clients > 1 ? 1 : t->clients);
    TRY(t->latency_ms = 0);
    TRY(t->latency_ms = t->latency_ms > 10 ? 10 : t->latency_ms);
    TRY((t->ttl_ms = 10000, t->stop_time_ms = 4000));
    sim_time last = s->plan.deed_count ? s->plan.deeds[s->plan.deed_count - 1].at : 0;
    TRY(t->safety_ms = last / MS + 1000);
    TRY(t->safety_ms = t->safety_ms / 2 > last / MS ? t->safety_ms / 2 : t->safety_ms);
}

/* ---- times and numbers ---- */

static int64_t rounded(int64_t value, int64_t to) { return value - value % to; }

static void simplify_deed(struct shrinker *s, int i) {
    for (sim_time unit = SECOND; unit >= 10 * MS; unit /= 10) {
        struct script p = s->plan;
        p.deeds[i].at = rounded(p.deeds[i].at, unit);
        bool in_order = i == 0 || p.deeds[i - 1].at <= p.deeds[i].at;
        if (in_order && keep(s, &p))
            break;
    }
    for (int64_t unit = 10000; unit >= 100; unit /= 10) {
        struct script p = s->plan;
        p.deeds[i].ms = rounded(p.deeds[i].ms, unit);
        if ((p.deeds[i].ms || !s->plan.deeds[i].ms) && keep(s, &p))
            break;
    }
    for (int64_t unit = 1000; unit >= 10; unit /= 10) {
        struct script p = s->plan;
        p.deeds[i].number = rounded(p.deeds[i].number, unit);
        if ((p.deeds[i].number || !s->plan.deeds[i].number) && keep(s, &p))
            break;
    }
}

bool shrink_plan(struct script *p, struct sim_result *failure) {
    struct shrinker s = {.plan = *p};
    history_play(p, &(struct manner){0}, &s.failure);
    for (int round = 0; s.failure.failed && round < ROUNDS_MAX; round++) {
        struct script before = s.plan;
        leave_out(&s);
        simplify_world(&s);
        for (int i = 0; i < s.plan.deed_count; i++)
            simplify_deed(&s, i);
        if (!memcmp(&before, &s.plan, sizeof before))
            break;
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%*s\r", 60, "");
    *p = s.plan;
    *failure = s.failure;
    return s.failure.failed;
}
