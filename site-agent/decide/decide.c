/* Picks, for each concern, the first rule that applies. Nothing else happens here. */
#include "site-agent/decide/decide.h"

const char *const step_names[STEP_COUNT] = {
#define X(symbol, text) text,
    STEPS(X)
#undef X
};

const struct rule *const rule_tables[CONCERN_COUNT] = {
    [CONCERN_LEASE] = lease_rules,
    [CONCERN_ORDERS] = orders_rules,
    [CONCERN_ROLE] = role_rules,
    [CONCERN_SLOTS] = slots_rules,
};

static const struct rule *first_match(const struct rule *table, const struct view *v) {
    const struct rule *rule = table;
    while (rule[1].id && !rule->applies(v))
        rule++;
    return rule; /* the last rule of a table always applies */
}

static int64_t sooner(int64_t a, int64_t b) { return b < a ? b : a; }

/* A moment ahead that a view names is a moment to look again, whatever the rule says. */
static int64_t sooner_if_ahead(int64_t wake_ms, int64_t moment_ms) { return moment_ms > 0 ? sooner(wake_ms, moment_ms) : wake_ms; }

void decide(const struct view *v, struct plan *out) {
    out->wake_ms = 1000;
    for (int concern = 0; concern < CONCERN_COUNT; concern++) {
        out->rules[concern] = first_match(rule_tables[concern], v);
        out->wake_ms = sooner(out->wake_ms, out->rules[concern]->wake_ms);
    }
    if (v->lease_valid) {
        out->wake_ms = sooner_if_ahead(out->wake_ms, v->renew_in_ms);
        out->wake_ms = sooner_if_ahead(out->wake_ms, v->lease_left_ms - v->stop_time_ms);
    }
    out->wake_ms = sooner_if_ahead(out->wake_ms, v->take_in_ms);
    out->wake_ms = sooner_if_ahead(out->wake_ms, v->stop_left_ms);
    out->wake_ms = sooner_if_ahead(out->wake_ms, v->back_off_ms);
}
