/* Automatic mode (2.1 to 2.5, 4.5), as two questions. `leases`: can two sites hold a write lease? Three voters,
 * each a site, nothing but epochs and time. `safe`: is an acknowledged write lost where `safe` says that none
 * is? With writes, `safe` and what the target learns from promises; three sites, or two and a witness.
 *
 * Any order may arrive at any target at any time, for any epoch (in `safe`, a target whose order is overtaken by
 * another's forgets it). The primary asks without pause and each voter's grant counts by itself, from a
 * question of the same tick: nothing else gives more. Lost questions and answers, and new speakers that
 * begin a silence anew, only take away and need no states of their own.
 *
 * Time is in ticks as in lease.c; `safe` has none, but each voter's grant runs out at some moment, for the
 * holder and for the voter at once: that the one is never later than the other is what `leases` shows.
 * An epoch is one byte, number and site.
 *
 * Not covered: the site lease below each voter (lease.c), lag limits in `safe` (it names a target or nobody),
 * several synchronous targets, changes of the voter set and of the mode (voters.c). */
#include "automatic.h"

#include <string.h>

#include "models.h"

static const struct automatic_bounds all_bounds[4][2] = {
	[LEASES] = {{3, 2, 2, 0, 1}, {3, 3, 1, 0, 0}},
	[SAFE] = {{2, 2, 1, 1, 1}, {2, 2, 1, 2, 1}},
	[SAFE_AGAIN] = {{2, 3, 1, 0, 0}, {2, 3, 1, 1, 0}},
	[SAFE_THREE] = {{3, 2, 1, 0, 1}, {3, 2, 1, 1, 0}},
};

static const struct automatic_bounds *bounds_of(const struct walk *w)
{
	return &all_bounds[walk_variant(w)][walk_thorough(w)];
}

/* A has opened the first epoch with everybody's grant; its commits wait for B, and B is safe. */
static void start(const struct walk *w, void *state)
{
	struct automatic_state *s = state;
	s->highest = epoch_of(1, 0);
	for (int i = 0; i < VOTERS; i++) {
		s->voters[i] = (struct automatic_voter){.promised = s->highest, .granted = s->highest, .safe = {s->highest, 0, 1}};
		s->sites[i] = (struct automatic_site){.complete = 1, .waits_for = NOBODY, .change_target = NOBODY};
		s->sites[i].best.target = NOBODY;
		s->sites[0].grants[i] = bounds_of(w)->length;
	}
	s->sites[0].opened = s->highest;
	s->sites[0].waits_for = walk_variant(w) == LEASES ? NOBODY : 1;
}

/* ---- voters ---- */

/* 2.2, 2.4: GRANT. Counted from the answer, it may last longer than the voter's silence. */
static void grants(const struct automatic_state *s, int v, int i, struct walk *w)
{
	uint8_t epoch = automatic_wants(&s->sites[i]);
	if (!automatic_can_lead(w, s, i) || (epoch < s->voters[v].promised && !automatic_mistaken(w, GRANT_BELOW_PROMISE)))
		return;
	struct automatic_state next = *s;
	struct automatic_voter *voter = &next.voters[v];
	voter->granted = epoch > voter->granted ? epoch : voter->granted;
	voter->promised = epoch > voter->promised ? epoch : voter->promised;
	voter->quiet = 0;
	for (int j = 0; j < VOTERS && walk_variant(w) != LEASES; j++)
		next.sites[j].grants[v] = 0;
	next.sites[i].grants[v] = (uint8_t)(bounds_of(w)->length + automatic_mistaken(w, LEASE_FROM_ANSWER));
	walk_to(w, WALK_STEP, automatic_settled(w, &next), "%c grants %d %c", letter(v), number_of(epoch), letter(i));
}

static bool is_above(const struct automatic_safe *a, const struct automatic_safe *b)
{
	return a->epoch > b->epoch || (a->epoch == b->epoch && a->serial > b->serial);
}

/* 2.2: silence, or a receipt of an epoch no lower than what it granted, or proof that the holder is fenced. */
static const char *reason_to_promise(const struct walk *w, const struct automatic_state *s, int v)
{
	const struct automatic_voter *me = &s->voters[v];
	if (automatic_writes_now(s, v))
		return NULL;
	if (me->quiet >= bounds_of(w)->length || automatic_mistaken(w, NO_SILENCE))
		return "after its silence";
	if (s->sites[site_of(me->granted)].destroyed)
		return "on a fence proof";
	for (int i = 0; i < VOTERS; i++) {
		uint8_t of = s->sites[i].receipt_of;
		if (of && (me->granted <= of || automatic_mistaken(w, HANDOVER_OF_OLDER)))
			return "on a receipt";
	}
	return NULL;
}

