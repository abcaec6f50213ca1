/* WAL positions and timelines as PostgreSQL writes them. 0 (InvalidXLogRecPtr) means unknown and is JSON null. */
#ifndef WIRE_LSN_H
#define WIRE_LSN_H
#include "rt/err.h"
#include "rt/field.h"
#include <stdint.h>

typedef uint64_t lsn_t;
#define LSN_TEXT_MAX 20
void lsn_format(lsn_t lsn, char to[LSN_TEXT_MAX]); /* "0/5000148" */
bool lsn_parse(const char *text, lsn_t *lsn);      /* strict: 1-8 hex digits on both sides */
extern const struct field_codec field_lsn;         /* "" or null: 0 */

/* What identifies a timeline (protocol 4.2): not its number but its content. `fingerprint` is
 * "initdb:SYSTEM_IDENTIFIER" for timeline 1, else "eor:LSN:CRC32C:MICROSECONDS" of its first END_OF_RECOVERY record. */
#define LINEAGE_FINGERPRINT_MAX 64
#define LINEAGE_MAX 64 /* newest timelines kept; older ones are dropped from the front */
struct lineage_entry {
    int64_t timeline;
    lsn_t begin; /* switch point: where this timeline left its parent (0 for the first) */
    char fingerprint[LINEAGE_FINGERPRINT_MAX];
};
struct lineage {
    struct lineage_entry entries[LINEAGE_MAX];
    uint32_t count;
};
extern const struct fields lineage_entry_table;

enum lineage_relation {
    LINEAGE_SAME,     /* same newest timeline, same content */
    LINEAGE_ANCESTOR, /* a is a prefix of b: a may follow b if a's end is not past b's fork point */
    LINEAGE_DESCENDANT,
    LINEAGE_DIVERGED, /* a timeline of one number with two contents, or two different forks */
    LINEAGE_UNKNOWN,  /* a fingerprint is missing */
};
/* Pure. *fork: where b leaves a's newest timeline (ANCESTOR), or where the two part (DIVERGED); 0 if unknown. */
enum lineage_relation lineage_compare(const struct lineage *a, const struct lineage *b, lsn_t *fork);
/* The entry of that number, NULL if there is none. */
const struct lineage_entry *lineage_find(const struct lineage *l, int64_t timeline);
/* a's entry of the first number that certainly stands for two contents in a and b (pg_rewind cannot see that: it
 * compares numbers), NULL if there is none. */
const struct lineage_entry *lineage_collision(const struct lineage *a, const struct lineage *b);
#endif
