/* Who may have said this? Every document is really signed here, with keys made for the test: par coordinates, alice may
 * do all, bob may only switch over, ams-1 and fra-1 are the members, and eve's key stands nowhere. */
#include "wire/verify.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SYSTEM "7385000000000000001"

static struct sign_key par, alice, bob, ams1, fra1, eve;
static struct topology *t, *t2;
static struct err err;
static struct strbuf file; /* the topology file of version 1 */

static void add_key(struct strbuf *to, const char *before, const struct sign_key *key, const char *after) {
    char text[SIGN_PUBLIC_TEXT_MAX];
    sign_public_format(key->public, text);
    strbuf_addf(to, "%s\"%s\"%s", before, text, after);
}

static void write_file(struct strbuf *to, const char *cluster) {
    strbuf_addf(to, "format: 1\ncluster: %s\ninitial_primary: ams\nsites:\n", cluster);
    add_key(to, "  ams: {store: {embedded: /ams}, members: {ams-1: {address: \"10.0.0.1:5432\", key: ", &ams1, "}}}\n");
    add_key(to, "  fra: {store: {embedded: /fra}, members: {fra-1: {address: \"10.0.0.2:5432\", key: ", &fra1, "}}}\n");
    add_key(to, "coordinators: {par: {address: \"10.0.0.3:7400\", key: ", &par, "}}\n");
    add_key(to, "keys:\n  operators:\n    alice: {may: [all], key: ", &alice, "}\n");
    add_key(to, "    bob: {may: [switchover], key: ", &bob, "}\n");
}

static int make_cluster(void **state) {
    (void)state;
    struct sign_key *const keys[] = {&par, &alice, &bob, &ams1, &fra1, &eve};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) sign_key_generate(keys[i]);
    t = rt_alloc(sizeof *t);
    t2 = rt_alloc(sizeof *t2);
    write_file(&file, "orders");
    struct field_problems *problems = rt_alloc(sizeof *problems);
    STRBUF text = {0};
    if (!topology_parse("t", (struct bytes){file.at, file.len}, t, problems, NULL)) {
        field_problems_write(problems, &text);
        fail_msg("%s", text.at);
    }
    rt_free(problems);
    return 0;
}

static int free_cluster(void **state) {
    (void)state;
    struct sign_key *const keys[] = {&par, &alice, &bob, &ams1, &fra1, &eve};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) sign_key_free(keys[i]);
    strbuf_free(&file);
    rt_free(t);
    rt_free(t2);
    return 0;
}

static struct bytes slice(const struct strbuf *b) {
    return (struct bytes){b->at, b->len};
}

static void sign(const struct strbuf *payload, const char *type, const struct sign_key *key, struct strbuf *to) {
    strbuf_reset(to);
    if (!envelope_sign(slice(payload), type, key, 1, to, &err)) fail_msg("%s", err.text);
}

static void seal(const struct fields *table, const void *document, const char *type, const struct sign_key *key, struct strbuf *to) {
    STRBUF payload = {0};
    field_to_text(table, document, &payload);
    sign(&payload, type, key, to);
}

static void set(char *to, const char *text) {
    memcpy(to, text, strlen(text) + 1);
}

static struct epoch epoch(const char *text) {
    struct epoch e;
    assert_true(epoch_parse(text, &e));
    return e;
}

#define REFUSED(call, words)                                                                                           \
    do {                                                                                                               \
        err = (struct err){0};                                                                                         \
        if (call) fail_msg("accepted, though: %s", words);                                                             \
        assert_string_equal(err.text, words);                                                                          \
    } while (0)
#define ACCEPTED(call)                                                                                                 \
    do {                                                                                                               \
        if (!(call)) fail_msg("%s", err.text);                                                                         \
    } while (0)

/* --- topologies --- */

static void topology_envelope(const char *cluster, int64_t version, const char *previous, const struct strbuf *of, const struct sign_key *key,
                              struct strbuf *to) {
    STRBUF payload = {0};
    topology_payload(cluster, version, previous, slice(of), &payload);
    sign(&payload, TOPOLOGY_TYPE, key, to);
}

