/* May this site accept this order? (protocol 3.2 to 3.8, and 2.6 for unforced moves) Pure: signatures, rights and the
 * operator's request were proved by verify.h before; the swap that stores the order comes after. A voucher that runs
 * (2.8b) and what the target has replayed (2.5a) are for the site agent to check. Forced moves, break-glass and
 * automatic mode are refused by name: they are not built. */
#include "wire/order.h"
#include <stdio.h>
#include <string.h>

struct judge {
    const struct site_state *held;
    const struct order *o;
    const struct proofs *proofs;
    int64_t now_wall_ms;
    struct epoch opened; /* highest that this site knows to have been opened, by its record or by the proofs */
    struct epoch open;   /* the same, or what it asked for itself: `asked` counts as open (2.6f) */
    char *reason;
    size_t size;
};
typedef bool check(struct judge *j);
#define REFUSE(j, ...) (snprintf((j)->reason, (j)->size, __VA_ARGS__), false)

struct text {
    char at[EPOCH_TEXT_MAX];
};
static struct text text_of(const struct epoch *e) {
    struct text t;
    epoch_format(e, t.at);
    if (!t.at[0]) memcpy(t.at, "none", sizeof "none");
    return t;
}

static void raise_to(struct epoch *highest, const struct epoch *e) {
    if (epoch_compare(e, highest) > 0) *highest = *e;
}

/* Who signs that he opened, or stopped, in an epoch proves that it was opened. */
static void find_highest(struct judge *j) {
    j->opened = j->held->vote.opened;
    raise_to(&j->opened, &j->held->vote.known_opened);
    for (uint32_t i = 0; i < j->proofs->receipt_count; i++)
        if (j->proofs->receipts[i].kind != RECEIPT_DECLINED) raise_to(&j->opened, &j->proofs->receipts[i].epoch);
    j->open = j->opened;
    raise_to(&j->open, &j->held->vote.asked);
}

static bool is_declined_here(const struct judge *j, const struct epoch *e) {
    return vote_find_decline(&j->held->vote, e) != NULL;
}

/* The role that the held order leaves, after this site dropped or declined what it asked for. */
static enum site_role role_in_force(const struct judge *j) {
    const struct order *held = &j->held->order;
    if (held->kind == ORDER_STOP && j->held->stop_dropped) return SITE_PRIMARY;
    if (held->role != SITE_PRIMARY || !is_declined_here(j, &held->epoch)) return (enum site_role)held->role;
    return held->kind == ORDER_PROMOTE ? SITE_STANDBY : SITE_STOPPED;
}

/* --- what holds for every order --- */

static bool is_for_this_site(struct judge *j) {
    const struct site_state *held = j->held;
    if (strcmp(j->o->cluster, held->cluster) != 0)
        return REFUSE(j, "3.1 order for cluster %s, this is %s", j->o->cluster, held->cluster);
    if (strcmp(j->o->site, held->site) != 0) return REFUSE(j, "3.1 order for site %s, this is %s", j->o->site, held->site);
    if (epoch_is_zero(&j->o->epoch)) return REFUSE(j, "3.1 order for %s names no epoch", held->site);
    return true;
}

static bool term_is_not_below(struct judge *j) {
    const struct site_state *held = j->held;
    long long term = (long long)j->o->coordinator_term, highest = (long long)held->coordinator_term;
    if (term < highest)
        return REFUSE(j, "3.3 coordinator term %lld of %s is below %lld of %s", term, j->o->coordinator, highest, held->coordinator);
    if (term == highest && strcmp(j->o->coordinator, held->coordinator) != 0)
        return REFUSE(j, "3.3 coordinator term %lld belongs to %s, not to %s", term, held->coordinator, j->o->coordinator);
    return true;
}

