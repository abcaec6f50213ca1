/* Keys, signatures and hashes: Ed25519 (RFC 8032) and SHA-256 by libsodium, the one place that uses it. What gets
 * signed and who may sign is not known here: see envelope.h and verify.h. */
#ifndef WIRE_SIGN_H
#define WIRE_SIGN_H
#include "rt/err.h"
#include "rt/str.h"

#define SIGN_SECRET_BYTES 64 /* seed and public key, as libsodium keeps them */
#define SIGN_PUBLIC_BYTES 32
#define SIGN_BYTES 64      /* a signature */
#define SIGN_ID_MAX 17     /* first 16 hex digits of the SHA-256 of the public key, and NUL */
#define SIGN_PUBLIC_TEXT_MAX 64 /* "ed25519:" and base64 of the public key */
#define SIGN_HASH_TEXT_MAX 65

/* A private key. Its memory is locked and left out of core dumps where the limits allow it, so it must not be copied
 * or moved: give the struct a place, zeroed, load into it, pass pointers, free it there. */
struct sign_key {
    unsigned char secret[SIGN_SECRET_BYTES];
    unsigned char public[SIGN_PUBLIC_BYTES];
    char id[SIGN_ID_MAX];
};
void sign_key_generate(struct sign_key *key);
/* The file is one line, "pgregent-ed25519-secret:" and base64 of the 32 bytes of seed. ERR_REFUSED when it is not
 * private (file_check_private), ERR_INVALID when it is no key; no error quotes what the file says. */
bool sign_key_load(const char *path, struct sign_key *key, struct err *err);
/* Mode 0600. ERR_CONFLICT when there is a file already: a key that is in use is never overwritten. */
bool sign_key_save(const char *path, const struct sign_key *key, struct err *err);
void sign_key_free(struct sign_key *key); /* wipes; a zeroed struct is fine */
#define SIGN_KEY_AUTO __attribute__((cleanup(sign_key_free))) struct sign_key

/* "ed25519:BASE64". Parsing is strict (one spelling a key) and refuses bytes that are no proper point of the curve:
 * under such keys signatures of nobody would verify. ERR_INVALID. */
bool sign_public_parse(const char *text, unsigned char public[SIGN_PUBLIC_BYTES], struct err *err);
void sign_public_format(const unsigned char public[SIGN_PUBLIC_BYTES], char to[SIGN_PUBLIC_TEXT_MAX]);
void sign_public_id(const unsigned char public[SIGN_PUBLIC_BYTES], char to[SIGN_ID_MAX]);

void sign_make(const struct sign_key *key, struct bytes message, unsigned char signature[SIGN_BYTES]);
/* In constant time; malleable signatures (S not reduced) are refused. */
bool sign_verify(const unsigned char public[SIGN_PUBLIC_BYTES], struct bytes message, const unsigned char signature[SIGN_BYTES]);

/* 64 lower-case hex digits of the SHA-256 of the bytes. */
void sign_hash(struct bytes data, char to[SIGN_HASH_TEXT_MAX]);
#endif
