/* This directory's own history, kept in the state directory (protocol 4.2). */
#ifndef AGENT_LINEAGE_H
#define AGENT_LINEAGE_H
#include "rt/err.h"
struct agent;
/* Learns the timeline that the server is on: from the history that it follows when that was proved, else from the WAL
 * itself; writes it down durably, and for the leader into the site's store. */
bool lineage_record(struct agent *a, struct err *err);
/* The leader's lineage stands in the store; called when it took the lease or its lineage changed. */
void lineage_publish(struct agent *a);
#endif
