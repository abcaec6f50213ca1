/* Orders: what a site accepts and what it refuses, each refusal with the rule that forbids it. The cluster `orders`
 * lives on ams (primary, open in 1.0@ams) and fra (standby); par coordinates in its third term. */
#include "wire/order.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1000000
#define SYSTEM "7385000000000000001"

static struct site_state held;
static struct order o;
static struct proofs proofs;
static char reason[192];

static struct epoch epoch(const char *text) {
    struct epoch e;
    if (!epoch_parse(text, &e)) fail_msg("%s is no epoch", text);
    return e;
}

static void expect(enum order_verdict verdict, const char *why) {
    enum order_verdict got = order_judge(&held, &o, "new-hash", &proofs, NOW, reason, sizeof reason);
    assert_string_equal(reason, why);
    assert_int_equal(got, verdict);
}
#define ACCEPTED() expect(ORDER_ACCEPT, "")
#define REFUSED(why) expect(ORDER_REFUSE, why)

static void set(char *to, const char *text) {
    memcpy(to, text, strlen(text) + 1);
}

static void fresh_site(const char *site) {
    memset(&held, 0, sizeof held);
    memset(&proofs, 0, sizeof proofs);
    set(held.cluster, "orders");
    set(held.site, site);
}

static void holds(enum order_kind kind, enum site_role role, const char *op, const char *in_epoch) {
    held.has_order = true;
    set(held.order.cluster, "orders");
    set(held.order.site, held.site);
    set(held.order.op, op);
    held.order.kind = (int)kind;
    held.order.role = (int)role;
    held.order.epoch = epoch(in_epoch);
    held.order.serial = 5;
    set(held.order_hash, "held-hash-0123456789");
    set(held.system_id, SYSTEM);
    set(held.coordinator, "par");
    held.coordinator_term = 3;
}

static void ams_is_primary(void) {
    fresh_site("ams");
    holds(ORDER_BIRTH, SITE_PRIMARY, "op-birth", "1.0@ams");
    held.vote.promised = held.vote.asked = held.vote.opened = held.vote.known_opened = epoch("1.0@ams");
}

static void fra_is_standby(void) {
    fresh_site("fra");
    holds(ORDER_STANDBY, SITE_STANDBY, "op-birth", "1.0@ams");
    held.vote.known_opened = epoch("1.0@ams");
}

static void order(enum order_kind kind, enum site_role role, const char *op, const char *in_epoch) {
    memset(&o, 0, sizeof o);
    set(o.cluster, "orders");
    set(o.site, held.site);
    set(o.system_id, SYSTEM);
    set(o.op, op);
    set(o.coordinator, "par");
    o.coordinator_term = 3;
    o.epoch = epoch(in_epoch);
    o.kind = (int)kind;
    o.role = (int)role;
    o.expires = NOW + 60000;
    set(o.base, held.has_order ? held.order_hash : "none");
    o.serial = held.has_order ? held.order.serial + 1 : 1;
}

static void stop_order(const char *op, const char *in_epoch, const char *successor) {
    order(ORDER_STOP, SITE_STOPPED, op, in_epoch);
    o.successor = epoch(successor);
}

static void holds_stop(const char *op, const char *in_epoch, const char *successor) {
    holds(ORDER_STOP, SITE_STOPPED, op, in_epoch);
    held.order.successor = epoch(successor);
}

static void declined_here(const char *burnt, const char *next) {
    struct vote_decline *d = &held.vote.declined[held.vote.declined_count++];
    d->epoch = epoch(burnt);
    d->next = epoch(next);
}

static void proof(enum receipt_kind kind, const char *site, const char *in_epoch, const char *successor) {
    struct receipt *r = &proofs.receipts[proofs.receipt_count++];
    set(r->cluster, "orders");
    set(r->system_id, SYSTEM);
    set(r->site, site);
    r->kind = (int)kind;
    r->epoch = epoch(in_epoch);
    if (successor) r->successor = epoch(successor);
}

/* --- planned moves, the way they should go --- */

