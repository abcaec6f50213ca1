/* Reading a topology file for the commands that need one: text, tree, struct, and every mistake in it. */
#ifndef CLI_LOAD_H
#define CLI_LOAD_H
#include "coordinator/cli/cli.h"
#include "wire/topology.h"

/* Zero-initialise; free with load_free, also after a failure. */
struct load {
    char file[512];
    struct strbuf text;
    struct topology *topology;
    struct field_problems *problems, *warnings;
};
/* False: `problems` says why, or err when the file cannot be read at all (then problems->count is 0). */
bool load_topology(const char *file, struct load *out, struct err *err);
/* Parses text that is there already, as load_topology does. */
bool load_text(const char *name, struct bytes text, struct load *out);
void load_free(struct load *l);
#define LOAD __attribute__((cleanup(load_free))) struct load

/* {"file", "valid", "errors": [{"line", "column", "path", "message"}], "warnings": [...]} */
json_t *load_document(const struct load *l);
/* The mistakes as file:line:column lines on stderr, or the document with -o json; returns CLI_USAGE. */
int load_refused(const struct cli *c, struct load *l, const struct err *err);
#endif
