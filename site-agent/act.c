/* Carries out a plan's steps. Each one checks once more, in the same call, what it was planned on: the lease against the
 * clock above all. Steps are idempotent: the next tick plans them again until the view shows their effect. */
#include "rt/clock.h"
#include "site-agent/agent.h"
#include <string.h>

static bool leads_now(const struct agent *a) { return lease_valid(&a->lease, clock_boot_ms()); }

static void refuse_candidate(struct agent *a) {
    struct candidate *c = &a->candidate;
    log_warning("order refused", F_STR("order", c->hash), F_STR("kind", order_kind_names[c->order.kind]), F_STR("reason", c->reason));
    str_copy(a->uplink.refused_hash, sizeof a->uplink.refused_hash, c->hash);
    str_copy(a->uplink.refused_reason, sizeof a->uplink.refused_reason, c->reason);
    c->present = false;
    a->uplink.report_due_ms = 0;
}

static void act_lease(struct agent *a, enum step step) {
    if (a->swap_pending)
        return;
    if (step == STEP_TAKE)
        swap_take(a);
    else if (step == STEP_RENEW)
        swap_renew(a);
    else if (step == STEP_CREATE_SITE)
        swap_create_site(a);
}

/* Swaps of the speaker: only the holder of the site lease changes order, vote record and receipts (2.1). */
static void act_speaker(struct agent *a, enum step step) {
    if (a->swap_pending || !leads_now(a) || a->view.store_went_back)
        return;
    if (step == STEP_ACCEPT)
        swap_accept(a);
    else if (step == STEP_DECLINE)
        swap_decline(a);
    else if (step == STEP_STORE_RECEIPT)
        swap_store_receipt(a);
    else if (step == STEP_DROP_STOP)
        swap_drop_stop(a);
    else if (step == STEP_ASK)
        swap_ask(a);
    else if (step == STEP_OPENED)
        swap_opened(a);
}

static void act_step(struct agent *a, enum step step) {
    switch (step) {
    case STEP_TAKE: case STEP_RENEW: case STEP_CREATE_SITE:
        act_lease(a, step);
        return;
    case STEP_ACCEPT: case STEP_DECLINE: case STEP_STORE_RECEIPT: case STEP_DROP_STOP: case STEP_ASK: case STEP_OPENED:
        act_speaker(a, step);
        return;
    case STEP_REFUSE:
        refuse_candidate(a);
        return;
    case STEP_FORGET:
        a->candidate.present = false;
        return;
    case STEP_INITDB: case STEP_COPY: case STEP_CANCEL_JOB: case STEP_CLEAN_COPY: case STEP_CHECK_ATTACH:
        act_job(a, step);
        return;
    case STEP_CREATE_SLOTS: case STEP_ADVANCE_SLOTS: case STEP_DROP_SLOTS:
        act_slots(a, step);
        return;
    case STEP_ASK_VOUCHERS:
        vouching_ask(a);
        return;
    case STEP_CONFIGURE: case STEP_PUT_SIGNAL: case STEP_START_STANDBY: case STEP_START_PRIMARY: case STEP_STOP:
    case STEP_STOP_ORDERED: case STEP_KILL: case STEP_CHECKPOINT: case STEP_PROMOTE: case STEP_RECORD_LINEAGE:
    case STEP_CREATE_ROLES:
        act_server(a, step);
        return;
    case STEP_COUNT:
        return;
    }
}

/* An order that is accepted makes the rest of the plan old: what was planned under one order is not done under the next. */
void act(struct agent *a, const struct plan *p) {
    char order[HASH_TEXT_MAX];
    str_copy(order, sizeof order, a->records.order_hash);
    for (int concern = 0; concern < CONCERN_COUNT && str_eq(order, a->records.order_hash); concern++)
        for (int i = 0; i < PLAN_STEPS_MAX; i++)
            if (p->rules[concern]->steps[i] >= 0)
                act_step(a, (enum step)p->rules[concern]->steps[i]);
}
