/* Operations: their table in the journal, their steps, and how they are shown. */
#include "coordinator/operation.h"
#include "rt/clock.h"
#include <string.h>

static const char *const step_state_names[] = {
#define X(symbol, text) text,
    STEP_STATES(X)
#undef X
    NULL};

static const struct field step_fields[] = {
    FIELD_CHOICE(struct operation_step, name, op_step_names, FIELD_REQUIRED, "step"),
    FIELD_CHOICE(struct operation_step, state, step_state_names, 0, "how far it is"),
    FIELD_CUSTOM(struct operation_step, started_at, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "begin"),
    FIELD_CUSTOM(struct operation_step, finished_at, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "end"),
    FIELD_END};
static const struct fields step_table = FIELDS("step", struct operation_step, step_fields);

static const struct field operation_fields[] = {
    FIELD_TEXT(struct operation, id, FIELD_REQUIRED, "id"),
    FIELD_CHOICE(struct operation, kind, op_kind_names, FIELD_REQUIRED, "what it does"),
    FIELD_TEXT(struct operation, from, FIELD_NULL_EMPTY, "old primary site"),
    FIELD_TEXT(struct operation, to, FIELD_NULL_EMPTY, "site that it is about"),
    FIELD_CHOICE(struct operation, state, op_state_names, FIELD_REQUIRED, "how it stands"),
    FIELD_LIST(struct operation, steps, step_count, &step_table, 0, "its steps"),
    FIELD_CUSTOM(struct operation, started_at, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "begin"),
    FIELD_CUSTOM(struct operation, finished_at, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "end"),
    FIELD_CUSTOM(struct operation, deadline_at, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "takes itself back after this"),
    FIELD_TEXT(struct operation, by, FIELD_NULL_EMPTY, "operator; null: the coordinator itself"),
    FIELD_TEXT(struct operation, reason, FIELD_NULL_EMPTY, "the operator's reason"),
    FIELD_TEXT(struct operation, message, FIELD_NULL_EMPTY, "sentence of the rule that holds"),
    FIELD_TEXT(struct operation, rule, FIELD_NULL_EMPTY, "its id"),
    FIELD_BOOL(struct operation, asks, NULL, 0, "it waits for a person"),
    FIELD_CUSTOM(struct operation, epoch, &field_epoch, NULL, FIELD_NULL_EMPTY, "epoch of the old primary"),
    FIELD_CUSTOM(struct operation, next, &field_epoch, NULL, FIELD_NULL_EMPTY, "epoch of the target"),
    FIELD_CUSTOM(struct operation, back, &field_epoch, NULL, FIELD_NULL_EMPTY, "epoch of the old primary after an abort"),
    FIELD_BOOL(struct operation, abort, NULL, 0, "it is taken back"),
    FIELD_TEXT(struct operation, abort_reason, FIELD_NULL_EMPTY, "why"),
    FIELD_INT64(struct operation, stop_serial, NULL, 0, INT64_MAX, FIELD_NULL_EMPTY, "serial of the stop order"),
    FIELD_CUSTOM(struct operation, no_return_at, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "point of no return seen"),
    FIELD_CUSTOM(struct operation, moved_at, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "opening seen"),
    FIELD_CUSTOM(struct operation, opened, &field_epoch, NULL, FIELD_NULL_EMPTY, "epoch that was opened"),
    FIELD_CUSTOM(struct operation, writes_refused_at, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "old primary refuses writes"),
    FIELD_CUSTOM(struct operation, writes_accepted_at, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "new primary accepts writes"),
    FIELD_BOOL(struct operation, gap_noted, NULL, 0, "both receipts were seen"),
    FIELD_INT64(struct operation, done_bytes, NULL, 0, INT64_MAX, FIELD_NULL_EMPTY, "copied"),
    FIELD_INT64(struct operation, total_bytes, NULL, 0, INT64_MAX, FIELD_NULL_EMPTY, "to be copied"),
    FIELD_TEXT(struct operation, request, FIELD_NULL_EMPTY, "the operator's signed request"),
    FIELD_END};
const struct fields operation_table = FIELDS("operation", struct operation, operation_fields);

