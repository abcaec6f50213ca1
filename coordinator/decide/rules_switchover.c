/* switchover: a planned move (protocol 2.5). Read from the end: what has happened already is found first, so whatever was
 * lost in between, the next step follows from what the sites say. Before the target's `asked` it can be taken back. */
#include "coordinator/decide/cluster.h"
#include <stdio.h>
#include <string.h>

static const struct site_facts *from(const struct cluster_view *v) { return &v->sites[v->op.from]; }
static const struct site_facts *to(const struct cluster_view *v) { return &v->sites[v->op.to]; }

/* ---- after the point of no return ---- */
static bool moved(const struct cluster_view *v) { return !epoch_below(&to(v)->opened, &v->op.next); }
static bool superseded(const struct cluster_view *v) {
    struct epoch highest = cluster_epoch(v);
    return epoch_below(&v->op.next, &highest) && !epoch_same(&highest, &v->op.back);
}
static bool follows(const struct cluster_view *v, int i) {
    const struct site_facts *s = &v->sites[i];
    return i == v->op.to || !s->has_order || (s->order_role == SITE_STANDBY && !epoch_below(&s->order_epoch, &v->op.next));
}
static bool everybody_follows(const struct cluster_view *v) {
    for (uint32_t i = 0; i < v->site_count; i++)
        if (!follows(v, (int)i) && ((int)i == v->op.from || v->sites[i].fresh)) return false;
    return true;
}
static bool verified(const struct cluster_view *v) {
    return moved(v) && everybody_follows(v) && site_streams(from(v)) && site_slots_stand(to(v)) && site_slots_stand(from(v));
}
static bool late(const struct cluster_view *v) { return moved(v) && v->op.moved_ms > VERIFY_LIMIT_MS; }
static bool follows_late(const struct cluster_view *v) { return moved(v) && !everybody_follows(v); }
static void tell_lacking(const struct cluster_view *v, char *out, size_t size) {
    const char *what = !follows(v, v->op.from) ? "has not accepted to follow yet" : !site_streams(from(v)) ? "does not stream yet" : NULL;
    const char *who = what ? from(v)->name : !site_slots_stand(to(v)) ? to(v)->name : from(v)->name;
    snprintf(out, size, "%s %s", who, what ? what : "lacks slots on a member");
}
static bool given_back(const struct cluster_view *v) {
    struct epoch highest = cluster_epoch(v);
    return epoch_below(&v->op.next, &highest) && epoch_same(&highest, &v->op.back);
}
static bool asked(const struct cluster_view *v) { return !epoch_below(&to(v)->asked, &v->op.next); }
static bool asked_unheard(const struct cluster_view *v) { return asked(v) && !site_speaks(to(v)); }

/* ---- the target has declined: the receipt goes back ---- */
static bool stopped(const struct cluster_view *v) { return site_has_handed_over(from(v), &v->op.epoch) && epoch_same(&from(v)->successor, &v->op.next); }
/* The decline passes the receipt to an epoch of the old primary; one that names another is for a person. */
static bool declined(const struct cluster_view *v) {
    const struct decline_facts *d = site_decline(to(v), &v->op.next);
    return stopped(v) && d && epoch_below(&v->op.next, &d->next) && strcmp(d->next.site, from(v)->name) == 0;
}
static bool declined_astray(const struct cluster_view *v) { return stopped(v) && site_decline(to(v), &v->op.next); }
static bool declined_first(const struct cluster_view *v) { return declined(v) && !v->op.abort; }
static bool holds_back(const struct cluster_view *v) { return from(v)->has_order && from(v)->order_kind == ORDER_ABORT && !epoch_below(&from(v)->order_epoch, &v->op.next); }
static bool giving_back(const struct cluster_view *v) { return declined(v) && (holds_back(v) || site_waits_for(from(v), ORDER_ABORT)); }
static bool back_refused(const struct cluster_view *v) { return declined(v) && from(v)->pending_kind == ORDER_ABORT && site_is_refusing(from(v)); }
static bool back_unheard(const struct cluster_view *v) { return declined(v) && !site_speaks(from(v)); }

