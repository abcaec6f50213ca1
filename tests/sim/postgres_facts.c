/* What PostgreSQL says of itself: pg_control, and the views that the agent asks for. */
#include "tests/sim/postgres_inner.h"
#include "tests/sim/world.h"
#include "rt/str.h"
#include <string.h>

#define CONTROL_VERSION 1300
#define CATALOG_VERSION 202209061
#define LOOK_BACK 64 /* records, for the last replayed commit */

void postgres_control(const struct postgres *pg, struct pg_control *out) {
    *out = (struct pg_control){.system_identifier = pg->system_id, .version = CONTROL_VERSION, .catalog_version = CATALOG_VERSION, .state = pg->control,
                               .checkpoint = pg->checkpoint->start, .redo = pg->redo, .min_recovery_point = pg->min_recovery,
                               .timeline = pg->checkpoint->timeline, .min_recovery_timeline = pg->core->min_recovery_timeline,
                               .wal_segment_size = WAL_SEGMENT, .wal_log_hints = true, .max_connections = 100, .max_worker_processes = 8,
                               .max_wal_senders = 10, .max_locks_per_transaction = 64};
}

static int64_t newest(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t replay_lag(const struct postgres *pg) {
    const struct wal *w = pg->replayed;
    if (pg->replayed->end >= pg->flushed->end)
        return 0;
    for (int i = 0; i < LOOK_BACK && w; i++, w = w->previous)
        if (w->kind == WAL_COMMIT)
            return newest(0, host_wall_ms(pg->host) - w->made_us / 1000);
    return -1;
}

static void tell_recovery(const struct postgres *pg, struct pg_facts *out) {
    const struct postgres_core *c = pg->core;
    bool row = c->receiver == RECEIVER_STREAMING || c->receiver == RECEIVER_WAITING;
    lsn_t received = c->received ? pg->flushed->end : 0;
    out->in_recovery = true;
    out->timeline = newest(newest(pg->checkpoint->timeline, c->min_recovery_timeline), row ? pg->receiver_timeline : 0);
    out->replay_lsn = pg->replayed->end;
    out->receive_lsn = received > out->replay_lsn ? received : out->replay_lsn;
    out->replay_lag_ms = replay_lag(pg);
    str_copy(out->replay_pause_state, sizeof out->replay_pause_state, pg->replay_paused ? "paused" : "not paused");
    if (!row)
        return;
    str_copy(out->receiver_status, sizeof out->receiver_status, c->receiver == RECEIVER_STREAMING ? "streaming" : "waiting");
    str_copy(out->receiver_slot, sizeof out->receiver_slot, c->slot);
    out->receiver_timeline = pg->receiver_timeline;
    out->receiver_latest_end = c->stream ? c->stream->latest : pg->flushed->end;
    if (pg->receives_from)
        member_address(pg->receives_from, out->receiver_host, sizeof out->receiver_host, &out->receiver_port);
}

static void tell_production(const struct postgres *pg, struct pg_facts *out) {
    out->timeline = pg->written->timeline;
    out->write_lsn = pg->written->end;
    out->flush_lsn = pg->flushed->end;
}

static void tell_slots(const struct postgres *pg, struct pg_facts *out) {
    for (int i = 0; i < pg->slot_count && i < PG_SLOTS_MAX; i++) {
        const struct slot *s = &pg->slots[i];
        struct pg_slot *to = &out->slots[out->slot_count++];
        str_copy(to->name, sizeof to->name, s->name);
        to->physical = true;
        to->active = s->active;
        to->active_pid = s->walsender_pid;
        to->restart_lsn = s->restart;
        str_copy(to->wal_status, sizeof to->wal_status, s->lost ? "lost" : "reserved");
        to->retained_bytes = pg->flushed->end > s->restart ? (int64_t)(pg->flushed->end - s->restart) : 0;
    }
}

static struct pg_sender *add_sender(struct pg_facts *out, int64_t pid, const char *name, const char *state, const char *slot) {
    if (out->sender_count == PG_SENDERS_MAX)
        return NULL;
    struct pg_sender *s = &out->senders[out->sender_count++];
    s->pid = pid;
    str_copy(s->application_name, sizeof s->application_name, name);
    str_copy(s->state, sizeof s->state, state);
    str_copy(s->slot_name, sizeof s->slot_name, slot);
    return s;
}

static void tell_senders(const struct postgres *pg, struct pg_facts *out) {
    const struct postgres_core *c = pg->core;
    for (int i = 0; i < c->stream_count; i++) {
        const struct stream *s = c->streams[i];
        struct pg_sender *to = add_sender(out, s->pid, s->to->host->name, s->streaming ? "streaming" : "catchup", s->slot);
        if (!to)
            return;
        to->sent_lsn = s->sent;
        to->write_lsn = to->flush_lsn = s->flushed;
        to->replay_lsn = s->replayed;
    }
    struct copy_view view;
    for (const struct copy *copy = pg_copy_next(pg, NULL, &view); copy; copy = pg_copy_next(pg, copy, &view)) {
        struct pg_sender *to = add_sender(out, view.pid, view.to->name, "streaming", view.slot);
        if (to)
            to->sent_lsn = to->write_lsn = to->flush_lsn = view.sent;
    }
    struct pg_sender *logical = postgres_has_walsender(pg, c->logical_pid) ? add_sender(out, c->logical_pid, "subscriber", "streaming", "subscriber") : NULL;
    if (logical) {
        logical->logical = true;
        logical->sent_lsn = pg->flushed->end;
        logical->flush_lsn = logical->write_lsn = logical->replay_lsn = pg->redo;
    }
}

void postgres_facts(const struct postgres *pg, struct pg_facts *out) {
    memset(out, 0, sizeof *out);
    out->server_version_num = 150018;
    str_copy(out->server_version, sizeof out->server_version, "15.18");
    str_copy(out->primary_conninfo_source, sizeof out->primary_conninfo_source, pg->ours ? "/state/postgresql/postgresql.conf" : "");
    out->redo_lsn = pg->redo;
    out->started_wall_ms = pg->core->started_wall_ms;
    if (pg->state == SERVER_PRODUCTION)
        tell_production(pg, out);
    else
        tell_recovery(pg, out);
    tell_slots(pg, out);
    tell_senders(pg, out);
}
