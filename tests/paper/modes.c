/* Changes of the mode (2.6h): A is primary in manual mode, is told to go over to automatic and back again, and B is
 * a target by silence, with three voters and everything lost or late as it likes.
 *
 * The serial of the mode is the mode: 0 manual, 1 automatic, 2 manual again, 3 automatic. Each voter has granted
 * to A, to B or to nobody, as far as that grant still counts, for the holder and for the voter alike (as in
 * automatic.c). Of the epochs there are two, A's and B's.
 *
 * Not covered: forced moves while the mode changes (the rules of manual.c hold for them in either mode). */
#include "models.h"

enum { VOTERS = 3, MAJORITY = 2, A = 0, B = 1, NOBODY = 0xff };

enum mistakes {
	OBEYS_WHEN_STORED = 1,
	FREE_WHEN_ASKED,
	STORED_DESPITE_PROMISE,
	MODE_NOT_LOOKED_AT,
	OWN_VOTE_LAST
};

struct voter {
	uint8_t serial, promised, grant;
};
struct state {
	struct voter voters[VOTERS];
	uint8_t asked_serial, stored; /* A: what it has the voters store, and who is known to have done so */
	uint8_t obeys;                /* A: it writes only with a lease */
	uint8_t promises, highest;    /* B: whose promises it has, and the highest serial among them */
	uint8_t asked;                /* B: the point of no return is behind it */
	uint8_t restarts;
};

static const uint8_t serial_max[2] = {2, 3};

static char letter(int i)
{
	return (char)('A' + i);
}

static bool is_automatic(uint8_t serial)
{
	return serial & 1;
}

static bool is_majority(uint8_t set)
{
	return __builtin_popcount(set) >= MAJORITY;
}

static bool has_lease(const struct state *s, int site)
{
	uint8_t yes = 0;
	for (int v = 0; v < VOTERS; v++)
		yes |= (uint8_t)((s->voters[v].grant == site) << v);
	return is_majority(yes);
}

static bool a_writes(const struct state *s)
{
	return !s->obeys || has_lease(s, A);
}

static void start(const struct walk *w, void *state)
{
	struct state *s = state;
	(void)w;
	for (int v = 0; v < VOTERS; v++)
		s->voters[v].grant = NOBODY;
}

/* 2.6h: its own vote record first, so that a restarted A knows, too; and from here on it obeys, as any voter that has
 * stored `automatic` may let others promise by silence, whether A hears of it or not. */
static void changes_mode(const struct state *s, struct walk *w)
{
	struct state next = *s;
	if (s->asked_serial == serial_max[walk_thorough(w)] || (s->asked_serial && !is_majority(s->stored)))
		return;
	next.asked_serial++;
	next.stored = 0;
	if (!walk_mistaken(w, OWN_VOTE_LAST)) {
		if (s->voters[A].promised)
			return;
		next.voters[A].serial = next.asked_serial;
		next.stored = 1 << A;
	}
	if (is_automatic(next.asked_serial) && !walk_mistaken(w, OBEYS_WHEN_STORED))
		next.obeys = 1;
	if (!is_automatic(next.asked_serial) && walk_mistaken(w, FREE_WHEN_ASKED))
		next.obeys = 0;
	walk_to(w, WALK_STEP, &next, "A has the voters store that the mode is %s", is_automatic(next.asked_serial) ? "automatic" : "manual");
}

/* 2.6h, and 2.1: nothing is stored for an epoch below a promise. */
static void stores(const struct state *s, int v, struct walk *w)
{
	const struct voter *me = &s->voters[v];
	if (!s->asked_serial || me->serial >= s->asked_serial || (me->promised && !walk_mistaken(w, STORED_DESPITE_PROMISE)))
		return;
	struct state next = *s;
	next.voters[v].serial = s->asked_serial;
	walk_to(w, WALK_FAULT, &next, "%c stores it, and the answer is lost", letter(v));
	if (is_automatic(s->asked_serial) && !me->promised)
		next.voters[v].grant = A;
	next.stored |= (uint8_t)(1 << v);
	if (is_majority(next.stored))
		next.obeys = is_automatic(s->asked_serial);
	walk_to(w, WALK_STEP, &next, "%c stores it%s", letter(v), is_majority(next.stored) ? ", A knows of a majority" : "");
}

