/* How PostgreSQL comes up: signal files, crash recovery or archive recovery, replay, promotion. What is read when, and in
 * which order files and pg_control change, is as StartupXLOG of PostgreSQL 15 does it. */
#include "tests/sim/postgres_inner.h"
#include <string.h>

#define CLEAN_READ_LOW_MS 20 /* until the signal files are read; after a crash the directory is synced first */
#define CLEAN_READ_HIGH_MS 80
#define CRASH_READ_LOW_MS 90
#define CRASH_READ_HIGH_MS 210
#define REPLAY_LOOK_MS 200

static void fatal(struct postgres *pg, const char *reason) {
    sim_say(pg->host->name, "FATAL: %s", reason);
    count("failed starts");
    pg_ended(pg);
}

void pg_read_configuration(struct postgres *pg) {
    struct postgres_core *c = pg->core;
    bool differs = strcmp(c->target, pg->primary_target) != 0 || strcmp(c->slot, pg->primary_slot) != 0;
    memcpy(c->target, pg->primary_target, sizeof c->target);
    memcpy(c->slot, pg->primary_slot, sizeof c->slot);
    pg->connected_ready = pg->ready_for_promotion;
    if (!differs || pg->state != SERVER_RECOVERY)
        return;
    sim_say(pg->host->name, "streams from %s now, slot %s", c->target[0] ? c->target : "nobody", c->slot);
    pg_receiver_end(pg);
    pg_receiver_begin(pg, pg_takes(pg, 5, 30));
}

/* ---- replay ---- */

static void on_replay(struct postgres *pg, int64_t number) {
    (void)number;
    pg->core->replay_asked = false;
    if (pg->state == SERVER_RECOVERY && !pg->replay_paused)
        pg->replayed = pg->flushed;
    pg_replay(pg);
}

void pg_replay(struct postgres *pg) {
    if (pg->state != SERVER_RECOVERY || pg->replayed == pg->flushed)
        return;
    if (!pg->replay_paused && sim_now >= pg->slow_until) {
        pg->replayed = pg->flushed;
        if (postgres_changed)
            postgres_changed(pg);
    } else if (!pg->core->replay_asked) {
        pg->core->replay_asked = true;
        pg_later(pg, pg->replay_paused ? REPLAY_LOOK_MS * MS : pg_takes(pg, 200, 2000), on_replay, 0);
    }
}

/* ---- as a standby ---- */

/* A newer history file lies in pg_wal, and what this directory has already replayed is not in that history. */
static bool history_contradicts(const struct postgres *pg) {
    const struct wal *newest = pg->core->newest_history;
    if (!newest || newest->timeline <= pg->written->timeline)
        return false;
    bool checkpoint = wal_timeline_at(newest, pg->checkpoint->start) == pg->checkpoint->timeline;
    bool recovered = !pg->min_recovery || wal_timeline_at(newest, pg->min_recovery - 1) == pg->core->min_recovery_timeline;
    return !checkpoint || !recovered;
}

static void on_consistent(struct postgres *pg, int64_t number) {
    (void)number;
    if (pg->state != SERVER_STARTING)
        return;
    pg->flushed = pg->replayed = pg->written;
    pg->state = SERVER_RECOVERY;
    sim_say(pg->host->name, "is in recovery on timeline %lld at %llx, follows %s", (long long)pg->written->timeline, (unsigned long long)pg->written->end,
            pg->core->target[0] ? pg->core->target : "nobody");
    pg_receiver_begin(pg, pg_takes(pg, 1, 20));
    pg_time_checkpoints(pg);
    pg_notice(pg);
}

static void recover_archive(struct postgres *pg, bool crashed) {
    if (history_contradicts(pg)) {
        count("starts against a newer history");
        fatal(pg, "requested timeline is not a child of this server's history, or does not contain the minimum recovery point");
        return;
    }
    pg->core->expected = pg->core->newest_history;
    pg_set_control(pg, PG_IN_ARCHIVE_RECOVERY);
    pg_later(pg, pg_recovery_takes(pg, crashed ? 60 : 10, crashed ? 250 : 100), on_consistent, 0);
}

/* ---- as a primary ---- */

static void on_production(struct postgres *pg, int64_t number) {
    (void)number;
    if (pg->state != SERVER_STARTING)
        return;
    bool crashed = pg->control == PG_IN_CRASH_RECOVERY;
    pg->flushed = pg->replayed = pg->written;
    if (crashed) {
        const struct wal *record = pg_append(pg, WAL_SHUTDOWN, pg->written->timeline, 0, 0);
        pg->flushed = record;
        pg_checkpointed(pg, record);
    }
    pg->state = SERVER_PRODUCTION;
    sim_say(pg->host->name, "is in production on timeline %lld at %llx%s", (long long)pg->written->timeline, (unsigned long long)pg->written->end,
            crashed ? " after crash recovery" : "");
    count(crashed ? "openings after a crash" : "openings after a clean stop");
    pg_set_control(pg, PG_IN_PRODUCTION);
    pg_time_checkpoints(pg);
}

