/* The site lease: one record, three instances, three models. `lease` has the store as the only judge (1.1 to
 * 1.6); in `restored` that is put back from an older copy (1.5, 1.6); `failsafe` has the electors' answers
 * beside it, and a list of electors that changes (1.7, 1.8).
 *
 * A sending is one swap sent to the store, and at the same time the version of the record that it makes if
 * it wins. So "the whole record last read" (1.1) is one number, and the store is the number of the version
 * in force. A sending may win at any later time or never, and its outcome may stay unknown; a read may
 * answer late. How often anything is sent is not bounded: what nobody can refer to any more is dropped and
 * the rest numbered anew. A dead agent is one that does nothing, so a crash is only what a restart forgets.
 *
 * Time is in ticks of the slowest clock that is allowed: a right of n ticks lasts n ticks at most (to end
 * it earlier is always allowed, so faster clocks of holders need no states of their own), and the drift
 * margin of 1.4 makes a wait of the fastest clock n ticks at least; without the margin it can be one less.
 *
 * Not covered: comparing the durable copies of a store that went back (1.6: here a person decides at once
 * and the new store is met as in 1.5), embedded stores (1.9). */
#include "lease.h"

#include "models.h"

static const struct lease_bounds all_bounds[3][2] = {
	[WITH_STORE] = {{3, 1, 2, 0, {2, 3}}, {3, 2, 2, 0, {1, 2}}},
	[WITH_RESTORE] = {{2, 1, 0, 1, {1, 2}}, {2, 1, 1, 1, {1, 2}}},
	[WITH_FAILSAFE] = {{3, 1, 1, 0, {1, 2}}, {3, 2, 1, 0, {1, 2}}},
};

static const struct lease_bounds *bounds_of(const struct walk *w)
{
	return &all_bounds[walk_variant(w)][walk_thorough(w)];
}

static char name(int i)
{
	return (char)('A' + i);
}

static uint8_t less(uint8_t a, uint8_t b)
{
	return a > b ? (uint8_t)(a - b) : 0;
}

/* A has just acquired, and nobody else has looked yet. */
static void start(const struct walk *w, void *state)
{
	struct lease_state *s = state;
	s->copy = NONE;
	s->sent = 1;
	s->sendings[0] = (struct lease_sending){.base = NONE, .base_term = NONE, .length = bounds_of(w)->lengths[1],
		.won = 1, .electors = walk_variant(w) == WITH_FAILSAFE ? 3 : 7};
	for (int i = 1; i < INSTANCES; i++)
		s->instances[i] = (struct lease_instance){.seen = NONE, .saw_held = NONE, .holds = NONE, .newest = NONE, .knows_term = NONE};
	s->instances[0].left = s->sendings[0].length;
}

/* ---- the store ---- */

/* 1.1: a swap on the whole record last read. */
static void arrivals(const struct lease_state *s, struct walk *w)
{
	for (uint8_t v = 0; v < s->sent && !s->unreachable; v++) {
		const struct lease_sending *x = &s->sendings[v];
		bool wins = lease_mistaken(w, SWAP_ON_TERM_ONLY) ? x->base_term == s->sendings[s->record].term : x->base == s->record;
		if (x->won || !wins)
			continue;
		struct lease_state next = *s;
		next.record = v;
		next.sendings[v].won = 1;
		walk_to(w, WALK_STEP, lease_settled(w, &next), "the store swaps in %c's %s", name(x->by),
			x->kind == ACQUIRE ? "acquisition" : x->kind == RENEW ? "renewal" : "release");
	}
}

/* 1.6: the store comes back from an older copy. Either it was out of reach for a whole length, or it has a new
 * store_id: then nothing sent before can win, and all meet it as for the first time and wait the largest
 * length, as the length that its record names may be older than the last one agreed. */
