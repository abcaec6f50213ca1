/* Reading the coordinator's configuration. `--check-config` is this, and the check of keys and certificates. */
#include "coordinator/config.h"

static const struct field health_fields[] = {
    FIELD_TEXT(struct coordinator_health, listen, FIELD_REQUIRED, "address of /health and /metrics, plain HTTP"),
    FIELD_END};
static const struct fields health_table = FIELDS("health", struct coordinator_health, health_fields);
static const struct field store_fields[] = {
    FIELD_TEXT(struct coordinator_store, embedded, FIELD_REQUIRED, "directory of the journal, on a local disk"),
    FIELD_END};
static const struct fields store_table = FIELDS("store", struct coordinator_store, store_fields);
static const struct field tls_fields[] = {
    FIELD_TEXT(struct tls_files, ca, FIELD_REQUIRED, "certificate of the private CA"),
    FIELD_TEXT(struct tls_files, certificate, FIELD_REQUIRED, "the coordinator's certificate, with its address"),
    FIELD_TEXT(struct tls_files, key, FIELD_REQUIRED, "its private key"),
    FIELD_END};
static const struct fields tls_table = FIELDS("tls", struct tls_files, tls_fields);
static const struct field trust_fields[] = {
    FIELD_TEXTS(struct coordinator_trust, operators, operator_count, FIELD_REQUIRED, "operators' public keys, for a cluster's first topology only"),
    FIELD_END};
static const struct fields trust_table = FIELDS("trust", struct coordinator_trust, trust_fields);

static const struct field config_fields[] = {
    FIELD_TEXT(struct coordinator_config, name, FIELD_REQUIRED, "name of this coordinator, as in the topology"),
    FIELD_TEXT(struct coordinator_config, listen, FIELD_REQUIRED, "address of /v1/, mutual TLS"),
    FIELD_OBJECT(struct coordinator_config, health, &health_table, FIELD_REQUIRED, "plain listener"),
    FIELD_OBJECT(struct coordinator_config, store, &store_table, FIELD_REQUIRED, "where the journal is kept"),
    FIELD_OBJECT(struct coordinator_config, tls, &tls_table, FIELD_REQUIRED, "files of the daemons' mutual TLS"),
    FIELD_TEXT(struct coordinator_config, signing_key, FIELD_REQUIRED, "Ed25519 key that signs orders"),
    FIELD_OBJECT(struct coordinator_config, trust, &trust_table, FIELD_REQUIRED, "whom to believe before a topology is held"),
    FIELD_OBJECT(struct coordinator_config, log, &log_config_table, 0, "log lines"),
    FIELD_END};
static const struct fields config_table = FIELDS("coordinator", struct coordinator_config, config_fields);

static bool resolve(const struct coordinator_config *c, char path[512], struct err *err) { return config_file_resolve(c->file, path, 512, err); }

static bool resolve_paths(struct coordinator_config *c, struct err *err) {
    return resolve(c, c->store.embedded, err) && resolve(c, c->tls.ca, err) && resolve(c, c->tls.certificate, err) &&
           resolve(c, c->tls.key, err) && resolve(c, c->signing_key, err);
}

static bool check_name(const struct coordinator_config *c, struct err *err) {
    if (name_is_valid(c->name))
        return true;
    return err_set(err, ERR_INVALID, "%s: name: wants [a-z][a-z0-9-]{0,30}, not \"%s\"", c->file, c->name);
}

bool coordinator_config_read(const char *path, struct coordinator_config *out, struct err *err) {
    if (!config_file_read(path, &config_table, out, err))
        return false;
    str_copy(out->file, sizeof out->file, path);
    return resolve_paths(out, err) && check_name(out, err);
}
