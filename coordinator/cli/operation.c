/* Texts about operations. Every word that came over the network goes through human(). */
#include "coordinator/cli/operation.h"
#include "coordinator/cli/human.h"
#include "coordinator/cli/paint.h"
#include <ctype.h>
#include <string.h>

static const struct {
    const char *name;
    enum operation_state state;
    enum cli_exit exit;
    enum paint as;
} states[] = {
    {"running", OPERATION_RUNNING, CLI_UNFINISHED, PAINT_WARNING}, {"waiting", OPERATION_WAITING, CLI_WAITS, PAINT_WARNING},
    {"done", OPERATION_DONE, CLI_DONE, PAINT_GOOD},                {"aborted", OPERATION_ABORTED, CLI_ABORTED, PAINT_WARNING},
    {"failed", OPERATION_FAILED, CLI_FAILED, PAINT_BAD},
};

static size_t row_of(const json_t *operation) {
    const char *word = json_text(operation, "state", "running");
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (str_eq(states[i].name, word))
            return i;
    return 0;
}

enum operation_state operation_state(const json_t *operation) {
    return states[row_of(operation)].state;
}

bool operation_is_over(const json_t *operation) {
    return operation_state(operation) >= OPERATION_DONE;
}

enum cli_exit operation_exit(const json_t *operation) {
    return states[row_of(operation)].exit;
}

bool operation_id_is_valid(const char *id) {
    size_t len = strlen(id);
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)id[i]) && id[i] != '-' && id[i] != '_')
            return false;
    return len > 0 && len < 64;
}

void operation_title(const json_t *operation, struct strbuf *to) {
    const char *kind = json_text(operation, "kind", "operation"), *from = json_text(operation, "from", NULL), *target = json_text(operation, "to", NULL);
    bool moves = str_eq(kind, "switchover") || str_eq(kind, "failover");
    strbuf_add(to, human(kind));
    if (moves && from && target)
        strbuf_addf(to, " %s -> %s", human(from), human(target));
    else if (from || target)
        strbuf_addf(to, " of %s", human(target ? target : from));
}

static enum paint step_paint(const char *state) {
    return str_eq(state, "done") ? PAINT_GOOD : str_eq(state, "failed") ? PAINT_BAD : str_eq(state, "running") ? PAINT_WARNING : PAINT_DIM;
}

void operation_step(const json_t *step, bool colours, struct strbuf *to) {
    char padded[32];
    const char *state = json_text(step, "state", "pending");
    const json_t *seconds = json_object_get(step, "seconds");
    snprintf(padded, sizeof padded, "%-8.20s", human(state));
    strbuf_addf(to, "  %-10s ", human(json_text(step, "name", "?")));
    if (!json_is_number(seconds))
        padded[strcspn(padded, " ")] = '\0';
    paint(to, colours, step_paint(state), padded);
    if (json_is_number(seconds))
        strbuf_addf(to, " %s", human_seconds(seconds));
    strbuf_add(to, "\n");
}

static void moved(const json_t *o, struct strbuf *to) {
    strbuf_addf(to, "%s is the primary site now", human(json_text(o, "to", "?")));
    if (json_text(o, "epoch", NULL))
        strbuf_addf(to, ", in epoch %s", human(json_text(o, "epoch", "?")));
    const json_t *gap = json_object_get(o, "write_gap_ms"), *lost = json_object_get(o, "lost_bytes");
    strbuf_add(to, ".\n");
    if (json_is_number(gap))
        strbuf_addf(to, "Writes stopped for %lld ms. ", (long long)json_number_value(gap));
    else
        strbuf_add(to, "How long writes stopped is not known. ");
    if (!json_is_number(lost))
        strbuf_add(to, "What was lost is not known.\n");
    else if (json_number_value(lost) == 0)
        strbuf_add(to, "Lost: 0 bytes.\n");
    else
        strbuf_addf(to, "Lost: %s.\n", human_bytes(lost));
}

void operation_outcome(const json_t *operation, bool colours, struct strbuf *to) {
    size_t row = row_of(operation);
    const char *message = json_text(operation, "message", NULL), *question = json_text(operation, "question", NULL);
    paint(to, colours, states[row].as, states[row].name);
    strbuf_add(to, ": ");
    if (states[row].state == OPERATION_DONE && json_object_get(operation, "write_gap_ms"))
        moved(operation, to);
    else if (states[row].state == OPERATION_ABORTED)
        strbuf_addf(to, "%s. The primary site is the same as before%s%s.\n", message ? human(message) : "taken back",
                    json_text(operation, "from", NULL) ? ": " : "", human(json_text(operation, "from", "")));
    else {
        operation_title(operation, to);
        strbuf_addf(to, "%s%s\n", message ? ": " : "", message ? human(message) : "");
    }
    if (question)
        strbuf_addf(to, "Question: %s\n", human(question));
}

static void field(struct strbuf *to, const char *label, const json_t *operation, const char *key) {
    if (json_text(operation, key, NULL))
        strbuf_addf(to, "  %-10s %s\n", label, human(json_text(operation, key, "")));
}

void operation_text(const json_t *operation, bool colours, struct strbuf *to) {
    size_t i;
    const json_t *step;
    operation_title(operation, to);
    strbuf_addf(to, "  %s\n", human(json_text(operation, "id", "?")));
    field(to, "started", operation, "started_at");
    field(to, "finished", operation, "finished_at");
    field(to, "by", operation, "by");
    field(to, "reason", operation, "reason");
    field(to, "no return", operation, "no_return_at");
    strbuf_add(to, "\n");
    json_array_foreach(json_object_get(operation, "steps"), i, step)
        operation_step(step, colours, to);
    strbuf_add(to, "\n");
    operation_outcome(operation, colours, to);
}

void operation_table(const json_t *operations, bool colours, struct strbuf *to) {
    static const char *const names[] = {"ID", "OPERATION", "STATE", "STEP", "STARTED", "BY", "GAP"};
    PAINT_TABLE table = {0};
    size_t i;
    const json_t *o;
    if (json_array_size(operations) == 0) {
        strbuf_add(to, "no operation yet\n");
        return;
    }
    paint_header(&table, names, sizeof names / sizeof *names);
    json_array_foreach(operations, i, o) {
        STRBUF title = {0};
        char gap[32] = "";
        operation_title(o, &title);
        if (json_is_number(json_object_get(o, "write_gap_ms")))
            snprintf(gap, sizeof gap, "%lld ms", (long long)json_int(o, "write_gap_ms", 0));
        paint_row(&table);
        paint_cell(&table, PAINT_PLAIN, json_text(o, "id", "?"));
        paint_cell(&table, PAINT_PLAIN, title.at);
        paint_cell(&table, states[row_of(o)].as, json_text(o, "state", "?"));
        paint_cell(&table, PAINT_PLAIN, operation_is_over(o) ? "" : json_text(o, "step", ""));
        paint_cell(&table, PAINT_PLAIN, json_text(o, "started_at", ""));
        paint_cell(&table, PAINT_PLAIN, json_text(o, "by", ""));
        paint_cell(&table, PAINT_PLAIN, gap);
    }
    paint_table(&table, colours, "", to);
}
