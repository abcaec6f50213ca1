/* Changes of the voter set (2.7), with a failover under way: the write lease of A, a target, versions of the set that
 * are proposed at any time, and messages in any order. `swapping` begins with A, B and C, lets D join, and D is the
 * target; in `shrinking` A and B leave five, and E is the target.
 *
 * Each voter has granted to A, to the target or to nobody, as far as that grant still counts, for the holder and
 * for the voter alike (as in automatic.c). Of the epochs there are two, that of A and the next.
 *
 * Not covered: the statement of operators when no majority is left, versions that also change the length. */
#include "models.h"

enum { VOTERS_MAX = 5, VERSIONS = 4, CHANGES = 2, NOBODY = 0xff };
enum { SWAPPING, SHRINKING };
enum { A = 0 };

static const struct bounds {
	uint8_t voters, first_set, length, target;
} all_bounds[2][2] = {
	[SWAPPING] = {{4, 0x07, 1, 3}, {4, 0x07, 2, 3}},
	[SHRINKING] = {{5, 0x1f, 1, 4}, {5, 0x1f, 1, 4}},
};

enum mistakes {
	NO_WAIT_AFTER_CHANGE = 1,
	ANY_VERSION_COUNTS,
	TWO_AT_ONCE,
	COPY_COUNTS,
	PROMISED_STAYS_BEHIND,
	ONLY_NEW_VOTERS_COPY,
	SWAPPING_MISTAKES = 100, /* the models share the code, not the lists */
	ANYBODY_PROPOSES
};

struct voter {
	uint8_t version;  /* the one that it holds, and answers for */
	uint8_t promised; /* the next epoch */
	uint8_t promised_version; /* NOBODY: only copied from those who were voters before (2.7) */
	uint8_t grant, grant_version; /* to A, to D, to NOBODY */
	uint8_t left, waits; /* ticks for which the grant counts; until it has been silent for a full length */
};
struct version {
	uint8_t set, parent, accepted; /* accepted: by whom of the parent's set; set 0: free */
	uint8_t promised; /* one of them had promised when it accepted */
};
struct state {
	struct voter voters[VOTERS_MAX];
	struct version versions[VERSIONS];
	uint8_t target_opens;
};

static const struct bounds *bounds_of(const struct walk *w)
{
	return &all_bounds[walk_variant(w)][walk_thorough(w)];
}

static bool mistaken(const struct walk *w, int mistake)
{
	return walk_mistaken(w, mistake - (walk_variant(w) == SWAPPING ? SWAPPING_MISTAKES : 0));
}

static char letter(int i)
{
	return (char)('A' + i);
}

static bool is_majority_of(uint8_t set, uint8_t yes)
{
	return 2 * __builtin_popcount(set & yes) > __builtin_popcount(set);
}

static void start(const struct walk *w, void *state)
{
	struct state *s = state;
	s->versions[0].set = bounds_of(w)->first_set;
	for (int v = 0; v < VOTERS_MAX; v++)
		s->voters[v] = (struct voter){.version = s->versions[0].set >> v & 1 ? 0 : NOBODY, .grant = NOBODY};
}

static bool is_in_force(const struct state *s, int version)
{
	const struct version *x = &s->versions[version];
	return !version || is_majority_of(s->versions[x->parent].set, x->accepted);
}

/* 2.7: grants, or promises, of a majority of one version of the set, all given for that version. */
static bool has_majority(const struct walk *w, const struct state *s, int site, bool grants)
{
	for (int x = 0; x < VERSIONS && s->versions[x].set; x++) {
		uint8_t yes = 0;
		for (int v = 0; v < VOTERS_MAX; v++) {
			const struct voter *voter = &s->voters[v];
			bool given = grants ? voter->grant == site : voter->promised;
			bool same = (grants ? voter->grant_version : voter->promised_version) == x || mistaken(w, ANY_VERSION_COUNTS);
			yes |= (uint8_t)((given && same) << v);
		}
		if (is_majority_of(s->versions[x].set, yes) && is_in_force(s, x))
			return true;
	}
	return false;
}

/* For the invariant, whatever the sites believe. */
static bool leads(const struct state *s, int site)
{
	bool leads_in_any = false;
	for (int x = 0; x < VERSIONS; x++) {
		uint8_t yes = 0;
		for (int v = 0; v < VOTERS_MAX; v++)
			yes |= (uint8_t)((s->voters[v].grant == site && s->voters[v].grant_version == x) << v);
		leads_in_any = leads_in_any || (is_majority_of(s->versions[x].set, yes) && is_in_force(s, x));
	}
	return leads_in_any;
}

