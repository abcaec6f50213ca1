/* Orders: signed documents that say what one site shall be, from which epoch on (protocol 3). */
#ifndef WIRE_ORDER_H
#define WIRE_ORDER_H
#include "wire/lease.h"
#include "wire/receipt.h"
#include "wire/request.h"
#include "wire/vote.h"

#define ORDER_TYPE "application/vnd.pgregent.order.v1+json"
#define ORDER_KINDS(X)                                                                                                 \
    X(ORDER_BIRTH, "birth")     /* initdb, then primary in epoch 1.0 */                                               \
    X(ORDER_STANDBY, "standby") /* first order of a standby site: copy, then follow */                                \
    X(ORDER_PREPARE, "prepare") /* same role: slots, readiness as a target, checkpoint */                             \
    X(ORDER_STOP, "stop")       /* primary of `epoch`: stop, give a receipt to `successor` alone */                   \
    X(ORDER_PROMOTE, "promote") /* target: ask, promote, open in `epoch` */                                           \
    X(ORDER_FOLLOW, "follow")   /* be a standby of `upstream` in `epoch` */                                           \
    X(ORDER_ABORT, "abort")     /* role standby: the target declines `epoch`, which passes to `successor`;            \
                                   role primary: the old primary opens again, in the new `epoch` */
enum order_kind {
#define X(symbol, name) symbol,
    ORDER_KINDS(X)
#undef X
};
#define SITE_ROLES(X)                                                                                                  \
    X(SITE_UNASSIGNED, "unassigned") X(SITE_PRIMARY, "primary") X(SITE_STANDBY, "standby") X(SITE_STOPPED, "stopped") \
    X(SITE_FENCED, "fenced")
enum site_role {
#define X(symbol, name) symbol,
    SITE_ROLES(X)
#undef X
};
extern const char *const order_kind_names[], *const site_role_names[];
#define SLOT_KINDS(X) X(SLOT_SITE, "site") X(SLOT_ANCHOR, "anchor") X(SLOT_MEMBER, "member") X(SLOT_USER, "user")
enum slot_kind {
#define X(symbol, name) symbol,
    SLOT_KINDS(X)
#undef X
};
extern const char *const slot_kind_names[];

#ifndef MEMBERS_MAX
#define MEMBERS_MAX 16 /* of a site; the simulator's clusters are small */
#define SITES_MAX 16
#endif
#define ORDER_SLOTS_MAX 32
#define PROOFS_MAX 8
#ifndef PROOF_TEXT_MAX
#define PROOF_TEXT_MAX 16384 /* the simulator's envelopes are short */
#endif
#define SLOT_NAME_MAX 64
struct order_member {
    char name[NAME_MAX_BYTES], host[64];
    int64_t port;
};
struct order_slot {
    char name[SLOT_NAME_MAX];
    int kind;
    char site[NAME_MAX_BYTES]; /* the consumer ("for") */
};
struct order {
    char cluster[NAME_MAX_BYTES], system_id[SYSTEM_ID_MAX] /* "": null, birth only */, site[NAME_MAX_BYTES];
    struct epoch epoch;
    struct epoch successor; /* stop: the epoch that the receipt passes to; abort at the target: the one its decline names */
    int64_t serial;
    char base[HASH_TEXT_MAX]; /* hash of the order that it replaces; "none" for a site's first */
    char coordinator[NAME_MAX_BYTES];
    int64_t coordinator_term;
    char op[OP_ID_MAX];
    int kind;
    int64_t topology_version;
    int64_t issued, expires; /* wall ms */
    char proofs[PROOFS_MAX][PROOF_TEXT_MAX]; /* envelopes as JSON text: request, receipts, declines */
    uint32_t proof_count;
    /* body */
    int role;
    char upstream_site[NAME_MAX_BYTES]; /* standby: whom to follow; "": nobody yet (after a stop) */
    struct lineage upstream_lineage;
    struct order_member upstream_members[MEMBERS_MAX];
    uint32_t upstream_member_count;
    struct order_slot slots[ORDER_SLOTS_MAX]; /* to be held on every member of this site */
    uint32_t slot_count;
    int64_t deadline_ms; /* stop: drop the request if not stopped cleanly this long after acceptance */
    bool target;         /* prepare: be ready for promotion (no replay conflicts, no restore_command) */
    bool checkpoint;     /* prepare: CHECKPOINT now */
};
extern const struct fields order_table;
/* pgregent_{site,anchor,member}_NAME with - as _ */
void slot_name(char to[SLOT_NAME_MAX], enum slot_kind kind, const char *name);

/* What a site holds, as the judge needs it. */
struct site_state {
    char cluster[NAME_MAX_BYTES], site[NAME_MAX_BYTES], system_id[SYSTEM_ID_MAX]; /* system_id "": not known yet */
    bool may_be_born; /* this site is the topology's initial_primary, and no member of it holds data */
    bool has_order;
    struct order order;
    char order_hash[HASH_TEXT_MAX];
    bool stop_dropped; /* `order` is a stop whose request was dropped for good, without a receipt (2.5c): still primary */
    int64_t coordinator_term;
    char coordinator[NAME_MAX_BYTES];
    struct vote vote;
    int64_t topology_version;
};
/* The proofs of an order after the shell has verified their signatures: only what is authentic gets in here. */
struct proofs {
    struct receipt receipts[PROOFS_MAX];
    uint32_t receipt_count;
    bool has_request;
    struct request request;
};
enum order_verdict {
    ORDER_ACCEPT,
    ORDER_REPEATED, /* the very order that is held: same answer again */
    ORDER_REFUSE,   /* answered with the order that is held; reason has rule number and sentence */
};
/* Protocol 3.2, 3.5 (expiry limits what it may start), 3.8, 2.6a/c/d. Pure: authenticity was proved before. `now_wall`
 * has a floor from the last accepted document. reason gets e.g. "3.2 serial 7 does not follow 9". */
enum order_verdict order_judge(const struct site_state *held, const struct order *o, const char *hash, const struct proofs *proofs,
                               int64_t now_wall_ms, char *reason, size_t reason_size);
/* Protocol 2.6a and the chain of declines: does `proofs` close `opened` and lead to exactly `to`? */
bool promotion_is_closed(const struct epoch *opened, const struct epoch *to, const struct proofs *proofs, const struct receipt **stopped,
                         char *reason, size_t reason_size);
#endif