static void restores(const struct lease_state *s, struct walk *w)
{
	struct lease_state next = *s;
	if (s->restores == bounds_of(w)->restores || s->unreachable)
		return;
	if (s->copy != s->record) {
		next.copy = s->record;
		walk_to(w, WALK_FAULT, lease_settled(w, &next), "a copy of the store is taken");
	}
	if (s->copy == NONE || s->copy == s->record)
		return;
	next = *s;
	next.record = s->copy;
	next.copy = NONE;
	next.restores++;
	next.unreachable = lease_mistaken(w, RESTORED_AT_ONCE) ? 0 : bounds_of(w)->lengths[1];
	walk_to(w, WALK_FAULT, lease_settled(w, &next), "the store goes away and is put back from the copy");

	next = *s;
	next.restores++;
	next.record = next.sent++;
	next.sendings[next.record] = s->sendings[s->copy];
	next.sendings[next.record].forgotten = 1;
	if (!lease_mistaken(w, RESTORED_LENGTH))
		next.sendings[next.record].length = bounds_of(w)->lengths[1];
	next.copy = NONE;
	for (int i = 0; i < INSTANCES && !lease_mistaken(w, RESTORED_RELEASE); i++)
		next.instances[i].saw_held = NONE;
	walk_to(w, WALK_FAULT, lease_settled(w, &next), "the store gets a new store_id and the content of the copy");
}

/* ---- one instance ---- */

/* 1.2: the right that sending v gives now: from its sending on, and no longer than what was sent after it
 * would leave, as a shorter length and a release bind from their sending. */
static uint8_t right_of(const struct walk *w, const struct lease_state *s, uint8_t v)
{
	const struct lease_sending *x = &s->sendings[v];
	uint8_t left = lease_mistaken(w, COUNTED_FROM_ANSWER) ? x->length : less(x->length, x->age);
	for (uint8_t later = (uint8_t)(v + 1); later < s->sent; later++) {
		const struct lease_sending *y = &s->sendings[later];
		if (y->by == x->by && y->term == x->term && !y->forgotten && !lease_mistaken(w, SHORTER_FROM_CONFIRMATION))
			left = lease_least(left, less(y->length, y->age));
	}
	return left;
}

/* 1.2: a sending is known to be in the record, by its answer or because it was read back. */
static void confirms(const struct lease_state *s, uint8_t i, struct walk *w)
{
	for (uint8_t v = 0; v < s->sent; v++) {
		const struct lease_sending *x = &s->sendings[v];
		if (x->by != i || !x->won || !lease_has_hope(s, v) || (x->kind == RENEW && s->instances[i].holds != x->term))
			continue;
		struct lease_state next = *s;
		struct lease_instance *me = &next.instances[i];
		me->newest = me->seen = v;
		me->watched = 0;
		me->saw_held = me->holds = me->knows_term = x->term;
		uint8_t right = right_of(w, s, v);
		me->left = right > me->left ? right : me->left; /* a round of 1.8 may have given more */
		walk_to(w, WALK_STEP, lease_settled(w, &next), "%c learns that its %s is in the record", name(i),
			x->kind == ACQUIRE ? "acquisition" : "renewal");
	}
}

/* Reads may be late; what is not in force any more, nor can be again, might as well not have been read. */
static void reads(const struct lease_state *s, uint8_t i, struct walk *w)
{
	const uint8_t versions[2] = {s->record, s->copy};
	for (int k = 0; k < 2 && !s->unreachable; k++) {
		uint8_t v = versions[k];
		if (v == NONE || s->instances[i].seen == v || (s->sendings[v].by == i && lease_has_hope(s, v)))
			continue;
		const struct lease_sending *x = &s->sendings[v];
		struct lease_state next = *s;
		struct lease_instance *me = &next.instances[i];
		me->watched = lease_mistaken(w, FIRST_SIGHT_IS_ENOUGH) && me->seen == NONE ? LONGEST : 0;
		me->saw_held = x->kind != RELEASE ? x->term : me->saw_held;
		me->seen = v;
		if (me->knows_term == NONE || me->knows_term < x->term)
			me->knows_term = x->term;
		walk_to(w, WALK_STEP, lease_settled(w, &next), "%c reads the record: %s by %c", name(i),
			x->kind == RELEASE ? "released" : "held", name(x->by));
	}
}

