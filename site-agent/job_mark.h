/* Which processes a job is, so that also an agent that did not start it can end it: process group, leader's start time,
 * session and boot, written to STATE_DIR/job.pid. For job.c and job_leftovers.c. */
#ifndef AGENT_JOB_MARK_H
#define AGENT_JOB_MARK_H
#include "rt/err.h"
#include <sys/types.h>

#define JOB_FILE_SPEC "job.json"
#define JOB_FILE_MARK "job.pid"
#define JOB_FILE_RESULT "job.result"

/* Of a job just started, leader of its group. */
bool job_mark_write(const char *state_dir, pid_t leader, struct err *err);
/* SIGKILL to all that still live of the group that is marked there, and a short wait. False while some still live. */
bool job_mark_kill(const char *state_dir);
/* Replaces a file that need not outlive the machine's fall, without its fsyncs. */
bool job_file_write(const char *state_dir, const char *name, const char *text, struct err *err);
void job_file_path(char *to, size_t size, const char *state_dir, const char *name);
#endif
