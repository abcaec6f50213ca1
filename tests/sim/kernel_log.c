/* rt/log.h: what the daemons log is part of the story. */
#include "rt/log.h"
#include "rt/str.h"
#include "tests/sim/sim.h"

static const char *const level_names[] = {"debug", "info", "warning", "error"};

static void add_field(struct strbuf *to, const struct log_field *field) {
    if (field->text)
        strbuf_addf(to, " %s=\"%s\"", field->key, field->text);
    else
        strbuf_addf(to, " %s=%lld", field->key, (long long)field->number);
}

void log_emit(enum log_level level, const char *message, const struct log_field *fields) {
    if (!sim_telling || level < LOG_INFO)
        return;
    STRBUF line = {0};
    strbuf_addf(&line, "%s: %s", level_names[level], message);
    for (; fields && fields->key; fields++)
        add_field(&line, fields);
    sim_tell(process_self() ? process_self()->name : "somebody", "%s", line.at);
}
