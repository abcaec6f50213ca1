/* Between the two halves of the agent's sessions with its own server: session.c (connection, queue, deadlines) and
 * session_sql.c (what the server does when it is asked). */
#ifndef SIM_SESSION_H
#define SIM_SESSION_H
#include "site-agent/pg/pg_session.h"
#include "tests/sim/postgres.h"

struct session_answer {
    struct pg_result result;
    char *memory; /* of result.text; NULL: none */
};
/* The server does what `sql` asks. False: the answer comes later, by answered(context, ok). */
bool session_run(struct postgres *pg, const char *sql, struct session_answer *to, void (*answered)(void *context, int64_t ok), void *context);
/* Whether that user may connect; else *sqlstate and *why. */
bool session_role_exists(const struct postgres *pg, const char *conninfo);
void session_refuse(struct session_answer *to, const char *sqlstate, const char *message);
/* The server of pg->host has changed: whoever has lost a connection wakes up. */
void session_notice(struct postgres *pg);
#endif
