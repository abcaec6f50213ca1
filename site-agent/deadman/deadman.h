/* The dead-man's switch: a tiny process that is the parent (and child subreaper) of PostgreSQL and outlives the agent.
 * It holds the deadline and kills the whole tree at it: agent killed, hung, stopped, machine suspended. It also owns
 * the two short windows in which a directory lacks standby.signal (protocol 4.1), so that a killed agent cannot leave
 * one open. It decides nothing else.
 *
 * Agent and dead-man talk over STATE_DIR/deadman.sock (SOCK_SEQPACKET, mode 0600, peer uid checked), one JSON object a
 * packet. Every request gets one answer with the same `id`; a `status` packet is pushed to the connected agent on every
 * change (postmaster started or ended, standby.signal put back, deadline struck). One agent at a time: a newer
 * connection ends the older.
 *
 * PostgreSQL does not outlive it: the postmaster gets SIGINT when the dead-man dies. A guard puts recovery.signal there
 * itself, and lasts until the promotion is done, the agent takes it off, or no process is left; to be taken off only when
 * no promotion can be under way. */
#ifndef DEADMAN_H
#define DEADMAN_H
#include "rt/err.h"
#include "rt/field.h"
#include <poll.h>
#include <sys/types.h>

#define DEADMAN_PROTOCOL 1
#define DEADMAN_PACKET_MAX 16384

/* X(symbol, name) */
#define DEADMAN_COMMANDS(X)                                                                                            \
    X(DEADMAN_HELLO, "hello")       /* answer: status */                                                              \
    X(DEADMAN_START, "start")       /* the one start function, see deadman_start_request */                          \
    X(DEADMAN_DEADLINE, "deadline") /* fast_boot_ms: SIGINT to the postmaster; kill_boot_ms: SIGKILL to the tree; 0: none */ \
    X(DEADMAN_GUARD, "guard")       /* watch a promotion: put standby.signal back as soon as PostgreSQL took it away */ \
    X(DEADMAN_SIGNAL, "signal")     /* signal_number to the postmaster */                                             \
    X(DEADMAN_KILL, "kill")         /* SIGKILL to postmaster and every descendant; answered when none is left */      \
    X(DEADMAN_LEAVE, "leave")       /* exit when nothing runs (refused otherwise) */
enum deadman_command {
#define X(symbol, name) symbol,
    DEADMAN_COMMANDS(X)
#undef X
};

struct deadman_request {
    int64_t id;
    int command;
    /* start: mode "standby" (standby.signal must be there) or "primary" (an fsynced mark STATE_DIR/authorised-start
       naming the epoch must be there; standby.signal is unlinked, put back when pg_control says in crash recovery or
       in production, or when the postmaster ended; the mark is removed then). */
    bool primary;
    char data_dir[512], log_path[512];
    char argv[16][512];
    uint32_t argv_count;
    int64_t uid, gid; /* -1: do not switch */
    int64_t fast_boot_ms, kill_boot_ms; /* deadline; start as primary requires kill_boot_ms in the future */
    int64_t signal_number;
    bool on;           /* guard */
};
struct deadman_status {
    int64_t id;        /* of the request this answers; 0: pushed */
    bool ok;
    char error[512];
    int64_t protocol;
    char boot_id[40];
    int64_t pid;             /* of the dead-man */
    int64_t postmaster_pid;  /* 0: none runs */
    int64_t postmaster_start_ticks;
    int64_t postmaster_started_boot_ms;
    bool started_primary;    /* the running postmaster was started (or promoted under guard) as a primary */
    int64_t descendants;     /* processes below the dead-man, the postmaster included: 0 proves that nothing is left */
    int64_t last_exit;       /* how the last postmaster ended: exit status, 128 + signal; -1: none ended yet */
    int64_t fast_boot_ms, kill_boot_ms;
    bool struck;             /* the kill deadline fired since the last start */
    bool guard, window_open; /* window_open: standby.signal is away at this moment by a start or promotion of ours */
    int64_t last_window_us;  /* how long the last window was open */
};
extern const struct fields deadman_request_table, deadman_status_table;

/* Server side: runs until `leave`, or SIGTERM while nothing runs. Returns the exit code. */
int deadman_run(const char *state_dir, const char *log_path);

/* Client side, non-blocking; used by the agent's loop. */
struct deadman_client;
typedef void deadman_event(void *context, const struct deadman_status *status); /* answers and pushes */
/* Connects to a running dead-man, or starts `binary` for state_dir (detached, own session) and connects. */
bool deadman_connect(const char *state_dir, const char *binary, deadman_event *event, void *context, struct deadman_client **out, struct err *err);
void deadman_disconnect(struct deadman_client *c);
bool deadman_alive(const struct deadman_client *c); /* connection stands */
/* Returns the request's id, 0 when the connection is gone. */
int64_t deadman_send(struct deadman_client *c, const struct deadman_request *request);
size_t deadman_pollfd(const struct deadman_client *c, struct pollfd *fd);
void deadman_step(struct deadman_client *c); /* reads what is there, calls event */
#endif
