/* Two states of automatic mode that can never differ in what follows are made one: a site for which no majority can
 * come together any more is nobody's primary and nobody's target. */
#include "automatic.h"

#include <string.h>

bool automatic_mistaken(const struct walk *w, int mistake)
{
	static const int lists[] = {[LEASES] = 0, [SAFE] = SAFE_MISTAKES, [SAFE_AGAIN] = AGAIN_MISTAKES, [SAFE_THREE] = SAFE_MISTAKES};
	return walk_mistaken(w, mistake - lists[walk_variant(w)]);
}

bool automatic_has_lease(const struct automatic_site *site)
{
	int counting = 0;
	for (int v = 0; v < VOTERS; v++)
		counting += site->grants[v] > 0;
	return counting >= MAJORITY;
}

bool automatic_writes_now(const struct automatic_state *s, int i)
{
	return automatic_has_lease(&s->sites[i]) && s->sites[i].opened && !s->sites[i].asked;
}

uint8_t automatic_wants(const struct automatic_site *me)
{
	return me->asked ? me->asked : me->opened;
}

/* A majority may still come together for an epoch: whoever has said yes, and whoever has promised nothing higher. */
static bool can_have_majority(const struct automatic_state *s, uint8_t yes, uint8_t epoch, bool again)
{
	for (int v = 0; v < VOTERS; v++) {
		if (s->voters[v].promised < epoch || (again && s->voters[v].promised == epoch))
			yes |= (uint8_t)(1 << v);
	}
	return is_majority(yes);
}

bool automatic_can_lead(const struct walk *w, const struct automatic_state *s, int i)
{
	const struct automatic_site *me = &s->sites[i];
	uint8_t yes = 0;
	for (int v = 0; v < VOTERS; v++)
		yes |= (uint8_t)((me->grants[v] > 0) << v);
	bool spent = automatic_wants(me) == me->receipt_of && !automatic_mistaken(w, OPENS_AFTER_RECEIPT); /* 2.5b */
	bool loose = automatic_mistaken(w, GRANT_BELOW_PROMISE) || automatic_mistaken(w, VOTER_FORGETS);
	return automatic_wants(me) && !me->destroyed && !spent && (loose || can_have_majority(s, yes, automatic_wants(me), true));
}

static void forget_lead(struct automatic_state *s, int i)
{
	struct automatic_site *me = &s->sites[i];
	memset(me->grants, 0, sizeof me->grants);
	me->asked = 0;
	me->opened = me->opened == s->highest ? me->opened : 0;
	me->waits_for = me->change_target = NOBODY;
	me->change_serial = me->change_stored = 0;
}

/* What has no more consequences is forgotten, so that fewer states are told apart. */
const struct automatic_state *automatic_settled(const struct walk *w, struct automatic_state *s)
{
	for (int i = 0; i < VOTERS; i++) {
		struct automatic_site *me = &s->sites[i];
		if (!automatic_can_lead(w, s, i))
			forget_lead(s, i);
		if (!automatic_writes_now(s, i)) {
			me->change_serial = me->change_stored = 0;
			me->change_target = NOBODY;
		}
		if (me->order && !can_have_majority(s, me->promises, me->order, false) && !automatic_mistaken(w, VOTER_FORGETS))
			me->order = 0;
		if (!me->order)
			me->promises = 0;
		if (!me->order || walk_variant(w) == LEASES) {
			me->last_writer = 0;
			me->best = (struct automatic_safe){0, 0, NOBODY};
		}
		if (walk_variant(w) == LEASES)
			me->successor = me->consented = 0;
	}
	return s;
}
