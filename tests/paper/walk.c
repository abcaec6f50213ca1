/* The breadth-first walk: an array of states in the order of their discovery, an open hash table of
 * indices into it, the parent of each for the story, and the edges backwards for questions of progress.
 * Sentences are only formatted when a story is told: the walk expands the parent once more and listens
 * for the child. */
#include "walk.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STORY_MAX = 400, LINE_MAX_BYTES = 300 };
static const uint32_t states_max[2] = {6000000, 20000000};
static const uint32_t nobody = UINT32_MAX;

struct edge {
	uint32_t from, to;
};

struct walk {
	const struct walk_model *model;
	int mistake;
	bool thorough;

	uint8_t *states; /* model->size bytes each */
	uint32_t *parents;
	uint32_t count, room;
	uint32_t *table; /* index + 1, 0: free; a power of two, at most half full */
	size_t table_size;
	struct edge *edges; /* steps only, and only where progress is asked */
	size_t edge_count, edge_room;
	size_t transitions;
	bool cut;
	const char *violation; /* by the newest state, which is looked at as soon as it is added */

	uint32_t from;        /* the state that is being expanded */
	const void *listen;   /* telling: the child whose sentence is wanted */
	char *sentence;       /* telling: where it goes */
};

static void *grown(void *memory, size_t bytes)
{
	void *more = realloc(memory, bytes);
	if (!more) {
		fputs("paper: out of memory\n", stderr);
		exit(2);
	}
	return more;
}

static uint8_t *state_at(const struct walk *w, uint32_t i)
{
	return w->states + (size_t)i * w->model->size;
}

static uint64_t hash_of(const uint8_t *bytes, size_t size)
{
	uint64_t hash = 0x9e3779b97f4a7c15U ^ size;
	while (size) {
		uint64_t word = 0;
		size_t part = size < sizeof word ? size : sizeof word;
		memcpy(&word, bytes, part);
		hash = (hash ^ word) * 0xff51afd7ed558ccdU;
		hash ^= hash >> 32;
		bytes += part;
		size -= part;
	}
	return hash * 0xc4ceb9fe1a85ec53U >> 7;
}

static void grow_table(struct walk *w)
{
	w->table_size = w->table_size ? w->table_size * 2 : 1 << 16;
	free(w->table);
	w->table = grown(NULL, w->table_size * sizeof *w->table);
	memset(w->table, 0, w->table_size * sizeof *w->table);
	for (uint32_t i = 0; i < w->count; i++) {
		size_t slot = hash_of(state_at(w, i), w->model->size) & (w->table_size - 1);
		while (w->table[slot])
			slot = (slot + 1) & (w->table_size - 1);
		w->table[slot] = i + 1;
	}
}

static void grow_states(struct walk *w)
{
	w->room = w->room ? w->room * 2 : 1 << 14;
	w->states = grown(w->states, (size_t)w->room * w->model->size);
	w->parents = grown(w->parents, (size_t)w->room * sizeof *w->parents);
}

/* The index of the state; it is added when it is new. */
static uint32_t index_of(struct walk *w, const void *state)
{
	if ((size_t)w->count * 2 >= w->table_size)
		grow_table(w);
	size_t slot = hash_of(state, w->model->size) & (w->table_size - 1);
	for (; w->table[slot]; slot = (slot + 1) & (w->table_size - 1)) {
		if (!memcmp(state_at(w, w->table[slot] - 1), state, w->model->size))
			return w->table[slot] - 1;
	}
	if (w->count == states_max[w->thorough]) {
		w->cut = true;
		return nobody;
	}
	if (w->count == w->room)
		grow_states(w);
	memcpy(state_at(w, w->count), state, w->model->size);
	w->parents[w->count] = w->from;
	w->table[slot] = w->count + 1;
	w->violation = w->model->broken(state);
	return w->count++;
}

static void add_edge(struct walk *w, uint32_t to)
{
	if (w->edge_count == w->edge_room) {
		w->edge_room = w->edge_room ? w->edge_room * 2 : 1 << 16;
		w->edges = grown(w->edges, w->edge_room * sizeof *w->edges);
	}
	w->edges[w->edge_count++] = (struct edge){w->from, to};
}

void walk_to(struct walk *w, enum walk_kind kind, const void *next, const char *format, ...)
{
	if (w->listen) {
		if (*w->sentence || memcmp(next, w->listen, w->model->size))
			return;
		va_list args;
		va_start(args, format);
		vsnprintf(w->sentence, LINE_MAX_BYTES, format, args);
		va_end(args);
		return;
	}
	if (w->violation)
		return;
	w->transitions++;
	uint32_t to = index_of(w, next);
	if (w->model->owed && kind == WALK_STEP && to != nobody)
		add_edge(w, to);
}

