/* Does what was decided: operations and orders change in memory and in the journal's list, nothing else. Whatever is
 * done here is true for others only after the commit. */
#include "coordinator/coordinator.h"
#include "coordinator/decide/cluster.h"
#include "rt/clock.h"
#include "rt/failpoint.h"
#include <stdio.h>

/* ---- the operation's document ---- */

static void say(const struct cluster_plan *p, char *to, size_t size) {
    snprintf(to, size, "%s%s%s%s%s", p->rule->head.sentence, p->about[0] ? ": " : "", p->about, p->overlong ? ". This takes too long: " : "", p->overlong ? p->overlong : "");
}

/* When the target passed the point of no return, and when it opened: seen once, kept. */
static bool note_milestones(struct cluster *cluster, struct operation *o) {
    if (o->kind != OP_SWITCHOVER || !cluster->view.op.open)
        return false;
    const struct site_facts *to = &cluster->view.sites[cluster->view.op.to];
    int64_t now_ms = clock_wall_ms();
    bool asked = !o->no_return_at && epoch_compare(&to->asked, &o->next) >= 0, moved = !o->moved_at && epoch_compare(&to->opened, &o->next) >= 0;
    if (asked)
        o->no_return_at = now_ms;
    if (moved) {
        o->moved_at = now_ms;
        o->opened = to->opened;
    }
    if ((asked || moved) && o->abort)
        operation_go_on(o);
    return asked || moved;
}

/* Old primary refuses writes -> new primary accepts them, as the two signed receipts tell. */
static bool note_gap(const struct cluster *cluster, struct operation *o) {
    const struct held_receipt *stopped = cluster_receipt(cluster, RECEIPT_STOPPED, &o->epoch);
    const struct held_receipt *opened = epoch_is_zero(&o->opened) ? NULL : cluster_receipt(cluster, RECEIPT_OPENED, &o->opened);
    if (!stopped || !opened || o->gap_noted)
        return false;
    o->gap_noted = true;
    o->writes_refused_at = stopped->receipt.writes_refused_at;
    o->writes_accepted_at = opened->receipt.writes_accepted_at;
    return true;
}

static bool note_copy(const struct cluster *cluster, struct operation *o) {
    int64_t done = 0, total = 0;
    int site = cluster_site_index(cluster, o->to);
    const struct report *r = site == NOBODY ? NULL : cluster->sites[site].report;
    for (uint32_t i = 0; o->kind == OP_BOOTSTRAP && r && i < r->member_count; i++)
        if (str_eq(r->members[i].job, "copy") && r->members[i].job_total_bytes > 0) {
            done += r->members[i].job_done_bytes;
            total += r->members[i].job_total_bytes;
        }
    if (!total || (done == o->done_bytes && total == o->total_bytes))
        return false;
    o->done_bytes = done;
    o->total_bytes = total;
    if (done > o->best_bytes) {
        o->best_bytes = done; /* a copy that fails and begins anew does not get on */
        o->got_on_boot_ms = clock_boot_ms();
    }
    return true;
}

static bool set_message(struct operation *o, const struct cluster_plan *p) {
    char message[512];
    int state = p->asks ? OP_WAITING : OP_RUNNING;
    say(p, message, sizeof message);
    if (str_eq(o->message, message) && str_eq(o->rule, p->rule->head.id) && o->state == state)
        return false;
    str_copy(o->message, sizeof o->message, message);
    str_copy(o->rule, sizeof o->rule, p->rule->head.id);
    o->asks = p->asks;
    o->state = state;
    return true;
}

static void update_operation(struct coordinator *c, struct cluster *cluster, struct operation *o) {
    const struct cluster_plan *p = &cluster->plan;
    char before[32];
    str_copy(before, sizeof before, operation_step_name(o));
    bool reached = note_milestones(cluster, o);
    bool stepped = p->rule->step >= 0 && operation_advance(o, (enum op_step)p->rule->step, clock_wall_ms());
    bool changed = reached || stepped;
    if (changed)
        o->got_on_boot_ms = clock_boot_ms();
    changed |= note_gap(cluster, o);
    changed |= note_copy(cluster, o);
    changed |= set_message(o, p);
    if (stepped)
        note(c, cluster, c->config.name, "step", o->to, o->id, p->rule->head.id, "", "%s -> %s", before, operation_step_name(o));
    if (changed)
        journal_operation(c, cluster, o);
}

/* ---- actions ---- */

