/* Streaming replication: one walsender and one walreceiver at a time. The walsender sends what its own history holds behind
 * a position; it knows timelines by number and WAL by position, never by content. So whoever asks with other content
 * under the same numbers gets records that are not for it: then `mixed` is set. Connecting is in postgres_receiver.c. */
#include "tests/sim/network.h"
#include "tests/sim/postgres_stream.h"
#include <stdlib.h>
#include <string.h>

#define HEARTBEAT (1 * SECOND)
#define SILENCE_MAX (10 * SECOND) /* wal_sender_timeout, wal_receiver_timeout, tcp_user_timeout */
#define AGAIN (200 * MS)          /* TCP sends once more */

bool stream_link(const struct postgres *a, const struct postgres *b) {
    return network_passes(a->host, b->host, PORT_REPLICATION) && network_passes(b->host, a->host, PORT_REPLICATION);
}

/* ---- ends ---- */

static void on_peer_gone(void *context, int64_t number);

/* The kernel tells the other end, if anything passes. */
static void tell_peer(struct stream *s) { sim_at(sim_now + network_delay(s->from->host, s->to->host) + MS, on_peer_gone, s, 0); }

static void end_sender(struct stream *s) {
    struct postgres_core *c = s->from->core;
    if (!s->from_alive)
        return;
    s->from_alive = false;
    for (int i = 0; i < c->stream_count; i++)
        if (c->streams[i] == s)
            c->streams[i--] = c->streams[--c->stream_count];
    pg_slot_release(s->from, s->slot, s->pid);
}

static void end_receiver(struct stream *s) {
    if (!s->to_alive)
        return;
    s->to_alive = false;
    s->to->core->stream = NULL;
    s->to->core->receiver = RECEIVER_NONE;
    s->to->receives_from = NULL;
}

void stream_break(struct stream *s) {
    end_receiver(s);
    tell_peer(s);
}

static void lose_upstream(struct stream *s) {
    if (!s->to_alive)
        return;
    sim_say(s->to->host->name, "lost %s", s->from->host->name);
    end_receiver(s);
    receiver_again(s->to);
}

static void on_peer_gone(void *context, int64_t number) {
    (void)number;
    struct stream *s = context;
    if (!stream_link(s->from, s->to))
        return; /* the heartbeat finds out later */
    if (!s->from_alive && s->to_alive && !s->to->paused)
        lose_upstream(s);
    if (!s->to_alive && s->from_alive && !s->from->paused)
        end_sender(s);
}

/* ---- heartbeat ---- */

/* What one end knows of the other: that it answers, that it is gone, or nothing. */
static bool beat_of_sender(struct stream *s, bool link) {
    if (s->from->paused)
        return true;
    if (link && s->to_alive && !s->to->paused)
        s->from_heard = sim_now;
    return (s->to_alive || !link) && sim_now - s->from_heard <= SILENCE_MAX;
}

static bool beat_of_receiver(struct stream *s, bool link) {
    if (s->to->paused)
        return true;
    if (link && s->from_alive && !s->from->paused) {
        s->to_heard = sim_now;
        s->latest = s->from->flushed->end;
    }
    return (s->from_alive || !link) && sim_now - s->to_heard <= SILENCE_MAX;
}

static void confirm(struct stream *s) {
    struct slot *slot = s->from_alive ? pg_slot(s->from, s->slot) : NULL;
    if (!s->from_alive || !s->to_alive || s->from->paused || !stream_link(s->from, s->to))
        return;
    s->flushed = s->to->flushed->end;
    s->replayed = s->to->replayed->end;
    if (slot)
        slot->restart = s->flushed;
}

static void send_batch(struct stream *s);

static void on_heartbeat(void *context, int64_t number) {
    (void)number;
    struct stream *s = context;
    bool link = stream_link(s->from, s->to);
    confirm(s);
    if (s->from_alive && !beat_of_sender(s, link)) {
        end_sender(s);
        tell_peer(s);
    }
    if (s->to_alive && !beat_of_receiver(s, link))
        lose_upstream(s);
    send_batch(s);
    if (s->from_alive || s->to_alive)
        sim_at(sim_now + HEARTBEAT, on_heartbeat, s, 0);
}

/* ---- batches ---- */

static void on_batch(void *context, int64_t number);

static void send_batch(struct stream *s) {
    const struct wal *tip = s->from->flushed;
    if (!s->from_alive || s->from->paused || s->sending || tip->end <= s->sent)
        return;
    s->sending = tip;
    sim_time turn = tip->timeline == s->timeline ? 0 : dice_between(&s->to->core->dice, 20 * MS, 200 * MS); /* the timelines change over */
    sim_at(sim_now + turn + network_delay(s->from->host, s->to->host), on_batch, s, 0);
}

static void refuse_batch(struct stream *s, const char *reason, bool waits) {
    receiver_refused(s->to, reason);
    stream_break(s);
    if (waits)
        s->to->core->receiver = RECEIVER_WAITING;
    receiver_again(s->to);
}

static void note_mixed(const struct stream *s) {
    sim_say(s->to->host->name, "streams from %s at %llx over records that are not the same", s->from->host->name, (unsigned long long)s->to->written->end);
    count("histories mixed");
    s->to->mixed = true;
}

