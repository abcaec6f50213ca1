/* How two histories relate. A timeline's number proves nothing (two standbys promoted apart both make timeline 2 at the
 * same position), so timelines are matched by number, begin and fingerprint. One match is enough for all that lies
 * before it: a fingerprint covers the pointer to the record before, and old entries may be missing from either list. */
#include "wire/lsn.h"
#include <string.h>

static bool known(const struct lineage_entry *e) { return e->fingerprint[0] != '\0'; }

static bool same_content(const struct lineage_entry *x, const struct lineage_entry *y) {
    return x->timeline == y->timeline && x->begin == y->begin && known(x) && strcmp(x->fingerprint, y->fingerprint) == 0;
}

/* One number, certainly two contents. */
static bool collide(const struct lineage_entry *x, const struct lineage_entry *y) {
    if (x->timeline != y->timeline) return false;
    return x->begin != y->begin || (known(x) && known(y) && strcmp(x->fingerprint, y->fingerprint) != 0);
}

const struct lineage_entry *lineage_find(const struct lineage *l, int64_t timeline) {
    for (uint32_t i = l->count; i-- > 0;)
        if (l->entries[i].timeline == timeline) return &l->entries[i];
    return NULL;
}

const struct lineage_entry *lineage_collision(const struct lineage *a, const struct lineage *b) {
    for (uint32_t i = 0; i < a->count; i++) {
        const struct lineage_entry *other = lineage_find(b, a->entries[i].timeline);
        if (other && collide(&a->entries[i], other)) return &a->entries[i];
    }
    return NULL;
}

/* Indexes just behind the newest timeline that both have with the same content; false when there is none. */
static bool behind_newest_common(const struct lineage *a, const struct lineage *b, uint32_t *i, uint32_t *j) {
    for (*i = a->count; *i > 0; --*i)
        for (*j = b->count; *j > 0; --*j)
            if (same_content(&a->entries[*i - 1], &b->entries[*j - 1])) return true;
    return false;
}

static lsn_t earlier(lsn_t x, lsn_t y) { return x < y ? x : y; }

enum lineage_relation lineage_compare(const struct lineage *a, const struct lineage *b, lsn_t *fork) {
    uint32_t i, j;
    *fork = 0;
    bool common = behind_newest_common(a, b, &i, &j);
    if (!common) return lineage_collision(a, b) ? LINEAGE_DIVERGED : LINEAGE_UNKNOWN;
    if (i == a->count && j == b->count) return LINEAGE_SAME;
    if (i == a->count) return *fork = b->entries[j].begin, LINEAGE_ANCESTOR;
    if (j == b->count) return *fork = a->entries[i].begin, LINEAGE_DESCENDANT;

    const struct lineage_entry *x = &a->entries[i], *y = &b->entries[j];
    if (x->timeline != y->timeline || collide(x, y)) return *fork = earlier(x->begin, y->begin), LINEAGE_DIVERGED;
    /* the same number and begin, one fingerprint missing: only a later collision could still tell, and not where */
    return lineage_collision(a, b) ? LINEAGE_DIVERGED : LINEAGE_UNKNOWN;
}
