/* Between the parts of the invariants: what holds always (invariants.c) and what must come to hold (convergence.c). */
#ifndef SIM_INVARIANTS_H
#define SIM_INVARIANTS_H
#include "tests/sim/world.h"
#include "wire/epoch.h"

struct envelope;
bool invariants_is_excused(const struct host *h);
bool invariants_was_put_back(int site);
bool invariants_were_slots_dropped(void);
struct epoch invariants_opened(int site); /* highest that its vote record has */
bool invariants_holds_order(int site);
struct host *invariants_writer(void);     /* NULL: nobody accepts writes */
/* convergence.c: what needs the product's own structs */
bool invariants_leader_is_too_young(const struct host *h); /* the leader of its site, which does not write, was copied while it was away */
bool agent_holds_lease(const struct host *h);
const char *agent_instance(const struct host *h); /* NULL: does not run, or has none yet */
bool agent_marks(const struct host *h, struct epoch *epoch, int64_t *serial); /* false: does not run, or knows nothing yet */
bool invariants_signed_by_coordinator(const struct envelope *e);
/* invariants_coordinator.c */
void invariants_begin_coordinators(void);
void invariants_check_coordinators(void);
/* invariants_starts.c */
void invariants_begin_starts(void);
void invariants_check_starts(void);
#endif