static void the_first_topology_is_believed_by_a_pinned_key(void **state) {
    (void)state;
    STRBUF envelope = {0};
    STRBUF text = {0};
    char pinned[2][KEY_TEXT_MAX] = {0};
    sign_public_format(bob.public, pinned[0]);
    sign_public_format(alice.public, pinned[1]);
    topology_envelope("orders", 1, "", &file, &alice, &envelope);
    ACCEPTED(topology_open(slice(&envelope), NULL, (const char (*)[KEY_TEXT_MAX])pinned, 2, t2, &text, &err));
    assert_string_equal(text.at, file.at); /* unaltered, to the byte */
    assert_int_equal(t2->topology_version, 1);
    assert_string_equal(t2->previous, "");
    assert_int_equal(strlen(t2->hash), 64);
    assert_string_equal(t2->sites[1].members[0].name, "fra-1");
    REFUSED(topology_open(slice(&envelope), NULL, (const char (*)[KEY_TEXT_MAX])pinned, 1, t2, NULL, &err),
            "topology: signed by none of the 1 pinned keys");
    REFUSED(topology_open(slice(&envelope), NULL, NULL, 0, t2, NULL, &err), "topology: signed by none of the 0 pinned keys");
}

static void hold_first_version(void) {
    STRBUF envelope = {0};
    char pinned[1][KEY_TEXT_MAX];
    sign_public_format(alice.public, pinned[0]);
    topology_envelope("orders", 1, "", &file, &alice, &envelope);
    ACCEPTED(topology_open(slice(&envelope), NULL, (const char (*)[KEY_TEXT_MAX])pinned, 1, t, NULL, &err));
}

static void the_next_one_is_signed_by_whom_the_present_one_names(void **state) {
    (void)state;
    hold_first_version();
    STRBUF envelope = {0};
    topology_envelope("orders", 2, t->hash, &file, &alice, &envelope);
    ACCEPTED(topology_open(slice(&envelope), t, NULL, 0, t2, NULL, &err));
    assert_int_equal(t2->topology_version, 2);
    assert_string_equal(t2->previous, t->hash);
    const struct sign_key *const others[] = {&bob, &par, &ams1, &eve}; /* bob may not apply */
    for (size_t i = 0; i < 4; i++) {
        topology_envelope("orders", 2, t->hash, &file, others[i], &envelope);
        REFUSED(topology_open(slice(&envelope), t, NULL, 0, t2, NULL, &err),
                "topology: signed by no operator who may apply in version 1 of orders");
    }
}

static void versions_go_forward_one_replacing_the_other(void **state) {
    (void)state;
    hold_first_version();
    STRBUF envelope = {0};
    STRBUF changed = {0};
    char words[160];
    topology_envelope("orders", 1, "", &file, &alice, &envelope);
    ACCEPTED(topology_open(slice(&envelope), t, NULL, 0, t2, NULL, &err)); /* the same again */
    strbuf_addf(&changed, "%s# changed\n", file.at);
    topology_envelope("orders", 1, "", &changed, &alice, &envelope);
    REFUSED(topology_open(slice(&envelope), t, NULL, 0, t2, NULL, &err), "topology version 1 is another than the one that is held");
    topology_envelope("orders", 2, "0123456789abcdef", &changed, &alice, &envelope);
    snprintf(words, sizeof words, "topology version 2 replaces 0123456789ab, held is %.12s", t->hash);
    REFUSED(topology_open(slice(&envelope), t, NULL, 0, t2, NULL, &err), words);
    topology_envelope("orders", 7, "0123456789abcdef", &changed, &alice, &envelope);
    ACCEPTED(topology_open(slice(&envelope), t, NULL, 0, t2, NULL, &err)); /* a member that was away for long */
    t->topology_version = 9;
    REFUSED(topology_open(slice(&envelope), t, NULL, 0, t2, NULL, &err), "topology version 7 is older than 9, which is held");
    hold_first_version();
}

static void only_the_first_version_replaces_none(void **state) {
    (void)state;
    hold_first_version();
    STRBUF envelope = {0};
    topology_envelope("orders", 3, "", &file, &alice, &envelope);
    REFUSED(topology_open(slice(&envelope), t, NULL, 0, t2, NULL, &err), "topology version 3 replaces none: only the first replaces none");
    topology_envelope("orders", 1, "0123456789abcdef", &file, &alice, &envelope);
    REFUSED(topology_reopen(slice(&envelope), t2, &err), "topology version 1 replaces 0123456789ab: only the first replaces none");
}