static struct lease_sending *send(struct lease_state *next, uint8_t i, enum kind kind, uint8_t length)
{
	struct lease_instance *me = &next->instances[i];
	struct lease_sending *x = &next->sendings[next->sent++];
	uint8_t term = next->sendings[me->seen].term, highest = 0;
	for (int v = 0; v < next->sent - 1; v++)
		highest = next->sendings[v].term > highest ? next->sendings[v].term : highest;
	for (int j = 0; j < INSTANCES; j++)
		highest = next->instances[j].knows_term != NONE && next->instances[j].knows_term > highest
			? next->instances[j].knows_term : highest;
	*x = (struct lease_sending){.base = me->seen, .base_term = term, .by = i, .kind = (uint8_t)kind, .length = length,
		.electors = next->sendings[me->seen].electors, .term = kind == ACQUIRE ? (uint8_t)(highest + 1) : term};
	return x;
}

static bool may_send(const struct walk *w, const struct lease_state *s, uint8_t i)
{
	uint8_t open = 0;
	for (int v = 0; v < s->sent; v++)
		open = (uint8_t)(open + (s->sendings[v].by == i && !s->sendings[v].won));
	return open < bounds_of(w)->open && s->instances[i].seen != NONE && s->sent < SENDINGS - 1;
}

/* 1.4: the ticks of the slowest clock in a wait of the fastest one. rho bounds the drift of one clock against
 * another, so each is off by half of it, in thousandths here; were it the bound for each clock, 1 + 2 rho
 * would fall short of (1 + rho) / (1 - rho), by two hundredths of a percent. */
static uint8_t wait_of(const struct walk *w, uint8_t length)
{
	int off = lease_mistaken(w, RHO_OF_EACH_CLOCK) ? 10 : 5;
	int factor = lease_mistaken(w, NO_MARGIN) ? 1000 : 1020;
	return factor * (1000 - off) >= 1000 * (1000 + off) ? length : (uint8_t)(length - 1);
}

/* 1.4, 1.5: the record was seen unchanged for its whole length, or seen held and then released. */
static bool may_take(const struct walk *w, const struct lease_state *s, uint8_t i)
{
	const struct lease_instance *me = &s->instances[i];
	const struct lease_sending *x = &s->sendings[me->seen];
	if (!(x->electors >> i & 1) && !lease_mistaken(w, NOT_NAMED_TAKES))
		return false; /* 1.7 */
	if (x->kind == RELEASE && me->saw_held == x->term)
		return true;
	uint8_t length = x->kind == RELEASE ? bounds_of(w)->lengths[1] : x->length;
	return me->watched >= wait_of(w, length);
}

static void acquires(const struct lease_state *s, uint8_t i, struct walk *w)
{
	const struct lease_instance *me = &s->instances[i];
	if (me->left || me->holds != NONE || !may_take(w, s, i))
		return;
	struct lease_state next = *s;
	send(&next, i, ACQUIRE, bounds_of(w)->lengths[1]);
	walk_to(w, WALK_STEP, lease_settled(w, &next), "%c, having waited, sends an acquisition", name(i));
}

static bool holds_what_it_saw(const struct lease_state *s, uint8_t i)
{
	const struct lease_instance *me = &s->instances[i];
	const struct lease_sending *x = &s->sendings[me->seen];
	return me->left && me->holds == x->term && x->kind != RELEASE;
}

/* The electors of a renewal: as they are, or with one instance more or less (1.7). */
static bool list_allowed(const struct walk *w, uint8_t old, uint8_t list, uint8_t i)
{
	uint8_t changed = old ^ list;
	if (!(list >> i & 1) || (changed & (changed - 1)))
		return false;
	return !changed || walk_variant(w) == WITH_FAILSAFE;
}

static void renews(const struct lease_state *s, uint8_t i, struct walk *w)
{
	for (uint8_t choice = 0; choice < 2 << INSTANCES && holds_what_it_saw(s, i); choice++) {
		uint8_t length = bounds_of(w)->lengths[choice & 1], list = choice >> 1;
		uint8_t old_list = s->sendings[s->instances[i].seen].electors;
		if (!list_allowed(w, old_list, list, i))
			continue;
		struct lease_state next = *s;
		struct lease_instance *me = &next.instances[i];
		send(&next, i, RENEW, length)->electors = list;
		if (!lease_mistaken(w, SHORTER_FROM_CONFIRMATION))
			me->left = lease_least(me->left, length);
		if (lease_mistaken(w, UNKNOWN_COUNTS))
			me->left = length;
		if (me->round_asked && !lease_mistaken(w, ROUND_OUTLIVES_SHORTER))
			me->round_length = lease_least(me->round_length, (uint8_t)(me->round_age + length));
		walk_to(w, WALK_STEP, lease_settled(w, &next), "%c sends a renewal with the %s length%s", name(i),
			choice & 1 ? "longer" : "shorter", list == old_list ? "" : list > old_list ? ", one elector more" : ", one elector less");
	}
}

