/* An operator's request as it is signed. */
#include "wire/request.h"

static const struct field request_fields[] = {
    FIELD_TEXT(struct request, cluster, FIELD_REQUIRED, "cluster"),
    FIELD_TEXT(struct request, op, FIELD_REQUIRED, "id of the operation, made by the command"),
    FIELD_CHOICE(struct request, verb, verb_names, FIELD_REQUIRED, "what is asked for"),
    FIELD_TEXT(struct request, to, FIELD_NULL_EMPTY, "switchover: target site"),
    FIELD_TEXT(struct request, operator_name, FIELD_REQUIRED, "who asks"),
    FIELD_TEXT(struct request, reason, FIELD_NULL_EMPTY, "why, for the audit log"),
    FIELD_INT64(struct request, deadline_ms, NULL, 0, INT64_MAX / 4, 0, "switchover: abort after this long, before the point of no return"),
    FIELD_BOOL(struct request, create, NULL, 0, "apply: initdb is allowed"),
    FIELD_TEXT(struct request, topology, FIELD_NULL_EMPTY, "apply: hash of the topology payload"),
    FIELD_CUSTOM(struct request, issued_at, &field_wall_ms, NULL, FIELD_REQUIRED, "when"),
    FIELD_CUSTOM(struct request, expires_at, &field_wall_ms, NULL, FIELD_REQUIRED, "starts nothing after this"),
    FIELD_END};
const struct fields request_table = FIELDS("request", struct request, request_fields);
