/* The table of commands: dispatch, arguments, help texts and the answer "not built yet" are all made from it. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H
#include "coordinator/cli/cli.h"

struct command {
    const char *name, *verb; /* "operation", "list"; verb NULL: one word */
    const char *arguments;   /* for people: "CLUSTER --to SITE" */
    size_t least, most;      /* words after the name */
    unsigned options;        /* besides OPTION_EVERYWHERE */
    int (*run)(struct cli *c); /* NULL: known, not built */
    const char *does;
    bool hidden;
};
extern const struct command command_table[]; /* ends with name NULL */

/* The command of the first words; *used says how many. NULL with err: unknown (with a suggestion), or a verb is missing. */
const struct command *command_find(const char *const *words, size_t count, size_t *used, struct err *err);
void command_title(const struct command *command, char *to, size_t size); /* "pgregent operation list" */
void command_usage(struct strbuf *to);                                    /* of all */
void command_help(const struct command *command, struct strbuf *to);      /* of one */

int cmd_validate(struct cli *c);
int cmd_plan(struct cli *c);
int cmd_apply(struct cli *c);
int cmd_status(struct cli *c);
int cmd_explain(struct cli *c);
int cmd_switchover(struct cli *c);
int cmd_operation_list(struct cli *c);
int cmd_operation_show(struct cli *c);
int cmd_operation_watch(struct cli *c);
int cmd_operation_abort(struct cli *c);
int cmd_slots(struct cli *c);
int cmd_history(struct cli *c);
int cmd_key_generate(struct cli *c);
int cmd_key_show(struct cli *c);
int cmd_order_show(struct cli *c);
int cmd_docs_topology(struct cli *c);
#endif
