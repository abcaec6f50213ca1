/* decide(view) -> plan: what one member does next, and why. Pure: no clock, no randomness, no allocation, no I/O
 * (checked by the linker's symbol table). Four tables, one per concern; in each the first rule that matches speaks,
 * once per call:
 *   L  the site lease      O  orders that come in      R  PostgreSQL's role      S  replication slots
 * The same archive runs in the agent, in the golden scenarios, in the sweep and in the simulator. */
#ifndef DECIDE_DECIDE_H
#define DECIDE_DECIDE_H
#include "site-agent/decide/view.h"
#include <stddef.h>

/* X(symbol, text, what the shell does). Each is idempotent, and re-checks lease and epoch right before its effect. */
#define STEPS(X)                                                                                                       \
    X(STEP_TAKE, "take the site lease")                                                                                \
    X(STEP_RENEW, "renew the site lease")                                                                              \
    X(STEP_CREATE_SITE, "write the site's first records")                                                              \
    X(STEP_ACCEPT, "accept the order")                                                                                 \
    X(STEP_REFUSE, "refuse the order")                                                                                 \
    X(STEP_FORGET, "drop the repeated order")                                                                          \
    X(STEP_DECLINE, "decline the epoch")                                                                               \
    X(STEP_INITDB, "run initdb")                                                                                       \
    X(STEP_COPY, "copy from the source")                                                                               \
    X(STEP_CANCEL_JOB, "cancel the job")                                                                               \
    X(STEP_CLEAN_COPY, "remove the unfinished copy")                                                                   \
    X(STEP_CHECK_ATTACH, "compare local WAL with the source")                                                          \
    X(STEP_CONFIGURE, "write the configuration and reload")                                                            \
    X(STEP_PUT_SIGNAL, "put standby.signal back")                                                                      \
    X(STEP_START_STANDBY, "start in recovery")                                                                         \
    X(STEP_START_PRIMARY, "start as primary")                                                                          \
    X(STEP_STOP, "fast stop")                                                                                          \
    X(STEP_STOP_ORDERED, "fast stop for the hand-over")                                                                \
    X(STEP_KILL, "kill every process")                                                                                 \
    X(STEP_CHECKPOINT, "checkpoint")                                                                                   \
    X(STEP_STORE_RECEIPT, "store the receipt")                                                                         \
    X(STEP_DROP_STOP, "drop the stop request")                                                                         \
    X(STEP_ASK, "write asked")                                                                                         \
    X(STEP_PROMOTE, "promote")                                                                                         \
    X(STEP_RECORD_LINEAGE, "record the lineage")                                                                       \
    X(STEP_CREATE_ROLES, "create the database roles")                                                                  \
    X(STEP_OPENED, "record that the epoch is open")                                                                    \
    X(STEP_ASK_VOUCHERS, "ask the other sites for vouchers")                                                           \
    X(STEP_CREATE_SLOTS, "create the missing slots")                                                                   \
    X(STEP_ADVANCE_SLOTS, "advance the slots")                                                                         \
    X(STEP_DROP_SLOTS, "drop slots that nobody needs")
enum step {
#define X(symbol, text) symbol,
    STEPS(X)
#undef X
    STEP_COUNT
};
extern const char *const step_names[STEP_COUNT];

#define PLAN_STEPS_MAX 2 /* per rule */
struct rule {
    const char *id;       /* "R07" */
    const char *name;     /* "lease-running-out" */
    const char *sentence; /* for people: what holds and what is done or waited for */
    bool (*applies)(const struct view *v);
    int steps[PLAN_STEPS_MAX]; /* enum step, -1: none */
    int64_t wake_ms;      /* look again after this long at the latest */
    bool waits_for_person;
};
enum concern { CONCERN_LEASE, CONCERN_ORDERS, CONCERN_ROLE, CONCERN_SLOTS, CONCERN_COUNT };
struct plan {
    const struct rule *rules[CONCERN_COUNT]; /* never NULL: each table ends with a rule that always applies */
    int64_t wake_ms;
};
extern const struct rule lease_rules[], orders_rules[], role_rules[], slots_rules[]; /* each ends with id NULL */
extern const struct rule *const rule_tables[CONCERN_COUNT];

void decide(const struct view *v, struct plan *out);
#endif
