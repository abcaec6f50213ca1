/* What the tables cannot say about one part of a topology file: names, keys, verbs, paths, budgets of time, and what is
 * not built yet. How the parts fit together is in topology_cross.c. */
#include "wire/parameter.h"
#include "wire/topology_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RENEWAL_TIME_MS 1000 /* left of the lease for a renewal that has to be tried again */

static void path_of(char to[TOPOLOGY_PATH_MAX], const char *prefix, const char *name, const char *suffix) {
    snprintf(to, TOPOLOGY_PATH_MAX, "%.100s%.50s%.40s", prefix, name, suffix);
}

/* --- names --- */

static const char name_rule[] = "a name is [a-z][a-z0-9-]{0,30}";

/* The field table has told about names that are too long. */
static bool is_bad_name(const char *name) {
    return strlen(name) < NAME_MAX_BYTES && !name_is_valid(name);
}

static void check_keys_are_names(const struct topology_check *c, const char *path) {
    const struct node *map = topology_written(c, path);
    if (!map || map->kind != NODE_MAP) return;
    for (const struct node *n = map->first; n; n = n->next) {
        struct node at = {.line = n->key_line, .column = n->key_column};
        if (is_bad_name(n->key)) field_problem_add(c->problems, &at, path, name_rule);
    }
}

static void check_names(const struct topology_check *c, const struct topology_file *file) {
    char path[TOPOLOGY_PATH_MAX];
    if (file->cluster[0] && !name_is_valid(file->cluster)) topology_problem(c, "cluster", name_rule);
    check_keys_are_names(c, "sites");
    check_keys_are_names(c, "coordinators");
    check_keys_are_names(c, "keys.operators");
    for (uint32_t i = 0; i < file->site_count; i++) {
        path_of(path, "sites.", file->sites[i].name, ".members");
        check_keys_are_names(c, path);
    }
}

/* --- keys and rights --- */

static void check_public_key(const struct topology_check *c, const char *key, const char *path) {
    unsigned char public[SIGN_PUBLIC_BYTES];
    struct err err = {0};
    if (key[0] && !sign_public_parse(key, public, &err)) topology_problem(c, path, "%s", err.text);
}

static void check_public_keys(const struct topology_check *c, const struct topology_file *file) {
    char path[TOPOLOGY_PATH_MAX], members[TOPOLOGY_PATH_MAX];
    for (uint32_t i = 0; i < file->site_count; i++) {
        path_of(members, "sites.", file->sites[i].name, ".members.");
        for (uint32_t k = 0; k < file->sites[i].member_count; k++) {
            path_of(path, members, file->sites[i].members[k].name, ".key");
            check_public_key(c, file->sites[i].members[k].key, path);
        }
    }
    for (uint32_t i = 0; i < file->coordinator_count; i++) {
        path_of(path, "coordinators.", file->coordinators[i].name, ".key");
        check_public_key(c, file->coordinators[i].key, path);
    }
    for (uint32_t i = 0; i < file->keys.operator_count; i++) {
        path_of(path, "keys.operators.", file->keys.operators[i].name, ".key");
        check_public_key(c, file->keys.operators[i].key, path);
    }
}

static bool is_verb(const char *name) {
    for (size_t i = 0; verb_names[i]; i++)
        if (strcmp(verb_names[i], name) == 0) return true;
    return false;
}

static void refuse_verb(const struct topology_check *c, const char *path, const char *word) {
    size_t count = 0;
    while (verb_names[count]) count++;
    const char *near = str_nearest(word, verb_names, count);
    if (near) topology_problem(c, path, "no verb is called \"%s\"; did you mean \"%s\"?", word, near);
    else topology_problem(c, path, "no verb is called \"%s\"", word);
}

static void check_rights(const struct topology_check *c, const struct file_keys *keys) {
    char path[TOPOLOGY_PATH_MAX];
    for (uint32_t i = 0; i < keys->operator_count; i++) {
        const struct file_operator *o = &keys->operators[i];
        path_of(path, "keys.operators.", o->name, ".may");
        for (uint32_t k = 0; k < o->may_count; k++)
            if (o->may[k][0] && strcmp(o->may[k], "all") != 0 && !is_verb(o->may[k])) refuse_verb(c, path, o->may[k]);
    }
    for (uint32_t i = 0; i < keys->approval_count; i++) {
        const struct field_pair *a = &keys->approvals[i];
        path_of(path, "keys.approvals.", a->name, "");
        if (!is_verb(a->name)) refuse_verb(c, path, a->name);
        else if (strcmp(a->value, "1") != 0) topology_problem(c, path, "not built yet: more than 1 signature, not \"%.20s\"", a->value);
    }
}