static void a_topology_is_of_the_cluster_that_its_file_names(void **state) {
    (void)state;
    hold_first_version();
    STRBUF envelope = {0};
    STRBUF other = {0};
    write_file(&other, "billing");
    topology_envelope("orders", 2, t->hash, &other, &alice, &envelope);
    REFUSED(topology_open(slice(&envelope), t, NULL, 0, t2, NULL, &err), "topology sealed for cluster orders, its file is of billing");
    topology_envelope("billing", 2, t->hash, &other, &alice, &envelope);
    REFUSED(topology_open(slice(&envelope), t, NULL, 0, t2, NULL, &err), "topology of cluster billing, held is one of orders");
}

static void an_invalid_file_is_refused_though_it_is_signed(void **state) {
    (void)state;
    hold_first_version();
    STRBUF envelope = {0};
    STRBUF bad = {0};
    strbuf_addf(&bad, "%sprotecton: x\n", file.at);
    topology_envelope("orders", 2, t->hash, &bad, &alice, &envelope);
    assert_false(topology_open(slice(&envelope), t, NULL, 0, t2, NULL, &err));
    assert_non_null(strstr(err.text, "protecton: unknown key; did you mean \"protection\"?"));
}

static void a_kept_envelope_is_reopened_without_asking_who_signed_it(void **state) {
    (void)state;
    STRBUF envelope = {0};
    topology_envelope("orders", 2, "0123456789abcdef", &file, &eve, &envelope);
    ACCEPTED(topology_reopen(slice(&envelope), t2, &err));
    assert_int_equal(t2->topology_version, 2);
    assert_int_equal(t2->site_count, 2);
    STRBUF payload = {0};
    topology_payload("orders", 2, "0123456789abcdef", slice(&file), &payload);
    sign(&payload, ORDER_TYPE, &alice, &envelope);
    assert_false(topology_reopen(slice(&envelope), t2, &err)); /* another kind of document */
}

/* --- receipts and reports --- */

static struct receipt receipt(const char *site, const char *member) {
    struct receipt r = {.kind = RECEIPT_STOPPED, .epoch = epoch("1.0@ams"), .successor = epoch("1.1@fra"), .timeline = 1, .end = 0x5000148};
    set(r.cluster, "orders");
    set(r.system_id, SYSTEM);
    set(r.site, site);
    set(r.member, member);
    return r;
}

static void a_receipt_is_signed_by_the_member_that_it_names(void **state) {
    (void)state;
    STRBUF envelope = {0};
    static struct receipt out;
    struct receipt r = receipt("ams", "ams-1");
    seal(&receipt_table, &r, RECEIPT_TYPE, &ams1, &envelope);
    ACCEPTED(verify_receipt(slice(&envelope), t, &out, &err));
    assert_memory_equal(&out, &r, sizeof r);
    seal(&receipt_table, &r, RECEIPT_TYPE, &fra1, &envelope);
    REFUSED(verify_receipt(slice(&envelope), t, &out, &err), "receipt names ams/ams-1, signed by fra/fra-1");
    const struct sign_key *const others[] = {&par, &alice, &eve};
    for (size_t i = 0; i < 3; i++) {
        seal(&receipt_table, &r, RECEIPT_TYPE, others[i], &envelope);
        REFUSED(verify_receipt(slice(&envelope), t, &out, &err), "receipt signed by no member of orders");
    }
    r = receipt("ams", "ams-2");
    seal(&receipt_table, &r, RECEIPT_TYPE, &ams1, &envelope);
    REFUSED(verify_receipt(slice(&envelope), t, &out, &err), "receipt names ams/ams-2, signed by ams/ams-1");
    r = receipt("fra", "ams-1");
    seal(&receipt_table, &r, RECEIPT_TYPE, &ams1, &envelope);
    REFUSED(verify_receipt(slice(&envelope), t, &out, &err), "receipt names fra/ams-1, signed by ams/ams-1");
    r = receipt("ams", "ams-1");
    set(r.cluster, "billing");
    seal(&receipt_table, &r, RECEIPT_TYPE, &ams1, &envelope);
    REFUSED(verify_receipt(slice(&envelope), t, &out, &err), "receipt of cluster billing, this is orders");
}

