/* An operation as it is journaled and shown: what was asked, how far it is, what came of it. */
#ifndef COORDINATOR_OPERATION_H
#define COORDINATOR_OPERATION_H
#include "coordinator/decide/decide.h"

#define OPERATION_STEPS_MAX 8
/* X(symbol, text) */
#define STEP_STATES(X)                                                                                                 \
    X(STEP_PENDING, "pending") X(STEP_RUNNING, "running") X(STEP_DONE, "done") X(STEP_FAILED, "failed") X(STEP_SKIPPED, "skipped")
enum step_state {
#define X(symbol, text) symbol,
    STEP_STATES(X)
#undef X
};
struct operation_step {
    int name;  /* enum op_step */
    int state; /* enum step_state */
    int64_t started_at, finished_at; /* wall ms */
};
struct operation {
    char id[OP_ID_MAX];
    int kind;  /* enum op_kind */
    char from[NAME_MAX_BYTES], to[NAME_MAX_BYTES];
    int state; /* enum op_state */
    struct operation_step steps[OPERATION_STEPS_MAX];
    uint32_t step_count;
    int64_t started_at, finished_at, deadline_at;
    char by[NAME_MAX_BYTES];
    char reason[REASON_MAX];   /* the operator's */
    char message[512];         /* the rule that holds, or held at the end */
    char rule[8];
    bool asks;                 /* the message is a question to a person */
    struct epoch epoch, next, back; /* switchover: e, e', e'' */
    bool abort;
    char abort_reason[384];
    int64_t stop_serial;       /* of the newest stop order issued; 0: none */
    int64_t no_return_at;      /* the target's `asked` was first seen */
    int64_t moved_at;          /* its `opened` was first seen */
    struct epoch opened;       /* what it opened */
    int64_t writes_refused_at, writes_accepted_at; /* by the clocks of two sites; 0: the receipt did not tell */
    bool gap_noted;
    int64_t done_bytes, total_bytes; /* of a copy; 0 unknown */
    char request[PROOF_TEXT_MAX];   /* envelope */
    /* not journaled: moments on the clock for waiting (deadline_at, moved_at, and when it last got on), most bytes copied so far */
    int64_t deadline_boot_ms, moved_boot_ms, got_on_boot_ms, best_bytes;
};
extern const struct fields operation_table;

bool operation_id_is_valid(const char *id); /* made by the command; it becomes part of a key of the journal */
/* False: not known. Two clocks that differ by more than the gap do not measure it. */
bool operation_write_gap(const struct operation *o, int64_t *gap_ms);
void operation_plan_steps(struct operation *o); /* by its kind, all pending, the first running */
bool operation_is_open(const struct operation *o);
const char *operation_step_name(const struct operation *o); /* of the running step, "" when there is none */
/* The given step runs now: those before it are done. An abort fails the running step and skips the rest. True if
 * anything changed. */
bool operation_advance(struct operation *o, enum op_step step, int64_t now_wall_ms);
/* What was to be taken back goes on after all: the target was faster. */
void operation_go_on(struct operation *o);
void operation_finish(struct operation *o, enum op_state state, int64_t now_wall_ms);
/* The document of docs/api.md, without the request. */
json_t *operation_to_json(const struct operation *o, int64_t now_wall_ms);
#endif