/* --- paths, times, methods --- */

/* Absolute, and the same to every reader: no empty, "." or ".." parts. */
static bool is_plain_path(const char *path) {
    if (path[0] != '/' || path[1] == '\0') return false;
    for (const char *at = path; *at; at += strcspn(at, "/")) {
        at++;
        size_t len = strcspn(at, "/");
        if ((len == 0 && *at) || (len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.')) return false;
    }
    return true;
}

static void check_path(const struct topology_check *c, const char *value, const char *path) {
    if (value[0] && !is_plain_path(value)) topology_problem(c, path, "wants an absolute path without . or .., not \"%.100s\"", value);
}

void topology_check_local(const struct topology_check *c, const struct topology_local *local, const char *path) {
    bool told = local->ttl_ms < TTL_LEAST_MS || local->stop_time_ms < STOP_TIME_LEAST_MS; /* by the table */
    if (told || local->ttl_ms - local->stop_time_ms >= RENEWAL_TIME_MS) return;
    topology_problem(c, path, "ttl %lld ms leaves less than %d ms for renewing before stop_time %lld ms begins", (long long)local->ttl_ms,
                     RENEWAL_TIME_MS, (long long)local->stop_time_ms);
}

static void check_failsafe(const struct topology_check *c, const char *path, bool on) {
    if (on && topology_written(c, path))
        topology_warning(c, path, "not in effect yet: a primary that cannot reach its store stops before its lease ends");
}

static void check_methods(const struct topology_check *c, const struct topology_standby *standby, const char *path) {
    for (uint32_t i = 0; i < standby->create_replica_method_count; i++)
        if (strcmp(standby->create_replica_methods[i], "basebackup") != 0)
            topology_problem(c, path, "not built yet: %.31s, only basebackup", standby->create_replica_methods[i]);
}

static void check_store(const struct topology_check *c, const struct file_site *site) {
    char path[TOPOLOGY_PATH_MAX];
    path_of(path, "sites.", site->name, ".store");
    const struct node *store = topology_written(c, path);
    if (store && store->kind == NODE_MAP && !node_get(store, "etcd") && !site->store.embedded[0]) topology_problem(c, path, "wants embedded: DIRECTORY");
    path_of(path, "sites.", site->name, ".store.embedded");
    check_path(c, site->store.embedded, path);
}

/* What the agents would refuse to write into postgresql.conf is told before anything is signed. */
static void check_parameters(const struct topology_check *c, const struct topology_postgresql *postgresql, const char *prefix) {
    char path[TOPOLOGY_PATH_MAX];
    for (uint32_t i = 0; i < postgresql->parameter_count; i++) {
        const char *name = postgresql->parameters[i].name, *reason = parameter_reserved(name);
        path_of(path, prefix, "postgresql.parameters.", name);
        if (reason) topology_problem(c, path, "\"%.60s\" %s", name, reason);
    }
}

static void check_site(const struct topology_check *c, const struct file_site *site) {
    char path[TOPOLOGY_PATH_MAX], members[TOPOLOGY_PATH_MAX];
    path_of(path, "sites.", site->name, ".postgresql.data_dir");
    check_path(c, site->postgresql.data_dir, path);
    path_of(path, "sites.", site->name, ".local.failsafe_mode");
    check_failsafe(c, path, site->local.failsafe_mode);
    path_of(path, "sites.", site->name, ".standby_cluster.create_replica_methods");
    check_methods(c, &site->standby_cluster, path);
    check_store(c, site);
    path_of(path, "sites.", site->name, ".");
    check_parameters(c, &site->postgresql, path);
    path_of(members, "sites.", site->name, ".members.");
    for (uint32_t i = 0; i < site->member_count; i++) {
        path_of(path, members, site->members[i].name, ".postgresql.data_dir");
        check_path(c, site->members[i].postgresql.data_dir, path);
        path_of(path, members, site->members[i].name, ".");
        check_parameters(c, &site->members[i].postgresql, path);
    }
}

void topology_check_file(const struct topology_check *c, const struct topology_file *file) {
    check_names(c, file);
    check_public_keys(c, file);
    check_rights(c, &file->keys);
    check_path(c, file->postgresql.data_dir, "postgresql.data_dir");
    check_parameters(c, &file->postgresql, "");
    topology_check_local(c, &file->local, "local");
    check_failsafe(c, "local.failsafe_mode", file->local.failsafe_mode);
    for (uint32_t i = 0; i < file->site_count; i++) check_site(c, &file->sites[i]);
}
