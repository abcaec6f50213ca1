/* Reading the agent's configuration. Nothing is started or contacted here; `--check-config` is this and no more. */
#include "site-agent/config.h"
#include <pwd.h>
#include <string.h>
#include <unistd.h>

static const char *const health_tls_names[] = {"off", NULL};
static const char *const on_exit_names[] = {"leave", NULL};

static const struct field health_fields[] = {
    FIELD_TEXT(struct agent_health, listen, FIELD_REQUIRED, "address of Patroni's health endpoints and /metrics"),
    FIELD_CHOICE(struct agent_health, tls, health_tls_names, 0, "TLS of the health endpoints; only off is built"),
    FIELD_END};
static const struct fields health_table = FIELDS("health", struct agent_health, health_fields);
static const struct field tls_fields[] = {
    FIELD_TEXT(struct tls_files, ca, FIELD_REQUIRED, "certificate of the cluster's private CA"),
    FIELD_TEXT(struct tls_files, certificate, FIELD_REQUIRED, "this agent's certificate: SAN URI pgregent://CLUSTER/SITE/MEMBER and its address"),
    FIELD_TEXT(struct tls_files, key, FIELD_REQUIRED, "its private key"),
    FIELD_END};
static const struct fields tls_table = FIELDS("tls", struct tls_files, tls_fields);
static const struct field trust_fields[] = {
    FIELD_TEXTS(struct agent_trust, operators, operator_count, FIELD_REQUIRED, "operators' public keys, for the first topology only"),
    FIELD_END};
static const struct fields trust_table = FIELDS("trust", struct agent_trust, trust_fields);
static const struct field postgresql_fields[] = {
    FIELD_TEXT(struct agent_postgresql, bin_dir, FIELD_REQUIRED, "directory of postgres, initdb, pg_basebackup"),
    FIELD_TEXT(struct agent_postgresql, os_user, FIELD_REQUIRED, "user that PostgreSQL runs as"),
    FIELD_TEXT(struct agent_postgresql, log, FIELD_REQUIRED, "directory of postgresql.log, outside the data directory"),
    FIELD_END};
static const struct fields postgresql_table = FIELDS("postgresql", struct agent_postgresql, postgresql_fields);
static const struct field replication_fields[] = {
    FIELD_TEXT(struct agent_replication, certificate, FIELD_REQUIRED, "certificate with CN pgregent_repl, for server and replication"),
    FIELD_TEXT(struct agent_replication, key, FIELD_REQUIRED, "its private key, owned by os_user, mode 0600"),
    FIELD_END};
static const struct fields replication_table = FIELDS("replication", struct agent_replication, replication_fields);

static const struct field config_fields[] = {
    FIELD_TEXT(struct agent_config, cluster, FIELD_REQUIRED, "name of the cluster"),
    FIELD_TEXT(struct agent_config, site, FIELD_REQUIRED, "name of this site"),
    FIELD_TEXT(struct agent_config, member, FIELD_REQUIRED, "name of this member"),
    FIELD_TEXTS(struct agent_config, coordinators, coordinator_count, FIELD_REQUIRED, "https://host:port of the coordinators, for first contact"),
    FIELD_TEXT(struct agent_config, state_dir, FIELD_REQUIRED, "instance id, durable copies, the dead-man's socket"),
    FIELD_TEXT(struct agent_config, listen, FIELD_REQUIRED, "address of /v1/, mutual TLS"),
    FIELD_OBJECT(struct agent_config, health, &health_table, FIELD_REQUIRED, "plain listener"),
    FIELD_OBJECT(struct agent_config, tls, &tls_table, FIELD_REQUIRED, "files of the daemons' mutual TLS"),
    FIELD_TEXT(struct agent_config, signing_key, FIELD_REQUIRED, "Ed25519 key that signs reports and receipts"),
    FIELD_OBJECT(struct agent_config, trust, &trust_table, FIELD_REQUIRED, "whom to believe before a topology is held"),
    FIELD_OBJECT(struct agent_config, postgresql, &postgresql_table, FIELD_REQUIRED, "the server's programs and user"),
    FIELD_OBJECT(struct agent_config, replication, &replication_table, FIELD_REQUIRED, "files that the server and its replication use"),
    FIELD_CHOICE(struct agent_config, on_exit, on_exit_names, 0, "what SIGTERM leaves behind"),
    FIELD_OBJECT(struct agent_config, log, &log_config_table, 0, "log lines"),
    FIELD_END};
static const struct fields config_table = FIELDS("agent", struct agent_config, config_fields);

static bool resolve(const struct agent_config *c, char path[512], struct err *err) { return config_file_resolve(c->file, path, 512, err); }

static bool resolve_paths(struct agent_config *c, struct err *err) {
    return config_file_resolve(c->file, c->state_dir, sizeof c->state_dir, err) && resolve(c, c->tls.ca, err) &&
           resolve(c, c->tls.certificate, err) && resolve(c, c->tls.key, err) && resolve(c, c->signing_key, err) &&
           config_file_resolve(c->file, c->postgresql.log, sizeof c->postgresql.log, err) &&
           resolve(c, c->replication.certificate, err) && resolve(c, c->replication.key, err);
}

/* PostgreSQL refuses to run as root: root drops to os_user, anybody else must be os_user already. */
static bool resolve_users(struct agent_config *c, struct err *err) {
    struct passwd *user = getpwnam(c->postgresql.os_user);
    if (!user)
        return err_set(err, ERR_INVALID, "%s: postgresql.os_user: there is no user \"%s\" on this host", c->file, c->postgresql.os_user);
    if (user->pw_uid == 0)
        return err_set(err, ERR_INVALID, "%s: postgresql.os_user: PostgreSQL refuses to run as root; name its own user", c->file);
    if (geteuid() != 0 && geteuid() != user->pw_uid)
        return err_set(err, ERR_INVALID, "%s: postgresql.os_user: started neither as root nor as \"%s\"", c->file, c->postgresql.os_user);
    c->uid = geteuid() == 0 ? (int64_t)user->pw_uid : -1;
    c->gid = geteuid() == 0 ? (int64_t)user->pw_gid : -1;
    struct passwd *self = getpwuid(geteuid());
    str_copy(c->agent_user, sizeof c->agent_user, self ? self->pw_name : c->postgresql.os_user);
    return true;
}

#define STATE_DIR_MAX 85 /* Unix sockets have 107 bytes: STATE_DIR/run/.s.PGSQL.65535 */
bool agent_config_read(const char *path, struct agent_config *out, struct err *err) {
    if (!config_file_read(path, &config_table, out, err))
        return false;
    str_copy(out->file, sizeof out->file, path);
    if (!resolve_paths(out, err))
        return false;
    if (strlen(out->state_dir) > STATE_DIR_MAX)
        return err_set(err, ERR_INVALID, "%s: state_dir: longer than %d bytes, so PostgreSQL's socket in it would have no room: use a shorter path", path, STATE_DIR_MAX);
    return resolve_users(out, err);
}
