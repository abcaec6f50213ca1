/* pgregent docs topology: the reference of the topology file, made from the tables that read it. */
#include "coordinator/cli/command.h"
#include "coordinator/cli/say.h"
#include "wire/topology.h"

int cmd_docs_topology(struct cli *c) {
    STRBUF text = {0};
    topology_reference(&text);
    if (c->options.json)
        say_document(c, json_pack("{s:i, s:o}", "format", 1, "markdown", json_text_safe(text.at)));
    else
        fputs(text.at, c->io.out);
    return CLI_DONE;
}
