/* The options of all commands: one table from which they are parsed, refused and documented. */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H
#include "rt/err.h"
#include "rt/str.h"

#define OPTION_WORDS_MAX 64
#define OPTION_TIMEOUT_QUESTION_MS 10000
#define OPTION_NOT_GIVEN (-1)

/* X(symbol, name, letter, value, member of option_values, doc) */
#define OPTION_FLAGS(X)                                                                                                \
    X(OPTION_YES, "yes", 'y', yes, "answer the prompt; never a check or a consent")                                    \
    X(OPTION_DRY_RUN, "dry-run", 0, dry_run, "show what would be done, change nothing")                                \
    X(OPTION_WATCH, "watch", 'w', watch, "show it again and again")                                                    \
    X(OPTION_CREATE, "create", 0, create, "the first time: make a new, empty database system on the first site")      \
    X(OPTION_NO_WAIT, "no-wait", 0, no_wait, "return as soon as it is under way")                                      \
    X(OPTION_EXIT_CODE, "exit-code", 0, exit_code, "exit 8 when there are differences or problems")                    \
    X(OPTION_HELP, "help", 'h', help, "this text")                                                                     \
    X(OPTION_VERSION, "version", 0, version, "version of this program")
#define OPTION_TEXTS(X)                                                                                                \
    X(OPTION_CONFIG, "config", 'c', "FILE", config, "configuration of this command")                                   \
    X(OPTION_OUTPUT, "output", 'o', "text|json", output, "json: one document on stdout, progress as JSON lines on stderr") \
    X(OPTION_REASON, "reason", 0, "TEXT", reason, "why, for the record")                                               \
    X(OPTION_TO, "to", 0, "SITE", to, "the site that shall be primary")                                                \
    X(OPTION_OUT, "out", 0, "PLAN", out, "write the plan to a file for apply")                                         \
    X(OPTION_AT, "at", 0, "HOST:PORT", at, "ask this agent, no coordinator")                                           \
    X(OPTION_TOPOLOGY, "topology", 0, "FILE", topology, "where the agents' addresses stand, when no coordinator answers")
#define OPTION_TIMES(X)                                                                                                \
    X(OPTION_DEADLINE, "deadline", 0, "TIME", deadline_ms, "past it, before the point of no return, the move aborts itself (60s)") \
    X(OPTION_TIMEOUT, "timeout", 0, "TIME", timeout_ms, "bounds only the waiting (10s for questions, none for changes)")
/* Known to the interface and not built. */
#define OPTION_LATER(X)                                                                                                \
    X(OPTION_RESTART, "restart") X(OPTION_REMOVE, "remove") X(OPTION_IGNORE_CHECK, "ignore-check") X(OPTION_DIRECT, "direct")    \
    X(OPTION_ACCEPT_LOSS, "accept-loss") X(OPTION_ASSUME_FENCED, "assume-fenced") X(OPTION_LEAVE_BEHIND, "leave-behind")        \
    X(OPTION_FOR, "for")

enum option_number {
#define X(symbol, ...) symbol##_N,
    OPTION_FLAGS(X) OPTION_TEXTS(X) OPTION_TIMES(X) OPTION_LATER(X)
#undef X
};
/* As bits of what a command takes. */
enum option_bit {
#define X(symbol, ...) symbol = 1 << symbol##_N,
    OPTION_FLAGS(X) OPTION_TEXTS(X) OPTION_TIMES(X) OPTION_LATER(X)
#undef X
};
#define OPTION_EVERYWHERE (OPTION_CONFIG | OPTION_OUTPUT | OPTION_HELP | OPTION_VERSION)
#define OPTION_CHANGES (OPTION_YES | OPTION_DRY_RUN | OPTION_REASON | OPTION_IGNORE_CHECK)
#define OPTION_WAITS (OPTION_NO_WAIT | OPTION_TIMEOUT)

struct option_values {
#define X(symbol, name, letter, member, doc) bool member;
    OPTION_FLAGS(X)
#undef X
#define X(symbol, name, letter, value, member, doc) const char *member;
    OPTION_TEXTS(X)
#undef X
#define X(symbol, name, letter, value, member, doc) int64_t member;
    OPTION_TIMES(X)
#undef X
    bool json;      /* -o json */
    unsigned given; /* bits */
};

/* Takes argv apart: options anywhere, "--" ends them. ERR_UNSUPPORTED: known, not built; ERR_INVALID: anything else, with
 * what to use instead. What was understood is in `values` even then. */
bool option_parse(int argc, char **argv, struct option_values *values, const char **words, size_t *word_count, struct err *err);
/* Refuses options that the command does not take. */
bool option_check(const struct option_values *values, unsigned taken, const char *command, struct err *err);
/* One line an option of the set, for help texts. */
void option_usage(unsigned set, struct strbuf *to);
#endif
