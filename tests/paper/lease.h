/* What the two files of the site lease share: lease.c has what may happen, lease_settle.c drops what can have no
 * consequence any more. */
#ifndef PAPER_LEASE_H
#define PAPER_LEASE_H

#include "walk.h"

enum {
	INSTANCES = 3,
	SENDINGS = 10, /* room for those that somebody can still refer to */
	NONE = 0xff,
	LONGEST = 3
};
enum { WITH_STORE, WITH_RESTORE, WITH_FAILSAFE };

struct lease_bounds {
	uint8_t instances, open, restarts, restores, lengths[2]; /* open: sendings of one instance under way */
};
enum mistakes {
	NO_MARGIN = 1,
	SWAP_ON_TERM_ONLY,
	UNKNOWN_COUNTS,
	COUNTED_FROM_ANSWER,
	SHORTER_FROM_CONFIRMATION,
	FIRST_SIGHT_IS_ENOUGH,
	RESTART_WITHOUT_DEADMAN,
	SEQ_TWICE,
	RELEASE_FROM_CONFIRMATION,
	RHO_OF_EACH_CLOCK,
	RESTORE_MISTAKES = 50, /* the models share the code, not the lists */
	RESTORED_AT_ONCE,
	RESTORED_LENGTH,
	RESTORED_RELEASE,
	FAILSAFE_MISTAKES = 100,
	YES_WITHOUT_WAIT,
	ONE_MAY_BE_SILENT,
	ONLY_THE_NEW_LIST,
	ROUND_FROM_LAST_ANSWER,
	RESTARTED_HOLDER_ASKS,
	NOT_NAMED_TAKES,
	ROUND_OUTLIVES_SHORTER,
	ROUND_REVIVES
};

enum kind { ACQUIRE, RENEW, RELEASE };

struct lease_sending {
	uint8_t base, base_term, by, kind, term, length, electors;
	uint8_t won;       /* it stands or stood in the record */
	uint8_t age;       /* ticks since it was sent, up to its length */
	uint8_t forgotten; /* its sender knows nothing of it any more, or wants nothing of it */
};

struct lease_instance {
	uint8_t seen, watched; /* 1.4: the version last read, and for how long it has been that */
	uint8_t saw_held;      /* 1.5: the last term that this process itself saw held; NONE */
	uint8_t knows_term;    /* 1.8: the highest term that this process knows */
	uint8_t holds;         /* the term, also in the state file; NONE */
	uint8_t newest;        /* its newest sending that it knows to be in the record; NONE */
	uint8_t left;          /* ticks until its deadline, which the dead-man has, too */
	uint8_t round_asked, round_yes, round_age, round_length; /* 1.8 */
};

struct lease_state {
	uint8_t record, copy, sent, restarts, restores, unreachable;
	struct lease_sending sendings[SENDINGS];
	struct lease_instance instances[INSTANCES];
};

static inline uint8_t lease_least(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

bool lease_mistaken(const struct walk *w, int mistake);
/* A swap on this base can still find the record that it compares with. */
bool lease_can_win(const struct walk *w, const struct lease_state *s, uint8_t base, uint8_t base_term);
/* Its sender can still learn that this sending is in the record, and gain a right or knowledge by it. */
bool lease_has_hope(const struct lease_state *s, uint8_t v);
/* The same state in its simplest form; answers its argument. */
const struct lease_state *lease_settled(const struct walk *w, struct lease_state *s);

#endif