/* 2.3: the first promise tells of an order that the target has stored, whatever it did for a lower one. */
static bool takes_order(const struct walk *w, struct automatic_state *next, int i, uint8_t epoch)
{
	struct automatic_site *me = &next->sites[i];
	if (me->order == epoch)
		return true;
	if (automatic_writes_now(next, i) || epoch <= me->order || epoch <= me->asked || epoch <= me->opened ||
	    me->destroyed || (epoch <= next->voters[i].promised && site_of(next->voters[i].promised) != i))
		return false;
	me->order = epoch;
	me->promises = me->last_writer = 0;
	me->best = (struct automatic_safe){0, 0, NOBODY};
	for (int j = 0; j < VOTERS && walk_variant(w) != LEASES; j++)
		next->sites[j].order = j == i ? epoch : 0;
	return true;
}

static void promises(const struct automatic_state *s, int v, uint8_t epoch, struct walk *w)
{
	int i = site_of(epoch);
	const struct automatic_voter *me = &s->voters[v];
	struct automatic_state next = *s;
	const char *reason = epoch > me->promised ? reason_to_promise(w, s, v) : NULL;
	if (!reason || !takes_order(w, &next, i, epoch))
		return;
	struct automatic_site *target = &next.sites[i];
	next.voters[v].promised = epoch;
	target->promises |= (uint8_t)(1 << v);
	target->last_writer = me->granted > target->last_writer ? me->granted : target->last_writer;
	if (!target->best.epoch || is_above(&me->safe, &target->best))
		target->best = me->safe;
	walk_to(w, WALK_STEP, automatic_settled(w, &next), "%c promises %d %c %s", letter(v), number_of(epoch), letter(i), reason);
}

/* The mistakes of one who begins to speak for a voter: that the last grant was long ago, that the store is true. */
static void changes_speaker(const struct automatic_state *s, int v, struct walk *w)
{
	struct automatic_state next = *s;
	next.voters[v].quiet = bounds_of(w)->length;
	if (automatic_mistaken(w, NEW_SPEAKER_PROMISES))
		walk_to(w, WALK_FAULT, automatic_settled(w, &next), "the voter %c gets a new speaker", letter(v));
	next.voters[v].promised = next.voters[v].granted = epoch_of(1, 0);
	next.voters[v].safe = (struct automatic_safe){epoch_of(1, 0), 0, 1};
	if (automatic_mistaken(w, VOTER_FORGETS))
		walk_to(w, WALK_FAULT, automatic_settled(w, &next), "the store of %c goes back to an older copy", letter(v));
}

/* ---- the primary ---- */

/* A commit that waits for a site is acknowledged only when that has all. */
static void writes(const struct automatic_state *s, int i, struct walk *w)
{
	uint8_t waits_for = s->sites[i].waits_for;
	if (!automatic_writes_now(s, i) || (waits_for != NOBODY && !s->sites[waits_for].complete))
		return;
	struct automatic_state next = *s;
	for (int j = 0; j < VOTERS; j++) {
		if (j != waits_for && j != i)
			next.sites[j].complete = 0;
	}
	walk_to(w, WALK_STEP, automatic_settled(w, &next), "%c acknowledges a write", letter(i));
}

/* 4.4: commits wait for the site before anybody is told that it is safe. */
static void begins_to_wait(const struct automatic_state *s, int i, int target, struct walk *w)
{
	if (!automatic_writes_now(s, i) || s->sites[i].waits_for != NOBODY || target == i ||
	    s->changes == bounds_of(w)->changes)
		return;
	struct automatic_state next = *s;
	next.sites[i].waits_for = (uint8_t)target;
	walk_to(w, WALK_STEP, automatic_settled(w, &next), "commits at %c wait for %c from now on", letter(i), letter(target));
}

