/* Physical replication slots, and the WAL that they and recovery keep. Positions reach the disk at checkpoints only. */
#include "tests/sim/postgres_inner.h"
#include "rt/str.h"
#include <string.h>

struct slot *pg_slot(struct postgres *pg, const char *name) {
    for (int i = 0; i < pg->slot_count; i++)
        if (strcmp(pg->slots[i].name, name) == 0)
            return &pg->slots[i];
    return NULL;
}

/* Reserves from the last checkpoint's or restartpoint's redo, whatever has been received since. */
bool postgres_create_slot(struct postgres *pg, const char *name) {
    if (!postgres_answers(pg) || pg_slot(pg, name) || pg->slot_count == SLOTS_MAX)
        return false;
    struct slot *s = &pg->slots[pg->slot_count++];
    *s = (struct slot){.restart = pg->redo, .saved = pg->redo};
    str_copy(s->name, sizeof s->name, name);
    sim_say(pg->host->name, "slot %s at %llx", name, (unsigned long long)s->restart);
    return true;
}

bool postgres_drop_slot(struct postgres *pg, const char *name) {
    struct slot *s = postgres_answers(pg) ? pg_slot(pg, name) : NULL;
    if (!s || s->active)
        return false;
    sim_say(pg->host->name, "slot %s is dropped", name);
    *s = pg->slots[--pg->slot_count];
    return true;
}

/* Backwards is an error; on a standby clamped to what has been replayed. */
bool postgres_advance_slot(struct postgres *pg, const char *name, lsn_t to) {
    struct slot *s = postgres_answers(pg) ? pg_slot(pg, name) : NULL;
    lsn_t most = pg->state == SERVER_RECOVERY ? pg->replayed->end : pg->flushed->end;
    if (to > most)
        to = most;
    if (!s || s->active || s->lost || to < s->restart)
        return false;
    s->restart = to;
    return true;
}

void pg_slot_release(struct postgres *pg, const char *name, int64_t pid) {
    struct slot *s = pg_slot(pg, name);
    if (!s || s->walsender_pid != pid)
        return;
    s->active = false;
    s->walsender_pid = 0;
}

void pg_slots_saved(struct postgres *pg) {
    for (int i = 0; i < pg->slot_count; i++)
        pg->slots[i].saved = pg->slots[i].restart;
}

void pg_slots_crashed(struct postgres *pg) {
    for (int i = 0; i < pg->slot_count; i++) {
        struct slot *s = &pg->slots[i];
        s->restart = s->saved;
        s->active = false;
        s->walsender_pid = 0;
    }
}

void pg_recycle(struct postgres *pg) {
    lsn_t keep = pg->redo;
    for (int i = 0; i < pg->slot_count; i++)
        if (pg->slots[i].restart && !pg->slots[i].lost && pg->slots[i].restart < keep)
            keep = pg->slots[i].restart;
    lsn_t end = pg->written->end; /* wal_keep_size, which pgregent sets: here it is one segment before the one that is written */
    if (keep > end - end % WAL_SEGMENT - WAL_SEGMENT)
        keep = end - end % WAL_SEGMENT - WAL_SEGMENT;
    keep -= keep % WAL_SEGMENT;
    if (keep > pg->oldest_kept)
        pg->oldest_kept = keep;
}
