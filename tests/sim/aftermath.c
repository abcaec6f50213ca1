/* Does it only look whole? After the liveness phase nothing bad is done to the world any more. It is left alone for a while, and then an
 * operator moves the primary, as on any working day. Whatever the disasters have left behind (marks, slots, a refusal, half an
 * operation) must hinder neither. Not where a person is waited for. */
#include "tests/sim/invariants.h"
#include "tests/sim/postgres.h"
#include <stdio.h>

#define REST (15 * SECOND)
#define WHOLE_WITHIN (300 * SECOND)
#define CALM_TRIES 10
#define MOVE_WITHIN (90 * SECOND)
#define MOVE_DEADLINE_MS 30000
#define GAP_MOST (10 * SECOND) /* nobody writes: fast stop, replay, promotion, over a link of up to 300 ms */
#define LOOK_EVERY (100 * MS)

/* What people did lately: until they are done, servers have a reason to be started, and leases to be renewed. */
static int64_t deeds_of_people(void) { return topology_newest_version() + topology_in_force()->version + operations_accepted(); }

static void note_lives(int lives[HOSTS_MAX]) {
    for (int i = 0; i < host_count; i++)
        lives[i] = hosts[i].postgres ? hosts[i].postgres->generation : 0;
}

/* A whole cluster stays as it is: no server is stopped or started, and its primary goes on writing. False: people do something, or have just asked for it. */
static bool rest(const struct host *writer) {
    int before[HOSTS_MAX], after[HOSTS_MAX];
    char lacking[256] = "";
    int64_t deeds = deeds_of_people();
    note_lives(before);
    for (sim_time until = sim_now + REST; sim_now < until;) {
        sim_run_until(sim_now + LOOK_EVERY, invariants_check);
        if (deeds_of_people() != deeds || world_operation_is_open())
            return false;
        sim_check("I35 rest", invariants_writer() == writer, "%s wrote in a whole cluster, and %s does now", writer->name, invariants_writer() ? invariants_writer()->name : "nobody");
    }
    note_lives(after);
    for (int i = 0; i < host_count; i++)
        sim_check("I35 rest", after[i] == before[i], "PostgreSQL of %s ended or was started in a whole cluster", hosts[i].name);
    sim_check("I35 rest", world_has_converged(lacking, sizeof lacking), "the cluster was whole, was left alone, and is not whole any more: %s", lacking);
    return true;
}

static int draw_target(const struct host *writer) {
    struct dice d;
    int named[3], count = 0;
    for (int i = 0; i < site_count; i++)
        if (i != writer->site && world_names_site(i))
            named[count++] = i;
    dice_open(&d, "aftermath", 0);
    return count ? named[dice_between(&d, 0, count - 1)] : NOWHERE;
}

static void move(int to) {
    char lacking[256] = "";
    sim_time begin = sim_now, since = -1, gap = 0;
    bool there = false;
    operator_switchover(to, MOVE_DEADLINE_MS);
    while (!there && sim_now - begin < MOVE_WITHIN) {
        sim_run_until(sim_now + LOOK_EVERY, invariants_check);
        const struct host *writer = invariants_writer();
        there = writer && writer->site == to && world_has_converged(lacking, sizeof lacking);
        if (writer)
            since = -1;
        else if (since < 0)
            since = sim_now;
        if (since >= 0 && sim_now - since > gap)
            gap = sim_now - since;
    }
    sim_check("I36 a move works", there, "%lld s after an operator asked to move to %s, and nothing is wrong: %s", (long long)((sim_now - begin) / SECOND), sites[to].name,
              lacking[0] ? lacking : "it was not moved");
    sim_check("I36 a move works", gap <= GAP_MOST, "moved to %s; for %lld ms nobody accepted writes, and nothing is wrong", sites[to].name, (long long)(gap / MS));
    count("moves of a whole cluster");
    count_more("ms without writes in them", gap / MS);
}

void aftermath_play(void) {
    char lacking[256] = "";
    sim_say("world", "---- it is left alone ----");
    bool calm = false;
    for (int tries = 0; !calm; tries++) {
        sim_check("I35 rest", tries < CALM_TRIES, "something is done to a whole cluster again and again");
        const struct host *writer = invariants_writer();
        if (!writer || !world_needs_nobody())
            return;
        calm = rest(writer);
        if (!calm && !world_run_until_whole(sim_now + WHOLE_WITHIN, lacking, sizeof lacking))
            sim_fail("I31 convergence", "people changed something in a whole cluster; %lld s later: %s", (long long)(WHOLE_WITHIN / SECOND), lacking);
    }
    int to = draw_target(invariants_writer());
    if (to == NOWHERE)
        return;
    sim_say("world", "---- an operator moves the primary ----");
    move(to);
}