static bool replaces_what_is_held(struct judge *j) {
    long long serial = (long long)j->o->serial, held = (long long)j->held->order.serial;
    if (strcmp(j->o->base, "any") == 0) return REFUSE(j, "3.6 base any (break-glass) is not built yet");
    if (!j->held->has_order) {
        if (strcmp(j->o->base, "none") == 0 && serial == 1) return true;
        return REFUSE(j, "3.8 a site's first order has base none and serial 1, not base %.12s and serial %lld", j->o->base, serial);
    }
    if (strcmp(j->o->base, j->held->order_hash) != 0)
        return REFUSE(j, "3.2 base %.12s is not the order held here, %.12s", j->o->base, j->held->order_hash);
    if (serial - 1 != held) return REFUSE(j, "3.2 serial %lld does not follow %lld", serial, held);
    return true;
}

static bool is_decline(const struct order *o) {
    return o->kind == ORDER_ABORT && o->role == SITE_STANDBY;
}

static bool epoch_is_not_lower(struct judge *j) {
    const struct epoch *e = &j->o->epoch;
    const struct vote *vote = &j->held->vote;
    if (j->held->has_order && epoch_compare(e, &j->held->order.epoch) < 0)
        return REFUSE(j, "3.2 epoch %s is below %s of the order held here", text_of(e).at, text_of(&j->held->order.epoch).at);
    if (is_decline(j->o)) return true; /* burning an epoch is allowed below what was promised, too (2.5d) */
    if (epoch_compare(e, &vote->promised) < 0)
        return REFUSE(j, "2.1 epoch %s is below the promised %s", text_of(e).at, text_of(&vote->promised).at);
    if (epoch_compare(e, &j->opened) < 0)
        return REFUSE(j, "2.2 epoch %s is below %s, which was opened", text_of(e).at, text_of(&j->opened).at);
    return true;
}

/* A decline and a giving back finish what was begun; they start nothing, so they do not grow old (3.5). */
static bool has_not_expired(struct judge *j) {
    if (j->o->kind == ORDER_ABORT) return true;
    if (j->now_wall_ms < j->o->expires) return true;
    return REFUSE(j, "3.5 expired at %lld, now %lld (ms since 1970)", (long long)j->o->expires, (long long)j->now_wall_ms);
}

static bool names_our_system(struct judge *j) {
    const char *ours = j->held->system_id[0] ? j->held->system_id : j->held->order.system_id, *named = j->o->system_id;
    if (j->o->kind == ORDER_BIRTH) {
        if (!named[0]) return true;
        return REFUSE(j, "3.8 a birth order names no system identifier, this one names %s", named);
    }
    if (!named[0]) return REFUSE(j, "3.8 only a birth order names no system identifier, this is %s", order_kind_names[j->o->kind]);
    if (ours[0] && strcmp(named, ours) != 0) return REFUSE(j, "3.8 order for system %s, this is %s", named, ours);
    return true;
}

static bool is_step_of_an_operation(enum order_kind kind) {
    return kind == ORDER_BIRTH || kind == ORDER_STOP || kind == ORDER_PROMOTE || kind == ORDER_ABORT;
}

/* The epoch whose opening, or whose decline here, ends the held order. */
static const struct epoch *aim_of(const struct order *held) {
    return held->kind == ORDER_STOP ? &held->successor : &held->epoch;
}

/* An operation is open at a site from the first order that changes who writes until that was done, dropped, declined,
 * or is outranked by a generation. Preparing, copying and following change nothing for others. */
static bool operation_is_open(const struct judge *j) {
    const struct order *held = &j->held->order;
    if (!j->held->has_order || !is_step_of_an_operation((enum order_kind)held->kind)) return false;
    if (held->kind == ORDER_STOP && j->held->stop_dropped) return false;
    if (is_declined_here(j, aim_of(held)) || epoch_compare(&j->opened, aim_of(held)) >= 0) return false;
    return j->o->epoch.generation <= held->epoch.generation;
}

