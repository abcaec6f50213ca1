/* What PostgreSQL answers to the few statements of the agent. */
#include "tests/sim/session.h"
#include <stdio.h>
#include <string.h>

/* Answered with the bytes of the struct: nothing is printed and read again. */
const char pg_facts_sql[] = "SELECT facts";
bool pg_facts_parse(const char *text, size_t len, struct pg_facts *out, struct err *err) {
    if (len != sizeof *out)
        return err_set(err, ERR_INVALID, "facts: %zu bytes", len);
    memcpy(out, text, len);
    return true;
}

/* The database roles, by cluster: they are rows, and reach every copy with the rest. */
static uint64_t systems_with_roles[4];
#define SYSTEMS_MAX ((int)(sizeof systems_with_roles / sizeof systems_with_roles[0]))
static int system_count;

static bool has_roles(uint64_t system_id) {
    for (int i = 0; i < system_count && i < SYSTEMS_MAX; i++)
        if (systems_with_roles[i] == system_id)
            return true;
    return false;
}

bool session_role_exists(const struct postgres *pg, const char *conninfo) { return strstr(conninfo, "user=postgres") || has_roles(pg->system_id); }

void session_refuse(struct session_answer *to, const char *sqlstate, const char *message) {
    to->result.ok = false;
    str_copy(to->result.sqlstate, sizeof to->result.sqlstate, sqlstate);
    err_set(&to->result.err, ERR_EXTERNAL, "%s: %s", sqlstate, message);
}

static void answer(struct session_answer *to, const void *text, size_t len) {
    to->memory = rt_alloc(len + 1);
    memcpy(to->memory, text, len);
    to->result = (struct pg_result){.ok = true, .text = to->memory, .text_len = len};
}

static void tell_facts(struct postgres *pg, struct session_answer *to) {
    to->memory = rt_alloc(sizeof(struct pg_facts));
    postgres_facts(pg, (struct pg_facts *)(void *)to->memory);
    to->result = (struct pg_result){.ok = true, .text = to->memory, .text_len = sizeof(struct pg_facts)};
}

static void promote(struct postgres *pg, struct session_answer *to) {
    if (pg->state != SERVER_RECOVERY && pg->state != SERVER_PROMOTING) {
        session_refuse(to, "55000", "recovery is not in progress");
        return;
    }
    postgres_trigger_promotion(pg);
    answer(to, "t", 1);
}

static void make_roles(struct postgres *pg, struct session_answer *to) {
    if (pg->state != SERVER_PRODUCTION) {
        session_refuse(to, "25006", "cannot execute CREATE ROLE in a read-only transaction");
        return;
    }
    if (!has_roles(pg->system_id)) {
        postgres_write_other(pg, 1);
        systems_with_roles[system_count++ % SYSTEMS_MAX] = pg->system_id;
    }
    to->result.ok = true;
}

/* ---- slots: "SELECT f('name', ...), g('name', ...)" ---- */

/* The next literal of the list from *at on. */
static bool take_literal(const char **at, char *to, size_t size) {
    const char *begin = strchr(*at, '\'');
    size_t len = begin ? strcspn(begin + 1, "'") : 0;
    if (!begin || len >= size)
        return false;
    memcpy(to, begin + 1, len);
    to[len] = 0;
    *at = begin + 1 + len + 1;
    return true;
}

static bool change_slot(struct postgres *pg, const char *call, const char *name, const char **rest) {
    char text[LSN_TEXT_MAX];
    lsn_t lsn;
    if (str_starts(call, "pg_create_physical_replication_slot("))
        return postgres_create_slot(pg, name);
    if (str_starts(call, "pg_drop_replication_slot("))
        return postgres_drop_slot(pg, name);
    return take_literal(rest, text, sizeof text) && lsn_parse(text, &lsn) && postgres_advance_slot(pg, name, lsn);
}

/* Slots know no transactions: what was done before the first failure stays done. */
static void change_slots(struct postgres *pg, const char *calls, struct session_answer *to) {
    char name[64];
    const char *call = strstr(calls, "pg_"), *rest;
    for (; call; call = strstr(rest, "pg_")) {
        rest = call;
        if (!take_literal(&rest, name, sizeof name) || !change_slot(pg, call, name, &rest)) {
            session_refuse(to, "55006", "the replication slot is there already, is not there, or is in use");
            return;
        }
        sim_say(pg->host->name, "slot %s: %.*s", name, (int)strcspn(call, "("), call);
    }
    answer(to, "", 0);
}

bool session_run(struct postgres *pg, const char *sql, struct session_answer *to, void (*answered)(void *context, int64_t ok), void *context) {
    *to = (struct session_answer){0};
    if (sql == pg_facts_sql)
        tell_facts(pg, to);
    else if (str_eq(sql, "SELECT 1"))
        answer(to, "1", 1);
    else if (str_eq(sql, "SELECT pg_promote(false)"))
        promote(pg, to);
    else if (str_starts(sql, "DO $$"))
        make_roles(pg, to);
    else if (str_starts(sql, "SELECT pg_"))
        change_slots(pg, sql, to);
    else if (str_eq(sql, "CHECKPOINT")) {
        postgres_checkpoint(pg, answered, context);
        return false;
    } else
        session_refuse(to, "42601", sql);
    return true;
}
