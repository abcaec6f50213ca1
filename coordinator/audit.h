/* The audit log: every operation, step, order, receipt and refusal, each record holding the hash of the one before. A
 * record is written with the very commit that makes true what it tells. An order that is tried again because the site has
 * refused it stands there again when its answer is another one. */
#ifndef COORDINATOR_AUDIT_H
#define COORDINATOR_AUDIT_H
#include "coordinator/journal.h"
#include "wire/receipt.h"

struct audit {
    int64_t n;                    /* of the newest record; 0: none */
    char hash[HASH_TEXT_MAX];     /* of its bytes; "" */
    int64_t lost;                 /* records that the head names and that are not there */
    struct journal *journal;
};
struct audit_record {
    int64_t n, time;              /* wall ms */
    char actor[96];               /* operator, coordinator, or site/member */
    char what[48];                /* "order issued" */
    char cluster[32], site[32], operation[48];
    char rule[8];
    char detail[512];
    char document[HASH_TEXT_MAX]; /* hash of the order, receipt or request that this tells of */
    char previous[HASH_TEXT_MAX]; /* "": the first */
};
extern const struct fields audit_record_table;

/* Goes on after the newest record that is there: a commit of more than one swap may have ended between the two. */
bool audit_open(struct audit *a, struct journal *j, struct err *err);
/* n, time and previous are filled in here. */
void audit_add(struct audit *a, struct audit_record *record);
/* Reads every record and checks the chain. `problems` gets one line for each break; *count: records read. */
bool audit_verify(struct journal *j, int64_t *count, struct strbuf *problems, struct err *err);
#endif