/* 4.5: `safe` as soon as the target is confirmed; "not safe" before it is waited for no longer. */
static void changes_safe(const struct automatic_state *s, int i, struct walk *w)
{
	const struct automatic_site *me = &s->sites[i];
	const struct automatic_voter *own = &s->voters[i];
	if (!automatic_writes_now(s, i) || me->waits_for == NOBODY || me->change_serial)
		return;
	uint8_t serial = own->safe.epoch == me->opened ? (uint8_t)(own->safe.serial + 1) : 1;
	for (int v = 0; v < VOTERS; v++) {
		if (s->voters[v].safe.epoch == me->opened && s->voters[v].safe.serial >= serial)
			serial = (uint8_t)(s->voters[v].safe.serial + 1);
	}
	if (s->changes == bounds_of(w)->changes)
		return;
	struct automatic_state next = *s;
	struct automatic_site *mine = &next.sites[i];
	next.changes++;
	mine->change_serial = serial;
	mine->change_target = me->waits_for;
	if (s->sites[me->waits_for].complete)
		walk_to(w, WALK_STEP, automatic_settled(w, &next), "%c has the voters store that %c is safe", letter(i), letter(me->waits_for));
	mine->change_target = NOBODY;
	if (automatic_mistaken(w, LOOSENED_FIRST))
		mine->waits_for = NOBODY;
	walk_to(w, WALK_STEP, automatic_settled(w, &next), "%c has the voters store that nobody is safe", letter(i));
}

/* 2.1, 4.5: a voter that has promised a higher epoch stores nothing of a lower one: its word is out. */
static void stores_safe(const struct automatic_state *s, int v, int i, struct walk *w)
{
	const struct automatic_site *me = &s->sites[i];
	struct automatic_safe safe = {me->opened, me->change_serial, me->change_target};
	if (!me->change_serial || me->change_stored >> v & 1 || !automatic_writes_now(s, i) || !is_above(&safe, &s->voters[v].safe) ||
	    (me->opened < s->voters[v].promised && !automatic_mistaken(w, SAFE_BELOW_PROMISE)))
		return;
	struct automatic_state next = *s;
	struct automatic_site *mine = &next.sites[i];
	next.voters[v].safe = safe;
	mine->change_stored |= (uint8_t)(1 << v);
	bool enough = is_majority(mine->change_stored);
	if (enough && safe.target == NOBODY)
		mine->waits_for = NOBODY;
	if (enough) {
		mine->change_serial = mine->change_stored = 0;
		mine->change_target = NOBODY;
	}
	walk_to(w, WALK_STEP, automatic_settled(w, &next), "%c stores that%s", letter(v), enough ? ", a majority has" : "");
}

/* 2.5b */
static void hands_over(const struct automatic_state *s, int i, struct walk *w)
{
	const struct automatic_site *me = &s->sites[i];
	if (!me->opened || me->opened != s->highest || me->receipt_of == me->opened)
		return;
	for (int j = 0; j < bounds_of(w)->sites; j++) {
		struct automatic_state next = *s;
		struct automatic_site *mine = &next.sites[i];
		uint8_t successor = epoch_of(number_of(me->opened) + 1, j);
		if (j == i || number_of(successor) > bounds_of(w)->numbers)
			continue;
		mine->receipt_of = me->opened;
		mine->successor = successor;
		if (!automatic_mistaken(w, OPENS_AFTER_RECEIPT))
			memset(mine->grants, 0, sizeof mine->grants);
		walk_to(w, WALK_STEP, automatic_settled(w, &next), "%c stops, with a receipt for %d %c", letter(i), number_of(successor), letter(j));
	}
}

/* ---- the target ---- */

/* 2.3: why the target may go on; NULL: only with a person's consent to a loss. Who has only asked for an epoch, by
 * consent, and not opened it, is not its last writer: that consent was for that order. */
static const char *reason_to_go_on(const struct walk *w, const struct automatic_state *s, int i)
{
	const struct automatic_site *me = &s->sites[i], *last = &s->sites[site_of(me->last_writer)];
	bool safe = me->best.target == i && (me->best.epoch == me->last_writer || automatic_mistaken(w, SAFE_OF_ANOTHER_EPOCH));
	bool unopened = me->consented == me->last_writer && !automatic_mistaken(w, CONSENT_FORGOTTEN);
	if (site_of(me->last_writer) == i && !unopened)
		return "as the last possible writer itself";
	if (last->receipt_of == me->last_writer && last->successor == me->order && me->complete)
		return "with all that the receipt names";
	return safe || automatic_mistaken(w, SAFE_NOT_LOOKED_AT) ? "as the site named safe" : NULL;
}

