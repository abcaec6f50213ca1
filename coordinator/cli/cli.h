/* What all commands of `pgregent` share: where they read and write, what was typed, whom they may talk to, and how they
 * end. One struct cli per call; nothing is global, so that tests run commands in their own process. */
#ifndef CLI_CLI_H
#define CLI_CLI_H
#include "coordinator/cli/config.h"
#include "coordinator/cli/option.h"
#include "net/http_client.h"
#include <stdio.h>

/* The exit codes that runbooks rely on (docs/interface.md). */
enum cli_exit {
    CLI_DONE = 0,        /* or nothing to do */
    CLI_FAILED = 1,      /* a person is needed */
    CLI_USAGE = 2,       /* or an invalid file; nothing was sent */
    CLI_REFUSED = 3,     /* by a check, or not permitted; nothing changed */
    CLI_NOBODY = 4,      /* to talk to; nothing was sent */
    CLI_UNFINISHED = 5,  /* or outcome unknown; the operation's id is on stderr */
    CLI_ABORTED = 6,     /* same primary, writable */
    CLI_WAITS = 7,       /* for people */
    CLI_DIFFERENT = 8,   /* differences or problems, when asked for by --exit-code */
};

struct cli_io {
    FILE *in, *out, *err;
    bool in_terminal, out_terminal, err_terminal;
};

struct command;
struct cli {
    struct cli_io io;
    const struct command *command;
    struct option_values options;
    const char *words[OPTION_WORDS_MAX]; /* after the command's name */
    size_t word_count;
    struct cli_config config;  /* read by talk_open or sign_open when first needed */
    bool configured;
    struct http_client *http;
    size_t coordinator;        /* the one that answered last is asked first */
    int interrupt_fd;          /* signalfd of Ctrl-C while a change is waited for; -1: Ctrl-C ends the program */
};

/* Parses, dispatches, returns the exit code. Everything is freed. */
int cli_run(const struct cli_io *io, int argc, char **argv);
/* Reads the configuration once. False: said so already, end with *exit. */
bool cli_configure(struct cli *c, int *exit);
#endif
