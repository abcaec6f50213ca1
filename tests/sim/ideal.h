/* Documents and signatures as ideal things: field_to_text gives a short handle to the value, equal values have equal
 * handles, and a signature is a fact in a table that nobody can add to but the key's holder. Put in the place of JSON
 * texts (rt/field_write.c, field_from_json), libsodium (wire/sign.c) and envelopes (wire/envelope.c), so that verify.c and
 * all above run as they stand, a hundred times faster. The real ones have tests of their own. */
#ifndef SIM_IDEAL_H
#define SIM_IDEAL_H
#include "rt/str.h"
struct sign_key;
void ideal_key(struct sign_key *key, const char *name); /* the key of that name: the same each time */
uint64_t ideal_hash(const void *data, size_t len, uint64_t before); /* quick, good enough for equality */
int64_t ideal_documents(void); /* made so far */
#endif