/* What has no more consequences is made equal, so that fewer states are told apart. */
static const struct state *settled(struct state *s)
{
	for (int x = 1; x < VERSIONS; x++) {
		if (s->versions[x].set && is_in_force(s, x))
			s->versions[x].accepted = s->versions[s->versions[x].parent].set;
	}
	for (int v = 0; v < VOTERS_MAX; v++) {
		struct voter *me = &s->voters[v];
		if (s->target_opens)
			me->promised_version = me->waits = 0;
	}
	return s;
}

/* The version on top of the last one in force: one voter in or out, and never less than three. */
static void proposes(const struct state *s, struct walk *w)
{
	int count = 0, parent = 0;
	while (count < VERSIONS && s->versions[count].set)
		count++;
	for (int x = 0; x < count; x++)
		parent = is_in_force(s, x) ? x : parent;
	bool rival = parent < count - 1;
	if (count == (mistaken(w, ANYBODY_PROPOSES) ? VERSIONS : CHANGES + 1) || (rival && !mistaken(w, ANYBODY_PROPOSES)))
		return;
	for (uint8_t set = 1; set < 1 << bounds_of(w)->voters; set++) {
		uint8_t old = s->versions[parent].set;
		bool lowest_go = set < old && !(set & (old & -old));
		int changed = __builtin_popcount(set ^ s->versions[parent].set);
		if (__builtin_popcount(set) < 3 || changed != (mistaken(w, TWO_AT_ONCE) ? 2 : 1))
			continue;
		if (walk_variant(w) == SHRINKING && !lowest_go)
			continue;
		struct state next = *s;
		next.versions[count] = (struct version){.set = set, .parent = (uint8_t)parent};
		walk_to(w, WALK_STEP, settled(&next), "version %d is proposed: %s%s%s%s%s", count, set & 1 ? "A" : "", set & 2 ? "B" : "",
			set & 4 ? "C" : "", set & 8 ? "D" : "", set & 16 ? "E" : "");
	}
}

/* A voter of the old set accepts, all others follow a version in force, promise or not: voters that refuse because
 * they have promised can stay in different versions for good, with no majority in any. Whoever takes a
 * version over does it as a new voter would: it copies what those who put it in force had promised, and begins
 * its silence anew; else what a majority of the last version but one promised, or granted, is in nobody's
 * memory who counts now. */
static void accepts(const struct state *s, int v, struct walk *w)
{
	const struct voter *me = &s->voters[v];
	for (uint8_t x = 1; x < VERSIONS && s->versions[x].set; x++) {
		const struct version *version = &s->versions[x];
		bool old = me->version == version->parent && s->versions[version->parent].set >> v & 1 && !is_in_force(s, x);
		bool follows = is_in_force(s, x) && (me->version == NOBODY || me->version < x);
		bool open = me->promised && mistaken(w, PROMISED_STAYS_BEHIND);
		if (open || !(old || follows))
			continue;
		struct state next = *s;
		struct voter *mine = &next.voters[v];
		bool joins = me->version == NOBODY;
		mine->version = x;
		if (old)
			next.versions[x].accepted |= (uint8_t)(1 << v);
		if (joins || !mistaken(w, NO_WAIT_AFTER_CHANGE))
			mine->waits = bounds_of(w)->length;
		bool copied = !me->promised && s->versions[follows ? x : version->parent].promised;
		if (copied && (joins || !mistaken(w, ONLY_NEW_VOTERS_COPY))) {
			mine->promised = 1;
			mine->promised_version = mistaken(w, COPY_COUNTS) ? x : NOBODY;
		}
		next.versions[x].promised |= old && mine->promised;
		walk_to(w, WALK_STEP, settled(&next), "%c %s version %d", letter(v), joins ? "joins with" : old ? "accepts" : "follows to", x);
	}
}

static void tick(const struct state *s, struct walk *w)
{
	struct state next = *s;
	for (int v = 0; v < VOTERS_MAX; v++) {
		struct voter *me = &next.voters[v];
		me->waits = (uint8_t)(me->waits - (me->waits > 0));
		me->left = (uint8_t)(me->left - (me->left > 0));
		me->grant = me->left ? me->grant : NOBODY;
		me->grant_version = me->left ? me->grant_version : 0;
	}
	walk_to(w, WALK_STEP, settled(&next), "a tick of time passes");
}

