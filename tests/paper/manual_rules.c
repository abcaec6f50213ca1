/* What a site judges by in manual mode (2.5, 2.6, 2.8), from its own record and the documents that it is shown. */
#include "manual.h"

#include <string.h>

const struct manual_bounds manual_bounds[3][2] = {
	[TWO_SITES] = {{2, 3, 1, 1, 1, 3, 2, 1}, {2, 3, 2, 2, 2, 3, 3, 1}},
	[TO_AND_FRO] = {{2, 2, 3, 3, 2, 2, 2, 0}, {2, 2, 4, 4, 2, 2, 3, 1}},
	[THREE_SITES] = {{3, 2, 1, 1, 1, 2, 2, 0}, {3, 2, 2, 2, 1, 2, 2, 1}},
};

const struct manual_bounds *manual_bounds_of(const struct walk *w)
{
	return &manual_bounds[walk_variant(w)][walk_thorough(w)];
}

static uint8_t next_of(const struct manual_pair *pairs, int count, uint8_t of)
{
	for (int i = 0; i < count; i++) {
		if (of && pairs[i].of == of)
			return pairs[i].next;
	}
	return 0;
}
uint8_t manual_receipt_of(const struct manual_state *s, uint8_t epoch)
{
	return next_of(s->receipts, RECEIPTS_MAX, epoch);
}
uint8_t manual_decline_of(const struct manual_state *s, uint8_t epoch)
{
	return next_of(s->declines, DECLINES_MAX, epoch);
}

bool manual_add_pair(struct manual_pair *pairs, int bound, uint8_t of, uint8_t next)
{
	int at = 0;
	if (pairs[bound - 1].of)
		return false;
	while (pairs[at].of && pairs[at].of < of)
		at++;
	memmove(&pairs[at + 1], &pairs[at], sizeof *pairs * (size_t)(bound - 1 - at));
	pairs[at] = (struct manual_pair){of, next};
	return true;
}

static const struct manual_forced no_forced;

static const struct manual_forced *forced_of(const struct manual_state *s, uint8_t epoch)
{
	for (int i = 0; i < FORCED_MAX; i++) {
		if (s->forced[i].epoch == epoch)
			return &s->forced[i];
	}
	return &no_forced;
}

struct manual_forced *manual_forced_for(const struct walk *w, struct manual_state *s, uint8_t epoch)
{
	int at = 0, bound = manual_bounds_of(w)->forced;
	while (at < bound && s->forced[at].epoch && s->forced[at].epoch < epoch)
		at++;
	if (at < bound && s->forced[at].epoch == epoch)
		return &s->forced[at];
	if (s->forced[bound - 1].epoch)
		return NULL;
	memmove(&s->forced[at + 1], &s->forced[at], sizeof s->forced[0] * (size_t)(bound - 1 - at));
	s->forced[at] = (struct manual_forced){.epoch = epoch};
	return &s->forced[at];
}

/* 2.6b: a statement binds those who signed it until its epoch is opened or declined, or its target is gone for
 * good, so that what the statement allows can never be done. */
static bool statement_ended(const struct walk *w, const struct manual_state *s, const struct manual_forced *f)
{
	const struct manual_site *target = &s->sites[site_of(f->epoch)];
	bool gone = target->power == DESTROYED && !walk_mistaken(w, KEPT_DOWN_FOR_EVER);
	return gone || target->opened >= f->epoch || manual_decline_of(s, f->epoch);
}

bool manual_kept_down(const struct walk *w, const struct manual_state *s, int i)
{
	bool kept = false;
	for (int k = 0; k < FORCED_MAX; k++)
		kept = kept || (s->forced[k].named >> i & 1 && !statement_ended(w, s, &s->forced[k]));
	return kept && !walk_mistaken(w, DOWN_FOR_A_MOMENT);
}

/* ---- what a site judges by ---- */

/* The site may open what it opened last, once it is sure of it. */
bool manual_is_entitled(const struct manual_state *s, int i)
{
	const struct manual_site *me = &s->sites[i];
	return me->opened && me->known == me->opened && !me->asked && !manual_receipt_of(s, me->opened);
}

/* 2.6a, 2.5d: receipt -> successor -> its decline -> next ... leads to exactly this epoch. */
static bool chain_leads(const struct walk *w, const struct manual_state *s, uint8_t closed, uint8_t epoch)
{
	uint8_t at = manual_receipt_of(s, closed);
	if (at && walk_mistaken(w, RECEIPT_FITS_ANY))
		return true;
	while (at && at != epoch)
		at = manual_decline_of(s, at);
	return at == epoch && epoch;
}

/* 2.6a, b: the order for `epoch` closes the epoch `known`. That of its own site needs no proof from outside. */
bool manual_closes(const struct walk *w, const struct manual_state *s, uint8_t known, uint8_t epoch)
{
	bool forced = generation_of(epoch) > generation_of(known);
	bool own = site_of(known) == site_of(epoch) && !walk_mistaken(w, OWN_EPOCH_NOT_CLOSED);
	if (epoch <= known)
		return false;
	return chain_leads(w, s, known, epoch) || (forced && (own || forced_of(s, epoch)->named >> site_of(known) & 1));
}

/* 2.6e: a forced epoch begins a generation that nothing promised has: whoever was forced open in that one may
 * have gone on by steps that this site knows nothing of, and would be above. */
bool manual_is_above_promised(const struct walk *w, uint8_t promised, uint8_t epoch)
{
	bool forced = !step_of(epoch) && !walk_mistaken(w, SAME_GENERATION_AGAIN);
	return epoch > promised && (!forced || generation_of(epoch) > generation_of(promised));
}

/* 2.6c-e */
bool manual_form_is_right(const struct walk *w, const struct manual_state *s, int i, uint8_t epoch)
{
	const struct manual_site *me = &s->sites[i];
	if (generation_of(epoch) == generation_of(me->known)) {
		bool to_another = me->promised_to > me->known;
		return !to_another && (me->complete || walk_mistaken(w, REPLAYED_TOO_LITTLE));
	}
	const struct manual_forced *f = forced_of(s, epoch);
	uint8_t others = (uint8_t)(((1 << manual_bounds_of(w)->sites) - 1) & ~(1 << i));
	return !(others & ~(f->promises | f->named)) || walk_mistaken(w, FORCED_WITHOUT_PROMISES);
}

bool manual_vouches_for_somebody(const struct manual_state *s, int i)
{
	bool vouches = false;
	for (int j = 0; j < SITES_MAX; j++)
		vouches = vouches || s->sites[j].vouchers >> i & 1;
	return vouches;
}

/* 2.8b: a person's word: no higher epoch was opened, and nobody else is open, or up and has asked. */
static bool can_be_confirmed(const struct walk *w, const struct manual_state *s, int i)
{
	bool good = s->sites[i].known == s->highest || walk_mistaken(w, CONFIRM_LOOKS_AT_NOW);
	for (int j = 0; j < SITES_MAX; j++)
		good = good && (i == j || s->sites[j].power != UP || (!s->sites[j].open && !s->sites[j].asked));
	return good;
}

/* 2.8b, before every opening and before `asked`. */
bool manual_is_sure(const struct walk *w, const struct manual_state *s, int i)
{
	uint8_t others = (uint8_t)(((1 << manual_bounds_of(w)->sites) - 1) & ~(1 << i));
	return !s->sites[i].cold || !(others & ~s->sites[i].vouchers) || walk_mistaken(w, COLD_START_AT_ONCE) ||
	       can_be_confirmed(w, s, i);
}
