/* DSSE v1 envelopes: made, taken apart, verified. The JSON of the envelope itself is untrusted and read with bounds;
 * the payload is never looked into here. */
#include "wire/envelope.h"
#include "rt/json.h"
#include "rt/utf8.h"
#include <string.h>

#define KEY_ID_LENGTH (SIGN_ID_MAX - 1)

void envelope_free(struct envelope *e) {
    strbuf_free(&e->payload);
}

void envelope_pae(const char *type, struct bytes payload, struct strbuf *to) {
    strbuf_addf(to, "DSSEv1 %zu %s %zu ", strlen(type), type, payload.len);
    strbuf_add_bytes(to, payload.at, payload.len);
}

static json_t *json_base64(const void *data, size_t len) {
    STRBUF text = {0};
    str_base64(&text, data, len);
    return json_string(text.at);
}

static json_t *signature_json(const struct sign_key *key, struct bytes pae) {
    unsigned char signature[SIGN_BYTES];
    sign_make(key, pae, signature);
    json_t *json = json_object();
    json_object_set_new(json, "keyid", json_string(key->id));
    json_object_set_new(json, "sig", json_base64(signature, sizeof signature));
    return json;
}

bool envelope_sign(struct bytes payload, const char *type, const struct sign_key *keys, size_t count, struct strbuf *out, struct err *err) {
    if (count < 1 || count > ENVELOPE_SIGNATURES_MAX)
        return err_set(err, ERR_LIMIT, "envelope: %zu signatures, 1 to %d are possible", count, ENVELOPE_SIGNATURES_MAX);
    if (strlen(type) >= ENVELOPE_TYPE_MAX) return err_set(err, ERR_LIMIT, "envelope: the payload type is too long");
    STRBUF pae = {0}, text = {.limit = ENVELOPE_TEXT_MAX};
    envelope_pae(type, payload, &pae);
    JSON_AUTO *json = json_object();
    json_object_set_new(json, "payload", json_base64(payload.at, payload.len));
    json_object_set_new(json, "payloadType", json_string(type));
    json_t *signatures = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(signatures, signature_json(&keys[i], (struct bytes){pae.at, pae.len}));
    json_object_set_new(json, "signatures", signatures);
    json_write(json, &text);
    if (text.overflow) return err_set(err, ERR_LIMIT, "envelope: longer than %u bytes", ENVELOPE_TEXT_MAX);
    strbuf_add_bytes(out, text.at, text.len);
    return true;
}

/* The standard spelling of a text in the URL-safe alphabet; false when it mixes both. */
static bool standard_alphabet(const char *text, size_t len, struct strbuf *to) {
    const bool url_safe = strpbrk(text, "-_"), standard = strpbrk(text, "+/");
    if (url_safe && standard) return false;
    strbuf_add_bytes(to, text, len);
    for (char *c = to->at; *c; c++) *c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
    return true;
}

static bool read_base64(const json_t *object, const char *name, struct strbuf *to, struct err *err) {
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value)) return err_set(err, ERR_INVALID, "envelope: \"%s\" is missing or no text", name);
    STRBUF text = {0};
    if (!standard_alphabet(json_string_value(value), json_string_length(value), &text) || !str_unbase64(to, text.at, text.len))
        return err_set(err, ERR_INVALID, "envelope: \"%s\" is no base64", name);
    return true;
}

/* An object of exactly `count` members. Together with reading each by name this means: those and no others. */
static bool is_object_of(const json_t *json, size_t count) {
    return json_is_object(json) && json_object_size(json) == count;
}

static bool read_key_id(const json_t *json, char to[SIGN_ID_MAX], struct err *err) {
    const char *id = json_text(json, "keyid", "");
    unsigned char octets[KEY_ID_LENGTH / 2];
    if (!str_unhex(octets, sizeof octets, id)) return err_set(err, ERR_INVALID, "envelope: \"keyid\" is not %d hex digits", KEY_ID_LENGTH);
    str_copy(to, SIGN_ID_MAX, id);
    return true;
}