/* ---- the receipt is there ---- */
static bool target_unheard(const struct cluster_view *v) { return stopped(v) && !site_speaks(to(v)); }
static bool target_aborts(const struct cluster_view *v) {
    bool holds = to(v)->has_order && to(v)->order_kind == ORDER_ABORT && epoch_same(&to(v)->order_epoch, &v->op.next);
    return stopped(v) && v->op.abort && (holds || site_waits_for(to(v), ORDER_ABORT));
}
static bool target_abort_refused(const struct cluster_view *v) {
    return stopped(v) && v->op.abort && to(v)->pending_kind == ORDER_ABORT && site_is_refusing(to(v));
}
static bool target_must_abort(const struct cluster_view *v) { return stopped(v) && v->op.abort; }
/* A coordinator that was away reads from both sites first what happened meanwhile; one that stays silent is not waited for. */
static bool overdue(const struct cluster_view *v) {
    bool heard = from(v)->heard && (to(v)->heard || v->op.left_ms < -HEAR_LIMIT_MS);
    return !v->op.abort && v->op.left_ms <= 0 && heard;
}
static bool has_refused_ours(const struct site_facts *s) { return s->pending && s->pending_ours && s->refused; }
static bool refused(const struct cluster_view *v) { return !v->op.abort && (has_refused_ours(to(v)) || has_refused_ours(from(v))); }
static void tell_refused(const struct cluster_view *v, char *out, size_t size) { snprintf(out, size, "%s", has_refused_ours(to(v)) ? to(v)->name : from(v)->name); }
static bool promoting(const struct cluster_view *v) {
    bool holds = to(v)->has_order && to(v)->order_kind == ORDER_PROMOTE && epoch_same(&to(v)->order_epoch, &v->op.next);
    return stopped(v) && (holds || site_waits_for(to(v), ORDER_PROMOTE));
}

/* ---- no receipt: the old primary is still the primary, or is stopping ---- */
static bool holds_stop(const struct cluster_view *v) { return site_hands_over(from(v)); }
static bool dropped(const struct cluster_view *v) { return from(v)->has_order && from(v)->order_ours && from(v)->order_kind == ORDER_STOP && from(v)->stop_dropped; }
static bool dropped_first(const struct cluster_view *v) { return !v->op.abort && dropped(v); }
static bool plain_again_sent(const struct cluster_view *v) { return v->op.abort && site_waits_for(from(v), ORDER_PREPARE); }
static bool must_be_plain(const struct cluster_view *v) { return v->op.abort && (dropped(v) || v->op.stop_out); }
static bool plain_again_refused(const struct cluster_view *v) { return must_be_plain(v) && from(v)->pending_kind == ORDER_PREPARE && site_is_refusing(from(v)); }
static bool nothing_stopped(const struct cluster_view *v) { return v->op.abort && !holds_stop(v); }
/* Silence is no proof that nothing was stopped. */
static bool stop_unheard(const struct cluster_view *v) { return v->op.abort && !site_speaks(from(v)); }
static bool stop_runs(const struct cluster_view *v) { return holds_stop(v); }

/* ---- preparing ---- */
static bool unheard(const struct cluster_view *v) { return !site_speaks(to(v)) || !site_speaks(from(v)); }
static void tell_unheard(const struct cluster_view *v, char *out, size_t size) { snprintf(out, size, "%s", site_speaks(to(v)) ? from(v)->name : to(v)->name); }
static bool is_prepared(const struct site_facts *s) { return s->has_order && s->order_ours && s->order_kind == ORDER_PREPARE; }
static bool prepare_target_due(const struct cluster_view *v) { return !is_prepared(to(v)) && !site_waits_for(to(v), ORDER_PREPARE); }
static bool prepare_primary_due(const struct cluster_view *v) { return !is_prepared(from(v)) && !site_waits_for(from(v), ORDER_PREPARE); }
static bool is_ready(const struct site_facts *s) {
    const struct member_facts *leader = site_leader(s);
    return is_prepared(s) && leader && leader->ready;
}
static bool is_checkpointed(const struct site_facts *s) {
    const struct member_facts *leader = site_leader(s);
    return is_prepared(s) && leader && leader->checkpointed;
}
static bool preparing(const struct cluster_view *v) { return !is_ready(to(v)) || !is_checkpointed(from(v)); }
static void tell_preparing(const struct cluster_view *v, char *out, size_t size) {
    snprintf(out, size, "%s%s%s", is_ready(to(v)) ? "" : to(v)->name, is_ready(to(v)) || is_checkpointed(from(v)) ? "" : ", ",
             is_checkpointed(from(v)) ? "" : from(v)->name);
}
static bool not_ready(const struct cluster_view *v) { return move_refusal(v, v->op.to) != NULL; }
static void tell_not_ready(const struct cluster_view *v, char *out, size_t size) {
    const struct move_check *check = move_refusal(v, v->op.to);
    char about[96] = "";
    if (check->about) check->about(v, v->op.to, about, sizeof about);
    snprintf(out, size, "%s%s%s", check->sentence, about[0] ? ": " : "", about);
}
static bool too_late_to_stop(const struct cluster_view *v) { return v->op.left_ms < STOP_LEAST_MS; }
static bool stop_sent(const struct cluster_view *v) { return site_waits_for(from(v), ORDER_STOP); }
static bool always(const struct cluster_view *v) {
    (void)v;
    return true;
}

