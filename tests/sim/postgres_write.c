/* What a server writes: commits and their flush, checkpoints and restartpoints. */
#include "tests/sim/postgres_inner.h"

/* Lengths are multiples of one unit, and most commits are equally long, as those of an application are: so two diverged histories
 * often have records at the same places. */
#define UNIT 0x38
#define UNITS_MOST 18
#define UNITS_USUAL 2 /* a commit's, a checkpoint's */

/* ---- records ---- */

static lsn_t size_of(struct postgres *pg, int kind) {
    if (kind == WAL_END_OF_RECOVERY)
        return UNIT;
    bool usual = kind == WAL_CHECKPOINT || kind == WAL_SHUTDOWN || dice_chance(&pg->core->dice, 700);
    return UNIT * (lsn_t)(usual ? UNITS_USUAL : dice_between(&pg->core->dice, 1, UNITS_MOST));
}

/* Nobody else writes in the same microsecond, except by chance. */
static int64_t stamp(struct postgres *pg) { return host_wall_ms(pg->host) * 1000 + dice_between(&pg->core->dice, 0, 999); }

const struct wal *pg_append(struct postgres *pg, int kind, int64_t timeline, lsn_t redo, int64_t commit) {
    bool was_all_replayed = pg->replayed == pg->written;
    const struct wal *w = wal_new(&(struct wal_input){.previous = pg->written, .timeline = timeline, .kind = kind, .size = size_of(pg, kind), .redo = redo,
                                                     .commit = commit, .made_us = stamp(pg)});
    pg->written = w;
    if (was_all_replayed)
        pg->replayed = w;
    return w;
}

/* ---- commits ---- */

static void on_panic(struct postgres *pg, int64_t number) {
    (void)number;
    sim_say(pg->host->name, "PANIC: could not write WAL: no space left on device");
    count("panics by a full disk");
    pg_ended(pg);
}

static void write_waiting(struct postgres *pg) {
    struct postgres_core *c = pg->core;
    for (int i = 0; i < c->commit_count; i++)
        if (!c->commits[i].record)
            c->commits[i].record = pg_append(pg, WAL_COMMIT, pg->written->timeline, 0, c->commits[i].commit);
}

/* The list is taken away first: whoever is told may commit again. */
static void tell_waiting(struct postgres *pg, bool fine) {
    struct postgres_core *c = pg->core;
    struct commit_waiting told[WAITING_MAX];
    int n = c->commit_count;
    for (int i = 0; i < n; i++)
        told[i] = c->commits[i];
    c->commit_count = 0;
    for (int i = 0; i < n; i++)
        told[i].acknowledged(told[i].context, fine ? told[i].commit : 0);
}

void pg_fail_commits(struct postgres *pg) { tell_waiting(pg, false); }

static void on_flush(struct postgres *pg, int64_t number) {
    (void)number;
    pg->core->flush_asked = false;
    if (!postgres_accepts_writes(pg))
        return;
    write_waiting(pg);
    pg->flushed = pg->written;
    pg_streams_push(pg);
    tell_waiting(pg, true);
}

void pg_flush_soon(struct postgres *pg) {
    if (pg->core->flush_asked)
        return;
    pg->core->flush_asked = true;
    sim_time slow = pg->host->disk_slow ? dice_between(&pg->core->dice, 0, pg->host->disk_slow) : 0;
    pg_later(pg, slow + dice_between(&pg->core->dice, 300, 3000), on_flush, 0);
}

void postgres_commit(struct postgres *pg, int64_t commit, void (*acknowledged)(void *context, int64_t commit), void *context) {
    struct postgres_core *c = pg->core;
    bool halted = pg->paused && (pg->state == SERVER_PRODUCTION || c->orphans_write);
    if ((!halted && !postgres_accepts_writes(pg)) || c->commit_count == WAITING_MAX) {
        acknowledged(context, 0);
        return;
    }
    c->commits[c->commit_count++] = (struct commit_waiting){.commit = commit, .acknowledged = acknowledged, .context = context};
    if (!halted)
        write_waiting(pg);
    if (pg->host->disk_full && dice_chance(&c->dice, 100))
        pg_later(pg, 0, on_panic, 0);
    else
        pg_flush_soon(pg);
}

