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
#include "manual.h"

#include "models.h"

static void start(const struct walk *w, void *state)
{
	struct manual_state *s = state;
	s->highest = epoch_of(1, 0, 0);
	for (int i = 0; i < manual_bounds_of(w)->sites; i++)
		s->sites[i] = (struct manual_site){.known = s->highest, .promised = s->highest, .complete = 1};
	s->sites[0].opened = s->highest;
	s->sites[0].open = 1;
}

static void writes(const struct manual_state *s, int i, struct walk *w)
{
	struct manual_state next = *s;
	if (!s->sites[i].open)
		return;
	for (int j = 0; j < SITES_MAX; j++)
		next.sites[j].complete = j == i && s->sites[i].complete;
	walk_to(w, WALK_STEP, &next, "%c acknowledges a write", 'A' + i);
}

static void replicates(const struct manual_state *s, int i, struct walk *w)
{
	struct manual_state next = *s;
	if (s->sites[i].open || s->sites[site_of(s->highest)].power != UP)
		return;
	next.sites[i].complete = 1;
	walk_to(w, WALK_STEP, &next, "%c gets all the writes of " EPOCH_FORMAT, 'A' + i, EPOCH(s->highest));
}

/* A higher epoch was opened: the lower is fenced, and void where it was only asked (2.6f). */
static void fence(struct manual_site *me, uint8_t opened)
{
	me->known = opened;
	me->open = 0;
	me->asked = me->asked > opened ? me->asked : 0;
}

