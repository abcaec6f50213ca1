/* What pgregent knows about the names of PostgreSQL's parameters; the tables behind pg_config.h. Names are compared
 * without regard to case, as PostgreSQL does. */
#ifndef PG_PARAMETERS_H
#define PG_PARAMETERS_H
#include <stdbool.h>

/* A number that a standby may not have lower than its primary: the user's is raised when the directory needs more. */
bool pg_parameter_is_floor(const char *parameter);
/* Ours in postgresql.auto.conf too, where a value would win over the rendered files: the reserved names, and those
 * that the user may set in the topology but whose value we raise or override at times. */
bool pg_parameter_is_managed(const char *parameter);
#endif
