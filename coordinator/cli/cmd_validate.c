/* pgregent validate FILE...: offline, sends nothing, needs no configuration. */
#include "coordinator/cli/command.h"
#include "coordinator/cli/load.h"
#include "coordinator/cli/say.h"
#include <string.h>

static void show(const struct cli *c, struct load *l, bool fine) {
    STRBUF errors = {0};
    STRBUF warnings = {0};
    field_problems_write(l->problems, &errors);
    field_problems_write(l->warnings, &warnings);
    if (errors.at)
        fputs(errors.at, c->io.err);
    for (const char *line = warnings.at; line && *line;) {
        size_t len = strcspn(line, "\n");
        fprintf(c->io.err, "warning: %.*s\n", (int)len, line);
        line += len;
        line += *line == '\n';
    }
    if (fine)
        say(c, "%s: valid: cluster %s, %u site%s\n", l->file, l->topology->cluster, l->topology->site_count, l->topology->site_count == 1 ? "" : "s");
}

/* True if the file is valid; its document is appended to `files`. */
static bool validate(const struct cli *c, const char *file, json_t *files) {
    LOAD load = {0};
    struct err err = {0};
    bool fine = load_topology(file, &load, &err);
    if (!fine && load.problems->count == 0)
        field_problem_add(load.problems, NULL, "", "%s", err.text);
    json_array_append_new(files, load_document(&load));
    if (!c->options.json)
        show(c, &load, fine);
    return fine;
}

int cmd_validate(struct cli *c) {
    json_t *files = json_array();
    bool fine = true;
    for (size_t i = 0; i < c->word_count; i++)
        fine = validate(c, c->words[i], files) && fine;
    json_t *document = json_pack("{s:i, s:b, s:o}", "format", 1, "valid", fine, "files", files);
    if (!fine)
        json_object_set_new(document, "error", say_error("invalid", "mistakes were found", NULL));
    if (c->options.json)
        say_document(c, document);
    else
        json_decref(document);
    return fine ? CLI_DONE : CLI_USAGE;
}
