/* Whole operations, and a coordinator that dies at each of their points: two sites that obey orders as order_judge lets
 * them, real signatures, a real journal, no network and no PostgreSQL. After each death the operation must come to its
 * end all the same, and at no moment may two sites be open for writes. */
#include "coordinator/coordinator.h"
#include "rt/clock.h"
#include "rt/file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define SYSTEM_ID "7385000000000000001"
enum { ALICE, PAR, AMS_KEY, FRA_KEY, KEYS };
static struct sign_key keys[KEYS];
static char directory[64];
static struct topology topology; /* what the sites hold */
static struct strbuf topology_envelope, topology_text;
static int64_t seq;
static bool silent_about_writes; /* receipts of openings name no time */
static int64_t ahead_ms; /* of the sites' and the operators' clocks */

/* ---- a site that does what it is ordered, one step a round ---- */

static const char *grumble;    /* every order is refused, with these words and the time; NULL: it is judged */

enum temper { OBEYS, DROPS_STOP, NEVER_ASKS, DECLINES };
static enum temper temper; /* of whoever stops, or is promoted */

struct site_double {
    const char *name, *member;
    const struct sign_key *key;
    struct site_state state; /* order, vote */
    struct receipt receipts[8];
    uint32_t receipt_count;
    char refused_hash[HASH_TEXT_MAX], refused_reason[192], stop_state[16];
    struct lineage lineage;
    bool has_data, writable, streaming, silent;
    int obeyed; /* serial of the order that was carried out */
};
static struct site_double sites[2];

static void add_receipt(struct site_double *s, enum receipt_kind kind, const struct epoch *epoch, const struct epoch *successor) {
    struct receipt *r = &s->receipts[s->receipt_count++];
    *r = (struct receipt){.kind = (int)kind, .epoch = *epoch, .made_at = clock_wall_ms() + s->receipt_count, .timeline = 1, .end = 0x5000148, .lineage = s->lineage};
    if (successor)
        r->successor = *successor;
    str_copy(r->cluster, sizeof r->cluster, "orders");
    str_copy(r->system_id, sizeof r->system_id, SYSTEM_ID);
    str_copy(r->site, sizeof r->site, s->name);
    str_copy(r->member, sizeof r->member, s->member);
    if (kind == RECEIPT_STOPPED)
        r->writes_refused_at = 1000000;
    if (kind == RECEIPT_OPENED)
        r->writes_accepted_at = silent_about_writes ? 0 : 1000200;
}

static void open_epoch(struct site_double *s, const struct epoch *e) {
    struct lineage_entry *t = &s->lineage.entries[s->lineage.count++];
    t->timeline = s->lineage.count;
    snprintf(t->fingerprint, sizeof t->fingerprint, "eor:%s:%lld", s->name, (long long)e->step);
    s->state.vote.asked = s->state.vote.opened = s->state.vote.known_opened = *e;
    s->has_data = s->writable = true;
    s->streaming = false;
    add_receipt(s, RECEIPT_OPENED, e, NULL);
}

static void burn(struct site_double *s, const struct epoch *epoch, const struct epoch *next) {
    s->state.vote.declined[s->state.vote.declined_count++] = (struct vote_decline){*epoch, *next};
    add_receipt(s, RECEIPT_DECLINED, epoch, next);
}

static void stop_site(struct site_double *s, const struct order *o) {
    if (temper == DROPS_STOP) {
        str_copy(s->stop_state, sizeof s->stop_state, "dropped");
        s->state.stop_dropped = true;
        return;
    }
    s->writable = false;
    str_copy(s->stop_state, sizeof s->stop_state, "receipt");
    add_receipt(s, RECEIPT_STOPPED, &o->epoch, &o->successor);
}

static void promote_site(struct site_double *s, const struct order *o) {
    struct epoch next = {.generation = o->epoch.generation, .step = o->epoch.step + 1};
    str_copy(next.site, sizeof next.site, "ams");
    if (temper == OBEYS || temper == DROPS_STOP)
        open_epoch(s, &o->epoch);
    else if (temper == DECLINES)
        burn(s, &o->epoch, &next);
}

static void obey(struct site_double *s) {
    const struct order *o = &s->state.order;
    if (!s->state.has_order || s->obeyed == o->serial)
        return;
    s->obeyed = (int)o->serial;
    switch ((enum order_kind)o->kind) {
    case ORDER_BIRTH:
        open_epoch(s, &o->epoch);
        break;
    case ORDER_STOP:
        stop_site(s, o);
        break;
    case ORDER_PROMOTE:
        promote_site(s, o);
        break;
    case ORDER_ABORT:
        if (o->role == SITE_PRIMARY)
            open_epoch(s, &o->epoch);
        else if (!vote_find_decline(&s->state.vote, &o->epoch))
            burn(s, &o->epoch, &o->successor);
        break;
    case ORDER_STANDBY:
    case ORDER_FOLLOW:
        s->has_data = s->streaming = true;
        s->writable = false;
        s->lineage = o->upstream_lineage;
        break;
    case ORDER_PREPARE:
        break;
    }
}

static void raise_to(struct epoch *mark, const struct epoch *e) {
    if (epoch_compare(mark, e) < 0)
        *mark = *e;
}

/* An order comes by poll. */
static void receive(struct site_double *s, struct bytes envelope) {
    static struct order o;
    static struct proofs proofs;
    char hash[HASH_TEXT_MAX], reason[192];
    struct err err = {0};
    if (!verify_order(envelope, &topology, &o, &proofs, hash, &err))
        fail_msg("%s does not believe its order: %s", s->name, err.text);
    enum order_verdict verdict = order_judge(&s->state, &o, hash, &proofs, clock_wall_ms() + ahead_ms, reason, sizeof reason);
    if (grumble) {
        verdict = ORDER_REFUSE;
        snprintf(reason, sizeof reason, "%s at %lld", grumble, (long long)clock_wall_ms());
    }
    if (verdict == ORDER_REFUSE) {
        str_copy(s->refused_hash, sizeof s->refused_hash, hash);
        str_copy(s->refused_reason, sizeof s->refused_reason, reason);
    }
    if (verdict != ORDER_ACCEPT)
        return;
    s->state.has_order = true;
    s->state.order = o;
    str_copy(s->state.order_hash, sizeof s->state.order_hash, hash);
    s->state.coordinator_term = o.coordinator_term;
    str_copy(s->state.coordinator, sizeof s->state.coordinator, o.coordinator);
    str_copy(s->state.system_id, sizeof s->state.system_id, SYSTEM_ID);
    s->stop_state[0] = 0;
    s->state.stop_dropped = false;
    raise_to(&s->state.vote.promised, &o.epoch);
    for (uint32_t i = 0; i < proofs.receipt_count; i++)
        if (proofs.receipts[i].kind != RECEIPT_DECLINED)
            raise_to(&s->state.vote.known_opened, &proofs.receipts[i].epoch);
}

