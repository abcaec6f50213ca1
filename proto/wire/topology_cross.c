/* How the parts of a topology fit together: who streams from whom, what two members must not share, and whether one
 * lost key locks everybody out. Slot names need no check of their own: member names are unique in the cluster, and no
 * two valid names become one when - is written as _. */
#include "wire/topology_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void path_of(char to[TOPOLOGY_PATH_MAX], const char *site, const char *rest) {
    snprintf(to, TOPOLOGY_PATH_MAX, "sites.%.40s.%.120s", site, rest);
}

static void member_path(char to[TOPOLOGY_PATH_MAX], const struct topology_site *s, const struct topology_member *m, const char *rest) {
    snprintf(to, TOPOLOGY_PATH_MAX, "sites.%.40s.members.%.40s%.80s", s->name, m->name, rest);
}

/* --- upstreams --- */

static void list_sites(const struct topology *t, char *to, size_t size) {
    size_t used = 0;
    to[0] = '\0';
    for (uint32_t i = 0; i < t->site_count && used < size; i++)
        used += (size_t)snprintf(to + used, size - used, "%s%s", i ? ", " : "", t->sites[i].name);
}

static void check_site_names(const struct topology_check *c, const struct topology *t) {
    char path[TOPOLOGY_PATH_MAX], known[256];
    list_sites(t, known, sizeof known);
    if (t->initial_primary[0] && !topology_site(t, t->initial_primary))
        topology_problem(c, "initial_primary", "no site is called %s; there are %s", t->initial_primary, known);
    for (uint32_t i = 0; i < t->site_count; i++) {
        const char *name = t->sites[i].name, *upstream = t->sites[i].standby.upstream;
        path_of(path, name, "standby_cluster.upstream");
        if (upstream[0] && !topology_site(t, upstream)) topology_problem(c, path, "no site is called %s; there are %s", upstream, known);
        if (strcmp(upstream, name) == 0) topology_problem(c, path, "a site does not stream from itself");
    }
}

static const struct topology_site *upstream_of(const struct topology *t, const struct topology_site *s, const struct topology_site *primary) {
    return s->standby.upstream[0] ? topology_site(t, s->standby.upstream) : primary;
}

/* The way from `s` upwards while `primary` is primary, in `way`; true when it comes back to `s`. Only the first site of
 * a circle, by its place in the file, sees it: so that each is told once. */
static bool is_circle(const struct topology *t, const struct topology_site *s, const struct topology_site *primary, char *way, size_t size) {
    size_t used = (size_t)snprintf(way, size, "%s", s->name);
    const struct topology_site *at = s;
    for (uint32_t steps = 0; steps < t->site_count && used < size; steps++) {
        at = upstream_of(t, at, primary);
        if (!at || at == primary || at < s) return false;
        used += (size_t)snprintf(way + used, size - used, " -> %s", at->name);
        if (at == s) return steps > 0; /* a site that names itself was told about before */
    }
    return false;
}

static void check_circles(const struct topology_check *c, const struct topology *t) {
    char path[TOPOLOGY_PATH_MAX], way[400];
    for (uint32_t i = 0; i < t->site_count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < t->site_count && !found; k++) {
            if (i == k || !is_circle(t, &t->sites[i], &t->sites[k], way, sizeof way)) continue;
            found = true;
            path_of(path, t->sites[i].name, "standby_cluster.upstream");
            topology_problem(c, path, "with %s as primary the sites stream in a circle: %s", t->sites[k].name, way);
        }
    }
}

/* --- what must not be shared --- */

#define THINGS_MAX (SITES_MAX * MEMBERS_MAX * 2 + SITES_MAX + COORDINATORS_MAX + OPERATORS_MAX)
struct thing {
    char path[TOPOLOGY_PATH_MAX];
    char value[256];
    char host[64]; /* "": everywhere */
    bool is_data;
};
struct things {
    uint32_t count;
    struct thing at[THINGS_MAX];
};
typedef bool clash(const struct thing *a, const struct thing *b);

