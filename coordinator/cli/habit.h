/* Words that people bring along from Patroni, repmgr and pg_auto_failover, and what to use here instead. */
#ifndef CLI_HABIT_H
#define CLI_HABIT_H

const char *habit_option(const char *given); /* "--force" or "--force=x"; NULL: none that we know */
const char *habit_command(const char *word); /* "edit-config" */
#endif
