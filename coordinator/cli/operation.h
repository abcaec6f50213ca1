/* Operation objects as the coordinator gives them (docs/api.md), for people and for exit codes. Pure. */
#ifndef CLI_OPERATION_H
#define CLI_OPERATION_H
#include "coordinator/cli/cli.h"
#include "rt/json.h"

enum operation_state { OPERATION_RUNNING, OPERATION_WAITING, OPERATION_DONE, OPERATION_ABORTED, OPERATION_FAILED };
enum operation_state operation_state(const json_t *operation); /* unknown words count as running */
bool operation_is_over(const json_t *operation);               /* done, aborted or failed */
enum cli_exit operation_exit(const json_t *operation);

/* "switchover ams -> fra", "bootstrap of fra" */
void operation_title(const json_t *operation, struct strbuf *to);
/* "  promote    done     0.2 s" */
void operation_step(const json_t *step, bool colours, struct strbuf *to);
/* How it ended, in sentences; one line or more, each with a newline. */
void operation_outcome(const json_t *operation, bool colours, struct strbuf *to);
/* Everything, as `operation show` prints it. */
void operation_text(const json_t *operation, bool colours, struct strbuf *to);
/* One line a row: as `operation list` prints them. */
void operation_table(const json_t *operations, bool colours, struct strbuf *to);
/* Is this what may stand for an operation's id? */
bool operation_id_is_valid(const char *id);
#endif