static void add_thing(struct things *all, const char *path, const char *value, const char *host, bool is_data) {
    if (!value[0] || all->count == THINGS_MAX) return;
    struct thing *thing = &all->at[all->count++];
    snprintf(thing->path, sizeof thing->path, "%s", path);
    snprintf(thing->value, sizeof thing->value, "%s", value);
    snprintf(thing->host, sizeof thing->host, "%s", host);
    thing->is_data = is_data;
}

static bool are_same(const struct thing *a, const struct thing *b) {
    return strcmp(a->value, b->value) == 0;
}

static size_t length_of(const char *path) {
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') len--;
    return len;
}

static bool lies_in(const char *inner, const char *outer) {
    size_t len = length_of(outer);
    return strncmp(inner, outer, len) == 0 && (inner[len] == '\0' || inner[len] == '/');
}

/* A data directory shares its place with nothing: it is copied, rewound and replaced as a whole. */
static bool share_a_directory(const struct thing *a, const struct thing *b) {
    if (!(a->is_data || b->is_data) || !topology_same_host(a->host, b->host)) return false;
    return lies_in(a->value, b->value) || lies_in(b->value, a->value);
}

static void refuse_clashes(const struct topology_check *c, const struct things *all, clash *clashes, const char *what) {
    for (uint32_t i = 0; i < all->count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (!clashes(&all->at[i], &all->at[k])) continue;
            topology_problem(c, all->at[i].path, "%s %.120s is in use already by %.160s", what, all->at[i].value, all->at[k].path);
            break;
        }
    }
}

static void collect_member(const struct topology_site *s, const struct topology_member *m, struct things *addresses, struct things *keys,
                           struct things *names, struct things *directories) {
    char path[TOPOLOGY_PATH_MAX], address[128];
    member_path(path, s, m, ".address");
    snprintf(address, sizeof address, strchr(m->host, ':') ? "[%s]:%lld" : "%s:%lld", m->host, (long long)m->port);
    add_thing(addresses, path, m->host[0] ? address : "", "", false);
    member_path(path, s, m, ".agent");
    add_thing(addresses, path, m->agent, "", false);
    member_path(path, s, m, ".key");
    add_thing(keys, path, m->key, "", false);
    member_path(path, s, m, "");
    add_thing(names, path, m->name, "", false);
    member_path(path, s, m, ".postgresql.data_dir");
    if (m->host[0]) add_thing(directories, path, m->postgresql.data_dir, m->host, true);
}

static void check_sharing(const struct topology_check *c, const struct topology *t) {
    enum { ADDRESSES, KEYS, NAMES, DIRECTORIES, STORES, LISTS };
    RT_AUTO struct things *lists = rt_alloc(LISTS * sizeof *lists);
    char path[TOPOLOGY_PATH_MAX];
    for (uint32_t i = 0; i < t->site_count; i++) {
        const struct topology_site *s = &t->sites[i];
        for (uint32_t k = 0; k < s->member_count; k++)
            collect_member(s, &s->members[k], &lists[ADDRESSES], &lists[KEYS], &lists[NAMES], &lists[DIRECTORIES]);
        path_of(path, s->name, "store.embedded");
        add_thing(&lists[STORES], path, s->embedded, "", false);
        if (s->member_count > 0 && s->members[0].host[0]) add_thing(&lists[DIRECTORIES], path, s->embedded, s->members[0].host, false);
    }
    for (uint32_t i = 0; i < t->coordinator_count; i++) {
        snprintf(path, sizeof path, "coordinators.%s.address", t->coordinators[i].name);
        add_thing(&lists[ADDRESSES], path, t->coordinators[i].address, "", false);
        snprintf(path, sizeof path, "coordinators.%s.key", t->coordinators[i].name);
        add_thing(&lists[KEYS], path, t->coordinators[i].key, "", false);
    }
    for (uint32_t i = 0; i < t->operator_count; i++) {
        snprintf(path, sizeof path, "keys.operators.%s.key", t->operators[i].name);
        add_thing(&lists[KEYS], path, t->operators[i].key, "", false);
    }
    refuse_clashes(c, &lists[ADDRESSES], are_same, "address");
    refuse_clashes(c, &lists[KEYS], are_same, "key");
    refuse_clashes(c, &lists[NAMES], are_same, "member name");
    refuse_clashes(c, &lists[DIRECTORIES], share_a_directory, "directory");
    refuse_clashes(c, &lists[STORES], are_same, "store");
}

