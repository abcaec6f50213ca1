/* The files around a start: checks the input, writes the three rendered files, takes our names out of
 * postgresql.auto.conf, and composes the command line. Does not start or reload anything. */
#include "rt/file.h"
#include "site-agent/pg/pg_config.h"
#include "wire/parameter.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define FILE_LIMIT (1u << 20)
#define SOCKET_PATH_MAX 107 /* sun_path, less its NUL */

/* ---- checks ---- */

static bool has_control(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    return false;
}

static bool check_path(const char *what, const char *path, struct err *err) {
    if (path[0] != '/' || has_control(path))
        return err_set(err, ERR_INVALID, "%s: wants an absolute path without control characters", what);
    return true;
}

static bool check_socket(const struct pg_config_input *in, struct err *err) {
    if (!check_path("socket directory", in->socket_dir, err))
        return false;
    if (strpbrk(in->socket_dir, ",\" ")) /* PostgreSQL takes a list there */
        return err_set(err, ERR_INVALID, "socket directory %s: commas, quotes and blanks cannot stand in it", in->socket_dir);
    int length = snprintf(NULL, 0, "%s/.s.PGSQL.%" PRId64, in->socket_dir, in->port);
    if (length > SOCKET_PATH_MAX)
        return err_set(err, ERR_INVALID, "socket %s/.s.PGSQL.%" PRId64 ": %d bytes, the kernel takes %d: choose a shorter directory (state_dir)",
                       in->socket_dir, in->port, length, SOCKET_PATH_MAX);
    return true;
}

/* pg_ident.conf: a leading slash would make it a regular expression. */
static bool check_user(const char *user, struct err *err) {
    for (const char *at = user; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("._-$", *at))
            return err_set(err, ERR_INVALID, "system user \"%s\": letters, digits and ._-$ only", user);
    return *user || err_set(err, ERR_INVALID, "system user: missing");
}

static bool is_number(const char *text) { return *text && strlen(text) <= 9 && text[strspn(text, "0123456789")] == '\0'; }

static bool check_parameter(const struct field_pair *p, struct err *err) {
    const char *reason = parameter_reserved(p->name);
    if (reason)
        return err_set(err, ERR_INVALID, "parameter %s: cannot be set: %s", p->name, reason);
    if (has_control(p->value))
        return err_set(err, ERR_INVALID, "parameter %s: control characters (newlines too) cannot stand in a value", p->name);
    if (strcasecmp(p->name, "wal_level") == 0 && strcasecmp(p->value, "replica") != 0 && strcasecmp(p->value, "logical") != 0)
        return err_set(err, ERR_INVALID, "parameter wal_level: wants replica or logical");
    if (parameter_is_floor(p->name) && !is_number(p->value))
        return err_set(err, ERR_INVALID, "parameter %s: wants a whole number", p->name);
    return true;
}

static bool check_parameters(const struct pg_config_input *in, struct err *err) {
    for (uint32_t i = 0; i < in->parameter_count; i++) {
        if (!check_parameter(&in->parameters[i], err))
            return false;
        for (uint32_t before = 0; before < i; before++)
            if (strcasecmp(in->parameters[before].name, in->parameters[i].name) == 0)
                return err_set(err, ERR_INVALID, "parameter %s: set twice", in->parameters[i].name);
    }
    return true;
}

static bool check_hba(const struct pg_config_input *in, struct err *err) {
    for (uint32_t i = 0; i < in->pg_hba_count; i++) {
        const char *line = in->pg_hba[i];
        size_t n = strlen(line);
        for (size_t at = 0; at < n; at++)
            if ((unsigned char)line[at] < ' ' && line[at] != '\t')
                return err_set(err, ERR_INVALID, "pg_hba line %u: control characters (newlines too) cannot stand in it", i + 1);
        if (n > 0 && line[n - 1] == '\\')
            return err_set(err, ERR_INVALID, "pg_hba line %u: ends in a backslash, which would join it with the next", i + 1);
    }
    return true;
}