/* Whoever holds a version of the set answers for it; who is not in that set is not asked. */
static bool answers(const struct state *s, int v)
{
	const struct voter *me = &s->voters[v];
	return me->version != NOBODY && s->versions[me->version].set >> v & 1;
}

/* 2.2 */
static void grants(const struct state *s, int v, uint8_t site, struct walk *w)
{
	const struct voter *me = &s->voters[v];
	if (!answers(s, v) || (site == A && me->promised) || (site != A && !s->target_opens))
		return;
	struct state next = *s;
	struct voter *mine = &next.voters[v];
	mine->grant = site;
	mine->left = bounds_of(w)->length;
	mine->grant_version = me->version;
	mine->promised = site != A ? 1 : me->promised;
	walk_to(w, WALK_STEP, settled(&next), "%c grants to %c for version %d", letter(v), letter(site), me->version);
}

static void promises(const struct state *s, int v, struct walk *w)
{
	const struct voter *me = &s->voters[v];
	bool given = me->promised && me->promised_version == me->version; /* again for a newer version, like a new one */
	if (!answers(s, v) || given || me->waits || me->grant != NOBODY || mistaken(w, ANYBODY_PROPOSES)) /* whose dead end needs no failover */
		return;
	struct state next = *s;
	next.voters[v].promised = 1;
	next.voters[v].promised_version = me->version;
	walk_to(w, WALK_STEP, settled(&next), "%c promises the target's epoch for version %d", letter(v), me->version);
}

static void asks(const struct state *s, struct walk *w)
{
	struct state next = *s;
	if (s->target_opens || !has_majority(w, s, bounds_of(w)->target, false))
		return;
	next.target_opens = 1;
	walk_to(w, WALK_STEP, settled(&next), "the target has a majority's promises and writes `asked`");
}

static void successors(const void *state, struct walk *w)
{
	const struct state *s = state;
	tick(s, w);
	proposes(s, w);
	asks(s, w);
	for (int v = 0; v < bounds_of(w)->voters; v++) {
		accepts(s, v, w);
		grants(s, v, A, w);
		grants(s, v, bounds_of(w)->target, w);
		promises(s, v, w);
	}
}

static const char *broken(const void *state)
{
	const struct state *s = state;
	return leads(s, A) && (leads(s, 3) || leads(s, 4)) ? "two sites hold a write lease at the same time" : NULL;
}

static bool owed(const void *state, const struct walk *w)
{
	(void)state, (void)w;
	return true;
}

static bool arrived(const void *state)
{
	return leads(state, A) || leads(state, 3) || leads(state, 4);
}

#define VOTER_SETS(title, which, plain, thorough_run, list) { \
	.name = title, .rules = "2.7", .size = sizeof(struct state), .variant = which, .start = start, \
	.successors = successors, .broken = broken, .owed = owed, .arrived = arrived, \
	.stuck = "no site can ever get a write lease again, with all voters alive", .bounds = {plain, thorough_run}, .mistakes = list}

static const struct walk_mistake swapping_mistakes[] = {
	{"2.7", "proposals on top of the same version (as first written)"},
	{NULL, NULL}};
static const struct walk_mistake shrinking_mistakes[] = {
	{"2.7", "a voter promises without waiting after it has changed its version (as first written)"},
	{"2.7", "grants for different versions count together"},
	{"2.7", "two voters in or out in one version"},
	{"2.7", "a promise that a voter has only copied is repeated as if given (as first written)"},
	{"2.7", "a voter that has promised accepts no other version (as first written)"},
	{"2.7", "only a new voter copies what was promised (as first written)"},
	{NULL, NULL}};

const struct walk_model model_swapping = VOTER_SETS("swapping", SWAPPING,
	"3 voters at first, 1 newcomer, 2 changes, 1 failover, lease of 1 tick",
	"3 voters at first, 1 newcomer, 2 changes, 1 failover, lease of 2 ticks", swapping_mistakes);
const struct walk_model model_shrinking = VOTER_SETS("shrinking", SHRINKING,
	"5 voters at first, A and B leave, 1 failover, lease of 1 tick",
	"5 voters at first, A and B leave, 1 failover, lease of 1 tick", shrinking_mistakes);
