/* The simulator's command line. `sim --help` lists what it does; `make sim` calls it. */
#include "rt/str.h"
#include "tests/sim/run.h"
#include "tests/sim/run_rules.h"
#include <dirent.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 65536 };
static const char usage[] =
    "sim --seeds N [--from S]  plays histories S .. S+N-1; --first stops at the first failure\n"
    "    --twice N [--from S]  plays each several times, also at other addresses: they must be the same\n"
    "    --sweep K [--from I]  plays every K-th script of the exhaustive sweep\n"
    "    --seed S [--story]    plays one and says how it ended; --story tells what happened\n"
    "    --plan FILE [--story] plays a plan from a file\n"
    "    --script I [--story]  plays one of the sweep\n"
    "    --print S             prints the plan of a seed\n"
    "    --shrink S            makes a failing seed's plan short, prints it and its story; --shrink-plan FILE: a file's\n"
    "    --stories DIR         plays every plan kept there; each must end as its line `expect:` says\n"
    "    --focus DEED[,DEED]   draws these kinds of deeds only; before --seeds, --seed, --print, --shrink, --twice\n"
    "    --rules, --deeds      what can decide, what can happen\n"
    "    --workers W           histories at once, for --seeds and --twice\n";

struct wishes {
    char what; /* which of the options above */
    struct campaign_wish campaign;
    uint64_t seed;
    const char *path;
    bool story, from_given;
};

/* ---- files ---- */

static bool read_text(const char *path, char text[TEXT_MAX]) {
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        return false;
    }
    size_t len = fread(text, 1, TEXT_MAX - 1, file);
    text[len] = 0;
    fclose(file);
    return true;
}

static bool read_plan(const char *path, struct script *p, char text[TEXT_MAX]) {
    char problem[256];
    if (!read_text(path, text))
        return false;
    if (plan_read(text, p, problem, sizeof problem))
        return true;
    fprintf(stderr, "%s: %s\n", path, problem);
    return false;
}

static void print_plan(const struct script *p) {
    STRBUF text = {0};
    plan_write(p, &text);
    fputs(text.at, stdout);
}

/* ---- one history ---- */

static void print_end(const struct sim_result *r) {
    if (r->failed)
        printf("failed at %.3f s: %s: %s\n", (double)r->at / SECOND, r->invariant, r->text);
    else
        printf("fine: %lld events in %.3f s, fingerprint %016llx\n", (long long)r->events, (double)r->at / SECOND, (unsigned long long)r->fingerprint);
}

static int play_one(const struct script *p, bool story) {
    struct sim_result r;
    history_open();
    rules_open(1);
    rules_use(0);
    print_plan(p);
    history_play(p, &(struct manner){.telling = story}, &r);
    rules_show_reached();
    print_end(&r);
    return r.failed;
}

static int play_seed(const struct wishes *w) {
    struct script p;
    plan_draw(w->seed, &p);
    return play_one(&p, w->story);
}

static int play_script(const struct wishes *w) {
    struct script p;
    sweep_draw(w->seed, &p);
    return play_one(&p, w->story);
}

static int play_file(const struct wishes *w) {
    static char text[TEXT_MAX];
    struct script p;
    return read_plan(w->path, &p, text) ? play_one(&p, w->story) : 2;
}

static int print_seed(const struct wishes *w) {
    struct script p;
    plan_draw(w->seed, &p);
    print_plan(&p);
    return 0;
}

/* The plan comes first, with what becomes of it as a comment: it can be kept as it is. */
static int shrink(const struct wishes *w) {
    static char text[TEXT_MAX];
    struct script p;
    struct sim_result r;
    plan_draw(w->seed, &p);
    if (w->path && !read_plan(w->path, &p, text))
        return 2;
    history_open();
    if (!shrink_plan(&p, &r)) {
        puts("it does not fail");
        return 0;
    }
    printf("# %s: %s\n", r.invariant, r.text);
    print_plan(&p);
    puts("");
    history_play(&p, &(struct manner){.telling = true}, &r);
    print_end(&r);
    return 1;
}

/* ---- kept stories ---- */

/* "fine", or the beginning of the invariant that must catch it. */
static bool is_expected(const char *text, const struct sim_result *r) {
    const char *line = strstr(text, "expect: ");
    char word[32] = "fine";
    if (line)
        sscanf(line, "expect: %31s", word);
    return str_eq(word, "fine") ? !r->failed : r->failed && str_starts(r->invariant, word);
}

#define PLAN_SUFFIX ".plan"

static bool play_story(const char *dir, const char *name) {
    static char text[TEXT_MAX];
    char path[512], missing[64];
    struct script p;
    struct sim_result r;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    bool read = read_plan(path, &p, text);
    rules_forget();
    if (read)
        history_play(&p, &(struct manner){0}, &r);
    path[strlen(path) - strlen(PLAN_SUFFIX)] = 0;
    bool reached = rules_story_reached(path + strlen(dir) + 1, missing, sizeof missing), ended = read && is_expected(text, &r);
    printf("%s %s\n", reached && ended ? "ok     " : "FAILED ", name);
    if (read && !ended)
        print_end(&r);
    if (!reached)
        printf("it does not reach%s\n", missing);
    return reached && ended;
}

