/* Between the parts of the dead-man's model: its server's loop and postmaster (deadman_model.c), its window
 * (deadman_window.c), its conversation with the agent (deadman_talk.c). The names are those of site-agent/deadman. */
#ifndef SIM_DEADMAN_INNER_H
#define SIM_DEADMAN_INNER_H
#include "site-agent/deadman/deadman.h"
#include "site-agent/pg/pg_control.h"
#include "tests/sim/deadman.h"
#include "tests/sim/postgres.h"

struct window {
    bool away, missing, guard, leftover, recorded, absent;
    sim_time present;  /* when standby.signal was last known to be there */
    int64_t last_us;
    struct pg_control before;
};

#define KILLS_MAX 8
struct deadman {
    struct host *host;
    struct postgres *pg;
    bool alive, paused;
    struct dice dice;
    struct deadman_client *agent, *arriving; /* connected; connected and not accepted yet */
    struct window window;
    struct deadman_status now;
    int64_t tree_pid;       /* the postmaster that it has started, until the last process of it is reaped */
    bool fast_sent, below, unsettled, killing, changed, leaving;
    int64_t killing_since_ms, kill_ids[KILLS_MAX], complained_ms;
    size_t kill_count;
    struct deadman_request *starting; /* waits for its record to be on disk; NULL */
    int64_t deadline;       /* number of the deadline that the striker has */
    bool strike_late;       /* it fell due while all of it stood still */
    sim_time planned;       /* its next turn; INT64_MAX: it sleeps */
    sim_time busy_until;    /* the loop hangs on a disk; the striker does not */
};

/* deadman_model.c */
void deadman_wake(struct deadman *d, sim_time delay); /* a turn of the loop comes by then */
void deadman_begin(struct host *h);
bool deadman_perform(struct deadman *d, const struct deadman_request *r, bool *later, struct err *err);
void deadman_deadlines(struct deadman *d);
bool deadman_tree_lives(const struct deadman *d);
void deadman_disk(struct deadman *d); /* a durable write has been made: the loop waits for it */

/* deadman_talk.c */
void deadman_accept(struct deadman *d);
void deadman_serve(struct deadman *d);
void deadman_answer(struct deadman *d, int64_t id, const struct err *why);
void deadman_push(struct deadman *d);
void deadman_answer_kills(struct deadman *d);
void deadman_hang_up(struct deadman *d);
void deadman_gone(struct deadman *d); /* both connections break */

/* deadman_window.c */
enum window_event { WINDOW_NOTHING, WINDOW_CLOSED, WINDOW_PROMOTED, WINDOW_SETTLED };
bool window_attach(struct deadman *d, struct err *err);
bool window_record(struct deadman *d, struct err *err);
void window_open(struct deadman *d);
bool window_guard(struct deadman *d, bool on, struct err *err);
bool window_step(struct deadman *d, enum window_event *event, struct err *err);
bool window_restore(struct deadman *d, struct err *err);
bool window_finish(struct deadman *d, struct err *err);
bool window_recover(struct deadman *d, struct err *err);
bool window_mark_is_there(const struct deadman *d);
bool window_stranger(const struct deadman *d); /* a PostgreSQL that is not ours works in the directory */
void window_power_lost(struct deadman *d);
#endif