static void open_on_same_timeline(struct postgres *pg) {
    bool clean = pg->control == PG_SHUT_DOWN;
    if (!clean)
        pg_set_control(pg, PG_IN_CRASH_RECOVERY);
    pg_later(pg, pg_recovery_takes(pg, clean ? 10 : 60, clean ? 40 : 300), on_production, 0);
}

/* ---- start ---- */

static bool is_clean(const struct postgres *pg) { return pg->control == PG_SHUT_DOWN || pg->control == PG_SHUT_DOWN_IN_RECOVERY; }

static void on_read_signals(struct postgres *pg, int64_t number) {
    (void)number;
    if (pg->state != SERVER_STARTING)
        return;
    if (pg->directory != DIRECTORY_THERE || pg->host->disk_full || sim_now < pg->fail_start_until) {
        fatal(pg, pg->host->disk_full ? "could not write to the data directory: no space left on device" : "the server does not start");
        return;
    }
    pg->core->signals_read = true;
    pg_read_configuration(pg);
    if (pg->standby_signal)
        recover_archive(pg, !is_clean(pg));
    else if (pg->recovery_signal)
        fatal(pg, "must specify restore_command when standby mode is not enabled");
    else
        open_on_same_timeline(pg);
}

void pg_begin_start(struct postgres *pg) {
    bool clean = is_clean(pg);
    sim_time sync = sim_now < pg->slow_until ? pg_takes(pg, 0, 2000) : 0;
    pg_later(pg, sync + pg_takes(pg, clean ? CLEAN_READ_LOW_MS : CRASH_READ_LOW_MS, clean ? CLEAN_READ_HIGH_MS : CRASH_READ_HIGH_MS), on_read_signals, 0);
}

/* ---- promotion ---- */

/* The last step: from here on writes are accepted. pg_control's checkpoint stays the old one until the next checkpoint. */
static void on_promoted(struct postgres *pg, int64_t number) {
    (void)number;
    if (pg->state != SERVER_PROMOTING)
        return;
    const struct wal *record = pg_append(pg, WAL_END_OF_RECOVERY, pg->core->highest_timeline, 0, 0);
    pg->flushed = pg->replayed = record;
    pg->core->newest_history = record;
    pg->min_recovery = record->end;
    pg->core->min_recovery_timeline = record->timeline;
    pg->state = SERVER_PRODUCTION;
    sim_say(pg->host->name, "is promoted: timeline %lld from %llx on", (long long)record->timeline, (unsigned long long)record->start);
    count("promotions");
    pg_set_control(pg, PG_IN_PRODUCTION);
    pg_streams_push(pg);
    pg_time_checkpoints(pg);
    if (pg->core->stop_wanted)
        pg_fast_stop(pg);
}

/* All that was received is replayed; the new timeline's history file is written, then standby.signal goes, and only that. */
static void on_end_of_recovery(struct postgres *pg, int64_t number) {
    (void)number;
    if (pg->state != SERVER_PROMOTING)
        return;
    pg->flushed = pg->replayed = pg->written;
    pg->core->highest_timeline++;
    if (!pg->standby_signal) {
        fatal(pg, "could not remove file \"standby.signal\": No such file or directory"); /* it was there when the server started */
        return;
    }
    pg->standby_signal = false;
    pg->core->unlinked = true;
    pg_notice(pg);
    pg_later(pg, pg_takes(pg, 2, 5), on_promoted, 0);
}

/* A pause by hand ends with the trigger; one for a setting that is too low ends the server. */
static void on_trigger(struct postgres *pg, int64_t number) {
    (void)number;
    if (pg->state != SERVER_RECOVERY)
        return;
    if (pg->replay_paused && pg->core->setting_pause) {
        count("promotions refused by a paused replay");
        fatal(pg, "recovery aborted because of insufficient parameter settings");
        return;
    }
    pg->replay_paused = false;
    pg->state = SERVER_PROMOTING;
    pg_receiver_end(pg);
    sim_say(pg->host->name, "is being promoted at %llx", (unsigned long long)pg->written->end);
    pg_notice(pg);
    pg_later(pg, pg_recovery_takes(pg, 10, 40), on_end_of_recovery, 0);
}

void postgres_trigger_promotion(struct postgres *pg) {
    struct postgres_core *c = pg->core;
    if (pg->state != SERVER_RECOVERY)
        return;
    c->setting_pause = pg->replay_paused && dice_chance(&c->dice, 500);
    bool slow = dice_chance(&c->dice, 50);
    pg_later(pg, slow ? pg_takes(pg, 200, 3000) : pg_takes(pg, 1, 20), on_trigger, 0);
}
