/* What the files of proc share; nobody else includes this. */
#ifndef RT_PROC_INTERNAL_H
#define RT_PROC_INTERNAL_H
#include "rt/proc.h"

/* A started program as the parent holds it; descriptors that were not asked for are -1. */
struct proc_launched {
    pid_t pid;     /* leader of its own group of the same number */
    int pidfd;
    int output_fd; /* non-blocking read end */
    int stdin_fd;  /* write end that is only held */
};
bool proc_launch(const struct proc_options *options, struct proc_launched *out, struct err *err);

/* Some process of the group that is alive (zombies are not), 0 if there is none. */
pid_t proc_group_member(pid_t group);
#endif