static const char *stories_path; /* for is_kept */
static bool is_kept(const char *story) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s" PLAN_SUFFIX, stories_path, story);
    return access(path, R_OK) == 0;
}

static int is_plan(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return dot && str_eq(dot, PLAN_SUFFIX);
}

static int play_stories(const struct wishes *w) {
    struct dirent **names;
    int count = scandir(w->path, &names, is_plan, alphasort), failed = 0;
    if (count < 0) {
        perror(w->path);
        return 2;
    }
    history_open();
    rules_open(1);
    rules_use(0);
    stories_path = w->path;
    failed += !rules_stories_exist(is_kept);
    for (int i = 0; i < count; i++)
        failed += !play_story(w->path, names[i]->d_name);
    printf("%d passed, %d failed\n", count + 1 - failed, failed); /* that each rule's story is there is one more */
    return failed > 0;
}

/* ---- lists ---- */

static int list_deeds(const struct wishes *w) {
    (void)w;
#define X(symbol, name, says) printf("%-20s %s\n", name, says);
    DEEDS(X)
#undef X
    return 0;
}
static int list_rules(const struct wishes *w) {
    (void)w;
    rules_list();
    return 0;
}

static int run_campaign(const struct wishes *w) { return campaign_run(&w->campaign) > 0; }

static int run_sweep(const struct wishes *w) {
    struct campaign_wish wish = w->campaign;
    if (!wish.stride)
        return 2;
    wish.draw = sweep_draw;
    wish.replay = "build/sim/sim --story --script ";
    wish.from = w->from_given ? wish.from : 0;
    wish.seeds = (sweep_size() - (int64_t)wish.from + (int64_t)wish.stride - 1) / (int64_t)wish.stride;
    return campaign_run(&wish) > 0;
}

/* ---- options ---- */

struct word {
    char what;
    int (*run)(const struct wishes *w);
};
static const struct word words[] = {{'n', run_campaign}, {'t', run_campaign}, {'e', run_sweep}, {'s', play_seed},  {'i', play_script}, {'f', play_file},
                                    {'P', print_seed},   {'x', shrink},       {'X', shrink},    {'d', play_stories}, {'R', list_rules}, {'D', list_deeds}, {0, NULL}};

static const struct option options[] = {
    {"seeds", required_argument, NULL, 'n'},   {"twice", required_argument, NULL, 't'}, {"seed", required_argument, NULL, 's'},
    {"plan", required_argument, NULL, 'f'},    {"print", required_argument, NULL, 'P'}, {"shrink", required_argument, NULL, 'x'},
    {"shrink-plan", required_argument, NULL, 'X'}, {"stories", required_argument, NULL, 'd'}, {"rules", no_argument, NULL, 'R'},
    {"sweep", required_argument, NULL, 'e'},   {"script", required_argument, NULL, 'i'},
    {"deeds", no_argument, NULL, 'D'},         {"focus", required_argument, NULL, 'F'},
           {"from", required_argument, NULL, 'S'},  {"workers", required_argument, NULL, 'w'},
    {"first", no_argument, NULL, '1'},         {"story", no_argument, NULL, 'T'},       {"help", no_argument, NULL, 'h'},
    {0}};

static bool read_number(const char *text, uint64_t *to) {
    char *end;
    *to = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end;
}

static bool read_option(int option, struct wishes *w) {
    uint64_t number = 0;
    bool wants_number = strchr("ntseiPxSw", option) != NULL;
    if (wants_number && !read_number(optarg, &number))
        return false;
    switch (option) {
    case 'S': w->campaign.from = number, w->from_given = true; return true;
    case 'w': w->campaign.workers = (int)number; return true;
    case '1': w->campaign.until_failure = true; return true;
    case 'T': w->story = true; return true;
    case 'F': return swarm_focus(optarg);
    case 'n': case 't': w->campaign.seeds = (int64_t)number; break;
    case 'e': w->campaign.stride = number; break;
    case 's': case 'i': case 'P': case 'x': w->seed = number; break;
    case 'f': case 'X': case 'd': w->path = optarg; break;
    case 'R': case 'D': break;
    default: return false;
    }
    bool first = !w->what;
    w->what = (char)option;
    w->campaign.again = option == 't';
    return first;
}

int main(int argc, char **argv) {
    struct wishes w = {.campaign = {.draw = plan_draw, .replay = "make sim SEED=", .from = 1, .stride = 1}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (!read_option(option, &w)) {
            fputs(usage, stderr);
            return 2;
        }
    }
    for (const struct word *word = words; word->what; word++)
        if (word->what == w.what && optind == argc)
            return word->run(&w);
    fputs(usage, stderr);
    return 2;
}
