/* Who may have said this? For each kind of document: find the keys that may sign it, verify, and only then parse. What
 * a document may bring about is judged elsewhere (order_judge.c). The signer is named inside the payload, which nobody
 * may read before it is verified, so every key of the right kind is tried, and the name compared afterwards. */
#include "wire/verify.h"
#include <string.h>

static bool parse(const struct envelope *e, const struct fields *table, void *out, struct err *err) {
    return field_from_json(table, table->name, (struct bytes){e->payload.at, e->payload.len}, out, err);
}

static bool is_of_cluster(const char *what, const char *cluster, const struct topology *t, struct err *err) {
    return strcmp(cluster, t->cluster) == 0 || err_set(err, ERR_REFUSED, "%s of cluster %s, this is %s", what, cluster, t->cluster);
}

/* --- members: receipts and reports --- */

/* The one member whose key signed: keys are unique in a topology. */
static const struct topology_member *signing_member(const struct envelope *e, const struct topology *t, const struct topology_site **site) {
    for (uint32_t i = 0; i < t->site_count; i++) {
        *site = &t->sites[i];
        for (uint32_t k = 0; k < (*site)->member_count; k++)
            if (topology_signed_by(e, (*site)->members[k].key)) return &(*site)->members[k];
    }
    return NULL;
}

struct signer {
    const struct topology_site *site;
    const struct topology_member *member;
};

static bool open_of_member(struct bytes envelope, const char *type, const struct topology *t, const struct fields *table, void *out,
                           struct signer *signer, struct err *err) {
    ENVELOPE e = {0};
    if (!envelope_open(envelope, type, &e, err)) return err_wrap(err, "%s", table->name);
    signer->member = signing_member(&e, t, &signer->site);
    if (!signer->member) return err_set(err, ERR_REFUSED, "%s signed by no member of %s", table->name, t->cluster);
    return parse(&e, table, out, err);
}

static bool names_signer(const char *what, const char *site, const char *member, const struct signer *signer, struct err *err) {
    if (strcmp(site, signer->site->name) == 0 && strcmp(member, signer->member->name) == 0) return true;
    return err_set(err, ERR_REFUSED, "%s names %s/%s, signed by %s/%s", what, site, member, signer->site->name, signer->member->name);
}

bool verify_receipt(struct bytes envelope, const struct topology *t, struct receipt *out, struct err *err) {
    struct signer signer;
    return open_of_member(envelope, RECEIPT_TYPE, t, &receipt_table, out, &signer, err) &&
           is_of_cluster("receipt", out->cluster, t, err) && names_signer("receipt", out->site, out->member, &signer, err);
}

bool verify_report(struct bytes envelope, const struct topology *t, struct report *out, struct err *err) {
    struct signer signer;
    return open_of_member(envelope, REPORT_TYPE, t, &report_table, out, &signer, err) && is_of_cluster("report", out->cluster, t, err) &&
           names_signer("report", out->site, out->member, &signer, err);
}

/* --- operators: requests --- */

static const struct topology_operator *signing_operator(const struct envelope *e, const struct topology *t) {
    for (uint32_t i = 0; i < t->operator_count; i++)
        if (topology_signed_by(e, t->operators[i].key)) return &t->operators[i];
    return NULL;
}

bool verify_request(struct bytes envelope, const struct topology *t, struct request *out, struct err *err) {
    ENVELOPE e = {0};
    if (!envelope_open(envelope, REQUEST_TYPE, &e, err)) return err_wrap(err, "request");
    const struct topology_operator *by = signing_operator(&e, t);
    if (!by) return err_set(err, ERR_REFUSED, "request signed by no operator of %s", t->cluster);
    if (!parse(&e, &request_table, out, err) || !is_of_cluster("request", out->cluster, t, err)) return false;
    if (strcmp(out->operator_name, by->name) != 0)
        return err_set(err, ERR_REFUSED, "request names %s, signed by %s", out->operator_name, by->name);
    if (!by->may[out->verb]) return err_set(err, ERR_REFUSED, "operator %s may not %s", by->name, verb_names[out->verb]);
    return true;
}

/* --- coordinators: orders --- */

