/* Picks the first rule that applies, for the cluster and for each site. Nothing else happens here. */
#include "coordinator/decide/decide.h"
#include "coordinator/decide/cluster.h"
#include <string.h>

const char *const op_kind_names[] = {
#define X(symbol, text) text,
    OP_KINDS(X)
#undef X
    NULL};
const char *const op_state_names[] = {
#define X(symbol, text) text,
    OP_STATES(X)
#undef X
    NULL};
const char *const op_step_names[] = {
#define X(symbol, text) text,
    OP_STEPS(X)
#undef X
    NULL};
const char *const action_names[] = {
#define X(symbol, text) text,
    ACTIONS(X)
#undef X
    NULL};

const struct rule_table cluster_tables[] = {
    {"no operation", idle_rules}, {"create", create_rules}, {"bootstrap", bootstrap_rules}, {"switchover", switchover_rules}, {NULL, NULL}};

static const struct cluster_rule *table_for(const struct cluster_view *v) {
    if (!v->op.open || v->outranked || v->behind) return idle_rules;
    switch ((enum op_kind)v->op.kind) {
    case OP_CREATE:
        return create_rules;
    case OP_BOOTSTRAP:
        return bootstrap_rules;
    case OP_SWITCHOVER:
        return switchover_rules;
    }
    return idle_rules;
}

static const struct order_intent no_order = {.upstream = NOBODY};

/* A wait without an end is a question, too. After a deadline less patience is due. */
static bool is_overlong(const struct op_facts *op) {
    return op->open && op->still_ms > (op->left_ms < -HEAR_LIMIT_MS ? HEAR_LIMIT_MS : STILL_LIMIT_MS);
}

static void decide_cluster(const struct cluster_view *v, struct cluster_plan *out) {
    const struct cluster_rule *rule = table_for(v);
    while (rule[1].head.id && !rule->applies(v)) rule++; /* the last rule of a table always applies */
    out->rule = rule;
    out->order = no_order;
    out->start = rule->action == ACTION_START ? idle_newcomer(v) : NOBODY;
    out->about[0] = '\0';
    out->overlong = is_overlong(&v->op) ? rule->overlong : NULL;
    out->asks = (rule->head.waits_for_person && !v->young) || out->overlong;
    if (rule->order) rule->order(v, &out->order);
    if (rule->about) rule->about(v, out->about, sizeof out->about);
}

static void decide_site(const struct cluster_view *v, int site, struct cluster_plan *out) {
    const struct site_rule *rule = site_rules;
    while (rule[1].head.id && !rule->applies(v, site)) rule++;
    out->sites[site] = rule;
    out->site_orders[site] = no_order;
    if (rule->order) rule->order(v, site, &out->site_orders[site]);
}

void coordinator_decide(const struct cluster_view *v, struct cluster_plan *out) {
    memset(out, 0, sizeof *out);
    decide_cluster(v, out);
    for (uint32_t i = 0; i < v->site_count; i++) decide_site(v, (int)i, out);
}