static void a_switchover_and_back_is_accepted_step_by_step(void **state) {
    (void)state;
    ams_is_primary();
    order(ORDER_PREPARE, SITE_PRIMARY, "op-1", "1.0@ams");
    ACCEPTED();
    stop_order("op-1", "1.0@ams", "1.1@fra");
    ACCEPTED();
    fra_is_standby();
    order(ORDER_PREPARE, SITE_STANDBY, "op-1", "1.0@ams");
    ACCEPTED();
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.1@fra");
    ACCEPTED();
    ams_is_primary();
    holds_stop("op-1", "1.0@ams", "1.1@fra");
    order(ORDER_FOLLOW, SITE_STANDBY, "op-1", "1.1@fra");
    ACCEPTED();
    held.vote.known_opened = epoch("1.1@fra");
    holds(ORDER_FOLLOW, SITE_STANDBY, "op-1", "1.1@fra");
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-2", "1.2@ams");
    proof(RECEIPT_STOPPED, "fra", "1.1@fra", "1.2@ams");
    ACCEPTED();
}

static void birth_and_the_first_standby_order_start_a_cluster(void **state) {
    (void)state;
    fresh_site("ams");
    held.may_be_born = true;
    order(ORDER_BIRTH, SITE_PRIMARY, "op-birth", "1.0@ams");
    o.system_id[0] = '\0';
    ACCEPTED();
    fresh_site("fra");
    order(ORDER_STANDBY, SITE_STANDBY, "op-birth", "1.0@ams");
    ACCEPTED();
}

static void an_aborted_switchover_gives_the_old_site_a_new_epoch(void **state) {
    (void)state;
    ams_is_primary();
    holds_stop("op-1", "1.0@ams", "1.1@fra");
    order(ORDER_ABORT, SITE_PRIMARY, "op-1", "1.2@ams");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.1@fra");
    REFUSED("2.6a the receipt for 1.0@ams passes to 1.1@fra, not to 1.2@ams");
    proof(RECEIPT_DECLINED, "fra", "1.1@fra", "1.2@ams");
    ACCEPTED();
}

static void a_stop_dropped_before_its_receipt_leaves_the_primary_and_its_epoch_as_they_were(void **state) {
    (void)state;
    ams_is_primary();
    holds_stop("op-1", "1.0@ams", "1.1@fra");
    order(ORDER_PREPARE, SITE_PRIMARY, "op-1", "1.0@ams");
    REFUSED("3.1 prepare here has role stopped, not primary");
    held.stop_dropped = true;
    ACCEPTED();
    order(ORDER_FOLLOW, SITE_STANDBY, "op-1", "1.1@fra");
    REFUSED("2.5 1.0@ams is open or asked for here, a primary follows 1.1@fra only after its stop");
    stop_order("op-2", "1.0@ams", "1.2@fra");
    ACCEPTED();
}

static void the_very_order_that_is_held_is_a_repetition_however_old(void **state) {
    (void)state;
    ams_is_primary();
    order(ORDER_PREPARE, SITE_PRIMARY, "op-1", "1.0@ams");
    o.expires = 0;
    set(held.order_hash, "new-hash");
    expect(ORDER_REPEATED, "");
}

/* --- what every order must fulfil --- */

static void an_order_for_another_cluster_or_site_is_refused(void **state) {
    (void)state;
    ams_is_primary();
    order(ORDER_PREPARE, SITE_PRIMARY, "op-1", "1.0@ams");
    set(o.cluster, "billing");
    REFUSED("3.1 order for cluster billing, this is orders");
    set(o.cluster, "orders");
    set(o.site, "fra");
    REFUSED("3.1 order for site fra, this is ams");
    set(o.site, "ams");
    memset(&o.epoch, 0, sizeof o.epoch);
    REFUSED("3.1 order for ams names no epoch");
}

static void an_outdated_coordinator_is_refused(void **state) {
    (void)state;
    ams_is_primary();
    order(ORDER_PREPARE, SITE_PRIMARY, "op-1", "1.0@ams");
    o.coordinator_term = 2;
    set(o.coordinator, "lon");
    REFUSED("3.3 coordinator term 2 of lon is below 3 of par");
    o.coordinator_term = 3;
    REFUSED("3.3 coordinator term 3 belongs to par, not to lon");
    o.coordinator_term = 4;
    ACCEPTED();
}

static void an_order_must_replace_the_one_that_is_held(void **state) {
    (void)state;
    ams_is_primary();
    order(ORDER_PREPARE, SITE_PRIMARY, "op-1", "1.0@ams");
    set(o.base, "none");
    REFUSED("3.2 base none is not the order held here, held-hash-01");
    set(o.base, "any");
    REFUSED("3.6 base any (break-glass) is not built yet");
    set(o.base, held.order_hash);
    o.serial = 7;
    REFUSED("3.2 serial 7 does not follow 5");
    o.serial = 5;
    REFUSED("3.2 serial 5 does not follow 5");
}

