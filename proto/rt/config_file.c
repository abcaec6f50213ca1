/* Reading configuration files. What a program's own fields mean is checked by that program. */
#include "rt/config_file.h"
#include "rt/file.h"
#include <limits.h>

static const char *const format_names[] = {"key=value", "json", NULL};
static const char *const level_names[] = {"debug", "info", "warning", "error", NULL};
static const struct field log_fields[] = {
    FIELD_CHOICE(struct log_config, format, format_names, 0, "key=value for people, json for machines"),
    {FIELD_MEMBER_(struct log_config, level), .type = FIELD_TYPE_ENUM, .names = level_names, .otherwise = "info", .doc = "least level"},
    FIELD_END};
const struct fields log_config_table = FIELDS("log", struct log_config, log_fields);

static bool refuse(struct field_problems *problems, struct err *err) {
    STRBUF list = {0};
    field_problems_write(problems, &list);
    if (list.len && list.at[list.len - 1] == '\n')
        list.at[--list.len] = '\0';
    return err_set(err, ERR_INVALID, "%s", list.at);
}

bool config_file_read(const char *path, const struct fields *table, void *out, struct err *err) {
    STRBUF text = {0};
    NODE_DOC doc = {0};
    if (!file_read(path, YAML_INPUT_MAX, &text, err) || !yaml_parse(path, (struct bytes){text.at, text.len}, &doc, err))
        return false;
    RT_AUTO struct field_problems *problems = rt_alloc(sizeof *problems);
    problems->name = path;
    return field_read(table, doc.root, "", out, problems) || refuse(problems, err);
}

bool config_file_resolve(const char *file, char *path, size_t size, struct err *err) {
    char absolute[PATH_MAX];
    if (!path[0])
        return true;
    file_relative_to(absolute, sizeof absolute, file, path);
    if (!str_copy(path, size, absolute))
        return err_set(err, ERR_INVALID, "%s: a path is too long: %s", file, path);
    return true;
}
