/* Orders as they are signed: header, proofs, body (protocol 3.1). */
#include "wire/lineage_field.h"
#include "wire/order.h"

static const struct field order_member_fields[] = {
    FIELD_TEXT(struct order_member, name, FIELD_REQUIRED, "member"),
    FIELD_TEXT(struct order_member, host, FIELD_REQUIRED, "address of its PostgreSQL"),
    FIELD_INT64(struct order_member, port, NULL, 1, 65535, FIELD_REQUIRED, "port of its PostgreSQL"),
    FIELD_END};
static const struct fields order_member_table = FIELDS("order member", struct order_member, order_member_fields);

static const struct field order_slot_fields[] = {
    FIELD_TEXT(struct order_slot, name, FIELD_REQUIRED, "physical replication slot"),
    FIELD_CHOICE(struct order_slot, kind, slot_kind_names, FIELD_REQUIRED, "what it is for"),
    FIELD_TEXT(struct order_slot, site, FIELD_NULL_EMPTY, "site that consumes it"),
    FIELD_END};
static const struct fields order_slot_table = FIELDS("order slot", struct order_slot, order_slot_fields);

static const struct field order_fields[] = {
    FIELD_TEXT(struct order, cluster, FIELD_REQUIRED, "cluster"),
    FIELD_TEXT(struct order, system_id, FIELD_NULL_EMPTY, "PostgreSQL's system identifier; null: birth only"),
    FIELD_TEXT(struct order, site, FIELD_REQUIRED, "site that shall obey"),
    FIELD_CUSTOM(struct order, epoch, &field_epoch, NULL, FIELD_REQUIRED, "epoch from which on it holds"),
    FIELD_CUSTOM(struct order, successor, &field_epoch, NULL, FIELD_NULL_EMPTY, "stop: the epoch that the receipt passes to; abort at the target: the one its decline names"),
    FIELD_INT64(struct order, serial, NULL, 1, INT64_MAX, FIELD_REQUIRED, "counts per site, never reset"),
    FIELD_TEXT(struct order, base, FIELD_REQUIRED, "hash of the order that it replaces, or none"),
    FIELD_TEXT(struct order, coordinator, FIELD_REQUIRED, "coordinator that signs"),
    FIELD_INT64(struct order, coordinator_term, NULL, 1, INT64_MAX, FIELD_REQUIRED, "its term"),
    FIELD_TEXT(struct order, op, FIELD_NULL_EMPTY, "operation that it belongs to"),
    FIELD_CHOICE(struct order, kind, order_kind_names, FIELD_REQUIRED, "what is ordered"),
    FIELD_INT64(struct order, topology_version, NULL, 0, INT64_MAX, 0, "topology that it was planned on"),
    FIELD_CUSTOM(struct order, issued, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "when"),
    FIELD_CUSTOM(struct order, expires, &field_wall_ms, NULL, FIELD_REQUIRED, "starts nothing after this"),
    FIELD_TEXTS(struct order, proofs, proof_count, 0, "envelopes: request, receipts, declines"),
    FIELD_CHOICE(struct order, role, site_role_names, FIELD_REQUIRED, "what the site shall be"),
    FIELD_TEXT(struct order, upstream_site, FIELD_NULL_EMPTY, "standby: whom to follow"),
    FIELD_LINEAGE(struct order, upstream_lineage, 0, "its timelines"),
    FIELD_LIST(struct order, upstream_members, upstream_member_count, &order_member_table, 0, "its members"),
    FIELD_LIST(struct order, slots, slot_count, &order_slot_table, 0, "slots to be held on every member"),
    FIELD_INT64(struct order, deadline_ms, NULL, 0, INT64_MAX / 4, 0, "stop: drop the request this long after acceptance"),
    FIELD_BOOL(struct order, target, NULL, 0, "prepare: be ready for promotion"),
    FIELD_BOOL(struct order, checkpoint, NULL, 0, "prepare: checkpoint now"),
    FIELD_END};
const struct fields order_table = FIELDS("order", struct order, order_fields);