static void a_first_order_has_no_base_and_serial_one(void **state) {
    (void)state;
    fresh_site("fra");
    order(ORDER_STANDBY, SITE_STANDBY, "op-birth", "1.0@ams");
    o.serial = 2;
    REFUSED("3.8 a site's first order has base none and serial 1, not base none and serial 2");
    o.serial = 1;
    set(o.base, "abcdef0123456789");
    REFUSED("3.8 a site's first order has base none and serial 1, not base abcdef012345 and serial 1");
}

static void an_expired_order_starts_nothing(void **state) {
    (void)state;
    ams_is_primary();
    order(ORDER_PREPARE, SITE_PRIMARY, "op-1", "1.0@ams");
    o.expires = NOW;
    REFUSED("3.5 expired at 1000000, now 1000000 (ms since 1970)");
    o.expires = NOW + 1;
    ACCEPTED();
}

static void the_epoch_never_goes_back(void **state) {
    (void)state;
    fra_is_standby();
    held.order.epoch = epoch("1.2@ams");
    order(ORDER_FOLLOW, SITE_STANDBY, "op-1", "1.1@ams");
    REFUSED("3.2 epoch 1.1@ams is below 1.2@ams of the order held here");
    held.order.epoch = epoch("1.0@ams");
    held.vote.promised = epoch("1.3@lon");
    REFUSED("2.1 epoch 1.1@ams is below the promised 1.3@lon");
    memset(&held.vote.promised, 0, sizeof held.vote.promised);
    held.vote.known_opened = epoch("1.4@lon");
    REFUSED("2.2 epoch 1.1@ams is below 1.4@lon, which was opened");
}

static void a_proof_of_a_higher_opened_epoch_in_the_order_itself_counts(void **state) {
    (void)state;
    fra_is_standby();
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.1@fra");
    proof(RECEIPT_OPENED, "lon", "1.2@lon", NULL);
    REFUSED("2.2 epoch 1.1@fra is below 1.2@lon, which was opened");
}

static void an_order_for_another_system_identifier_is_refused(void **state) {
    (void)state;
    ams_is_primary();
    order(ORDER_PREPARE, SITE_PRIMARY, "op-1", "1.0@ams");
    set(o.system_id, "7385000000000000002");
    REFUSED("3.8 order for system 7385000000000000002, this is " SYSTEM);
    o.system_id[0] = '\0';
    REFUSED("3.8 only a birth order names no system identifier, this is prepare");
    held.system_id[0] = '\0'; /* its data are gone, the order that it holds still names them */
    set(held.order.system_id, SYSTEM);
    set(o.system_id, "7385000000000000002");
    REFUSED("3.8 order for system 7385000000000000002, this is " SYSTEM);
}

static void only_one_operation_is_open_at_a_site(void **state) {
    (void)state;
    ams_is_primary();
    holds_stop("op-1", "1.0@ams", "1.1@fra");
    stop_order("op-2", "1.0@ams", "1.2@lon");
    REFUSED("3.4 operation op-1 is open here (stop 1.1@fra), op-2 must wait");
    held.stop_dropped = true;
    ACCEPTED();
    held.stop_dropped = false;
    order(ORDER_FOLLOW, SITE_STANDBY, "", "1.1@fra");
    REFUSED("3.4 operation op-1 is open here (stop 1.1@fra), another must wait");
    held.vote.known_opened = epoch("1.1@fra"); /* done */
    ACCEPTED();
    fra_is_standby();
    holds(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-2", "1.2@fra");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.2@fra");
    REFUSED("3.4 operation op-1 is open here (promote 1.1@fra), op-2 must wait");
    declined_here("1.1@fra", "1.2@ams");
    ACCEPTED();
}

static void a_higher_generation_outranks_the_open_operation(void **state) {
    (void)state;
    ams_is_primary();
    holds_stop("op-1", "1.0@ams", "1.1@fra");
    order(ORDER_FOLLOW, SITE_STANDBY, "op-2", "1.9@lon");
    REFUSED("3.4 operation op-1 is open here (stop 1.1@fra), op-2 must wait");
    order(ORDER_FOLLOW, SITE_STANDBY, "op-2", "2.0@lon");
    ACCEPTED();
}

static void a_step_names_its_operation(void **state) {
    (void)state;
    ams_is_primary();
    stop_order("", "1.0@ams", "1.1@fra");
    REFUSED("3.4 a stop order names its operation, this one names none");
}

