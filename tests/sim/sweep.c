/* The exhaustive sweep of small worlds: two sites of one member, one operation, one fault, at every place between two effects
 * of every process. What a seed would have to be lucky to hit is simply visited. */
#include "tests/sim/run.h"

/* What goes on while the fault strikes. */
enum scene { SCENE_BIRTH, SCENE_MOVE, SCENE_MOVE_AND_BACK, SCENE_ABORT, SCENES };
/* Whom it strikes, and how. Hosts: ams-1 is 0, fra-1 is 1, the coordinator is 2. */
struct variant {
    int kind, target;
    int64_t ms;
};
static const struct variant variants[] = {
    {DEED_KILL_AGENT_AT, 0, 0},       {DEED_KILL_AGENT_AT, 1, 0},        {DEED_KILL_COORDINATOR_AT, 0, 0},
    {DEED_PAUSE_AGENT_AT, 0, 2000},   {DEED_PAUSE_AGENT_AT, 1, 2000},    {DEED_PAUSE_AGENT_AT, 0, 15000},
    {DEED_PAUSE_AGENT_AT, 1, 15000},  {DEED_CRASH_HOST_AT, 0, 3000},     {DEED_CRASH_HOST_AT, 1, 3000},
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
    case SCENES:
        return;
    }
}

/* The index counts places fastest, so that every k-th of a sample visits all scenes and variants. */
void sweep_draw(uint64_t index, struct script *out) {
    const struct variant *v = &variants[index / PLACES % VARIANTS];
    enum scene scene = (enum scene)(index / PLACES / VARIANTS % SCENES);
    *out = (struct script){.seed = 1, .settings = {.sites = 2, .members = 1, .clients = 1, .ttl_ms = 10000, .stop_time_ms = 4000, .latency_ms = 5, .safety_ms = 30000}};
    set_scene(scene, out);
    sim_time from = scene == SCENE_BIRTH ? 0 : scene == SCENE_MOVE_AND_BACK ? 12 * SECOND : 1 * SECOND;
    add(out, from, v->kind, v->target, v->ms, (int64_t)(index % PLACES) + 1);
}
