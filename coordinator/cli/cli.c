/* From argv to a command and its exit code. */
#include "coordinator/cli/cli.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/say.h"
#include "coordinator/cli/talk.h"
#include <string.h>

bool cli_configure(struct cli *c, int *exit) {
    char path[512];
    struct err err = {0};
    if (c->configured)
        return true;
    if (config_find(c->options.config, path, sizeof path, &err) && config_read(path, &c->config, &err)) {
        c->configured = true;
        return true;
    }
    *exit = say_refusal(c, CLI_USAGE, "configuration", NULL, "%s", err.text);
    return false;
}

static int print(const struct cli *c, const struct strbuf *text) {
    fputs(text->at, c->io.out);
    fflush(c->io.out);
    return CLI_DONE;
}

static int usage_error(const struct cli *c, const struct err *err) {
    char cure[96] = "pgregent --help";
    if (c->command) {
        command_title(c->command, cure, sizeof cure - 8);
        strcat(cure, " --help");
    }
    return say_refusal(c, CLI_USAGE, err->code == ERR_UNSUPPORTED ? "not_built" : "usage", cure, "%s", err->text);
}

static int not_built(const struct cli *c) {
    char title[80];
    command_title(c->command, title, sizeof title);
    return say_refusal(c, CLI_USAGE, "not_built", NULL, "%s is not built yet; nothing was sent", title);
}

static bool words_fit(const struct cli *c, struct err *err) {
    char title[80];
    command_title(c->command, title, sizeof title);
    if (c->word_count < c->command->least)
        return err_set(err, ERR_INVALID, "something is missing: %s %s", title, c->command->arguments);
    if (c->word_count > c->command->most)
        return err_set(err, ERR_INVALID, "\"%s\" is too much: %s %s", c->words[c->command->most], title, c->command->arguments);
    return option_check(&c->options, c->command->options | OPTION_EVERYWHERE, title, err);
}

/* Takes the command's own words off the front. */
static bool find_command(struct cli *c, struct err *err) {
    size_t used = 0;
    c->command = command_find(c->words, c->word_count, &used, err);
    if (!c->command)
        return false;
    c->word_count -= used;
    for (size_t i = 0; i < c->word_count; i++)
        c->words[i] = c->words[i + used];
    return true;
}

static int command_missing(const struct cli *c) {
    STRBUF text = {0};
    if (c->options.json)
        return say_refusal(c, CLI_USAGE, "usage", "pgregent --help", "a command is missing");
    command_usage(&text);
    fputs(text.at, c->io.err);
    return CLI_USAGE;
}

static int dispatch(struct cli *c, bool understood, struct err *err) {
    STRBUF text = {0};
    struct err unknown_command = {0};
    bool found = c->word_count > 0 && find_command(c, &unknown_command);
    if (c->options.version) {
        strbuf_add(&text, "pgregent " PGREGENT_VERSION "\n");
        return print(c, &text);
    }
    if (c->options.help && (found || understood)) {
        found ? command_help(c->command, &text) : command_usage(&text);
        return print(c, &text);
    }
    if (!found && understood && unknown_command.code == ERR_NONE)
        return command_missing(c);
    if (!found) /* a misspelt option may have left its value behind as a word: it is told first */
        return usage_error(c, understood ? &unknown_command : err);
    if (!c->command->run)
        return not_built(c);
    if (!understood || !words_fit(c, err))
        return usage_error(c, err);
    return c->command->run(c);
}

int cli_run(const struct cli_io *io, int argc, char **argv) {
    struct err err = {0};
    struct cli c = {.io = *io, .interrupt_fd = -1};
    bool understood = option_parse(argc, argv, &c.options, c.words, &c.word_count, &err);
    int exit = dispatch(&c, understood, &err);
    talk_interruptible_end(&c);
    http_client_free(c.http);
    fflush(io->out);
    return exit;
}
