/* R: what PostgreSQL on this member does. The groups, in this order: dangers first, then long work, then what the order
 * asks for: hand over (R2x), open (R3x), be born (R4x), be primary (R5x), follow (R6x and on). */
#include "site-agent/decide/decide.h"
#include "site-agent/decide/site.h"

/* ---- dangers ---- */
static bool no_topology(const struct view *v) { return !v->topology; }
static bool no_deadman(const struct view *v) { return !v->deadman; }
static bool foreign(const struct view *v) { return v->foreign; }
static bool leftovers(const struct view *v) { return v->leftovers && !v->postmaster; }
static bool runs_as_primary(const struct view *v) { return v->postmaster && v->as_primary; }
static bool lease_running_out(const struct view *v) {
    return runs_as_primary(v) && !v->receipt && (!v->lease_valid || v->lease_left_ms <= v->stop_time_ms);
}
static bool superseded(const struct view *v) { return runs_as_primary(v) && v->superseded; }
static bool promoted_by_hand(const struct view *v) { return v->postmaster && v->answers && !v->in_recovery && !v->as_primary; }
static bool signal_missing(const struct view *v) { return !v->postmaster && v->data == DATA_PRESENT && !v->signal && v->job == JOB_NONE; }
static bool job_obsolete(const struct view *v) { return v->job != JOB_NONE && v->job_cancel; }
static bool job_running(const struct view *v) { return v->job != JOB_NONE; }
static bool copy_left(const struct view *v) { return v->copy_left; }
static bool no_order(const struct view *v) { return !v->order; }
static bool store_went_back(const struct view *v) { return v->store_went_back; }

/* ---- handing over (2.5, 4.6) ---- */
static bool hands_over(const struct view *v) { return v->lease_valid && site_is_handing_over(v); }
static bool stopped_cleanly(const struct view *v) {
    if (!v->identity) return false; /* what is mounted there belongs to another cluster */
    return hands_over(v) && v->control == CONTROL_SHUT_DOWN && (v->stop_requested || !v->postmaster) && v->stop_left_ms > 0;
}
static bool stop_too_late(const struct view *v) { return hands_over(v) && v->stop_left_ms <= 0; }
static bool stop_crashed(const struct view *v) { return hands_over(v) && !v->postmaster; }
static bool stop_due(const struct view *v) { return hands_over(v) && !v->stop_requested && v->postmaster; }
static bool stop_running(const struct view *v) { return hands_over(v); }
static bool dropped_while_stopping(const struct view *v) { return v->order && v->order_kind == KIND_STOP && v->dropped && v->postmaster && v->stop_requested; }
static bool handed_over(const struct view *v) { return v->order && v->order_kind == KIND_STOP && v->receipt && runs_as_primary(v); }
static bool handed_over_but_hangs(const struct view *v) { return handed_over(v) && v->stop_left_ms <= 0; }

/* ---- opening (2.5a, 2.6, 2.8) ---- */
static bool opens(const struct view *v) { return v->lease_valid && site_is_opening(v) && !v->declined; }
static bool in_reach(const struct view *v) { return opens(v) && v->postmaster && v->answers && v->in_recovery; }
/* An abort is the last resort of its operation: it may wait. */
static bool expired_before_asking(const struct view *v) { return opens(v) && !v->asked && v->order_expired && v->order_kind == KIND_PROMOTE; }
static bool past_the_receipt(const struct view *v) {
    return in_reach(v) && !v->asked && (v->closing == CLOSING_PAST || v->closing == CLOSING_OTHER_LINEAGE);
}
static bool not_yet_replayed(const struct view *v) { return in_reach(v) && !v->asked && v->closing != CLOSING_EXACT; }
static bool replay_paused(const struct view *v) { return in_reach(v) && v->replay_paused; }
static bool unconfirmed(const struct view *v) { return in_reach(v) && !v->confirmed; }
static bool still_vouching(const struct view *v) { return in_reach(v) && !v->asked && v->vouching; }
static bool may_ask(const struct view *v) { return in_reach(v) && !v->asked; }
static bool may_promote(const struct view *v) { return in_reach(v); }
static bool promoted(const struct view *v) { return opens(v) && v->asked && v->postmaster && v->answers && !v->in_recovery; }
static bool promoted_unrecorded(const struct view *v) { return promoted(v) && !v->lineage_known; }
static bool opening_silent(const struct view *v) { return opens(v) && v->asked && v->postmaster; }
static bool asked_and_down(const struct view *v) { return opens(v) && v->asked && !v->postmaster && v->back_off_ms <= 0 && v->data == DATA_PRESENT && v->identity; }
static bool promoted_and_down(const struct view *v) {
    return opens(v) && v->asked && !v->postmaster && (v->control == CONTROL_IN_PRODUCTION || v->control == CONTROL_SHUT_DOWN);
}

