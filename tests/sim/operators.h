/* Between what operators ask (operators.c) and how they change the topology (operators_apply.c). */
#ifndef SIM_OPERATORS_H
#define SIM_OPERATORS_H
#include "tests/sim/world.h"
#include "wire/request.h"

/* One command, from its start to its end. */
struct command {
    struct request request;
    const char *path;
    char *body;
    sim_time since;
    int unanswered;
    bool over, perhaps; /* perhaps: an answer was lost, so it may have been accepted */
    bool accepted;
    void (*refused)(struct command *c, const char *body); /* NULL: nobody cares */
    void *context;
};
struct command *command_new(enum verb verb, const char *to);
void command_send_topology(struct command *c, const struct signed_topology *t);
struct dice *operators_dice(void);
#endif
