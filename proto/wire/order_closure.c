/* Is the highest opened epoch closed in favour of exactly this one? (protocol 2.6a) Pure. What stands in `proofs` is
 * authentic; what else an order must fulfil is judged in order_judge.c. */
#include "wire/order.h"
#include <stdio.h>
#include <string.h>

static const struct receipt *find_receipt(const struct proofs *proofs, enum receipt_kind kind, const struct epoch *epoch) {
    for (uint32_t i = 0; i < proofs->receipt_count; i++) {
        const struct receipt *r = &proofs->receipts[i];
        /* An epoch belongs to one site: only that site can have stopped in it, only that site can burn it for others. */
        if (r->kind == (int)kind && epoch_compare(&r->epoch, epoch) == 0 && strcmp(r->site, epoch->site) == 0) return r;
    }
    return NULL;
}

/* The epoch to which the receipt has passed in the end: each decline hands it on once. */
static const struct epoch *follow_declines(const struct receipt *stop, const struct epoch *to, const struct proofs *proofs) {
    const struct epoch *at = &stop->successor;
    for (uint32_t hops = 0; hops < proofs->receipt_count && epoch_compare(at, to) != 0; hops++) {
        const struct receipt *decline = find_receipt(proofs, RECEIPT_DECLINED, at);
        if (!decline) break;
        at = &decline->successor;
    }
    return at;
}

bool promotion_is_closed(const struct epoch *opened, const struct epoch *to, const struct proofs *proofs, const struct receipt **stopped,
                         char *reason, size_t reason_size) {
    char opened_text[EPOCH_TEXT_MAX], to_text[EPOCH_TEXT_MAX], end_text[EPOCH_TEXT_MAX];
    epoch_format(opened, opened_text);
    epoch_format(to, to_text);
    const struct receipt *stop = find_receipt(proofs, RECEIPT_STOPPED, opened);
    if (!stop) {
        snprintf(reason, reason_size, "2.6a no receipt of %s closes %s", opened->site, opened_text);
        return false;
    }
    const struct epoch *end = follow_declines(stop, to, proofs);
    if (epoch_compare(end, to) != 0) {
        epoch_format(end, end_text);
        snprintf(reason, reason_size, "2.6a the receipt for %s passes to %s, not to %s", opened_text, end_text, to_text);
        return false;
    }
    if (stopped) *stopped = stop;
    return true;
}