/* ---- the orders ---- */
static void prepare_target(const struct cluster_view *v, struct order_intent *o) {
    *o = (struct order_intent){.site = v->op.to, .kind = ORDER_PREPARE, .role = SITE_STANDBY, .epoch = v->op.epoch, .upstream = v->op.from, .target = true, .of_operation = true};
}
static void prepare_primary(const struct cluster_view *v, struct order_intent *o) {
    *o = (struct order_intent){.site = v->op.from, .kind = ORDER_PREPARE, .role = SITE_PRIMARY, .epoch = v->op.epoch, .upstream = NOBODY, .checkpoint = true, .of_operation = true};
}
/* The old primary drops the request before the whole operation's time is over: a quarter, at most ten seconds, is left. */
static void stop(const struct cluster_view *v, struct order_intent *o) {
    int64_t reserve_ms = v->op.left_ms / 4 < 10000 ? v->op.left_ms / 4 : 10000;
    *o = (struct order_intent){.site = v->op.from, .kind = ORDER_STOP, .role = SITE_STOPPED, .epoch = v->op.epoch, .successor = v->op.next, .upstream = NOBODY,
                               .of_operation = true, .deadline_ms = v->op.left_ms - reserve_ms, .proofs = PROVE_REQUEST};
}
/* The old primary stays named as the upstream: a target that restarts before it has replayed everything can stream the rest. */
static void promote(const struct cluster_view *v, struct order_intent *o) {
    *o = (struct order_intent){.site = v->op.to, .kind = ORDER_PROMOTE, .role = SITE_PRIMARY, .epoch = v->op.next, .upstream = v->op.from, .of_operation = true, .proofs = PROVE_REQUEST | PROVE_STOPPED};
}
static void decline(const struct cluster_view *v, struct order_intent *o) {
    *o = (struct order_intent){.site = v->op.to, .kind = ORDER_ABORT, .role = SITE_STANDBY, .epoch = v->op.next, .successor = v->op.back, .upstream = v->op.from, .of_operation = true, .proofs = PROVE_REQUEST | PROVE_STOPPED};
}
static void give_back(const struct cluster_view *v, struct order_intent *o) {
    *o = (struct order_intent){.site = v->op.from, .kind = ORDER_ABORT, .role = SITE_PRIMARY, .epoch = site_decline(to(v), &v->op.next)->next, .upstream = NOBODY, .of_operation = true,
                               .proofs = PROVE_REQUEST | PROVE_STOPPED | PROVE_DECLINED};
}
static void plain_again(const struct cluster_view *v, struct order_intent *o) {
    *o = (struct order_intent){.site = v->op.from, .kind = ORDER_PREPARE, .role = SITE_PRIMARY, .epoch = v->op.epoch, .upstream = NOBODY, .of_operation = true};
}