static const struct topology_coordinator *signing_coordinator(const struct envelope *e, const struct topology *t) {
    for (uint32_t i = 0; i < t->coordinator_count; i++)
        if (topology_signed_by(e, t->coordinators[i].key)) return &t->coordinators[i];
    return NULL;
}

static bool open_order(struct bytes envelope, const struct topology *t, struct order *out, char hash[HASH_TEXT_MAX], struct err *err) {
    ENVELOPE e = {0};
    if (!envelope_open(envelope, ORDER_TYPE, &e, err)) return err_wrap(err, "order");
    const struct topology_coordinator *by = signing_coordinator(&e, t);
    if (!by) return err_set(err, ERR_REFUSED, "order signed by no coordinator of %s", t->cluster);
    if (!parse(&e, &order_table, out, err) || !is_of_cluster("order", out->cluster, t, err)) return false;
    if (strcmp(out->coordinator, by->name) != 0)
        return err_set(err, ERR_REFUSED, "order names coordinator %s, signed by %s", out->coordinator, by->name);
    memcpy(hash, e.hash, HASH_TEXT_MAX);
    return true;
}

/* The type is under the signature, so looking at it to know what to verify gives nothing away. */
static bool is_request(struct bytes proof) {
    ENVELOPE e = {0};
    struct err unused = {0};
    return envelope_open(proof, REQUEST_TYPE, &e, &unused);
}

static bool verify_proof(struct bytes proof, const struct topology *t, struct proofs *proofs, struct err *err) {
    if (!is_request(proof)) {
        if (!verify_receipt(proof, t, &proofs->receipts[proofs->receipt_count], err)) return false;
        proofs->receipt_count++;
        return true;
    }
    if (proofs->has_request) return err_set(err, ERR_REFUSED, "a second request: one order obeys one");
    proofs->has_request = verify_request(proof, t, &proofs->request, err);
    return proofs->has_request;
}

static bool verify_proofs(const struct order *o, const struct topology *t, struct proofs *proofs, struct err *err) {
    memset(proofs, 0, sizeof *proofs);
    for (uint32_t i = 0; i < o->proof_count; i++) {
        struct bytes proof = {o->proofs[i], strlen(o->proofs[i])};
        if (!verify_proof(proof, t, proofs, err)) return err_wrap(err, "order: proof %u", i + 1);
    }
    return true;
}

/* The site of the target, where the order knows it. */
static const char *target_of(const struct order *o) {
    if (o->kind == ORDER_STOP) return o->successor.site;
    return o->kind == ORDER_PROMOTE ? o->epoch.site : NULL;
}

/* The operator asked for this operation, of this kind, to this site (protocol 3.1). */
static bool is_asked_for(const struct order *o, const struct proofs *proofs, struct err *err) {
    const struct request *r = &proofs->request;
    const char *kind = order_kind_names[o->kind], *target = target_of(o);
    if (o->kind != ORDER_BIRTH && o->kind != ORDER_STOP && o->kind != ORDER_PROMOTE && o->kind != ORDER_ABORT) return true;
    if (!proofs->has_request) return err_set(err, ERR_REFUSED, "order: %s without the request of an operator", kind);
    if (strcmp(r->op, o->op) != 0) return err_set(err, ERR_REFUSED, "order: operation %s, the request is for %s", o->op, r->op);
    if (o->kind == ORDER_BIRTH && !(r->verb == VERB_APPLY && r->create))
        return err_set(err, ERR_REFUSED, "order: birth, the request is to %s without --create", verb_names[r->verb]);
    if (o->kind == ORDER_ABORT && r->verb != VERB_SWITCHOVER && r->verb != VERB_ABORT)
        return err_set(err, ERR_REFUSED, "order: abort, the request is to %s", verb_names[r->verb]);
    if (target && (r->verb != VERB_SWITCHOVER || strcmp(r->to, target) != 0))
        return err_set(err, ERR_REFUSED, "order: %s for %s, the request is to %s%s%s", kind, target, verb_names[r->verb], r->to[0] ? " to " : "", r->to);
    return true;
}

bool verify_order(struct bytes envelope, const struct topology *t, struct order *out, struct proofs *proofs, char hash[HASH_TEXT_MAX], struct err *err) {
    return open_order(envelope, t, out, hash, err) && verify_proofs(out, t, proofs, err) && is_asked_for(out, proofs, err);
}
