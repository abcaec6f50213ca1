/* What a daemon does with the system around it. */
#ifndef RT_DAEMON_H
#define RT_DAEMON_H

/* SIGTERM, SIGINT and SIGHUP arrive by the returned descriptor (signalfd(2), non-blocking) and SIGPIPE is ignored. To be
 * called before any thread is made: the signals are blocked in the caller, and threads inherit that. -1 with errno. */
int daemon_signals(void);

/* Tells systemd a state ("READY=1") if it started this process and asked for it (NOTIFY_SOCKET, sd_notify(3)). */
void daemon_notify(const char *state);

#endif