static void add_slots(const struct site_double *s, struct member_status *m) {
    for (uint32_t i = 0; i < s->state.order.slot_count && s->has_data; i++) {
        struct report_slot *slot = &m->slots[m->slot_count++];
        str_copy(slot->name, sizeof slot->name, s->state.order.slots[i].name);
        slot->kind = s->state.order.slots[i].kind;
        slot->restart_lsn = 0x5000000;
        str_copy(slot->wal_status, sizeof slot->wal_status, "reserved");
    }
}

static void fill_member(const struct site_double *s, struct member_status *m) {
    const struct order *o = &s->state.order;
    str_copy(m->name, sizeof m->name, s->member);
    m->role = s->writable ? MEMBER_PRIMARY : MEMBER_STANDBY_LEADER;
    m->state = !s->has_data ? STATE_STOPPED : s->streaming ? STATE_STREAMING : STATE_RUNNING;
    m->has_data = s->has_data;
    m->writable = s->writable;
    m->lsn = s->has_data ? 0x5000148 : 0;
    bool prepared = s->state.has_order && o->kind == ORDER_PREPARE;
    m->target_ready = prepared && o->target;
    m->checkpointed = prepared && o->checkpoint;
    str_copy(m->replay_pause_state, sizeof m->replay_pause_state, "not paused");
    add_slots(s, m);
}

static void sign_into(const struct fields *table, const void *document, const char *type, const struct sign_key *key, struct strbuf *envelope) {
    STRBUF payload = {0};
    struct err err = {0};
    field_to_text(table, document, &payload);
    if (!envelope_sign((struct bytes){payload.at, payload.len}, type, key, 1, envelope, &err))
        fail_msg("%s", err.text);
}

static int64_t site_topology_version = 1;
static void fill_order(const struct site_double *s, struct report *r) {
    r->has_order = s->state.has_order;
    if (!r->has_order)
        return;
    str_copy(r->order_hash, sizeof r->order_hash, s->state.order_hash);
    r->order_serial = s->state.order.serial;
    r->order_epoch = s->state.order.epoch;
    r->order_kind = s->state.order.kind;
    r->order_role = s->state.order.role;
    str_copy(r->order_op, sizeof r->order_op, s->state.order.op);
    r->coordinator_term = s->state.coordinator_term;
    str_copy(r->coordinator, sizeof r->coordinator, s->state.coordinator);
    str_copy(r->stop_state, sizeof r->stop_state, s->stop_state);
    str_copy(r->system_id, sizeof r->system_id, SYSTEM_ID);
}

static void send_report(const struct report *r, const struct sign_key *key, struct coordinator *c) {
    STRBUF envelope = {0};
    struct err err = {0};
    sign_into(&report_table, r, REPORT_TYPE, key, &envelope);
    if (!intake_report(c, (struct bytes){envelope.at, envelope.len}, &err) && c->cluster_count)
        fail_msg("report of %s refused: %s", r->site, err.text);
}

static struct report sent; /* the newest */
static void report(const struct site_double *s, struct coordinator *c) {
    static struct report r;
    memset(&r, 0, sizeof r);
    str_copy(r.cluster, sizeof r.cluster, "orders");
    str_copy(r.site, sizeof r.site, s->name);
    str_copy(r.member, sizeof r.member, s->member);
    str_copy(r.instance, sizeof r.instance, s->member);
    str_copy(r.leader, sizeof r.leader, s->member);
    str_copy(r.life, sizeof r.life, "1f");
    r.seq = ++seq;
    r.made_at = clock_wall_ms() + ahead_ms;
    r.topology_version = site_topology_version;
    str_copy(r.topology_hash, sizeof r.topology_hash, topology.hash);
    r.speaks = r.store_ok = true;
    r.vote = s->state.vote;
    r.lineage = s->lineage;
    str_copy(r.refused_hash, sizeof r.refused_hash, s->refused_hash);
    str_copy(r.refused_reason, sizeof r.refused_reason, s->refused_reason);
    fill_order(s, &r);
    fill_member(s, &r.members[r.member_count++]);
    for (uint32_t i = 0; i < s->receipt_count; i++) {
        STRBUF receipt = {0};
        sign_into(&receipt_table, &s->receipts[i], RECEIPT_TYPE, s->key, &receipt);
        str_copy(r.receipts[r.receipt_count++], PROOF_TEXT_MAX, receipt.at);
    }
    send_report(&r, s->key, c);
    sent = r;
}

/* ---- the command ---- */

static void make_request(enum verb verb, const char *op, const char *to, int64_t deadline_ms, struct strbuf *envelope) {
    struct request q = {.verb = (int)verb, .create = verb == VERB_APPLY, .deadline_ms = deadline_ms};
    str_copy(q.cluster, sizeof q.cluster, "orders");
    str_copy(q.op, sizeof q.op, op);
    str_copy(q.to, sizeof q.to, to);
    str_copy(q.operator_name, sizeof q.operator_name, "alice");
    str_copy(q.reason, sizeof q.reason, "test");
    str_copy(q.topology, sizeof q.topology, verb == VERB_APPLY ? topology.hash : "");
    q.issued_at = clock_wall_ms() + ahead_ms;
    q.expires_at = q.issued_at + 600000;
    sign_into(&request_table, &q, REQUEST_TYPE, &keys[ALICE], envelope);
}

static int apply(struct coordinator *c, const char *op, struct strbuf *answer) {
    STRBUF request = {0};
    STRBUF body = {0};
    make_request(VERB_APPLY, op, "", 0, &request);
    strbuf_addf(&body, "{\"envelope\":%s,\"request\":%s}", topology_envelope.at, request.at);
    return topology_post(c, (struct bytes){body.at, body.len}, answer);
}

static int ask(struct coordinator *c, enum verb verb, const char *op, int64_t deadline_ms, struct strbuf *answer) {
    STRBUF request = {0};
    make_request(verb, op, verb == VERB_SWITCHOVER ? "fra" : "", deadline_ms, &request);
    return operation_post(c, (struct bytes){request.at, request.len}, answer);
}

/* ---- the coordinator, its life and its deaths ---- */

static struct coordinator *start(void) {
    struct coordinator *c = rt_alloc(sizeof *c);
    struct err err = {0};
    bool fresh;
    c->key = &keys[PAR];
    str_copy(c->config.name, sizeof c->config.name, "par");
    sign_public_format(keys[ALICE].public, c->config.trust.operators[0]);
    c->config.trust.operator_count = 1;
    if (!journal_open(directory, &c->journal, &fresh, &err) || !audit_open(&c->audit, c->journal, &err) || !coordinator_load(c, &err))
        fail_msg("start: %s", err.text);
    return c;
}

