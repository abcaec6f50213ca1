/* A walreceiver on its way to an upstream: which host of its list answers, and whether that one can serve it. Tried again for
 * ever, as wal_retrieve_retry_interval says. */
#include "tests/sim/network.h"
#include "tests/sim/postgres_stream.h"
#include "rt/str.h"
#include <stdlib.h>
#include <string.h>

#define RETRY (500 * MS)
#define CONNECT_TIMEOUT (5 * SECOND)

static pg_step on_attempt;

void receiver_refused(struct postgres *to, const char *reason) {
    if (to->core->last_refusal != reason)
        sim_say(to->host->name, "cannot stream: %s", reason);
    to->core->last_refusal = reason;
}

void receiver_learns_history(struct postgres *to, const struct wal *tip) {
    if (tip->timeline <= to->core->highest_timeline)
        return;
    to->core->highest_timeline = tip->timeline;
    to->core->newest_history = tip->first;
}

/* ---- the list of hosts ---- */

/* The number-th name of "ams-1,ams-2"; false when there are not so many. */
static bool name_at(const char *list, int64_t number, char *to, size_t size) {
    for (; number > 0 && list; number--) {
        list = strchr(list, ',');
        list = list ? list + 1 : NULL;
    }
    if (!list || !*list)
        return false;
    size_t len = strcspn(list, ",");
    if (len >= size)
        len = size - 1;
    memcpy(to, list, len);
    to[len] = 0;
    return true;
}

static void attempt_in(struct postgres *to, sim_time delay, int64_t number) {
    struct postgres_core *c = to->core;
    c->attempt = (c->attempt + 1) & 0xffffff;
    pg_later(to, delay, on_attempt, (int64_t)c->attempt << 8 | number);
}

void pg_receiver_begin(struct postgres *to, sim_time delay) {
    if (!to->core->target[0])
        return;
    if (to->core->receiver == RECEIVER_NONE)
        to->core->receiver = RECEIVER_CONNECTING;
    attempt_in(to, delay, 0);
}

void receiver_again(struct postgres *to) {
    if (to->state == SERVER_RECOVERY)
        pg_receiver_begin(to, RETRY);
}

void pg_receiver_end(struct postgres *to) {
    struct postgres_core *c = to->core;
    c->attempt = (c->attempt + 1) & 0xffffff;
    if (c->stream)
        stream_break(c->stream);
    c->receiver = RECEIVER_NONE;
}

/* ---- at the upstream ---- */

/* The timeline that it asks for: its own, but behind the fork of a newer history along which it was started, that one's. */
static int64_t timeline_to_ask(const struct postgres *to) {
    const struct wal *expected = to->core->expected;
    int64_t own = to->written->timeline;
    return expected && expected->timeline > own && to->written->end > wal_timeline_end(expected, own) ? expected->timeline : own;
}

static const char *slot_problem(struct postgres *from, const char *name) {
    const struct slot *slot = pg_slot(from, name);
    if (name[0] && !slot)
        return "replication slot does not exist";
    return slot && slot->active ? "replication slot is active for another PID" : NULL;
}

/* START_REPLICATION as the walsender judges it; NULL: it begins. */
static const char *problem(const struct postgres *to, struct postgres *from, int64_t timeline, bool *waits) {
    lsn_t at = to->written->end, end = wal_timeline_end(from->flushed, timeline);
    *waits = false;
    if (from->flushed->timeline < timeline)
        return "highest timeline of the primary is behind recovery timeline";
    if (slot_problem(from, to->core->slot))
        return slot_problem(from, to->core->slot);
    *waits = true;
    if (!end)
        return "requested timeline is not in the server's history";
    if (at > end)
        return "new timeline forked off current database system timeline before current recovery point";
    *waits = false;
    if (at > from->flushed->end)
        return "requested starting point is ahead of the WAL flush position of the server";
    if (at < from->oldest_kept)
        return "requested WAL segment has already been removed";
    return from->core->stream_count < STREAMS_MAX ? NULL : "too many walsenders";
}

static void refused(struct postgres *to, const char *reason, bool waits) {
    receiver_refused(to, reason);
    count("streams refused");
    to->core->receiver = waits ? RECEIVER_WAITING : RECEIVER_CONNECTING;
    receiver_again(to);
}

static void begin(struct postgres *to, struct postgres *from) {
    int64_t timeline = timeline_to_ask(to);
    bool waits;
    if (from->system_id != to->system_id) {
        refused(to, "database system identifier differs", false);
        return;
    }
    receiver_learns_history(to, from->flushed);
    const char *reason = problem(to, from, timeline, &waits);
    if (reason) {
        refused(to, reason, waits);
        return;
    }
    struct stream *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    *s = (struct stream){.from = from, .to = to, .pid = pg_new_pid(), .timeline = timeline, .sent = to->written->end, .flushed = to->flushed->end,
                         .replayed = to->replayed->end, .latest = from->flushed->end};
    str_copy(s->slot, sizeof s->slot, to->core->slot);
    struct slot *slot = pg_slot(from, s->slot);
    if (slot) {
        slot->active = true;
        slot->walsender_pid = s->pid;
    }
    stream_begin(s);
}

/* ---- connecting ---- */

/* How an attempt to connect ends, and after what time. */
static bool connects(const struct postgres *to, const struct host *h, sim_time *after) {
    bool silent = !h || h == to->host || !h->postgres || !stream_link(to, h->postgres) || h->postgres->paused;
    *after = silent ? CONNECT_TIMEOUT : network_delay(to->host, h) * 2 + MS;
    return !silent && postgres_answers(h->postgres);
}

static void on_connected(struct postgres *to, int64_t number) {
    char name[32];
    sim_time after;
    if (to->core->attempt != number >> 8 || to->state != SERVER_RECOVERY || !name_at(to->core->target, number & 0xff, name, sizeof name))
        return;
    struct host *h = host_named(name);
    if (connects(to, h, &after))
        begin(to, h->postgres);
    else
        attempt_in(to, after, (number & 0xff) + 1);
}

static void on_attempt(struct postgres *to, int64_t number) {
    char name[32];
    sim_time after;
    int64_t at = number & 0xff;
    if (to->core->attempt != number >> 8 || to->state != SERVER_RECOVERY)
        return;
    if (!name_at(to->core->target, at, name, sizeof name)) {
        receiver_again(to);
        return;
    }
    if (connects(to, host_named(name), &after))
        pg_later(to, after, on_connected, number);
    else
        attempt_in(to, after, at + 1);
}
