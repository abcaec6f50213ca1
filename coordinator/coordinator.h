/* The coordinator: one context for the loop thread.
 *
 *   turn:  letters (reports, requests) -> observe (facts to a view) -> decide -> act -> commit the journal -> publish
 *
 * What a turn changed is in memory and in the journal's list of changes until the commit; nothing is answered or
 * published before it. Only loop.c and main.c log decisions. */
#ifndef COORDINATOR_COORDINATOR_H
#define COORDINATOR_COORDINATOR_H
#include "coordinator/audit.h"
#include "coordinator/config.h"
#include "coordinator/operation.h"
#include "coordinator/text.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "wire/verify.h"

#define REPORT_FRESH_MS 5000
#define MEMBER_ALIVE_MS 5000
#define RECEIPTS_MAX 128    /* of a cluster, newest kept */
#define RECEIPTS_SEEN_MAX (2 * REPORT_RECEIPTS_MAX)
#define OPERATIONS_MAX 64   /* of a cluster, newest kept in memory */
#define CLUSTERS_MAX 32
#define PROBLEMS_MAX 64

/* An order of ours, as it was signed. */
struct issued {
    bool present;
    struct order order;
    char hash[HASH_TEXT_MAX];
    struct text *envelope;
};

/* The newest order that a site has refused since it last accepted one. */
struct refusal {
    int kind;
    char op[OP_ID_MAX];
    struct epoch epoch;
    char facts[HASH_TEXT_MAX];   /* what the verdict rested on */
    int64_t pause_ms;            /* before it is tried again; 0: nothing was refused */
};

/* One life of one agent, as its letters tell. */
#define VOICES_MAX 32
struct voice {
    char instance[INSTANCE_MAX], life[20];
    int64_t seq;      /* highest that has come */
    bool superseded;  /* a later life of the same instance was heard: these letters are late ones ... */
    uint32_t returns; /* ... unless they go on coming */
};

/* One site, as it was heard last. */
struct site {
    char name[NAME_MAX_BYTES];
    struct report *report;       /* newest verified; NULL: not heard in this life */
    struct text *envelope;       /* the same, as signed */
    int64_t arrived_boot_ms;
    struct voice voices[VOICES_MAX]; /* whose letters have come, oldest given up first */
    uint32_t voice_count;
    int64_t went_back_boot_ms;   /* its leader last said less than was known of its store; 0: never */
    struct issued held;          /* the order that it holds, if it is one of ours */
    struct issued pending;       /* published, no answer yet */
    int64_t last_issued;         /* wall ms of the newest order that was published */
    bool refused;                /* the pending one was refused */
    int64_t refused_boot_ms;
    char refused_reason[192];
    struct refusal refusal;
    /* receipts looked at already, by the hash of their envelopes: kept, known by another signature, or refused */
    char seen[RECEIPTS_SEEN_MAX][HASH_TEXT_MAX];
    uint32_t seen_count;
    /* what other sites need to know of it (relay.c) */
    char relay_key[HASH_TEXT_MAX], redo_key[HASH_TEXT_MAX];
    int64_t relay_mark, redo_boot_ms;
    struct text *relayed;        /* newest report at the last mark or later */
    /* what was logged last */
    const struct site_rule *shown;
};

struct held_receipt {
    struct receipt receipt;
    struct text *envelope;
};

struct problem {
    char id[48], severity[12], site[NAME_MAX_BYTES], member[NAME_MAX_BYTES];
    char message[384], cure[192];
    int64_t since; /* wall ms */
    bool hidden;   /* not long enough yet to be worth a person's while */
};

/* What the journal keeps of a cluster besides documents. */
struct marks {
    struct epoch epoch; /* highest opened epoch that was ever reported */
    bool complete;      /* every site has been heard since the store was empty (3.3) */
};

struct cluster {
    char name[NAME_MAX_BYTES];
    struct journal *journal;      /* the coordinator's; what is forgotten here is removed there */
    struct topology *topology;
    struct text *topology_envelope;
    struct marks marks;
    struct site sites[SITES_MAX]; /* in the topology's order */
    uint32_t site_count;
    struct held_receipt receipts[RECEIPTS_MAX]; /* oldest first */
    uint32_t receipt_count;
    struct operation operations[OPERATIONS_MAX]; /* oldest first */
    uint32_t operation_count;
    int64_t operations_number;    /* grows with every change of an operation */
    int64_t shown_number;         /* the same, as the documents made last show it */
    int64_t began_boot_ms;        /* this coordinator's knowledge of it */
    bool outranked;
    struct problem problems[PROBLEMS_MAX];
    uint32_t problem_count;
    struct cluster_view view;
    struct cluster_plan plan;
    const struct cluster_rule *shown;
    bool dirty;                   /* look at it in this turn */
    bool changed;                 /* orders or relays changed: publish at once */
    bool documents_due;           /* status and the like are to be made anew */
    struct text *status, *explain, *slots, *history, *readiness[SITES_MAX]; /* documents as published last */
    struct text *operation_texts[OPERATIONS_MAX];
    bool operation_shown[OPERATIONS_MAX]; /* the text tells how it is now */
};

/* A letter that is answered after the commit. */
#define ANSWERS_MAX 64
struct answer {
    struct http_letter *letter;
    int status;
    struct text *body;
};