/* What was stored, and the answer lost, is asked again. */
static void answers_again(const struct state *s, int v, struct walk *w)
{
	struct state next = *s;
	if (!s->asked_serial || s->voters[v].serial != s->asked_serial || s->stored >> v & 1)
		return;
	next.stored |= (uint8_t)(1 << v);
	if (is_majority(next.stored))
		next.obeys = is_automatic(s->asked_serial);
	walk_to(w, WALK_STEP, &next, "%c answers again that it has stored it", letter(v));
}

static void grants(const struct state *s, int v, uint8_t site, struct walk *w)
{
	const struct voter *me = &s->voters[v];
	if (site == A ? me->promised || !is_automatic(me->serial) : !s->asked)
		return;
	struct state next = *s;
	next.voters[v].grant = site;
	next.voters[v].promised |= site == B;
	walk_to(w, WALK_STEP, &next, "%c grants to %c", letter(v), letter(site));
}

static void runs_out(const struct state *s, int v, struct walk *w)
{
	struct state next = *s;
	next.voters[v].grant = NOBODY;
	walk_to(w, WALK_STEP, &next, "the last grant of %c runs out", letter(v));
}

/* 2.2: by silence. */
static void promises(const struct state *s, int v, struct walk *w)
{
	const struct voter *me = &s->voters[v];
	if (me->promised || me->grant != NOBODY || (v == A && a_writes(s)))
		return;
	struct state next = *s;
	next.voters[v].promised = 1;
	next.promises |= (uint8_t)(1 << v);
	next.highest = me->serial > s->highest ? me->serial : s->highest;
	walk_to(w, WALK_STEP, &next, "%c promises B's epoch after its silence", letter(v));
}

static void asks(const struct state *s, struct walk *w)
{
	struct state next = *s;
	if (s->asked || !is_majority(s->promises) || (!is_automatic(s->highest) && !walk_mistaken(w, MODE_NOT_LOOKED_AT)))
		return;
	next.asked = 1;
	walk_to(w, WALK_STEP, &next, "B has a majority's promises and writes `asked`");
}

/* A's memory is its own vote record; who was told `manual`, and does not know of a majority, still obeys. */
static void restarts(const struct state *s, struct walk *w)
{
	struct state next = *s;
	if (s->restarts)
		return;
	next.restarts = 1;
	next.asked_serial = s->voters[A].serial;
	next.stored = s->asked_serial == s->voters[A].serial && s->asked_serial ? 1 << A : 0;
	next.obeys = is_automatic(s->voters[A].serial) || s->voters[A].promised || (s->voters[A].serial && s->obeys);
	walk_to(w, WALK_FAULT, &next, "A starts again");
}

static void successors(const void *state, struct walk *w)
{
	const struct state *s = state;
	changes_mode(s, w);
	asks(s, w);
	restarts(s, w);
	for (int v = 0; v < VOTERS; v++) {
		stores(s, v, w);
		answers_again(s, v, w);
		grants(s, v, A, w);
		grants(s, v, B, w);
		runs_out(s, v, w);
		promises(s, v, w);
	}
}

static const char *broken(const void *state)
{
	return a_writes(state) && has_lease(state, B) ? "two sites take writes at the same time" : NULL;
}

const struct walk_model model_modes = {
	.name = "modes", .rules = "2.6h", .size = sizeof(struct state),
	.start = start, .successors = successors, .broken = broken,
	.bounds = {"3 voters, to automatic mode and back, 1 restart", "3 voters, to automatic mode, back and there again, 1 restart"},
	.mistakes = (const struct walk_mistake[]){
		{"2.6h", "the primary obeys its lease when it knows that a majority has stored `automatic` (as first written)"},
		{"2.6h", "the primary is free of its lease when it asks for `manual`"},
		{"2.1", "a voter stores a mode of an epoch below its promise (as first written)"},
		{"2.6h", "a target goes on by silence, whatever the mode"},
		{"2.6h", "the primary's own vote is not the first to be stored (as first written)"},
		{NULL, NULL}},
};