static void asks(const struct automatic_state *s, int i, struct walk *w)
{
	const struct automatic_site *me = &s->sites[i];
	if (!me->order || !is_majority(me->promises))
		return;
	struct automatic_state next = *s;
	struct automatic_site *mine = &next.sites[i];
	const char *reason = reason_to_go_on(w, s, i);
	mine->asked = me->order;
	mine->order = 0;
	memset(mine->grants, 0, sizeof mine->grants);
	mine->consented = reason ? 0 : me->order;
	walk_to(w, WALK_STEP, automatic_settled(w, &next), "%c writes `asked` for %d %c, %s", letter(i), number_of(me->order), letter(i),
		reason ? reason : "with a person's consent");
}

static void opens(const struct automatic_state *s, int i, struct walk *w)
{
	const struct automatic_site *me = &s->sites[i];
	if (!me->asked || !automatic_has_lease(me))
		return;
	struct automatic_state next = *s;
	struct automatic_site *mine = &next.sites[i];
	next.wrong = me->asked <= s->highest ? NOT_ABOVE : me->consented != me->asked && !me->complete ? LOST_WRITES : RIGHT;
	for (int j = 0; j < VOTERS && !me->complete; j++)
		next.sites[j].complete = j == i;
	next.highest = mine->opened = me->asked;
	mine->asked = mine->consented = 0;
	mine->waits_for = NOBODY;
	walk_to(w, WALK_STEP, automatic_settled(w, &next), "%c opens %d %c", letter(i), number_of(me->asked), letter(i));
}

/* ---- all together ---- */

static void replicates(const struct automatic_state *s, int i, struct walk *w)
{
	struct automatic_state next = *s;
	if (s->sites[i].complete || s->sites[site_of(s->highest)].destroyed)
		return;
	next.sites[i].complete = 1;
	walk_to(w, WALK_STEP, automatic_settled(w, &next), "%c gets all the writes of %d %c", letter(i), number_of(s->highest),
		letter(site_of(s->highest)));
}

static void is_destroyed(const struct automatic_state *s, int i, struct walk *w)
{
	struct automatic_state next = *s;
	if (s->destroyed == bounds_of(w)->destroyed)
		return;
	struct automatic_site *me = &next.sites[i];
	next.destroyed++;
	*me = (struct automatic_site){.opened = me->opened, .receipt_of = me->receipt_of, .successor = me->successor, .destroyed = 1,
		.waits_for = NOBODY, .change_target = NOBODY, .best.target = NOBODY};
	walk_to(w, WALK_FAULT, automatic_settled(w, &next), "%c is destroyed", letter(i));
}

static void tick(const struct automatic_state *s, struct walk *w)
{
	struct automatic_state next = *s;
	for (int i = 0; i < VOTERS; i++) {
		struct automatic_site *me = &next.sites[i];
		struct automatic_voter *voter = &next.voters[i];
		for (int v = 0; v < VOTERS; v++)
			me->grants[v] = (uint8_t)(me->grants[v] - (me->grants[v] > 0));
		voter->quiet = (uint8_t)(voter->quiet + (voter->quiet < bounds_of(w)->length));
	}
	walk_to(w, WALK_STEP, automatic_settled(w, &next), "a tick of time passes");
}

/* Without clocks: the voter's last grant has run out, and so it is silent. */
static void runs_out(const struct automatic_state *s, int v, struct walk *w)
{
	struct automatic_state next = *s;
	next.voters[v].quiet = bounds_of(w)->length;
	for (int i = 0; i < VOTERS; i++)
		next.sites[i].grants[v] = 0;
	walk_to(w, WALK_STEP, automatic_settled(w, &next), "the last grant of %c runs out", letter(v));
}

static void site_acts(const struct automatic_state *s, int i, struct walk *w)
{
	hands_over(s, i, w);
	asks(s, i, w);
	opens(s, i, w);
	if (walk_variant(w) == LEASES)
		return;
	writes(s, i, w);
	changes_safe(s, i, w);
	replicates(s, i, w);
	for (int j = 0; j < bounds_of(w)->sites; j++)
		begins_to_wait(s, i, j, w);
}