/* ---- birth (3.8) ---- */
static bool born(const struct view *v) { return v->lease_valid && site_is_born(v); }
static bool birth_backs_off(const struct view *v) { return born(v) && v->data != DATA_PRESENT && v->job_failed && v->back_off_ms > 0; }
static bool birth_empty(const struct view *v) { return born(v) && v->data == DATA_ABSENT && !v->data_expected; }
static bool birth_down(const struct view *v) { return born(v) && v->data == DATA_PRESENT && v->identity && !v->postmaster && v->back_off_ms <= 0; }
static bool birth_up(const struct view *v) { return born(v) && v->postmaster && v->answers && !v->in_recovery; }
/* The directory was started at rest, before this member led again: nothing is born in recovery. */
static bool birth_in_recovery(const struct view *v) { return born(v) && v->postmaster && !v->as_primary; }
/* Until the roles are there, the server does not answer to ours. */
static bool birth_without_roles(const struct view *v) { return born(v) && v->postmaster && !v->in_recovery && !v->roles; }
static bool birth_unrecorded(const struct view *v) { return birth_up(v) && !v->lineage_known; }

/* ---- primary ---- */
static bool leads_open(const struct view *v) { return v->lease_valid && site_is_open(v); }
static bool must_be_primary(const struct view *v) { return leads_open(v) || promoted_and_down(v); }
static bool primary_data_bad(const struct view *v) { return must_be_primary(v) && !v->postmaster && (v->data != DATA_PRESENT || !v->identity); }
static bool primary_backs_off(const struct view *v) { return must_be_primary(v) && !v->postmaster && v->back_off_ms > 0; }
static bool primary_unconfirmed(const struct view *v) { return must_be_primary(v) && !v->postmaster && !v->confirmed; }
static bool primary_superseded(const struct view *v) { return must_be_primary(v) && v->superseded; }
static bool primary_down(const struct view *v) { return must_be_primary(v) && !v->postmaster; }
static bool primary_in_recovery(const struct view *v) { return leads_open(v) && v->postmaster && !v->as_primary; }
static bool primary_ending(const struct view *v) { return leads_open(v) && v->postmaster && v->ending; }
static bool primary_silent(const struct view *v) { return leads_open(v) && !v->answers; }
static bool primary_outdated(const struct view *v) { return leads_open(v) && v->follow == FOLLOW_WRONG; }
static bool primary_checkpoint(const struct view *v) { return leads_open(v) && v->want_checkpoint && !v->checkpointed; }
static bool primary_fine(const struct view *v) { return leads_open(v); }