static void stop(struct coordinator *c) {
    coordinator_free(c);
    journal_close(c->journal);
    rt_free(c);
}

static void check_single_writer(void) {
    if (sites[0].writable && sites[1].writable)
        fail_msg("two sites are open for writes");
}

/* One round of the world: sites obey and report, the coordinator works, commits, publishes, sites poll. `die` ends the
 * coordinator before (1) or after (2) its commit; it is started anew. */
static struct coordinator *play_round(struct coordinator *c, int die) {
    for (int i = 0; i < 2; i++)
        obey(&sites[i]);
    check_single_writer();
    for (int i = 0; i < 2; i++)
        if (!sites[i].silent)
            report(&sites[i], c);
    for (uint32_t i = 0; i < c->cluster_count; i++)
        c->clusters[i]->dirty = true;
    coordinator_work(c);
    if (die == 1) {
        stop(c);
        return start();
    }
    assert_true(coordinator_commit(c));
    if (die == 2) {
        stop(c);
        return start();
    }
    for (uint32_t i = 0; c->cluster_count && i < c->clusters[0]->site_count; i++) {
        const struct site *s = &c->clusters[0]->sites[i];
        if (s->pending.present && !s->refused && !sites[i].silent)
            receive(&sites[i], (struct bytes){s->pending.envelope->at, s->pending.envelope->len});
    }
    return c;
}

static struct operation *operation(struct coordinator *c, const char *id) { return c->cluster_count ? cluster_operation(c->clusters[0], id) : NULL; }

#define CREATE_OP "c0ffee00c0ffee00"
#define MOVE_OP "5111c40e5111c40e"
#define ROUNDS_MAX 60

/* apply --create, then a switchover; the coordinator dies in round `death`. Returns the number of rounds. */
static int play(int death, int die, int64_t deadline_ms, struct coordinator **out) {
    struct coordinator *c = start();
    for (int round = 0; round < ROUNDS_MAX; round++) {
        struct operation *create = operation(c, CREATE_OP), *move = operation(c, MOVE_OP);
        STRBUF answer = {0};
        if (!create)
            assert_int_equal(apply(c, CREATE_OP, &answer), 200); /* the command asks again until it is answered */
        else if (!operation_is_open(create) && !move && sites[1].streaming && !cluster_open_operation(c->clusters[0]))
            ask(c, VERB_SWITCHOVER, MOVE_OP, deadline_ms, &answer);
        c = play_round(c, round == death ? die : 0);
        move = operation(c, MOVE_OP);
        if (move && !operation_is_open(move) && round > death) {
            for (int i = 0; i < 3; i++)
                c = play_round(c, 0);
            *out = c;
            return round;
        }
    }
    fail_msg("the operation does not come to its end: %s (death in round %d, %d)", operation(c, MOVE_OP) ? operation(c, MOVE_OP)->message : "not begun", death, die);
    return 0;
}

static struct coordinator *play_on(struct coordinator *c, int rounds) {
    for (int i = 0; i < rounds; i++)
        c = play_round(c, 0);
    return c;
}

/* ---- setting up ---- */

static void begin_world(enum temper t) {
    static const char *const names[] = {"ams", "fra"}, *const members[] = {"ams-1", "fra-1"};
    struct err err = {0};
    assert_true(file_remove_tree(directory, &err));
    temper = t;
    for (int i = 0; i < 2; i++) {
        sites[i] = (struct site_double){.name = names[i], .member = members[i], .key = &keys[AMS_KEY + i], .obeyed = -1};
        str_copy(sites[i].state.cluster, sizeof sites[i].state.cluster, "orders");
        str_copy(sites[i].state.site, sizeof sites[i].state.site, names[i]);
        sites[i].state.may_be_born = i == 0;
        sites[i].state.topology_version = 1;
    }
}

static int make_world(void **state) {
    (void)state;
    char public[KEYS][SIGN_PUBLIC_TEXT_MAX];
    struct err err = {0};
    snprintf(directory, sizeof directory, "/tmp/pgregent-flow-%d", (int)getpid());
    for (int i = 0; i < KEYS; i++) {
        sign_key_generate(&keys[i]);
        sign_public_format(keys[i].public, public[i]);
    }
    strbuf_addf(&topology_text,
                "format: 1\ncluster: orders\ninitial_primary: ams\npostgresql: {version: 15, data_dir: /data}\nsites:\n"
                "  ams: {store: {embedded: /s/a}, members: {ams-1: {address: \"127.0.0.1:1\", agent: \"127.0.0.1:2\", key: \"%s\", postgresql: {data_dir: /data/a/a}}}}\n"
                "  fra: {store: {embedded: /s/f}, standby_cluster: {create_replica_methods: [basebackup]}, members: {fra-1: {address: \"127.0.0.1:3\", agent: \"127.0.0.1:4\", key: \"%s\", postgresql: {data_dir: /data/f/f}}}}\n"
                "coordinators: {par: {address: \"127.0.0.1:5\", key: \"%s\"}}\nkeys: {operators: {alice: {key: \"%s\", may: [all]}}}\n",
                public[AMS_KEY], public[FRA_KEY], public[PAR], public[ALICE]);
    STRBUF payload = {0};
    topology_payload("orders", 1, "", (struct bytes){topology_text.at, topology_text.len}, &payload);
    if (!envelope_sign((struct bytes){payload.at, payload.len}, TOPOLOGY_TYPE, &keys[ALICE], 1, &topology_envelope, &err) ||
        !topology_reopen((struct bytes){topology_envelope.at, topology_envelope.len}, &topology, &err))
        fail_msg("%s", err.text);
    return 0;
}

static int end_world(void **state) {
    (void)state;
    struct err err = {0};
    strbuf_free(&topology_text);
    strbuf_free(&topology_envelope);
    file_remove_tree(directory, &err);
    return 0;
}

/* ---- stories ---- */

static void check_audit(struct coordinator *c) {
    STRBUF problems = {0};
    struct err err = {0};
    int64_t count = 0;
    assert_true(audit_verify(c->journal, &count, &problems, &err));
    assert_string_equal(problems.at ? problems.at : "", "");
    assert_true(count > 10);
}

static void check_moved(struct coordinator *c) {
    const struct operation *move = operation(c, MOVE_OP);
    assert_int_equal(move->state, OP_DONE);
    assert_int_equal(move->writes_accepted_at - move->writes_refused_at, 200);
    assert_true(sites[1].writable && !sites[0].writable && sites[0].streaming);
    assert_string_equal(sites[0].state.order.upstream_site, "fra");
    assert_int_equal(sites[0].state.order.upstream_lineage.count, sites[1].lineage.count);
    check_audit(c);
}

