/* Renders postgresql.conf, pg_hba.conf and pg_ident.conf. Pure: no file is touched, and the same input gives the same bytes.
 * Each parameter is written once. Whatever the values hold, the text stays one parameter a line; what is refused is said by
 * pg_config_check (pg_config_files.c). */
#include "site-agent/pg/pg_config.h"
#include "wire/parameter.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BANNER "# Written by pgregent from the topology. Changes made here are lost; change the topology.\n"

/* 'value' by the rules of guc-file.l: quotes doubled, backslashes escape, a newline must not stand in it. */
static void put(struct strbuf *to, const char *name, const char *value) {
    strbuf_addf(to, "%s = '", name);
    for (const char *at = value; *at; at++) {
        if ((unsigned char)*at < ' ')
            strbuf_addf(to, "\\%03o", (unsigned)*at);
        else
            strbuf_addf(to, "%s%c", *at == '\'' ? "'" : *at == '\\' ? "\\" : "", *at);
    }
    strbuf_add(to, "'\n");
}

static void put_int(struct strbuf *to, const char *name, int64_t value, const char *unit) {
    strbuf_addf(to, "%s = '%" PRId64 "%s'\n", name, value, unit);
}

static void put_path(struct strbuf *to, const char *name, const char *dir, const char *file) {
    STRBUF path = {0};
    strbuf_addf(&path, "%s/%s", dir, file);
    put(to, name, path.at);
}

static const char *user_value(const struct pg_config_input *in, const char *name) {
    for (uint32_t i = 0; i < in->parameter_count; i++)
        if (strcasecmp(in->parameters[i].name, name) == 0)
            return in->parameters[i].value;
    return NULL;
}

static void put_place(const struct pg_config_input *in, struct strbuf *to) {
    STRBUF name = {0};
    strbuf_addf(&name, "%s/%s", in->cluster, in->member);
    put(to, "data_directory", in->data_dir);
    put_path(to, "hba_file", in->config_dir, "pg_hba.conf");
    put_path(to, "ident_file", in->config_dir, "pg_ident.conf");
    put(to, "cluster_name", name.at);
    put(to, "listen_addresses", in->host);
    put_int(to, "port", in->port, "");
    put(to, "unix_socket_directories", in->socket_dir);
    put(to, "ssl_cert_file", in->certificate);
    put(to, "ssl_key_file", in->key);
    put(to, "ssl_ca_file", in->ca);
}

/* No choice of the user. The times: a lost peer is noticed within 10 s, a lost connection is tried again after half a second
 * (the default of 5 s would be the better part of a change of leader). */