/* ---- following ---- */
static bool wrongly_primary(const struct view *v) { return runs_as_primary(v) && !v->receipt; }
static bool vanished(const struct view *v) { return v->data == DATA_ABSENT && v->data_expected; }
static bool unusable(const struct view *v) { return v->data == DATA_BROKEN || (v->data == DATA_PRESENT && !v->identity); }
static bool backs_off(const struct view *v) { return !v->postmaster && v->back_off_ms > 0; }
static bool no_source(const struct view *v) { return v->data == DATA_ABSENT && !v->source; }
static bool no_source_slot(const struct view *v) { return v->data == DATA_ABSENT && !v->source_slot; }
static bool must_copy(const struct view *v) { return v->data == DATA_ABSENT; }
static bool must_check(const struct view *v) {
    return v->upstream && v->source && v->attach == ATTACH_UNCHECKED && (!v->postmaster || ((v->answers || v->starved) && v->follow == FOLLOW_WRONG && !v->streaming));
}
/* Not proved is not attached; a server at rest starts all the same and follows nobody until it is. */
static bool attach_failed(const struct view *v) { return v->upstream && v->attach == ATTACH_FAILED && v->postmaster && v->answers && v->follow == FOLLOW_WRONG && !v->streaming; }
static bool ahead(const struct view *v) { return v->upstream && v->attach == ATTACH_AHEAD && v->postmaster && v->answers && !v->streaming; }
/* The WAL up to the receipt's end is elsewhere: with the site that handed over, or with another member of this one (4.6). */
static bool lacks_wal(const struct view *v) { return in_reach(v) && !v->asked && v->closing == CLOSING_BEFORE; }
static bool fetch_unchecked(const struct view *v) { return lacks_wal(v) && must_check(v); }
static bool fetch_unattached(const struct view *v) {
    return lacks_wal(v) && v->upstream && v->follow == FOLLOW_WRONG && (v->attach == ATTACH_OK || v->streaming);
}
static bool diverged(const struct view *v) {
    return v->upstream && (v->attach == ATTACH_REWIND || v->attach == ATTACH_RECLONE) && (!v->postmaster || v->follow != FOLLOW_RIGHT);
}
static bool standby_down(const struct view *v) { return !v->postmaster; }
static bool standby_silent(const struct view *v) { return !v->answers && !(v->starved && v->attach == ATTACH_OK); }
static bool standby_outdated(const struct view *v) { return v->follow == FOLLOW_WRONG && (!v->upstream || v->attach == ATTACH_OK || v->streaming); }
static bool lineage_unrecorded(const struct view *v) { return !v->lineage_known; }
static bool standby_checkpoint(const struct view *v) { return v->want_checkpoint && !v->checkpointed; }
static bool not_streaming(const struct view *v) { return v->upstream && !v->streaming; }
static bool always(const struct view *v) { (void)v; return true; }

