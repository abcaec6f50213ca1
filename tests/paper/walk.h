/* Walks every state that a set of rules can reach, breadth first, so that the first counterexample is a
 * shortest one. A model is a struct of bytes, a function that names all its next states, and what must
 * never (or always again) be. States are compared in full, never by their hash alone.
 *
 * A model knows nothing of the walk but walk_to(); the walk knows nothing of leases or votes. */
#ifndef PAPER_WALK_H
#define PAPER_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct walk;

/* One rule weakened on purpose. The walk of a model with it must find a counterexample. */
struct walk_mistake {
	const char *rule; /* its number in docs/protocol.md */
	const char *what; /* what is done instead */
};

struct walk_model {
	const char *name;
	const char *rules;
	size_t size; /* bytes of a state; its padding must stay zero */
	int variant; /* for models that share one file */
	void (*start)(const struct walk *w, void *state);
	void (*successors)(const void *state, struct walk *w);
	/* The sentence of the invariant that this state violates, or NULL. */
	const char *(*broken)(const void *state);
	/* Progress, or both NULL: from each state in which it is owed, one that counts as arrived can be
	 * reached by steps alone, without any further fault. `stuck` says it in a sentence. */
	bool (*owed)(const void *state, const struct walk *w);
	bool (*arrived)(const void *state);
	const char *stuck;
	const char *bounds[2]; /* in words: of a plain run, of a long one */
	const struct walk_mistake *mistakes; /* ends with rule NULL; NULL: none */
};

enum walk_kind {
	WALK_STEP, /* what programs and people do */
	WALK_FAULT /* what happens to them */
};

/* For successors(): a state reached by one step, with the sentence that tells it in a story. */
void walk_to(struct walk *w, enum walk_kind kind, const void *next, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
bool walk_mistaken(const struct walk *w, int mistake); /* counted from 1 as in the model's list */
bool walk_thorough(const struct walk *w);
int walk_variant(const struct walk *w);

struct walk_result {
	size_t states, transitions, depth;
	double seconds;
	bool complete;         /* false: cut at the largest number of states */
	const char *violation; /* NULL: none found */
	size_t story;          /* steps of the counterexample */
};

/* mistake 0 is the rules as they are. A counterexample is told to `story` unless that is NULL. */
struct walk_result walk_model(const struct walk_model *model, int mistake, bool thorough, FILE *story);

#endif