static bool is_of_the_open_operation(struct judge *j) {
    const struct order *held = &j->held->order;
    if (is_step_of_an_operation((enum order_kind)j->o->kind) && !j->o->op[0])
        return REFUSE(j, "3.4 a %s order names its operation, this one names none", order_kind_names[j->o->kind]);
    if (!operation_is_open(j) || strcmp(j->o->op, held->op) == 0) return true;
    return REFUSE(j, "3.4 operation %s is open here (%s %s), %s must wait", held->op, order_kind_names[held->kind],
                  text_of(aim_of(held)).at, j->o->op[0] ? j->o->op : "another");
}

static enum site_role role_wanted(const struct judge *j) {
    switch ((enum order_kind)j->o->kind) {
    case ORDER_BIRTH:
    case ORDER_PROMOTE:
        return SITE_PRIMARY;
    case ORDER_STANDBY:
    case ORDER_FOLLOW:
        return SITE_STANDBY;
    case ORDER_STOP:
        return SITE_STOPPED;
    case ORDER_PREPARE:
        return role_in_force(j);
    case ORDER_ABORT:
        break;
    }
    return is_decline(j->o) ? SITE_STANDBY : SITE_PRIMARY;
}

static bool role_fits_kind(struct judge *j) {
    enum site_role wanted = role_wanted(j);
    if (j->o->role == (int)wanted) return true;
    return REFUSE(j, "3.1 %s here has role %s, not %s", order_kind_names[j->o->kind], site_role_names[wanted],
                  site_role_names[j->o->role]);
}

/* --- what holds for one kind --- */

static bool may_be_born(struct judge *j) {
    const struct epoch *e = &j->o->epoch;
    if (j->held->has_order) return REFUSE(j, "3.8 birth is a site's first order, here serial %lld is held", (long long)j->held->order.serial);
    if (e->generation != 1 || e->step != 0 || strcmp(e->site, j->held->site) != 0)
        return REFUSE(j, "3.8 the epoch of a birth is 1.0@%s, not %s", j->held->site, text_of(e).at);
    if (!epoch_is_zero(&j->open)) return REFUSE(j, "3.8 %s was opened: the cluster was born before", text_of(&j->open).at);
    if (!j->held->may_be_born)
        return REFUSE(j, "3.8 %s may not be born: not the topology's initial_primary, or a member holds data", j->held->site);
    return true;
}

static bool names_another_primary(struct judge *j) {
    const char *here = j->held->site;
    if (strcmp(j->o->epoch.site, here) == 0)
        return REFUSE(j, "2.1 epoch %s makes %s the primary, not a standby", text_of(&j->o->epoch).at, here);
    if (strcmp(j->o->upstream_site, here) == 0) return REFUSE(j, "3.1 upstream %s is the site %s itself", j->o->upstream_site, here);
    return true;
}

static bool may_become_standby(struct judge *j) {
    if (j->held->has_order)
        return REFUSE(j, "3.8 a standby order is a site's first, here serial %lld is held", (long long)j->held->order.serial);
    return names_another_primary(j);
}

static bool may_follow(struct judge *j) {
    const struct vote *vote = &j->held->vote;
    struct epoch own = vote->opened;
    raise_to(&own, &vote->asked);
    if (role_in_force(j) == SITE_PRIMARY && !epoch_is_zero(&own) && epoch_compare(&own, &j->open) == 0)
        return REFUSE(j, "2.5 %s is open or asked for here, a primary follows %s only after its stop", text_of(&own).at,
                      text_of(&j->o->epoch).at);
    return names_another_primary(j);
}

/* A promotion that is under way is not turned into a role that needs no proof. */
static bool may_prepare(struct judge *j) {
    const struct epoch *own = &j->held->vote.opened;
    if (j->o->role != SITE_PRIMARY || (!epoch_is_zero(own) && epoch_compare(own, &j->open) == 0)) return true;
    return REFUSE(j, "3.7 prepare keeps a primary that is open: highest opened here %s, known %s", text_of(own).at, text_of(&j->open).at);
}

