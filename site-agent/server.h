/* Readings of the server that more than one part of the agent needs; the rest stands in agent.h. */
#ifndef AGENT_SERVER_H
#define AGENT_SERVER_H
#include <stdbool.h>
#include <stdint.h>
struct agent;
bool server_answers(const struct agent *a, int64_t now_ms);
bool server_target_wanted(const struct agent *a); /* the order wants this site ready to be promoted */
/* To a child of the running postmaster and to nobody else: a process id may have been given anew. */
void server_signal_child(const struct agent *a, int64_t pid, int signal_number);
#endif
