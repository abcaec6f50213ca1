/* Reading the coordinator's configuration. `--check-config` is this, and the check of keys and certificates. */
#include "coordinator/config.h"
#include "rt/file.h"

static const char *const log_format_names[] = {"key=value", "json", NULL};
static const char *const log_level_names[] = {"debug", "info", "warning", "error", NULL};

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
static const struct field log_fields[] = {
    FIELD_CHOICE(struct coordinator_log, format, log_format_names, 0, "key=value for people, json for machines"),
    {FIELD_MEMBER_(struct coordinator_log, level), .type = FIELD_TYPE_ENUM, .names = log_level_names, .otherwise = "info", .doc = "least level"},
    FIELD_END};
static const struct fields log_table = FIELDS("log", struct coordinator_log, log_fields);

static const struct field config_fields[] = {
    FIELD_TEXT(struct coordinator_config, name, FIELD_REQUIRED, "name of this coordinator, as in the topology"),
    FIELD_TEXT(struct coordinator_config, listen, FIELD_REQUIRED, "address of /v1/, mutual TLS"),
    FIELD_OBJECT(struct coordinator_config, health, &health_table, FIELD_REQUIRED, "plain listener"),
    FIELD_OBJECT(struct coordinator_config, store, &store_table, FIELD_REQUIRED, "where the journal is kept"),
    FIELD_OBJECT(struct coordinator_config, tls, &tls_table, FIELD_REQUIRED, "files of the daemons' mutual TLS"),
    FIELD_TEXT(struct coordinator_config, signing_key, FIELD_REQUIRED, "Ed25519 key that signs orders"),
    FIELD_OBJECT(struct coordinator_config, trust, &trust_table, FIELD_REQUIRED, "whom to believe before a topology is held"),
    FIELD_OBJECT(struct coordinator_config, log, &log_table, 0, "log lines"),
    FIELD_END};
const struct fields coordinator_config_table = FIELDS("coordinator", struct coordinator_config, config_fields);

static void resolve(const struct coordinator_config *c, char *path, size_t size) {
    char absolute[512];
    file_relative_to(absolute, sizeof absolute, c->file, path);
    str_copy(path, size, absolute);
}

static bool check_name(const struct coordinator_config *c, struct err *err) {
    if (name_is_valid(c->name))
        return true;
    return err_set(err, ERR_INVALID, "%s: name: wants [a-z][a-z0-9-]{0,30}, not \"%s\"", c->file, c->name);
}

bool coordinator_config_read(const char *path, struct coordinator_config *out, struct err *err) {
    STRBUF text = {0};
    NODE_DOC doc = {0};
    if (!file_read(path, YAML_INPUT_MAX, &text, err) || !yaml_parse(path, (struct bytes){text.at, text.len}, &doc, err))
        return false;
    RT_AUTO struct field_problems *problems = rt_alloc(sizeof *problems);
    problems->name = path;
    if (!field_read(&coordinator_config_table, doc.root, "", out, problems)) {
        STRBUF list = {0};
        field_problems_write(problems, &list);
        return err_set(err, ERR_INVALID, "%s", list.at);
    }
    str_copy(out->file, sizeof out->file, path);
    resolve(out, out->store.embedded, sizeof out->store.embedded);
    resolve(out, out->tls.ca, sizeof out->tls.ca);
    resolve(out, out->tls.certificate, sizeof out->tls.certificate);
    resolve(out, out->tls.key, sizeof out->tls.key);
    resolve(out, out->signing_key, sizeof out->signing_key);
    return check_name(out, err);
}
