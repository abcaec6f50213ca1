/* What this member says of itself: into the site's store each second and on change, and into the snapshot that the
 * HTTP thread answers from. */
#include "rt/clock.h"
#include "site-agent/agent.h"
#include "wire/sign.h"
#include <stdio.h>
#include <string.h>

#define PUBLISH_EVERY_MS 1000
#define MOVING_SILENCE_MS 3000 /* inside a move the store's disk is left to the move, but not for long */

static int role_of(const struct agent *a) {
    const struct view *v = &a->view;
    if (v->data != DATA_PRESENT)
        return MEMBER_UNINITIALIZED;
    if (v->as_primary)
        return v->stop_requested || a->server.stop_sent_for_running ? MEMBER_DEMOTED : MEMBER_PRIMARY;
    if (v->lease_valid && v->order && v->role == ROLE_PRIMARY && v->opened)
        return MEMBER_PRIMARY;
    return v->lease_valid ? MEMBER_STANDBY_LEADER : MEMBER_REPLICA;
}

static int state_of(const struct agent *a) {
    const struct view *v = &a->view;
    if (v->job == JOB_COPY)
        return STATE_CREATING;
    if (v->job == JOB_INITDB)
        return STATE_INITIALIZING;
    if (v->data == DATA_ABSENT && v->data_expected)
        return STATE_DATA_MISSING;
    if (!v->postmaster)
        return v->start_failed ? STATE_START_FAILED : STATE_STOPPED;
    if (a->server.stop_sent_for_running)
        return STATE_STOPPING;
    if (!v->answers)
        return STATE_STARTING;
    if (!v->in_recovery)
        return STATE_RUNNING;
    return v->streaming ? STATE_STREAMING : STATE_ARCHIVE_RECOVERY;
}

/* The anchor keeps what its consumer's oldest restartpoint needs; the site slot beside it only what is being streamed. */
static bool covers(const struct slot_wish *w, const struct pg_slot *s) {
    bool keeps = s->restart_lsn && !str_eq(s->wal_status, "lost");
    return keeps && (w->kind != SLOT_ANCHOR || !w->needed || s->restart_lsn <= w->needed);
}

static void fill_slots(struct agent *a, struct member_status *m) {
    const struct pg_facts *f = &a->server.facts;
    struct slot_wish wishes[PG_SLOTS_MAX];
    uint32_t count = slots_wanted(a, wishes, PG_SLOTS_MAX);
    m->slot_count = 0;
    for (uint32_t i = 0; i < f->slot_count && m->slot_count < REPORT_SLOTS_MAX; i++) {
        struct report_slot *to = &m->slots[m->slot_count++];
        *to = (struct report_slot){.kind = SLOT_USER, .active = f->slots[i].active, .restart_lsn = f->slots[i].restart_lsn,
                                   .retained_bytes = f->slots[i].retained_bytes, .covering = true};
        str_copy(to->name, sizeof to->name, f->slots[i].name);
        str_copy(to->wal_status, sizeof to->wal_status, f->slots[i].wal_status);
        for (uint32_t k = 0; k < count; k++) {
            if (!str_eq(wishes[k].name, to->name))
                continue;
            to->kind = (int)wishes[k].kind;
            to->covering = covers(&wishes[k], &f->slots[i]);
        }
    }
}

/* What would hold up a stop, told before one is asked for. Whoever has just connected catches up for a moment: only one
 * that goes on doing so counts. */
#define CATCHUP_MS 3000
static void fill_blockers(struct server *s, struct member_status *m) {
    const struct pg_facts *f = &s->facts;
    int64_t now_ms = clock_boot_ms();
    m->blockers = 0;
    m->blocker_text[0] = 0;
    for (uint32_t i = 0; i < f->sender_count; i++) {
        if (!str_eq(f->senders[i].state, "catchup"))
            continue;
        m->blockers++;
        snprintf(m->blocker_text, sizeof m->blocker_text, "walsender %lld (%s) is catching up", (long long)f->senders[i].pid, f->senders[i].application_name);
    }
    if (!m->blockers)
        s->catchup_since_ms = 0;
    else if (!s->catchup_since_ms)
        s->catchup_since_ms = now_ms;
    if (now_ms - s->catchup_since_ms < CATCHUP_MS)
        m->blockers = 0;
}

