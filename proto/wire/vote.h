/* The vote record of a site in manual mode (protocol 2.1): changed by compare-and-swap, by the holder of the site lease. */
#ifndef WIRE_VOTE_H
#define WIRE_VOTE_H
#include "wire/epoch.h"

#define DECLINED_MAX 32
#define VOTE_MODES(X) X(VOTE_MANUAL, "manual") X(VOTE_AUTOMATIC, "automatic")
enum vote_mode {
#define X(symbol, name) symbol,
    VOTE_MODES(X)
#undef X
};
struct vote_decline {
    struct epoch epoch; /* burnt at this site */
    struct epoch next;  /* the one epoch that the receipt passes to */
};
struct vote {
    struct epoch promised;    /* no order below it is obeyed here (an own decline may be) */
    struct epoch promised_to; /* highest PROMISE given to another site */
    struct epoch asked;       /* the point of no return was passed for this epoch */
    struct epoch opened;      /* highest epoch this site opened for writes */
    struct epoch known_opened; /* highest opened epoch known of any site, its own included */
    struct vote_decline declined[DECLINED_MAX];
    uint32_t declined_count;
    int mode;
};
extern const struct fields vote_table, vote_decline_table;
const struct vote_decline *vote_find_decline(const struct vote *v, const struct epoch *e);
#endif
