/* Looking things up in a vote record. Pure: the decide archives link this. The tables are in vote_fields.c. */
#include "wire/vote.h"

const struct vote_decline *vote_find_decline(const struct vote *v, const struct epoch *e) {
    for (uint32_t i = 0; i < v->declined_count; i++)
        if (epoch_compare(&v->declined[i].epoch, e) == 0) return &v->declined[i];
    return NULL;
}