static void learns(const struct manual_state *s, int i, struct walk *w)
{
	for (int k = 0; k < SITES_MAX + RECEIPTS_MAX; k++) {
		uint8_t opened = k < SITES_MAX ? s->sites[k].opened : s->receipts[k - SITES_MAX].of;
		struct manual_state next = *s;
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
	return site < manual_bounds_of(w)->sites && generation_of(*next) <= manual_bounds_of(w)->generations &&
	       step_of(*next) <= manual_bounds_of(w)->steps;
}

/* 2.5b: stopped, then stored, then signed. */
static void stops(const struct manual_state *s, int i, struct walk *w)
{
	const struct manual_site *me = &s->sites[i];
	for (int choice = 0; choice < 2 * SITES_MAX && manual_is_entitled(s, i); choice++) {
		struct manual_state next = *s;
		uint8_t successor;
		if (!may_follow(w, me->opened, choice, &successor) || site_of(successor) == i ||
		    !manual_add_pair(next.receipts, manual_bounds_of(w)->receipts, me->opened, successor))
			continue;
		next.sites[i].open = 0;
		walk_to(w, WALK_STEP, &next, "%c stops, with a receipt for " EPOCH_FORMAT, 'A' + i, EPOCH(successor));
	}
}

/* 2.5d: any epoch of its own above what it opened, unless it asked that; said once. */
static void declines(const struct manual_state *s, int i, struct walk *w)
{
	for (int k = 0; k < RECEIPTS_MAX + DECLINES_MAX + FORCED_MAX; k++) {
		uint8_t burnt = k < RECEIPTS_MAX ? s->receipts[k].next
			: k < RECEIPTS_MAX + DECLINES_MAX ? s->declines[k - RECEIPTS_MAX].next
			: s->forced[k - RECEIPTS_MAX - DECLINES_MAX].epoch;
		bool asked = s->sites[i].asked == burnt && !walk_mistaken(w, DECLINE_AFTER_ASKED);
		bool again = manual_decline_of(s, burnt) && !walk_mistaken(w, DECLINE_CHANGES);
		if (!burnt || site_of(burnt) != i || asked || again || burnt <= s->sites[i].opened)
			continue;
		for (int choice = 0; choice < 2 * SITES_MAX; choice++) {
			struct manual_state next = *s;
			uint8_t other;
			if (!may_follow(w, burnt, choice, &other))
				continue;
			for (int d = 0; d < DECLINES_MAX && manual_decline_of(s, burnt); d++) {
				if (next.declines[d].of == burnt)
					next.declines[d].next = other;
			}
			if (!manual_decline_of(s, burnt) && !manual_add_pair(next.declines, manual_bounds_of(w)->declines, burnt, other))
				continue;
			walk_to(w, WALK_STEP, &next, "%c declines " EPOCH_FORMAT " in favour of " EPOCH_FORMAT, 'A' + i, EPOCH(burnt),
				EPOCH(other));
		}
	}
}

/* 2.6e: any forced epoch may be asked about. */
static void promises(const struct manual_state *s, int i, struct walk *w)
{
	const struct manual_site *me = &s->sites[i];
	if (me->open || manual_is_entitled(s, i) || (me->asked && !walk_mistaken(w, PROMISE_DESPITE_ASKED)))
		return;
	for (int g = generation_of(me->known) + 1; g <= manual_bounds_of(w)->generations; g++) {
		for (int j = 0; j < manual_bounds_of(w)->sites; j++) {
			uint8_t epoch = epoch_of(g, 0, j);
			struct manual_state next = *s;
			struct manual_forced *f = j == i || !manual_is_above_promised(w, me->promised, epoch) || !manual_closes(w, s, me->known, epoch) ? NULL
				: manual_forced_for(w, &next, epoch);
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
static void is_stated_down(const struct manual_state *s, int i, struct walk *w)
{
	for (int g = 2; g <= manual_bounds_of(w)->generations && s->sites[i].power != UP; g++) {
		for (int j = 0; j < manual_bounds_of(w)->sites; j++) {
			struct manual_state next = *s;
			uint8_t epoch = epoch_of(g, 0, j);
			bool in_turn = manual_kept_down(w, s, j) && !walk_mistaken(w, KEPT_DOWN_IN_TURN);
			bool over = s->sites[j].opened >= epoch || manual_decline_of(s, epoch);
			struct manual_forced *f = j == i || over || in_turn ? NULL : manual_forced_for(w, &next, epoch);
			if (!f || f->named >> i & 1)
				continue;
			f->named |= (uint8_t)(1 << i);
			walk_to(w, WALK_STEP, &next, "people sign that %c is down and stays so until " EPOCH_FORMAT " is opened or declined",
				'A' + i, EPOCH(epoch));
		}
	}
}

/* 2.5a, 2.6f: the point of no return, one swap that judges everything. */
static void asks(const struct manual_state *s, int i, uint8_t epoch, struct walk *w)
{
	const struct manual_site *me = &s->sites[i];
	struct manual_state next = *s;
	if (me->open || !manual_is_above_promised(w, me->promised, epoch) || (manual_decline_of(s, epoch) && !walk_mistaken(w, DECLINE_CHANGES)) ||
	    !manual_closes(w, s, me->known, epoch) || !manual_form_is_right(w, s, i, epoch) || manual_vouches_for_somebody(s, i) || !manual_is_sure(w, s, i))
		return;
	if (me->asked && generation_of(epoch) <= generation_of(me->asked))
		return; /* 2.6g */
	next.sites[i].asked = next.sites[i].promised = epoch;
	walk_to(w, WALK_STEP, &next, "%c asks for " EPOCH_FORMAT ", which closes " EPOCH_FORMAT, 'A' + i, EPOCH(epoch), EPOCH(me->known));
}

static void asks_any(const struct manual_state *s, int i, struct walk *w)
{
	for (int g = generation_of(s->sites[i].known); g <= manual_bounds_of(w)->generations; g++) {
		for (int step = 0; step <= manual_bounds_of(w)->steps; step++)
			asks(s, i, epoch_of(g, step, i), w);
	}
}

/* The promotion, and the word that this epoch was opened. */
static void opens(const struct manual_state *s, int i, struct walk *w)
{
	const struct manual_site *me = &s->sites[i];
	struct manual_state next = *s;
	if (!me->asked || (!manual_is_sure(w, s, i) && !walk_mistaken(w, VOUCHER_ONLY_TO_ASK)))
		return;
	bool forced = generation_of(me->asked) > generation_of(me->known);
	struct manual_site *mine = &next.sites[i];
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
static void reopens(const struct manual_state *s, int i, struct walk *w)
{
	struct manual_state next = *s;
	if (s->sites[i].open || !manual_is_entitled(s, i) || !manual_is_sure(w, s, i))
		return;
	next.sites[i].open = 1;
	next.sites[i].cold = 0;
	next.wrong = s->sites[i].known < s->highest ? BACKWARDS : RIGHT;
	walk_to(w, WALK_STEP, &next, "%c opens " EPOCH_FORMAT " again", 'A' + i, EPOCH(s->sites[i].opened));
}

/* 2.8c */
static void vouches(const struct manual_state *s, int i, int j, struct walk *w)
{
	const struct manual_site *me = &s->sites[i], *asker = &s->sites[j];
	struct manual_state next = *s;
	if (i == j || !asker->cold || asker->open || asker->power != UP || asker->vouchers >> i & 1)
		return;
	bool promised = me->promised_to > asker->known && !manual_decline_of(s, me->promised_to);
	if (me->open || me->asked || me->known > asker->known || promised)
		return;
	next.sites[j].vouchers |= (uint8_t)(1 << i);
	walk_to(w, WALK_STEP, &next, "%c vouches for %c that nothing above " EPOCH_FORMAT " was opened", 'A' + i, 'A' + j,
		EPOCH(asker->known));
}

static void voucher_ends(const struct manual_state *s, int i, struct walk *w)
{
	for (int j = 0; j < SITES_MAX; j++) {
		struct manual_state next = *s;
		if (!(s->sites[i].vouchers >> j & 1))
			continue;
		next.sites[i].vouchers &= (uint8_t)~(1 << j);
		walk_to(w, WALK_STEP, &next, "%c's voucher for %c runs out", 'A' + j, 'A' + i);
	}
}

static void fails(const struct manual_state *s, int i, struct walk *w)
{
	struct manual_state next = *s;
	struct manual_site *me = &next.sites[i];
	me->open = me->vouchers = 0;
	me->power = DOWN;
	me->cold = 1;
	next.crashes++;
	if (s->crashes < manual_bounds_of(w)->crashes)
		walk_to(w, WALK_FAULT, &next, "the whole site %c goes down", 'A' + i);
	next.crashes--;
	next.destroyed++;
	me->power = DESTROYED;
	if (s->destroyed < manual_bounds_of(w)->destroyed)
		walk_to(w, WALK_FAULT, &next, "the whole site %c is destroyed", 'A' + i);
}

/* The mistake against 2.8b. */
static void changes_leader(const struct manual_state *s, int i, struct walk *w)
{
	struct manual_state next = *s;
	if (!s->sites[i].cold || manual_is_entitled(s, i) || !walk_mistaken(w, WATCHED_IS_CONFIRMED))
		return;
	next.sites[i].cold = 0;
	walk_to(w, WALK_STEP, &next, "%c's leader changes, and the new one had watched the old", 'A' + i);
}

static void comes_back(const struct manual_state *s, int i, struct walk *w)
{
	struct manual_state next = *s;
	if (s->sites[i].power != DOWN || manual_kept_down(w, s, i))
		return;
	next.sites[i].power = UP;
	walk_to(w, WALK_STEP, &next, "the site %c comes back", 'A' + i);
}

static void acts(const struct manual_state *s, int i, struct walk *w)
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
	for (int j = 0; j < manual_bounds_of(w)->sites; j++)
		vouches(s, i, j, w);
}

static void successors(const void *state, struct walk *w)
{
	const struct manual_state *s = state;
	for (int i = 0; i < manual_bounds_of(w)->sites; i++) {
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
	const struct manual_state *s = state;
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
	const struct manual_state *s = state;
	const struct manual_bounds *b = manual_bounds_of(w);
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
	const struct manual_state *s = state;
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
	.name = title, .rules = "2.5,2.6,2.8", .size = sizeof(struct manual_state), .variant = which, .start = start, \
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
