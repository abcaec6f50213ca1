/* What differs between the topology that is in force and a file: every key, by the tree as it is written, and what each
 * difference means: reload, restart, building, refusal. Pure. */
#ifndef CLI_DIFFERENCE_H
#define CLI_DIFFERENCE_H
#include "rt/json.h"
#include "wire/topology.h"

#define DIFFERENCES_MAX 512
enum difference_kind { DIFFERENCE_ADDED, DIFFERENCE_REMOVED, DIFFERENCE_CHANGED };
/* X(symbol, text) */
#define DIFFERENCE_EFFECTS(X)                                                                                          \
    X(EFFECT_APPLIED, "applied")   /* taken over while everything runs */                                             \
    X(EFFECT_BUILT, "built")       /* a new site or member is copied */                                               \
    X(EFFECT_RESTART, "restart")   /* waits for a restart: pending_restart */                                         \
    X(EFFECT_NONE, "none")         /* has no effect any more */                                                       \
    X(EFFECT_REFUSED, "refused")
enum difference_effect {
#define X(symbol, text) symbol,
    DIFFERENCE_EFFECTS(X)
#undef X
};
extern const char *const difference_effect_names[];

struct difference {
    int kind, effect;
    char path[192];                /* "sites.fra.members.fra-2.address" */
    char site[NAME_MAX_BYTES], member[NAME_MAX_BYTES]; /* "": all */
    char before[160], after[160];  /* as written, cut; "" when absent */
    const char *note;              /* why the effect is what it is; may be NULL */
};
struct differences {
    struct difference at[DIFFERENCES_MAX];
    uint32_t count, more; /* more: those that found no room */
};
/* `before` NULL: there is no topology yet. */
void differences_find(const struct node *before, const struct node *after, struct differences *out);
json_t *differences_document(const struct differences *d);
void differences_text(const struct differences *d, bool colours, struct strbuf *to);
#endif
