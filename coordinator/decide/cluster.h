/* Readings of a view that several tables share. Pure. */
#ifndef COORDINATOR_DECIDE_CLUSTER_H
#define COORDINATOR_DECIDE_CLUSTER_H
#include "coordinator/decide/decide.h"

#define VERIFY_LIMIT_MS 300000  /* a move that is done waits this long for the others to stream */
#define HEAR_LIMIT_MS 10000      /* a move that is overdue waits this long for the target's first word */
#define STILL_LIMIT_MS 60000     /* an operation that does not get on for this long asks a person */
#define STOP_LEAST_MS 3000      /* no stop request with less than this left */
#define LAG_MOVE_MAX (16 << 20) /* bytes that a target may lack when the stop is sent */

struct epoch cluster_epoch(const struct cluster_view *v); /* highest known to have been opened by anybody */
int cluster_primary(const struct cluster_view *v);        /* the site of that epoch; NOBODY */
bool cluster_is_open(const struct cluster_view *v);       /* some epoch was opened */
int cluster_upstream(const struct cluster_view *v, int site); /* whom this site shall follow; NOBODY */
/* Shall site x hold slots for site y: y is, or is about to be, a standby that might stream from x. Slots that are held go
 * only when y says itself that it needs none: a site that was not heard yet may be a standby that is down. */
bool cluster_slot_wanted(const struct cluster_view *v, int x, int y);
bool cluster_owned(const struct cluster_view *v, int site); /* the open operation alone gives it orders */

const struct member_facts *site_leader(const struct site_facts *s);
bool site_speaks(const struct site_facts *s); /* what it says now is the word of its lease's holder */
bool site_streams(const struct site_facts *s);
bool site_slots_stand(const struct site_facts *s); /* on every live member with data */
bool site_hands_over(const struct site_facts *s);  /* holds a stop whose outcome is open */
bool site_has_handed_over(const struct site_facts *s, const struct epoch *epoch);
const struct decline_facts *site_decline(const struct site_facts *s, const struct epoch *epoch);
bool site_waits(const struct site_facts *s);       /* a published order that may still be accepted */
bool site_waits_for(const struct site_facts *s, enum order_kind kind);
bool site_is_refusing(const struct site_facts *s); /* refused, and not tried again yet */

static inline bool epoch_same(const struct epoch *a, const struct epoch *b) { return epoch_compare(a, b) == 0; }
static inline bool epoch_below(const struct epoch *a, const struct epoch *b) { return epoch_compare(a, b) < 0; }

#define SAYS(id_, name_, sentence_) .head = {.id = (id_), .name = (name_), .sentence = (sentence_)}
#define ASKS(id_, name_, sentence_) .head = {.id = (id_), .name = (name_), .sentence = (sentence_), .waits_for_person = true}
#define WAIT(says, test, step_, tell) {says, .applies = (test), .action = ACTION_WAIT, .step = (step_), .about = (tell)}
#define ORDER(says, test, step_, what) {says, .applies = (test), .action = ACTION_ORDER, .step = (step_), .order = (what)}
#define ABORT(says, test, tell) {says, .applies = (test), .action = ACTION_ABORT, .step = -1, .about = (tell)}
#define WAIT_LONG(says, test, step_, tell, overlong_)                                                                  \
    {says, .applies = (test), .action = ACTION_WAIT, .step = (step_), .about = (tell), .overlong = (overlong_)}
#define FINISH(says, test, step_, state, tell)                                                                         \
    {says, .applies = (test), .action = ACTION_FINISH, .step = (step_), .finish = (state), .about = (tell)}
#endif