static void a_cluster_is_born_built_and_moved(void **state) {
    (void)state;
    struct coordinator *c;
    begin_world(OBEYS);
    play(-1, 0, 0, &c);
    check_moved(c);
    assert_int_equal(c->clusters[0]->operation_count, 3); /* create, bootstrap, switchover */
    stop(c);
    c = start(); /* everything that a later question needs is in the journal */
    assert_int_equal(c->term, 2);
    assert_int_equal(c->clusters[0]->receipt_count, 3); /* opened, stopped, opened */
    assert_int_equal(operation(c, MOVE_OP)->writes_accepted_at, 1000200);
    stop(c);
}

/* Two hosts' clocks differ by more than the gap, or a receipt does not tell: not known, and looked at once. */
static void a_gap_that_was_not_measured_is_null(void **state) {
    static const struct receipt_times { int64_t refused, accepted; } odd[] = {{1000300, 1000200}, {1000000, 0}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct coordinator *c;
        begin_world(OBEYS);
        play(-1, 0, 0, &c);
        struct operation *move = operation(c, MOVE_OP);
        move->writes_refused_at = odd[i].refused;
        move->writes_accepted_at = odd[i].accepted;
        JSON_AUTO *shown = operation_to_json(move, clock_wall_ms());
        assert_true(json_is_null(json_object_get(shown, "write_gap_ms")));
        stop(c);
    }
}

/* Nothing happens: no document changes, nobody who waits is woken. */
static void a_gap_is_noted_once(void **state) {
    (void)state;
    struct coordinator *c;
    begin_world(OBEYS);
    silent_about_writes = true;
    play(-1, 0, 0, &c);
    silent_about_writes = false;
    operation(c, MOVE_OP)->state = OP_RUNNING; /* waits for the old primary to stream */
    sites[0].streaming = false;
    c = play_on(c, 2);
    int64_t number = c->clusters[0]->operations_number;
    c = play_on(c, 3);
    assert_int_equal(c->clusters[0]->operations_number, number);
    stop(c);
}

static void check_given_back(struct coordinator *c) {
    assert_int_equal(operation(c, MOVE_OP)->state, OP_ABORTED);
    assert_true(sites[0].writable && !sites[1].writable && sites[1].streaming);
    check_audit(c);
}

/* Dies in every round, before and after its commit; each time everything comes to the same end. */
static void die_everywhere(enum temper t, int64_t deadline_ms, void (*check)(struct coordinator *c)) {
    struct coordinator *c;
    begin_world(t);
    int rounds = play(-1, 0, deadline_ms, &c);
    check(c);
    stop(c);
    for (int death = 0; death <= rounds; death++)
        for (int die = 1; die <= 2; die++) {
            begin_world(t);
            play(death, die, deadline_ms, &c);
            check(c);
            stop(c);
        }
}

static void no_death_of_the_coordinator_loses_a_move(void **state) {
    (void)state;
    die_everywhere(OBEYS, 0, check_moved);
}

static void a_dropped_stop_leaves_the_primary_as_it_was(void **state) {
    (void)state;
    die_everywhere(DROPS_STOP, 0, check_given_back);
    assert_int_equal(sites[0].state.vote.opened.step, 0); /* the same epoch */
}

static void a_target_that_declines_gives_the_receipt_back(void **state) {
    (void)state;
    die_everywhere(DECLINES, 0, check_given_back);
    assert_int_equal(sites[0].state.vote.opened.step, 2);
}

/* A person takes it back while the target hangs before its point of no return. */
static void an_abort_by_hand_gives_the_receipt_back(void **state) {
    (void)state;
    struct coordinator *c;
    begin_world(NEVER_ASKS);
    c = start();
    bool asked = false;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        STRBUF answer = {0};
        struct operation *create = operation(c, CREATE_OP), *move = operation(c, MOVE_OP);
        if (!create)
            apply(c, CREATE_OP, &answer);
        else if (!move && sites[1].streaming && !cluster_open_operation(c->clusters[0]))
            ask(c, VERB_SWITCHOVER, MOVE_OP, 0, &answer);
        else if (move && !asked && sites[1].state.order.kind == ORDER_PROMOTE)
            asked = ask(c, VERB_ABORT, MOVE_OP, 0, &answer) == 200;
        c = play_round(c, 0);
    }
    assert_true(asked);
    check_given_back(c);
    stop(c);
}

static void a_coordinator_whose_clock_was_set_back_is_obeyed(void **state) {
    (void)state;
    struct coordinator *c;
    begin_world(DECLINES);
    ahead_ms = 3600000;
    play(-1, 0, 0, &c);
    check_given_back(c);
    ahead_ms = 0;
    stop(c);
}

static int64_t newest_seq(const struct coordinator *c) { return c->clusters[0]->sites[1].report->seq; }

/* A letter of a life that nobody here has heard of: a new agent's first, or a dead one's last? */
static void who_goes_on_speaking_is_alive(void **state) {
    (void)state;
    struct coordinator *c;
    begin_world(OBEYS);
    play(-1, 0, 0, &c);
    struct report living = sent, late = sent;
    const struct sign_key *fra = &keys[FRA_KEY];
    str_copy(late.life, sizeof late.life, "0d");
    late.seq = 7;
    send_report(&late, fra, c);
    assert_int_equal(newest_seq(c), 7);
    for (int i = 1; i <= 3; i++) {
        living.seq = sent.seq + i;
        send_report(&living, fra, c);
        assert_int_equal(newest_seq(c), i < 3 ? 7 : living.seq);
    }
    send_report(&late, fra, c);
    assert_int_equal(newest_seq(c), living.seq);
    stop(c);
}

/* Letters of the standby, one after the other: which of them is its newest word? */
static void only_what_is_newer_replaces_what_a_site_said(void **state) {
    (void)state;
    struct coordinator *c;
    begin_world(OBEYS);
    play(-1, 0, 0, &c);
    struct report first = sent, next = sent;
    const struct sign_key *fra = &keys[FRA_KEY];
    next.seq = ++seq;
    send_report(&next, fra, c);
    send_report(&first, fra, c); /* late */
    assert_int_equal(newest_seq(c), next.seq);
    str_copy(next.life, sizeof next.life, "2e"); /* the agent has restarted, and its clock went back */
    next.seq = 1;
    next.made_at -= 3600000;
    send_report(&next, fra, c);
    assert_int_equal(newest_seq(c), 1);
    send_report(&first, fra, c); /* a letter of the life before */
    assert_int_equal(newest_seq(c), 1);
    struct report *known = c->clusters[0]->sites[1].report;
    for (int i = 0; i < 4; i++) { /* each of these is less than was known */
        struct report back = *known;
        back.seq = 100;
        known->lease.term_count = 1;
        back.lease.term_count = i != 0;
        back.order_serial -= i == 1;
        back.vote.opened.step -= i == 2;
        back.vote.asked.step -= i == 3;
        send_report(&back, fra, c);
        assert_int_equal(newest_seq(c), 1);
        assert_true(c->clusters[0]->sites[1].went_back_boot_ms > 0);
    }
    stop(c);
}