static const enum op_step create_steps[] = {OP_CHECK, OP_BIRTH, OP_OPEN};
static const enum op_step bootstrap_steps[] = {OP_SLOTS, OP_ORDER, OP_COPY, OP_STREAMING, OP_MEMBERS};
static const enum op_step switchover_steps[] = {OP_CHECK, OP_PREPARE, OP_STOP, OP_PROMOTE, OP_FOLLOW, OP_VERIFY};

static const enum op_step *steps_of(enum op_kind kind, uint32_t *count) {
    switch (kind) {
    case OP_CREATE:
        *count = sizeof create_steps / sizeof create_steps[0];
        return create_steps;
    case OP_BOOTSTRAP:
        *count = sizeof bootstrap_steps / sizeof bootstrap_steps[0];
        return bootstrap_steps;
    case OP_SWITCHOVER:
        break;
    }
    *count = sizeof switchover_steps / sizeof switchover_steps[0];
    return switchover_steps;
}

bool operation_id_is_valid(const char *id) {
    size_t len = strlen(id);
    return len >= 8 && len == strspn(id, "0123456789abcdef");
}

void operation_plan_steps(struct operation *o) {
    const enum op_step *steps = steps_of((enum op_kind)o->kind, &o->step_count);
    for (uint32_t i = 0; i < o->step_count; i++)
        o->steps[i] = (struct operation_step){.name = (int)steps[i], .state = STEP_PENDING};
    o->steps[0].state = STEP_RUNNING;
    o->steps[0].started_at = o->started_at;
}

bool operation_is_open(const struct operation *o) { return o->state == OP_RUNNING || o->state == OP_WAITING; }

const char *operation_step_name(const struct operation *o) {
    for (uint32_t i = 0; i < o->step_count; i++)
        if (o->steps[i].state == STEP_RUNNING)
            return op_step_names[o->steps[i].name];
    return "";
}

static void end_step(struct operation_step *s, enum step_state state, int64_t now_ms) {
    s->state = (int)state;
    if (!s->started_at)
        s->started_at = now_ms;
    s->finished_at = now_ms;
}

static void begin_step(struct operation_step *s, int64_t now_ms) {
    s->state = STEP_RUNNING;
    s->started_at = now_ms;
}

static void begin_abort(struct operation *o, int64_t now_ms) {
    for (uint32_t i = 0; i < o->step_count; i++)
        if (o->steps[i].state == STEP_RUNNING)
            end_step(&o->steps[i], STEP_FAILED, now_ms);
        else if (o->steps[i].state == STEP_PENDING)
            o->steps[i].state = STEP_SKIPPED;
    o->steps[o->step_count] = (struct operation_step){.name = OP_ABORT};
    begin_step(&o->steps[o->step_count++], now_ms);
}

bool operation_advance(struct operation *o, enum op_step step, int64_t now_ms) {
    uint32_t at = 0;
    while (at < o->step_count && o->steps[at].name != (int)step)
        at++;
    if (at < o->step_count && o->steps[at].state != STEP_PENDING)
        return false; /* it runs, or is over: what was reached is never taken back */
    if (at == o->step_count && (step != OP_ABORT || at == OPERATION_STEPS_MAX))
        return false;
    if (at == o->step_count) {
        begin_abort(o, now_ms);
        return true;
    }
    for (uint32_t i = 0; i < at; i++)
        if (o->steps[i].state == STEP_RUNNING || o->steps[i].state == STEP_PENDING)
            end_step(&o->steps[i], STEP_DONE, now_ms);
    begin_step(&o->steps[at], now_ms);
    return true;
}

void operation_go_on(struct operation *o) {
    o->abort = false;
    o->abort_reason[0] = '\0';
    if (o->step_count && o->steps[o->step_count - 1].name == OP_ABORT)
        o->step_count--;
    for (uint32_t i = 0; i < o->step_count; i++) {
        struct operation_step *s = &o->steps[i];
        if (s->state == STEP_SKIPPED)
            s->state = STEP_PENDING;
        if (s->state == STEP_FAILED) {
            s->state = STEP_RUNNING;
            s->finished_at = 0;
        }
    }
}

