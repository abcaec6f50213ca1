/* Topology file to struct topology: reads the file by its tables, merges the levels (the nearest wins) and lets the
 * checks add what they find, so that one run names every mistake. */
#include "wire/topology_file.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- places --- */

const struct node *topology_node(const struct topology_check *c, const char *path) {
    const struct node *at = c->root;
    while (*path) {
        char key[TOPOLOGY_PATH_MAX];
        size_t len = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)len, path);
        const struct node *next = at->kind == NODE_MAP ? node_get(at, key) : NULL;
        if (!next) break;
        at = next;
        path += len + (path[len] == '.');
    }
    return at;
}

const struct node *topology_written(const struct topology_check *c, const char *path) {
    const struct node *n = topology_node(c, path);
    const char *last = strrchr(path, '.');
    return n->key && strcmp(n->key, last ? last + 1 : path) == 0 ? n : NULL;
}

__attribute__((format(printf, 4, 0))) static void add_problem(struct field_problems *to, const struct topology_check *c, const char *path,
                                                              const char *format, va_list args) {
    char message[512];
    vsnprintf(message, sizeof message, format, args);
    field_problem_add(to, topology_node(c, path), path, "%s", message);
}

void topology_problem(const struct topology_check *c, const char *path, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add_problem(c->problems, c, path, format, args);
    va_end(args);
}

void topology_warning(const struct topology_check *c, const char *path, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add_problem(c->warnings, c, path, format, args);
    va_end(args);
}

/* --- merging --- */

static const struct node *child(const struct node *map, const char *key) {
    return map && map->kind == NODE_MAP ? node_get(map, key) : NULL;
}

static void merge_parameter(const struct topology_check *c, struct topology_postgresql *into, const struct field_pair *pair, const char *path) {
    uint32_t at = 0;
    while (at < into->parameter_count && strcmp(into->parameters[at].name, pair->name) != 0) at++;
    if (at == PARAMETERS_MAX) {
        topology_problem(c, path, "more than %d parameters over all levels", PARAMETERS_MAX);
        return;
    }
    into->parameters[at] = *pair;
    if (at == into->parameter_count) into->parameter_count++;
}

/* `own` lies over what `into` has from the level above; `node` tells which of its keys were written. */
static void merge_postgresql(const struct topology_check *c, struct topology_postgresql *into, const struct topology_postgresql *own,
                             const struct node *node, const char *path) {
    if (child(node, "version")) into->version = own->version;
    if (child(node, "data_dir")) memcpy(into->data_dir, own->data_dir, sizeof into->data_dir);
    for (uint32_t i = 0; i < own->parameter_count; i++) merge_parameter(c, into, &own->parameters[i], path);
    if (!child(node, "pg_hba")) return;
    memcpy(into->pg_hba, own->pg_hba, sizeof into->pg_hba);
    into->pg_hba_count = own->pg_hba_count;
}

static void merge_local(struct topology_local *into, const struct topology_local *own, const struct node *node) {
    if (child(node, "ttl")) into->ttl_ms = own->ttl_ms;
    if (child(node, "stop_time")) into->stop_time_ms = own->stop_time_ms;
    if (child(node, "failsafe_mode")) into->failsafe_mode = own->failsafe_mode;
    if (child(node, "maximum_lag_on_failover")) into->maximum_lag_on_failover = own->maximum_lag_on_failover;
}

/* --- building --- */

static void build_addresses(const struct topology_check *c, const struct file_member *from, struct topology_member *to, const char *path) {
    char at[TOPOLOGY_PATH_MAX], host[sizeof to->host];
    int64_t port;
    static const char wants[] = "wants host:port, like 10.0.1.11:5432 or [2001:db8::1]:5432";
    snprintf(at, sizeof at, "%.180s.address", path);
    if (!topology_split_address(from->address, to->host, sizeof to->host, &to->port)) {
        to->host[0] = '\0';
        if (from->address[0]) topology_problem(c, at, wants);
    }
    snprintf(at, sizeof at, "%.180s.agent", path);
    memcpy(to->agent, from->agent, sizeof to->agent);
    if (!to->agent[0] && to->host[0]) snprintf(to->agent, sizeof to->agent, strchr(to->host, ':') ? "[%s]:%d" : "%s:%d", to->host, AGENT_PORT);
    if (from->agent[0] && !topology_split_address(from->agent, host, sizeof host, &port)) topology_problem(c, at, wants);
}

static void build_member(const struct topology_check *c, const struct file_member *from, const struct topology_postgresql *above,
                         struct topology_member *to, const char *site_path) {
    char path[TOPOLOGY_PATH_MAX], at[TOPOLOGY_PATH_MAX];
    snprintf(path, sizeof path, "%.80s.members.%s", site_path, from->name);
    memcpy(to->name, from->name, sizeof to->name);
    memcpy(to->key, from->key, sizeof to->key);
    memcpy(to->tags, from->tags, sizeof to->tags);
    to->tag_count = from->tag_count;
    build_addresses(c, from, to, path);
    to->postgresql = *above;
    snprintf(at, sizeof at, "%.160s.postgresql", path);
    merge_postgresql(c, &to->postgresql, &from->postgresql, child(topology_node(c, path), "postgresql"), at);
}

