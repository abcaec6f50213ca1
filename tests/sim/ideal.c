/* Ideal keys, signatures and hashes: the functions of wire/sign.h and wire/envelope.h that the daemons use. A key is 32
 * bytes that its owner's name gives; an envelope is an entry in a table, {type, payload, who signed}, and its text a handle to
 * it. Nothing but envelope_sign makes entries, so nobody signs for another. */
#include "tests/sim/ideal.h"
#include "tests/sim/sim.h"
#include "wire/envelope.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- hashes ---- */

#define ODD_1 0xa0761d6478bd642fu
#define ODD_2 0xe7037ed1a0b428dbu
#define ODD_3 0x8ebc6af09c88c6e3u
#define ODD_4 0x589965cc75374cc3u

static uint64_t fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t word_at(const unsigned char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Two lanes of 16 bytes a step; what is left at the end is filled up with zeros, and the length goes in, too. */
uint64_t ideal_hash(const void *data, size_t len, uint64_t before) {
    const unsigned char *at = data;
    uint64_t a = before ^ ODD_1, b = before ^ ODD_2;
    unsigned char rest[32] = {0};
    size_t left = len;
    for (; left >= sizeof rest; left -= sizeof rest, at += sizeof rest) {
        a = fold(word_at(at) ^ ODD_3, word_at(at + 8) ^ a);
        b = fold(word_at(at + 16) ^ ODD_4, word_at(at + 24) ^ b);
    }
    if (left)
        memcpy(rest, at, left);
    a = fold(word_at(rest) ^ ODD_3, word_at(rest + 8) ^ a);
    b = fold(word_at(rest + 16) ^ ODD_4, word_at(rest + 24) ^ b);
    return fold(a ^ ODD_1 ^ len, b ^ ODD_2);
}

static void hash_bytes(struct bytes data, unsigned char to[32]) {
    static const uint64_t odd[4] = {ODD_1, ODD_2, ODD_3, ODD_4};
    uint64_t hash = ideal_hash(data.at, data.len, 0);
    for (size_t i = 0; i < 4; i++) {
        uint64_t word = fold(hash ^ odd[i], odd[i] + hash);
        memcpy(to + 8 * i, &word, sizeof word);
    }
}

void sign_hash(struct bytes data, char to[SIGN_HASH_TEXT_MAX]) {
    unsigned char bytes[32];
    hash_bytes(data, bytes);
    str_hex(to, bytes, sizeof bytes);
}

/* ---- keys ---- */

#define PUBLIC_PREFIX "ed25519:"

void sign_public_id(const unsigned char public[SIGN_PUBLIC_BYTES], char to[SIGN_ID_MAX]) {
    str_hex(to, public, (SIGN_ID_MAX - 1) / 2);
}

void ideal_key(struct sign_key *key, const char *name) {
    *key = (struct sign_key){0};
    hash_bytes((struct bytes){name, strlen(name)}, key->public);
    sign_public_id(key->public, key->id);
}

void sign_public_format(const unsigned char public[SIGN_PUBLIC_BYTES], char to[SIGN_PUBLIC_TEXT_MAX]) {
    STRBUF base64 = {0};
    str_base64(&base64, public, SIGN_PUBLIC_BYTES);
    snprintf(to, SIGN_PUBLIC_TEXT_MAX, PUBLIC_PREFIX "%.44s", base64.at);
}

bool sign_public_parse(const char *text, unsigned char public[SIGN_PUBLIC_BYTES], struct err *err) {
    STRBUF bytes = {0};
    size_t prefix_len = strlen(PUBLIC_PREFIX);
    if (!str_starts(text, PUBLIC_PREFIX) || !str_unbase64(&bytes, text + prefix_len, strlen(text + prefix_len)) || bytes.len != SIGN_PUBLIC_BYTES)
        return err_set(err, ERR_INVALID, "\"%.80s\" is no public key: \"" PUBLIC_PREFIX "\" and base64 of 32 bytes is wanted", text);
    memcpy(public, bytes.at, SIGN_PUBLIC_BYTES);
    return true;
}

/* ---- handles ---- */

void ideal_put_handle(char kind, uint32_t number, struct strbuf *to) {
    char text[24];
    char *at = text + sizeof text;
    *--at = '}';
    for (; number; number /= 10)
        *--at = (char)('0' + number % 10);
    at -= 5;
    memcpy(at, "{\"?\":", 5);
    at[2] = kind;
    strbuf_add_bytes(to, at, (size_t)(text + sizeof text - at));
}

#define HANDLE_LEAST 7  /* {"d":1} */
#define HANDLE_MOST 15 /* nine digits */
uint32_t ideal_handle(char kind, struct bytes text) {
    if (text.len < HANDLE_LEAST || text.len > HANDLE_MOST || memcmp(text.at, "{\"", 2) != 0 || text.at[2] != kind || memcmp(text.at + 3, "\":", 2) != 0 ||
        text.at[text.len - 1] != '}' || text.at[5] == '0')
        return 0;
    uint32_t number = 0;
    for (size_t i = 5; i < text.len - 1; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return 0;
        number = 10 * number + (uint32_t)(text.at[i] - '0');
    }
    return number;
}

/* ---- envelopes ---- */

#define INDEX_SIZE_FIRST 1024u
struct entry {
    uint64_t hash;
    const char *type; /* one of types[] */
    char *payload;
    size_t len;
    size_t signer_count;
    unsigned char (*signers)[SIGN_PUBLIC_BYTES];
};
static struct entry *entries; /* by number; 0 is nobody's */
static uint32_t entry_count, entry_room;
static uint32_t *index_slots, index_size;

/* There are a handful of types. */
static const char *type_named(const char *name) {
    static char *types[16];
    size_t i = 0;
    while (types[i] && !str_eq(types[i], name))
        i++;
    if (i == sizeof types / sizeof *types - 1)
        abort();
    if (!types[i])
        types[i] = rt_strdup(name);
    return types[i];
}

static struct entry draft(struct bytes payload, const char *type, const struct sign_key *keys, size_t count) {
    struct entry e = {.type = type_named(type), .payload = rt_alloc(payload.len + 1), .len = payload.len, .signer_count = count};
    e.signers = rt_alloc(count * sizeof *e.signers);
    memcpy(e.payload, payload.at, payload.len);
    for (size_t i = 0; i < count; i++)
        memcpy(e.signers[i], keys[i].public, SIGN_PUBLIC_BYTES);
    e.hash = ideal_hash(e.payload, e.len, ideal_hash(e.signers, count * sizeof *e.signers, ideal_hash(type, strlen(type), 0)));
    return e;
}

static bool says_the_same(const struct entry *a, const struct entry *b) {
    return a->hash == b->hash && a->type == b->type && a->len == b->len && a->signer_count == b->signer_count && !memcmp(a->payload, b->payload, a->len) &&
           !memcmp(a->signers, b->signers, a->signer_count * sizeof *a->signers);
}

static uint32_t *slot_of(const struct entry *e) {
    uint32_t slot = (uint32_t)e->hash & (index_size - 1);
    while (index_slots[slot] && !says_the_same(&entries[index_slots[slot]], e))
        slot = (slot + 1) & (index_size - 1);
    return &index_slots[slot];
}

static void make_room(void) {
    if (entry_count + 1 < entry_room)
        return;
    entry_room = entry_room ? 2 * entry_room : INDEX_SIZE_FIRST / 2;
    entries = realloc(entries, entry_room * sizeof *entries);
    if (!entries)
        abort();
    free(index_slots);
    index_size = 2 * entry_room;
    index_slots = rt_alloc(index_size * sizeof *index_slots);
    for (uint32_t i = 1; i <= entry_count; i++)
        *slot_of(&entries[i]) = i;
}

/* Signatures are the same for the same key and message, as Ed25519's are: so is the envelope. */
static uint32_t number_of(struct entry *e) {
    make_room();
    uint32_t *slot = slot_of(e);
    if (*slot) {
        rt_free(e->payload);
        rt_free(e->signers);
    } else {
        entries[++entry_count] = *e;
        *slot = entry_count;
        sim_mix(e->hash);
    }
    return *slot;
}

bool envelope_sign(struct bytes payload, const char *type, const struct sign_key *keys, size_t count, struct strbuf *out, struct err *err) {
    if (count < 1 || count > ENVELOPE_SIGNATURES_MAX)
        return err_set(err, ERR_LIMIT, "envelope: %zu signatures, 1 to %d are possible", count, ENVELOPE_SIGNATURES_MAX);
    if (strlen(type) >= ENVELOPE_TYPE_MAX)
        return err_set(err, ERR_LIMIT, "envelope: the payload type is too long");
    struct entry e = draft(payload, type, keys, count);
    ideal_put_handle(IDEAL_ENVELOPE, number_of(&e), out);
    return true;
}

static const struct entry *entry_of(struct bytes handle) {
    uint32_t number = ideal_handle(IDEAL_ENVELOPE, handle);
    return number && number <= entry_count ? &entries[number] : NULL;
}

bool ideal_envelope_payload(struct bytes handle, struct bytes *payload, const char **type) {
    const struct entry *e = entry_of(handle);
    if (!e)
        return false;
    *payload = (struct bytes){e->payload, e->len};
    *type = e->type;
    return true;
}

/* The signature names its entry and its signer; envelope_verified_by looks up whether that is so. */
static void put_signature(struct envelope_signature *to, uint32_t number, const unsigned char signer[SIGN_PUBLIC_BYTES]) {
    sign_public_id(signer, to->key_id);
    memcpy(to->signature, &number, sizeof number);
    memcpy(to->signature + sizeof number, signer, SIGN_PUBLIC_BYTES);
}

bool envelope_open(struct bytes text, const char *type_wanted, struct envelope *out, struct err *err) {
    const struct entry *e = entry_of(text);
    *out = (struct envelope){0};
    if (!e)
        return err_set(err, ERR_INVALID, "envelope: nobody has made this one");
    if (!str_eq(e->type, type_wanted))
        return err_set(err, ERR_REFUSED, "envelope: holds \"%s\" where \"%s\" is wanted", e->type, type_wanted);
    str_copy(out->type, sizeof out->type, e->type);
    strbuf_add_bytes(&out->payload, e->payload, e->len);
    sign_hash((struct bytes){e->payload, e->len}, out->hash);
    for (size_t i = 0; i < e->signer_count; i++)
        put_signature(&out->signatures[i], (uint32_t)(e - entries), e->signers[i]);
    out->signature_count = (uint32_t)e->signer_count;
    return true;
}

void envelope_free(struct envelope *e) { strbuf_free(&e->payload); }

static bool is_signed_by(const struct entry *e, const unsigned char public[SIGN_PUBLIC_BYTES]) {
    for (size_t i = 0; i < e->signer_count; i++)
        if (!memcmp(e->signers[i], public, SIGN_PUBLIC_BYTES))
            return true;
    return false;
}

bool envelope_verified_by(const struct envelope *e, const unsigned char public[SIGN_PUBLIC_BYTES]) {
    for (uint32_t i = 0; i < e->signature_count; i++) {
        uint32_t number;
        memcpy(&number, e->signatures[i].signature, sizeof number);
        const struct entry *made = number && number <= entry_count ? &entries[number] : NULL;
        if (made && is_signed_by(made, public) && !memcmp(e->signatures[i].signature + sizeof number, public, SIGN_PUBLIC_BYTES) && str_eq(made->type, e->type) &&
            made->len == e->payload.len && !memcmp(made->payload, e->payload.at, made->len))
            return true;
    }
    return false;
}
