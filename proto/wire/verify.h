/* Authenticity of orders, receipts, requests and reports against a topology: envelope in, checked struct out. Nothing
 * is parsed before a signature of a key that may say such a thing was verified. */
#ifndef WIRE_VERIFY_H
#define WIRE_VERIFY_H
#include "wire/report.h"
#include "wire/topology.h"

/* Order: signed by the coordinator that it names, and that the topology knows. Every proof is verified in turn (a
 * request by its operator, with the right `may`; a receipt by a member of the site that it names) and put into `proofs`;
 * one bad proof refuses the order. Kinds stop, promote, abort and birth need a request whose op is the order's. */
bool verify_order(struct bytes envelope, const struct topology *t, struct order *out, struct proofs *proofs, char hash[HASH_TEXT_MAX], struct err *err);
bool verify_receipt(struct bytes envelope, const struct topology *t, struct receipt *out, struct err *err);
bool verify_request(struct bytes envelope, const struct topology *t, struct request *out, struct err *err);
/* Signed by the member it names, of the site it names. */
bool verify_report(struct bytes envelope, const struct topology *t, struct report *out, struct err *err);
#endif