bool walk_mistaken(const struct walk *w, int mistake)
{
	return w->mistake == mistake;
}

bool walk_thorough(const struct walk *w)
{
	return w->thorough;
}

int walk_variant(const struct walk *w)
{
	return w->model->variant;
}

static size_t story_of(const struct walk *w, uint32_t end, uint32_t *path)
{
	size_t steps = 0;
	for (uint32_t i = end; w->parents[i] != nobody && steps < STORY_MAX; i = w->parents[i])
		path[steps++] = i;
	return steps;
}

static void tell(struct walk *w, uint32_t end, const char *violation, FILE *out)
{
	uint32_t path[STORY_MAX];
	char sentence[LINE_MAX_BYTES];
	size_t steps = story_of(w, end, path);
	fprintf(out, "    %s\n", violation);
	for (size_t i = steps; i-- > 0;) {
		*sentence = '\0';
		w->sentence = sentence;
		w->listen = state_at(w, path[i]);
		w->model->successors(state_at(w, w->parents[path[i]]), w);
		fprintf(out, "    %3zu. %s\n", steps - i, sentence);
	}
	w->listen = NULL;
}

/* Walks back over the edges from every state that counts as arrived. Answers the first state, in order of
 * discovery, that is owed progress and was not come upon; nobody: there is none. */
static uint32_t first_stuck(const struct walk *w)
{
	const struct walk_model *m = w->model;
	size_t *heads = grown(NULL, ((size_t)w->count + 2) * sizeof *heads);
	uint32_t *back = grown(NULL, (w->edge_count + 1) * sizeof *back);
	uint32_t *todo = grown(NULL, ((size_t)w->count + 1) * sizeof *todo);
	bool *good = grown(NULL, (size_t)w->count + 1);
	size_t todo_count = 0;

	memset(heads, 0, ((size_t)w->count + 2) * sizeof *heads);
	for (size_t i = 0; i < w->edge_count; i++)
		heads[w->edges[i].to + 2]++;
	for (size_t i = 2; i < (size_t)w->count + 2; i++)
		heads[i] += heads[i - 1];
	for (size_t i = 0; i < w->edge_count; i++)
		back[heads[w->edges[i].to + 1]++] = w->edges[i].from;

	for (uint32_t i = 0; i < w->count; i++) {
		good[i] = m->arrived(state_at(w, i));
		if (good[i])
			todo[todo_count++] = i;
	}
	while (todo_count) {
		uint32_t at = todo[--todo_count];
		for (size_t e = heads[at]; e < heads[at + 1]; e++) {
			if (!good[back[e]]) {
				good[back[e]] = true;
				todo[todo_count++] = back[e];
			}
		}
	}
	uint32_t stuck = nobody;
	for (uint32_t i = 0; i < w->count && stuck == nobody; i++) {
		if (!good[i] && m->owed(state_at(w, i), w))
			stuck = i;
	}
	free(heads);
	free(back);
	free(todo);
	free(good);
	return stuck;
}

static double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void found(struct walk *w, struct walk_result *r, uint32_t state, const char *violation, FILE *story)
{
	uint32_t path[STORY_MAX];
	r->violation = violation;
	r->story = story_of(w, state, path);
	if (story)
		tell(w, state, violation, story);
}

/* Expands state after state; `level_end` is where the next depth begins. */
static void explore(struct walk *w, struct walk_result *r)
{
	uint32_t level_end = w->count;
	uint8_t *state = grown(NULL, w->model->size); /* the array moves while it grows */
	for (uint32_t i = 0; i < w->count && !w->violation; i++) {
		if (i == level_end) {
			level_end = w->count;
			r->depth++;
		}
		memcpy(state, state_at(w, i), w->model->size);
		w->from = i;
		w->model->successors(state, w);
	}
	free(state);
}

struct walk_result walk_model(const struct walk_model *model, int mistake, bool thorough, FILE *story)
{
	struct walk w = {.model = model, .mistake = mistake, .thorough = thorough, .from = nobody};
	struct walk_result r = {0};
	double began = seconds_now();
	uint8_t *first = grown(NULL, model->size);

	memset(first, 0, model->size);
	model->start(&w, first);
	index_of(&w, first);
	explore(&w, &r);
	if (w.violation) {
		found(&w, &r, w.count - 1, w.violation, story);
	} else if (!w.cut && model->owed) {
		uint32_t stuck = first_stuck(&w);
		if (stuck != nobody)
			found(&w, &r, stuck, model->stuck, story);
	}
	r.states = w.count;
	r.transitions = w.transitions;
	r.complete = !w.cut;
	r.seconds = seconds_now() - began;
	free(first);
	free(w.states);
	free(w.parents);
	free(w.table);
	free(w.edges);
	return r;
}