static void successors(const void *state, struct walk *w)
{
	const struct automatic_state *s = state;
	if (walk_variant(w) == LEASES)
		tick(s, w);
	for (int v = 0; v < VOTERS; v++) {
		if (walk_variant(w) != LEASES)
			runs_out(s, v, w);
		if (s->sites[v].destroyed)
			continue;
		changes_speaker(s, v, w);
		is_destroyed(s, v, w);
		for (int i = 0; i < bounds_of(w)->sites; i++) {
			grants(s, v, i, w);
			stores_safe(s, v, i, w);
			for (int number = 2; number <= bounds_of(w)->numbers; number++)
				promises(s, v, epoch_of(number, i), w);
		}
		if (v < bounds_of(w)->sites)
			site_acts(s, v, w);
	}
}

static const char *broken(const void *state)
{
	const struct automatic_state *s = state;
	int leases = 0;
	for (int i = 0; i < VOTERS; i++)
		leases += automatic_has_lease(&s->sites[i]);
	if (leases > 1)
		return "two sites hold a write lease at the same time";
	if (s->wrong == NOT_ABOVE)
		return "an epoch is opened that is not above all that were opened";
	return s->wrong == LOST_WRITES ? "a site opens as safe and lacks an acknowledged write" : NULL;
}

/* While there is a majority, and a number left for another epoch. */
static bool owed(const void *state, const struct walk *w)
{
	const struct automatic_state *s = state;
	bool room = true;
	for (int i = 0; i < VOTERS; i++) {
		room = room && number_of(s->voters[i].promised) < bounds_of(w)->numbers;
		room = room && number_of(s->sites[i].order) < bounds_of(w)->numbers;
		room = room && number_of(s->sites[i].successor) < bounds_of(w)->numbers;
	}
	return room;
}

static bool arrived(const void *state)
{
	const struct automatic_state *s = state;
	bool open = false;
	for (int i = 0; i < VOTERS; i++)
		open = open || automatic_writes_now(s, i);
	return open;
}

static const struct walk_mistake lease_mistakes[] = {
	{"2.2", "a promise by silence before the voter's own last grant has run out"},
	{"2.2", "a new speaker promises at once"},
	{"2.4", "the lease counts from the answers"},
	{"2.2", "a grant below what was promised"},
	{"2.2", "a promise on a receipt of an epoch below what was granted"},
	{"2.5b", "a site asks for grants after its receipt"},
	{"1.6", "a voter whose store went back goes on"},
	{NULL, NULL}};
static const struct walk_mistake safe_mistakes[] = {
	{"2.3", "the target does not look at `safe`"},
	{"4.5", "commits wait no longer before a majority has stored \"not safe\""},
	{"2.1", "a voter stores `safe` of an epoch below its promise (as first written)"},
	{NULL, NULL}};
static const struct walk_mistake again_mistakes[] = {
	{"2.3", "`safe` of another epoch than the last possible writer's counts (as first written)"},
	{"2.3", "who has asked by consent, and not opened, counts as the last writer (as first written)"},
	{NULL, NULL}};

#define AUTOMATIC(title, cited, which, plain, thorough_run, list) { \
	.name = title, .rules = cited, .size = sizeof(struct automatic_state), .variant = which, .start = start, \
	.successors = successors, .broken = broken, .owed = owed, .arrived = arrived, \
	.stuck = "no site can ever be opened again", .bounds = {plain, thorough_run}, .mistakes = list}

const struct walk_model model_leases = AUTOMATIC("leases", "2.1-2.5", LEASES,
	"3 sites, 2 epochs, 1 site destroyed, lease of 2 ticks", "3 sites, 3 epochs, lease of 1 tick", lease_mistakes);
const struct walk_model model_safe = AUTOMATIC("safe", "2.3,4.5", SAFE,
	"2 sites and a witness, 2 epochs, 1 change of `safe`, 1 site destroyed",
	"2 sites and a witness, 2 epochs, 2 changes of `safe`, 1 site destroyed", safe_mistakes);
const struct walk_model model_safe_again = AUTOMATIC("safe-again", "2.3,4.5", SAFE_AGAIN,
	"2 sites and a witness, 3 epochs", "2 sites and a witness, 3 epochs, 1 change of `safe`", again_mistakes);
const struct walk_model model_safe_three = AUTOMATIC("safe-3", "2.3,4.5", SAFE_THREE,
	"3 sites, 2 epochs, 1 site destroyed", "3 sites, 2 epochs, 1 change of `safe`", NULL);