static void put_fixed(struct strbuf *to) {
    static const struct {
        const char *name, *value;
    } fixed[] = {
        {"unix_socket_permissions", "0777"}, /* pg_hba asks for peer */
        {"ssl", "on"},
        {"hot_standby", "on"},
        {"wal_log_hints", "on"},
        {"restart_after_crash", "off"},
        {"wal_retrieve_retry_interval", "500ms"},
        {"wal_receiver_status_interval", "1s"},
        {"wal_receiver_timeout", "10s"},
        {"wal_sender_timeout", "10s"},
        {"tcp_keepalives_idle", "5s"},
        {"tcp_keepalives_interval", "2s"},
        {"tcp_keepalives_count", "3"},
        {"tcp_user_timeout", "10s"},
        {"logging_collector", "off"},
        {"log_destination", "stderr"},
        {"lc_messages", "C"},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        put(to, fixed[i].name, fixed[i].value);
}

static void put_following(const struct pg_config_input *in, struct strbuf *to) {
    put(to, "primary_conninfo", in->primary_conninfo);
    put(to, "primary_slot_name", in->primary_slot_name);
    put(to, "restore_command", in->ready_for_promotion ? "" : in->restore_command);
    put(to, "recovery_target_timeline", "latest");
    put_int(to, "recovery_min_apply_delay", in->recovery_min_apply_delay_ms, "ms");
    int64_t keep_mb = in->slot_wal_max_bytes >> 20;
    if (in->slot_wal_max_bytes == 0)
        put(to, "max_slot_wal_keep_size", "-1");
    else
        put_int(to, "max_slot_wal_keep_size", keep_mb > 0 ? keep_mb : 1, "MB");
}

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* PostgreSQL's default or ours, the user's if there is one, and not below what the directory or the cluster needs. */
static void put_at_least(const struct pg_config_input *in, struct strbuf *to, const char *name, int64_t otherwise, int64_t least) {
    const char *value = user_value(in, name);
    put_int(to, name, most(value ? strtoll(value, NULL, 10) : otherwise, least), "");
}

static void put_floors(const struct pg_config_input *in, struct strbuf *to) {
    put_at_least(in, to, "max_connections", 100, in->least_max_connections);
    put_at_least(in, to, "max_worker_processes", 8, in->least_max_worker_processes);
    put_at_least(in, to, "max_prepared_transactions", 0, in->least_max_prepared_transactions);
    put_at_least(in, to, "max_locks_per_transaction", 64, in->least_max_locks_per_transaction);
    put_at_least(in, to, "max_wal_senders", 10, most(10, in->least_max_wal_senders));
    put_at_least(in, to, "max_replication_slots", 10, 10);
}

/* Those with a default of ours that the user may change; a NULL default leaves PostgreSQL's. */
struct choice {
    const char *name, *otherwise;
};
static const struct choice choices[] = {
    {"wal_level", "replica"},
    {"wal_keep_size", "64MB"}, /* a server that was stopped keeps what the comparison of histories needs (4.3) */
    {"hot_standby_feedback", "off"},
    {"log_line_prefix", "%m [%p] %q%u@%d "},
    {"max_standby_streaming_delay", NULL},
    {"max_standby_archive_delay", NULL},
};
#define CHOICES (sizeof choices / sizeof *choices)

/* A standby that is about to be promoted must not wait for a reader (the stop of the old primary waits for flush only). */
static void put_choices(const struct pg_config_input *in, struct strbuf *to) {
    for (size_t i = 0; i < CHOICES; i++) {
        const char *value = user_value(in, choices[i].name);
        bool delay = str_starts(choices[i].name, "max_standby_");
        if (delay && in->ready_for_promotion)
            put(to, choices[i].name, "0");
        else if (value || choices[i].otherwise)
            put(to, choices[i].name, value ? value : choices[i].otherwise);
    }
}

static bool is_written(const char *name) {
    for (size_t i = 0; i < CHOICES; i++)
        if (strcasecmp(choices[i].name, name) == 0)
            return true;
    return parameter_is_floor(name);
}

/* A reserved name that slipped through would come after ours and win, so it is left out here as well. */
static void put_users(const struct pg_config_input *in, struct strbuf *to) {
    for (uint32_t i = 0; i < in->parameter_count; i++) {
        const struct field_pair *p = &in->parameters[i];
        if (!is_written(p->name) && !parameter_reserved(p->name))
            put(to, p->name, p->value);
    }
}

void pg_config_postgresql(const struct pg_config_input *in, struct strbuf *to) {
    strbuf_add(to, BANNER);
    put_place(in, to);
    put_fixed(to);
    put_following(in, to);
    put_floors(in, to);
    put_choices(in, to);
    put_users(in, to);
}

/* A line of its own, whatever it holds: control characters become blanks. */
static void put_line(struct strbuf *to, const char *line) {
    for (const char *at = line; *at; at++)
        strbuf_add_bytes(to, (unsigned char)*at < ' ' ? " " : at, 1);
    strbuf_add(to, "\n");
}

/* Ours come first, so that no line of the user can take the agent's or the replication's way in. */
void pg_config_hba(const struct pg_config_input *in, struct strbuf *to) {
    strbuf_add(to, BANNER
               "# type  database     user           address  method\n"
               "local   all          postgres                peer map=pgregent\n"
               "local   all          pgregent                peer map=pgregent\n"
               "local   all          all                     peer\n"
               "hostssl replication  pgregent_repl  all      cert\n");
    if (in->pg_hba_count > 0)
        strbuf_add(to, "# from the topology\n");
    for (uint32_t i = 0; i < in->pg_hba_count; i++)
        put_line(to, in->pg_hba[i]);
}

static void put_map(struct strbuf *to, const char *system_user) {
    strbuf_addf(to, "pgregent  \"%s\"  postgres\n", system_user);
    strbuf_addf(to, "pgregent  \"%s\"  pgregent\n", system_user);
}

void pg_config_ident(const struct pg_config_input *in, struct strbuf *to) {
    strbuf_add(to, BANNER "# map  system user  database user\n");
    put_map(to, in->os_user);
    if (strcmp(in->os_user, in->agent_user) != 0)
        put_map(to, in->agent_user);
}
