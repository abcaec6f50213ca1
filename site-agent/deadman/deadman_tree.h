/* What lives below the dead-man, and what lives in a data directory. The dead-man is a child subreaper: whatever
 * PostgreSQL forked stays below it for as long as it lives, so "no child is left" proves "no descendant is left". */
#ifndef DEADMAN_TREE_H
#define DEADMAN_TREE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Becomes the subreaper. */
bool deadman_tree_adopt(void);
/* No descendant is left, ended but unreaped ones included. The kernel's answer (ECHILD), without a race. */
bool deadman_tree_empty(void);
/* Living descendants, by a walk through /proc: for people, may miss a process that is being forked. */
int64_t deadman_tree_count(void);
/* SIGKILL to every descendant found in one walk, direct children first. Returns how many still lived; `stuck` (may be
 * NULL) gets one that is in uninterruptible sleep, or 0. To be repeated until deadman_tree_empty. */
int64_t deadman_tree_kill(pid_t *stuck);
/* A PostgreSQL process that is not below us works in this directory; 0 if there is none. */
pid_t deadman_tree_stranger(int data_dir);
#endif
