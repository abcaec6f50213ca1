/* Finding and reading the command's configuration. Nothing is contacted; the files that it names are opened by those
 * who use them. */
#include "coordinator/cli/config.h"
#include "rt/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYSTEM_FILE "/etc/pgregent/pgregent.yaml"
#define COORDINATOR_PORT "7400"

static const struct field tls_fields[] = {
    FIELD_TEXT(struct tls_files, ca, FIELD_REQUIRED, "certificate of the cluster's private CA"),
    FIELD_TEXT(struct tls_files, certificate, FIELD_REQUIRED, "the operator's certificate"),
    FIELD_TEXT(struct tls_files, key, FIELD_REQUIRED, "its private key"),
    FIELD_END};
static const struct fields tls_table = FIELDS("tls", struct tls_files, tls_fields);

static const struct field config_fields[] = {
    FIELD_TEXTS(struct cli_config, coordinators, coordinator_count, FIELD_REQUIRED, "https://HOST:PORT or HOST:PORT of each coordinator"),
    FIELD_OBJECT(struct cli_config, tls, &tls_table, FIELD_REQUIRED, "files of the mutual TLS with coordinators and agents"),
    FIELD_TEXT(struct cli_config, operator, 0, "who signs: a name under keys.operators of the topology"),
    FIELD_TEXT(struct cli_config, operator_key, 0, "the operator's private key; needed to change something"),
    FIELD_END};
static const struct fields config_table = FIELDS("pgregent", struct cli_config, config_fields);

bool config_find(const char *given, char *to, size_t size, struct err *err) {
    const char *environment = getenv("PGREGENT_CONFIG"), *home = getenv("HOME");
    if (given || (environment && *environment)) {
        str_copy(to, size, given ? given : environment);
        return true;
    }
    snprintf(to, size, "%s/.config/pgregent/pgregent.yaml", home ? home : "");
    if (home && file_exists(to))
        return true;
    str_copy(to, size, SYSTEM_FILE);
    if (file_exists(to))
        return true;
    return err_set(err, ERR_NOT_FOUND, "no configuration: neither -c FILE nor $PGREGENT_CONFIG is given, and there is neither "
                                       "~/.config/pgregent/pgregent.yaml nor " SYSTEM_FILE);
}

/* "HOST:PORT", "HOST" or "https://..." to https://HOST:PORT without anything behind. */
static bool normalise(char coordinator[128], struct err *err) {
    char text[128];
    str_copy(text, sizeof text, coordinator);
    const char *address = strstr(text, "://") ? strstr(text, "://") + 3 : text;
    if (address != text && !str_starts(text, "https://"))
        return err_set(err, ERR_INVALID, "coordinators: \"%s\": only https:// is spoken", text);
    size_t len = strlen(text);
    if (address[0] && text[len - 1] == '/')
        text[len - 1] = '\0';
    if (!address[0] || strpbrk(address, "/?# @"))
        return err_set(err, ERR_INVALID, "coordinators: \"%s\" is no HOST:PORT", coordinator);
    const char *after_host = address[0] == '[' ? strchr(address, ']') : address;
    bool has_port = after_host && strchr(after_host, ':');
    int written = snprintf(coordinator, 128, "https://%s%s", address, has_port ? "" : ":" COORDINATOR_PORT);
    return written < 128 || err_set(err, ERR_INVALID, "coordinators: \"%s\" is too long", text);
}

static bool resolve(const struct cli_config *c, char path[512], struct err *err) { return config_file_resolve(c->file, path, 512, err); }

static bool finish(struct cli_config *c, struct err *err) {
    if (c->coordinator_count == 0)
        return err_set(err, ERR_INVALID, "%s: coordinators: at least one is needed", c->file);
    for (uint32_t i = 0; i < c->coordinator_count; i++)
        if (!normalise(c->coordinators[i], err))
            return err_wrap(err, "%s", c->file);
    return resolve(c, c->tls.ca, err) && resolve(c, c->tls.certificate, err) && resolve(c, c->tls.key, err) &&
           resolve(c, c->operator_key, err);
}

bool config_read(const char *path, struct cli_config *out, struct err *err) {
    if (!config_file_read(path, &config_table, out, err))
        return false;
    str_copy(out->file, sizeof out->file, path);
    return finish(out, err);
}
