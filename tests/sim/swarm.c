/* What is done to the world, drawn from a seed. Each history has its own swarm: which kinds of deeds happen at all, how
 * many, how long. So some histories know one kind only, and many of it; a few know none. */
#include "tests/sim/run.h"
#include <string.h>

/* Whom a kind is about: a host is a member's, a machine may be the coordinator's, too. */
enum about { ABOUT_HOST, ABOUT_MACHINE, ABOUT_SITE, ABOUT_LINK, ABOUT_COORDINATOR, ABOUT_LETTER, ABOUT_NOBODY };
struct shape {
    enum about about;
    int64_t ms_low, ms_high;         /* duration; 0, 0: none */
    int64_t number_low, number_high;
    int weight;                      /* against the others, when its kind is in the swarm */
};
static const struct shape shapes[DEED_KINDS] = {
    [DEED_KILL_AGENT] = {ABOUT_HOST, 0, 0, 0, 0, 4},
    [DEED_KILL_AGENT_AT] = {ABOUT_HOST, 0, 0, 1, 400, 6},
    [DEED_PAUSE_AGENT] = {ABOUT_HOST, 100, 40000, 0, 0, 4},
    [DEED_PAUSE_AGENT_AT] = {ABOUT_HOST, 500, 40000, 1, 400, 6},
    [DEED_KILL_DEADMAN] = {ABOUT_HOST, 0, 0, 0, 0, 3},
    [DEED_PAUSE_DEADMAN] = {ABOUT_HOST, 500, 30000, 0, 0, 2},
    [DEED_KILL_POSTMASTER] = {ABOUT_HOST, 100, 20000, 0, 0, 3},
    [DEED_CRASH_POSTGRES] = {ABOUT_HOST, 0, 0, 0, 0, 3},
    [DEED_PAUSE_POSTGRES] = {ABOUT_HOST, 200, 40000, 0, 0, 3},
    [DEED_PAUSE_HOST] = {ABOUT_MACHINE, 200, 40000, 0, 0, 4},
    [DEED_CRASH_HOST] = {ABOUT_MACHINE, 1000, 60000, 0, 0, 4},
    [DEED_CRASH_HOST_AT] = {ABOUT_MACHINE, 1000, 60000, 1, 400, 4},
    [DEED_CRASH_SITE] = {ABOUT_SITE, 1000, 60000, 0, 0, 3},
    [DEED_DISK_FULL] = {ABOUT_MACHINE, 1000, 40000, 0, 0, 2},
    [DEED_DISK_SLOW] = {ABOUT_MACHINE, 1000, 40000, 10, 8000, 3},
    [DEED_WALL_JUMP] = {ABOUT_MACHINE, 0, 0, -3600000, 3600000, 2},
    [DEED_STORE_DOWN] = {ABOUT_SITE, 500, 40000, 0, 0, 4},
    [DEED_STORE_FLAKY] = {ABOUT_SITE, 500, 40000, 50, 800, 5},
    [DEED_STORE_SLOW] = {ABOUT_SITE, 500, 40000, 10, 6000, 4},
    [DEED_STORE_STALE] = {ABOUT_SITE, 500, 40000, 1, 30, 4},
    [DEED_STORE_DEAF] = {ABOUT_SITE, 500, 40000, 0, 0, 2},
    [DEED_STORE_BACK] = {ABOUT_SITE, 500, 20000, 0, 60000, 1},
    [DEED_CUT] = {ABOUT_LINK, 200, 60000, 0, 0, 4},
    [DEED_CUT_ONE_WAY] = {ABOUT_LINK, 200, 60000, 0, 0, 4},
    [DEED_CUT_CONTROL] = {ABOUT_LINK, 200, 60000, 0, 0, 3},
    [DEED_CUT_REPLICATION] = {ABOUT_LINK, 200, 60000, 0, 0, 3},
    [DEED_ISOLATE_SITE] = {ABOUT_SITE, 500, 60000, 0, 0, 4},
    [DEED_FLAP] = {ABOUT_LINK, 2000, 40000, 200, 4000, 2},
    [DEED_SLOW_LINK] = {ABOUT_LINK, 1000, 60000, 10, 3000, 3},
    [DEED_LATE_LETTERS] = {ABOUT_MACHINE, 1000, 60000, 0, 0, 5},
    [DEED_KILL_COORDINATOR] = {ABOUT_COORDINATOR, 0, 0, 0, 0, 4},
    [DEED_KILL_COORDINATOR_AT] = {ABOUT_COORDINATOR, 0, 0, 1, 300, 6},
    [DEED_PAUSE_COORDINATOR] = {ABOUT_COORDINATOR, 200, 60000, 0, 0, 4},
    [DEED_COORDINATOR_BACK] = {ABOUT_COORDINATOR, 100, 10000, 0, 60000, 2},
    [DEED_REPLAY] = {ABOUT_LETTER, 0, 0, 0, 199, 6},
    [DEED_START_BY_HAND] = {ABOUT_HOST, 0, 0, 0, 0, 3},
    [DEED_PROMOTE_BY_HAND] = {ABOUT_HOST, 0, 0, 0, 0, 1},
    [DEED_STOP_BY_HAND] = {ABOUT_HOST, 0, 0, 0, 0, 3},
    [DEED_HUNG_WALSENDER] = {ABOUT_HOST, 500, 60000, 0, 0, 3},
    [DEED_SLOW_RECOVERY] = {ABOUT_HOST, 1000, 60000, 0, 0, 3},
    [DEED_PAUSE_REPLAY] = {ABOUT_HOST, 1000, 60000, 0, 0, 2},
    [DEED_FAIL_START] = {ABOUT_HOST, 1000, 40000, 0, 0, 2},
    [DEED_DROP_SLOTS] = {ABOUT_HOST, 0, 0, 0, 0, 1},
    [DEED_WAL_BURST] = {ABOUT_NOBODY, 0, 0, 10, 2000, 3},
    [DEED_LOSE_DATA] = {ABOUT_HOST, 2000, 40000, 0, 2, 2},
    [DEED_REMOVE_SIGNAL] = {ABOUT_HOST, 0, 0, 0, 0, 2},
    [DEED_REPLACE_HOST] = {ABOUT_HOST, 1000, 60000, 0, 0, 2},
    [DEED_SWITCHOVER] = {ABOUT_SITE, 5000, 90000, 0, 0, 14},
    [DEED_SWITCHOVER_TWICE] = {ABOUT_SITE, 5000, 60000, 0, 0, 3},
    [DEED_ABORT] = {ABOUT_NOBODY, 0, 0, 0, 0, 5},
    [DEED_APPLY_LEASE] = {ABOUT_SITE, 2500, 30000, 10, 70, 8},
    [DEED_APPLY_SETTING] = {ABOUT_NOBODY, 0, 0, 1, 9, 3},
    [DEED_APPLY_TWICE] = {ABOUT_SITE, 2500, 30000, 10, 70, 3},
    [DEED_APPLY_OLD] = {ABOUT_NOBODY, 0, 0, 1, 3, 2},
    [DEED_APPLY_MEMBER] = {ABOUT_SITE, 0, 0, 0, 0, 3},
    [DEED_APPLY_SITE] = {ABOUT_NOBODY, 0, 0, 0, 0, 2},
};