/* An old request moves nobody a second time. It starts nothing once it has expired; what it started may take the time
 * that it gives for the move (3.5). */
static bool request_is_fresh(struct judge *j) {
    const struct request *r = &j->proofs->request;
    if (!j->proofs->has_request || j->now_wall_ms < r->expires_at + r->deadline_ms) return true;
    return REFUSE(j, "3.5 the request of %s expired at %lld, now %lld (ms since 1970)", r->operator_name, (long long)r->expires_at, (long long)j->now_wall_ms);
}

/* A move to `e` that closes what is open: 2.6c, 2.6d, and what is not built. */
static bool is_unforced_move(struct judge *j, const struct epoch *e) {
    const struct vote *vote = &j->held->vote;
    if (vote->mode != VOTE_MANUAL) return REFUSE(j, "2.3 moves in automatic mode are not built yet, only in manual");
    if (epoch_is_zero(&j->open)) return REFUSE(j, "2.6 no opened epoch is known here that %s could close", text_of(e).at);
    if (e->generation != j->open.generation)
        return REFUSE(j, "2.6c generation of %s is not that of %s: a forced move, not built yet", text_of(e).at, text_of(&j->open).at);
    if (epoch_compare(e, &j->open) <= 0)
        return REFUSE(j, "2.1 epoch %s is not above %s, which was opened or asked for", text_of(e).at, text_of(&j->open).at);
    if (epoch_compare(&vote->promised_to, &j->opened) > 0)
        return REFUSE(j, "2.6d %s was promised to another site, above %s, the highest opened", text_of(&vote->promised_to).at,
                      text_of(&j->opened).at);
    if (is_declined_here(j, e)) return REFUSE(j, "2.5d %s was declined at %s and is burnt", text_of(e).at, j->held->site);
    return true;
}

static bool may_stop(struct judge *j) {
    const struct epoch *own = &j->held->vote.opened, *e = &j->o->epoch, *successor = &j->o->successor;
    if (epoch_compare(own, &j->open) != 0)
        return REFUSE(j, "2.5 the primary stops: %s is open, highest opened here %s", text_of(&j->open).at, text_of(own).at);
    if (role_in_force(j) != SITE_PRIMARY)
        return REFUSE(j, "2.5 the primary stops: role here is %s, not primary", site_role_names[role_in_force(j)]);
    if (epoch_compare(e, own) != 0) return REFUSE(j, "2.5b stop in %s, open here is %s", text_of(e).at, text_of(own).at);
    if (epoch_is_zero(successor)) return REFUSE(j, "2.5b stop in %s names no successor", text_of(e).at);
    if (strcmp(successor->site, j->held->site) == 0)
        return REFUSE(j, "2.5b successor %s is of %s itself, a receipt passes to another site", text_of(successor).at, j->held->site);
    return request_is_fresh(j) && is_unforced_move(j, successor);
}

/* What opening for writes needs, be it the target's or the old site's again. */
static bool may_open(struct judge *j, const struct receipt **stopped) {
    const struct epoch *e = &j->o->epoch, *promised = &j->held->vote.promised;
    if (!is_unforced_move(j, e)) return false;
    if (strcmp(e->site, j->held->site) != 0) return REFUSE(j, "2.1 epoch %s names its one site, this is %s", text_of(e).at, j->held->site);
    if (epoch_compare(e, promised) <= 0)
        return REFUSE(j, "2.6 epoch %s is not above the promised %s", text_of(e).at, text_of(promised).at);
    if (!promotion_is_closed(&j->open, e, j->proofs, stopped, j->reason, j->size)) return false;
    if (strcmp((*stopped)->system_id, j->o->system_id) != 0)
        return REFUSE(j, "2.5b receipt of system %s, order for %s", (*stopped)->system_id, j->o->system_id);
    return true;
}

static bool may_promote(struct judge *j) {
    const struct receipt *stopped = NULL;
    return may_open(j, &stopped);
}

