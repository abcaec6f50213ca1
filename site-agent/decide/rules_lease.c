/* L: who leads this site (protocol, section 1). A taker's wait and a holder's deadline are computed by wire/lease.c;
 * here stands only what follows from them. */
#include "site-agent/decide/decide.h"
#include "site-agent/decide/site.h"

static bool store_unreachable(const struct view *v) { return !v->store_ok; }
static bool store_went_back(const struct view *v) { return v->store_went_back; }
static bool swap_pending(const struct view *v) { return v->swap_pending; }
static bool first_order(const struct view *v) {
    return !v->record && v->candidate && v->candidate_first && v->candidate_verdict == VERDICT_ACCEPT && v->absent_waited;
}
static bool no_record(const struct view *v) { return !v->record; }
static bool renewal_due(const struct view *v) { return v->lease_valid && v->renew_in_ms <= 0; }
static bool holding(const struct view *v) { return v->lease_valid; }
static bool primacy_elsewhere(const struct view *v) { return !v->lease_ours && site_holds_primacy(v) && v->take_in_ms == 0; }
/* Who was open for writes has what it wrote, whatever others have received. */
static bool better_candidate(const struct view *v) {
    return v->take_in_ms == 0 && v->better_candidate && !(site_holds_primacy(v) && v->data == DATA_PRESENT);
}
static bool may_take(const struct view *v) { return v->take_in_ms == 0; }
static bool waiting(const struct view *v) { return v->take_in_ms > 0; }
static bool always(const struct view *v) { (void)v; return true; }

const struct rule lease_rules[] = {
    RULE("L01", "store-unreachable", "the site's store does not answer: the lease runs on, nothing is taken", store_unreachable, 200, NO_STEP),
    RULE_PERSON("L02", "store-went-back", "the store is older than this member's durable marks: no taking and no renewing until the copies are compared", store_went_back, WAKE_IDLE),
    /* Second guard: the embedded store answers before the call returns; one that does not will need it. */
    RULE("L03", "swap-pending", "a swap is under way: its outcome decides", swap_pending, 50, NO_STEP),
    RULE("L04", "first-order", "the site's first order has come and no record was there for a full wait: the site's records are written", first_order, WAKE_SOON, STEP_CREATE_SITE, -1),
    RULE("L05", "no-record", "the site has no records yet: waits for its first order", no_record, WAKE_IDLE, NO_STEP),
    RULE("L06", "renewal-due", "leads the site; a renewal is due", renewal_due, WAKE_IDLE, STEP_RENEW, -1),
    RULE("L07", "holding", "leads the site", holding, WAKE_IDLE, NO_STEP),
    RULE_PERSON("L08", "primacy-elsewhere", "the leader of a site that is open for writes is gone: only it may go on (taking over comes with local high availability)", primacy_elsewhere, WAKE_IDLE),
    RULE("L09", "better-candidate", "may take the lease, but leaves it to another live member, which has data where this one has none, or more WAL", better_candidate, 500, NO_STEP),
    RULE("L10", "may-take", "has watched the record stand still for its full length: takes the lease", may_take, WAKE_SOON, STEP_TAKE, -1),
    RULE("L11", "waiting", "watches whether the leader renews", waiting, WAKE_IDLE, NO_STEP),
    RULE("L12", "not-an-elector", "may not lead: not among the electors yet", always, WAKE_IDLE, NO_STEP),
    {.id = NULL},
};