static void an_altered_receipt_is_refused(void **state) {
    (void)state;
    STRBUF envelope = {0};
    static struct receipt out;
    struct receipt r = receipt("ams", "ams-1");
    seal(&receipt_table, &r, RECEIPT_TYPE, &ams1, &envelope);
    char *payload = strstr(envelope.at, "\"payload\":\"");
    assert_non_null(payload);
    payload += strlen("\"payload\":\"") + 20;
    *payload = *payload == 'A' ? 'B' : 'A';
    REFUSED(verify_receipt(slice(&envelope), t, &out, &err), "receipt signed by no member of orders");
}

static void a_report_is_signed_by_the_member_that_it_names(void **state) {
    (void)state;
    STRBUF envelope = {0};
    struct report *r = rt_alloc(sizeof *r), *out = rt_alloc(sizeof *out);
    set(r->cluster, "orders");
    set(r->site, "fra");
    set(r->member, "fra-1");
    set(r->instance, "0123456789abcdef0123456789abcdef");
    r->seq = 7;
    seal(&report_table, r, REPORT_TYPE, &fra1, &envelope);
    ACCEPTED(verify_report(slice(&envelope), t, out, &err));
    assert_int_equal(out->seq, 7);
    seal(&report_table, r, REPORT_TYPE, &ams1, &envelope);
    REFUSED(verify_report(slice(&envelope), t, out, &err), "report names fra/fra-1, signed by ams/ams-1");
    seal(&report_table, r, REPORT_TYPE, &eve, &envelope);
    REFUSED(verify_report(slice(&envelope), t, out, &err), "report signed by no member of orders");
    set(r->cluster, "billing");
    seal(&report_table, r, REPORT_TYPE, &fra1, &envelope);
    REFUSED(verify_report(slice(&envelope), t, out, &err), "report of cluster billing, this is orders");
    rt_free(r);
    rt_free(out);
}

static void one_kind_of_document_never_passes_for_another(void **state) {
    (void)state;
    STRBUF envelope = {0};
    static struct receipt out;
    struct receipt r = receipt("ams", "ams-1");
    seal(&receipt_table, &r, REPORT_TYPE, &ams1, &envelope);
    assert_false(verify_receipt(slice(&envelope), t, &out, &err));
    assert_int_equal(err.code, ERR_REFUSED);
}

/* --- requests --- */

static struct request request(enum verb verb, const char *by, const char *to) {
    struct request r = {.verb = (int)verb, .issued_at = 1, .expires_at = 2};
    set(r.cluster, "orders");
    set(r.op, "op-1");
    set(r.operator_name, by);
    set(r.to, to);
    return r;
}

static void a_request_is_signed_by_an_operator_with_the_right(void **state) {
    (void)state;
    STRBUF envelope = {0};
    struct request out, r = request(VERB_SWITCHOVER, "bob", "fra");
    seal(&request_table, &r, REQUEST_TYPE, &bob, &envelope);
    ACCEPTED(verify_request(slice(&envelope), t, &out, &err));
    assert_memory_equal(&out, &r, sizeof r);
    seal(&request_table, &r, REQUEST_TYPE, &alice, &envelope);
    REFUSED(verify_request(slice(&envelope), t, &out, &err), "request names bob, signed by alice");
    seal(&request_table, &r, REQUEST_TYPE, &par, &envelope);
    REFUSED(verify_request(slice(&envelope), t, &out, &err), "request signed by no operator of orders");
    r = request(VERB_APPLY, "bob", "");
    seal(&request_table, &r, REQUEST_TYPE, &bob, &envelope);
    REFUSED(verify_request(slice(&envelope), t, &out, &err), "operator bob may not apply");
    r = request(VERB_SWITCHOVER, "bob", "fra");
    set(r.cluster, "billing");
    seal(&request_table, &r, REQUEST_TYPE, &bob, &envelope);
    REFUSED(verify_request(slice(&envelope), t, &out, &err), "request of cluster billing, this is orders");
}

