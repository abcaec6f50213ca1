/* Birth (3.8): a site with two members, its store, a coordinator that may forget everything, and the first system.
 *
 * The lease is taken for granted here (lease.c): the holder is whoever the record names, any other member may take
 * over at any time, and what a former holder still sends fails, as the record has changed. An identifier
 * stands for the whole system that initdb made.
 *
 * Not covered: the other sites (they have no birth order), topology versions, the content of orders. */
#include "models.h"

enum { MEMBERS = 2, IDENTIFIERS = 3 };
enum { NOTHING, BESIDE, IN_PLACE };

enum mistakes {
	IDENTIFIER_WITHOUT_SWAP = 1,
	RENAME_FIRST,
	BIRTH_DESPITE_REPORTS,
	SITE_HAS_ANSWERED,
	NO_WAY_BACK
};

struct member {
	uint8_t up, directory, identifier;
};
struct state {
	struct member members[MEMBERS];
	uint8_t record, holder, identifier; /* the store; identifier 0: none yet */
	uint8_t ordered;                    /* a birth order is on its way */
	uint8_t knows;                      /* the coordinator remembers a birth */
	uint8_t born, wrong;                /* the identifier that was opened; that another was, in spite of it */
	uint8_t made, crashes, disks_lost, stores_lost, forgotten;
};

static const uint8_t crashes_max[2] = {2, 4};

static char letter(int i)
{
	return (char)('A' + i);
}

static void start(const struct walk *w, void *state)
{
	struct state *s = state;
	(void)w;
	for (int i = 0; i < MEMBERS; i++)
		s->members[i].up = 1;
}

static bool all_are_up(const struct state *s)
{
	return s->members[0].up && s->members[1].up;
}

/* Whether any member that can be asked reports a directory in place. */
static bool data_are_reported(const struct state *s)
{
	bool reported = false;
	for (int i = 0; i < MEMBERS; i++)
		reported = reported || (s->members[i].up && s->members[i].directory == IN_PLACE);
	return reported;
}

/* 3.8: not while anybody reports data or an order, and an empty coordinator not before all have answered: each
 * member, as one that is silent may have what the others do not know of. */
static void orders_birth(const struct state *s, struct walk *w)
{
	struct state next = *s;
	bool reported = data_are_reported(s) || s->record;
	bool all_answered = walk_mistaken(w, SITE_HAS_ANSWERED) ? s->members[0].up || s->members[1].up : all_are_up(s);
	if (s->ordered || s->knows || (reported && !walk_mistaken(w, BIRTH_DESPITE_REPORTS)) || !all_answered)
		return;
	next.ordered = next.knows = 1;
	walk_to(w, WALK_STEP, &next, "the coordinator orders a birth");
}

/* One swap on absence, by a member that has none of its own. */
static void writes_record(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	if (!s->ordered || s->record || s->members[i].directory == IN_PLACE)
		return;
	next.record = 1;
	next.ordered = next.identifier = 0;
	next.holder = (uint8_t)i;
	walk_to(w, WALK_STEP, &next, "%c writes the record, with the order", letter(i));
}

static void takes_over(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	if (!s->record || s->holder == i)
		return;
	next.holder = (uint8_t)i;
	walk_to(w, WALK_STEP, &next, "%c takes the lease", letter(i));
}

static bool is_holder(const struct state *s, int i)
{
	return s->record && s->holder == i;
}

static void makes_system(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	if (!is_holder(s, i) || s->identifier || s->members[i].directory != NOTHING || s->made == IDENTIFIERS)
		return;
	next.members[i].directory = BESIDE;
	next.members[i].identifier = ++next.made;
	walk_to(w, WALK_STEP, &next, "%c runs initdb beside the data directory, system %d", letter(i), next.made);
}

static void swaps_identifier(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	const struct member *me = &s->members[i];
	bool may = (is_holder(s, i) && !s->identifier) || (s->record && walk_mistaken(w, IDENTIFIER_WITHOUT_SWAP));
	if (!may || me->directory == NOTHING || s->identifier == me->identifier ||
	    (me->directory == IN_PLACE && !walk_mistaken(w, RENAME_FIRST)))
		return;
	next.identifier = me->identifier;
	walk_to(w, WALK_STEP, &next, "%c swaps the identifier of system %d into the store", letter(i), me->identifier);
}

static void renames(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	const struct member *me = &s->members[i];
	bool named = s->record && s->identifier == me->identifier;
	if (me->directory != BESIDE || (!named && !walk_mistaken(w, RENAME_FIRST)))
		return;
	next.members[i].directory = IN_PLACE;
	walk_to(w, WALK_STEP, &next, "%c renames system %d into place", letter(i), me->identifier);
}

static void discards_or_clones(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	const struct member *me = &s->members[i], *other = &s->members[!i];
	if (me->directory == BESIDE && s->record && s->identifier && s->identifier != me->identifier) {
		next.members[i].directory = next.members[i].identifier = 0;
		walk_to(w, WALK_STEP, &next, "%c throws system %d away, as the store names another", letter(i), me->identifier);
	}
	if (me->directory == NOTHING && other->up && other->directory == IN_PLACE && s->record && other->identifier == s->identifier) {
		next.members[i] = *other;
		walk_to(w, WALK_STEP, &next, "%c clones system %d", letter(i), other->identifier);
	}
}

