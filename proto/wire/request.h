/* An operator's signed request. It stands in the `proofs` of every order of the operation that it asked for, so that a
 * site sees for itself who wanted this and may want it. */
#ifndef WIRE_REQUEST_H
#define WIRE_REQUEST_H
#include "wire/epoch.h"

#define REQUEST_TYPE "application/vnd.pgregent.request.v1+json"
#define OP_ID_MAX 40 /* made by the command: 32 hex digits */
#define REASON_MAX 256
/* X(symbol, verb) : verbs of `keys.operators.*.may`, too */
#define VERBS(X)                                                                                                       \
    X(VERB_APPLY, "apply") X(VERB_SWITCHOVER, "switchover") X(VERB_ABORT, "abort") X(VERB_FAILOVER, "failover")       \
    X(VERB_FENCE, "fence") X(VERB_UNFENCE, "unfence") X(VERB_CONFIRM, "confirm") X(VERB_REINSTATE, "reinstate")       \
    X(VERB_REINIT, "reinit") X(VERB_REMOVE, "remove") X(VERB_KEYS, "keys") X(VERB_BREAK_GLASS, "break_glass")
enum verb {
#define X(symbol, name) symbol,
    VERBS(X)
#undef X
};
extern const char *const verb_names[];
struct request {
    char cluster[NAME_MAX_BYTES];
    char op[OP_ID_MAX];
    int verb;
    char to[NAME_MAX_BYTES]; /* switchover: target site */
    char operator_name[NAME_MAX_BYTES];
    char reason[REASON_MAX];
    int64_t deadline_ms;     /* switchover: abort by itself after this long, before the point of no return */
    bool create;             /* apply --create: initdb is allowed */
    char topology[65];       /* apply: hash of the topology payload it belongs to */
    int64_t issued_at, expires_at; /* wall ms */
};
extern const struct fields request_table;
#endif