/* 1.2, 1.3: the server is gone, then dead-man and state file forget, then the release is sent. */
static void releases(const struct lease_state *s, uint8_t i, struct walk *w)
{
	if (!holds_what_it_saw(s, i))
		return;
	struct lease_state next = *s;
	struct lease_instance *me = &next.instances[i];
	send(&next, i, RELEASE, 0);
	if (!lease_mistaken(w, RELEASE_FROM_CONFIRMATION)) {
		for (uint8_t v = 0; v < s->sent; v++)
			next.sendings[v].forgotten |= next.sendings[v].by == i && next.sendings[v].term == me->holds;
		me->left = 0;
		me->holds = me->newest = NONE;
	}
	walk_to(w, WALK_STEP, lease_settled(w, &next), "%c stops and sends its release", name(i));
}

/* 1.6: what a restart forgets. The holder goes on only while the dead-man still holds its deadline; with the
 * host, dead-man and server are gone, too. */
static void restarts(const struct lease_state *s, uint8_t i, struct walk *w)
{
	if (s->restarts == bounds_of(w)->restarts)
		return;
	struct lease_state next = *s;
	struct lease_instance *me = &next.instances[i];
	next.restarts++;
	*me = (struct lease_instance){.seen = NONE, .saw_held = NONE, .newest = NONE, .knows_term = NONE, .holds = me->holds, .left = me->left};
	for (uint8_t v = 0; v < s->sent; v++)
		next.sendings[v].forgotten |= next.sendings[v].by == i;
	if (lease_mistaken(w, RESTART_WITHOUT_DEADMAN) && me->holds != NONE)
		me->left = bounds_of(w)->lengths[1];
	if (me->left)
		me->knows_term = me->holds;
	walk_to(w, WALK_FAULT, lease_settled(w, &next), "%c's agent dies and starts again", name(i));
	next.instances[i].left = 0;
	walk_to(w, WALK_FAULT, lease_settled(w, &next), "%c's host reboots", name(i));
}

/* The mistake against 1.1: a restarted holder uses a (term, seq) again, and counts from the second sending. */
static void sends_twice(const struct lease_state *s, uint8_t i, struct walk *w)
{
	for (uint8_t v = 0; v < s->sent && lease_mistaken(w, SEQ_TWICE); v++) {
		const struct lease_sending *x = &s->sendings[v];
		if (x->by != i || x->kind != RENEW || !x->forgotten || s->instances[i].holds != x->term)
			continue;
		struct lease_state next = *s;
		next.sendings[v].forgotten = 0;
		next.sendings[v].age = 0;
		walk_to(w, WALK_STEP, lease_settled(w, &next), "%c sends a renewal with a seq that it has used before", name(i));
	}
}

/* ---- failsafe ---- */

/* 1.7, 1.8: whom a holder must ask: the electors of what it knows to be in the record, and of all that it has
 * sent since. A restarted holder does not know what it sent, so it asks nobody before a renewal of this
 * process is confirmed: that ends whatever was on its way. */
static void asks_electors(const struct lease_state *s, uint8_t i, struct walk *w)
{
	const struct lease_instance *me = &s->instances[i];
	uint8_t known = me->newest == NONE && lease_mistaken(w, RESTARTED_HOLDER_ASKS) ? me->seen : me->newest;
	if ((!me->left && !lease_mistaken(w, ROUND_REVIVES)) || me->holds == NONE || me->round_asked || known == NONE || s->sendings[known].term != me->holds)
		return;
	uint8_t asked = s->sendings[known].electors, length = s->sendings[known].length;
	for (uint8_t v = (uint8_t)(known + 1); v < s->sent; v++) {
		const struct lease_sending *x = &s->sendings[v];
		if (x->by != i || x->term != me->holds || x->forgotten)
			continue;
		asked = lease_mistaken(w, ONLY_THE_NEW_LIST) ? x->electors : asked | x->electors;
		length = lease_least(length, x->length);
	}
	asked &= (uint8_t)~(1 << i);
	if (!asked)
		return;
	struct lease_state next = *s;
	next.instances[i].round_asked = asked;
	next.instances[i].round_length = length;
	walk_to(w, WALK_STEP, lease_settled(w, &next), "%c cannot renew and asks %s%s%s", name(i), asked & 1 ? "A " : "",
		asked & 2 ? "B " : "", asked & 4 ? "C" : "");
}