static void a_coordinator_with_an_old_topology_only_observes(void **state) {
    (void)state;
    struct coordinator *c;
    STRBUF answer = {0};
    begin_world(OBEYS);
    play(-1, 0, 0, &c);
    site_topology_version = 2;
    c = play_round(c, 0);
    assert_string_equal(c->clusters[0]->plan.rule->head.name, "topology-behind");
    STRBUF request = {0};
    make_request(VERB_SWITCHOVER, "0123456789abcdef", "ams", 0, &request);
    assert_int_equal(operation_post(c, (struct bytes){request.at, request.len}, &answer), 409);
    assert_non_null(strstr(answer.at, "newer topology"));
    site_topology_version = 1;
    stop(c);
}

static bool is_promoted(void) { return sites[1].state.order.kind == ORDER_PROMOTE; }

static struct coordinator *play_to_the_promotion(void) {
    struct coordinator *c = start();
    for (int round = 0; round < ROUNDS_MAX && !is_promoted(); round++) {
        STRBUF answer = {0};
        struct operation *create = operation(c, CREATE_OP);
        if (!create)
            apply(c, CREATE_OP, &answer);
        else if (!operation(c, MOVE_OP) && sites[1].streaming && !cluster_open_operation(c->clusters[0]))
            ask(c, VERB_SWITCHOVER, MOVE_OP, 0, &answer);
        c = play_round(c, 0);
    }
    assert_true(is_promoted());
    return c;
}

/* The report that tells of `asked` came in just before the request, in the same turn. */
static void no_abort_is_accepted_once_asked_was_told(void **state) {
    (void)state;
    begin_world(OBEYS);
    struct coordinator *c = play_to_the_promotion();
    STRBUF answer = {0};
    obey(&sites[1]);
    report(&sites[1], c);
    assert_int_equal(ask(c, VERB_ABORT, MOVE_OP, 0, &answer), 409);
    c = play_on(c, 6);
    check_moved(c);
    stop(c);
}

/* Accepted, and the target asks all the same: then the operation is what has happened, in every step that it shows. */
static void an_abort_that_came_too_late_is_forgotten(void **state) {
    (void)state;
    begin_world(OBEYS);
    struct coordinator *c = play_to_the_promotion();
    STRBUF answer = {0};
    assert_int_equal(ask(c, VERB_ABORT, MOVE_OP, 0, &answer), 200);
    c = play_on(c, 6);
    check_moved(c);
    const struct operation *move = operation(c, MOVE_OP);
    assert_false(move->abort);
    assert_int_equal(move->step_count, 6);
    for (uint32_t i = 0; i < move->step_count; i++)
        assert_int_equal(move->steps[i].state, STEP_DONE);
    stop(c);
}

/* Plays until the old primary has accepted the stop of the move, and is cut off before it says so. */
static struct coordinator *play_to_the_stop(void) {
    struct coordinator *c = start();
    for (int round = 0; round < ROUNDS_MAX; round++) {
        STRBUF answer = {0};
        struct operation *create = operation(c, CREATE_OP);
        if (!create)
            apply(c, CREATE_OP, &answer);
        else if (!operation(c, MOVE_OP) && sites[1].streaming && !cluster_open_operation(c->clusters[0]))
            ask(c, VERB_SWITCHOVER, MOVE_OP, 0, &answer);
        c = play_round(c, 0);
        if (sites[0].state.order.kind == ORDER_STOP) {
            sites[0].silent = true;
            return c;
        }
    }
    fail_msg("no stop was ordered");
    return c;
}

static void pass_deadline(struct coordinator *c) {
    struct operation *move = operation(c, MOVE_OP);
    move->deadline_at = clock_wall_ms() - 20000;
    move->deadline_boot_ms = 0;
    journal_operation(c, c->clusters[0], move);
    assert_true(coordinator_commit(c));
}

static void a_restart_after_the_deadline_hears_before_it_concludes(void **state) {
    (void)state;
    begin_world(NEVER_ASKS);
    struct coordinator *c = play_to_the_stop();
    pass_deadline(c);
    stop(c);
    c = start();
    coordinator_work(c); /* nobody has reported */
    assert_true(operation_is_open(operation(c, MOVE_OP)));
    c = play_on(c, 3); /* the target alone */
    assert_true(operation_is_open(operation(c, MOVE_OP)));
    sites[0].silent = false;
    c = play_on(c, 12);
    check_given_back(c);
    stop(c);
}

/* Taken back while the site that has the stop is cut off; the order that competes with it expires unheard. */
static void a_stop_that_nobody_answered_for_is_not_forgotten(void **state) {
    (void)state;
    begin_world(NEVER_ASKS);
    struct coordinator *c = play_to_the_stop();
    STRBUF answer = {0};
    assert_int_equal(ask(c, VERB_ABORT, MOVE_OP, 0, &answer), 200);
    c = play_on(c, 2);
    struct site *ams = &c->clusters[0]->sites[0];
    assert_int_equal(ams->pending.order.kind, ORDER_PREPARE);
    ams->pending.order.expires = 1;
    ams->arrived_boot_ms -= REPORT_FRESH_MS;
    c = play_on(c, 2);
    assert_true(operation_is_open(operation(c, MOVE_OP)));
    sites[0].silent = false;
    c = play_on(c, 12);
    check_given_back(c);
    stop(c);
}

/* Closed wrongly, by whatever mistake: the id that the site holds brings it back. */
static void check_reopened(enum verb verb, enum op_state end) {
    STRBUF answer = {0};
    begin_world(verb == VERB_ABORT ? NEVER_ASKS : OBEYS);
    struct coordinator *c = play_to_the_stop();
    sites[0].silent = false;
    operation_finish(operation(c, MOVE_OP), OP_ABORTED, clock_wall_ms());
    operation(c, MOVE_OP)->abort = true;
    c = play_on(c, 3);
    assert_int_equal(operation(c, MOVE_OP)->state, OP_ABORTED);
    assert_int_equal(ask(c, verb, MOVE_OP, 0, &answer), 200);
    c = play_on(c, 15);
    assert_int_equal(operation(c, MOVE_OP)->state, end);
    assert_int_equal(sites[0].writable, end == OP_ABORTED);
    assert_int_equal(sites[1].writable, end == OP_DONE);
    stop(c);
}
static void a_closed_move_whose_stop_is_held_is_reopened(void **state) {
    (void)state;
    check_reopened(VERB_ABORT, OP_ABORTED);
    check_reopened(VERB_SWITCHOVER, OP_DONE);
}

