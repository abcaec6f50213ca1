/* The exhaustive sweep of small worlds: two sites, one operation, one fault, at every place between two effects of a daemon,
 * or at every millisecond for what strikes PostgreSQL. What a seed would have to be lucky to hit is simply visited. Sites of one member show what a restart finds; where
 * the fault outlasts the lease, sites of two show what the other member makes of it. */
#include "tests/sim/run.h"

/* What goes on while the fault strikes. */
enum scene { SCENE_BIRTH, SCENE_MOVE, SCENE_MOVE_AND_BACK, SCENE_ABORT, SCENE_SLOW_ORDERS, SCENE_SLOW_STORE, SCENES };
/* Whom it strikes, and how: with one member ams-1 is host 0 and fra-1 is 1, with two ams has 0 and 1, fra 2 and 3. One of each
 * two leads its site. */
struct variant {
    int members, kind, target;
    int64_t ms;
};
static const struct variant variants[] = {
    {1, DEED_KILL_AGENT_AT, 0, 0},      {1, DEED_KILL_AGENT_AT, 1, 0},      {1, DEED_KILL_COORDINATOR_AT, 0, 0},
    {1, DEED_PAUSE_AGENT_AT, 0, 2000},  {1, DEED_PAUSE_AGENT_AT, 1, 2000},  {1, DEED_PAUSE_AGENT_AT, 0, 15000},
    {1, DEED_PAUSE_AGENT_AT, 1, 15000}, {1, DEED_CRASH_HOST_AT, 0, 3000},   {1, DEED_CRASH_HOST_AT, 1, 3000},
    {2, DEED_CRASH_HOST_AT, 0, 25000},  {2, DEED_CRASH_HOST_AT, 1, 25000},  {2, DEED_CRASH_HOST_AT, 2, 25000},
    {2, DEED_CRASH_HOST_AT, 3, 25000},  {2, DEED_PAUSE_AGENT_AT, 0, 15000}, {2, DEED_PAUSE_AGENT_AT, 1, 15000},
    {2, DEED_PAUSE_AGENT_AT, 2, 15000}, {2, DEED_PAUSE_AGENT_AT, 3, 15000}, {1, DEED_STOP_BY_HAND, 0, 0},
    {1, DEED_STOP_BY_HAND, 1, 0},       {1, DEED_CRASH_POSTGRES, 0, 0},     {1, DEED_CRASH_POSTGRES, 1, 0},
};
enum { VARIANTS = sizeof variants / sizeof variants[0], PLACES = 400 };

int64_t sweep_size(void) { return (int64_t)SCENES * VARIANTS * PLACES; }

static void add(struct script *p, sim_time at, int kind, int target, int64_t ms, int64_t number) {
    p->deeds[p->deed_count++] = (struct deed){.at = at, .kind = kind, .target = target, .other = NOWHERE, .ms = ms, .number = number};
}

static void set_scene(enum scene scene, struct script *p) {
    switch (scene) {
    case SCENE_BIRTH:
        p->settings.born = true;
        return;
    case SCENE_MOVE:
        add(p, 1 * SECOND, DEED_SWITCHOVER, 1, 20000, 0);
        return;
    case SCENE_MOVE_AND_BACK:
        add(p, 1 * SECOND, DEED_SWITCHOVER, 1, 20000, 0);
        add(p, 12 * SECOND, DEED_SWITCHOVER, 0, 20000, 0);
        return;
    case SCENE_ABORT:
        add(p, 0, DEED_PAUSE_REPLAY, 1, 8000, 0);
        add(p, 1 * SECOND, DEED_SWITCHOVER, 1, 20000, 0);
        add(p, 3 * SECOND, DEED_ABORT, NOWHERE, 0, 0);
        return;
    case SCENE_SLOW_ORDERS: /* a stop order may meet a server that has gone and comes up again */
        add(p, 0, DEED_SLOW_LINK, 2 * p->settings.members, 20000, 310);
        p->deeds[0].other = 0;
        add(p, 1 * SECOND, DEED_SWITCHOVER, 1, 20000, 0);
        return;
    case SCENE_SLOW_STORE: /* rows may be acknowledged before the epoch is recorded as open */
        add(p, 0, DEED_STORE_SLOW, 1, 20000, 100);
        add(p, 1 * SECOND, DEED_SWITCHOVER, 1, 20000, 0);
        return;
    case SCENES:
        return;
    }
}

/* When the fault may strike first, and how far apart the moments of timed ones lie. */
static sim_time begin_of(enum scene scene) { return scene == SCENE_BIRTH ? 0 : scene == SCENE_MOVE_AND_BACK ? 12 * SECOND : 1 * SECOND; }
static sim_time step_of(enum scene scene) { return scene == SCENE_BIRTH ? 10 * MS : scene == SCENE_SLOW_ORDERS ? 4 * MS : 1 * MS; }

/* The index counts places fastest, so that every k-th of a sample visits all scenes and variants. */
void sweep_draw(uint64_t index, struct script *out) {
    const struct variant *v = &variants[index / PLACES % VARIANTS];
    enum scene scene = (enum scene)(index / PLACES / VARIANTS % SCENES);
    *out = (struct script){.seed = 1, .settings = {.sites = 2, .members = v->members, .clients = 1, .ttl_ms = 10000, .stop_time_ms = 4000, .latency_ms = 5, .safety_ms = 30000}};
    set_scene(scene, out);
    int64_t place = (int64_t)(index % PLACES) + 1;
    if (v->kind == DEED_STOP_BY_HAND || v->kind == DEED_CRASH_POSTGRES)
        add(out, begin_of(scene) + place * step_of(scene), v->kind, v->target, v->ms, 0);
    else
        add(out, begin_of(scene), v->kind, v->target, v->ms, place);
}