static bool has_open_acquisition(const struct lease_state *s, uint8_t j)
{
	bool open = false;
	for (int v = 0; v < s->sent; v++) {
		const struct lease_sending *x = &s->sendings[v];
		open = open || (x->by == j && x->kind == ACQUIRE && !x->forgotten && s->instances[j].holds != x->term);
	}
	return open;
}

/* 1.8: an elector's yes restarts its own wait. The answer is with the asker at once: later gives less. */
static void answers(const struct lease_state *s, uint8_t i, uint8_t j, struct walk *w)
{
	const struct lease_instance *asker = &s->instances[i], *elector = &s->instances[j];
	bool newer = elector->knows_term != NONE && elector->knows_term > asker->holds;
	if (!((asker->round_asked & ~asker->round_yes) >> j & 1) || newer || has_open_acquisition(s, j))
		return;
	struct lease_state next = *s;
	struct lease_instance *me = &next.instances[i];
	me->round_yes |= (uint8_t)(1 << j);
	if (!lease_mistaken(w, YES_WITHOUT_WAIT))
		next.instances[j].watched = 0;
	if (lease_mistaken(w, ROUND_FROM_LAST_ANSWER))
		me->round_age = 0;
	uint8_t missing = me->round_asked & (uint8_t)~me->round_yes;
	bool all = !missing || (lease_mistaken(w, ONE_MAY_BE_SILENT) && !(missing & (missing - 1)));
	uint8_t left = less(me->round_length, me->round_age);
	if (all) {
		me->left = (me->left || lease_mistaken(w, ROUND_REVIVES)) && left > me->left ? left : me->left;
		me->round_asked = me->round_yes = me->round_age = me->round_length = 0;
	}
	walk_to(w, WALK_STEP, lease_settled(w, &next), "%c says yes to %c%s", name(j), name(i), all ? ", that was enough" : "");
}

static void gives_round_up(const struct lease_state *s, uint8_t i, struct walk *w)
{
	struct lease_state next = *s;
	struct lease_instance *me = &next.instances[i];
	if (!me->round_asked)
		return;
	me->round_asked = me->round_yes = me->round_age = me->round_length = 0;
	walk_to(w, WALK_STEP, lease_settled(w, &next), "%c gives its round up", name(i));
}

/* ---- all together ---- */

static void tick(const struct lease_state *s, struct walk *w)
{
	struct lease_state next = *s;
	for (uint8_t v = 0; v < s->sent; v++)
		next.sendings[v].age = lease_least((uint8_t)(next.sendings[v].age + 1), next.sendings[v].length);
	for (int i = 0; i < INSTANCES; i++) {
		struct lease_instance *me = &next.instances[i];
		me->left = less(me->left, 1);
		me->watched = me->seen == NONE ? 0 : lease_least((uint8_t)(me->watched + 1), bounds_of(w)->lengths[1]);
		me->round_age = me->round_asked ? lease_least((uint8_t)(me->round_age + 1), me->round_length) : 0;
	}
	next.unreachable = less(next.unreachable, 1);
	walk_to(w, WALK_STEP, lease_settled(w, &next), "a tick of time passes");
}

static void acts(const struct lease_state *s, uint8_t i, struct walk *w)
{
	reads(s, i, w);
	confirms(s, i, w);
	restarts(s, i, w);
	sends_twice(s, i, w);
	if (may_send(w, s, i)) {
		renews(s, i, w);
		acquires(s, i, w);
		releases(s, i, w);
	}
	if (walk_variant(w) != WITH_FAILSAFE)
		return;
	asks_electors(s, i, w);
	gives_round_up(s, i, w);
	for (uint8_t j = 0; j < INSTANCES; j++)
		answers(s, i, j, w);
}