static void draw_settings(struct dice *d, struct settings *s) {
    s->sites = dice_chance(d, 350) ? 3 : 2;
    s->members = dice_chance(d, 500) ? 1 : dice_chance(d, 850) ? 2 : 3;
    s->one_host = s->members > 1 && dice_chance(d, 300);
    s->born = dice_chance(d, 100);
    s->clients = (int)dice_between(d, 0, 2);
    s->ttl_ms = dice_between(d, 5, 15) * 1000;
    s->stop_time_ms = s->ttl_ms * dice_between(d, 25, 45) / 100;
    s->latency_ms = (int)(dice_chance(d, 700) ? dice_between(d, 0, 20) : dice_between(d, 20, 300));
    s->safety_ms = dice_between(d, 30, 150) * 1000;
}

/* Hosts in the order of world.c: the sites' members, then the coordinator. */
static int draw_host(struct dice *d, const struct settings *s) { return (int)dice_between(d, 0, s->sites * s->members - 1); }
static int draw_end(struct dice *d, const struct settings *s) { return (int)dice_between(d, 0, s->sites * s->members); }

/* Short ones are as frequent as long ones: the logarithm is uniform. */
static int64_t draw_length(struct dice *d, int64_t low, int64_t high) {
    if (!high)
        return 0;
    int steps = 0;
    while ((low << (steps + 1)) <= high)
        steps++;
    int64_t least = low << dice_between(d, 0, steps), most = least * 2 < high ? least * 2 : high;
    return dice_between(d, least < most ? least : most, most);
}