struct coordinator {
    struct coordinator_config config;
    struct sign_key *key;
    int64_t term;
    struct journal *journal;
    struct audit audit;
    struct cluster *clusters[CLUSTERS_MAX];
    uint32_t cluster_count;
    int64_t relay_number;         /* last mark given; grows over restarts */
    struct http_server *http;
    struct http_client *client;   /* the loop's one place to wait */
    struct answer answers[ANSWERS_MAX];
    size_t answer_count;
    int64_t documents_boot_ms;    /* made last */
    int64_t tick_boot_ms;         /* every cluster was looked at last */
    struct text *metrics;
    int64_t files_boot_ms, files_seen_ns, files_used_ns; /* when the TLS files were looked at, and their change times */
    bool journal_failing;
    char journal_error[256];
    int64_t started_boot_ms;
    int signal_fd;
    bool stopping;
};

/* cluster.c: the state in memory and its journal */
bool coordinator_load(struct coordinator *c, struct err *err);
struct cluster *coordinator_cluster(const struct coordinator *c, const char *name);
struct cluster *coordinator_add_cluster(struct coordinator *c, const char *name);
void coordinator_free(struct coordinator *c);
void cluster_adopt_topology(struct cluster *cluster, struct topology *t, struct text *envelope);
int cluster_site_index(const struct cluster *cluster, const char *site);
struct operation *cluster_open_operation(struct cluster *cluster);
struct operation *cluster_operation(struct cluster *cluster, const char *id);
struct operation *cluster_add_operation(struct cluster *cluster);
struct held_receipt *cluster_add_receipt(struct cluster *cluster);
void receipt_key(const struct cluster *cluster, const struct receipt *r, char *to, size_t size);
const struct held_receipt *cluster_receipt(const struct cluster *cluster, enum receipt_kind kind, const struct epoch *epoch);
void journal_operation(struct coordinator *c, struct cluster *cluster, struct operation *o);
void journal_marks(struct coordinator *c, struct cluster *cluster);
void journal_order(struct coordinator *c, struct cluster *cluster, const struct site *s);
void coordinator_set_term(struct coordinator *c, int64_t term);
/* audit record of a cluster; more is filled in by the caller's text */
void note(struct coordinator *c, const struct cluster *cluster, const char *actor, const char *what, const char *site, const char *operation, const char *rule,
          const char *document, const char *format, ...) __attribute__((format(printf, 9, 10)));

/* intake.c: reports */
bool intake_report(struct coordinator *c, struct bytes envelope, struct err *err);
/* refusals.c: the pending order was refused; a report came in; is that order the refused one again; until it is tried */
void refusal_note(struct coordinator *c, struct cluster *cluster, struct site *s);
void refusal_consider(struct site *s);
bool refusal_is_of(const struct refusal *f, const struct order *o);
int64_t refusal_retry_ms(const struct site *s, int64_t now_ms);
/* relay.c */
void relay_consider(struct coordinator *c, struct cluster *cluster, struct site *s, int64_t now_ms);
/* observe.c */
void cluster_observe(struct cluster *cluster);
/* orders.c */
void order_issue(struct coordinator *c, struct cluster *cluster, const struct order_intent *intent, const char *rule);
void order_withdraw(struct coordinator *c, struct cluster *cluster, struct site *s);
void order_members(const struct cluster *cluster, int upstream, struct order *o);
bool order_lineage(const struct cluster *cluster, int upstream, struct lineage *out);
void order_slots(const struct cluster *cluster, int site, struct order *o);
/* act.c: true if anything was done that deserves another look at once */
bool cluster_act(struct coordinator *c, struct cluster *cluster);
/* topologies.c, requests.c: what the command asks; status and body of the answer */
int topology_post(struct coordinator *c, struct bytes body, struct strbuf *answer);
int operation_post(struct coordinator *c, struct bytes body, struct strbuf *answer);
int answer_error(struct strbuf *to, int status, const char *code, const char *message, const char *cure);
json_t *check_to_json(const struct cluster_view *v, const struct move_check *check, int to);
/* problems.c, document_status.c, documents.c */
void problems_find(struct cluster *cluster);
const struct member_status *report_member(const struct report *r, const char *name);
bool member_is_alive(const struct site *s, const struct member_status *m);
const struct member_status *report_leader(const struct report *r);
const char *site_role_text(const struct cluster *cluster, uint32_t site);
const char *site_state_text(const struct cluster *cluster, uint32_t site);
struct text *document_status(const struct cluster *cluster);
json_t *document_head(const struct cluster *cluster);
struct text *document_explain(const struct cluster *cluster);
struct text *document_slots(const struct cluster *cluster);
struct text *document_history(const struct cluster *cluster);
struct text *document_readiness(const struct cluster *cluster, int to);
json_t *wall_or_null(int64_t wall_ms);
json_t *slots_to_json(const struct report *r); /* of every member that it tells of */
/* loop.c */
bool coordinator_begin(struct coordinator *c, struct err *err); /* config and key stand */
void coordinator_turn(struct coordinator *c);
void coordinator_work(struct coordinator *c);   /* decides and acts for each cluster that has news */
bool coordinator_commit(struct coordinator *c); /* true: what was done may be told */
void coordinator_wait(struct coordinator *c);
/* routes.c */
enum http_verdict coordinator_api(void *context, const void *snapshot, const struct http_query *query, struct http_reply *reply);
enum http_verdict coordinator_health_route(void *context, const void *snapshot, const struct http_query *query, struct http_reply *reply);
#endif