const struct cluster_rule switchover_rules[] = {
    FINISH(SAYS("C30", "superseded", "another epoch was opened meanwhile: this operation is over"), superseded, -1, OP_FAILED, NULL),
    FINISH(SAYS("C31", "given-back", "the old primary writes again, in a new epoch"), given_back, OP_ABORT, OP_ABORTED, NULL),
    FINISH(SAYS("C32", "verified", "the target writes, the old primary streams from it, slots stand on both sides"), verified, OP_VERIFY, OP_DONE, NULL),
    FINISH(SAYS("C33", "verified-in-part", "the target writes; the rest has not followed in time and is left to the sites' own rules"), late, OP_VERIFY, OP_DONE, tell_lacking),
    WAIT(SAYS("C34", "follow", "the target writes: the others are ordered to follow"), follows_late, OP_FOLLOW, tell_lacking),
    WAIT(SAYS("C35", "verify", "the target writes: waits for the old primary to stream and for the slots"), moved, OP_VERIFY, tell_lacking),
    WAIT(ASKS("C36", "asked-unheard", "the target is past the point of no return and its leader does not report: bring it back (a forced failover is not built yet)"), asked_unheard, OP_PROMOTE, NULL),
    WAIT_LONG(SAYS("C37", "asked", "the target is past the point of no return: only forward"), asked, OP_PROMOTE, NULL,
              "the target does not open: see `pgregent explain` and the log of its leader's PostgreSQL"),

    ABORT(SAYS("C38", "declined", "the target has declined by itself: its order's time was over"), declined_first, NULL),
    WAIT(ASKS("C39", "old-primary-unheard", "the target has declined and the old primary, which may open again, does not report: bring it back (a forced failover is not built yet)"), back_unheard, OP_ABORT, NULL),
    WAIT(ASKS("C40", "back-refused", "the old primary refuses to open again: see the reason in the audit log"), back_refused, OP_ABORT, NULL),
    WAIT_LONG(SAYS("C41", "giving-back", "the target has declined: waits for the old primary to open again"), giving_back, OP_ABORT, NULL,
              "the old primary does not open: see `pgregent explain` and the log of its leader's PostgreSQL"),
    ORDER(SAYS("C42", "give-back", "the target has declined: the old primary is ordered to open again"), declined, OP_ABORT, give_back),
    /* Second guard: who orders a decline lets it name the old primary. */
    WAIT(ASKS("C43", "declined-astray", "the target's decline passes the receipt to an epoch that is not the old primary's: a person must look"), declined_astray, OP_ABORT, NULL),

    WAIT(ASKS("C44", "target-unheard", "the old primary has handed over and the target's leader does not report: bring it back (a forced failover is not built yet)"), target_unheard, OP_PROMOTE, NULL),
    ABORT(SAYS("C45", "overdue", "the deadline is over before the point of no return"), overdue, NULL),
    ABORT(SAYS("C46", "refused", "a site has refused its order"), refused, tell_refused),
    WAIT_LONG(SAYS("C47", "target-declining", "waits for the target to decline the epoch"), target_aborts, OP_ABORT, NULL,
              "the target does not answer: see `pgregent explain`, and start its agents"),
    WAIT(ASKS("C48", "decline-refused", "the target refuses to decline: it may have passed the point of no return; tried again"), target_abort_refused, OP_ABORT, NULL),
    ORDER(SAYS("C49", "decline", "taken back: the target is ordered to decline, so that the receipt goes back"), target_must_abort, OP_ABORT, decline),
    WAIT_LONG(SAYS("C50", "promoting", "the receipt is with the target: it replays to its end and asks"), promoting, OP_PROMOTE, NULL,
              "the target does not ask: see `pgregent explain`, or take the move back: `pgregent operation abort`"),
    ORDER(SAYS("C51", "promote", "the old primary has stopped with a receipt: the target is ordered to take over"), stopped, OP_PROMOTE, promote),

    ABORT(SAYS("C52", "dropped", "the old primary has dropped the stop request: it goes on"), dropped_first, NULL),
    WAIT(ASKS("C57", "stop-unheard", "taken back, and the old primary's leader does not report: whether it has stopped is known from it alone, and nobody else may write before; bring it back"), stop_unheard, OP_ABORT, NULL),
    WAIT_LONG(SAYS("C53", "plain-again-sent", "taken back: waits for the old primary to accept that it stays what it was"), plain_again_sent, OP_ABORT, NULL,
              "the old primary does not answer: see `pgregent explain`, and start its agents"),
    WAIT_LONG(SAYS("C54", "plain-again-refused", "the old primary refuses the order that ends the stop: planned again after a pause"), plain_again_refused, OP_ABORT, NULL,
              "the reason stands in the audit log and in `pgregent status`"),
    ORDER(SAYS("C55", "plain-again", "taken back: the stop request is replaced, the old primary stays what it was"), must_be_plain, OP_ABORT, plain_again),
    FINISH(SAYS("C56", "aborted", "nothing was stopped: same primary, writable"), nothing_stopped, OP_ABORT, OP_ABORTED, NULL),
    WAIT_LONG(SAYS("C58", "stopping", "the old primary stops: waits for its receipt, or for it to drop the request"), stop_runs, OP_STOP, NULL,
              "neither receipt nor end of the request: see `pgregent explain`, and bring the old primary's leader back (a forced failover is not built yet)"),

    WAIT_LONG(SAYS("C59", "sites-unheard", "waits for reports of both sites"), unheard, OP_PREPARE, tell_unheard,
              "start the agents of that site, or take the move back: `pgregent operation abort`"),
    ORDER(SAYS("C60", "prepare-target", "the target is made ready"), prepare_target_due, OP_PREPARE, prepare_target),
    ORDER(SAYS("C61", "prepare-primary", "the old primary makes a checkpoint, so that its stop is short"), prepare_primary_due, OP_PREPARE, prepare_primary),
    WAIT_LONG(SAYS("C62", "preparing", "waits for readiness and checkpoint"), preparing, OP_PREPARE, tell_preparing,
              "see `pgregent explain`, or take the move back: `pgregent operation abort`"),
    WAIT_LONG(SAYS("C63", "stop-sent", "waits for the old primary to accept the stop request"), stop_sent, OP_STOP, NULL,
              "the old primary does not answer: see `pgregent explain`, and start its agents"),
    WAIT_LONG(SAYS("C64", "not-ready", "the target is not ready to take over without loss or delay"), not_ready, OP_PREPARE, tell_not_ready,
              "see `pgregent explain`, or take the move back: `pgregent operation abort`"),
    ABORT(SAYS("C65", "too-late-to-stop", "too little of the deadline is left to begin the stop"), too_late_to_stop, NULL),
    ORDER(SAYS("C66", "stop", "everything is ready: the old primary is ordered to stop, its receipt passes to the target alone"), always, OP_STOP, stop),
    {.head = {.id = NULL}},
};
