/* Everything this member knows, as the flat view that decide() reads. No side effects but caches. */
#include "site-agent/server.h"
#include "rt/clock.h"
#include "rt/proc.h"
#include "site-agent/agent.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The wire's enums and the view's stand in the same order; a change of one must not pass unnoticed. */
_Static_assert((int)KIND_BIRTH == (int)ORDER_BIRTH && (int)KIND_ABORT == (int)ORDER_ABORT && (int)KIND_PROMOTE == (int)ORDER_PROMOTE, "order kinds");
_Static_assert((int)ROLE_PRIMARY == (int)SITE_PRIMARY && (int)ROLE_STANDBY == (int)SITE_STANDBY && (int)ROLE_FENCED == (int)SITE_FENCED, "site roles");
_Static_assert((int)VERDICT_ACCEPT == (int)ORDER_ACCEPT && (int)VERDICT_REFUSE == (int)ORDER_REFUSE, "verdicts");

/* ---- store and lease ---- */

static void view_store(const struct agent *a, struct view *v, int64_t now_ms) {
    const struct records *r = &a->records;
    v->topology = a->topology != NULL;
    v->store_ok = r->read && now_ms - r->read_boot_ms < 2000;
    v->swap_pending = a->swap_pending;
    v->record = r->has_lease;
    bool other_store = r->has_lease && a->state.store_id[0] && !str_eq(a->state.store_id, r->lease.store_id);
    bool below = (r->has_vote && epoch_compare(&r->vote.promised, &a->state.epoch) < 0) || (r->has_lease && r->lease.serial < a->state.serial);
    v->store_went_back = v->store_ok && a->state.epoch.generation > 0 && (other_store || below || !r->has_lease);
}

/* Renewed three times in the time before demotion would begin, so two may fail. */
static int64_t renew_every_ms(const struct agent *a) { return (a->site->local.ttl_ms - a->site->local.stop_time_ms) / 3; }

/* A changed length or stop time is made known at once: until then the hold's own counts. */
static int64_t renew_in_ms(const struct agent *a, int64_t now_ms) {
    bool due = vouching_wants_renewal(a) || a->lease.binding_seq < a->topology_seq;
    return due ? 0 : a->lease.sent_ms + renew_every_ms(a) - now_ms;
}

static void view_lease(const struct agent *a, struct view *v, int64_t now_ms) {
    if (!a->site)
        return;
    const struct lease *record = &a->records.lease;
    v->stop_time_ms = agent_stop_time_ms(a);
    v->lease_valid = lease_valid(&a->lease, now_ms);
    v->lease_ours = a->records.has_lease && str_eq(record->holder, a->state.instance);
    v->lease_left_ms = v->lease_valid ? a->lease.deadline_ms - now_ms : 0;
    v->renew_in_ms = v->lease_valid ? renew_in_ms(a, now_ms) : 0;
    v->take_in_ms = lease_take_wait_ms(&a->lease, a->state.instance, a->site->local.ttl_ms, now_ms);
    v->absent_waited = a->lease.seen && a->lease.seen_absent && v->take_in_ms == 0;
}

static bool is_elector(const struct lease *record, const char *instance) {
    for (uint32_t i = 0; i < record->elector_count; i++)
        if (str_eq(record->electors[i], instance))
            return true;
    return false;
}

/* It has received more of the same timeline, and may take the lease in our place. A server that says nothing has nothing. */
static bool has_more_wal(const struct agent *a, const struct member_status *m, int64_t now_ms) {
    const struct pg_facts *f = &a->server.facts;
    bool answers = server_answers(a, now_ms);
    lsn_t ours = !answers ? 0 : f->in_recovery ? f->receive_lsn : f->write_lsn;
    int64_t timeline = answers ? f->timeline : a->server.control.timeline;
    return m->timeline == timeline && m->lsn > ours && is_elector(&a->records.lease, m->instance);
}

static void view_better_candidate(const struct agent *a, struct view *v, int64_t now_ms) {
    for (uint32_t i = 0; i < a->records.member_count; i++) {
        const struct member_status *m = &a->records.members[i];
        if (!str_eq(m->name, a->config.member) && m->has_data && records_member_fresh(a, m->name, now_ms))
            v->better_candidate |= !a->server.control_ok || has_more_wal(a, m, now_ms);
    }
}

/* ---- orders and epochs ---- */

