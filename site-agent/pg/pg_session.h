/* A connection to a PostgreSQL server that never blocks the loop: connects, runs one query at a time from a short
 * queue, gives each its deadline, reconnects with a pause. libpq lives in this directory only. */
#ifndef PG_SESSION_H
#define PG_SESSION_H
#include "rt/err.h"
#include "rt/str.h"
#include <poll.h>
#include <stdint.h>

struct pg_session;
struct pg_result {
    bool ok;
    struct err err;     /* the server's: ERR_EXTERNAL "SQLSTATE: message". ERR_UNREACHABLE: it was never sent. ERR_TIMEOUT: it was
                         * sent, and deadline, loss of the connection or a reset came first: outcome unknown */
    char sqlstate[6];   /* also of a refused connection: 57P03 starting up or shutting down, 53300 too many clients (alive!) */
    const char *text;   /* first column of the first row, NULL if none; valid during the callback */
    size_t text_len;
    bool warning;       /* the server sent a WARNING with it: "success" may not be what it seems */
};
typedef void pg_done(void *context, const struct pg_result *result);

/* conninfo must use a socket directory or hostaddr: names would be resolved synchronously. connect_ms bounds one attempt. */
struct pg_session *pg_session_new(const char *conninfo, int64_t connect_ms);
void pg_session_free(struct pg_session *s); /* pending queries end without callbacks */
/* Server (re)started, moved or known to be down: drop the connection and connect anew at the next query. */
void pg_session_reset(struct pg_session *s);
/* Queues; the next step sends. At most 16 wait or run (else the callback gets ERR_LIMIT at once). params are text, may be NULL. The deadline covers
 * waiting, connecting and running; at it the connection is dropped, since libpq 15 has no non-blocking cancel.
 * A failed attempt to connect ends all that wait with ERR_UNREACHABLE; the next attempt comes with the next query, after a
 * pause of 100 ms that doubles up to 1 s. Callbacks run inside pg_session_step and may query and reset, not free. */
void pg_session_query(struct pg_session *s, const char *sql, const char *const *params, int n_params, int64_t deadline_boot_ms, pg_done *done, void *context);
bool pg_session_connected(const struct pg_session *s);
int pg_session_backend_pid(const struct pg_session *s);
size_t pg_session_pollfd(const struct pg_session *s, struct pollfd *fd); /* 0 or 1 entries */
int64_t pg_session_next_deadline(const struct pg_session *s);            /* boot ms; 0: at once; INT64_MAX: none */
void pg_session_step(struct pg_session *s, int64_t now_boot_ms);         /* on any event and at the deadline */

/* Blocking, for jobs: one query over a fresh connection, first column of first row into `to`. */
bool pg_query_once(const char *conninfo, const char *sql, int64_t deadline_boot_ms, struct strbuf *to, struct err *err);
/* Quotes one value of a connection string (libpq's rules) and appends `keyword='value' `. */
void pg_conninfo_add(struct strbuf *to, const char *keyword, const char *value);
/* 'text' as an SQL literal, standard_conforming_strings on; appended. */
void pg_literal(struct strbuf *to, const char *text);
#endif