static void on_flushed(struct postgres *pg, int64_t number) {
    (void)number;
    struct stream *s = pg->core->stream;
    if (pg->state != SERVER_RECOVERY)
        return;
    pg->flushed = pg->written;
    pg_replay(pg);
    if (s)
        confirm(s);
    pg_streams_push(pg);
}

/* By numbers: does this position still lie on what the upstream calls our timeline? By boundaries: does a record end there? */
static bool receive(struct stream *s, const struct wal *tip) {
    struct postgres *to = s->to;
    lsn_t at = to->written->end;
    const struct wal *same_place = wal_at_end(tip, at);
    if (at > wal_timeline_end(tip, s->timeline)) {
        refuse_batch(s, "new timeline forked off current database system timeline before current recovery point", true);
        return false;
    }
    if (!same_place) {
        count("streams that cannot be read");
        refuse_batch(s, "invalid resource manager ID in the record at the current position", false);
        return false;
    }
    if (same_place != to->written)
        note_mixed(s);
    to->written = tip;
    to->core->received = true;
    to->core->last_refusal = NULL;
    receiver_learns_history(to, tip);
    s->timeline = to->receiver_timeline = tip->timeline;
    return true;
}

static bool has_room(const struct postgres *pg) { return !pg->host->disk_full; }

static void on_batch(void *context, int64_t number) {
    (void)number;
    struct stream *s = context;
    if (!s->to_alive)
        return;
    bool crossing = network_passes(s->from->host, s->to->host, PORT_REPLICATION) || !s->from->host->up;
    if (!crossing || s->to->paused || !has_room(s->to)) {
        sim_at(sim_now + AGAIN, on_batch, s, 0);
        return;
    }
    const struct wal *tip = s->sending;
    s->sending = NULL;
    if (!receive(s, tip))
        return;
    s->sent = tip->end;
    s->streaming = true;
    s->latest = s->latest > tip->end ? s->latest : tip->end;
    if (s->to->host->disk_slow)
        pg_later(s->to, dice_between(&s->to->core->dice, 0, s->to->host->disk_slow), on_flushed, 0);
    else
        on_flushed(s->to, 0);
    send_batch(s);
}

/* ---- for the server ---- */

void stream_begin(struct stream *s) {
    struct postgres_core *from = s->from->core, *to = s->to->core;
    s->from_alive = s->to_alive = true;
    s->from_heard = s->to_heard = sim_now;
    s->streaming = s->sent >= s->from->flushed->end;
    s->buffers_full = dice_chance(&from->dice, 500);
    from->streams[from->stream_count++] = s;
    to->stream = s;
    to->receiver = RECEIVER_STREAMING;
    s->to->receives_from = s->from->host;
    s->to->receiver_timeline = s->timeline;
    if (!to->last_refusal) /* else it has been told, and this may end the same way */
        sim_say(s->to->host->name, "streams from %s, timeline %lld from %llx", s->from->host->name, (long long)s->timeline, (unsigned long long)s->sent);
    confirm(s);
    send_batch(s);
    sim_at(sim_now + HEARTBEAT, on_heartbeat, s, 0);
}

void pg_streams_push(struct postgres *pg) {
    for (int i = 0; i < pg->core->stream_count; i++)
        send_batch(pg->core->streams[i]);
}

void pg_streams_end(struct postgres *pg) {
    while (pg->core->stream_count > 0) {
        struct stream *s = pg->core->streams[0];
        end_sender(s);
        tell_peer(s);
    }
}

static bool is_behind(struct stream *s) {
    confirm(s);
    return s->flushed < s->from->flushed->end;
}

bool pg_streams_drained(struct postgres *pg) {
    for (int i = 0; i < pg->core->stream_count; i++)
        if (is_behind(pg->core->streams[i]))
            return false;
    return true;
}

bool pg_streams_stuck(struct postgres *pg) {
    for (int i = 0; i < pg->core->stream_count; i++) {
        struct stream *s = pg->core->streams[i];
        if (s->buffers_full && is_behind(s) && (s->to->paused || !stream_link(pg, s->to)))
            return true;
    }
    return false;
}

/* ---- walsenders by pid ---- */

static struct stream *stream_of(const struct postgres *pg, int64_t pid) {
    for (int i = 0; i < pg->core->stream_count; i++)
        if (pg->core->streams[i]->pid == pid)
            return pg->core->streams[i];
    return NULL;
}

static bool is_logical(const struct postgres *pg, int64_t pid) {
    const struct postgres_core *c = pg->core;
    return pg->postmaster_pid && pid == c->logical_pid && sim_now < pg->hung_walsender_until && c->logical_terms < 2;
}

bool postgres_has_walsender(const struct postgres *pg, int64_t pid) {
    return pid > 0 && (is_logical(pg, pid) || stream_of(pg, pid) || pg_copy_has(pg, pid));
}

void postgres_end_walsender(struct postgres *pg, int64_t pid) {
    struct stream *s = stream_of(pg, pid);
    if (is_logical(pg, pid)) {
        pg->core->logical_terms++;
    } else if (s) {
        bool stuck = s->sending && (s->to->paused || !stream_link(pg, s->to));
        if (++s->terms < 2 && stuck)
            return;
        end_sender(s);
        tell_peer(s);
    } else {
        pg_copy_end(pg, pid);
    }
}
