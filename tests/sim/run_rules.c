/* Which rules of the production tables have decided something: a rule that no history reaches is a rule that no history
 * has tested. Stands between the daemons and their decisions (--wrap), changes nothing. */
#include "coordinator/decide/decide.h"
#include "site-agent/decide/decide.h"
#include "rt/str.h"
#include "tests/sim/run_rules.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { RULES_MAX = 256, TABLES_MAX = CONCERN_COUNT + 8 };
struct rule_words {
    const char *id, *name, *sentence;
};
struct table {
    uintptr_t begin, end; /* addresses of its rules */
    size_t size;          /* of one */
    int first;            /* number of its first rule */
};
static struct rule_words words[RULES_MAX];
static int rule_count;
static struct table tables[TABLES_MAX];
static int table_count;

/* ---- what is not expected of random histories ---- */

struct expectation {
    const char *id, *instead;
};
/* Second guards: another check stands before each, so no history gets there as long as that one holds. */
static const struct expectation guards[] = {
    {"L03", "the embedded store answers within the call; for a store that does not (etcd)"},
    {"O07", "nothing is ordered on top of a stop whose outcome the coordinator has not heard"},
    {"R06", "an open site is outranked by a forced move only: not built yet"},
    {"R51", "an open site is outranked by a forced move only: not built yet"},
    {"R35", "a promotion that is accepted waits for vouchers given before (O06), and after its receipt nobody asks for one"},
    {"R44", "the first timeline's identity is kept before its directory is put in its place"},
    {"C01", "obeyed is this coordinator, by its name: here is no other"},
    {"C43", "who orders a decline lets it name the old primary"},
};
/* Meetings too rare for chance: the kept story that each is reached by (`--stories` looks whether it is). */
static const struct expectation rare[] = {
    {"R25", "stop-held-up-past-its-deadline"},
    {"R26", "old-server-hangs-after-receipt"},
    {"R30", "expired-before-asking"},
    {"R31", "opened-by-hand-after-receipt"},
    {"R33", "replay-paused-at-the-target"},
    {"R3C", "behind-leads-after-receipt"},
    {"R40", "birth-on-a-full-disk"},
    {"R6A", "crash-after-asked"},
    {"R47", "power-fails-at-birth"},
    {"C03", "journal-back-after-asked"},
    {"C05", "journal-back-during-stop"},
    {"C11", "create-taken-back"},
    {"C13", "birth-refused-by-the-clock"},
    {"C27", "standby-refused-by-the-clock"},
    {"C30", "journal-back-two-moves-ago"},
    {"C33", "not-followed-in-time"},
    {"C38", "expired-before-asking"},
    {"C40", "clock-ahead-while-giving-back"},
    {"C48", "clock-ahead-while-declining"},
    {"C54", "refused-after-a-stop"},
    {"C78", "journal-back-during-stop"},
    {"C80", "journal-back-during-stop"},
};
enum { GUARDS = sizeof guards / sizeof guards[0], RARE = sizeof rare / sizeof rare[0] };

static int64_t (*counts)[RULES_MAX]; /* [worker][rule], shared memory */
static int64_t *mine;
static int worker_count;

static void begin_table(const void *rules, size_t size) {
    tables[table_count++] = (struct table){.begin = (uintptr_t)rules, .end = (uintptr_t)rules, .size = size, .first = rule_count};
}
static void add_rule(const char *id, const char *name, const char *sentence) {
    struct table *t = &tables[table_count - 1];
    t->end += t->size;
    words[rule_count++] = (struct rule_words){id, name, sentence};
}

static void list_rules(void) {
    if (rule_count)
        return;
    for (int concern = 0; concern < CONCERN_COUNT; concern++) {
        begin_table(rule_tables[concern], sizeof rule_tables[0][0]);
        for (const struct rule *r = rule_tables[concern]; r->id; r++)
            add_rule(r->id, r->name, r->sentence);
    }
    for (const struct rule_table *t = cluster_tables; t->name; t++) {
        begin_table(t->rules, sizeof t->rules[0]);
        for (const struct cluster_rule *r = t->rules; r->head.id; r++)
            add_rule(r->head.id, r->head.name, r->head.sentence);
    }
    begin_table(site_rules, sizeof site_rules[0]);
    for (const struct site_rule *r = site_rules; r->head.id; r++)
        add_rule(r->head.id, r->head.name, r->head.sentence);
}