/* --- orders --- */

static struct order o, read_order;
static struct proofs proofs;
static char hash[HASH_TEXT_MAX];

static void order(enum order_kind kind, enum site_role role, const char *site, const char *in_epoch) {
    memset(&o, 0, sizeof o);
    set(o.cluster, "orders");
    set(o.system_id, SYSTEM);
    set(o.site, site);
    set(o.base, "none");
    set(o.coordinator, "par");
    set(o.op, "op-1");
    o.coordinator_term = o.serial = 1;
    o.expires = 2;
    o.epoch = epoch(in_epoch);
    o.kind = (int)kind;
    o.role = (int)role;
}

static void prove(const struct fields *table, const void *document, const char *type, const struct sign_key *key) {
    STRBUF envelope = {0};
    seal(table, document, type, key, &envelope);
    set(o.proofs[o.proof_count++], envelope.at);
}

static void prove_request(enum verb verb, const char *to) {
    struct request r = request(verb, "alice", to);
    prove(&request_table, &r, REQUEST_TYPE, &alice);
}

static bool verify_signed_by(const struct sign_key *key) {
    STRBUF envelope = {0};
    seal(&order_table, &o, ORDER_TYPE, key, &envelope);
    return verify_order(slice(&envelope), t, &read_order, &proofs, hash, &err);
}

static void an_order_is_signed_by_the_coordinator_that_it_names(void **state) {
    (void)state;
    order(ORDER_PREPARE, SITE_PRIMARY, "ams", "1.0@ams");
    ACCEPTED(verify_signed_by(&par));
    assert_memory_equal(&read_order, &o, sizeof o);
    STRBUF payload = {0};
    char wanted[HASH_TEXT_MAX];
    field_to_text(&order_table, &o, &payload);
    sign_hash(slice(&payload), wanted);
    assert_string_equal(hash, wanted); /* of the payload, not of the envelope */
    const struct sign_key *const others[] = {&alice, &ams1, &eve};
    for (size_t i = 0; i < 3; i++) REFUSED(verify_signed_by(others[i]), "order signed by no coordinator of orders");
    set(o.coordinator, "rom");
    REFUSED(verify_signed_by(&par), "order names coordinator rom, signed by par");
    set(o.coordinator, "par");
    set(o.cluster, "billing");
    REFUSED(verify_signed_by(&par), "order of cluster billing, this is orders");
}

static void its_proofs_are_verified_one_by_one(void **state) {
    (void)state;
    order(ORDER_PROMOTE, SITE_PRIMARY, "fra", "1.1@fra");
    struct receipt r = receipt("ams", "ams-1");
    prove_request(VERB_SWITCHOVER, "fra");
    prove(&receipt_table, &r, RECEIPT_TYPE, &ams1);
    ACCEPTED(verify_signed_by(&par));
    assert_true(proofs.has_request);
    assert_string_equal(proofs.request.to, "fra");
    assert_int_equal(proofs.receipt_count, 1);
    assert_memory_equal(&proofs.receipts[0], &r, sizeof r);
    prove(&receipt_table, &r, RECEIPT_TYPE, &eve);
    REFUSED(verify_signed_by(&par), "order: proof 3: receipt signed by no member of orders");
    o.proof_count--;
    prove_request(VERB_SWITCHOVER, "fra");
    REFUSED(verify_signed_by(&par), "order: proof 3: a second request: one order obeys one");
}

static void a_proof_that_is_no_document_refuses_the_order(void **state) {
    (void)state;
    order(ORDER_PREPARE, SITE_PRIMARY, "ams", "1.0@ams");
    set(o.proofs[0], "trust me");
    o.proof_count = 1;
    err = (struct err){0};
    assert_false(verify_signed_by(&par));
    assert_int_equal(strncmp(err.text, "order: proof 1: receipt: ", 25), 0);
}