static const char *member_at(const struct agent *a, const char *host, int64_t port) {
    for (uint32_t s = 0; s < a->topology->site_count; s++)
        for (uint32_t i = 0; i < a->topology->sites[s].member_count; i++) {
            const struct topology_member *m = &a->topology->sites[s].members[i];
            if (m->port == port && str_eq(m->host, host))
                return m->name;
        }
    return "";
}

static void fill_positions(const struct agent *a, struct member_status *m) {
    const struct pg_facts *f = &a->server.facts;
    m->timeline = f->timeline;
    m->lsn = f->in_recovery ? f->receive_lsn : f->write_lsn;
    m->replay_lsn = f->in_recovery ? f->replay_lsn : f->write_lsn;
    m->redo_lsn = f->redo_lsn;
    m->replay_lag_ms = f->in_recovery ? f->replay_lag_ms : 0;
    m->pending_restart = f->pending_restart || a->server.restart_pending;
    m->writable = !f->in_recovery;
    m->flush_of_upstream = f->receiver_latest_end;
    str_copy(m->replay_pause_state, sizeof m->replay_pause_state, f->replay_pause_state);
    str_copy(m->postgresql_version, sizeof m->postgresql_version, f->server_version);
    if (str_eq(f->receiver_status, "streaming"))
        str_copy(m->upstream, sizeof m->upstream, member_at(a, f->receiver_host, f->receiver_port));
}

static void fill_job(const struct agent *a, struct member_status *m) {
    static const char *const words[] = {"", "initdb", "copy", "attach"};
    str_copy(m->job, sizeof m->job, words[a->view.job]);
    m->job_done_bytes = m->job_total_bytes = -1;
    if (a->job)
        job_progress(a->job, &m->job_done_bytes, &m->job_total_bytes);
}

static void status_fill(struct agent *a, struct member_status *m) {
    const struct view *v = &a->view;
    const struct server *s = &a->server;
    memset(m, 0, sizeof *m);
    str_copy(m->name, sizeof m->name, a->config.member);
    str_copy(m->instance, sizeof m->instance, a->state.instance);
    str_copy(m->host, sizeof m->host, a->member->host);
    m->port = a->member->port;
    m->role = role_of(a);
    m->state = state_of(a);
    m->has_data = v->data == DATA_PRESENT;
    if (s->control_ok) {
        snprintf(m->system_id, sizeof m->system_id, "%llu", (unsigned long long)s->control.system_identifier);
        m->timeline = s->control.timeline;
        m->redo_lsn = s->control.redo;
    }
    m->replay_lag_ms = -1;
    if (v->answers) {
        fill_positions(a, m);
        fill_slots(a, m);
        fill_blockers(&a->server, m);
    }
    fill_job(a, m);
    str_copy(m->agent_version, sizeof m->agent_version, PGREGENT_VERSION);
    str_copy(m->rule, sizeof m->rule, a->plan.rules[CONCERN_ROLE]->id);
    str_copy(m->why, sizeof m->why, a->plan.rules[CONCERN_ROLE]->sentence);
    m->topology_version = a->topology->topology_version;
    m->target_ready = v->want_ready && v->ready && !v->vouching; /* a promotion would wait for the voucher's end, in the gap */
    m->checkpointed = v->want_checkpoint && v->checkpointed;
    m->not_streaming_reasoned = v->upstream && v->answers && !v->streaming;
}

/* What counts as a change: everything but beats and positions, which move all the time. */
static void change_key(const struct member_status *m, char to[HASH_TEXT_MAX]) {
    LARGE_LOCAL struct member_status still;
    still = *m;
    still.beat = still.age_ms = still.replay_lag_ms = still.job_done_bytes = 0;
    still.lsn = still.replay_lsn = still.redo_lsn = still.flush_of_upstream = 0;
    for (uint32_t i = 0; i < still.slot_count; i++)
        still.slots[i].restart_lsn = 0, still.slots[i].retained_bytes = 0;
    sign_hash((struct bytes){(const char *)&still, sizeof still}, to);
}

