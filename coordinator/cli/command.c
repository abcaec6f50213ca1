/* What `pgregent` can do, in the order in which help shows it. */
#include "coordinator/cli/command.h"
#include "coordinator/cli/habit.h"
#include <string.h>

#define NONE 0
#define ANY OPTION_WORDS_MAX
#define AGENTS (OPTION_AT | OPTION_TOPOLOGY | OPTION_TIMEOUT)
#define NOT_BUILT .most = ANY, .options = ~0u, .run = NULL

const struct command command_table[] = {
    {"validate", NULL, "FILE...", 1, ANY, NONE, cmd_validate, "check topology files offline", false},
    {"plan", NULL, "FILE", 1, 1, OPTION_OUT | OPTION_EXIT_CODE | OPTION_TIMEOUT, cmd_plan, "what apply would change", false},
    {"apply", NULL, "FILE|PLAN", 1, 1, OPTION_CHANGES | OPTION_WAITS | OPTION_CREATE | OPTION_REMOVE | OPTION_RESTART, cmd_apply,
     "make the topology of the file the one in force; never moves the primacy", false},
    {"status", NULL, "[CLUSTER]", 0, 1, AGENTS | OPTION_WATCH | OPTION_EXIT_CODE, cmd_status, "clusters, sites, members, lag, what runs and what is wrong", false},
    {"list", NULL, "[CLUSTER]", 0, 1, AGENTS | OPTION_WATCH | OPTION_EXIT_CODE, cmd_status, "the same as status", false},
    {"explain", NULL, "CLUSTER", 1, 1, AGENTS, cmd_explain, "for each site and member: which rule holds, why, what it waits for", false},
    {"switchover", NULL, "CLUSTER --to SITE", 1, 1, OPTION_CHANGES | OPTION_WAITS | OPTION_TO | OPTION_DEADLINE, cmd_switchover,
     "planned move of the primacy; nothing is lost, or it does not happen", false},
    {"failover", NULL, "CLUSTER --to SITE", 0, NOT_BUILT, "unplanned move", false},
    {"reinstate", NULL, "CLUSTER SITE", 0, NOT_BUILT, "bring a former primary site back as standby", false},
    {"fence", NULL, "CLUSTER SITE", 0, NOT_BUILT, "stop a site's writing", false},
    {"unfence", NULL, "CLUSTER SITE", 0, NOT_BUILT, "take a fence back", false},
    {"confirm", NULL, "CLUSTER SITE", 0, NOT_BUILT, "a person's word that a waiting site is still the primary", false},
    {"operation", "list", "CLUSTER", 1, 1, OPTION_TIMEOUT, cmd_operation_list, "the journal, newest first", false},
    {"operation", "show", "CLUSTER [ID]", 1, 2, OPTION_TIMEOUT, cmd_operation_show, "one operation with its steps; the newest without ID", false},
    {"operation", "watch", "CLUSTER [ID]", 1, 2, OPTION_TIMEOUT, cmd_operation_watch, "follow an operation to its end", false},
    {"operation", "abort", "CLUSTER [ID]", 1, 2, OPTION_CHANGES | OPTION_WAITS, cmd_operation_abort, "take back what has not passed the point of no return", false},
    {"operation", "approve", "CLUSTER ID", 0, NOT_BUILT, "a second signature", false},
    {"operation", "answer", "CLUSTER ID", 0, NOT_BUILT, "a person's answer", false},
    {"slots", NULL, "CLUSTER", 1, 1, AGENTS, cmd_slots, "replication slots and the WAL that they keep", false},
    {"history", NULL, "CLUSTER", 1, 1, AGENTS, cmd_history, "timelines and epochs", false},
    {"readiness", NULL, "CLUSTER [--to SITE]", 0, NOT_BUILT, "would a move work now", false},
    {"local", "switchover", "CLUSTER SITE [--to MEMBER]", 0, NOT_BUILT, "planned change of leader inside a site", false},
    {"local", "failover", "CLUSTER SITE [--to MEMBER]", 0, NOT_BUILT, "unplanned change of leader inside a site", false},
    {"local", "restart", "CLUSTER SITE|MEMBER", 0, NOT_BUILT, "restart PostgreSQL", false},
    {"local", "reload", "CLUSTER SITE|MEMBER", 0, NOT_BUILT, "reload PostgreSQL's configuration", false},
    {"local", "reinit", "CLUSTER SITE|MEMBER", 0, NOT_BUILT, "copy a member anew", false},
    {"pause", NULL, "CLUSTER [SITE] [--for 2h]", 0, NOT_BUILT, "automation off", false},
    {"resume", NULL, "CLUSTER [SITE]", 0, NOT_BUILT, "automation on", false},
    {"key", "generate", "FILE", 1, 1, NONE, cmd_key_generate, "a new Ed25519 key; prints its public half", false},
    {"key", "show", "FILE", 1, 1, NONE, cmd_key_show, "public half and id of a key", false},
    {"key", "revoke", "KEY", 0, NOT_BUILT, "trust a key no more", false},
    {"key", "reset-trust", "", 0, NOT_BUILT, "last resort when all operator keys are lost", false},
    {"order", "show", "FILE", 1, 1, NONE, cmd_order_show, "what a signed document says, and by which keys", false},
    {"order", "sign", "FILE", 0, NOT_BUILT, "sign an order offline", false},
    {"order", "apply", "FILE", 0, NOT_BUILT, "give a signed order to a site", false},
    {"audit", "verify", "", 0, NOT_BUILT, "check the audit chain", false},
    {"docs", "topology", "", 0, 0, NONE, cmd_docs_topology, "reference of the topology file, as Markdown", true},
    {.name = NULL},
};