static void view_candidate(struct agent *a, struct view *v, int64_t now_wall_ms) {
    struct candidate *c = &a->candidate;
    if (!c->present || !a->topology)
        return;
    LARGE_LOCAL struct site_state held;
    records_site_state(a, &held);
    bool ahead = c->order.issued > now_wall_ms + CLOCK_AHEAD_MAX_MS; /* of the clock with its floor: a clock that was set back is no reason */
    if (ahead)
        str_copy(c->reason, sizeof c->reason, "3.5 issued more than five minutes in our future: check the clocks of coordinator and site");
    if (a->records.order_unreadable)
        str_copy(c->reason, sizeof c->reason, "the order held here cannot be read");
    c->verdict = a->records.order_unreadable || ahead ? ORDER_REFUSE : order_judge(&held, &c->order, c->hash, &c->proofs, now_wall_ms, c->reason, sizeof c->reason);
    v->candidate = true;
    v->candidate_kind = c->order.kind;
    v->candidate_verdict = (int)c->verdict;
    v->candidate_first = str_eq(c->order.base, "none");
}

/* SIGINT went to the server that was in production, and that one is ending or gone. What pg_control says is its word
 * only then: the file of a server that is just coming up still says what the one before it wrote. */
static bool stop_was_requested(const struct server *s, const char *order) {
    int64_t pid = s->status.postmaster_pid;
    return str_eq(s->stop_order, order) && s->stop_pid && !s->start_id && (!pid || (pid == s->stop_pid && pid == s->production_pid));
}

static void view_order(struct agent *a, struct view *v, int64_t now_ms, int64_t now_wall_ms) {
    const struct records *r = &a->records;
    v->order = r->has_order;
    if (!r->has_order)
        return;
    const struct order *o = &r->order;
    v->order_kind = o->kind;
    v->role = o->role;
    v->asked = epoch_compare(&r->vote.asked, &o->epoch) >= 0;
    v->opened = epoch_compare(&r->vote.opened, &o->epoch) >= 0;
    v->declined = vote_find_decline(&r->vote, &o->epoch) != NULL;
    v->superseded = epoch_compare(&r->vote.known_opened, &r->vote.opened) > 0 && !str_eq(r->vote.known_opened.site, a->config.site) &&
                    epoch_compare(&r->vote.known_opened, &o->epoch) > 0;
    for (uint32_t i = 0; i < r->relay_count; i++)
        v->superseded |= epoch_compare(&r->relays[i].opened, &r->vote.opened) > 0 && epoch_compare(&r->relays[i].opened, &o->epoch) > 0;
    v->order_expired = o->expires <= now_wall_ms;
    v->receipt = str_eq(r->stop_state, "receipt");
    v->dropped = str_eq(r->stop_state, "dropped");
    v->stop_left_ms = o->kind == ORDER_STOP ? r->order_seen_boot_ms + o->deadline_ms - now_ms : 0;
    v->stop_requested = stop_was_requested(&a->server, r->order_hash);
    v->want_ready = server_target_wanted(a);
    v->want_checkpoint = o->kind == ORDER_PREPARE && o->checkpoint;
    v->checkpointed = str_eq(a->server.checkpointed_order, r->order_hash);
}

/* Positions count only on one lineage: the receipt's newest timeline must be ours. */
static void view_closing(struct agent *a, struct view *v) {
    const struct records *r = &a->records;
    if (!v->order || v->role != ROLE_PRIMARY || v->opened)
        return;
    const struct receipt *stopped = NULL;
    char reason[192];
    v->closing = CLOSING_UNKNOWN;
    if (!promotion_is_closed(&r->vote.known_opened, &r->order.epoch, &r->proofs, &stopped, reason, sizeof reason) || !stopped)
        return;
    lsn_t fork;
    enum lineage_relation relation = lineage_compare(&a->state.lineage, &stopped->lineage, &fork);
    if (relation != LINEAGE_SAME && relation != LINEAGE_ANCESTOR) {
        v->closing = relation == LINEAGE_UNKNOWN ? CLOSING_UNKNOWN : CLOSING_OTHER_LINEAGE;
        return;
    }
    const struct pg_facts *f = &a->server.facts;
    if (f->replay_lsn > stopped->end)
        v->closing = CLOSING_PAST;
    else if (f->timeline != stopped->timeline || f->receive_lsn < stopped->end)
        v->closing = CLOSING_BEFORE;
    else
        v->closing = f->replay_lsn == stopped->end ? CLOSING_EXACT : CLOSING_RECEIVED;
}