static void the_role_belongs_to_the_kind(void **state) {
    (void)state;
    ams_is_primary();
    order(ORDER_STOP, SITE_PRIMARY, "op-1", "1.0@ams");
    REFUSED("3.1 stop here has role stopped, not primary");
    fra_is_standby();
    order(ORDER_PREPARE, SITE_PRIMARY, "op-1", "1.0@ams"); /* a way around the promotion rules */
    REFUSED("3.1 prepare here has role standby, not primary");
    ams_is_primary();
    order(ORDER_ABORT, SITE_STOPPED, "op-1", "1.2@ams");
    REFUSED("3.1 abort here has role primary, not stopped");
}

static void after_its_decline_the_target_is_a_standby_and_the_old_site_stopped(void **state) {
    (void)state;
    fra_is_standby();
    holds(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    declined_here("1.1@fra", "1.2@ams");
    order(ORDER_PREPARE, SITE_PRIMARY, "op-1", "1.1@fra");
    REFUSED("3.1 prepare here has role standby, not primary");
    order(ORDER_PREPARE, SITE_STANDBY, "op-1", "1.1@fra");
    ACCEPTED();
    ams_is_primary();
    holds(ORDER_ABORT, SITE_PRIMARY, "op-1", "1.2@ams");
    declined_here("1.2@ams", "1.3@fra");
    order(ORDER_PREPARE, SITE_PRIMARY, "op-1", "1.2@ams");
    REFUSED("3.1 prepare here has role stopped, not primary");
}

static void a_promotion_under_way_is_not_replaced_by_a_role_that_needs_no_proof(void **state) {
    (void)state;
    fra_is_standby();
    holds(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    order(ORDER_PREPARE, SITE_PRIMARY, "op-1", "1.1@fra");
    REFUSED("3.7 prepare keeps a primary that is open: highest opened here none, known 1.0@ams");
    held.vote.asked = epoch("1.1@fra");
    REFUSED("3.7 prepare keeps a primary that is open: highest opened here none, known 1.1@fra");
    held.vote.opened = epoch("1.1@fra");
    ACCEPTED();
}

/* --- first orders --- */

static void a_birth_is_refused_unless_all_of_it_fits(void **state) {
    (void)state;
    fresh_site("ams");
    order(ORDER_BIRTH, SITE_PRIMARY, "op-birth", "1.0@ams");
    REFUSED("3.8 a birth order names no system identifier, this one names " SYSTEM);
    o.system_id[0] = '\0';
    REFUSED("3.8 ams may not be born: not the topology's initial_primary, or a member holds data");
    held.may_be_born = true;
    o.epoch = epoch("1.0@fra");
    REFUSED("3.8 the epoch of a birth is 1.0@ams, not 1.0@fra");
    o.epoch = epoch("2.0@ams");
    REFUSED("3.8 the epoch of a birth is 1.0@ams, not 2.0@ams");
    o.epoch = epoch("1.1@ams");
    REFUSED("3.8 the epoch of a birth is 1.0@ams, not 1.1@ams");
    o.epoch = epoch("1.0@ams");
    held.vote.opened = epoch("1.0@ams");
    REFUSED("3.8 1.0@ams was opened: the cluster was born before");
    memset(&held.vote.opened, 0, sizeof held.vote.opened);
    held.vote.promised = epoch("1.0@ams"); /* the vote record is made with the order (3.8) */
    ACCEPTED();
}

static void nobody_is_born_twice(void **state) {
    (void)state;
    ams_is_primary();
    held.may_be_born = true;
    order(ORDER_BIRTH, SITE_PRIMARY, "op-2", "1.0@ams");
    o.system_id[0] = '\0';
    REFUSED("3.8 birth is a site's first order, here serial 5 is held");
}

static void a_first_order_is_birth_or_standby(void **state) {
    (void)state;
    fresh_site("fra");
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    REFUSED("3.8 a site's first order is birth or standby, not promote");
    fra_is_standby();
    order(ORDER_STANDBY, SITE_STANDBY, "op-1", "1.0@ams");
    REFUSED("3.8 a standby order is a site's first, here serial 5 is held");
}

static void a_standby_follows_another_site_than_itself(void **state) {
    (void)state;
    fresh_site("fra");
    order(ORDER_STANDBY, SITE_STANDBY, "op-1", "1.0@fra");
    REFUSED("2.1 epoch 1.0@fra makes fra the primary, not a standby");
    order(ORDER_STANDBY, SITE_STANDBY, "op-1", "1.0@ams");
    set(o.upstream_site, "fra");
    REFUSED("3.1 upstream fra is the site fra itself");
    fra_is_standby();
    order(ORDER_FOLLOW, SITE_STANDBY, "op-1", "1.1@fra");
    REFUSED("2.1 epoch 1.1@fra makes fra the primary, not a standby");
}

/* --- stop --- */

static void only_the_open_primary_is_stopped(void **state) {
    (void)state;
    fra_is_standby();
    stop_order("op-1", "1.0@ams", "1.1@lon");
    REFUSED("2.5 the primary stops: 1.0@ams is open, highest opened here none");
    ams_is_primary();
    held.vote.known_opened = epoch("1.3@lon"); /* it was primary once */
    stop_order("op-1", "1.3@lon", "1.4@fra");
    REFUSED("2.5 the primary stops: 1.3@lon is open, highest opened here 1.0@ams");
    ams_is_primary();
    holds(ORDER_FOLLOW, SITE_STANDBY, "op-1", "1.0@ams"); /* stopped already, the successor not open yet */
    stop_order("op-1", "1.0@ams", "1.2@lon");
    REFUSED("2.5 the primary stops: role here is standby, not primary");
}

static void a_stop_is_in_the_epoch_that_is_open(void **state) {
    (void)state;
    ams_is_primary();
    stop_order("op-1", "1.1@ams", "1.2@fra");
    REFUSED("2.5b stop in 1.1@ams, open here is 1.0@ams");
}

static void a_stop_names_a_higher_successor_at_another_site_in_the_same_generation(void **state) {
    (void)state;
    ams_is_primary();
    order(ORDER_STOP, SITE_STOPPED, "op-1", "1.0@ams");
    REFUSED("2.5b stop in 1.0@ams names no successor");
    o.successor = epoch("1.1@ams");
    REFUSED("2.5b successor 1.1@ams is of ams itself, a receipt passes to another site");
    o.successor = epoch("2.0@fra");
    REFUSED("2.6c generation of 2.0@fra is not that of 1.0@ams: a forced move, not built yet");
    held.vote.opened = held.vote.promised = o.epoch = epoch("1.2@ams");
    o.successor = epoch("1.1@fra");
    REFUSED("2.1 epoch 1.1@fra is not above 1.2@ams, which was opened or asked for");
}

static void an_old_request_stops_nobody_a_second_time(void **state) {
    (void)state;
    ams_is_primary();
    stop_order("op-1", "1.0@ams", "1.1@fra");
    proofs.has_request = true;
    proofs.request.deadline_ms = 60000;
    proofs.request.expires_at = NOW - 60000 + 1;
    ACCEPTED(); /* in the time that it gives for the move */
    proofs.request.expires_at = NOW - 60000;
    set(proofs.request.operator_name, "alice");
    REFUSED("3.5 the request of alice expired at 940000, now 1000000 (ms since 1970)");
}

/* --- promote --- */

static void a_promotion_needs_the_receipt_of_the_epoch_that_it_closes(void **state) {
    (void)state;
    fra_is_standby();
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    REFUSED("2.6a no receipt of ams closes 1.0@ams");
    proof(RECEIPT_STOPPED, "lon", "1.0@ams", "1.1@fra"); /* only ams can have stopped in 1.0@ams */
    REFUSED("2.6a no receipt of ams closes 1.0@ams");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.1@lon"); /* spent on somebody else */
    REFUSED("2.6a the receipt for 1.0@ams passes to 1.1@lon, not to 1.1@fra");
}

static void a_decline_hands_the_receipt_on_link_by_link(void **state) {
    (void)state;
    fra_is_standby();
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-3", "1.3@fra");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.1@lon");
    proof(RECEIPT_DECLINED, "par", "1.1@lon", "1.3@fra"); /* not par's to decline */
    REFUSED("2.6a the receipt for 1.0@ams passes to 1.1@lon, not to 1.3@fra");
    proof(RECEIPT_DECLINED, "lon", "1.1@lon", "1.2@rom");
    REFUSED("2.6a the receipt for 1.0@ams passes to 1.2@rom, not to 1.3@fra");
    proof(RECEIPT_DECLINED, "rom", "1.2@rom", "1.3@fra");
    ACCEPTED();
}

static void declines_in_a_circle_lead_nowhere(void **state) {
    (void)state;
    fra_is_standby();
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-3", "1.3@fra");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.1@lon");
    proof(RECEIPT_DECLINED, "lon", "1.1@lon", "1.2@rom");
    proof(RECEIPT_DECLINED, "rom", "1.2@rom", "1.1@lon");
    enum order_verdict verdict = order_judge(&held, &o, "new-hash", &proofs, NOW, reason, sizeof reason);
    assert_int_equal(verdict, ORDER_REFUSE);
}

