/* The fast stop: no new sessions and the old ones ended at once, then walsenders that cannot be rid of, then the shutdown
 * checkpoint, which pg_control tells of at once, and last the wait for whoever streams to have it, too. */
#include "tests/sim/postgres_inner.h"

#define LOOK_MS 10
#define LOOK_LATER_MS 50

static void on_linger(struct postgres *pg, int64_t number) {
    (void)number;
    if (pg_streams_drained(pg))
        pg_ended(pg);
    else
        pg_later(pg, LOOK_MS * MS, on_linger, 0);
}

static void on_checkpoint_written(struct postgres *pg, int64_t number) {
    (void)number;
    if (!pg->postmaster_pid)
        return;
    const struct wal *record = pg_append(pg, WAL_SHUTDOWN, pg->written->timeline, 0, 0);
    pg->flushed = record;
    pg_checkpointed(pg, record);
    sim_say(pg->host->name, "shut down: checkpoint up to %llx", (unsigned long long)record->end);
    pg_set_control(pg, PG_SHUT_DOWN);
    pg_streams_push(pg);
    pg_later(pg, pg_takes(pg, 15, 30), on_linger, 0);
}

static bool is_hung(const struct postgres *pg) { return sim_now < pg->hung_walsender_until && pg->core->logical_terms < 2; }

static void on_drain(struct postgres *pg, int64_t looks) {
    if (!pg->postmaster_pid)
        return;
    if (is_hung(pg) || pg_streams_stuck(pg)) {
        if (looks == 0)
            count("stops held up by a walsender");
        pg_later(pg, (looks < 50 ? LOOK_MS : LOOK_LATER_MS) * MS, on_drain, looks + 1);
        return;
    }
    pg_set_control(pg, PG_SHUTTING_DOWN);
    pg_later(pg, pg_recovery_takes(pg, 10, dice_chance(&pg->core->dice, 100) ? 400 : 40), on_checkpoint_written, 0);
}

/* The last restartpoint of a standby, or of a server that never came up. */
static void on_recovery_ended(struct postgres *pg, int64_t number) {
    (void)number;
    if (!pg->postmaster_pid)
        return;
    pg_restartpoint(pg);
    pg_slots_saved(pg);
    pg_set_control(pg, PG_SHUT_DOWN_IN_RECOVERY);
    pg_later(pg, pg_takes(pg, 5, 20), on_linger, 0);
}

void pg_fast_stop(struct postgres *pg) {
    if (!pg->postmaster_pid || pg->state == SERVER_STOPPING)
        return;
    if (pg->state == SERVER_PROMOTING && pg->core->unlinked) {
        pg->core->stop_wanted = true;
        return;
    }
    bool production = pg->state == SERVER_PRODUCTION;
    sim_say(pg->host->name, "received fast shutdown request");
    pg->state = SERVER_STOPPING;
    pg_receiver_end(pg);
    pg_fail_checkpoints(pg);
    if (production)
        pg_fail_commits(pg);
    pg_notice(pg);
    pg_later(pg, pg_takes(pg, 5, 20), production ? on_drain : on_recovery_ended, 0);
}