static void publish_status(struct agent *a, int64_t now_ms) {
    char key[HASH_TEXT_MAX], path[64];
    status_fill(a, &a->self_status);
    change_key(&a->self_status, key);
    bool changed = !str_eq(key, a->published_key);
    if (changed)
        a->uplink.report_due_ms = 0;
    bool moving = a->plan.wake_ms <= MOVING_WAKE_MS && now_ms - a->published_boot_ms < MOVING_SILENCE_MS;
    if (!a->store || a->swap_pending || moving || (!changed && now_ms - a->published_boot_ms < PUBLISH_EVERY_MS)) {
        a->self_status.beat = a->beat;
        return;
    }
    a->self_status.beat = ++a->beat;
    STRBUF text = {0};
    field_to_text(&member_status_table, &a->self_status, &text);
    snprintf(path, sizeof path, "members/%s", a->config.member);
    swap_publish(a, path, text.at);
    str_copy(a->published_key, sizeof a->published_key, key);
    a->published_boot_ms = now_ms;
}

static void snapshot_rules(const struct agent *a, struct snapshot *s) {
    static const char *const concerns[CONCERN_COUNT] = {"lease", "orders", "role", "slots"};
    for (int i = 0; i < CONCERN_COUNT; i++) {
        const struct rule *r = a->plan.rules[i];
        str_copy(s->rules[i].concern, sizeof s->rules[i].concern, concerns[i]);
        str_copy(s->rules[i].id, sizeof s->rules[i].id, r->id);
        str_copy(s->rules[i].name, sizeof s->rules[i].name, r->name);
        str_copy(s->rules[i].sentence, sizeof s->rules[i].sentence, r->sentence);
        s->rules[i].waits_for_person = r->waits_for_person;
    }
}

static void publish_snapshot(struct agent *a, int64_t now_ms) {
    struct snapshot *s = rt_alloc(sizeof *s);
    const struct view *v = &a->view;
    const struct pg_facts *f = &a->server.facts;
    report_fill(a, &s->report, false);
    s->self = a->self_status;
    s->leader = v->lease_valid;
    s->lease_deadline_boot_ms = a->lease.deadline_ms;
    s->ticked_boot_ms = now_ms;
    s->ttl_ms = a->site ? a->site->local.ttl_ms : 10000;
    s->primary_site = v->order && v->role == ROLE_PRIMARY && v->opened;
    s->in_recovery = v->in_recovery;
    s->postmaster = v->postmaster;
    str_copy(s->scope, sizeof s->scope, a->config.cluster);
    str_copy(s->server_version, sizeof s->server_version, f->server_version);
    s->server_version_num = f->server_version_num;
    s->postmaster_started_wall_ms = f->started_wall_ms;
    s->received_lsn_lag_bytes = !v->in_recovery ? 0 : f->receiver_latest_end >= f->replay_lsn ? (int64_t)(f->receiver_latest_end - f->replay_lsn) : -1;
    if (a->member) {
        s->tag_count = a->member->tag_count;
        memcpy(s->tags, a->member->tags, sizeof s->tags);
    }
    s->certificate_expiry_wall_ms = a->certificate_expiry_wall_ms;
    snapshot_rules(a, s);
    http_server_publish(a->http, s);
}

#define SNAPSHOT_EVERY_MS 200
void publish(struct agent *a) {
    int64_t now_ms = clock_boot_ms();
    char before[HASH_TEXT_MAX];
    str_copy(before, sizeof before, a->published_key);
    if (a->member && a->records.read)
        publish_status(a, now_ms);
    if (!a->http)
        return; /* nobody listens */
    if (now_ms - a->snapshot_boot_ms >= SNAPSHOT_EVERY_MS || !str_eq(before, a->published_key)) {
        a->snapshot_boot_ms = now_ms;
        publish_snapshot(a, now_ms);
    }
}