static void what_changes_who_writes_was_asked_for_by_an_operator(void **state) {
    (void)state;
    order(ORDER_STOP, SITE_STOPPED, "ams", "1.0@ams");
    o.successor = epoch("1.1@fra");
    REFUSED(verify_signed_by(&par), "order: stop without the request of an operator");
    prove_request(VERB_SWITCHOVER, "fra");
    ACCEPTED(verify_signed_by(&par));
    set(o.op, "op-2");
    REFUSED(verify_signed_by(&par), "order: operation op-2, the request is for op-1");
    set(o.op, "op-1");
    o.successor = epoch("1.1@lon");
    REFUSED(verify_signed_by(&par), "order: stop for lon, the request is to switchover to fra");
    order(ORDER_PROMOTE, SITE_PRIMARY, "ams", "1.1@ams");
    REFUSED(verify_signed_by(&par), "order: promote without the request of an operator");
    prove_request(VERB_SWITCHOVER, "fra");
    REFUSED(verify_signed_by(&par), "order: promote for ams, the request is to switchover to fra");
    order(ORDER_PROMOTE, SITE_PRIMARY, "fra", "1.1@fra");
    prove_request(VERB_APPLY, "fra");
    REFUSED(verify_signed_by(&par), "order: promote for fra, the request is to apply to fra");
}

static void birth_needs_an_apply_that_may_create(void **state) {
    (void)state;
    order(ORDER_BIRTH, SITE_PRIMARY, "ams", "1.0@ams");
    o.system_id[0] = '\0';
    REFUSED(verify_signed_by(&par), "order: birth without the request of an operator");
    struct request r = request(VERB_APPLY, "alice", "");
    prove(&request_table, &r, REQUEST_TYPE, &alice);
    REFUSED(verify_signed_by(&par), "order: birth, the request is to apply without --create");
    r.create = true;
    o.proof_count = 0;
    prove(&request_table, &r, REQUEST_TYPE, &alice);
    ACCEPTED(verify_signed_by(&par));
    r.verb = VERB_SWITCHOVER;
    o.proof_count = 0;
    prove(&request_table, &r, REQUEST_TYPE, &alice);
    REFUSED(verify_signed_by(&par), "order: birth, the request is to switchover without --create");
}

static void an_abort_belongs_to_a_switchover(void **state) {
    (void)state;
    order(ORDER_ABORT, SITE_PRIMARY, "ams", "1.2@ams");
    REFUSED(verify_signed_by(&par), "order: abort without the request of an operator");
    prove_request(VERB_APPLY, "");
    REFUSED(verify_signed_by(&par), "order: abort, the request is to apply");
    o.proof_count = 0;
    prove_request(VERB_SWITCHOVER, "fra");
    ACCEPTED(verify_signed_by(&par));
    o.proof_count = 0;
    prove_request(VERB_ABORT, "");
    ACCEPTED(verify_signed_by(&par));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_topology_is_believed_by_a_pinned_key),
        cmocka_unit_test(the_next_one_is_signed_by_whom_the_present_one_names),
        cmocka_unit_test(versions_go_forward_one_replacing_the_other),
        cmocka_unit_test(only_the_first_version_replaces_none),
        cmocka_unit_test(a_topology_is_of_the_cluster_that_its_file_names),
        cmocka_unit_test(an_invalid_file_is_refused_though_it_is_signed),
        cmocka_unit_test(a_kept_envelope_is_reopened_without_asking_who_signed_it),
        cmocka_unit_test(a_receipt_is_signed_by_the_member_that_it_names),
        cmocka_unit_test(an_altered_receipt_is_refused),
        cmocka_unit_test(a_report_is_signed_by_the_member_that_it_names),
        cmocka_unit_test(one_kind_of_document_never_passes_for_another),
        cmocka_unit_test(a_request_is_signed_by_an_operator_with_the_right),
        cmocka_unit_test(an_order_is_signed_by_the_coordinator_that_it_names),
        cmocka_unit_test(its_proofs_are_verified_one_by_one),
        cmocka_unit_test(a_proof_that_is_no_document_refuses_the_order),
        cmocka_unit_test(what_changes_who_writes_was_asked_for_by_an_operator),
        cmocka_unit_test(birth_needs_an_apply_that_may_create),
        cmocka_unit_test(an_abort_belongs_to_a_switchover),
    };
    return cmocka_run_group_tests(tests, make_cluster, free_cluster);
}
