/* pg_basebackup -X stream through a slot: beside the directory first, in its place at the end. The copy begins at the source's
 * last checkpoint (a new one on a primary), holds all WAL up to its end, and is a directory like its source's but for the
 * slots, which stay behind, and standby.signal, which is put there before it is moved into place. */
#include "tests/sim/network.h"
#include "tests/sim/postgres_inner.h"
#include "rt/str.h"
#include <stdlib.h>
#include <string.h>

#define LOOK (500 * MS)
#define SILENCE_MAX (10 * SECOND)
#define TAKES_LOW_MS 2000
#define TAKES_HIGH_MS 20000

struct copy {
    struct postgres *to, *from;
    struct copy *next;     /* of the same source */
    int generation;        /* of the source's server */
    char slot[64];
    int64_t pid;
    bool over;
    sim_time heard, end;
    const struct wal *checkpoint; /* where it begins; NULL: the source still makes it */
    void (*ended)(void *context, int64_t ok);
    void *context;
};

static bool is_alive(const struct copy *c) { return c->from->generation == c->generation && pg_serves_wal(c->from) && c->from->state != SERVER_STOPPING; }

static bool link_passes(const struct copy *c) {
    return network_passes(c->to->host, c->from->host, PORT_REPLICATION) && network_passes(c->from->host, c->to->host, PORT_REPLICATION);
}

/* ---- ends ---- */

static void leave(struct copy *c) {
    struct copy **at = &c->from->core->copies;
    while (*at && *at != c)
        at = &(*at)->next;
    if (*at)
        *at = c->next;
    pg_slot_release(c->from, c->slot, c->pid);
    c->over = true;
}

static void end(struct copy *c, bool fine) {
    if (c->over)
        return;
    leave(c);
    sim_say(c->to->host->name, fine ? "the copy of %s is in place" : "the copy of %s has failed", c->from->host->name);
    count(fine ? "copies made" : "copies failed");
    c->ended(c->context, fine);
}

/* ---- the result ---- */

static void take_over(struct copy *c) {
    struct postgres *to = c->to;
    const struct postgres *from = c->from;
    const struct wal *tip = from->flushed;
    to->directory = DIRECTORY_THERE;
    to->system_id = from->system_id;
    to->standby_signal = true;
    to->recovery_signal = to->mixed = false;
    to->slot_count = 0;
    to->written = to->flushed = to->replayed = tip;
    to->checkpoint = c->checkpoint;
    to->redo = c->checkpoint->redo;
    to->oldest_kept = to->redo - to->redo % WAL_SEGMENT;
    to->min_recovery = tip->end;
    to->core->min_recovery_timeline = tip->timeline;
    to->core->highest_timeline = tip->timeline;
    to->core->newest_history = tip->first;
    pg_set_control(to, from->state == SERVER_PRODUCTION ? PG_IN_PRODUCTION : PG_IN_ARCHIVE_RECOVERY);
}

/* ---- the way there ---- */

/* WAL is streamed all the while: the slot follows. */
static void hold_slot(struct copy *c) {
    struct slot *s = pg_slot(c->from, c->slot);
    if (s && c->checkpoint)
        s->restart = c->from->flushed->end;
}

static void on_look(void *context, int64_t number) {
    (void)number;
    struct copy *c = context;
    if (c->over)
        return;
    if (link_passes(c) && !c->from->paused)
        c->heard = sim_now;
    bool finished = c->checkpoint && sim_now >= c->end && c->heard == sim_now;
    if (!is_alive(c) || sim_now - c->heard > SILENCE_MAX || c->to->host->disk_full) {
        end(c, false);
    } else if (finished) {
        hold_slot(c);
        bool free_place = c->to->directory == DIRECTORY_ABSENT; /* nothing is put in the place of another directory */
        if (free_place)
            take_over(c);
        end(c, free_place);
    } else {
        if (c->heard == sim_now)
            hold_slot(c);
        sim_at(sim_now + LOOK, on_look, c, 0);
    }
}

static void on_checkpoint(void *context, int64_t ok) {
    struct copy *c = context;
    if (c->over)
        return;
    if (!ok)
        end(c, false);
    else
        c->checkpoint = c->from->checkpoint;
}

static bool may_begin(struct copy *c) {
    const struct slot *slot = pg_slot(c->from, c->slot);
    return is_alive(c) && postgres_answers(c->from) && link_passes(c) && slot && !slot->active;
}

static void on_begin(void *context, int64_t number) {
    (void)number;
    struct copy *c = context;
    if (c->over)
        return;
    if (!may_begin(c)) {
        end(c, false);
        return;
    }
    struct slot *slot = pg_slot(c->from, c->slot);
    slot->active = true;
    slot->walsender_pid = c->pid;
    c->end = sim_now + dice_between(&c->to->core->dice, TAKES_LOW_MS * MS, TAKES_HIGH_MS * MS);
    sim_say(c->to->host->name, "copies %s through slot %s", c->from->host->name, c->slot);
    on_look(c, 0);
    if (c->from->state == SERVER_PRODUCTION && !c->over)
        postgres_checkpoint(c->from, on_checkpoint, c);
    else
        c->checkpoint = c->from->checkpoint;
}

struct copy *postgres_copy_start(struct postgres *pg, struct postgres *source, const char *slot, void (*ended)(void *context, int64_t ok), void *context) {
    struct copy *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    *c = (struct copy){.to = pg, .from = source, .next = source->core->copies, .generation = source->generation, .pid = pg_new_pid(), .heard = sim_now,
                       .ended = ended, .context = context};
    str_copy(c->slot, sizeof c->slot, slot);
    source->core->copies = c;
    sim_at(sim_now + network_delay(pg->host, source->host) * 2, on_begin, c, 0);
    return c;
}

void postgres_copy_cancel(struct copy *c) {
    if (!c->over)
        leave(c);
}

/* ---- for the source ---- */

const struct copy *pg_copy_next(const struct postgres *source, const struct copy *after, struct copy_view *out) {
    const struct copy *c = after ? after->next : source->core->copies;
    if (c)
        *out = (struct copy_view){.pid = c->pid, .slot = c->slot, .to = c->to->host, .sent = source->flushed->end};
    return c;
}

static struct copy *copy_of(const struct postgres *source, int64_t pid) {
    struct copy *c = source->core->copies;
    while (c && c->pid != pid)
        c = c->next;
    return c;
}

bool pg_copy_has(const struct postgres *source, int64_t pid) { return copy_of(source, pid) != NULL; }

void pg_copy_end(struct postgres *source, int64_t pid) {
    struct copy *c = copy_of(source, pid);
    if (c)
        end(c, false);
}

void pg_copies_broken(struct postgres *source) {
    while (source->core->copies)
        end(source->core->copies, false);
}