static bool read_signature(const json_t *json, struct envelope_signature *to, struct err *err) {
    STRBUF octets = {0};
    if (!is_object_of(json, 2)) return err_set(err, ERR_INVALID, "envelope: a signature must be an object of \"keyid\" and \"sig\"");
    if (!read_key_id(json, to->key_id, err) || !read_base64(json, "sig", &octets, err)) return false;
    if (octets.len != SIGN_BYTES) return err_set(err, ERR_INVALID, "envelope: \"sig\" has %zu bytes, not %d", octets.len, SIGN_BYTES);
    memcpy(to->signature, octets.at, SIGN_BYTES);
    return true;
}

static bool read_signatures(const json_t *list, struct envelope *out, struct err *err) {
    const size_t count = json_array_size(list); /* 0 when it is no array */
    if (count < 1 || count > ENVELOPE_SIGNATURES_MAX)
        return err_set(err, ERR_INVALID, "envelope: \"signatures\" must be a list of 1 to %d", ENVELOPE_SIGNATURES_MAX);
    for (size_t i = 0; i < count; i++)
        if (!read_signature(json_array_get(list, i), &out->signatures[i], err)) return err_wrap(err, "signature %zu", i + 1);
    out->signature_count = (uint32_t)count;
    return true;
}

static bool read_type(const json_t *json, const char *type_wanted, struct envelope *out, struct err *err) {
    const char *type = json_text(json, "payloadType", "");
    char words[ENVELOPE_TYPE_MAX];
    utf8_printable(words, sizeof words, type);
    if (!str_eq(type, type_wanted)) return err_set(err, ERR_REFUSED, "envelope: holds \"%s\" where \"%s\" is wanted", words, type_wanted);
    if (!str_copy(out->type, sizeof out->type, type)) return err_set(err, ERR_LIMIT, "envelope: the payload type is too long");
    return true;
}

static bool read_envelope(const json_t *json, const char *type_wanted, struct envelope *out, struct err *err) {
    if (!is_object_of(json, 3))
        return err_set(err, ERR_INVALID, "envelope: must be an object of \"payload\", \"payloadType\" and \"signatures\"");
    if (!read_type(json, type_wanted, out, err)) return false;
    return read_signatures(json_object_get(json, "signatures"), out, err) && read_base64(json, "payload", &out->payload, err);
}

bool envelope_open(struct bytes text, const char *type_wanted, struct envelope *out, struct err *err) {
    *out = (struct envelope){0};
    if (text.len > ENVELOPE_TEXT_MAX) return err_set(err, ERR_LIMIT, "envelope: longer than %u bytes", ENVELOPE_TEXT_MAX);
    JSON_AUTO *json = json_parse(text, err);
    if (!json) return err_wrap(err, "envelope");
    if (!read_envelope(json, type_wanted, out, err)) {
        envelope_free(out);
        *out = (struct envelope){0};
        return false;
    }
    sign_hash((struct bytes){out->payload.at, out->payload.len}, out->hash);
    return true;
}

bool envelope_verified_by(const struct envelope *e, const unsigned char public[SIGN_PUBLIC_BYTES]) {
    STRBUF pae = {0};
    char id[SIGN_ID_MAX];
    sign_public_id(public, id);
    envelope_pae(e->type, (struct bytes){e->payload.at, e->payload.len}, &pae);
    for (uint32_t i = 0; i < e->signature_count; i++)
        if (str_eq(e->signatures[i].key_id, id) && sign_verify(public, (struct bytes){pae.at, pae.len}, e->signatures[i].signature))
            return true;
    return false;
}

static bool stands_before(const unsigned char (*publics)[SIGN_PUBLIC_BYTES], size_t at) {
    for (size_t i = 0; i < at; i++)
        if (memcmp(publics[i], publics[at], SIGN_PUBLIC_BYTES) == 0) return true;
    return false;
}

size_t envelope_verified_count(const struct envelope *e, const unsigned char (*publics)[SIGN_PUBLIC_BYTES], size_t count) {
    size_t verified = 0;
    for (size_t i = 0; i < count; i++)
        if (!stands_before(publics, i) && envelope_verified_by(e, publics[i])) verified++;
    return verified;
}