static void the_highest_opened_epoch_is_the_one_to_be_closed(void **state) {
    (void)state;
    fra_is_standby();
    held.vote.known_opened = epoch("1.1@lon");
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.2@fra");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.2@fra");
    REFUSED("2.6a no receipt of lon closes 1.1@lon");
}

static void a_promotion_is_for_the_site_of_its_epoch(void **state) {
    (void)state;
    fra_is_standby();
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@lon");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.1@lon");
    REFUSED("2.1 epoch 1.1@lon names its one site, this is fra");
}

static void a_promotion_is_above_what_was_promised(void **state) {
    (void)state;
    fra_is_standby();
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.1@fra");
    held.vote.promised = epoch("1.1@fra");
    REFUSED("2.6 epoch 1.1@fra is not above the promised 1.1@fra");
}

static void a_promise_to_another_stands_until_a_higher_epoch_is_open(void **state) {
    (void)state;
    fra_is_standby();
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.2@fra");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.2@fra");
    held.vote.promised_to = epoch("1.1@lon");
    REFUSED("2.6d 1.1@lon was promised to another site, above 1.0@ams, the highest opened");
    held.vote.known_opened = epoch("1.1@lon");
    proof(RECEIPT_STOPPED, "lon", "1.1@lon", "1.2@fra");
    ACCEPTED();
}