void rules_open(int workers) {
    list_rules();
    worker_count = workers;
    counts = mmap(NULL, sizeof *counts * (size_t)workers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
}

void rules_use(int worker) { mine = counts[worker]; }

static void note_in(const struct table *t, const void *rule) {
    if (mine)
        mine[t->first + (int)(((uintptr_t)rule - t->begin) / t->size)]++;
}
static void note_coordinators(const void *rule) {
    for (int i = CONCERN_COUNT; i < table_count; i++)
        if ((uintptr_t)rule >= tables[i].begin && (uintptr_t)rule < tables[i].end)
            note_in(&tables[i], rule);
}

/* ---- between the daemons and their decisions ---- */

void __real_decide(const struct view *v, struct plan *out);
void __wrap_decide(const struct view *v, struct plan *out);
void __wrap_decide(const struct view *v, struct plan *out) {
    __real_decide(v, out);
    for (int concern = 0; concern < CONCERN_COUNT; concern++)
        note_in(&tables[concern], out->rules[concern]);
}

void __real_coordinator_decide(const struct cluster_view *v, struct cluster_plan *out);
void __wrap_coordinator_decide(const struct cluster_view *v, struct cluster_plan *out);
void __wrap_coordinator_decide(const struct cluster_view *v, struct cluster_plan *out) {
    __real_coordinator_decide(v, out);
    note_coordinators(out->rule);
    for (uint32_t i = 0; i < v->site_count; i++)
        note_coordinators(out->sites[i]);
}

/* ---- shown ---- */

void rules_list(void) {
    list_rules();
    for (int i = 0; i < rule_count; i++)
        printf("%-4s %-24s %s\n", words[i].id, words[i].name, words[i].sentence);
}

static int64_t count_of(int rule) {
    int64_t sum = 0;
    for (int w = 0; w < worker_count; w++)
        sum += counts[w][rule];
    return sum;
}

static const char *instead_of(int rule, const struct expectation *in, int size) {
    for (int i = 0; i < size; i++)
        if (str_eq(in[i].id, words[rule].id))
            return in[i].instead;
    return NULL;
}

static void show_rule(int rule, const char *note) { printf("  %-4s %-24s %s\n", words[rule].id, words[rule].name, note); }

/* Of the rules in `in`, those that were reached, or were not. */
static void show_of(const char *title, const struct expectation *in, int size, bool reached) {
    puts(title);
    for (int i = 0; i < rule_count; i++)
        if (instead_of(i, in, size) && (count_of(i) > 0) == reached)
            show_rule(i, instead_of(i, in, size));
}

void rules_report(void) {
    int never = 0;
    printf("decisions by rule:");
    for (int i = 0; i < rule_count; i++) {
        bool expected = !instead_of(i, guards, GUARDS) && !instead_of(i, rare, RARE);
        never += expected && !count_of(i);
        if (count_of(i))
            printf(" %s %lld", words[i].id, (long long)count_of(i));
    }
    printf("\nrules never reached: %d of %d\n", never, rule_count - GUARDS - RARE);
    for (int i = 0; i < rule_count; i++)
        if (!count_of(i) && !instead_of(i, guards, GUARDS) && !instead_of(i, rare, RARE))
            show_rule(i, "");
    show_of("not reached here, but by kept stories:", rare, RARE, false);
    show_of("second guards, not expected:", guards, GUARDS, false);
    show_of("second guards that were reached all the same:", guards, GUARDS, true);
}

void rules_show_reached(void) {
    printf("decided:");
    for (int i = 0; i < rule_count; i++)
        if (count_of(i))
            printf(" %s", words[i].id);
    puts("");
}

void rules_forget(void) { memset(counts, 0, sizeof *counts * (size_t)worker_count); }

bool rules_story_reached(const char *story, char *missing, size_t size) {
    size_t at = 0;
    missing[0] = 0;
    for (int i = 0; i < rule_count; i++) {
        const char *by = instead_of(i, rare, RARE);
        if (by && str_eq(by, story) && !count_of(i) && at < size)
            at += (size_t)snprintf(missing + at, size - at, " %s", words[i].id);
    }
    return at == 0;
}

bool rules_stories_exist(bool (*is_kept)(const char *story)) {
    bool all = true;
    for (int i = 0; i < RARE; i++)
        if (!is_kept(rare[i].instead)) {
            printf("FAILED  no story %s, which is to reach %s\n", rare[i].instead, rare[i].id);
            all = false;
        }
    return all;
}