/* The store is lost so many rounds after the new site streams. The operator applies the topology again and repeats the
 * request until it is done. */
static struct coordinator *play_losing(int loss) {
    struct coordinator *c = start();
    struct err err = {0};
    for (int round = 0, moving = 0; round < ROUNDS_MAX; round++) {
        STRBUF answer = {0};
        struct operation *move = operation(c, MOVE_OP);
        if (!c->cluster_count)
            apply(c, moving ? "2222222222222222" : CREATE_OP, &answer);
        else if (moving && !sites[1].writable && (!move || operation_is_open(move)))
            ask(c, VERB_SWITCHOVER, MOVE_OP, 0, &answer);
        c = play_round(c, 0);
        moving += moving || sites[1].streaming;
        if (moving == loss + 1) {
            stop(c);
            assert_true(file_remove_tree(directory, &err));
            c = start();
        }
    }
    return c;
}

/* The journal is lost after the receipt; the operator knows nothing of the old id. */
static struct coordinator *play_to_a_lost_receipt(void) {
    struct err err = {0};
    STRBUF answer = {0};
    struct coordinator *c = play_to_the_stop();
    sites[0].silent = false;
    obey(&sites[0]);
    stop(c);
    assert_true(file_remove_tree(directory, &err));
    c = start();
    apply(c, "2222222222222222", &answer);
    c = play_on(c, 3);
    assert_string_equal(c->clusters[0]->plan.rule->head.name, "hand-over-hangs");
    assert_non_null(strstr(c->clusters[0]->plan.about, MOVE_OP));
    return c;
}

static void a_hand_over_that_hangs_is_finished_or_undone(void **state) {
    (void)state;
    for (int undone = 0; undone < 3; undone++) { /* 2: after it was begun anew */
        STRBUF answer = {0};
        begin_world(undone ? NEVER_ASKS : OBEYS);
        struct coordinator *c = play_to_a_lost_receipt();
        if (undone != 1)
            assert_int_equal(ask(c, VERB_SWITCHOVER, "9999999999999999", 0, &answer), 200);
        strbuf_reset(&answer);
        if (undone)
            assert_int_equal(ask(c, VERB_ABORT, MOVE_OP, 0, &answer), 200);
        c = play_on(c, 12);
        assert_int_equal(sites[0].writable, undone != 0);
        assert_int_equal(sites[1].writable, undone == 0);
        assert_null(cluster_open_operation(c->clusters[0]));
        stop(c);
    }
}

static void a_lost_journal_is_relearned_from_the_sites(void **state) {
    (void)state;
    for (int loss = 0; loss < 14; loss++) {
        begin_world(OBEYS);
        struct coordinator *c = play_losing(loss);
        if (!sites[1].writable || sites[0].writable || !sites[0].streaming)
            fail_msg("lost after %d rounds: %s", loss, operation(c, MOVE_OP) ? operation(c, MOVE_OP)->message : c->clusters[0]->plan.rule->head.sentence);
        assert_true(c->term > 1);
        stop(c);
    }
}

static void a_second_move_is_refused_with_the_first(void **state) {
    (void)state;
    begin_world(NEVER_ASKS);
    struct coordinator *c = start();
    STRBUF answer = {0};
    apply(c, CREATE_OP, &answer);
    for (int round = 0; round < 20; round++)
        c = play_round(c, 0);
    strbuf_reset(&answer);
    assert_int_equal(ask(c, VERB_SWITCHOVER, MOVE_OP, 0, &answer), 200);
    strbuf_reset(&answer);
    assert_int_equal(ask(c, VERB_SWITCHOVER, "0123456789abcdef", 0, &answer), 409);
    assert_non_null(strstr(answer.at, MOVE_OP));
    strbuf_reset(&answer);
    assert_int_equal(ask(c, VERB_SWITCHOVER, MOVE_OP, 0, &answer), 200); /* the same again is the same operation */
    assert_int_equal(c->clusters[0]->operation_count, 3);
    stop(c);
}

static void what_the_checks_refuse_changes_nothing(void **state) {
    (void)state;
    begin_world(OBEYS);
    struct coordinator *c = start();
    STRBUF answer = {0};
    apply(c, CREATE_OP, &answer);
    for (int round = 0; round < 20; round++)
        c = play_round(c, 0);
    sites[1].streaming = false;
    c = play_round(c, 0);
    strbuf_reset(&answer);
    assert_int_equal(ask(c, VERB_SWITCHOVER, MOVE_OP, 0, &answer), 409);
    assert_non_null(strstr(answer.at, "target-not-streaming"));
    assert_null(operation(c, MOVE_OP));
    sites[1].streaming = true;
    c = play_round(c, 0);
    STRBUF request = {0};
    make_request(VERB_SWITCHOVER, "0123456789abcdef", "ams", 0, &request);
    strbuf_reset(&answer);
    assert_int_equal(operation_post(c, (struct bytes){request.at, request.len}, &answer), 200);
    assert_string_equal(answer.at, "{\"changed\":false,\"operation\":null}");
    stop(c);
}

/* Version 2 of the file, with a comment at its end. */
static int apply_next(struct coordinator *c, struct strbuf *answer) {
    STRBUF file = {0};
    STRBUF payload = {0};
    STRBUF envelope = {0};
    STRBUF request = {0};
    STRBUF body = {0};
    struct err err = {0};
    strbuf_addf(&file, "%s# corrected\n", topology_text.at);
    topology_payload("orders", 2, topology.hash, (struct bytes){file.at, file.len}, &payload);
    assert_true(envelope_sign((struct bytes){payload.at, payload.len}, TOPOLOGY_TYPE, &keys[ALICE], 1, &envelope, &err));
    struct request q = {.verb = VERB_APPLY, .expires_at = clock_wall_ms() + 60000, .issued_at = clock_wall_ms()};
    str_copy(q.cluster, sizeof q.cluster, "orders");
    str_copy(q.op, sizeof q.op, "0123456789abcdef");
    str_copy(q.operator_name, sizeof q.operator_name, "alice");
    sign_hash((struct bytes){payload.at, payload.len}, q.topology);
    sign_into(&request_table, &q, REQUEST_TYPE, &keys[ALICE], &request);
    strbuf_addf(&body, "{\"envelope\":%s,\"request\":%s}", envelope.at, request.at);
    return topology_post(c, (struct bytes){body.at, body.len}, answer);
}

