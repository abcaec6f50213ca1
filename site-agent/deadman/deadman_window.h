/* The two short times in which a data directory lacks standby.signal (protocol 4.1): the start of a primary, and a
 * promotion. A directory at rest is a standby, so every path out of these windows ends with the file back and synced.
 *
 * Start of a primary: the file is unlinked, PostgreSQL starts, the file comes back as soon as PostgreSQL has provably
 * looked for it. The proof is pg_control: the startup process writes it for the first time after it has read the
 * signal files (StartupXLOG: InitWalRecovery reads them, UpdateControlFile comes later). What pg_control says is no
 * proof by itself, since a directory that crashed says "in production" all the time: the bytes must also differ from
 * those before the start.
 *
 * Promotion (guard): PostgreSQL unlinks standby.signal itself. An empty recovery.signal beside it makes a start by hand
 * fail in between, and standby.signal comes back at the next look; when pg_control says "in production", the unlink is
 * behind us and recovery.signal goes.
 *
 * A record in STATE_DIR/window, written before and removed after, lets the next dead-man close what a killed one left
 * open. */
#ifndef DEADMAN_WINDOW_H
#define DEADMAN_WINDOW_H
#include "rt/err.h"
#include <stddef.h>
#include <stdint.h>

#define DEADMAN_CONTROL_BYTES 8192 /* PG_CONTROL_FILE_SIZE */

struct deadman_window {
    const char *state_dir;
    char data_dir[512];
    int dir;        /* the data directory; -1: none yet, or it has gone */
    bool away;      /* standby.signal is away by a start of ours */
    bool missing;   /* seen to be away under guard, and not back yet */
    bool guard;     /* a promotion is watched */
    bool leftover;  /* the guard is over what an earlier dead-man left: it ends with the last process in the directory */
    bool recorded;  /* STATE_DIR/window is there */
    bool absent;    /* its directory is not there (not mounted, removed): deadman_window_recover is to be called again */
    int64_t present_ns; /* when standby.signal was last known to be there */
    int64_t last_us;    /* how long the last window was open, at most */
    size_t before_length;
    unsigned char before[DEADMAN_CONTROL_BYTES]; /* pg_control before the start */
};

enum deadman_window_event {
    DEADMAN_WINDOW_NOTHING,
    DEADMAN_WINDOW_CLOSED,   /* the start's window is closed */
    DEADMAN_WINDOW_PROMOTED, /* the guarded promotion is done, the guard is over */
    DEADMAN_WINDOW_SETTLED,  /* nothing of an earlier dead-man runs in the directory any more */
};

/* A start begins: holds the directory and remembers pg_control as it is. */
bool deadman_window_attach(struct deadman_window *w, const char *data_dir, struct err *err);
bool deadman_window_has_signal(const struct deadman_window *w);
/* Record, then away with standby.signal. Two calls, so that no fsync of the record lies inside the window. */
bool deadman_window_record(struct deadman_window *w, struct err *err);
bool deadman_window_open(struct deadman_window *w, struct err *err);
/* On: puts recovery.signal there. Off: standby.signal made sure of, recovery.signal removed. */
bool deadman_window_guard(struct deadman_window *w, bool on, struct err *err);
/* To be called every few milliseconds while `away` or `guard`. False with err when something could not be put back:
 * call again. */
bool deadman_window_step(struct deadman_window *w, enum deadman_window_event *event, struct err *err);
/* The postmaster has ended: standby.signal is back when this returns true. A guard stays on, because a startup process
 * that outlives its postmaster may still unlink it; deadman_window_finish ends it when no process is left. */
bool deadman_window_restore(struct deadman_window *w, struct err *err);
bool deadman_window_finish(struct deadman_window *w, struct err *err);
/* At the start of a dead-man, and again while `absent`: closes what the record names. While processes of the old one
 * still run in the directory the guard is on. */
bool deadman_window_recover(struct deadman_window *w, struct err *err);
#endif