static void opens(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	const struct member *me = &s->members[i];
	bool named = s->identifier == me->identifier || walk_mistaken(w, RENAME_FIRST);
	if (!is_holder(s, i) || me->directory != IN_PLACE || !named || s->born == me->identifier)
		return;
	for (int j = 0; j < MEMBERS; j++)
		next.wrong |= s->born && s->members[j].directory == IN_PLACE && s->members[j].identifier == s->born;
	next.born = me->identifier;
	walk_to(w, WALK_STEP, &next, "%c opens system %d", letter(i), me->identifier);
}

/* A store that has gone, with members that have data: a person gives it a record that names what they have. And where it
 * names what no member has, nor ever opened: a person says so, with every member asked. */
static void person_helps(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	const struct member *me = &s->members[i], *other = &s->members[!i];
	if (!s->record && me->directory == IN_PLACE) {
		next.record = next.knows = 1;
		next.holder = (uint8_t)i;
		next.identifier = me->identifier;
		walk_to(w, WALK_STEP, &next, "a person adopts system %d of %c", me->identifier, letter(i));
	}
	bool unknown = s->record && s->identifier && me->identifier != s->identifier && other->identifier != s->identifier;
	if (unknown && all_are_up(s) && !s->born && !walk_mistaken(w, NO_WAY_BACK)) {
		next.identifier = 0;
		walk_to(w, WALK_STEP, &next, "a person says that system %d is nowhere and never was opened", s->identifier);
	}
	if (!s->record && !s->ordered && s->knows && all_are_up(s) && !data_are_reported(s) && !s->born) {
		next.knows = 0;
		walk_to(w, WALK_STEP, &next, "a person has the coordinator forget a birth of which nothing is left");
	}
}

static void fails(const struct state *s, int i, struct walk *w)
{
	struct state next = *s;
	next.members[i].up = 0;
	next.crashes++;
	if (s->crashes < crashes_max[walk_thorough(w)])
		walk_to(w, WALK_FAULT, &next, "%c goes down", letter(i));
	next = *s;
	next.members[i].directory = next.members[i].identifier = 0;
	next.disks_lost = 1;
	if (!s->disks_lost && s->members[i].directory != NOTHING)
		walk_to(w, WALK_FAULT, &next, "%c loses its disk", letter(i));
}

static void surroundings_fail(const struct state *s, struct walk *w)
{
	struct state next = *s;
	next.record = next.holder = next.identifier = 0;
	next.stores_lost = 1;
	if (!s->stores_lost && s->record)
		walk_to(w, WALK_FAULT, &next, "the store is lost");
	next = *s;
	next.knows = 0;
	next.forgotten = 1;
	if (!s->forgotten && s->knows)
		walk_to(w, WALK_FAULT, &next, "the coordinator loses its store");
}

static void successors(const void *state, struct walk *w)
{
	const struct state *s = state;
	orders_birth(s, w);
	surroundings_fail(s, w);
	for (int i = 0; i < MEMBERS; i++) {
		if (!s->members[i].up) {
			struct state next = *s;
			next.members[i].up = 1;
			walk_to(w, WALK_STEP, &next, "%c comes back", letter(i));
			continue;
		}
		writes_record(s, i, w);
		takes_over(s, i, w);
		makes_system(s, i, w);
		swaps_identifier(s, i, w);
		renames(s, i, w);
		discards_or_clones(s, i, w);
		opens(s, i, w);
		person_helps(s, i, w);
		fails(s, i, w);
	}
}

static const char *broken(const void *state)
{
	return ((const struct state *)state)->wrong ? "another system is opened though a member still has the first" : NULL;
}

static bool owed(const void *state, const struct walk *w)
{
	(void)w;
	return ((const struct state *)state)->made < IDENTIFIERS;
}

static bool arrived(const void *state)
{
	return ((const struct state *)state)->born;
}

const struct walk_model model_birth = {
	.name = "birth", .rules = "3.8", .size = sizeof(struct state),
	.start = start, .successors = successors, .broken = broken, .owed = owed, .arrived = arrived,
	.stuck = "the site can never be born",
	.bounds = {"2 members, 3 runs of initdb, 2 crashes, 1 disk, 1 store, 1 coordinator's store lost",
		"2 members, 3 runs of initdb, 4 crashes, 1 disk, 1 store, 1 coordinator's store lost"},
	.mistakes = (const struct walk_mistake[]){
		{"3.8", "the identifier is written whatever the store says"},
		{"3.8", "the rename comes before the swap"},
		{"3.8", "a birth is ordered though data or an order are reported"},
		{"3.8", "a site counts as answered when one of its members has (as first written)"},
		{"3.8", "nothing takes an identifier back that no directory has (as first written)"},
		{NULL, NULL}},
};
