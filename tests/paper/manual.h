/* What the two files of manual mode share: manual.c has what may happen, manual_rules.c what a site judges by. */
#ifndef PAPER_MANUAL_H
#define PAPER_MANUAL_H

#include "walk.h"

enum { SITES_MAX = 3, RECEIPTS_MAX = 4, DECLINES_MAX = 3, FORCED_MAX = 4 };
enum { TWO_SITES, TO_AND_FRO, THREE_SITES };
enum { UP, DOWN, DESTROYED };

struct manual_bounds {
	uint8_t sites, generations, steps, receipts, declines, forced, crashes, destroyed;
};
enum mistakes {
	RECEIPT_FITS_ANY = 1,
	DECLINE_AFTER_ASKED,
	DECLINE_CHANGES,
	FORCED_WITHOUT_PROMISES,
	DOWN_FOR_A_MOMENT,
	COLD_START_AT_ONCE,
	VOUCHER_ONLY_TO_ASK,
	WATCHED_IS_CONFIRMED,
	PROMISE_DESPITE_ASKED,
	REPLAYED_TOO_LITTLE,
	CONFIRM_LOOKS_AT_NOW,
	OWN_EPOCH_NOT_CLOSED,
	KEPT_DOWN_FOR_EVER,
	SAME_GENERATION_AGAIN,
	KEPT_DOWN_IN_TURN
};

enum wrong { RIGHT, NOT_ABOVE, LOST_WRITES, BACKWARDS };

struct manual_site {
	uint8_t known;       /* the highest opened epoch that it knows */
	uint8_t opened;      /* the last that it opened itself, 0: none */
	uint8_t promised;    /* the highest that it promised, or asked */
	uint8_t promised_to; /* the highest that it promised to another */
	uint8_t asked;       /* asked and not opened yet */
	uint8_t open;        /* it takes writes */
	uint8_t power;
	uint8_t cold;        /* 2.8b: since its start nothing has confirmed what it remembers */
	uint8_t complete;    /* it has every acknowledged write of the newest opened epoch */
	uint8_t vouchers;    /* 2.8b: the sites whose vouchers it has now, as a set */
};
struct manual_pair {
	uint8_t of, next;
};
struct manual_forced {
	uint8_t epoch, promises, named; /* 2.6e: sites that promised it; sites that its statement names */
};

struct manual_state {
	struct manual_site sites[SITES_MAX];
	struct manual_pair receipts[RECEIPTS_MAX]; /* of the epoch closed, for the successor */
	struct manual_pair declines[DECLINES_MAX]; /* of the epoch burnt, for the next */
	struct manual_forced forced[FORCED_MAX];
	uint8_t highest; /* ever opened */
	uint8_t crashes, destroyed, wrong;
};

static inline uint8_t epoch_of(int generation, int step, int site)
{
	return (uint8_t)(generation << 5 | step << 2 | site);
}
static inline uint8_t generation_of(uint8_t epoch)
{
	return epoch >> 5;
}
static inline uint8_t step_of(uint8_t epoch)
{
	return epoch >> 2 & 7;
}
static inline uint8_t site_of(uint8_t epoch)
{
	return epoch & 3;
}
static inline char letter(uint8_t epoch)
{
	return (char)('A' + site_of(epoch));
}
/* How an epoch is written in a story: generation.step, site. */
#define EPOCH_FORMAT "%d.%d %c"
#define EPOCH(e) generation_of(e), step_of(e), letter(e)

extern const struct manual_bounds manual_bounds[3][2];
const struct manual_bounds *manual_bounds_of(const struct walk *w);

/* Documents. The successor of the receipt for an epoch, the next epoch of its decline; 0: there is none. */
uint8_t manual_receipt_of(const struct manual_state *s, uint8_t epoch);
uint8_t manual_decline_of(const struct manual_state *s, uint8_t epoch);
/* Adds a document, in order, so that the same set is the same state. Answers false: no room in the bounds. */
bool manual_add_pair(struct manual_pair *pairs, int bound, uint8_t of, uint8_t next);
/* The entry to write to; NULL: no room in the bounds. */
struct manual_forced *manual_forced_for(const struct walk *w, struct manual_state *s, uint8_t epoch);
/* 2.6b: a statement names this site and is not over. */
bool manual_kept_down(const struct walk *w, const struct manual_state *s, int i);

/* Judgement, by the site i itself. */
bool manual_is_entitled(const struct manual_state *s, int i);
bool manual_closes(const struct walk *w, const struct manual_state *s, uint8_t known, uint8_t epoch);
bool manual_is_above_promised(const struct walk *w, uint8_t promised, uint8_t epoch);
bool manual_form_is_right(const struct walk *w, const struct manual_state *s, int i, uint8_t epoch);
bool manual_vouches_for_somebody(const struct manual_state *s, int i);
bool manual_is_sure(const struct walk *w, const struct manual_state *s, int i);

#endif