bool pg_config_check(const struct pg_config_input *in, struct err *err) {
    if (in->port < 1 || in->port > 65535)
        return err_set(err, ERR_INVALID, "port %" PRId64 ": not from 1 to 65535", in->port);
    if (in->recovery_min_apply_delay_ms < 0 || in->recovery_min_apply_delay_ms > INT32_MAX)
        return err_set(err, ERR_INVALID, "recovery_min_apply_delay: not from 0 to 24 days");
    if (has_control(in->primary_conninfo) || has_control(in->primary_slot_name) || has_control(in->restore_command) || has_control(in->host))
        return err_set(err, ERR_INVALID, "upstream: control characters (newlines too) cannot stand in connection, slot, command or host");
    return check_path("data directory", in->data_dir, err) && check_path("configuration directory", in->config_dir, err) &&
           check_path("certificate", in->certificate, err) && check_path("key", in->key, err) && check_path("ca", in->ca, err) &&
           check_socket(in, err) && check_user(in->os_user, err) && check_user(in->agent_user, err) && check_parameters(in, err) &&
           check_hba(in, err);
}

/* ---- lines of a configuration file ---- */

/* The next line without its newline; false at the end. */
static bool next_line(struct bytes *rest, struct bytes *line) {
    if (rest->len == 0)
        return false;
    const char *end = memchr(rest->at, '\n', rest->len);
    size_t n = end ? (size_t)(end - rest->at) : rest->len;
    *line = (struct bytes){.at = rest->at, .len = n};
    size_t used = end ? n + 1 : n;
    rest->at += used;
    rest->len -= used;
    return true;
}

/* The name of the parameter that a line sets; "" for comments and blank lines. */
static void line_name(struct bytes line, char *to, size_t size) {
    size_t from = 0, n = 0;
    while (from < line.len && isspace((unsigned char)line.at[from]))
        from++;
    while (from < line.len && n + 1 < size && line.at[from] != '=' && line.at[from] != '#' && !isspace((unsigned char)line.at[from]))
        to[n++] = line.at[from++];
    to[n] = '\0';
}

static bool has_line(struct bytes text, struct bytes wanted) {
    struct bytes line;
    while (next_line(&text, &line))
        if (line.len == wanted.len && memcmp(line.at, wanted.at, wanted.len) == 0)
            return true;
    return false;
}

/* Any line of `a` that is not in `b` and sets a parameter that is read at start only. */
static bool differs_in_restart(struct bytes a, struct bytes b) {
    struct bytes rest = a, line;
    char name[128];
    while (next_line(&rest, &line)) {
        line_name(line, name, sizeof name);
        if (parameter_needs_restart(name) && !has_line(b, line))
            return true;
    }
    return false;
}

static struct bytes slice(const struct strbuf *b) { return (struct bytes){.at = b->at ? b->at : "", .len = b->len}; }

/* ---- writing ---- */

struct target {
    uid_t uid;
    gid_t gid;
    bool *changed, *restart;
};

static bool read_if_there(const char *path, struct strbuf *to, bool *there, struct err *err) {
    struct err why = {0};
    *there = file_read(path, FILE_LIMIT, to, &why);
    return *there || why.code == ERR_NOT_FOUND || err_set(err, why.code, "%s", why.text);
}

static bool write_one(const char *dir, const char *file, const struct strbuf *text, const struct target *t, struct err *err) {
    STRBUF path = {0}, old = {0};
    bool there;
    strbuf_addf(&path, "%s/%s", dir, file);
    if (text->overflow)
        return err_set(err, ERR_LIMIT, "%s: too long", path.at);
    if (!read_if_there(path.at, &old, &there, err))
        return false;
    struct bytes before = slice(&old), after = slice(text);
    if (there && before.len == after.len && memcmp(before.at, after.at, after.len) == 0)
        return true;
    if (!file_write_as(path.at, after.at, after.len, 0600, t->uid, t->gid, err))
        return false;
    *t->changed = true;
    if (there && (differs_in_restart(before, after) || differs_in_restart(after, before)))
        *t->restart = true;
    return true;
}

