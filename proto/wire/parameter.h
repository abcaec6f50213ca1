/* What pgregent knows about the names of PostgreSQL's parameters: which are its own, and which need a restart. Names are
 * compared without regard to case, as PostgreSQL does. The agent renders by it, a topology is checked by it. */
#ifndef WIRE_PARAMETER_H
#define WIRE_PARAMETER_H
#include <stdbool.h>

/* Names that the user may not set, with the reason ("primary_conninfo": "comes from the topology"). NULL: allowed. */
const char *parameter_reserved(const char *parameter);
/* Changing it needs a restart (postmaster context in PostgreSQL 15). */
bool parameter_needs_restart(const char *parameter);
/* A number that a standby may not have lower than its primary: the user's is raised when the directory needs more. */
bool parameter_is_floor(const char *parameter);
/* Ours in postgresql.auto.conf too, where a value would win over the rendered files: the reserved names, and those
 * that the user may set in the topology but whose value we raise or override at times. */
bool parameter_is_managed(const char *parameter);
#endif
