/* Receipts: what a site did, signed, with the positions that prove it (protocol 2.5b, 2.5d, 2.2). Envelope type
 * RECEIPT_TYPE. Stored in the site's store before they are signed, repeated in every report, never changed. */
#ifndef WIRE_RECEIPT_H
#define WIRE_RECEIPT_H
#include "wire/epoch.h"
#include "wire/lsn.h"

#define RECEIPT_TYPE "application/vnd.pgregent.receipt.v1+json"
#define HASH_TEXT_MAX 65
#define SYSTEM_ID_MAX 24 /* decimal text */
#define RECEIPT_KINDS(X)                                                                                               \
    X(RECEIPT_STOPPED, "stopped")   /* never again in `epoch` or a lower one; spent on `successor` alone */           \
    X(RECEIPT_DECLINED, "declined") /* `epoch` is burnt here; what led to it passes to `successor` alone */           \
    X(RECEIPT_OPENED, "opened")     /* open for writes in `epoch`: fences every lower epoch for ever */
enum receipt_kind {
#define X(symbol, name) symbol,
    RECEIPT_KINDS(X)
#undef X
};
struct receipt {
    char cluster[NAME_MAX_BYTES], system_id[SYSTEM_ID_MAX], site[NAME_MAX_BYTES], member[NAME_MAX_BYTES];
    int kind;
    struct epoch epoch;
    struct epoch successor;
    int64_t timeline;
    lsn_t checkpoint; /* stopped: start of the shutdown checkpoint */
    lsn_t end;        /* stopped: its end; opened: the switch point */
    int64_t crc;      /* stopped: CRC of that record */
    struct lineage lineage;
    char order[HASH_TEXT_MAX]; /* hash of the order that was obeyed */
    int64_t made_at;           /* wall ms */
    int64_t writes_refused_at; /* stopped: wall ms of the stop request; opened: 0 */
    int64_t writes_accepted_at;/* opened: wall ms when writes were seen possible */
};
extern const struct fields receipt_table;
#endif
