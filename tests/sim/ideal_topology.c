/* The topology's text is read once a history: reading YAML into a struct of many megabytes costs more than an agent's life
 * does otherwise. Every later reading of the same text gives a copy of what the first one gave. */
#include "rt/str.h"
#include "tests/sim/ideal.h"
#include "wire/topology.h"
#include <string.h>

#define KEPT_MAX 32 /* different texts in one history */
#define PAGE ((size_t)1024)
#define PAGES ((sizeof(struct topology) + PAGE - 1) / PAGE)

struct kept {
    uint64_t hash;
    struct topology *topology;
    uint32_t *pages; /* those that are not all zeros */
    size_t page_count;
};
static struct kept kept[KEPT_MAX];
static size_t kept_count;

bool __real_topology_parse(const char *file_name, struct bytes text, struct topology *out, struct field_problems *problems, struct field_problems *warnings);
bool __wrap_topology_parse(const char *file_name, struct bytes text, struct topology *out, struct field_problems *problems, struct field_problems *warnings);

static size_t page_size(size_t page) { return page + 1 < PAGES ? PAGE : sizeof(struct topology) - page * PAGE; }

static bool is_zero(const char *at, size_t size) { return !at[0] && !memcmp(at, at + 1, size - 1); }

static void find_pages(struct kept *k) {
    const char *from = (const char *)k->topology;
    k->pages = rt_alloc(PAGES * sizeof *k->pages);
    for (size_t page = 0; page < PAGES; page++)
        if (!is_zero(from + page * PAGE, page_size(page)))
            k->pages[k->page_count++] = (uint32_t)page;
}

/* Into memory that is all zeros, as all callers have it: pages of zeros need not be touched. */
static void copy_pages(const struct kept *k, struct topology *out) {
    const char *from = (const char *)k->topology;
    for (size_t i = 0; i < k->page_count; i++)
        memcpy((char *)out + k->pages[i] * PAGE, from + k->pages[i] * PAGE, page_size(k->pages[i]));
}

static const struct kept *find(uint64_t hash) {
    for (size_t i = 0; i < kept_count; i++)
        if (kept[i].hash == hash)
            return &kept[i];
    return NULL;
}

bool __wrap_topology_parse(const char *file_name, struct bytes text, struct topology *out, struct field_problems *problems, struct field_problems *warnings) {
    uint64_t hash = ideal_hash(text.at, text.len, 0);
    const struct kept *known = find(hash);
    if (known) {
        copy_pages(known, out);
        return true;
    }
    if (kept_count == KEPT_MAX)
        return __real_topology_parse(file_name, text, out, problems, warnings);
    struct kept fresh = {.hash = hash, .topology = rt_alloc(sizeof *fresh.topology)};
    if (!__real_topology_parse(file_name, text, fresh.topology, problems, warnings)) {
        rt_free(fresh.topology);
        return false;
    }
    find_pages(&fresh);
    kept[kept_count++] = fresh;
    copy_pages(&fresh, out);
    return true;
}