static void a_declined_epoch_is_burnt(void **state) {
    (void)state;
    fra_is_standby();
    declined_here("1.1@fra", "1.2@ams");
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.1@fra");
    REFUSED("2.5d 1.1@fra was declined at fra and is burnt");
}

static void forced_moves_and_automatic_mode_are_refused_by_name(void **state) {
    (void)state;
    fra_is_standby();
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "2.0@fra");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "2.0@fra");
    REFUSED("2.6c generation of 2.0@fra is not that of 1.0@ams: a forced move, not built yet");
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    held.vote.mode = VOTE_AUTOMATIC;
    REFUSED("2.3 moves in automatic mode are not built yet, only in manual");
}

static void with_nothing_open_there_is_nothing_to_move(void **state) {
    (void)state;
    fra_is_standby();
    memset(&held.vote, 0, sizeof held.vote);
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    REFUSED("2.6 no opened epoch is known here that 1.1@fra could close");
}

static void after_asked_there_is_only_forward(void **state) {
    (void)state;
    fra_is_standby();
    holds(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    held.vote.asked = held.vote.promised = epoch("1.1@fra");
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.2@fra");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.2@fra");
    REFUSED("2.6a no receipt of fra closes 1.1@fra");
    order(ORDER_FOLLOW, SITE_STANDBY, "op-1", "1.2@ams");
    REFUSED("2.5 1.1@fra is open or asked for here, a primary follows 1.2@ams only after its stop");
    proof(RECEIPT_OPENED, "ams", "1.2@ams", NULL); /* a higher opened epoch voids it (2.6f) */
    ACCEPTED();
}

static void a_receipt_of_another_system_closes_nothing(void **state) {
    (void)state;
    fra_is_standby();
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.1@fra");
    set(proofs.receipts[0].system_id, "7385000000000000002");
    REFUSED("2.5b receipt of system 7385000000000000002, order for " SYSTEM);
}

/* --- follow and abort --- */

static void a_live_primary_does_not_follow_on_a_mere_word(void **state) {
    (void)state;
    ams_is_primary();
    order(ORDER_FOLLOW, SITE_STANDBY, "op-1", "1.1@fra");
    REFUSED("2.5 1.0@ams is open or asked for here, a primary follows 1.1@fra only after its stop");
    held.vote.known_opened = epoch("1.1@fra");
    ACCEPTED();
}

