/* coordinator_decide(view) -> plan: what happens next to a cluster, and why. Pure: no clock, no allocation, no I/O
 * (checked by the linker's symbol table). Two kinds of rules; in each table the first that applies speaks, once a call:
 *   the cluster's: one rule, from the table of the open operation (or of no operation)
 *   each site's:   one rule a site: what it shall hold while no operation says otherwise
 * All of it is levels: a plan follows from reports and journal alone, so whoever restarts between two steps goes on. */
#ifndef COORDINATOR_DECIDE_DECIDE_H
#define COORDINATOR_DECIDE_DECIDE_H
#include "coordinator/decide/view.h"

/* X(symbol, text, what the shell does) */
#define ACTIONS(X)                                                                                                     \
    X(ACTION_WAIT, "wait")     /* for reports */                                                                      \
    X(ACTION_ORDER, "order")   /* sign, journal and publish plan.order */                                             \
    X(ACTION_START, "start")   /* open the operation plan.start */                                                    \
    X(ACTION_ABORT, "abort")   /* journal that the operation shall be taken back, with the reason */                  \
    X(ACTION_FINISH, "finish") /* close the operation as rule->finish */
enum action {
#define X(symbol, text) symbol,
    ACTIONS(X)
#undef X
};
extern const char *const action_names[];

/* Which documents stand in an order's proofs, as bits. */
enum order_proof { PROVE_REQUEST = 1, PROVE_STOPPED = 2, PROVE_DECLINED = 4, PROVE_OPENED = 8 };

/* What an order shall say; serial, base, slots, members and timelines are filled in by the shell. */
struct order_intent {
    int site, kind, role;
    struct epoch epoch, successor;
    int upstream;          /* NOBODY: none */
    bool target, checkpoint, of_operation;
    int64_t deadline_ms;   /* stop */
    unsigned proofs;       /* enum order_proof */
};

/* What every rule has: identity, sentence, and whether it waits for a person. */
struct rule_head {
    const char *id, *name;
    const char *sentence;  /* for people: what holds and what is done or waited for */
    bool waits_for_person;
};
typedef void rule_order(const struct cluster_view *v, struct order_intent *o);
typedef void rule_about(const struct cluster_view *v, char *to, size_t size);
struct cluster_rule {
    struct rule_head head;
    bool (*applies)(const struct cluster_view *v);
    int action;
    int step;              /* of the operation that is under way while this holds; -1: none */
    int finish;            /* enum op_state */
    rule_order *order;     /* ACTION_ORDER */
    rule_about *about;     /* who or what exactly; NULL: the sentence says it all */
    const char *overlong;  /* ACTION_WAIT: what a person is told when this takes too long; NULL: it ends by itself */
};
struct site_rule {
    struct rule_head head;
    bool (*applies)(const struct cluster_view *v, int site);
    void (*order)(const struct cluster_view *v, int site, struct order_intent *o); /* NULL: nothing is ordered */
};
extern const struct cluster_rule idle_rules[], create_rules[], bootstrap_rules[], switchover_rules[];
int idle_newcomer(const struct cluster_view *v); /* the site to be built next; NOBODY */
extern const struct site_rule site_rules[]; /* each table ends with id NULL; its last rule always applies */
struct rule_table {
    const char *name;
    const struct cluster_rule *rules;
};
extern const struct rule_table cluster_tables[]; /* all of them, ends with NULL */

struct cluster_plan {
    const struct cluster_rule *rule;
    char about[160];
    bool asks;                                  /* it waits for a person */
    const char *overlong;                       /* the rule's, when it has taken too long; else NULL */
    struct order_intent order;                  /* if rule->action is ACTION_ORDER */
    int start;                                  /* ACTION_START: the site to bootstrap */
    const struct site_rule *sites[SITES_MAX];
    struct order_intent site_orders[SITES_MAX]; /* where sites[i]->order is not NULL */
};
void coordinator_decide(const struct cluster_view *v, struct cluster_plan *out);

/* Checks before a planned move: those that fail, with evidence. */
struct move_check {
    const char *id, *sentence, *cure;
    bool (*fails)(const struct cluster_view *v, int to);
    void (*about)(const struct cluster_view *v, int to, char *out, size_t size);
};
extern const struct move_check move_checks[]; /* ends with id NULL */
/* First failing check for a move to that site, NULL when it would work right now. */
const struct move_check *move_refusal(const struct cluster_view *v, int to);
#endif