/* The old site again: its own stop, and the target's decline that hands its receipt back (2.5c). */
static bool may_open_again(struct judge *j) {
    const struct receipt *stopped = NULL;
    if (!epoch_is_zero(&j->open) && strcmp(j->open.site, j->held->site) != 0)
        return REFUSE(j, "2.5c an abort opens the old site again: %s is open, this is %s", text_of(&j->open).at, j->held->site);
    if (!may_open(j, &stopped)) return false;
    if (epoch_compare(&stopped->successor, &j->o->epoch) == 0)
        return REFUSE(j, "2.5c an abort cites the target's decline, this receipt passes to %s directly", text_of(&j->o->epoch).at);
    return true;
}

/* The target gives its epoch up (2.5d). */
static bool may_decline(struct judge *j) {
    const struct epoch *e = &j->o->epoch, *next = &j->o->successor;
    const struct vote *vote = &j->held->vote;
    const struct vote_decline *before = vote_find_decline(vote, e);
    if (strcmp(e->site, j->held->site) != 0) return REFUSE(j, "2.5d %s is not for %s to decline", text_of(e).at, j->held->site);
    if (epoch_compare(&vote->asked, e) == 0) return REFUSE(j, "2.5d %s was asked for here: only forward", text_of(e).at);
    if (epoch_compare(e, &vote->opened) <= 0)
        return REFUSE(j, "2.5d decline of %s, %s was opened here", text_of(e).at, text_of(&vote->opened).at);
    if (before && epoch_compare(&before->next, next) != 0)
        return REFUSE(j, "2.5d the decline of %s passes to %s already, not to %s", text_of(e).at, text_of(&before->next).at, text_of(next).at);
    if (next->generation != e->generation || epoch_compare(next, e) <= 0)
        return REFUSE(j, "2.5d a decline of %s passes to a higher epoch of its generation, not to %s", text_of(e).at, text_of(next).at);
    return true;
}

static bool may_abort(struct judge *j) {
    return is_decline(j->o) ? may_decline(j) : may_open_again(j);
}

static check *check_of(enum order_kind kind) {
    switch (kind) {
    case ORDER_BIRTH:
        return may_be_born;
    case ORDER_STANDBY:
        return may_become_standby;
    case ORDER_PREPARE:
        return may_prepare;
    case ORDER_STOP:
        return may_stop;
    case ORDER_PROMOTE:
        return may_promote;
    case ORDER_FOLLOW:
        return may_follow;
    case ORDER_ABORT:
        return may_abort;
    }
    return NULL;
}

static bool first_is_birth_or_standby(struct judge *j) {
    if (j->held->has_order || j->o->kind == ORDER_BIRTH || j->o->kind == ORDER_STANDBY) return true;
    return REFUSE(j, "3.8 a site's first order is birth or standby, not %s", order_kind_names[j->o->kind]);
}

static bool fits(struct judge *j) {
    static check *const for_all[] = {is_for_this_site,  term_is_not_below, replaces_what_is_held,    has_not_expired,
                                     epoch_is_not_lower, names_our_system,  is_of_the_open_operation, first_is_birth_or_standby,
                                     role_fits_kind};
    for (size_t i = 0; i < sizeof for_all / sizeof for_all[0]; i++)
        if (!for_all[i](j)) return false;
    return check_of((enum order_kind)j->o->kind)(j);
}

enum order_verdict order_judge(const struct site_state *held, const struct order *o, const char *hash, const struct proofs *proofs,
                               int64_t now_wall_ms, char *reason, size_t reason_size) {
    if (reason_size > 0) reason[0] = '\0';
    if (held->has_order && strcmp(hash, held->order_hash) == 0) return ORDER_REPEATED;
    struct judge j = {.held = held, .o = o, .proofs = proofs, .now_wall_ms = now_wall_ms, .reason = reason, .size = reason_size};
    find_highest(&j);
    return fits(&j) ? ORDER_ACCEPT : ORDER_REFUSE;
}
