/* Which rules of the production tables have decided something: a rule that no history reaches is a rule that no history
 * has tested. Stands between the daemons and their decisions (--wrap), changes nothing. */
#include "coordinator/decide/decide.h"
#include "site-agent/decide/decide.h"
#include "tests/sim/run_rules.h"
#include <stdio.h>
#include <stdlib.h>
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

void rules_report(void) {
    int never = 0;
    printf("decisions by rule:");
    for (int i = 0; i < rule_count; i++) {
        int64_t count = count_of(i);
        never += !count;
        if (count)
            printf(" %s %lld", words[i].id, (long long)count);
    }
    printf("\nrules never reached: %d of %d\n", never, rule_count);
    for (int i = 0; i < rule_count; i++)
        if (!count_of(i))
            printf("  %-4s %s\n", words[i].id, words[i].name);
}
