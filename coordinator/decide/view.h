/* What the coordinator knows of one cluster at one moment: flat facts, gathered by observe.c (or by a scenario file).
 * Sites are numbered as in the topology; -1 is nobody. Times are durations relative to now. Field names are the keys of
 * the golden scenarios. Everything here was said by the sites or by the journal; nothing is remembered between calls. */
#ifndef COORDINATOR_DECIDE_VIEW_H
#define COORDINATOR_DECIDE_VIEW_H
#include "wire/order.h"

#define NOBODY (-1)
#define DECLINES_MAX 8

/* X(symbol, text) */
#define OP_KINDS(X) X(OP_CREATE, "create") X(OP_BOOTSTRAP, "bootstrap") X(OP_SWITCHOVER, "switchover")
enum op_kind {
#define X(symbol, text) symbol,
    OP_KINDS(X)
#undef X
};
#define OP_STATES(X)                                                                                                   \
    X(OP_RUNNING, "running") X(OP_WAITING, "waiting") X(OP_DONE, "done") X(OP_ABORTED, "aborted") X(OP_FAILED, "failed")
enum op_state {
#define X(symbol, text) symbol,
    OP_STATES(X)
#undef X
};
#define OP_STEPS(X)                                                                                                    \
    X(OP_CHECK, "check") X(OP_BIRTH, "birth") X(OP_OPEN, "open") X(OP_SLOTS, "slots") X(OP_ORDER, "order")            \
    X(OP_COPY, "copy") X(OP_STREAMING, "streaming") X(OP_MEMBERS, "members") X(OP_PREPARE, "prepare")                 \
    X(OP_STOP, "stop") X(OP_PROMOTE, "promote") X(OP_FOLLOW, "follow") X(OP_VERIFY, "verify") X(OP_ABORT, "abort")
enum op_step {
#define X(symbol, text) symbol,
    OP_STEPS(X)
#undef X
    OP_STEP_COUNT
};
extern const char *const op_kind_names[], *const op_state_names[], *const op_step_names[];

/* A member of the topology, as its site reports it. */
struct member_facts {
    char name[NAME_MAX_BYTES];
    bool alive;       /* its site reports it, and its beat moves */
    bool has_data;
    bool leader;      /* holds the site's lease */
    bool streaming;
    bool busy;        /* on its way to streaming: copies, starts, replays */
    bool writable;
    bool ready;       /* prepared as a target */
    bool checkpointed;
    bool slots;       /* every slot that its site shall hold stands here, WAL reserved */
};

/* An epoch that a site has burnt, and the one that took its place (protocol 2.5d). */
struct decline_facts {
    struct epoch epoch, next;
};

/* What a site said last, and the order of ours that waits for its answer. */
struct site_facts {
    char name[NAME_MAX_BYTES];
    int upstream;          /* site that the topology names as its upstream; NOBODY: whoever is primary */
    bool heard;            /* it has reported, to this coordinator's life or to the journal */
    bool fresh;            /* the newest report is a few seconds old at most */
    bool speaks;           /* and was made by the holder of the site's lease */
    bool lineage;          /* the timelines of its leader's directory are known */
    /* the order that it holds */
    bool has_order;
    bool blank;            /* it has read its store: there is no order, and no member has data */
    int order_kind, order_role;
    struct epoch order_epoch;
    bool order_ours;       /* it belongs to the open operation */
    char stop_op[OP_ID_MAX]; /* it is a stop, of this operation; "": none */
    bool stop_dropped;     /* it was a stop, and the site has dropped the request */
    bool holds_slots_for[SITES_MAX]; /* by the order that it holds; when that is not one that we know, by what stands on its members */
    bool slots_fit;        /* it names the slots that this site shall hold */
    bool upstream_fits;    /* it names the present upstream, its members and its timelines */
    bool readying;         /* it asks the site to be ready for promotion */
    /* the order that is published for it */
    bool pending;
    int pending_kind;
    bool pending_ours;     /* it belongs to the open operation */
    struct epoch pending_epoch;
    bool pending_expired;
    bool refused;          /* the site has refused it */
    int64_t retry_ms;      /* until it is tried again; 0: now */
    /* its vote record and receipts */
    struct epoch promised, asked, opened, known_opened;
    struct epoch stopped, successor; /* newest receipt of a stop; zero: none */
    struct decline_facts declines[DECLINES_MAX];
    uint32_t decline_count;
    bool taken_back;       /* its last bootstrap was aborted by a person not long ago */
    /* how it stands as a standby */
    int64_t lag_bytes;     /* behind the primary, received; -1 unknown */
    bool replay_paused;
    int64_t blockers;      /* what would hold up its stop */
    struct member_facts members[MEMBERS_MAX];
    uint32_t member_count;
};

/* The open operation, as the journal has it. */
struct op_facts {
    bool open;
    int kind;
    int from, to;
    struct epoch epoch, next, back; /* switchover: e, e', e'' of protocol 2.5 */
    bool abort;            /* it shall be taken back */
    bool stop_out;         /* a stop was issued, and no report has told yet what became of it */
    int64_t left_ms;       /* until its deadline */
    int64_t still_ms;      /* since it last got on: a step, an accepted order, copied bytes */
    int64_t moved_ms;      /* since the target was seen to have opened; 0 before */
};

struct cluster_view {
    bool outranked;        /* a site obeys another coordinator with a higher term: observe only (3.3) */
    bool behind;           /* a site holds a newer topology than ours, or another of its version: our store was put back */
    bool young;            /* this coordinator has run for a few seconds only: that somebody is not heard means nothing yet */
    bool store_empty;      /* this coordinator began with nothing and has not heard every site yet (3.3) */
    struct epoch epoch;    /* highest opened epoch in the journal */
    struct site_facts sites[SITES_MAX];
    uint32_t site_count;
    struct op_facts op;
};
#endif
