/* The site lease (protocol 1): the record, and the two pure halves that judge it: the holder's deadline and the
 * taker's wait. Times are CLOCK_BOOTTIME milliseconds of this host, handed in; nothing here reads a clock. */
#ifndef WIRE_LEASE_H
#define WIRE_LEASE_H
#include "wire/epoch.h"

#define INSTANCE_MAX 40 /* random id of an agent's state directory, 32 hex digits */
#define ELECTORS_MAX 16
#define LEASE_STATES(X) X(LEASE_HELD, "held") X(LEASE_RELEASED, "released")
enum lease_state {
#define X(symbol, name) symbol,
    LEASE_STATES(X)
#undef X
};
struct lease {
    char store_id[INSTANCE_MAX];
    int64_t term_count;
    char term_random[20];
    char holder[INSTANCE_MAX];
    char holder_member[NAME_MAX_BYTES]; /* for people and routing only: the instance decides */
    int64_t seq;
    int64_t length_ms;
    char electors[ELECTORS_MAX][INSTANCE_MAX];
    uint32_t elector_count;
    int state; /* enum lease_state */
    struct epoch epoch; /* of the order in force */
    int64_t serial;
};
extern const struct fields lease_table;

/* What this process knows of the lease. One value, kept between ticks; only its own lapse is made durable. */
#define LEASE_PENDING_MAX 8
struct lease_memory {
    /* taker's half: the record as last read, since when it has been seen unchanged (1.4, 1.5) */
    bool seen;                  /* a read has been made in this process */
    bool seen_absent;           /* that read found no record */
    struct lease last;
    int64_t unchanged_since_ms; /* when this process first saw it so */
    bool released_saves_wait;   /* this process saw the same term held at a lower seq, and now released (1.5) */
    bool watched_renewals;      /* this process saw the record's seq move within its present term (2.8b) */
    char store_id[INSTANCE_MAX]; /* the store that is known, also from a life before ("": none) */
    bool other_store;           /* the record read now is of another: the first wait there is the longest of all (1.5) */
    int64_t other_store_since_ms, former_length_ms; /* when that was first seen; the longest length seen before */
    /* holder's half */
    bool holding;               /* own term is known to be in the record, not released by us */
    int64_t term_count;
    char term_random[20];
    int64_t deadline_ms;        /* valid until; every use compares the clock with it in the same call */
    int64_t sent_ms;            /* when the newest sending that is known to be in the record was sent; 0: not by this process */
    int64_t binding_seq;        /* of the sending from which the deadline counts: it may be a shorter one on its way; 0: not by this process */
    struct {
        int64_t seq, sent_ms, length_ms;
    } pending[LEASE_PENDING_MAX]; /* sendings of unknown outcome */
    uint32_t pending_count;
    int64_t seq_next;           /* next unused sending number, reserved durably in blocks */
    bool took_by_watching;      /* the present hold was taken after this process watched it being renewed (2.8b) */
};

/* A read of the store's record came back (absent: record NULL), asked at asked_ms. Confirms own pending sendings found in it. */
void lease_saw(struct lease_memory *m, const struct lease *record, const char *instance, int64_t asked_ms, int64_t now_ms);
/* A sending of ours leaves now. A shorter length and a release bind at once (1.2). */
void lease_sending(struct lease_memory *m, const struct lease *record, int64_t now_ms);
/* The store says that the swap which carried `record` was done. */
void lease_confirmed(struct lease_memory *m, const struct lease *record, int64_t now_ms);
/* Holder and deadline not reached: the only question an act may ask. */
bool lease_valid(const struct lease_memory *m, int64_t now_ms);
/* How long the taker must still wait before it may swap: 0 may take now, -1 never (not an elector, held by itself...). */
int64_t lease_take_wait_ms(const struct lease_memory *m, const char *instance, int64_t largest_length_ms, int64_t now_ms);
/* length * (1 + 2 rho), rho = 1 % */
int64_t lease_full_wait_ms(int64_t length_ms);
/* The record a holder or taker would send next: a copy of `last` with what changes. */
void lease_make_acquisition(const struct lease_memory *m, const char *instance, const char *member, const char *term_random,
                            int64_t random_seq, int64_t length_ms, struct lease *out);
void lease_make_renewal(const struct lease_memory *m, int64_t length_ms, struct lease *out); /* uses seq_next */
void lease_make_release(const struct lease_memory *m, struct lease *out);
#endif
