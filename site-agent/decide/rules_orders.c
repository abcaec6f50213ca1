/* O: what becomes of an order that has come in (protocol 3.2). Whether it is authentic was checked before it got here,
 * whether it is next, in force and closed by proofs is wire/order_judge.c's verdict. */
#include "site-agent/decide/decide.h"
#include "site-agent/decide/site.h"

static bool none(const struct view *v) { return !v->candidate; }
/* A site without records has no leader, and gets one only by a first order that is accepted: that it is refused anybody may say. */
static bool first_refused(const struct view *v) { return v->store_ok && !v->record && v->candidate_first && v->candidate_verdict == VERDICT_REFUSE; }
static bool not_leader(const struct view *v) { return !v->lease_valid && !first_refused(v); }
static bool swap_pending(const struct view *v) { return v->swap_pending || !v->store_ok || v->store_went_back; }
static bool repeated(const struct view *v) { return v->candidate_verdict == VERDICT_REPEATED; }
static bool refused(const struct view *v) { return v->candidate_verdict == VERDICT_REFUSE; }
static bool vouching(const struct view *v) { return v->vouching && (v->candidate_kind == KIND_PROMOTE || v->candidate_kind == KIND_ABORT); }
static bool handing_over(const struct view *v) { return site_is_handing_over(v) && v->stop_requested; }
static bool always(const struct view *v) { (void)v; return true; }

const struct rule orders_rules[] = {
    RULE("O01", "none", "no order is waiting", none, WAKE_IDLE, NO_STEP),
    RULE("O02", "not-leader", "an order has come in; the site's leader decides on it", not_leader, WAKE_IDLE, NO_STEP),
    RULE("O03", "store-busy", "an order waits for the store", swap_pending, 20, NO_STEP),
    RULE("O04", "repeated", "the order in force came again: same answer", repeated, WAKE_IDLE, STEP_FORGET, -1),
    RULE("O05", "refused", "the order is refused; the reason stands in the report", refused, WAKE_IDLE, STEP_REFUSE, -1),
    RULE("O06", "vouching", "a voucher to another site still runs: no promotion is accepted until it ends", vouching, WAKE_SOON, NO_STEP),
    /* Second guard: the coordinator orders nothing on top of a stop whose outcome it has not heard. */
    RULE("O07", "handing-over", "a stop is under way: first its receipt, or its end", handing_over, WAKE_MOVING, NO_STEP),
    RULE("O08", "accept", "the order is next, authentic and in force: accepted by one swap", always, WAKE_MOVING, STEP_ACCEPT, -1),
    {.id = NULL},
};
