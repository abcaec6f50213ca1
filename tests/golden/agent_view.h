/* The agent's view as a field table: what scenario files are read with. */
#ifndef GOLDEN_AGENT_VIEW_H
#define GOLDEN_AGENT_VIEW_H
#include "rt/field.h"
#include "site-agent/decide/decide.h"

#define X(symbol, text) text,
static const char *const verdict_words[] = {VIEW_VERDICTS(X) NULL};
static const char *const kind_words[] = {VIEW_KINDS(X) NULL};
static const char *const role_words[] = {VIEW_ROLES(X) NULL};
static const char *const closing_words[] = {VIEW_CLOSINGS(X) NULL};
static const char *const data_words[] = {VIEW_DATA(X) NULL};
static const char *const control_words[] = {VIEW_CONTROLS(X) NULL};
static const char *const attach_words[] = {VIEW_ATTACHES(X) NULL};
static const char *const follow_words[] = {VIEW_FOLLOWS(X) NULL};
static const char *const job_words[] = {VIEW_JOBS(X) NULL};
#undef X

#define B(m) FIELD_BOOL(struct view, m, NULL, 0, "")
#define N(m) FIELD_INT64(struct view, m, NULL, INT64_MIN, INT64_MAX, 0, "")
#define E(m, words) FIELD_CHOICE(struct view, m, words, 0, "")
static const struct field view_fields[] = {
    B(topology), B(store_ok), B(store_went_back), B(swap_pending), B(record), B(lease_valid), B(lease_ours), N(lease_left_ms),
    N(renew_in_ms), N(take_in_ms), N(stop_time_ms), B(better_candidate), B(order), E(order_kind, kind_words), E(role, role_words),
    B(upstream), B(candidate), E(candidate_verdict, verdict_words), E(candidate_kind, kind_words), B(candidate_first), B(absent_waited),
    B(asked), B(opened), B(declined), B(superseded), B(confirmed), B(vouching), E(closing, closing_words), B(order_expired), B(receipt),
    B(dropped), B(stop_requested), N(stop_left_ms), B(deadman), B(postmaster), B(foreign), B(leftovers), B(ending), B(as_primary), B(start_failed),
    N(back_off_ms), E(data, data_words), B(data_expected), B(identity), B(signal), E(control, control_words), B(copy_left), B(answers), B(starved),
    B(in_recovery), B(lineage_known), B(roles), E(follow, follow_words), B(streaming), B(ready), B(want_ready), B(want_checkpoint),
    B(checkpointed), B(replay_paused), E(attach, attach_words), B(source), B(source_slot), E(job, job_words), B(job_cancel), B(job_failed),
    B(slots_missing), B(slots_extra), B(slots_behind), B(slots_turn), FIELD_END};
#undef B
#undef N
#undef E
static const struct fields view_table = FIELDS("view", struct view, view_fields);

/* Where every scenario starts: a member of a settled site, everything in order, that leads nothing. A scenario states
 * only what differs. `base:` names one of these. */
static inline void view_base(const char *name, struct view *v) {
    *v = (struct view){.topology = true, .store_ok = true, .record = true, .take_in_ms = 9000, .stop_time_ms = 4000, .order = true,
                       .order_kind = KIND_PREPARE, .role = ROLE_PRIMARY, .opened = true, .asked = true, .deadman = true, .postmaster = true,
                       .data = DATA_PRESENT, .data_expected = true, .identity = true, .signal = true, .control = CONTROL_IN_RECOVERY,
                       .answers = true, .in_recovery = true, .lineage_known = true, .follow = FOLLOW_RIGHT, .streaming = true,
                       .upstream = true, .attach = ATTACH_OK, .source = true, .source_slot = true, .slots_turn = true};
    if (str_eq(name, "replica"))
        return;
    v->lease_valid = v->lease_ours = v->confirmed = true;
    v->lease_left_ms = 9000, v->renew_in_ms = 1000, v->take_in_ms = -1;
    if (str_eq(name, "standby leader")) {
        v->role = ROLE_STANDBY;
        v->order_kind = KIND_FOLLOW;
        v->opened = v->asked = false;
        return;
    }
    v->as_primary = true; /* "primary" */
    v->in_recovery = v->streaming = v->upstream = v->source = false;
    v->control = CONTROL_IN_PRODUCTION;
    v->follow = FOLLOW_NOBODY;
}
#endif
