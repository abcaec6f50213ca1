/* Two states of the site lease that can never differ in what follows are made one: sendings that nobody can refer
 * to any more are dropped and the rest numbered anew, and of terms only the order is kept. */
#include <string.h>

#include "lease.h"

bool lease_mistaken(const struct walk *w, int mistake)
{
	static const int lists[] = {[WITH_STORE] = 0, [WITH_RESTORE] = RESTORE_MISTAKES, [WITH_FAILSAFE] = FAILSAFE_MISTAKES};
	return walk_mistaken(w, mistake - lists[walk_variant(w)]);
}

bool lease_can_win(const struct walk *w, const struct lease_state *s, uint8_t base, uint8_t base_term)
{
	if (lease_mistaken(w, SWAP_ON_TERM_ONLY))
		return s->sendings[s->record].term == base_term;
	return base == s->record || base == s->copy;
}

bool lease_has_hope(const struct lease_state *s, uint8_t v)
{
	const struct lease_sending *x = &s->sendings[v];
	const struct lease_instance *by = &s->instances[x->by];
	bool late = x->age == x->length && !(by->left && by->holds == x->term); /* a holder still learns its list */
	return !x->forgotten && x->kind != RELEASE && !late && (by->newest == NONE || v > by->newest);
}

/* 1.2: what a later sending with a shorter length has already ended gives nothing any more. */
static void outlive(const struct walk *w, struct lease_state *s)
{
	for (uint8_t later = 0; later < s->sent && !lease_mistaken(w, SHORTER_FROM_CONFIRMATION); later++) {
		const struct lease_sending *y = &s->sendings[later];
		for (uint8_t v = 0; v < later && !y->forgotten && y->age == y->length; v++) {
			struct lease_sending *x = &s->sendings[v];
			x->age = x->by == y->by && x->term == y->term ? x->length : x->age;
		}
	}
}

/* A right that has run out, and that no answer on its way can prolong, is over. */
static void lapse(const struct walk *w, struct lease_state *s, uint8_t i)
{
	struct lease_instance *me = &s->instances[i];
	bool hope = me->left || lease_mistaken(w, ROUND_REVIVES);
	for (uint8_t v = 0; v < s->sent; v++)
		hope = hope || (s->sendings[v].by == i && lease_has_hope(s, v));
	if (!hope) {
		me->holds = me->newest = NONE;
		me->round_asked = me->round_yes = me->round_age = me->round_length = 0;
	}
	for (uint8_t v = 0; v < s->sent && !hope; v++)
		s->sendings[v].forgotten |= s->sendings[v].by == i && s->sendings[v].kind != ACQUIRE;
}

static bool is_needed(const struct walk *w, const struct lease_state *s, uint8_t v)
{
	const struct lease_sending *x = &s->sendings[v];
	bool needed = v == s->record || v == s->copy;
	if (!x->won)
		needed = needed || lease_can_win(w, s, x->base, x->base_term);
	else
		needed = needed || lease_has_hope(s, v);
	for (int i = 0; i < INSTANCES; i++)
		needed = needed || s->instances[i].seen == v || s->instances[i].newest == v;
	return needed;
}

static void renumber(uint8_t *v, const uint8_t *numbers)
{
	*v = *v == NONE ? NONE : numbers[*v];
}

static void drop_sendings(const struct walk *w, struct lease_state *s)
{
	uint8_t numbers[SENDINGS], kept = 0;
	for (uint8_t v = 0; v < s->sent; v++)
		numbers[v] = is_needed(w, s, v) ? kept++ : NONE;
	for (uint8_t v = 0; v < s->sent; v++) {
		if (numbers[v] == NONE)
			continue;
		struct lease_sending x = s->sendings[v];
		if (x.won)
			x.base = x.base_term = NONE;
		renumber(&x.base, numbers);
		if (x.forgotten || (x.won && !lease_has_hope(s, v)))
			x.age = x.length;
		s->sendings[numbers[v]] = x;
	}
	memset(&s->sendings[kept], 0, sizeof s->sendings[0] * (size_t)(s->sent - kept));
	s->sent = kept;
	renumber(&s->record, numbers);
	renumber(&s->copy, numbers);
	for (int i = 0; i < INSTANCES; i++) {
		renumber(&s->instances[i].seen, numbers);
		renumber(&s->instances[i].newest, numbers);
	}
}

/* Terms are told apart and compared, nothing else: their ranks do. */
static void rank_terms(struct lease_state *s)
{
	uint8_t *terms[2 * SENDINGS + 3 * INSTANCES], ranks[0x20] = {0}, count = 0;
	uint32_t used = 0;
	for (int v = 0; v < s->sent; v++) {
		terms[count++] = &s->sendings[v].term;
		terms[count++] = &s->sendings[v].base_term;
	}
	for (int i = 0; i < INSTANCES; i++) {
		terms[count++] = &s->instances[i].holds;
		terms[count++] = &s->instances[i].knows_term;
		terms[count++] = &s->instances[i].saw_held;
	}
	for (int t = 0; t < count; t++)
		used |= *terms[t] == NONE ? 0 : 1U << *terms[t];
	for (uint8_t t = 0, rank = 0; t < 0x20; t++)
		ranks[t] = used >> t & 1 ? rank++ : 0;
	for (int t = 0; t < count; t++)
		renumber(terms[t], ranks);
}

const struct lease_state *lease_settled(const struct walk *w, struct lease_state *s)
{
	outlive(w, s);
	for (uint8_t i = 0; i < INSTANCES; i++) {
		struct lease_instance *me = &s->instances[i];
		lapse(w, s, i);
		if (me->seen != NONE && !lease_can_win(w, s, me->seen, s->sendings[me->seen].term) && me->seen != me->newest)
			me->seen = NONE, me->watched = 0;
		if (me->saw_held != s->sendings[s->record].term && (s->copy == NONE || me->saw_held != s->sendings[s->copy].term))
			me->saw_held = NONE;
		if (walk_variant(w) != WITH_FAILSAFE)
			me->knows_term = NONE;
	}
	drop_sendings(w, s);
	rank_terms(s);
	return s;
}

