/* The files of a host, in memory: what is behind rt/file.h (kernel_files.c), and what models see and do of it. Directories
 * are there as long as something lies in them. They outlive the host's power; what is durable is so at once.
 *
 * The data directory "/data/HOST" is no file here but struct postgres: standby.signal, recovery.signal and postmaster.pid in
 * it are its fields. A directory beside it that initdb has made ("/data/HOST.pgregent-new") is an ordinary one that holds
 * FILES_SYSTEM_ID; renamed to "/data/HOST" it becomes the PostgreSQL of the host. */
#ifndef SIM_FILES_H
#define SIM_FILES_H
#include "tests/sim/sim.h"

#define FILES_SYSTEM_ID "global/pg_control" /* in a directory made by initdb: uint64_t system identifier */

/* For models: at once, without faults, outside of a process, too. */
bool files_exist(const struct host *h, const char *path); /* the file, or something below it */
void files_put(struct host *h, const char *path, const void *data, size_t len);
void files_remove_tree(struct host *h, const char *path);
void files_wipe(struct host *h); /* another disk */
#endif