const struct rule role_rules[] = {
    RULE("R01", "no-topology", "no signed topology is held yet: asks the coordinator for it", no_topology, WAKE_IDLE, NO_STEP),
    RULE("R02", "foreign-server", "a PostgreSQL that was not started here holds the directory: it is stopped, then started under the dead-man", foreign, WAKE_SOON, STEP_STOP, -1),
    RULE("R03", "no-deadman", "the dead-man does not answer: nothing is started without it", no_deadman, WAKE_SOON, NO_STEP),
    RULE("R04", "leftovers", "processes of a dead postmaster are left: they are killed before anything is started", leftovers, WAKE_SOON, STEP_KILL, -1),
    RULE("R05", "lease-running-out", "the lease runs out or is gone: PostgreSQL stops before the deadline", lease_running_out, 50, STEP_STOP, -1),
    /* Second guard: an open site is outranked by a forced move only. */
    RULE("R06", "superseded", "another site has opened a higher epoch: this one stops writing, for good", superseded, 50, STEP_STOP, -1),
    RULE("R07", "promoted-by-hand", "somebody promoted this server without an order: it is killed", promoted_by_hand, 50, STEP_KILL, -1),
    RULE("R08", "job-obsolete", "the running job serves an order or a leader that is no longer in force: cancelled", job_obsolete, WAKE_SOON, STEP_CANCEL_JOB, -1),
    RULE("R09", "job-running", "long work is under way", job_running, 500, NO_STEP),
    RULE("R10", "signal-missing", "a directory at rest is a standby: standby.signal is put back", signal_missing, WAKE_MOVING, STEP_PUT_SIGNAL, -1),
    RULE("R11", "copy-left", "an unfinished copy lies beside the directory: removed", copy_left, WAKE_SOON, STEP_CLEAN_COPY, -1),
    RULE("R12", "no-order", "the site has no order: nothing is started", no_order, WAKE_IDLE, NO_STEP),
    RULE_PERSON("R13", "store-went-back", "the order in the store is older than what this member has obeyed: nothing is started, stopped or promoted by it", store_went_back, WAKE_IDLE),

    RULE("R20", "stopped-cleanly", "pg_control says shut down: the receipt is stored", stopped_cleanly, WAKE_MOVING, STEP_STORE_RECEIPT, -1),
    RULE("R21", "stop-too-late", "not stopped cleanly by the order's deadline: the request is dropped, this site stays primary", stop_too_late, WAKE_MOVING, STEP_DROP_STOP, -1),
    RULE("R22", "stop-crashed", "PostgreSQL ended without a clean shutdown: the request is dropped, this site stays primary", stop_crashed, WAKE_MOVING, STEP_DROP_STOP, -1),
    RULE("R23", "stop-due", "ordered to hand over: stop request first, then the logical walsenders", stop_due, WAKE_MOVING, STEP_STOP_ORDERED, -1),
    RULE("R24", "stopping", "waits for pg_control to say shut down", stop_running, WAKE_MOVING, STEP_STOP_ORDERED, -1),
    RULE("R25", "stop-dropped", "the dropped stop cannot be taken back: it is completed, then this site opens again", dropped_while_stopping, 20, STEP_KILL, -1),
    RULE("R26", "handed-over-hangs", "the receipt is given and the old server does not end: it is killed", handed_over_but_hangs, 20, STEP_KILL, -1),
    RULE("R27", "handed-over", "the receipt is given; the old server sends its last WAL and ends", handed_over, 5, NO_STEP),

    RULE("R30", "expired-before-asking", "the order's time was over before the point of no return: the epoch is declined", expired_before_asking, WAKE_MOVING, STEP_DECLINE, -1),
    RULE_PERSON("R31", "past-the-receipt", "replay stands past the receipt or on another lineage: somebody else has written; nothing is promoted", past_the_receipt, WAKE_IDLE),
    RULE("R3B", "must-fetch", "lacks WAL before the receipt's end: compares the end of its own with who has it, before it attaches", fetch_unchecked, 20, STEP_CHECK_ATTACH, -1),
    RULE("R3C", "fetches", "lacks WAL before the receipt's end: follows who has it", fetch_unattached, 20, STEP_CONFIGURE, -1),
    RULE_PERSON("R33", "replay-paused", "replay is paused: the receipt's end is not reached, and a promotion would stop this server", replay_paused, WAKE_SOON),
    RULE("R32", "not-yet-replayed", "replays up to the end that the receipt names", not_yet_replayed, WAKE_MOVING, NO_STEP),
    RULE("R34", "unconfirmed", "this hold began cold: the other sites must confirm that nobody else opened", unconfirmed, WAKE_SOON, STEP_ASK_VOUCHERS, -1),
    /* Second guard: what was vouched for before has held the order up (O06), and nobody asks for a voucher after his receipt. */
    RULE("R35", "still-vouching", "a voucher to another site still runs", still_vouching, WAKE_SOON, NO_STEP),
    RULE("R36", "may-ask", "replay stands exactly at the receipt's end: the point of no return is written", may_ask, WAKE_MOVING, STEP_ASK, -1),
    RULE("R37", "may-promote", "the epoch is asked: PostgreSQL is promoted", may_promote, WAKE_MOVING, STEP_PROMOTE, -1),
    RULE("R38", "promoted-unrecorded", "promoted: the new timeline's fingerprint is recorded first", promoted_unrecorded, WAKE_MOVING, STEP_RECORD_LINEAGE, -1),
    RULE("R39", "promoted", "promoted and recorded: the epoch is open", promoted, WAKE_MOVING, STEP_OPENED, -1),
    RULE("R3A", "opening-silent", "past the point of no return: waits for the server to answer", opening_silent, 20, NO_STEP),

    RULE("R40", "birth-backs-off", "initdb failed: tries again after a pause", birth_backs_off, WAKE_IDLE, NO_STEP),
    RULE("R41", "birth-empty", "ordered to begin the cluster: initdb beside the data directory", birth_empty, WAKE_SOON, STEP_INITDB, -1),
    RULE("R42", "birth-down", "the new directory is started as the cluster's first primary", birth_down, 20, STEP_START_PRIMARY, -1),
    RULE("R47", "birth-in-recovery", "runs in recovery where the cluster's first primary belongs: stopped, then started as primary", birth_in_recovery, 20, STEP_STOP, -1),
    RULE("R43", "birth-roles", "the database roles of pgregent are made", birth_without_roles, 20, STEP_CREATE_ROLES, -1),
    /* Second guard: the identity is kept before the directory that initdb has made is put in its place. */
    RULE("R44", "birth-unrecorded", "the first timeline's identity is recorded", birth_unrecorded, 20, STEP_RECORD_LINEAGE, -1),
    RULE("R45", "born", "the cluster is born: its first epoch is open", birth_up, 20, STEP_OPENED, -1),
    RULE("R46", "birth-waits", "waits for the new primary to answer", born, 20, NO_STEP),

    RULE_PERSON("R50", "primary-data-bad", "the primary's data directory is missing, broken or of another cluster: nothing is started", primary_data_bad, WAKE_IDLE),
    /* Second guard: as R06. */
    RULE_PERSON("R51", "primary-superseded", "another site has opened a higher epoch: waits to be made a standby", primary_superseded, WAKE_IDLE),
    RULE("R52", "primary-backs-off", "the last start failed: tries again after a pause", primary_backs_off, WAKE_IDLE, NO_STEP),
    RULE("R53", "primary-unconfirmed", "this hold began cold: before it opens, every other site must confirm that nobody else did", primary_unconfirmed, WAKE_SOON, STEP_ASK_VOUCHERS, -1),
    RULE("R54", "primary-down", "this site is primary and this member leads it: started as primary", primary_down, 20, STEP_START_PRIMARY, -1),
    RULE("R55", "primary-in-recovery", "runs in recovery where the primary belongs: stopped, then started as primary", primary_in_recovery, 20, STEP_STOP, -1),
    RULE("R5A", "primary-ending", "the server is shutting down by itself and does not end: killed, then started again", primary_ending, 50, STEP_KILL, -1),
    RULE("R56", "primary-silent", "waits for the primary to answer", primary_silent, WAKE_SOON, NO_STEP),
    RULE("R57", "primary-outdated", "the configuration changed: written and reloaded", primary_outdated, WAKE_SOON, STEP_CONFIGURE, -1),
    RULE("R58", "primary-checkpoint", "a move is prepared: checkpoint, so that the stop is short", primary_checkpoint, WAKE_SOON, STEP_CHECKPOINT, -1),
    RULE("R59", "primary-fine", "primary, open for writes", primary_fine, WAKE_IDLE, NO_STEP),

    RULE("R60", "wrongly-primary", "runs as primary where a standby belongs: stopped", wrongly_primary, 20, STEP_STOP, -1),
    RULE_PERSON("R61", "data-missing", "this member once held data and its directory is empty or not mounted: nothing is copied until `local reinit`", vanished, WAKE_IDLE),
    RULE_PERSON("R62", "data-unusable", "the directory is not a PostgreSQL of this cluster: left alone", unusable, WAKE_IDLE),
    RULE("R63", "backs-off", "the last try failed: tries again after a pause", backs_off, WAKE_IDLE, NO_STEP),
    RULE("R64", "no-source", "waits for a server to copy from", no_source, WAKE_SOON, NO_STEP),
    RULE("R65", "no-source-slot", "waits for its slot at the source: no copy without WAL held for it", no_source_slot, WAKE_SOON, NO_STEP),
    RULE("R66", "must-copy", "empty: copies through the slot that is held for it", must_copy, WAKE_SOON, STEP_COPY, -1),
    RULE("R6A", "asked-down", "past the point of no return and down: started in recovery, then promoted", asked_and_down, 20, STEP_START_STANDBY, -1),
    RULE("R67", "must-check", "before it attaches, the end of its WAL is compared with the source", must_check, 20, STEP_CHECK_ATTACH, -1),
    RULE("R68", "attach-unknown", "the comparison with the source failed: tries again after a pause", attach_failed, WAKE_SOON, NO_STEP),
    RULE("R69", "ahead-of-source", "has WAL that its source lacks: waits, never attaches", ahead, WAKE_IDLE, NO_STEP),
    RULE_PERSON_STEP("R70", "diverged", "its WAL is not part of the source's history: it follows nobody until it is rewound or copied anew", diverged, WAKE_IDLE, STEP_CONFIGURE),
    RULE("R71", "standby-down", "started in recovery", standby_down, 20, STEP_START_STANDBY, -1),
    RULE("R72", "standby-silent", "waits for the standby to answer", standby_silent, 50, NO_STEP),
    RULE("R73", "standby-outdated", "follows the wrong server or has old settings: configured and reloaded", standby_outdated, 20, STEP_CONFIGURE, -1),
    RULE("R75", "lineage-unrecorded", "a new timeline has arrived: its identity is recorded", lineage_unrecorded, WAKE_SOON, STEP_RECORD_LINEAGE, -1),
    RULE("R76", "standby-checkpoint", "a move is prepared: restartpoint", standby_checkpoint, WAKE_SOON, STEP_CHECKPOINT, -1),
    RULE("R77", "not-streaming", "follows the right server, but nothing streams", not_streaming, WAKE_SOON, NO_STEP),
    RULE("R78", "standby-fine", "in recovery, as ordered", always, WAKE_IDLE, NO_STEP),
    {.id = NULL},
};