/* May this hold open (2.8)? Watched, born with it, carried on, or vouched for just now. */
static void view_confirmed(const struct agent *a, struct view *v, int64_t now_ms) {
    v->confirmed = a->state.hold_watched || a->topology->isolated_start_open || now_ms < a->vouching.confirmed_until_ms;
    v->vouching = now_ms < a->state.vouch_until_boot_ms;
}

/* ---- processes and directory ---- */

/* A live postmaster in the directory that is not the dead-man's: postmaster.pid names a process that lives. */
static bool foreign_postmaster(const struct agent *a) {
    char path[512];
    STRBUF text = {0};
    struct err err = {0};
    snprintf(path, sizeof path, "%s/postmaster.pid", a->member->postgresql.data_dir);
    if (a->server.status.postmaster_pid || !file_read(path, 4096, &text, &err))
        return false;
    pid_t pid = (pid_t)strtol(text.at ? text.at : "0", NULL, 10), parent;
    uint64_t start;
    char state;
    if (pid <= 1 || !proc_stat(pid, &start, &state, &parent) || state == 'Z')
        return false;
    char link[64], cwd[512];
    snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid); /* a postmaster's working directory is its data directory */
    ssize_t len = readlink(link, cwd, sizeof cwd - 1);
    if (len <= 0)
        return false;
    cwd[len] = 0;
    char real[4096];
    return realpath(a->member->postgresql.data_dir, real) && str_eq(cwd, real);
}

static int control_word(const struct server *s) {
    if (!s->control_ok)
        return CONTROL_UNKNOWN;
    switch ((enum pg_control_state)s->control.state) {
    case PG_SHUT_DOWN: return CONTROL_SHUT_DOWN;
    case PG_SHUT_DOWN_IN_RECOVERY: return CONTROL_SHUT_DOWN_IN_RECOVERY;
    case PG_IN_ARCHIVE_RECOVERY: return CONTROL_IN_RECOVERY;
    case PG_IN_PRODUCTION: return CONTROL_IN_PRODUCTION;
    case PG_STARTUP: case PG_SHUTTING_DOWN: case PG_IN_CRASH_RECOVERY: return CONTROL_OTHER;
    }
    return CONTROL_OTHER;
}

static void view_directory(const struct agent *a, struct view *v) {
    const struct server *s = &a->server;
    const char *data_dir = a->member->postgresql.data_dir;
    char signal_file[512], id[SYSTEM_ID_MAX];
    v->data = s->control_ok ? DATA_PRESENT : file_dir_is_empty(data_dir) ? DATA_ABSENT : DATA_BROKEN;
    v->data_expected = a->state.data_expected;
    snprintf(id, sizeof id, "%llu", (unsigned long long)s->control.system_identifier);
    v->identity = s->control_ok && str_eq(id, a->records.system_id);
    snprintf(signal_file, sizeof signal_file, "%s/standby.signal", data_dir);
    v->signal = file_exists(signal_file);
    v->control = control_word(s);
    v->copy_left = !a->job && !a->initdb_ready && job_leftovers(a->config.state_dir);
}

#define LOST_DEADMAN_MS 1000 /* a connection may break; a dead-man that is gone has sent SIGINT itself */
static void view_processes(const struct agent *a, struct view *v, int64_t now_ms) {
    const struct server *s = &a->server;
    v->deadman = s->deadman && s->status_known && deadman_alive(s->deadman);
    v->postmaster = s->status.postmaster_pid > 0 || s->start_id;
    v->leftovers = s->status.descendants > 0;
    /* Under guard a promotion is on its way: the server may tell of it before the dead-man does. */
    v->as_primary = s->status.postmaster_pid > 0 ? s->status.started_primary || s->status.guard : v->postmaster && s->starting_primary;
    bool lost = s->lost_deadman_ms && now_ms - s->lost_deadman_ms > LOST_DEADMAN_MS;
    v->foreign = (v->deadman || lost) && !s->start_id && foreign_postmaster(a);
    v->ending = s->ending_since_ms && now_ms - s->ending_since_ms > agent_stop_time_ms(a);
    v->start_failed = s->start_failed;
    if (s->back_off_until_ms > now_ms)
        v->back_off_ms = s->back_off_until_ms - now_ms;
    if (a->job_failed && a->job_retry_ms > now_ms)
        v->back_off_ms = a->job_retry_ms - now_ms;
    v->job = a->job ? (int)job_kind(a->job) + 1 : JOB_NONE;
    v->job_failed = a->job_failed;
}
_Static_assert((int)JOB_INITDB == (int)JOB_KIND_INITDB + 1 && (int)JOB_ATTACH == (int)JOB_KIND_ATTACH + 1, "jobs");

