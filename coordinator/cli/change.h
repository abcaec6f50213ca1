/* A change of topology before it is made: the file (or plan), what is in force, how they differ, and what stands in the
 * way. plan shows it, apply makes it. */
#ifndef CLI_CHANGE_H
#define CLI_CHANGE_H
#include "coordinator/cli/difference.h"
#include "coordinator/cli/load.h"

struct change {
    struct load wanted;
    bool exists;                   /* the coordinator holds a topology of this cluster */
    struct topology *base;         /* if so: it, */
    struct strbuf base_file;       /* its file */
    char plan_base[HASH_TEXT_MAX]; /* a plan was given: what it was made for; "none": for no topology */
    struct differences *differences;
    json_t *cluster;               /* from the status; NULL: no such cluster yet */
    json_t *checks;                /* what refuses the change */
    json_t *pending;               /* sites and members that will learn of it later: [{"site", "member", "why"}] */
};
/* Reads the file, asks the coordinator, compares. False: said so already, end with *exit. */
bool change_open(struct cli *c, const char *file, struct change *out, int *exit);
void change_free(struct change *change);
#define CHANGE __attribute__((cleanup(change_free))) struct change
/* The cluster was never born: no epoch was opened. */
bool change_is_unborn(const struct change *change);
void change_text(const struct change *change, bool colours, struct strbuf *to);
/* {"format", "cluster", "base", "changes", "checks", "pending", "changed"} */
json_t *change_document(const struct change *change);
/* The same with the file in it, for apply. Appended. */
void change_plan(const struct change *change, struct strbuf *to);
void change_refuse(struct change *change, const char *id, const char *message, const char *cure);
#endif