/* A birth that nobody accepts and a copy that never ends do not bar the corrected file; a birth under way and a move do. */
static void a_corrected_topology_gets_past_what_cannot_finish(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        STRBUF answer = {0};
        begin_world(NEVER_ASKS);
        struct coordinator *c = start();
        assert_int_equal(apply(c, CREATE_OP, &answer), 200);
        sites[0].silent = i == 0;
        if (i == 1) {
            c = play_round(c, 0);
            report(&sites[0], c); /* accepted, not begun */
        }
        for (int round = 0; i >= 2 && round < ROUNDS_MAX && !sites[1].state.has_order; round++)
            c = play_round(c, 0);
        struct operation *open = cluster_open_operation(c->clusters[0]);
        if (i == 3) {
            c = play_on(c, 3);
            assert_int_equal(ask(c, VERB_SWITCHOVER, MOVE_OP, 0, &answer), 200);
        }
        assert_true(i > 1 || (open && open->kind == OP_CREATE));
        assert_true(i != 2 || (open && open->kind == OP_BOOTSTRAP));
        strbuf_reset(&answer);
        assert_int_equal(apply_next(c, &answer), i == 0 || i == 2 ? 200 : 409);
        stop(c);
    }
}

/* Before its first order was accepted a creation is simply taken back. */
static void a_creation_that_cannot_begin_is_taken_back(void **state) {
    (void)state;
    STRBUF answer = {0};
    begin_world(OBEYS);
    sites[1].silent = true; /* not everybody can be asked */
    struct coordinator *c = start();
    assert_int_equal(apply(c, CREATE_OP, &answer), 200);
    c = play_on(c, 3);
    strbuf_reset(&answer);
    assert_int_equal(ask(c, VERB_ABORT, CREATE_OP, 0, &answer), 200);
    c = play_on(c, 1);
    assert_int_equal(operation(c, CREATE_OP)->state, OP_ABORTED);
    stop(c);
}

static void a_topology_that_was_beaten_is_told_so(void **state) {
    (void)state;
    begin_world(OBEYS);
    struct coordinator *c = start();
    STRBUF answer = {0};
    STRBUF payload = {0};
    STRBUF envelope = {0};
    STRBUF request = {0};
    STRBUF body = {0};
    struct err err = {0};
    assert_int_equal(apply(c, CREATE_OP, &answer), 200);
    c = play_round(c, 0);
    topology_payload("orders", 3, topology.hash, (struct bytes){topology_text.at, topology_text.len}, &payload);
    assert_true(envelope_sign((struct bytes){payload.at, payload.len}, TOPOLOGY_TYPE, &keys[ALICE], 1, &envelope, &err));
    struct request q = {.verb = VERB_APPLY, .expires_at = clock_wall_ms() + 60000, .issued_at = clock_wall_ms()};
    str_copy(q.cluster, sizeof q.cluster, "orders");
    str_copy(q.op, sizeof q.op, "0123456789abcdef");
    str_copy(q.operator_name, sizeof q.operator_name, "alice");
    sign_hash((struct bytes){payload.at, payload.len}, q.topology);
    sign_into(&request_table, &q, REQUEST_TYPE, &keys[ALICE], &request);
    strbuf_addf(&body, "{\"envelope\":%s,\"request\":%s}", envelope.at, request.at);
    strbuf_reset(&answer);
    assert_int_equal(topology_post(c, (struct bytes){body.at, body.len}, &answer), 409);
    assert_non_null(strstr(answer.at, "\"conflict\""));
    stop(c);
}

static void what_the_journal_cannot_keep_is_refused(void **state) {
    (void)state;
    begin_world(OBEYS);
    struct coordinator *c = start();
    STRBUF answer = {0};
    assert_int_equal(apply(c, "X y", &answer), 400);
    struct strbuf text = topology_text, envelope = topology_envelope;
    static struct topology small;
    struct err err = {0};
    STRBUF payload = {0};
    small = topology;
    topology_text = topology_envelope = (struct strbuf){0};
    strbuf_add(&topology_text, text.at);
    while (topology_text.len < 200000)
        strbuf_add(&topology_text, "# a comment\n");
    topology_payload("orders", 1, "", (struct bytes){topology_text.at, topology_text.len}, &payload);
    assert_true(envelope_sign((struct bytes){payload.at, payload.len}, TOPOLOGY_TYPE, &keys[ALICE], 1, &topology_envelope, &err));
    assert_true(topology_reopen((struct bytes){topology_envelope.at, topology_envelope.len}, &topology, &err)); /* valid in itself */
    strbuf_reset(&answer);
    assert_int_equal(apply(c, CREATE_OP, &answer), 413);
    strbuf_free(&topology_text);
    strbuf_free(&topology_envelope);
    topology_text = text, topology_envelope = envelope, topology = small;
    strbuf_reset(&answer);
    assert_int_equal(apply(c, CREATE_OP, &answer), 200);
    assert_true(coordinator_commit(c));
    stop(c);
}

/* One bad value must not stand in the way of every later commit of all clusters. */
static void a_value_that_can_never_be_written_ends_the_process(void **state) {
    (void)state;
    begin_world(OBEYS);
    struct coordinator *c = start();
    pid_t child = fork();
    if (!child) {
        journal_put(c->journal, "cluster/Not a key", "1");
        coordinator_commit(c);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 1);
    stop(c);
}

static bool is_null_at(const char *document, size_t site, const char *key) {
    struct err err = {0};
    JSON_AUTO *status = json_parse((struct bytes){document, strlen(document)}, &err);
    assert_non_null(status);
    return json_is_null(json_object_get(json_array_get(json_object_get(status, "sites"), site), key));
}

/* A figure that grew old with the report that told it is not known any more. */
static void stale_figures_are_shown_as_unknown(void **state) {
    (void)state;
    struct coordinator *c;
    begin_world(OBEYS);
    play(-1, 0, 0, &c);
    struct cluster *cluster = c->clusters[0];
    for (int stale = 0; stale < 2; stale++) { /* fra is the primary now */
        struct text *status = document_status(cluster);
        assert_int_equal(is_null_at(status->at, 0, "lag_bytes"), stale);
        assert_int_equal(is_null_at(status->at, 1, "lag_bytes"), stale);
        assert_int_equal(strstr(status->at, "\"state\":\"running\"") == NULL, stale);
        text_unref(status);
        cluster->sites[1].arrived_boot_ms -= MEMBER_ALIVE_MS;
        cluster_observe(cluster);
    }
    assert_int_equal(cluster->view.sites[0].lag_bytes, -1);
    assert_false(cluster->view.sites[1].members[0].alive);
    stop(c);
}

static int slots_held_by(const struct site_double *s) { return (int)s->state.order.slot_count; }

/* The journal was put back: what the sites hold is not what it says. */
static void forget_what_is_held(struct coordinator *c) {
    for (uint32_t i = 0; i < c->clusters[0]->site_count; i++) {
        struct site *s = &c->clusters[0]->sites[i];
        text_unref(s->held.envelope);
        s->held = (struct issued){0};
        journal_order(c, c->clusters[0], s);
    }
}

