/* What the two files of automatic mode share: automatic.c has what may happen, automatic_settle.c drops what can have
 * no consequence any more. */
#ifndef PAPER_AUTOMATIC_H
#define PAPER_AUTOMATIC_H

#include "walk.h"

enum { VOTERS = 3, MAJORITY = 2, NOBODY = 0xff };
enum { LEASES, SAFE, SAFE_AGAIN, SAFE_THREE };

struct automatic_bounds {
	uint8_t sites, numbers, length, changes, destroyed;
};
enum mistakes {
	NO_SILENCE = 1,
	NEW_SPEAKER_PROMISES,
	LEASE_FROM_ANSWER,
	GRANT_BELOW_PROMISE,
	HANDOVER_OF_OLDER,
	OPENS_AFTER_RECEIPT,
	VOTER_FORGETS,
	SAFE_MISTAKES = 100, /* the models share the code, not the lists */
	SAFE_NOT_LOOKED_AT,
	LOOSENED_FIRST,
	SAFE_BELOW_PROMISE,
	AGAIN_MISTAKES = 200,
	SAFE_OF_ANOTHER_EPOCH,
	CONSENT_FORGOTTEN
};

enum wrong { RIGHT, NOT_ABOVE, LOST_WRITES };

struct automatic_safe {
	uint8_t epoch, serial, target; /* NOBODY: not safe */
};
struct automatic_voter {
	uint8_t promised, granted;
	uint8_t quiet; /* ticks since its last grant, or since its speaker began */
	struct automatic_safe safe;
};
struct automatic_site {
	uint8_t opened;          /* the last epoch that it opened */
	uint8_t grants[VOTERS];  /* ticks for which each voter's grant still counts */
	uint8_t order, promises, last_writer; /* 2.3: what it collects for */
	struct automatic_safe best;
	uint8_t asked, consented; /* the point of no return is behind it; where it was only by consent to a loss */
	uint8_t receipt_of, successor;
	uint8_t complete; /* it has every acknowledged write of the newest opened epoch */
	uint8_t waits_for; /* 4.4: commits wait for this site */
	uint8_t change_serial, change_target, change_stored; /* 4.5: what voters are asked to store */
	uint8_t destroyed;
};
struct automatic_state {
	struct automatic_voter voters[VOTERS];
	struct automatic_site sites[VOTERS];
	uint8_t highest, changes, destroyed, wrong;
};

static inline uint8_t epoch_of(int number, int site)
{
	return (uint8_t)(number << 2 | site);
}
static inline uint8_t number_of(uint8_t epoch)
{
	return epoch >> 2;
}
static inline uint8_t site_of(uint8_t epoch)
{
	return epoch & 3;
}
static inline char letter(int i)
{
	return (char)('A' + i);
}

static inline bool is_majority(uint8_t set)
{
	return __builtin_popcount(set) >= MAJORITY;
}

bool automatic_mistaken(const struct walk *w, int mistake);
/* 2.4: a write lease is what a majority grants. */
bool automatic_has_lease(const struct automatic_site *site);
bool automatic_writes_now(const struct automatic_state *s, int i);
/* The epoch that the site needs grants for. */
uint8_t automatic_wants(const struct automatic_site *me);
/* A majority may still grant what it wants. */
bool automatic_can_lead(const struct walk *w, const struct automatic_state *s, int i);
/* The same state in its simplest form; answers its argument. */
const struct automatic_state *automatic_settled(const struct walk *w, struct automatic_state *s);

#endif