/* --- sites and people --- */

/* Processes of one host share an embedded store, nobody else. */
static void check_store_host(const struct topology_check *c, const struct topology_site *s) {
    char path[TOPOLOGY_PATH_MAX];
    path_of(path, s->name, "store.embedded");
    for (uint32_t i = 1; s->embedded[0] && i < s->member_count; i++) {
        const char *first = s->members[0].host, *host = s->members[i].host;
        if (!first[0] || !host[0] || topology_same_host(first, host)) continue;
        topology_problem(c, path, "an embedded store is for one host, and members lie on %s and %s", first, host);
        return;
    }
}

static void check_versions(const struct topology_check *c, const struct topology *t) {
    int64_t version = 0;
    char path[TOPOLOGY_PATH_MAX];
    for (uint32_t i = 0; i < t->site_count; i++) {
        for (uint32_t k = 0; k < t->sites[i].member_count; k++) {
            int64_t own = t->sites[i].members[k].postgresql.version;
            if (version == 0) version = own;
            if (own == version) continue;
            member_path(path, &t->sites[i], &t->sites[i].members[k], ".postgresql.version");
            topology_problem(c, path, "version %lld, another member has %lld: physical replication needs one", (long long)own,
                             (long long)version);
        }
    }
}

static void check_not_empty(const struct topology_check *c, const char *path, const char *message) {
    const struct node *map = topology_written(c, path);
    if (map && map->kind == NODE_MAP && map->count == 0) topology_problem(c, path, "%s", message);
}

static void check_sites(const struct topology_check *c, const struct topology *t) {
    char path[TOPOLOGY_PATH_MAX];
    for (uint32_t i = 0; i < t->site_count; i++) {
        const struct topology_site *s = &t->sites[i];
        check_store_host(c, s);
        path_of(path, s->name, "local");
        if (topology_written(c, path)) topology_check_local(c, &s->local, path);
        path_of(path, s->name, "members");
        check_not_empty(c, path, "a site has at least one member");
    }
}

static void check_addresses(const struct topology_check *c, const struct topology *t) {
    char path[TOPOLOGY_PATH_MAX], host[64];
    int64_t port;
    for (uint32_t i = 0; i < t->coordinator_count; i++) {
        if (!t->coordinators[i].address[0] || topology_split_address(t->coordinators[i].address, host, sizeof host, &port)) continue;
        snprintf(path, sizeof path, "coordinators.%s.address", t->coordinators[i].name);
        topology_problem(c, path, "wants host:port, like 10.0.3.11:7400");
    }
}

/* The next version must be signed by somebody whom this one names. */
static void check_people(const struct topology_check *c, const struct topology *t) {
    uint32_t may_apply = 0;
    const char *who = "";
    for (uint32_t i = 0; i < t->operator_count; i++) {
        if (!t->operators[i].may[VERB_APPLY]) continue;
        may_apply++;
        who = t->operators[i].name;
    }
    if (may_apply == 0 && topology_written(c, "keys.operators")) topology_problem(c, "keys.operators", "nobody may apply: this topology could never be changed");
    if (may_apply == 1)
        topology_warning(c, "keys.operators", "only %s may apply: when that key is lost, nobody can change this topology", who);
}

void topology_check_cross(const struct topology_check *c, const struct topology *t) {
    check_not_empty(c, "sites", "a cluster has at least one site");
    check_not_empty(c, "coordinators", "a cluster has at least one coordinator");
    check_site_names(c, t);
    check_circles(c, t);
    check_sharing(c, t);
    check_versions(c, t);
    check_sites(c, t);
    check_addresses(c, t);
    check_people(c, t);
}