static void an_abort_is_for_the_old_site_and_cites_a_decline(void **state) {
    (void)state;
    fra_is_standby();
    order(ORDER_ABORT, SITE_PRIMARY, "op-1", "1.2@fra");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.2@fra");
    REFUSED("2.5c an abort opens the old site again: 1.0@ams is open, this is fra");
    ams_is_primary();
    order(ORDER_ABORT, SITE_PRIMARY, "op-1", "1.2@ams");
    proof(RECEIPT_DECLINED, "fra", "1.1@fra", "1.2@ams");
    REFUSED("2.6a no receipt of ams closes 1.0@ams");
    proof(RECEIPT_STOPPED, "ams", "1.0@ams", "1.2@ams");
    REFUSED("2.5c an abort cites the target's decline, this receipt passes to 1.2@ams directly");
}

/* --- the target's decline --- */

static void decline_order(const char *burnt, const char *next) {
    order(ORDER_ABORT, SITE_STANDBY, "op-1", burnt);
    o.successor = epoch(next);
}

/* A late decline gives back what nobody writes any more: it does not grow old. */
static void a_decline_does_not_expire(void **state) {
    (void)state;
    fra_is_standby();
    decline_order("1.1@fra", "1.2@ams");
    o.expires = NOW - 1;
    ACCEPTED();
}