void operation_finish(struct operation *o, enum op_state state, int64_t now_ms) {
    bool fine = state != OP_FAILED;
    for (uint32_t i = 0; i < o->step_count; i++)
        if (o->steps[i].state == STEP_RUNNING)
            end_step(&o->steps[i], fine ? STEP_DONE : STEP_FAILED, now_ms);
        else if (o->steps[i].state == STEP_PENDING)
            o->steps[i].state = state == OP_DONE ? STEP_DONE : STEP_SKIPPED;
    o->state = (int)state;
    o->asks = false;
    o->finished_at = now_ms;
}

/* ---- shown ---- */

static json_t *time_or_null(int64_t wall_ms) {
    char text[CLOCK_TEXT_MAX];
    if (!wall_ms)
        return json_null();
    clock_format(text, wall_ms);
    return json_string(text);
}

static json_t *steps_to_json(const struct operation *o, int64_t now_ms) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < o->step_count; i++) {
        const struct operation_step *s = &o->steps[i];
        json_t *step = json_object();
        json_object_set_new(step, "name", json_string(op_step_names[s->name]));
        json_object_set_new(step, "state", json_string(step_state_names[s->state]));
        int64_t until = s->finished_at ? s->finished_at : now_ms;
        json_object_set_new(step, "seconds", s->started_at ? json_real((double)(until - s->started_at) / 1000) : json_null());
        json_array_append_new(list, step);
    }
    return list;
}

bool operation_write_gap(const struct operation *o, int64_t *gap_ms) {
    *gap_ms = o->writes_accepted_at - o->writes_refused_at;
    return o->writes_refused_at && o->writes_accepted_at && *gap_ms >= 0;
}

/* A planned move loses nothing: the target opened at exactly the end that the receipt names. */
static void add_move(const struct operation *o, json_t *to) {
    char epoch[EPOCH_TEXT_MAX];
    int64_t gap_ms;
    bool known = operation_write_gap(o, &gap_ms);
    epoch_format_short(&o->opened, epoch);
    json_object_set_new(to, "epoch", json_string(epoch));
    json_object_set_new(to, "write_gap_ms", known ? json_integer(gap_ms) : json_null());
    json_object_set_new(to, "lost_bytes", o->kind == OP_SWITCHOVER && o->state == OP_DONE ? json_integer(0) : json_null());
    json_object_set_new(to, "lost_seconds", o->kind == OP_SWITCHOVER && o->state == OP_DONE ? json_real(0) : json_null());
    json_object_set_new(to, "detected_at", json_null());
    json_object_set_new(to, "writable_at", time_or_null(o->writes_accepted_at));
}

json_t *operation_to_json(const struct operation *o, int64_t now_ms) {
    json_t *to = json_object();
    json_object_set_new(to, "id", json_string(o->id));
    json_object_set_new(to, "kind", json_string(op_kind_names[o->kind]));
    json_object_set_new(to, "from", json_text_or_null(o->from));
    json_object_set_new(to, "to", json_text_or_null(o->to));
    json_object_set_new(to, "state", json_string(op_state_names[o->state]));
    json_object_set_new(to, "step", json_text_or_null(operation_step_name(o)));
    json_object_set_new(to, "steps", steps_to_json(o, now_ms));
    json_object_set_new(to, "started_at", time_or_null(o->started_at));
    json_object_set_new(to, "finished_at", time_or_null(o->finished_at));
    json_object_set_new(to, "deadline_at", time_or_null(o->deadline_at));
    json_object_set_new(to, "by", json_text_or_null(o->by));
    json_object_set_new(to, "approved_by", json_array());
    json_object_set_new(to, "reason", json_text_or_null(o->reason));
    json_object_set_new(to, "consents", json_array());
    json_object_set_new(to, "ignored_checks", json_array());
    json_object_set_new(to, "no_return_at", time_or_null(o->no_return_at));
    json_object_set_new(to, "question", o->asks ? json_text_safe(o->message) : json_null());
    json_object_set_new(to, "message", o->message[0] ? json_text_safe(o->message) : json_null());
    json_object_set_new(to, "rule", json_text_or_null(o->rule));
    json_object_set_new(to, "done_bytes", o->total_bytes ? json_integer(o->done_bytes) : json_null());
    json_object_set_new(to, "total_bytes", o->total_bytes ? json_integer(o->total_bytes) : json_null());
    if (!epoch_is_zero(&o->opened))
        add_move(o, to);
    return to;
}