/* ---- server and upstream ---- */

static bool lineage_known(const struct agent *a) {
    const struct lineage_entry *e = lineage_find(&a->state.lineage, a->server.facts.timeline);
    return e && e->fingerprint[0];
}

/* It streams from where it should, on the newest timeline of what it follows: no better proof is to be had. */
static bool streams_right(const struct agent *a, const struct upstream *up) {
    const struct pg_facts *f = &a->server.facts;
    int64_t newest = up->lineage.count ? up->lineage.entries[up->lineage.count - 1].timeline : 0;
    bool from_there = a->server.applied_known ? str_eq(a->server.applied_target, up->target) : up->received;
    return f->in_recovery && str_eq(f->receiver_status, "streaming") && from_there && f->receiver_timeline == newest;
}

static void view_server(struct agent *a, struct view *v, int64_t now_ms) {
    const struct server *s = &a->server;
    v->answers = server_answers(a, now_ms);
    v->in_recovery = v->answers && s->facts.in_recovery;
    v->lineage_known = v->answers && lineage_known(a);
    v->roles = s->roles_made;
    v->replay_paused = v->answers && s->facts.replay_pause_state[0] && !str_eq(s->facts.replay_pause_state, "not paused");
    v->ready = s->applied_known && s->applied.ready_for_promotion;
}

/* Killed while its WAL was on the way: the newest timeline has a segment here, and nothing in it yet. PostgreSQL asks for it
 * before it answers anybody, so the source must be proved and named without its answer. (A restarted agent does not know what
 * the running server was told, and tells it again.) */
#define STARVED_MS 5000
static bool is_starved(const struct agent *a, const struct view *v, int64_t now_ms) {
    const struct server *s = &a->server;
    return v->postmaster && !v->answers && !v->as_primary && !s->applied_target[0] && v->control == CONTROL_IN_RECOVERY &&
           now_ms - s->status.postmaster_started_boot_ms > STARVED_MS;
}

static void view_upstream(struct agent *a, struct view *v, int64_t now_ms) {
    LARGE_LOCAL struct upstream up;
    upstream_of(a, &up);
    v->upstream = up.wanted;
    v->source = up.known && up.alive;
    v->source_slot = up.slot_ready;
    v->streaming = v->answers && streams_right(a, &up);
    v->starved = is_starved(a, v, now_ms);
    struct attachment *at = &a->attachment;
    if (v->streaming && !server_is_proved(a, up.key)) {
        str_copy(at->key, sizeof at->key, up.key);
        at->lives = a->server.lives;
        at->verdict = ATTACH_OK;
    }
    v->attach = str_eq(at->key, up.key) && at->lives == a->server.lives ? at->verdict : ATTACH_UNCHECKED;
    if (v->attach != ATTACH_OK && now_ms >= at->retry_boot_ms)
        v->attach = ATTACH_UNCHECKED; /* also what was found apart: a member with more WAL than the one that was asked may prove it yet */
    v->job_cancel = a->job && job_kind(a->job) == JOB_KIND_COPY && (!up.known || !str_eq(job_key(a->job), up.target_key));
    bool differs = server_configure(a, false);
    bool elsewhere = up.wanted && !str_eq(a->server.applied_target, up.target);
    v->follow = differs || elsewhere ? FOLLOW_WRONG : up.wanted ? FOLLOW_RIGHT : FOLLOW_NOBODY;
    if (elsewhere && !differs && v->attach == ATTACH_OK)
        v->follow = FOLLOW_WRONG;
}

void observe(struct agent *a, struct view *v) {
    int64_t now_ms = clock_boot_ms(), now_wall_ms = agent_wall_ms(a);
    memset(v, 0, sizeof *v);
    view_store(a, v, now_ms);
    view_lease(a, v, now_ms);
    if (!a->member)
        return;
    view_better_candidate(a, v, now_ms);
    view_candidate(a, v, now_wall_ms);
    view_order(a, v, now_ms, now_wall_ms);
    view_confirmed(a, v, now_ms);
    view_processes(a, v, now_ms);
    view_directory(a, v);
    view_server(a, v, now_ms);
    view_closing(a, v);
    view_upstream(a, v, now_ms);
    if (v->answers && v->order)
        slots_view(a, v);
}