static void build_standby(const struct file_site *from, struct topology_site *to, const struct node *node) {
    to->standby_given = child(node, "standby_cluster") != NULL;
    to->standby = from->standby_cluster;
    if (to->standby.create_replica_method_count > 0) return;
    memcpy(to->standby.create_replica_methods[0], "basebackup", sizeof "basebackup");
    to->standby.create_replica_method_count = 1;
}

static void build_site(const struct topology_check *c, const struct topology_file *file, const struct file_site *from,
                       const struct topology_postgresql *above, struct topology_site *to) {
    char path[TOPOLOGY_PATH_MAX], at[TOPOLOGY_PATH_MAX];
    snprintf(path, sizeof path, "sites.%s", from->name);
    snprintf(at, sizeof at, "%.160s.postgresql", path);
    const struct node *node = topology_node(c, path);
    memcpy(to->name, from->name, sizeof to->name);
    memcpy(to->embedded, from->store.embedded, sizeof to->embedded);
    build_standby(from, to, node);
    to->local = file->local;
    merge_local(&to->local, &from->local, child(node, "local"));
    RT_AUTO struct topology_postgresql *merged = rt_alloc(sizeof *merged);
    *merged = *above;
    merge_postgresql(c, merged, &from->postgresql, child(node, "postgresql"), at);
    for (uint32_t i = 0; i < from->member_count; i++) build_member(c, &from->members[i], merged, &to->members[i], path);
    to->member_count = from->member_count;
}

static void build_operator(const struct file_operator *from, struct topology_operator *to) {
    memcpy(to->name, from->name, sizeof to->name);
    memcpy(to->key, from->key, sizeof to->key);
    for (uint32_t i = 0; i < from->may_count; i++)
        for (size_t verb = 0; verb_names[verb]; verb++)
            if (strcmp(from->may[i], verb_names[verb]) == 0 || strcmp(from->may[i], "all") == 0) to->may[verb] = true;
}

static void build(const struct topology_check *c, const struct topology_file *file, struct topology *out) {
    memcpy(out->cluster, file->cluster, sizeof out->cluster);
    memcpy(out->initial_primary, file->initial_primary, sizeof out->initial_primary);
    out->absent_member_ms = file->retention.absent_member_ms;
    out->absent_site_ms = file->retention.absent_site_ms;
    out->slot_wal_max = file->retention.slot_wal_max;
    out->isolated_start_open = file->failover.on_isolated_start != 0;
    RT_AUTO struct topology_postgresql *above = rt_alloc(sizeof *above);
    *above = file->postgresql;
    if (!above->data_dir[0]) snprintf(above->data_dir, sizeof above->data_dir, "/var/lib/postgresql/%s/data", file->cluster);
    for (uint32_t i = 0; i < file->site_count; i++) build_site(c, file, &file->sites[i], above, &out->sites[i]);
    out->site_count = file->site_count;
    for (uint32_t i = 0; i < file->keys.operator_count; i++) build_operator(&file->keys.operators[i], &out->operators[i]);
    out->operator_count = file->keys.operator_count;
    memcpy(out->coordinators, file->coordinators, sizeof out->coordinators);
    out->coordinator_count = file->coordinator_count;
}

/* --- reading --- */

/* The YAML reader says "name:line:column: path: message"; the place goes where places go. */
static void add_syntax_problem(struct field_problems *problems, const char *name, const struct err *err) {
    struct node at = {0};
    const char *message = err->text;
    size_t len = strlen(name);
    int line, column, used = 0;
    if (strncmp(message, name, len) == 0 && sscanf(message + len, ":%d:%d: %n", &line, &column, &used) == 2 && used > 0) {
        at.line = (uint32_t)line;
        at.column = (uint32_t)column;
        message += len + (size_t)used;
    }
    field_problem_add(problems, at.line ? &at : NULL, "", "%s", message);
}

static uint32_t count_of(const struct field_problems *p) {
    return p->count + p->more;
}

static void read_file(const char *name, struct bytes text, struct topology *out, struct field_problems *problems, struct field_problems *warnings) {
    NODE_DOC doc = {0};
    struct err err = {0};
    if (text.len > TOPOLOGY_FILE_MAX) {
        field_problem_add(problems, NULL, "", "%zu bytes long, at most %d are allowed", text.len, TOPOLOGY_FILE_MAX);
        return;
    }
    if (!yaml_parse(name, text, &doc, &err)) {
        add_syntax_problem(problems, name, &err);
        return;
    }
    RT_AUTO struct topology_file *file = rt_alloc(sizeof *file);
    field_read(&topology_file_table, doc.root, "", file, problems);
    if (!doc.root || doc.root->kind != NODE_MAP) return;
    struct topology_check c = {.root = doc.root, .problems = problems, .warnings = warnings};
    topology_check_file(&c, file);
    build(&c, file, out);
    topology_check_cross(&c, out);
}

bool topology_parse(const char *file_name, struct bytes text, struct topology *out, struct field_problems *problems, struct field_problems *warnings) {
    RT_AUTO struct field_problems *unseen = problems ? NULL : rt_alloc(sizeof *unseen);
    struct field_problems *found = problems ? problems : unseen;
    if (!found->name) found->name = file_name;
    if (warnings && !warnings->name) warnings->name = file_name;
    uint32_t before = count_of(found);
    memset(out, 0, sizeof *out);
    read_file(file_name, text, out, found, warnings);
    return count_of(found) == before;
}