static void successors(const void *state, struct walk *w)
{
	const struct lease_state *s = state;
	tick(s, w);
	arrivals(s, w);
	restores(s, w);
	for (uint8_t i = 0; i < bounds_of(w)->instances; i++)
		acts(s, i, w);
}

static const char *broken(const void *state)
{
	const struct lease_state *s = state;
	int holders = 0;
	for (int i = 0; i < INSTANCES; i++)
		holders += s->instances[i].left > 0;
	return holders > 1 ? "two instances hold the site lease at the same time" : NULL;
}

/* Whatever happened: if nothing more does, somebody can hold the lease again. */
static bool owed(const void *state, const struct walk *w)
{
	(void)state, (void)w;
	return true;
}

static bool arrived(const void *state)
{
	const struct lease_state *s = state;
	const struct lease_sending *x = &s->sendings[s->record];
	return x->kind != RELEASE && s->instances[x->by].left && s->instances[x->by].newest == s->record;
}

const struct walk_model model_lease = {
	.name = "lease", .rules = "1.1-1.6", .size = sizeof(struct lease_state), .variant = WITH_STORE,
	.start = start, .successors = successors, .broken = broken, .owed = owed, .arrived = arrived,
	.stuck = "nobody can ever hold the lease again",
	.bounds = {"3 instances with 1 sending each under way, 2 restarts, lengths of 2 and 3 ticks",
		"3 instances with 2 sendings each under way, 2 restarts, lengths of 1 and 2 ticks"},
	.mistakes = (const struct walk_mistake[]){
		{"1.4", "the wait has no margin for drift"},
		{"1.1", "the swap compares the term only"},
		{"1.2", "a renewal of unknown outcome counts"},
		{"1.2", "a renewal counts from its answer"},
		{"1.2", "a shorter length binds from its confirmation"},
		{"1.5", "a record seen for the first time is not waited for"},
		{"1.6", "a restarted holder goes on without the dead-man's word"},
		{"1.1", "a seq is used again after a restart"},
		{"1.2", "a release binds from its confirmation"},
		{"1.4", "rho is the bound for each clock, not for two against each other (as first written)"},
		{NULL, NULL}},
};

const struct walk_model model_restored = {
	.name = "restored", .rules = "1.5, 1.6", .size = sizeof(struct lease_state), .variant = WITH_RESTORE,
	.start = start, .successors = successors, .broken = broken,
	.bounds = {"2 instances with 1 sending each under way, 1 restore, lengths of 1 and 2 ticks",
		"2 instances with 1 sending each under way, 1 restart, 1 restore, lengths of 1 and 2 ticks"},
	.mistakes = (const struct walk_mistake[]){
		{"1.6", "a restored store is there at once, with its old store_id"},
		{"1.5", "in a new store_id the length of the restored record is waited (as first written)"},
		{"1.5", "in a new store_id a release saves the wait of who saw the term held before (as first written)"},
		{NULL, NULL}},
};

const struct walk_model model_failsafe = {
	.name = "failsafe", .rules = "1.7, 1.8", .size = sizeof(struct lease_state), .variant = WITH_FAILSAFE,
	.start = start, .successors = successors, .broken = broken,
	.bounds = {"3 instances with 1 sending each under way, 1 restart, lengths of 1 and 2 ticks",
		"3 instances with 2 sendings each under way, 1 restart, lengths of 1 and 2 ticks"},
	.mistakes = (const struct walk_mistake[]){
		{"1.8", "an elector's yes does not restart its wait"},
		{"1.8", "one elector may stay silent"},
		{"1.7", "while a change of the list is unconfirmed only the new one counts"},
		{"1.8", "the deadline counts from the last answer"},
		{"1.8", "a restarted holder asks before a renewal of this process is confirmed (as first written)"},
		{"1.7", "an instance that is not named takes"},
		{"1.8", "a shorter length does not bind a round that is out (as first written)"},
		{"1.8", "a round revives a hold that has lapsed (as first written)"},
		{NULL, NULL}},
};