/* The standby is down while the coordinator starts: the primary goes on holding its WAL. */
static void a_restart_takes_no_slots_from_a_site_that_is_down(void **state) {
    (void)state;
    for (int forgotten = 0; forgotten < 2; forgotten++) {
        struct coordinator *c;
        begin_world(OBEYS);
        play(-1, 0, 0, &c); /* fra is the primary now */
        int64_t serial = sites[1].state.order.serial;
        assert_int_equal(slots_held_by(&sites[1]), 2);
        stop(c);
        sites[0].silent = true;
        c = start();
        if (forgotten)
            forget_what_is_held(c);
        c = play_on(c, 4);
        assert_int_equal(sites[1].state.order.serial, serial + forgotten); /* what is not known is ordered anew */
        assert_int_equal(slots_held_by(&sites[1]), 2);
        stop(c);
    }
}

/* Plays until the refused order was tried again, and was refused again; before that nothing is issued. */
static struct coordinator *play_a_pause(struct coordinator *c, struct site *s, int64_t pause_ms) {
    char hash[HASH_TEXT_MAX];
    str_copy(hash, sizeof hash, s->pending.hash);
    assert_int_equal(s->refusal.pause_ms, pause_ms);
    c = play_on(c, 3);
    assert_string_equal(s->pending.hash, hash);
    s->refused_boot_ms -= pause_ms;
    c = play_on(c, 2);
    assert_string_not_equal(s->pending.hash, hash);
    return c;
}

/* Whatever the reason is (a clock that is wrong): the pauses grow, and the audit log tells of it once. */
static void a_refused_order_is_tried_again_after_growing_pauses(void **state) {
    static const int64_t pauses_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    (void)state;
    struct coordinator *c;
    begin_world(OBEYS);
    play(-1, 0, 0, &c);
    struct site *s = &c->clusters[0]->sites[0];
    grumble = "3.5 expired";
    forget_what_is_held(c);
    c = play_on(c, 3);
    int64_t told = c->audit.n;
    for (size_t i = 0; i < sizeof pauses_ms / sizeof pauses_ms[0]; i++)
        c = play_a_pause(c, s, pauses_ms[i]);
    assert_int_equal(c->audit.n, told);
    grumble = "another reason"; /* is told, and the pauses begin anew */
    c = play_a_pause(c, s, 60000);
    assert_int_equal(c->audit.n, told + 1);
    c = play_a_pause(c, s, 1000);
    assert_int_equal(s->refusal.pause_ms, 2000);
    sites[0].state.vote.promised_to.generation = 1; /* the verdict may be another one now */
    str_copy(sites[0].state.vote.promised_to.site, sizeof sites[0].state.vote.promised_to.site, "fra");
    c = play_on(c, 1);
    assert_int_equal(s->refusal.pause_ms, 1000);
    grumble = NULL;
    s->refused_boot_ms -= 1000;
    c = play_on(c, 2);
    assert_true(s->held.present && !s->pending.present && !s->refused && !s->refusal.pause_ms);
    check_audit(c);
    stop(c);
}

static void count_key(void *context, const char *key, const char *value) {
    (void)key;
    (void)value;
    ++*(int *)context;
}

/* Years of operations do not fill the journal. */
static void the_oldest_makes_room_in_the_journal_too(void **state) {
    (void)state;
    struct coordinator *c;
    begin_world(OBEYS);
    play(-1, 0, 0, &c);
    struct cluster *cluster = c->clusters[0];
    for (int i = 0; i < OPERATIONS_MAX + 5; i++) {
        struct operation *o = cluster_add_operation(cluster);
        snprintf(o->id, sizeof o->id, "%08x", i);
        o->state = OP_DONE;
        o->started_at = 2000000000000 + i;
        journal_operation(c, cluster, o);
        assert_true(coordinator_commit(c));
    }
    int kept = 0;
    journal_each(c->journal, "cluster/orders/operation/", count_key, &kept);
    assert_int_equal(kept, OPERATIONS_MAX);
    stop(c);
    c = start();
    assert_int_equal(c->clusters[0]->operation_count, OPERATIONS_MAX);
    stop(c);
}

int main(void) {
    log_open("test", LOG_FORMAT_KEY_VALUE, getenv("VERBOSE") ? LOG_INFO : LOG_ERROR, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_is_born_built_and_moved),
        cmocka_unit_test(no_death_of_the_coordinator_loses_a_move),
        cmocka_unit_test(a_dropped_stop_leaves_the_primary_as_it_was),
        cmocka_unit_test(a_target_that_declines_gives_the_receipt_back),
        cmocka_unit_test(an_abort_by_hand_gives_the_receipt_back),
        cmocka_unit_test(a_coordinator_whose_clock_was_set_back_is_obeyed),
        cmocka_unit_test(only_what_is_newer_replaces_what_a_site_said),
        cmocka_unit_test(who_goes_on_speaking_is_alive),
        cmocka_unit_test(a_gap_that_was_not_measured_is_null),
        cmocka_unit_test(a_gap_is_noted_once),
        cmocka_unit_test(a_coordinator_with_an_old_topology_only_observes),
        cmocka_unit_test(no_abort_is_accepted_once_asked_was_told),
        cmocka_unit_test(an_abort_that_came_too_late_is_forgotten),
        cmocka_unit_test(a_restart_after_the_deadline_hears_before_it_concludes),
        cmocka_unit_test(a_stop_that_nobody_answered_for_is_not_forgotten),
        cmocka_unit_test(a_closed_move_whose_stop_is_held_is_reopened),
        cmocka_unit_test(a_lost_journal_is_relearned_from_the_sites),
        cmocka_unit_test(a_hand_over_that_hangs_is_finished_or_undone),
        cmocka_unit_test(a_second_move_is_refused_with_the_first),
        cmocka_unit_test(what_the_checks_refuse_changes_nothing),
        cmocka_unit_test(what_the_journal_cannot_keep_is_refused),
        cmocka_unit_test(a_value_that_can_never_be_written_ends_the_process),
        cmocka_unit_test(stale_figures_are_shown_as_unknown),
        cmocka_unit_test(a_corrected_topology_gets_past_what_cannot_finish),
        cmocka_unit_test(a_creation_that_cannot_begin_is_taken_back),
        cmocka_unit_test(the_oldest_makes_room_in_the_journal_too),
        cmocka_unit_test(a_restart_takes_no_slots_from_a_site_that_is_down),
        cmocka_unit_test(a_refused_order_is_tried_again_after_growing_pauses),
        cmocka_unit_test(a_topology_that_was_beaten_is_told_so),
    };
    return cmocka_run_group_tests(tests, make_world, end_world);
}
