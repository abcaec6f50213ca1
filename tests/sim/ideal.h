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
/* What a handle, of a document or of an envelope, stands for, as the real text that people know; other texts as they are. Appended. */
void ideal_words(struct bytes handle, struct strbuf *to);

/* Of the parts, for each other. A handle is {"KIND":NUMBER}, numbers from 1; it comes through a JSON parser and writer unchanged. */
void ideal_put_handle(char kind, uint32_t number, struct strbuf *to);
uint32_t ideal_handle(char kind, struct bytes text); /* 0: it is none of that kind */
#define IDEAL_DOCUMENT 'd'
#define IDEAL_ENVELOPE 'e'
bool ideal_envelope_payload(struct bytes handle, struct bytes *payload, const char **type);
#endif
