/* Looking things up in a topology. Pure: the decide archives may link this. */
#include "wire/topology.h"
#include <string.h>

const struct topology_site *topology_site(const struct topology *t, const char *site) {
    for (uint32_t i = 0; i < t->site_count; i++)
        if (strcmp(t->sites[i].name, site) == 0) return &t->sites[i];
    return NULL;
}

const struct topology_member *topology_member(const struct topology *t, const char *site, const char *member) {
    const struct topology_site *s = topology_site(t, site);
    for (uint32_t i = 0; s && i < s->member_count; i++)
        if (strcmp(s->members[i].name, member) == 0) return &s->members[i];
    return NULL;
}

const struct topology_operator *topology_operator(const struct topology *t, const char *key) {
    for (uint32_t i = 0; i < t->operator_count; i++)
        if (strcmp(t->operators[i].key, key) == 0) return &t->operators[i];
    return NULL;
}

const struct topology_coordinator *topology_coordinator(const struct topology *t, const char *name) {
    for (uint32_t i = 0; i < t->coordinator_count; i++)
        if (strcmp(t->coordinators[i].name, name) == 0) return &t->coordinators[i];
    return NULL;
}

/* What follows `prefix` in `text`, NULL when it does not begin so. */
static const char *after(const char *text, const char *prefix) {
    size_t len = strlen(prefix);
    return text && strlen(text) >= len && memcmp(text, prefix, len) == 0 ? text + len : NULL;
}

bool topology_by_uri(const struct topology *t, const char *uri, const char **site, const char **member) {
    const char *path = after(after(after(uri, "pgregent://"), t->cluster), "/");
    for (uint32_t i = 0; path && i < t->site_count; i++) {
        const struct topology_site *s = &t->sites[i];
        const char *name = after(after(path, s->name), "/");
        const struct topology_member *m = name ? topology_member(t, s->name, name) : NULL;
        if (!m) continue;
        *site = s->name;
        *member = m->name;
        return true;
    }
    return false;
}
