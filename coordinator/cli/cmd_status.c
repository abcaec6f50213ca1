/* pgregent status [CLUSTER] [-w] */
#include "coordinator/cli/command.h"
#include "coordinator/cli/human.h"
#include "coordinator/cli/say.h"
#include "coordinator/cli/source.h"
#include "coordinator/cli/status.h"
#include "coordinator/cli/talk.h"

#define WATCH_MS 2000

static int show(struct cli *c, const json_t *status) {
    STRBUF text = {0};
    status_text(status, say_colours(c), &text);
    if (c->options.watch && c->io.out_terminal)
        say(c, "\033[H\033[J"); /* cursor home, clear below: no flicker */
    say(c, "%s%s", text.at, c->options.watch ? "\n" : "");
    return c->options.exit_code && status_is_troubled(status) ? CLI_DIFFERENT : CLI_DONE;
}

/* Until Ctrl-C. A coordinator that is away for a while does not end it. */
static int watch(struct cli *c, const char *cluster) {
    int exit = CLI_DONE;
    talk_interruptible(c);
    do {
        JSON_AUTO *status = source_fetch(c, SOURCE_STATUS, cluster, &exit);
        if (status)
            exit = show(c, status);
        else if (exit != CLI_NOBODY)
            return exit;
    } while (!talk_pause(c, WATCH_MS));
    return exit;
}

int cmd_status(struct cli *c) {
    const char *cluster = c->word_count ? c->words[0] : NULL;
    int exit = CLI_DONE;
    if (cluster && !name_is_valid(cluster))
        return say_refusal(c, CLI_USAGE, "usage", NULL, "\"%s\" can't be a cluster's name", human(cluster));
    if (c->options.watch && c->options.json)
        return say_refusal(c, CLI_USAGE, "usage", NULL, "--watch shows many documents, -o json gives one: take one of them");
    if (c->options.watch)
        return watch(c, cluster);
    JSON_AUTO *status = source_fetch(c, SOURCE_STATUS, cluster, &exit);
    if (!status)
        return exit;
    exit = show(c, status);
    if (c->options.json)
        say_document(c, json_incref(status));
    return exit;
}
