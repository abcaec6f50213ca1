/* Topology files from disk. What is right and wrong in them is judged by wire/topology.h alone. */
#include "coordinator/cli/load.h"
#include "coordinator/cli/say.h"
#include "rt/file.h"

bool load_text(const char *name, struct bytes text, struct load *out) {
    str_copy(out->file, sizeof out->file, name);
    out->topology = rt_alloc(sizeof *out->topology);
    out->problems = rt_alloc(sizeof *out->problems);
    out->warnings = rt_alloc(sizeof *out->warnings);
    out->problems->name = out->warnings->name = out->file;
    strbuf_add_bytes(&out->text, text.at, text.len);
    return topology_parse(out->file, text, out->topology, out->problems, out->warnings);
}

bool load_topology(const char *file, struct load *out, struct err *err) {
    STRBUF text = {0};
    bool was_read = file_read(file, TOPOLOGY_FILE_MAX, &text, err);
    bool fine = load_text(file, was_read ? (struct bytes){text.at, text.len} : (struct bytes){"", 0}, out);
    if (!was_read)
        out->problems->count = 0;
    return was_read && fine;
}

void load_free(struct load *l) {
    strbuf_free(&l->text);
    rt_free(l->topology);
    rt_free(l->problems);
    rt_free(l->warnings);
    *l = (struct load){0};
}

static json_t *problem_list(const struct field_problems *p) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < p->count; i++) {
        const struct field_problem *at = &p->at[i];
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o}", "line", at->line ? json_integer(at->line) : json_null(), "column",
                                              at->line ? json_integer(at->column) : json_null(), "path", json_text_safe(at->path), "message",
                                              json_text_safe(at->message)));
    }
    return list;
}

json_t *load_document(const struct load *l) {
    return json_pack("{s:o, s:b, s:o, s:o}", "file", json_text_safe(l->file), "valid", l->problems->count == 0, "errors", problem_list(l->problems), "warnings",
                     problem_list(l->warnings));
}

int load_refused(const struct cli *c, struct load *l, const struct err *err) {
    if (l->problems->count == 0)
        return say_refusal(c, CLI_USAGE, "invalid", NULL, "%s", err->text);
    if (c->options.json) {
        json_t *error = say_error("invalid", "the topology file has mistakes; nothing was sent", NULL);
        json_object_set_new(error, "file", load_document(l));
        say_document(c, json_pack("{s:o}", "error", error));
        return CLI_USAGE;
    }
    STRBUF lines = {0};
    field_problems_write(l->problems, &lines);
    fputs(lines.at, c->io.err);
    return CLI_USAGE;
}
