/* pgregent explain, slots and history: documents about one cluster, as JSON or as lines. */
#include "coordinator/cli/command.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/human.h"
#include "coordinator/cli/say.h"
#include "coordinator/cli/source.h"

typedef void text_of(const json_t *document, bool colours, struct strbuf *to);

static int show(struct cli *c, enum source_kind kind, text_of *text_of_document) {
    int exit = CLI_DONE;
    STRBUF text = {0};
    if (!name_is_valid(c->words[0]))
        return say_refusal(c, CLI_USAGE, "usage", NULL, "\"%s\" can't be a cluster's name", human(c->words[0]));
    JSON_AUTO *document = source_fetch(c, kind, c->words[0], &exit);
    if (!document)
        return exit;
    if (c->options.json)
        say_document(c, json_incref(document));
    text_of_document(document, say_colours(c), &text);
    say(c, "%s", text.at);
    return CLI_DONE;
}

int cmd_explain(struct cli *c) { return show(c, SOURCE_EXPLAIN, document_explain); }
int cmd_slots(struct cli *c) { return show(c, SOURCE_SLOTS, document_slots); }
int cmd_history(struct cli *c) { return show(c, SOURCE_HISTORY, document_history); }
