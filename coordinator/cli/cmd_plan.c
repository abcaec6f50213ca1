/* pgregent plan FILE [--out PLAN] */
#include "coordinator/cli/change.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/say.h"
#include "rt/file.h"

static bool write_plan(const struct cli *c, const struct change *change, int *exit) {
    STRBUF text = {0};
    struct err err = {0};
    change_plan(change, &text);
    if (file_write(c->options.out, text.at, text.len, 0644, &err))
        return true;
    *exit = say_refusal(c, CLI_FAILED, "io", NULL, "%s", err.text);
    return false;
}

int cmd_plan(struct cli *c) {
    CHANGE change = {0};
    STRBUF text = {0};
    int exit = CLI_DONE;
    if (!change_open(c, c->words[0], &change, &exit) || (c->options.out && !write_plan(c, &change, &exit)))
        return exit;
    if (c->options.json)
        say_document(c, change_document(&change));
    change_text(&change, say_colours(c), &text);
    say(c, "%s", text.at);
    return c->options.exit_code && change.differences->count > 0 ? CLI_DIFFERENT : CLI_DONE;
}