static void start_bootstrap(struct coordinator *c, struct cluster *cluster) {
    struct operation *o = cluster_add_operation(cluster);
    unsigned char random[16];
    clock_random(random, sizeof random);
    str_hex(o->id, random, sizeof random);
    o->kind = OP_BOOTSTRAP;
    o->started_at = clock_wall_ms();
    str_copy(o->to, sizeof o->to, cluster->sites[cluster->plan.start].name);
    operation_plan_steps(o);
    note(c, cluster, c->config.name, "operation started", o->to, o->id, cluster->plan.rule->head.id, "", "bootstrap %s", o->to);
    journal_operation(c, cluster, o);
}

static void take_back(struct coordinator *c, struct cluster *cluster, struct operation *o) {
    o->abort = true;
    say(&cluster->plan, o->abort_reason, sizeof o->abort_reason);
    operation_advance(o, OP_ABORT, clock_wall_ms());
    note(c, cluster, c->config.name, "operation taken back", o->to, o->id, cluster->plan.rule->head.id, "", "%s", o->abort_reason);
    journal_operation(c, cluster, o);
}

/* Orders that only this operation wanted, and that nobody has accepted, go with it. */
static void withdraw_orders(struct coordinator *c, struct cluster *cluster, const struct operation *o) {
    for (uint32_t i = 0; i < cluster->site_count; i++)
        if (cluster->sites[i].pending.present && str_eq(cluster->sites[i].pending.order.op, o->id))
            order_withdraw(c, cluster, &cluster->sites[i]);
}

static void finish(struct coordinator *c, struct cluster *cluster, struct operation *o) {
    const struct cluster_plan *p = &cluster->plan;
    update_operation(c, cluster, o);
    operation_finish(o, (enum op_state)p->rule->finish, clock_wall_ms());
    if (o->abort_reason[0] && p->rule->finish == OP_ABORTED)
        str_copy(o->message, sizeof o->message, o->abort_reason);
    withdraw_orders(c, cluster, o);
    note(c, cluster, c->config.name, "operation finished", o->to, o->id, p->rule->head.id, "", "%s %s: %s", op_kind_names[o->kind], op_state_names[o->state], o->message);
    journal_operation(c, cluster, o);
    FAILPOINT("operation-finished");
}

static bool act_on_cluster(struct coordinator *c, struct cluster *cluster) {
    const struct cluster_plan *p = &cluster->plan;
    struct operation *o = cluster->view.op.open ? cluster_open_operation(cluster) : NULL;
    if (o && p->rule->action != ACTION_FINISH && !cluster->view.outranked && !cluster->view.behind)
        update_operation(c, cluster, o);
    switch ((enum action)p->rule->action) {
    case ACTION_WAIT:
        return false;
    case ACTION_ORDER:
        order_issue(c, cluster, &p->order, p->rule->head.id);
        return true;
    case ACTION_START:
        start_bootstrap(c, cluster);
        return true;
    case ACTION_ABORT:
        take_back(c, cluster, o);
        return true;
    case ACTION_FINISH:
        finish(c, cluster, o);
        return true;
    }
    return false;
}

static void log_rules(struct cluster *cluster) {
    const struct cluster_plan *p = &cluster->plan;
    char says[512];
    say(p, says, sizeof says);
    if (cluster->shown != p->rule)
        log_info(says, F_STR("cluster", cluster->name), F_STR("rule", p->rule->head.id), F_STR("name", p->rule->head.name));
    cluster->shown = p->rule;
    for (uint32_t i = 0; i < cluster->site_count; i++) {
        struct site *s = &cluster->sites[i];
        if (s->shown != p->sites[i])
            log_info(p->sites[i]->head.sentence, F_STR("cluster", cluster->name), F_STR("site", s->name), F_STR("rule", p->sites[i]->head.id), F_STR("name", p->sites[i]->head.name));
        s->shown = p->sites[i];
    }
}

bool cluster_act(struct coordinator *c, struct cluster *cluster) {
    log_rules(cluster);
    bool acted = act_on_cluster(c, cluster);
    if (acted)
        return true; /* what the sites shall hold may look different now */
    for (uint32_t i = 0; i < cluster->site_count; i++)
        if (cluster->plan.sites[i]->order) {
            order_issue(c, cluster, &cluster->plan.site_orders[i], cluster->plan.sites[i]->head.id);
            acted = true;
        }
    return acted;
}
