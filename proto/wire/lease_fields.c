/* The lease record as it stands in the site's store and in reports. */
#include "wire/lease.h"

static const char *const lease_state_names[] = {
#define X(symbol, name) name,
    LEASE_STATES(X)
#undef X
    NULL};

static const struct field lease_fields[] = {
    FIELD_TEXT(struct lease, store_id, FIELD_REQUIRED, "identity of the store: another one means that the store went back"),
    FIELD_INT64(struct lease, term_count, NULL, 0, INT64_MAX, FIELD_REQUIRED, "one more than in the record swapped away"),
    FIELD_TEXT(struct lease, term_random, FIELD_REQUIRED, "random half of the term: two terms of one count differ"),
    FIELD_TEXT(struct lease, holder, FIELD_REQUIRED, "instance that holds or released it"),
    FIELD_TEXT(struct lease, holder_member, 0, "its member, for people and routing"),
    FIELD_INT64(struct lease, seq, NULL, 0, INT64_MAX, FIELD_REQUIRED, "sending number, used in no other sending"),
    FIELD_INT64(struct lease, length_ms, NULL, 0, INT64_MAX / 4, FIELD_REQUIRED, "how long one renewal lasts"),
    FIELD_TEXTS(struct lease, electors, elector_count, 0, "instances that may take"),
    FIELD_CHOICE(struct lease, state, lease_state_names, FIELD_REQUIRED, "held or released"),
    FIELD_CUSTOM(struct lease, epoch, &field_epoch, NULL, FIELD_NULL_EMPTY, "epoch of the order in force"),
    FIELD_INT64(struct lease, serial, NULL, 0, INT64_MAX, 0, "serial of the order in force"),
    FIELD_END};
const struct fields lease_table = FIELDS("lease", struct lease, lease_fields);
