/* Signed documents: DSSE v1 (Dead Simple Signing Envelope, protocol 1.0.2) with Ed25519. The envelope is JSON,
 *   {"payload": BASE64, "payloadType": TYPE, "signatures": [{"keyid": ID, "sig": BASE64}]}
 * and what is signed is PAE(type, payload): the type is under the signature, so that a receipt can never pass for an
 * order. Nobody parses a payload before envelope_verified_by said yes to a key that may sign it; who may is decided in
 * verify.h and topology.h. */
#ifndef WIRE_ENVELOPE_H
#define WIRE_ENVELOPE_H
#include "wire/sign.h"

#define ENVELOPE_TEXT_MAX (1u << 20)
#define ENVELOPE_SIGNATURES_MAX 16
#define ENVELOPE_TYPE_MAX 128

struct envelope_signature {
    char key_id[SIGN_ID_MAX]; /* a hint that nobody vouches for: good for finding a key, never for believing one */
    unsigned char signature[SIGN_BYTES];
};
struct envelope {
    char type[ENVELOPE_TYPE_MAX];
    struct strbuf payload;            /* owned; untrusted until verified */
    char hash[SIGN_HASH_TEXT_MAX];    /* of the payload's bytes: what `base`, `previous` and `order` name */
    struct envelope_signature signatures[ENVELOPE_SIGNATURES_MAX];
    uint32_t signature_count;
};
void envelope_free(struct envelope *e);
#define ENVELOPE __attribute__((cleanup(envelope_free))) struct envelope

/* Appends the envelope to `out`, signed by each of 1 to ENVELOPE_SIGNATURES_MAX keys. ERR_LIMIT when it would be longer
 * than anybody may read. */
bool envelope_sign(struct bytes payload, const char *type, const struct sign_key *keys, size_t count, struct strbuf *out, struct err *err);

/* Takes an envelope apart; `out` need not be initialised, and on failure holds nothing. Strict: size, number of
 * signatures, exactly the wanted type, exactly the members above (others would be bytes that no signature covers),
 * key ids of 16 hex digits, canonical base64, whose standard and URL-safe alphabets are both read, as DSSE demands.
 * ERR_INVALID, ERR_LIMIT, ERR_REFUSED (another type). */
bool envelope_open(struct bytes text, const char *type_wanted, struct envelope *out, struct err *err);

/* True when one of the signatures was made by this key over this type and payload. */
bool envelope_verified_by(const struct envelope *e, const unsigned char public[SIGN_PUBLIC_BYTES]);
/* How many different keys of the list have signed; signing twice, or standing in the list twice, counts once. */
size_t envelope_verified_count(const struct envelope *e, const unsigned char (*publics)[SIGN_PUBLIC_BYTES], size_t count);

/* What a signature is over: "DSSEv1" SP length SP type SP length SP payload. Appended. */
void envelope_pae(const char *type, struct bytes payload, struct strbuf *to);
#endif
