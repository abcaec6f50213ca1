/* The dead-man's one context, shared by its loop (deadman_server.c), the life of the postmaster
 * (deadman_postmaster.c) and the conversation with the agent (deadman_agent.c). */
#ifndef DEADMAN_INNER_H
#define DEADMAN_INNER_H
#include "deadman.h"
#include "deadman_spawn.h"
#include "deadman_striker.h"
#include "deadman_window.h"

#define DEADMAN_KILLS_MAX 8 /* kill requests that wait for their answer */

struct deadman {
    const char *state_dir; /* absolute */
    int state_fd, lock_fd, listen_fd, signal_fd, timer_fd;
    int agent_fd; /* -1: none is connected */
    struct deadman_inherited inherited;
    struct deadman_striker striker;
    struct deadman_window window;
    struct deadman_status now; /* what is told to the agent */
    bool fast_sent;            /* SIGINT for the present fast deadline */
    bool below;                /* processes of ours may be left */
    bool unsettled;            /* the directory is not proved to be at rest as a standby */
    bool killing;              /* until nothing is left */
    int64_t killing_since_ms;
    int64_t kill_ids[DEADMAN_KILLS_MAX];
    size_t kill_count;
    int64_t complained_ms;
    bool changed; /* the agent is to be told */
    bool leaving;
};

/* deadman_postmaster.c */
bool deadman_start(struct deadman *d, const struct deadman_request *request, struct err *err);
bool deadman_guard(struct deadman *d, bool on, struct err *err);
bool deadman_signal(struct deadman *d, int64_t number, struct err *err);
void deadman_set_deadline(struct deadman *d, int64_t fast_boot_ms, int64_t kill_boot_ms);
/* Fast stop and kill when their time has come; sets the timer for the next. */
void deadman_deadlines(struct deadman *d);
void deadman_begin_kill(struct deadman *d);
/* Reaps what ended; a postmaster's directory is a standby again before it is reaped. */
void deadman_reap(struct deadman *d);
/* Windows, kills and the way to rest; to be called on every turn of the loop. */
void deadman_watch(struct deadman *d);
/* How long the loop may sleep, -1: until something happens. */
int deadman_sleep_ms(const struct deadman *d);
/* Nothing runs and nothing is left to be put back. */
bool deadman_at_rest(const struct deadman *d);

/* deadman_agent.c */
bool deadman_listen(struct deadman *d, struct err *err);
void deadman_accept(struct deadman *d);
void deadman_serve(struct deadman *d);
void deadman_answer_kills(struct deadman *d);
void deadman_push(struct deadman *d);
#endif
