/* The one place that writes to stdout and stderr. Texts that come from the network were made printable before. */
#include "coordinator/cli/say.h"
#include "coordinator/cli/human.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool say_colours(const struct cli *c) {
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
    return c->io.out_terminal && !c->options.json && !(none && *none) && !str_eq(term, "dumb");
}

void say_document(const struct cli *c, json_t *document) {
    STRBUF text = {0};
    json_write_pretty(document, &text);
    fputs(text.at, c->io.out);
    fflush(c->io.out);
    json_decref(document);
}

void say(const struct cli *c, const char *format, ...) {
    if (c->options.json)
        return;
    va_list args;
    va_start(args, format);
    vfprintf(c->io.out, format, args);
    va_end(args);
    fflush(c->io.out);
}

void say_progress(const struct cli *c, json_t *line) {
    if (c->options.json) {
        STRBUF text = {0};
        json_write(line, &text);
        fprintf(c->io.err, "%s\n", text.at);
        fflush(c->io.err);
    }
    json_decref(line);
}

void say_notice(const struct cli *c, const char *format, ...) {
    STRBUF text = {0};
    va_list args;
    va_start(args, format);
    strbuf_vaddf(&text, format, args);
    va_end(args);
    if (c->options.json) {
        say_progress(c, json_pack("{s:o}", "notice", json_text_safe(text.at)));
        return;
    }
    fprintf(c->io.err, "pgregent: %s\n", text.at);
    fflush(c->io.err);
}

json_t *say_error(const char *code, const char *message, const char *cure) {
    return json_pack("{s:o, s:o, s:[], s:o, s:n}", "code", json_text_safe(code), "message", json_text_safe(message), "checks", "cure",
                     cure && *cure ? json_text_safe(cure) : json_null(), "operation");
}

static void check_lines(const struct cli *c, const json_t *check) {
    fprintf(c->io.err, "  %s: %s\n", human(json_text(check, "id", "?")), human(json_text(check, "message", "")));
    if (json_text(check, "evidence", NULL))
        fprintf(c->io.err, "    seen: %s\n", human(json_text(check, "evidence", "")));
    if (json_text(check, "cure", NULL))
        fprintf(c->io.err, "    cure: %s\n", human(json_text(check, "cure", "")));
    fprintf(c->io.err, "    %s\n", json_bool(check, "ignorable", false) ? "may be ignored" : "can't be ignored");
}

static void operation_line(const struct cli *c, const json_t *operation) {
    if (json_is_string(operation))
        fprintf(c->io.err, "  operation: %s\n", human(json_string_value(operation)));
    if (json_is_object(operation))
        fprintf(c->io.err, "  operation: %s, %s by %s, in step %s since %s\n", human(json_text(operation, "id", "?")),
                human(json_text(operation, "kind", "?")), human(json_text(operation, "by", "nobody")), human(json_text(operation, "step", "?")),
                human(json_text(operation, "started_at", "?")));
}

int say_refused(const struct cli *c, int exit, const json_t *error) {
    if (c->options.json) {
        say_document(c, json_pack("{s:O}", "error", error));
        return exit;
    }
    /* A message may have several lines, as that of a configuration with several mistakes: each is made printable. */
    const char *message = json_text(error, "message", "refused");
    STRBUF lines = {0};
    human_lines(message, &lines);
    fprintf(c->io.err, "pgregent: %s\n", lines.at ? lines.at : "");
    size_t i;
    const json_t *check;
    json_array_foreach(json_object_get(error, "checks"), i, check)
        check_lines(c, check);
    operation_line(c, json_object_get(error, "operation"));
    if (json_text(error, "cure", NULL)) {
        strbuf_reset(&lines);
        human_lines(json_text(error, "cure", ""), &lines);
        fprintf(c->io.err, "  %s\n", lines.at);
    }
    fflush(c->io.err);
    return exit;
}

int say_refusal(const struct cli *c, int exit, const char *code, const char *cure, const char *format, ...) {
    STRBUF message = {0};
    va_list args;
    va_start(args, format);
    strbuf_vaddf(&message, format, args);
    va_end(args);
    JSON_AUTO *error = say_error(code, message.at, cure);
    return say_refused(c, exit, error);
}

bool say_consent(const struct cli *c, const char *question, int *exit) {
    char answer[16] = "";
    if (c->options.yes)
        return true;
    if (!c->io.in_terminal || !c->io.out_terminal || c->options.json) {
        *exit = say_refusal(c, CLI_REFUSED, "consent", "say it with --yes, or run it on a terminal", "%s Without a terminal nobody is asked.", question);
        return false;
    }
    fprintf(c->io.out, "%s [y/N] ", question);
    fflush(c->io.out);
    if (fgets(answer, sizeof answer, c->io.in))
        answer[strcspn(answer, "\n")] = '\0';
    if (strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0)
        return true;
    *exit = say_refusal(c, CLI_REFUSED, "consent", NULL, "nothing was changed");
    return false;
}
