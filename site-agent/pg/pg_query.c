/* What jobs need beside the session: one blocking query, and the quoting rules of connection strings and SQL. */
#include "rt/clock.h"
#include "site-agent/pg/pg_session.h"
#include <string.h>

struct once {
    bool over;
    struct strbuf *to;
    struct err err;
};

static void on_done(void *context, const struct pg_result *result) {
    struct once *once = context;
    once->over = true;
    once->err = result->err;
    if (result->ok && result->text)
        strbuf_add_bytes(once->to, result->text, result->text_len);
}

static void session_cleanup(struct pg_session **s) { pg_session_free(*s); }

/* Until something happens or is due. The clock of poll stands still during suspend: the caller looks at the right one after. */
static void wait_for(const struct pg_session *s, int64_t now) {
    struct pollfd fd;
    nfds_t n = pg_session_pollfd(s, &fd);
    int64_t left = pg_session_next_deadline(s) - now;
    poll(&fd, n, left <= 0 ? 0 : left > 1000 ? 1000 : (int)left);
}

bool pg_query_once(const char *conninfo, const char *sql, int64_t deadline_boot_ms, struct strbuf *to, struct err *err) {
    int64_t now = clock_boot_ms();
    struct once once = {.to = to};
    __attribute__((cleanup(session_cleanup))) struct pg_session *s = pg_session_new(conninfo, deadline_boot_ms - now);
    pg_session_query(s, sql, NULL, 0, deadline_boot_ms, on_done, &once);
    while (!once.over) {
        wait_for(s, clock_boot_ms());
        pg_session_step(s, clock_boot_ms());
    }
    return once.err.code == ERR_NONE || err_set(err, once.err.code, "%s", once.err.text);
}

void pg_conninfo_add(struct strbuf *to, const char *keyword, const char *value) {
    strbuf_addf(to, "%s='", keyword);
    for (const char *at = value; *at; at++) {
        if (*at == '\'' || *at == '\\')
            strbuf_add(to, "\\");
        strbuf_add_bytes(to, at, 1);
    }
    strbuf_add(to, "' ");
}

void pg_literal(struct strbuf *to, const char *text) {
    strbuf_add(to, "'");
    for (const char *at = text; *at; at++) {
        if (*at == '\'')
            strbuf_add(to, "'");
        strbuf_add_bytes(to, at, 1);
    }
    strbuf_add(to, "'");
}