void postgres_write_other(struct postgres *pg, int records) {
    for (int i = 0; i < records && postgres_accepts_writes(pg); i++)
        pg_append(pg, WAL_OTHER, pg->written->timeline, 0, 0);
    if (postgres_accepts_writes(pg))
        pg_flush_soon(pg);
}

/* ---- checkpoints ---- */

static void tell_checkpointed(struct postgres *pg, bool fine) {
    struct postgres_core *c = pg->core;
    struct checkpoint_waiting told[WAITING_MAX];
    int n = c->checkpoint_count;
    for (int i = 0; i < n; i++)
        told[i] = c->checkpoints[i];
    c->checkpoint_count = 0;
    for (int i = 0; i < n; i++)
        told[i].done(told[i].context, fine);
}

void pg_fail_checkpoints(struct postgres *pg) {
    pg->core->checkpoint_running = false;
    tell_checkpointed(pg, false);
}

void pg_checkpointed(struct postgres *pg, const struct wal *record) {
    pg->checkpoint = record;
    pg->redo = record->redo;
    pg->min_recovery = 0;
    pg->core->min_recovery_timeline = 0;
    pg_slots_saved(pg);
    pg_recycle(pg);
}

/* On a standby: at the last checkpoint record that has been replayed; and from now on recovery has to come as far as it is. */
void pg_restartpoint(struct postgres *pg) {
    const struct wal *record = pg->replayed->checkpoint;
    lsn_t min_recovery = pg->min_recovery;
    int64_t timeline = pg->core->min_recovery_timeline;
    if (record && record->redo > pg->redo)
        pg_checkpointed(pg, record);
    bool further = pg->replayed->end > min_recovery;
    pg->min_recovery = further ? pg->replayed->end : min_recovery;
    pg->core->min_recovery_timeline = further ? pg->replayed->timeline : timeline;
}

static void on_checkpoint_done(struct postgres *pg, int64_t number) {
    (void)number;
    struct postgres_core *c = pg->core;
    if (!c->checkpoint_running)
        return;
    c->checkpoint_running = false;
    if (pg->state == SERVER_PRODUCTION) {
        const struct wal *record = pg_append(pg, WAL_CHECKPOINT, pg->written->timeline, c->checkpoint_redo, 0);
        pg->flushed = record;
        pg_checkpointed(pg, record);
        pg_streams_push(pg);
    } else if (pg->state == SERVER_RECOVERY) {
        pg_restartpoint(pg);
    }
    pg_notice(pg);
    tell_checkpointed(pg, pg->state == SERVER_PRODUCTION || pg->state == SERVER_RECOVERY);
}

static void begin_checkpoint(struct postgres *pg) {
    if (pg->core->checkpoint_running)
        return;
    pg->core->checkpoint_running = true;
    pg->core->checkpoint_redo = pg->written->end;
    sim_time slow = pg->host->disk_slow ? dice_between(&pg->core->dice, 0, pg->host->disk_slow) : 0;
    pg_later(pg, slow + pg_recovery_takes(pg, 10, 200), on_checkpoint_done, 0);
}

void postgres_checkpoint(struct postgres *pg, void (*done)(void *context, int64_t ok), void *context) {
    struct postgres_core *c = pg->core;
    if ((pg->state != SERVER_PRODUCTION && pg->state != SERVER_RECOVERY) || c->checkpoint_count == WAITING_MAX) {
        done(context, 0);
        return;
    }
    c->checkpoints[c->checkpoint_count++] = (struct checkpoint_waiting){done, context};
    begin_checkpoint(pg);
}

/* Number: of the round of checks, so that a promoted server does not go on with two. */
static void on_time(struct postgres *pg, int64_t as_state) {
    if ((int64_t)pg->state != as_state)
        return;
    bool news = pg->state == SERVER_PRODUCTION ? pg->written != pg->checkpoint : pg->replayed->checkpoint != pg->checkpoint;
    if (news)
        begin_checkpoint(pg);
    pg_later(pg, pg_takes(pg, 10000, 60000), on_time, as_state);
}

void pg_time_checkpoints(struct postgres *pg) { pg_later(pg, pg_takes(pg, 10000, 60000), on_time, pg->state); }