bool pg_config_write(const struct pg_config_input *in, uid_t uid, gid_t gid, bool *changed, bool *restart, struct err *err) {
    STRBUF conf = {0}, hba = {0}, ident = {0};
    *changed = *restart = false;
    if (!pg_config_check(in, err) || !file_mkdirs_as(in->config_dir, 0700, uid, gid, err))
        return false;
    pg_config_postgresql(in, &conf);
    pg_config_hba(in, &hba);
    pg_config_ident(in, &ident);
    const struct target t = {.uid = uid, .gid = gid, .changed = changed, .restart = restart};
    return write_one(in->config_dir, "pg_hba.conf", &hba, &t, err) && write_one(in->config_dir, "pg_ident.conf", &ident, &t, err) &&
           write_one(in->config_dir, "postgresql.conf", &conf, &t, err);
}

/* ALTER SYSTEM writes one parameter a line, so lines are enough. */
static bool keep_foreign_lines(struct bytes text, struct strbuf *to) {
    struct bytes line;
    char name[128];
    bool dropped = false;
    while (next_line(&text, &line)) {
        line_name(line, name, sizeof name);
        if (name[0] && parameter_is_managed(name)) {
            dropped = true;
            continue;
        }
        strbuf_add_bytes(to, line.at, line.len);
        strbuf_add(to, "\n");
    }
    return dropped;
}

bool pg_config_strip_auto(const char *data_dir, struct err *err) {
    STRBUF path = {0}, old = {0}, kept = {0};
    bool there;
    struct stat st;
    strbuf_addf(&path, "%s/postgresql.auto.conf", data_dir);
    if (!read_if_there(path.at, &old, &there, err))
        return false;
    if (!there || !keep_foreign_lines(slice(&old), &kept))
        return true;
    if (stat(path.at, &st) != 0)
        return err_sys(err, errno, "%s", path.at);
    return file_write_as(path.at, kept.at ? kept.at : "", kept.len, st.st_mode & 0777, st.st_uid, st.st_gid, err);
}

/* ---- the command line ---- */

static bool add_argument(struct pg_argv *out, size_t *used, size_t *n, const char *text) {
    size_t size = strlen(text) + 1;
    if (*n + 1 >= PG_ARGV_MAX || *used + size > sizeof out->memory)
        return false;
    memcpy(out->memory + *used, text, size);
    out->argv[(*n)++] = out->memory + *used;
    *used += size;
    return true;
}

/* What ALTER SYSTEM must not change stands here, since the command line wins over postgresql.auto.conf. */
bool pg_config_argv(const char *bin_dir, const struct pg_config_input *in, struct pg_argv *out, struct err *err) {
    STRBUF postgres = {0}, conf = {0}, hba = {0}, ident = {0};
    strbuf_addf(&postgres, "%s/postgres", bin_dir);
    strbuf_addf(&conf, "config_file=%s/postgresql.conf", in->config_dir);
    strbuf_addf(&hba, "hba_file=%s/pg_hba.conf", in->config_dir);
    strbuf_addf(&ident, "ident_file=%s/pg_ident.conf", in->config_dir);
    const char *const arguments[] = {postgres.at, "-D", in->data_dir, "-c", conf.at, "-c", hba.at, "-c", ident.at, "-c", "restart_after_crash=off"};
    size_t used = 0, n = 0;
    *out = (struct pg_argv){0};
    for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++)
        if (!add_argument(out, &used, &n, arguments[i]))
            return err_set(err, ERR_LIMIT, "postgres: the command line is too long");
    return true;
}
