/* Starts the postmaster as a child: own session, own user, none of the dead-man's privileges. The child is made ready
 * first and then waits for the word, so that the window without standby.signal holds only exec and PostgreSQL's own
 * way to the signal files. */
#ifndef DEADMAN_SPAWN_H
#define DEADMAN_SPAWN_H
#include "deadman.h"

/* What the dead-man changed about itself and a child would inherit. */
struct deadman_inherited {
    bool oom_changed;
    char oom_score_adj[16];
};
/* Locks memory (a child does not inherit that) and leaves the OOM killer's list, where that is allowed. */
void deadman_harden(struct deadman_inherited *before);

struct deadman_child {
    pid_t pid;
    int channel; /* -1: given away */
};
/* Forks; the child has switched user, opened its log and waits. The caller reaps it. */
bool deadman_spawn_prepare(const struct deadman_request *request, const struct deadman_inherited *before, struct deadman_child *child, struct err *err);
/* Lets it exec. False with the reason when exec failed: the child is ending then. */
bool deadman_spawn_go(struct deadman_child *child, struct err *err);
/* Kills a child that was not let go. */
void deadman_spawn_cancel(struct deadman_child *child);
#endif
