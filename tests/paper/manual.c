/* Moves in manual mode, between two sites and between three (2.2, 2.5, 2.6, 2.8). There is no coordinator in this
 * model: whatever order could be built from the documents that sites and people have signed may arrive at
 * any site at any time, again and late, so a coordinator can do no more harm than is tried here. What break-glass
 * (3.6) carries is an order like these.
 *
 * An epoch is one byte, generation, step and site in that order, so epochs compare as bytes. Signed
 * documents never go away, except that a voucher runs out. What people sign is true: a site that a statement
 * names is down, and stays so as long as the statement says; a confirmation is given when what it says is so.
 *
 * Not covered: what happens inside a site (a change of its leader is no event here: the new one continues
 * the hold), stop requests that are dropped before the receipt, orders that are stored but not asked
 * (nothing but `asked` authorises), expiry, how data get from site to site. */
#include <string.h>

#include "models.h"

enum { SITES_MAX = 3, RECEIPTS_MAX = 4, DECLINES_MAX = 3, FORCED_MAX = 4 };
enum { TWO_SITES, TO_AND_FRO, THREE_SITES };
enum { UP, DOWN, DESTROYED };

struct bounds {
	uint8_t sites, generations, steps, receipts, declines, forced, crashes, destroyed;
};
static const struct bounds all_bounds[3][2] = {
	[TWO_SITES] = {{2, 3, 1, 1, 1, 3, 2, 1}, {2, 3, 2, 2, 2, 3, 3, 1}},
	[TO_AND_FRO] = {{2, 2, 3, 3, 2, 2, 2, 0}, {2, 2, 4, 4, 2, 2, 3, 1}},
	[THREE_SITES] = {{3, 2, 1, 1, 1, 2, 2, 0}, {3, 2, 2, 2, 1, 2, 2, 1}},
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

struct site {
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
struct pair {
	uint8_t of, next;
};
struct forced {
	uint8_t epoch, promises, named; /* 2.6e: sites that promised it; sites that its statement names */
};

struct state {
	struct site sites[SITES_MAX];
	struct pair receipts[RECEIPTS_MAX]; /* of the epoch closed, for the successor */
	struct pair declines[DECLINES_MAX]; /* of the epoch burnt, for the next */
	struct forced forced[FORCED_MAX];
	uint8_t highest; /* ever opened */
	uint8_t crashes, destroyed, wrong;
};

static const struct bounds *bounds_of(const struct walk *w)
{
	return &all_bounds[walk_variant(w)][walk_thorough(w)];
}

static uint8_t epoch_of(int generation, int step, int site)
{
	return (uint8_t)(generation << 5 | step << 2 | site);
}
static uint8_t generation_of(uint8_t epoch)
{
	return epoch >> 5;
}
static uint8_t step_of(uint8_t epoch)
{
	return epoch >> 2 & 7;
}
static uint8_t site_of(uint8_t epoch)
{
	return epoch & 3;
}
static char letter(uint8_t epoch)
{
	return (char)('A' + site_of(epoch));
}
/* How an epoch is written in a story: generation.step, site. */
#define EPOCH_FORMAT "%d.%d %c"
#define EPOCH(e) generation_of(e), step_of(e), letter(e)

static void start(int variant, void *state)
{
	struct state *s = state;
	s->highest = epoch_of(1, 0, 0);
	for (int i = 0; i < all_bounds[variant][0].sites; i++)
		s->sites[i] = (struct site){.known = s->highest, .promised = s->highest, .complete = 1};
	s->sites[0].opened = s->highest;
	s->sites[0].open = 1;
}

/* ---- documents ---- */

static uint8_t next_of(const struct pair *pairs, int count, uint8_t of)
{
	for (int i = 0; i < count; i++) {
		if (of && pairs[i].of == of)
			return pairs[i].next;
	}
	return 0;
}
static uint8_t receipt_of(const struct state *s, uint8_t epoch)
{
	return next_of(s->receipts, RECEIPTS_MAX, epoch);
}
static uint8_t decline_of(const struct state *s, uint8_t epoch)
{
	return next_of(s->declines, DECLINES_MAX, epoch);
}

/* Adds a document, in order, so that the same set is the same state. Answers false: no room in the bounds. */
static bool add_pair(struct pair *pairs, int bound, uint8_t of, uint8_t next)
{
	int at = 0;
	if (pairs[bound - 1].of)
		return false;
	while (pairs[at].of && pairs[at].of < of)
		at++;
	memmove(&pairs[at + 1], &pairs[at], sizeof *pairs * (size_t)(bound - 1 - at));
	pairs[at] = (struct pair){of, next};
	return true;
}

static const struct forced no_forced;

static const struct forced *forced_of(const struct state *s, uint8_t epoch)
{
	for (int i = 0; i < FORCED_MAX; i++) {
		if (s->forced[i].epoch == epoch)
			return &s->forced[i];
	}
	return &no_forced;
}

/* The entry to write to; NULL: no room in the bounds. */
static struct forced *forced_for(const struct walk *w, struct state *s, uint8_t epoch)
{
	int at = 0, bound = bounds_of(w)->forced;
	while (at < bound && s->forced[at].epoch && s->forced[at].epoch < epoch)
		at++;
	if (at < bound && s->forced[at].epoch == epoch)
		return &s->forced[at];
	if (s->forced[bound - 1].epoch)
		return NULL;
	memmove(&s->forced[at + 1], &s->forced[at], sizeof s->forced[0] * (size_t)(bound - 1 - at));
	s->forced[at] = (struct forced){.epoch = epoch};
	return &s->forced[at];
}

/* 2.6b: a statement binds those who signed it until its epoch is opened or declined, or its target is gone for
 * good, so that what the statement allows can never be done. */
static bool statement_ended(const struct walk *w, const struct state *s, const struct forced *f)
{
	const struct site *target = &s->sites[site_of(f->epoch)];
	bool gone = target->power == DESTROYED && !walk_mistaken(w, KEPT_DOWN_FOR_EVER);
	return gone || target->opened >= f->epoch || decline_of(s, f->epoch);
}

static bool kept_down(const struct walk *w, const struct state *s, int i)
{
	bool kept = false;
	for (int k = 0; k < FORCED_MAX; k++)
		kept = kept || (s->forced[k].named >> i & 1 && !statement_ended(w, s, &s->forced[k]));
	return kept && !walk_mistaken(w, DOWN_FOR_A_MOMENT);
}

/* ---- what a site judges by ---- */

/* The site may open what it opened last, once it is sure of it. */
static bool is_entitled(const struct state *s, int i)
{
	const struct site *me = &s->sites[i];
	return me->opened && me->known == me->opened && !me->asked && !receipt_of(s, me->opened);
}

/* 2.6a, 2.5d: receipt -> successor -> its decline -> next ... leads to exactly this epoch. */
static bool chain_leads(const struct walk *w, const struct state *s, uint8_t closed, uint8_t epoch)
{
	uint8_t at = receipt_of(s, closed);
	if (at && walk_mistaken(w, RECEIPT_FITS_ANY))
		return true;
	while (at && at != epoch)
		at = decline_of(s, at);
	return at == epoch && epoch;
}

/* 2.6a, b: the order for `epoch` closes the epoch `known`. That of its own site needs no proof from outside. */
static bool closes(const struct walk *w, const struct state *s, uint8_t known, uint8_t epoch)
{
	bool forced = generation_of(epoch) > generation_of(known);
	bool own = site_of(known) == site_of(epoch) && !walk_mistaken(w, OWN_EPOCH_NOT_CLOSED);
	if (epoch <= known)
		return false;
	return chain_leads(w, s, known, epoch) || (forced && (own || forced_of(s, epoch)->named >> site_of(known) & 1));
}

/* 2.6e: a forced epoch begins a generation that nothing promised has: whoever was forced open in that one may
 * have gone on by steps that this site knows nothing of, and would be above. */
static bool is_above_promised(const struct walk *w, uint8_t promised, uint8_t epoch)
{
	bool forced = !step_of(epoch) && !walk_mistaken(w, SAME_GENERATION_AGAIN);
	return epoch > promised && (!forced || generation_of(epoch) > generation_of(promised));
}

/* 2.6c-e */
static bool form_is_right(const struct walk *w, const struct state *s, int i, uint8_t epoch)
{
	const struct site *me = &s->sites[i];
	if (generation_of(epoch) == generation_of(me->known)) {
		bool to_another = me->promised_to > me->known;
		return !to_another && (me->complete || walk_mistaken(w, REPLAYED_TOO_LITTLE));
	}
	const struct forced *f = forced_of(s, epoch);
	uint8_t others = (uint8_t)(((1 << bounds_of(w)->sites) - 1) & ~(1 << i));
	return !(others & ~(f->promises | f->named)) || walk_mistaken(w, FORCED_WITHOUT_PROMISES);
}

static bool vouches_for_somebody(const struct state *s, int i)
{
	bool vouches = false;
	for (int j = 0; j < SITES_MAX; j++)
		vouches = vouches || s->sites[j].vouchers >> i & 1;
	return vouches;
}

/* 2.8b: a person's word: no higher epoch was opened, and nobody else is open, or up and has asked. */
static bool can_be_confirmed(const struct walk *w, const struct state *s, int i)
{
	bool good = s->sites[i].known == s->highest || walk_mistaken(w, CONFIRM_LOOKS_AT_NOW);
	for (int j = 0; j < SITES_MAX; j++)
		good = good && (i == j || s->sites[j].power != UP || (!s->sites[j].open && !s->sites[j].asked));
	return good;
}

/* 2.8b, before every opening and before `asked`. */
static bool is_sure(const struct walk *w, const struct state *s, int i)
{
	uint8_t others = (uint8_t)(((1 << bounds_of(w)->sites) - 1) & ~(1 << i));
	return !s->sites[i].cold || !(others & ~s->sites[i].vouchers) || walk_mistaken(w, COLD_START_AT_ONCE) ||
	       can_be_confirmed(w, s, i);
}

/* ---- transitions ---- */

static void writes(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	if (!s->sites[i].open)
		return;
	for (int j = 0; j < SITES_MAX; j++)
		next.sites[j].complete = j == i && s->sites[i].complete;
	walk_to(w, WALK_STEP, &next, "%c acknowledges a write", 'A' + i);
}

static void replicates(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	if (s->sites[i].open || s->sites[site_of(s->highest)].power != UP)
		return;
	next.sites[i].complete = 1;
	walk_to(w, WALK_STEP, &next, "%c gets all the writes of " EPOCH_FORMAT, 'A' + i, EPOCH(s->highest));
}

/* A higher epoch was opened: the lower is fenced, and void where it was only asked (2.6f). */
static void fence(struct site *me, uint8_t opened)
{
	me->known = opened;
	me->open = 0;
	me->asked = me->asked > opened ? me->asked : 0;
}

static void learns(const struct state *s, int i, struct walk *w)
{
	for (int k = 0; k < SITES_MAX + RECEIPTS_MAX; k++) {
		uint8_t opened = k < SITES_MAX ? s->sites[k].opened : s->receipts[k - SITES_MAX].of;
		struct state next = *s;
		if (opened <= s->sites[i].known)
			continue;
		fence(&next.sites[i], opened);
		walk_to(w, WALK_STEP, &next, "%c learns that " EPOCH_FORMAT " was opened", 'A' + i, EPOCH(opened));
	}
}

/* Whom a receipt or a decline may name: any site, one step or one generation on. */
static bool may_follow(const struct walk *w, uint8_t epoch, int choice, uint8_t *next)
{
	int site = choice >> 1;
	bool forced = choice & 1;
	*next = forced ? epoch_of(generation_of(epoch) + 1, 0, site) : epoch_of(generation_of(epoch), step_of(epoch) + 1, site);
	return site < bounds_of(w)->sites && generation_of(*next) <= bounds_of(w)->generations &&
	       step_of(*next) <= bounds_of(w)->steps;
}

/* 2.5b: stopped, then stored, then signed. */
static void stops(const struct state *s, int i, struct walk *w)
{
	const struct site *me = &s->sites[i];
	for (int choice = 0; choice < 2 * SITES_MAX && is_entitled(s, i); choice++) {
		struct state next = *s;
		uint8_t successor;
		if (!may_follow(w, me->opened, choice, &successor) || site_of(successor) == i ||
		    !add_pair(next.receipts, bounds_of(w)->receipts, me->opened, successor))
			continue;
		next.sites[i].open = 0;
		walk_to(w, WALK_STEP, &next, "%c stops, with a receipt for " EPOCH_FORMAT, 'A' + i, EPOCH(successor));
	}
}

/* 2.5d: any epoch of its own above what it opened, unless it asked that; said once. */
static void declines(const struct state *s, int i, struct walk *w)
{
	for (int k = 0; k < RECEIPTS_MAX + DECLINES_MAX + FORCED_MAX; k++) {
		uint8_t burnt = k < RECEIPTS_MAX ? s->receipts[k].next
			: k < RECEIPTS_MAX + DECLINES_MAX ? s->declines[k - RECEIPTS_MAX].next
			: s->forced[k - RECEIPTS_MAX - DECLINES_MAX].epoch;
		bool asked = s->sites[i].asked == burnt && !walk_mistaken(w, DECLINE_AFTER_ASKED);
		bool again = decline_of(s, burnt) && !walk_mistaken(w, DECLINE_CHANGES);
		if (!burnt || site_of(burnt) != i || asked || again || burnt <= s->sites[i].opened)
			continue;
		for (int choice = 0; choice < 2 * SITES_MAX; choice++) {
			struct state next = *s;
			uint8_t other;
			if (!may_follow(w, burnt, choice, &other))
				continue;
			for (int d = 0; d < DECLINES_MAX && decline_of(s, burnt); d++) {
				if (next.declines[d].of == burnt)
					next.declines[d].next = other;
			}
			if (!decline_of(s, burnt) && !add_pair(next.declines, bounds_of(w)->declines, burnt, other))
				continue;
			walk_to(w, WALK_STEP, &next, "%c declines " EPOCH_FORMAT " in favour of " EPOCH_FORMAT, 'A' + i, EPOCH(burnt),
				EPOCH(other));
		}
	}
}

/* 2.6e: any forced epoch may be asked about. */
static void promises(const struct state *s, int i, struct walk *w)
{
	const struct site *me = &s->sites[i];
	if (me->open || is_entitled(s, i) || (me->asked && !walk_mistaken(w, PROMISE_DESPITE_ASKED)))
		return;
	for (int g = generation_of(me->known) + 1; g <= bounds_of(w)->generations; g++) {
		for (int j = 0; j < bounds_of(w)->sites; j++) {
			uint8_t epoch = epoch_of(g, 0, j);
			struct state next = *s;
			struct forced *f = j == i || !is_above_promised(w, me->promised, epoch) || !closes(w, s, me->known, epoch) ? NULL
				: forced_for(w, &next, epoch);
			if (!f)
				continue;
			f->promises |= (uint8_t)(1 << i);
			next.sites[i].promised = next.sites[i].promised_to = epoch;
			walk_to(w, WALK_STEP, &next, "%c promises " EPOCH_FORMAT, 'A' + i, EPOCH(epoch));
		}
	}
}

/* 2.6b: a true statement about a site that is down. It is for a target that can come back: two sites that are kept
 * down for each other never would. */
static void is_stated_down(const struct state *s, int i, struct walk *w)
{
	for (int g = 2; g <= bounds_of(w)->generations && s->sites[i].power != UP; g++) {
		for (int j = 0; j < bounds_of(w)->sites; j++) {
			struct state next = *s;
			uint8_t epoch = epoch_of(g, 0, j);
			bool in_turn = kept_down(w, s, j) && !walk_mistaken(w, KEPT_DOWN_IN_TURN);
			bool over = s->sites[j].opened >= epoch || decline_of(s, epoch);
			struct forced *f = j == i || over || in_turn ? NULL : forced_for(w, &next, epoch);
			if (!f || f->named >> i & 1)
				continue;
			f->named |= (uint8_t)(1 << i);
			walk_to(w, WALK_STEP, &next, "people sign that %c is down and stays so until " EPOCH_FORMAT " is opened or declined",
				'A' + i, EPOCH(epoch));
		}
	}
}

/* 2.5a, 2.6f: the point of no return, one swap that judges everything. */
static void asks(const struct state *s, int i, uint8_t epoch, struct walk *w)
{
	const struct site *me = &s->sites[i];
	struct state next = *s;
	if (me->open || !is_above_promised(w, me->promised, epoch) || (decline_of(s, epoch) && !walk_mistaken(w, DECLINE_CHANGES)) ||
	    !closes(w, s, me->known, epoch) || !form_is_right(w, s, i, epoch) || vouches_for_somebody(s, i) || !is_sure(w, s, i))
		return;
	if (me->asked && generation_of(epoch) <= generation_of(me->asked))
		return; /* 2.6g */
	next.sites[i].asked = next.sites[i].promised = epoch;
	walk_to(w, WALK_STEP, &next, "%c asks for " EPOCH_FORMAT ", which closes " EPOCH_FORMAT, 'A' + i, EPOCH(epoch), EPOCH(me->known));
}

static void asks_any(const struct state *s, int i, struct walk *w)
{
	for (int g = generation_of(s->sites[i].known); g <= bounds_of(w)->generations; g++) {
		for (int step = 0; step <= bounds_of(w)->steps; step++)
			asks(s, i, epoch_of(g, step, i), w);
	}
}

/* The promotion, and the word that this epoch was opened. */
static void opens(const struct state *s, int i, struct walk *w)
{
	const struct site *me = &s->sites[i];
	struct state next = *s;
	if (!me->asked || (!is_sure(w, s, i) && !walk_mistaken(w, VOUCHER_ONLY_TO_ASK)))
		return;
	bool forced = generation_of(me->asked) > generation_of(me->known);
	struct site *mine = &next.sites[i];
	next.wrong = me->asked <= s->highest ? NOT_ABOVE
		: !forced && (!me->complete || me->known != s->highest) ? LOST_WRITES : RIGHT;
	for (int j = 0; j < SITES_MAX && !me->complete; j++)
		next.sites[j].complete = j == i; /* what it has is what counts from now on */
	mine->opened = mine->known = next.highest = me->asked;
	mine->open = 1;
	mine->asked = mine->cold = 0;
	walk_to(w, WALK_STEP, &next, "%c opens " EPOCH_FORMAT, 'A' + i, EPOCH(me->asked));
}

/* 2.8b: the primary site that was down opens again what it had opened. */
static void reopens(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	if (s->sites[i].open || !is_entitled(s, i) || !is_sure(w, s, i))
		return;
	next.sites[i].open = 1;
	next.sites[i].cold = 0;
	next.wrong = s->sites[i].known < s->highest ? BACKWARDS : RIGHT;
	walk_to(w, WALK_STEP, &next, "%c opens " EPOCH_FORMAT " again", 'A' + i, EPOCH(s->sites[i].opened));
}

/* 2.8c */
static void vouches(const struct state *s, int i, int j, struct walk *w)
{
	const struct site *me = &s->sites[i], *asker = &s->sites[j];
	struct state next = *s;
	if (i == j || !asker->cold || asker->open || asker->power != UP || asker->vouchers >> i & 1)
		return;
	bool promised = me->promised_to > asker->known && !decline_of(s, me->promised_to);
	if (me->open || me->asked || me->known > asker->known || promised)
		return;
	next.sites[j].vouchers |= (uint8_t)(1 << i);
	walk_to(w, WALK_STEP, &next, "%c vouches for %c that nothing above " EPOCH_FORMAT " was opened", 'A' + i, 'A' + j,
		EPOCH(asker->known));
}

static void voucher_ends(const struct state *s, int i, struct walk *w)
{
	for (int j = 0; j < SITES_MAX; j++) {
		struct state next = *s;
		if (!(s->sites[i].vouchers >> j & 1))
			continue;
		next.sites[i].vouchers &= (uint8_t)~(1 << j);
		walk_to(w, WALK_STEP, &next, "%c's voucher for %c runs out", 'A' + j, 'A' + i);
	}
}

static void fails(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	struct site *me = &next.sites[i];
	me->open = me->vouchers = 0;
	me->power = DOWN;
	me->cold = 1;
	next.crashes++;
	if (s->crashes < bounds_of(w)->crashes)
		walk_to(w, WALK_FAULT, &next, "the whole site %c goes down", 'A' + i);
	next.crashes--;
	next.destroyed++;
	me->power = DESTROYED;
	if (s->destroyed < bounds_of(w)->destroyed)
		walk_to(w, WALK_FAULT, &next, "the whole site %c is destroyed", 'A' + i);
}

/* The mistake against 2.8b. */
static void changes_leader(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	if (!s->sites[i].cold || is_entitled(s, i) || !walk_mistaken(w, WATCHED_IS_CONFIRMED))
		return;
	next.sites[i].cold = 0;
	walk_to(w, WALK_STEP, &next, "%c's leader changes, and the new one had watched the old", 'A' + i);
}

static void comes_back(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	if (s->sites[i].power != DOWN || kept_down(w, s, i))
		return;
	next.sites[i].power = UP;
	walk_to(w, WALK_STEP, &next, "the site %c comes back", 'A' + i);
}

static void acts(const struct state *s, int i, struct walk *w)
{
	writes(s, i, w);
	replicates(s, i, w);
	learns(s, i, w);
	stops(s, i, w);
	declines(s, i, w);
	promises(s, i, w);
	asks_any(s, i, w);
	opens(s, i, w);
	reopens(s, i, w);
	fails(s, i, w);
	changes_leader(s, i, w);
	for (int j = 0; j < bounds_of(w)->sites; j++)
		vouches(s, i, j, w);
}

static void successors(const void *state, struct walk *w)
{
	const struct state *s = state;
	for (int i = 0; i < bounds_of(w)->sites; i++) {
		voucher_ends(s, i, w);
		if (s->sites[i].power == UP) {
			acts(s, i, w);
			continue;
		}
		comes_back(s, i, w);
		is_stated_down(s, i, w);
	}
}

static const char *broken(const void *state)
{
	const struct state *s = state;
	int open = 0;
	for (int i = 0; i < SITES_MAX; i++)
		open += s->sites[i].open;
	if (open > 1)
		return "two sites are open at the same time";
	switch ((enum wrong)s->wrong) {
	case NOT_ABOVE:
		return "an epoch is opened that is not above all that were opened";
	case LOST_WRITES:
		return "an acknowledged write of the newest epoch is lost, and nobody has forced a move past that epoch";
	case BACKWARDS:
		return "a site opens its old epoch again though a higher one was opened";
	case RIGHT:
		break;
	}
	return NULL;
}

/* As long as there is a generation left for people to force, and a site for them to force it at. */
static bool owed(const void *state, const struct walk *w)
{
	const struct state *s = state;
	const struct bounds *b = bounds_of(w);
	uint8_t used = generation_of(s->highest);
	for (int i = 0; i < FORCED_MAX; i++)
		used = generation_of(s->forced[i].epoch) > used ? generation_of(s->forced[i].epoch) : used;
	for (int i = 0; i < RECEIPTS_MAX; i++)
		used = generation_of(s->receipts[i].next) > used ? generation_of(s->receipts[i].next) : used;
	for (int i = 0; i < DECLINES_MAX; i++)
		used = generation_of(s->declines[i].next) > used ? generation_of(s->declines[i].next) : used;
	return used < b->generations && !s->forced[b->forced - 1].epoch && s->destroyed < b->sites;
}

static bool arrived(const void *state)
{
	const struct state *s = state;
	bool open = false;
	for (int i = 0; i < SITES_MAX; i++)
		open = open || s->sites[i].open;
	return open;
}

static const struct walk_mistake all_mistakes[] = {
	{"2.6a", "a receipt serves any epoch"},
	{"2.5d", "an epoch is declined after it was asked"},
	{"2.5d", "a decline is changed later"},
	{"2.6e", "a forced order without the promises of the others"},
	{"2.6b", "a site named in a statement is not kept down"},
	{"2.8b", "a cold site opens without asking"},
	{"2.8b", "a cold site is sure before `asked`, and not again before it promotes"},
	{"2.8b", "a local taker that watched an unconfirmed hold goes on as if it were confirmed (as section 6 left it open)"},
	{"2.6f", "a promise after `asked`"},
	{"2.5a", "the target asks before it has replayed the end that the receipt names"},
	{"2.8b", "a person confirms that nobody is open now, not that no higher epoch was opened"},
	{"2.6b", "the last primary cannot be forced open again: nothing closes its own epoch (as first written)"},
	{"2.6b", "a statement binds although its target is gone for good (as first written)"},
	{"2.6e", "a forced epoch above what was promised, but in the same generation (as first written)"},
	{"2.6b", "a statement is signed for a target that another one keeps down (as first written)"},
	{NULL, NULL}};

#define MANUAL(title, which, plain, thorough_run, list) { \
	.name = title, .rules = "2.5,2.6,2.8", .size = sizeof(struct state), .variant = which, .start = start, \
	.successors = successors, .broken = broken, .owed = owed, .arrived = arrived, \
	.stuck = "no site can ever be opened again, by no person either", .bounds = {plain, thorough_run}, .mistakes = list}

const struct walk_model model_manual_two = MANUAL("manual-2", TWO_SITES,
	"2 sites, 3 generations of 1 step, 1 receipt, 1 decline, 3 forced epochs, 2 failures, 1 site destroyed",
	"2 sites, 3 generations of 2 steps, 2 receipts, 2 declines, 3 forced epochs, 3 failures, 1 site destroyed", all_mistakes);
const struct walk_model model_manual_to_and_fro = MANUAL("to-and-fro", TO_AND_FRO,
	"2 sites, 2 generations of 3 steps, 3 receipts, 2 declines, 2 forced epochs, 2 failures",
	"2 sites, 2 generations of 4 steps, 4 receipts, 2 declines, 2 forced epochs, 3 failures, 1 site destroyed", NULL);
const struct walk_model model_manual_three = MANUAL("manual-3", THREE_SITES,
	"3 sites, 2 generations of 1 step, 1 receipt, 1 decline, 2 forced epochs, 2 failures",
	"3 sites, 2 generations of 2 steps, 2 receipts, 1 decline, 2 forced epochs, 2 failures, 1 site destroyed", NULL);