static void draw_target(struct dice *d, const struct settings *s, enum about about, struct deed *out) {
    out->target = out->other = NOWHERE;
    switch (about) {
    case ABOUT_HOST:
        out->target = draw_host(d, s);
        return;
    case ABOUT_MACHINE:
        out->target = draw_end(d, s);
        return;
    case ABOUT_SITE:
        out->target = (int)dice_between(d, 0, s->sites - 1);
        out->other = (int)dice_between(d, 0, s->sites - 1);
        return;
    case ABOUT_LINK:
        out->target = draw_end(d, s);
        do
            out->other = draw_end(d, s);
        while (out->other == out->target);
        return;
    case ABOUT_COORDINATOR:
        out->target = 0;
        return;
    case ABOUT_LETTER:
        out->target = draw_end(d, s);
        return;
    case ABOUT_NOBODY:
        return;
    }
}

static int draw_kind(struct dice *d, const bool swarm[DEED_KINDS]) {
    int64_t all = 0;
    for (int i = 0; i < DEED_KINDS; i++)
        all += swarm[i] ? shapes[i].weight : 0;
    int64_t at = dice_between(d, 0, all - 1);
    for (int i = 0; i < DEED_KINDS; i++) {
        at -= swarm[i] ? shapes[i].weight : 0;
        if (at < 0)
            return i;
    }
    return DEED_SWITCHOVER;
}

static void draw_swarm(struct dice *d, bool swarm[DEED_KINDS]) {
    static const int shares[] = {30, 100, 250, 500};
    int share = shares[dice_between(d, 0, 3)];
    for (int i = 0; i < DEED_KINDS; i++)
        swarm[i] = dice_chance(d, share);
    if (dice_chance(d, 850))
        swarm[DEED_SWITCHOVER] = true;
    swarm[draw_kind(d, (bool[DEED_KINDS]){[0 ... DEED_KINDS - 1] = true})] = true;
}

/* A hunt for what only certain deeds together can bring about: these kinds, in every history. */
static bool focus[DEED_KINDS], focused;
bool swarm_focus(const char *kinds) {
    focused = true;
    for (const char *at = kinds; *at;) {
        size_t len = strcspn(at, ",");
        int found = 0;
        while (found < DEED_KINDS && (strncmp(deed_names[found], at, len) != 0 || deed_names[found][len]))
            found++;
        if (found == DEED_KINDS)
            return false;
        focus[found] = true;
        at += at[len] ? len + 1 : len;
    }
    return *kinds != 0;
}

/* Deeds gather around operators' requests, where decisions are made; the rest is spread out. */
static sim_time draw_moment(struct dice *d, const struct script *p) {
    if (p->deed_count && dice_chance(d, 600)) {
        const struct deed *near = &p->deeds[dice_between(d, 0, p->deed_count - 1)];
        int64_t latest_ms = dice_chance(d, 500) ? 1500 : 15000, earliest_ms = dice_chance(d, 500) ? 0 : -2000;
        sim_time at = near->at + dice_between(d, earliest_ms, latest_ms) * MS;
        if (at >= 0 && at < p->settings.safety_ms * MS)
            return at;
    }
    return dice_between(d, 0, p->settings.safety_ms - 1) * MS;
}

static void sort_deeds(struct script *p) {
    for (int i = 1; i < p->deed_count; i++)
        for (int k = i; k > 0 && p->deeds[k - 1].at > p->deeds[k].at; k--) {
            struct deed later = p->deeds[k - 1];
            p->deeds[k - 1] = p->deeds[k];
            p->deeds[k] = later;
        }
}

void plan_draw(uint64_t seed, struct script *out) {
    struct dice d = {.state = seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u};
    bool swarm[DEED_KINDS];
    *out = (struct script){.seed = seed};
    draw_settings(&d, &out->settings);
    draw_swarm(&d, swarm);
    if (focused)
        memcpy(swarm, focus, sizeof swarm);
    int most = (int)(dice_chance(&d, 500) ? dice_between(&d, 1, 6) : dice_between(&d, 4, 30));
    for (int i = 0; i < most; i++) {
        struct deed deed = {.kind = draw_kind(&d, swarm)};
        const struct shape *s = &shapes[deed.kind];
        deed.at = draw_moment(&d, out);
        draw_target(&d, &out->settings, s->about, &deed);
        deed.ms = draw_length(&d, s->ms_low, s->ms_high);
        deed.number = dice_chance(&d, 150) ? s->number_low : dice_between(&d, s->number_low, s->number_high); /* 0 often means something of its own */
        out->deeds[out->deed_count++] = deed;
    }
    sort_deeds(out);
}
