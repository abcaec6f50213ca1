/* Checks the rules of docs/protocol.md on paper: walks every model, and then every model with each of its
 * deliberate mistakes, which must be found.
 *
 *   paper [--long] [--models | --mistakes] [--model NAME] [--mistake N] [--story]
 *
 * --mistake N tells the counterexample of one mistake of the model named. */
#include <stdlib.h>
#include <string.h>

#include "models.h"

static const struct walk_model *const models[] = {&model_lease, &model_restored, &model_failsafe, &model_manual_two,
	&model_manual_to_and_fro, &model_manual_three, &model_leases, &model_safe,
	&model_safe_again, &model_safe_three, &model_swapping, &model_shrinking, &model_modes,
	&model_birth};
enum { MODELS = sizeof models / sizeof *models };

struct wish {
	bool thorough, models, mistakes, story;
	const char *model;
	int mistake;
};
struct tally {
	int passed, failed;
};

static bool run_rules(const struct walk_model *m, bool thorough)
{
	struct walk_result r = walk_model(m, 0, thorough, stdout);
	bool good = !r.violation && (r.complete || thorough);
	printf("%s %-10s %-12s %9zu states %10zu transitions, depth %3zu, %5.1f s, %s\n", good ? "ok    " : "FAILED", m->name,
		m->rules, r.states, r.transitions, r.depth, r.seconds, r.violation ? "violated" : r.complete ? "complete" : "cut");
	printf("       %s\n", m->bounds[thorough]);
	fflush(stdout);
	return good;
}

static bool run_mistake(const struct walk_model *m, int mistake, bool thorough, FILE *story)
{
	struct walk_result r = walk_model(m, mistake, thorough, story);
	const struct walk_mistake *what = &m->mistakes[mistake - 1];
	printf("%s %-10s %2d %-5s found after %8zu states, in %2zu steps: %s\n", r.violation ? "ok    " : "FAILED", m->name,
		mistake, what->rule, r.states, r.story, what->what);
	if (!r.violation)
		printf("       not found, %s\n", r.complete ? "complete" : "cut");
	fflush(stdout);
	return r.violation;
}

static void count(struct tally *t, bool good)
{
	if (good)
		t->passed++;
	else
		t->failed++;
}

static void run(const struct walk_model *m, const struct wish *wish, struct tally *t)
{
	FILE *story = wish->story || wish->mistake ? stdout : NULL;
	if (wish->model && strcmp(wish->model, m->name))
		return;
	if (wish->models && !wish->mistake)
		count(t, run_rules(m, wish->thorough));
	for (int i = 1; m->mistakes && m->mistakes[i - 1].rule && wish->mistakes; i++) {
		if (!wish->mistake || wish->mistake == i)
			count(t, run_mistake(m, i, wish->thorough, story));
	}
}

static bool understood(int argc, char **argv, struct wish *wish)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--long"))
			wish->thorough = true;
		else if (!strcmp(argv[i], "--models"))
			wish->mistakes = false;
		else if (!strcmp(argv[i], "--mistakes"))
			wish->models = false;
		else if (!strcmp(argv[i], "--story"))
			wish->story = true;
		else if (!strcmp(argv[i], "--model") && i + 1 < argc)
			wish->model = argv[++i];
		else if (!strcmp(argv[i], "--mistake") && i + 1 < argc)
			wish->mistake = atoi(argv[++i]);
		else
			return false;
	}
	return !wish->mistake || wish->model;
}

int main(int argc, char **argv)
{
	struct wish wish = {.models = true, .mistakes = true};
	struct tally tally = {0};
	if (!understood(argc, argv, &wish)) {
		fputs("usage: paper [--long] [--models | --mistakes] [--model NAME [--mistake N]] [--story]\n", stderr);
		return 2;
	}
	for (int i = 0; i < MODELS; i++)
		run(models[i], &wish, &tally);
	printf("%d passed, %d failed\n", tally.passed, tally.failed);
	return tally.failed || !tally.passed;
}