void command_title(const struct command *command, char *to, size_t size) {
    snprintf(to, size, "pgregent %s%s%s", command->name, command->verb ? " " : "", command->verb ? command->verb : "");
}

static void add_name(const char *names[], size_t *count, const char *name) {
    for (size_t i = 0; i < *count; i++)
        if (str_eq(names[i], name))
            return;
    names[(*count)++] = name;
}

/* Names of the commands, or the verbs of one. */
static size_t collect(const char *of, const char *names[]) {
    size_t count = 0;
    for (const struct command *k = command_table; k->name; k++)
        if (!k->hidden && (!of || str_eq(k->name, of)))
            add_name(names, &count, of ? k->verb : k->name);
    return count;
}

static void unknown_word(const char *of, const char *word, struct err *err) {
    const char *names[sizeof command_table / sizeof *command_table];
    const char *near = str_nearest(word, names, collect(of, names));
    err_set(err, ERR_INVALID, "unknown command \"%s%s%s\"%s%s%s", of ? of : "", of ? " " : "", word, near ? ": did you mean \"" : "", near ? near : "",
            near ? "\"?" : "; pgregent --help lists all");
}

static void verb_missing(const char *name, struct err *err) {
    const char *names[sizeof command_table / sizeof *command_table];
    STRBUF list = {0};
    for (size_t i = 0, count = collect(name, names); i < count; i++)
        strbuf_addf(&list, "%s%s", i ? "|" : "", names[i]);
    err_set(err, ERR_INVALID, "%s what? pgregent %s %s", name, name, list.at);
}

const struct command *command_find(const char *const *words, size_t count, size_t *used, struct err *err) {
    bool has_verbs = false;
    for (const struct command *k = command_table; k->name; k++) {
        if (!str_eq(k->name, words[0]))
            continue;
        has_verbs = k->verb != NULL;
        *used = has_verbs ? 2 : 1;
        if (!has_verbs || (count > 1 && str_eq(k->verb, words[1])))
            return k;
    }
    const char *instead = has_verbs ? NULL : habit_command(words[0]);
    if (instead)
        err_set(err, ERR_INVALID, "there is no \"%s\" here: %s", words[0], instead);
    else if (has_verbs && count < 2)
        verb_missing(words[0], err);
    else
        unknown_word(has_verbs ? words[0] : NULL, words[has_verbs ? 1 : 0], err);
    return NULL;
}

void command_usage(struct strbuf *to) {
    strbuf_add(to, "usage: pgregent [-c FILE] [-o text|json] COMMAND ...\n\n");
    for (const struct command *k = command_table; k->name; k++) {
        char left[80];
        snprintf(left, sizeof left, "%s%s%s%s%s", k->name, k->verb ? " " : "", k->verb ? k->verb : "", k->arguments[0] ? " " : "", k->arguments);
        if (!k->hidden)
            strbuf_addf(to, "  %-44s %s%s\n", left, k->does, k->run ? "" : " (not built yet)");
    }
    strbuf_add(to, "\nOptions of every command:\n");
    option_usage(OPTION_EVERYWHERE, to);
    strbuf_add(to, "\nExit codes: 0 done; 1 failed, a person is needed; 2 usage or invalid file, nothing sent; 3 refused, nothing changed;\n"
                   "4 nobody to talk to, nothing sent; 5 not finished or outcome unknown; 6 aborted, same primary; 7 waits for people;\n"
                   "8 differences or problems (--exit-code).\n");
}

void command_help(const struct command *command, struct strbuf *to) {
    char title[80];
    command_title(command, title, sizeof title);
    strbuf_addf(to, "usage: %s%s%s [OPTIONS]\n\n%s%s\n\n", title, command->arguments[0] ? " " : "", command->arguments, command->does,
                command->run ? "" : " (not built yet)");
    option_usage((command->run ? command->options : 0u) | OPTION_EVERYWHERE, to);
}
