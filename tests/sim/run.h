/* Playing histories: each in a child process of its own, many of them in workers. Above the world (world.h) and below
 * the command line (run.c); nothing here knows what a history is about. */
#ifndef SIM_RUN_H
#define SIM_RUN_H
#include "tests/sim/sim_result.h"
#include "tests/sim/world.h"

/* ---- run_history.c: one ---- */
struct manner {
    bool telling;      /* the story goes to story_fd, or to the standard output when that is 0 */
    int story_fd;
    bool other_layout; /* at other addresses, with other rubbish in fresh memory: nothing may depend on these */
};
void history_open(void); /* once in each process that plays */
void history_play(const struct script *p, const struct manner *how, struct sim_result *out);
/* Plays it three times; *out is the first, or a failure "I0 deterministic" that says where the stories part. */
void history_play_again(const struct script *p, struct sim_result *out);

/* ---- run_campaign.c: many ---- */
struct campaign_wish {
    void (*draw)(uint64_t number, struct script *out); /* plan_draw or sweep_draw */
    const char *replay; /* what a person types, before the number */
    uint64_t from, stride;
    int64_t seeds;
    int workers;       /* 0: as many as there are processors */
    bool until_failure;
    bool again;        /* each by history_play_again */
};
int64_t campaign_run(const struct campaign_wish *wish); /* how many have failed; figures are printed */

/* ---- sweep.c: scripts 0 .. size-1 instead of seeds ---- */
int64_t sweep_size(void);
void sweep_draw(uint64_t index, struct script *out);

/* ---- swarm.c ---- */
bool swarm_focus(const char *kinds); /* from now on seeds draw these only: names, comma between them; false: one is unknown */

/* ---- shrink.c ---- */
bool shrink_plan(struct script *p, struct sim_result *failure); /* false: it does not fail */
#endif
