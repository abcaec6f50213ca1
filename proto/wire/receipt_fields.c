/* Receipts as they are signed and stored. What does not belong to a kind is null. */
#include "wire/receipt.h"
#include "wire/lineage_field.h"

static const char *const receipt_kind_names[] = {
#define X(symbol, name) name,
    RECEIPT_KINDS(X)
#undef X
    NULL};

static const struct field receipt_fields[] = {
    FIELD_TEXT(struct receipt, cluster, FIELD_REQUIRED, "cluster"),
    FIELD_TEXT(struct receipt, system_id, FIELD_NULL_EMPTY, "PostgreSQL's system identifier"),
    FIELD_TEXT(struct receipt, site, FIELD_REQUIRED, "site that did it"),
    FIELD_TEXT(struct receipt, member, FIELD_REQUIRED, "member that signs"),
    FIELD_CHOICE(struct receipt, kind, receipt_kind_names, FIELD_REQUIRED, "stopped, declined or opened"),
    FIELD_CUSTOM(struct receipt, epoch, &field_epoch, NULL, FIELD_REQUIRED, "stopped, burnt or opened epoch"),
    FIELD_CUSTOM(struct receipt, successor, &field_epoch, NULL, FIELD_NULL_EMPTY, "the one epoch that this passes to"),
    FIELD_INT64(struct receipt, timeline, NULL, 0, UINT32_MAX, FIELD_NULL_EMPTY, "timeline then"),
    FIELD_CUSTOM(struct receipt, checkpoint, &field_lsn, NULL, FIELD_NULL_EMPTY, "stopped: start of the shutdown checkpoint"),
    FIELD_CUSTOM(struct receipt, end, &field_lsn, NULL, FIELD_NULL_EMPTY, "stopped: its end; opened: the switch point"),
    FIELD_INT64(struct receipt, crc, NULL, 0, UINT32_MAX, FIELD_NULL_EMPTY, "stopped: CRC of that record"),
    FIELD_LINEAGE(struct receipt, lineage, 0, "timelines of the directory, oldest first"),
    FIELD_TEXT(struct receipt, order, FIELD_NULL_EMPTY, "hash of the order that was obeyed"),
    FIELD_CUSTOM(struct receipt, made_at, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "when"),
    FIELD_CUSTOM(struct receipt, writes_refused_at, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "stopped: time of the stop request"),
    FIELD_CUSTOM(struct receipt, writes_accepted_at, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "opened: writes seen possible"),
    FIELD_END};
const struct fields receipt_table = FIELDS("receipt", struct receipt, receipt_fields);