static void the_target_declines_once_and_for_one_successor(void **state) {
    (void)state;
    fra_is_standby();
    decline_order("1.1@fra", "1.2@ams");
    ACCEPTED(); /* before the promote order came */
    holds(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    held.vote.promised = epoch("1.5@lon"); /* below what was promised, too */
    decline_order("1.1@fra", "1.2@ams");
    ACCEPTED();
    declined_here("1.1@fra", "1.2@ams");
    ACCEPTED();
    o.successor = epoch("1.3@ams");
    REFUSED("2.5d the decline of 1.1@fra passes to 1.2@ams already, not to 1.3@ams");
}

static void what_was_asked_or_opened_or_is_anothers_is_not_declined(void **state) {
    (void)state;
    fra_is_standby();
    holds(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    decline_order("1.1@fra", "1.2@ams");
    held.vote.asked = epoch("1.1@fra");
    REFUSED("2.5d 1.1@fra was asked for here: only forward");
    memset(&held.vote.asked, 0, sizeof held.vote.asked);
    held.vote.opened = epoch("1.1@fra");
    REFUSED("2.5d decline of 1.1@fra, 1.1@fra was opened here");
    held.vote.opened = epoch("1.3@fra");
    REFUSED("2.5d decline of 1.1@fra, 1.3@fra was opened here");
    fra_is_standby();
    decline_order("1.1@lon", "1.2@ams");
    REFUSED("2.5d 1.1@lon is not for fra to decline");
}

static void a_decline_passes_to_a_higher_epoch_of_its_generation(void **state) {
    (void)state;
    fra_is_standby();
    decline_order("1.1@fra", "1.1@ams");
    REFUSED("2.5d a decline of 1.1@fra passes to a higher epoch of its generation, not to 1.1@ams");
    o.successor = epoch("2.0@ams");
    REFUSED("2.5d a decline of 1.1@fra passes to a higher epoch of its generation, not to 2.0@ams");
    memset(&o.successor, 0, sizeof o.successor);
    REFUSED("2.5d a decline of 1.1@fra passes to a higher epoch of its generation, not to none");
}

/* --- names --- */

static void slots_are_named_as_postgresql_allows(void **state) {
    (void)state;
    char name[SLOT_NAME_MAX];
    slot_name(name, SLOT_SITE, "fra");
    assert_string_equal(name, "pgregent_site_fra");
    slot_name(name, SLOT_ANCHOR, "fra-west-1");
    assert_string_equal(name, "pgregent_anchor_fra_west_1");
    slot_name(name, SLOT_MEMBER, "abcdefghijklmnopqrstuvwxyz-0123");
    assert_string_equal(name, "pgregent_member_abcdefghijklmnopqrstuvwxyz_0123");
}

static void an_order_reads_back_as_it_was_written(void **state) {
    (void)state;
    fra_is_standby();
    order(ORDER_PROMOTE, SITE_PRIMARY, "op-1", "1.1@fra");
    set(o.upstream_site, "ams");
    o.upstream_lineage.count = 1;
    o.upstream_lineage.entries[0].timeline = 1;
    set(o.upstream_lineage.entries[0].fingerprint, "initdb:" SYSTEM);
    o.upstream_member_count = 1;
    set(o.upstream_members[0].name, "ams-1");
    set(o.upstream_members[0].host, "127.0.0.1");
    o.upstream_members[0].port = 7421;
    o.slot_count = 1;
    set(o.slots[0].name, "pgregent_site_ams");
    set(o.slots[0].site, "ams");
    set(o.proofs[0], "{\"payload\": \"...\"}");
    o.proof_count = 1;
    o.deadline_ms = 60000;
    o.target = true;
    STRBUF text = {0}, again = {0};
    field_to_text(&order_table, &o, &text);
    static struct order back;
    struct err err = {0};
    if (!field_from_json(&order_table, "order", (struct bytes){text.at, text.len}, &back, &err)) fail_msg("%s", err.text);
    assert_memory_equal(&back, &o, sizeof o);
    field_to_text(&order_table, &back, &again);
    assert_string_equal(again.at, text.at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_switchover_and_back_is_accepted_step_by_step),
        cmocka_unit_test(birth_and_the_first_standby_order_start_a_cluster),
        cmocka_unit_test(an_aborted_switchover_gives_the_old_site_a_new_epoch),
        cmocka_unit_test(a_stop_dropped_before_its_receipt_leaves_the_primary_and_its_epoch_as_they_were),
        cmocka_unit_test(the_very_order_that_is_held_is_a_repetition_however_old),
        cmocka_unit_test(an_order_for_another_cluster_or_site_is_refused),
        cmocka_unit_test(an_outdated_coordinator_is_refused),
        cmocka_unit_test(an_order_must_replace_the_one_that_is_held),
        cmocka_unit_test(a_first_order_has_no_base_and_serial_one),
        cmocka_unit_test(an_expired_order_starts_nothing),
        cmocka_unit_test(the_epoch_never_goes_back),
        cmocka_unit_test(a_proof_of_a_higher_opened_epoch_in_the_order_itself_counts),
        cmocka_unit_test(an_order_for_another_system_identifier_is_refused),
        cmocka_unit_test(only_one_operation_is_open_at_a_site),
        cmocka_unit_test(a_higher_generation_outranks_the_open_operation),
        cmocka_unit_test(a_step_names_its_operation),
        cmocka_unit_test(the_role_belongs_to_the_kind),
        cmocka_unit_test(after_its_decline_the_target_is_a_standby_and_the_old_site_stopped),
        cmocka_unit_test(a_promotion_under_way_is_not_replaced_by_a_role_that_needs_no_proof),
        cmocka_unit_test(a_birth_is_refused_unless_all_of_it_fits),
        cmocka_unit_test(nobody_is_born_twice),
        cmocka_unit_test(a_first_order_is_birth_or_standby),
        cmocka_unit_test(a_standby_follows_another_site_than_itself),
        cmocka_unit_test(only_the_open_primary_is_stopped),
        cmocka_unit_test(a_stop_is_in_the_epoch_that_is_open),
        cmocka_unit_test(a_stop_names_a_higher_successor_at_another_site_in_the_same_generation),
        cmocka_unit_test(an_old_request_stops_nobody_a_second_time),
        cmocka_unit_test(a_promotion_needs_the_receipt_of_the_epoch_that_it_closes),
        cmocka_unit_test(a_decline_hands_the_receipt_on_link_by_link),
        cmocka_unit_test(declines_in_a_circle_lead_nowhere),
        cmocka_unit_test(the_highest_opened_epoch_is_the_one_to_be_closed),
        cmocka_unit_test(a_promotion_is_for_the_site_of_its_epoch),
        cmocka_unit_test(a_promotion_is_above_what_was_promised),
        cmocka_unit_test(a_promise_to_another_stands_until_a_higher_epoch_is_open),
        cmocka_unit_test(a_declined_epoch_is_burnt),
        cmocka_unit_test(forced_moves_and_automatic_mode_are_refused_by_name),
        cmocka_unit_test(with_nothing_open_there_is_nothing_to_move),
        cmocka_unit_test(after_asked_there_is_only_forward),
        cmocka_unit_test(a_receipt_of_another_system_closes_nothing),
        cmocka_unit_test(a_live_primary_does_not_follow_on_a_mere_word),
        cmocka_unit_test(an_abort_is_for_the_old_site_and_cites_a_decline),
        cmocka_unit_test(the_target_declines_once_and_for_one_successor),
        cmocka_unit_test(a_decline_does_not_expire),
        cmocka_unit_test(what_was_asked_or_opened_or_is_anothers_is_not_declined),
        cmocka_unit_test(a_decline_passes_to_a_higher_epoch_of_its_generation),
        cmocka_unit_test(slots_are_named_as_postgresql_allows),
        cmocka_unit_test(an_order_reads_back_as_it_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
