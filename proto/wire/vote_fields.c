/* The vote record as it stands in the site's store and in reports (protocol 2.1). */
#include "wire/vote.h"

static const char *const vote_mode_names[] = {
#define X(symbol, name) name,
    VOTE_MODES(X)
#undef X
    NULL};

static const struct field vote_decline_fields[] = {
    FIELD_CUSTOM(struct vote_decline, epoch, &field_epoch, NULL, FIELD_REQUIRED, "burnt at this site"),
    FIELD_CUSTOM(struct vote_decline, next, &field_epoch, NULL, FIELD_NULL_EMPTY, "the one epoch that the receipt passes to"),
    FIELD_END};
const struct fields vote_decline_table = FIELDS("decline", struct vote_decline, vote_decline_fields);

static const struct field vote_fields[] = {
    FIELD_CUSTOM(struct vote, promised, &field_epoch, NULL, FIELD_NULL_EMPTY, "no order below it is obeyed here"),
    FIELD_CUSTOM(struct vote, promised_to, &field_epoch, NULL, FIELD_NULL_EMPTY, "highest promise given to another site"),
    FIELD_CUSTOM(struct vote, asked, &field_epoch, NULL, FIELD_NULL_EMPTY, "the point of no return was passed for it"),
    FIELD_CUSTOM(struct vote, opened, &field_epoch, NULL, FIELD_NULL_EMPTY, "highest epoch that this site opened for writes"),
    FIELD_CUSTOM(struct vote, known_opened, &field_epoch, NULL, FIELD_NULL_EMPTY, "highest opened epoch known of any site"),
    FIELD_LIST(struct vote, declined, declined_count, &vote_decline_table, 0, "declines above the opened epoch"),
    FIELD_CHOICE(struct vote, mode, vote_mode_names, 0, "manual or automatic"),
    FIELD_END};
const struct fields vote_table = FIELDS("vote", struct vote, vote_fields);
