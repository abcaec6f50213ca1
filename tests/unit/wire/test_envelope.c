/* Signed envelopes: the published vectors, and every way to forge, mix up, cut or stretch one. */
#include "rt/file.h"
#include "wire/envelope.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#define TYPE "application/vnd.pgregent.order.v1+json"
#define OTHER_TYPE "application/vnd.pgregent.receipt.v1+json"

static struct bytes text_of(const char *text) {
    return (struct bytes){text, strlen(text)};
}

static struct bytes bytes_of(const struct strbuf *b) {
    return (struct bytes){b->at, b->len};
}

/* Two keys that stay the same in all runs, by the seeds of RFC 8032, 7.1, tests 1 and 2. */
struct vector {
    const char *seed, *public, *message, *signature;
};
static const struct vector rfc8032[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

static char directory[] = "/tmp/test_envelope.XXXXXX";

static int make_directory(void **state) {
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}
static int remove_directory(void **state) {
    (void)state;
    return file_remove_tree(directory, NULL) ? 0 : -1;
}

/* Through the file format: the way a seed becomes a key in the product. */
static void load_seed(const char *hex, struct sign_key *key) {
    unsigned char seed[32];
    char path[256];
    struct err err;
    STRBUF line = {0};
    assert_true(str_unhex(seed, sizeof seed, hex));
    strbuf_add(&line, "pgregent-ed25519-secret:");
    str_base64(&line, seed, sizeof seed);
    strbuf_add(&line, "\n");
    snprintf(path, sizeof path, "%s/seed.key", directory);
    assert_true(file_write(path, line.at, line.len, 0600, &err));
    if (!sign_key_load(path, key, &err)) fail_msg("%s", err.text);
}

static void rfc8032_vectors_hold(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rfc8032 / sizeof *rfc8032; i++) {
        const struct vector *v = &rfc8032[i];
        SIGN_KEY_AUTO key = {0};
        unsigned char message[2], signature[SIGN_BYTES];
        char hex[2 * SIGN_BYTES + 1];
        size_t len = strlen(v->message) / 2;
        load_seed(v->seed, &key);
        str_hex(hex, key.public, SIGN_PUBLIC_BYTES);
        assert_string_equal(hex, v->public);
        assert_true(str_unhex(message, len, v->message));
        struct bytes bytes = {(const char *)message, len};
        sign_make(&key, bytes, signature);
        str_hex(hex, signature, sizeof signature);
        assert_string_equal(hex, v->signature);
        assert_true(sign_verify(key.public, bytes, signature));
        signature[0] ^= 1;
        assert_false(sign_verify(key.public, bytes, signature));
    }
}

/* S and S + L verify alike in naive code: then a signature has two spellings (RFC 8032, 5.1.7). */
static void malleable_signature_is_refused(void **state) {
    (void)state;
    static const unsigned char order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
    SIGN_KEY_AUTO key = {0};
    unsigned char signature[SIGN_BYTES];
    sign_key_generate(&key);
    sign_make(&key, text_of("x"), signature);
    for (unsigned i = 0, carry = 0; i < 32; i++) {
        carry += (unsigned)signature[32 + i] + order[i];
        signature[32 + i] = (unsigned char)carry;
        carry >>= 8;
    }
    assert_false(sign_verify(key.public, text_of("x"), signature));
}

static void hash_is_sha256_in_hex(void **state) {
    (void)state;
    char hash[SIGN_HASH_TEXT_MAX];
    sign_hash(text_of("abc"), hash);
    assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sign_hash((struct bytes){NULL, 0}, hash);
    assert_string_equal(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void pae_is_the_published_one(void **state) {
    (void)state;
    STRBUF pae = {0};
    envelope_pae("http://example.com/HelloWorld", text_of("hello world"), &pae);
    assert_string_equal(pae.at, "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
}

static void public_key_text_is_strict(void **state) {
    (void)state;
    unsigned char public[SIGN_PUBLIC_BYTES];
    char text[SIGN_PUBLIC_TEXT_MAX];
    SIGN_KEY_AUTO key = {0};
    struct err err;
    sign_key_generate(&key);
    sign_public_format(key.public, text);
    assert_true(sign_public_parse(text, public, &err));
    assert_memory_equal(public, key.public, sizeof public);
    static const char *const bad[] = {
        "", "ed25519:", "ED25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURp=",  /* left-over bits: another spelling */
        "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=",  /* the other alphabet */
        "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= ", "ed25519: 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUR=",
        "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", /* a point of small order */
        "ed25519:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    };
    assert_true(sign_public_parse("ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", public, &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (sign_public_parse(bad[i], public, &err)) fail_msg("taken: %s", bad[i]);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void key_file_goes_round_and_is_never_overwritten(void **state) {
    (void)state;
    char path[256];
    struct err err;
    struct stat st;
    SIGN_KEY_AUTO key = {0};
    SIGN_KEY_AUTO again = {0};
    snprintf(path, sizeof path, "%s/agent.key", directory);
    sign_key_generate(&key);
    if (!sign_key_save(path, &key, &err)) fail_msg("%s", err.text);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(sign_key_load(path, &again, &err));
    assert_memory_equal(&again, &key, sizeof key);
    assert_int_equal(strlen(key.id), 16);
    assert_false(sign_key_save(path, &key, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_int_equal(chmod(path, 0640), 0);
    sign_key_free(&again);
    assert_false(sign_key_load(path, &again, &err));
    assert_int_equal(err.code, ERR_REFUSED);
}

static void freed_key_is_wiped(void **state) {
    (void)state;
    struct sign_key key = {0}, nothing = {0};
    sign_key_generate(&key);
    sign_key_free(&key);
    assert_memory_equal(&key, &nothing, sizeof key);
}

static void broken_key_file_is_refused_and_not_quoted(void **state) {
    (void)state;
    static const char *const bad[] = {
        "", "\n", "pgregent-ed25519-secret:", "pgregent-ed25519-secret:c2VjcmV0\n", "pgregent-ed25519-secret:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2\n",
        "ed25519:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n", "pgregent-ed25519-secret:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n\n",
        "pgregent-ed25519-secret:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\nand a second line that is long enough\n",
    };
    char path[256];
    snprintf(path, sizeof path, "%s/broken.key", directory);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err;
        SIGN_KEY_AUTO key = {0};
        assert_true(file_write(path, bad[i], strlen(bad[i]), 0600, &err));
        if (sign_key_load(path, &key, &err)) fail_msg("taken: %s", bad[i]);
        assert_int_equal(err.code, ERR_INVALID);
        assert_null(strstr(err.text, "nWGxne"));
        assert_string_equal(key.id, "");
    }
}

/* --- envelopes */

static void seal(const char *payload, const struct sign_key *keys, size_t count, struct strbuf *out) {
    struct err err;
    if (!envelope_sign(text_of(payload), TYPE, keys, count, out, &err)) fail_msg("%s", err.text);
}

static bool opens_and_verifies(struct bytes text, const struct sign_key *key) {
    ENVELOPE e;
    return envelope_open(text, TYPE, &e, NULL) && envelope_verified_by(&e, key->public);
}

static void sealed_document_comes_out_as_it_went_in(void **state) {
    (void)state;
    SIGN_KEY_AUTO key = {0};
    SIGN_KEY_AUTO stranger = {0};
    STRBUF text = {0};
    struct err err;
    ENVELOPE e;
    char hash[SIGN_HASH_TEXT_MAX];
    sign_key_generate(&key);
    sign_key_generate(&stranger);
    seal("{\"serial\": 7}", &key, 1, &text);
    if (!envelope_open(bytes_of(&text), TYPE, &e, &err)) fail_msg("%s", err.text);
    assert_string_equal(e.payload.at, "{\"serial\": 7}");
    assert_string_equal(e.signatures[0].key_id, key.id);
    sign_hash(text_of("{\"serial\": 7}"), hash);
    assert_string_equal(e.hash, hash);
    assert_true(envelope_verified_by(&e, key.public));
    assert_false(envelope_verified_by(&e, stranger.public));
}

/* A fixed key gives a fixed envelope: the format may not drift between versions. */
static void envelope_text_is_stable(void **state) {
    (void)state;
    SIGN_KEY_AUTO key = {0};
    STRBUF text = {0};
    struct err err;
    load_seed(rfc8032[0].seed, &key);
    assert_true(envelope_sign(text_of("hello world"), "http://example.com/HelloWorld", &key, 1, &text, &err));
    assert_string_equal(text.at, "{\"payload\":\"aGVsbG8gd29ybGQ=\",\"payloadType\":\"http://example.com/HelloWorld\",\"signatures\":[{\"keyid\":"
                                 "\"21fe31dfa154a261\",\"sig\":\"4DHX3Zn4qpBKvEj7maE8O9u9bjXEnPLLnyXVUJ2PXJR8DSLcL3QDpFvfJOj3pB/SPHsl6Jg4boxsMb6KvuYABw==\"}]}");
}

static void every_flipped_bit_is_refused(void **state) {
    (void)state;
    SIGN_KEY_AUTO key = {0};
    STRBUF text = {0};
    sign_key_generate(&key);
    seal("{\"serial\": 7}", &key, 1, &text);
    assert_true(opens_and_verifies(bytes_of(&text), &key));
    for (size_t bit = 0; bit < 8 * text.len; bit++) {
        text.at[bit / 8] = (char)(text.at[bit / 8] ^ 1 << bit % 8);
        if (opens_and_verifies(bytes_of(&text), &key)) fail_msg("bit %zu of %s", bit, text.at);
        text.at[bit / 8] = (char)(text.at[bit / 8] ^ 1 << bit % 8);
    }
}

static void every_shorter_text_is_refused(void **state) {
    (void)state;
    SIGN_KEY_AUTO key = {0};
    STRBUF text = {0};
    sign_key_generate(&key);
    seal("{}", &key, 1, &text);
    for (size_t len = 0; len < text.len; len++) {
        char *cut = rt_alloc(len + 1); /* of exactly that size, so that a sanitizer sees a read beyond it */
        memcpy(cut, text.at, len);
        assert_false(opens_and_verifies((struct bytes){cut, len}, &key));
        rt_free(cut);
    }
    strbuf_add(&text, "x");
    assert_false(opens_and_verifies(bytes_of(&text), &key));
}

static void another_type_is_refused_inside_and_outside(void **state) {
    (void)state;
    SIGN_KEY_AUTO key = {0};
    STRBUF text = {0};
    struct err err;
    ENVELOPE e;
    sign_key_generate(&key);
    assert_true(envelope_sign(text_of("{}"), OTHER_TYPE, &key, 1, &text, &err));
    assert_false(envelope_open(bytes_of(&text), TYPE, &e, &err));
    assert_int_equal(err.code, ERR_REFUSED);
    assert_non_null(strstr(err.text, OTHER_TYPE));
    /* The same with the label exchanged: the signature covers the type. */
    assert_true(envelope_open(bytes_of(&text), OTHER_TYPE, &e, &err));
    assert_true(envelope_verified_by(&e, key.public));
    str_copy(e.type, sizeof e.type, TYPE);
    assert_false(envelope_verified_by(&e, key.public));
}

static void two_signatures_of_one_key_count_once(void **state) {
    (void)state;
    struct sign_key keys[3] = {0};
    unsigned char publics[4][SIGN_PUBLIC_BYTES];
    STRBUF text = {0};
    struct err err;
    ENVELOPE e;
    load_seed(rfc8032[0].seed, &keys[0]);
    load_seed(rfc8032[0].seed, &keys[1]);
    load_seed(rfc8032[1].seed, &keys[2]);
    for (size_t i = 0; i < 3; i++) memcpy(publics[i], keys[i].public, SIGN_PUBLIC_BYTES);
    assert_true(str_unhex(publics[3], SIGN_PUBLIC_BYTES, rfc8032[2].public));
    seal("{}", keys, 2, &text);
    assert_true(envelope_open(bytes_of(&text), TYPE, &e, &err));
    assert_int_equal(e.signature_count, 2);
    assert_int_equal(envelope_verified_count(&e, publics, 4), 1);
    envelope_free(&e);
    strbuf_reset(&text);
    seal("{}", keys, 3, &text);
    assert_true(envelope_open(bytes_of(&text), TYPE, &e, &err));
    assert_int_equal(envelope_verified_count(&e, publics, 4), 2);
    for (size_t i = 0; i < 3; i++) sign_key_free(&keys[i]);
}

/* One signature cannot pass for another key's by a changed key id. */
static void key_id_is_only_a_hint(void **state) {
    (void)state;
    SIGN_KEY_AUTO key = {0};
    SIGN_KEY_AUTO trusted = {0};
    STRBUF text = {0};
    struct err err;
    ENVELOPE e;
    sign_key_generate(&key);
    sign_key_generate(&trusted);
    seal("{}", &key, 1, &text);
    assert_true(envelope_open(bytes_of(&text), TYPE, &e, &err));
    str_copy(e.signatures[0].key_id, SIGN_ID_MAX, trusted.id);
    assert_false(envelope_verified_by(&e, trusted.public));
}

static void swap_alphabet(struct strbuf *text) {
    for (char *c = strstr(text->at, "\"sig\""); *c; c++) *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
}

static void url_safe_base64_is_read_but_no_mixture(void **state) {
    (void)state;
    SIGN_KEY_AUTO key = {0};
    STRBUF text = {0};
    char *plus, *slash;
    load_seed(rfc8032[0].seed, &key);
    int n = 0;
    do { /* a payload whose signature has both of the digits that differ */
        char payload[16];
        snprintf(payload, sizeof payload, "%d", n++);
        strbuf_reset(&text);
        seal(payload, &key, 1, &text);
        plus = strchr(strstr(text.at, "\"sig\""), '+');
        slash = strchr(strstr(text.at, "\"sig\""), '/');
    } while (!plus || !slash);
    *plus = '-';
    assert_false(opens_and_verifies(bytes_of(&text), &key));
    swap_alphabet(&text);
    assert_true(opens_and_verifies(bytes_of(&text), &key));
}

#define SIG "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\""
#define SIGNATURE "{\"keyid\":\"21fe31dfa154a261\",\"sig\":" SIG "}"
#define ENVELOPE_OF(payload, rest) "{\"payload\":" payload ",\"payloadType\":\"" TYPE "\",\"signatures\":" rest "}"

static void malformed_envelopes_are_refused_with_a_reason(void **state) {
    (void)state;
    static const struct { const char *text, *reason; } cases[] = {
        {"[]", "must be an object"},
        {"{}", "must be an object"},
        {ENVELOPE_OF("\"e30=\"", "[]"), "list of 1 to 16"},
        {ENVELOPE_OF("\"e30=\"", "{}"), "list of 1 to 16"},
        {ENVELOPE_OF("\"e30=\"", "[1]"), "signature 1"},
        {ENVELOPE_OF("\"e30=\"", "[" SIGNATURE ",{\"keyid\":\"21fe31dfa154a261\"}]"), "signature 2"},
        {ENVELOPE_OF("\"e30=\"", "[{\"keyid\":\"21FE31dfa154a261\",\"sig\":" SIG "}]"), "keyid"},
        {ENVELOPE_OF("\"e30=\"", "[{\"keyid\":\"21fe31dfa154a261\",\"sig\":\"AAAA\"}]"), "has 3 bytes"},
        {ENVELOPE_OF("\"e30\"", "[" SIGNATURE "]"), "\"payload\" is no base64"},
        {ENVELOPE_OF("\"e31=\"", "[" SIGNATURE "]"), "\"payload\" is no base64"},
        {ENVELOPE_OF("\" e30=\"", "[" SIGNATURE "]"), "\"payload\" is no base64"},
        {ENVELOPE_OF("7", "[" SIGNATURE "]"), "\"payload\" is missing or no text"},
        {ENVELOPE_OF("\"e30=\",\"more\":1", "[" SIGNATURE "]"), "must be an object"},
        {ENVELOPE_OF("\"e30=\",\"payload\":\"e30=\"", "[" SIGNATURE "]"), "duplicate"},
        {"{\"payload\":\"e30=\",\"payloadType\":7,\"signatures\":[" SIGNATURE "]}", "is wanted"},
    };
    struct err err;
    ENVELOPE sound;
    assert_true(envelope_open(text_of(ENVELOPE_OF("\"e30=\"", "[" SIGNATURE "]")), TYPE, &sound, &err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct envelope e;
        if (envelope_open(text_of(cases[i].text), TYPE, &e, &err)) fail_msg("taken: %s", cases[i].text);
        if (!strstr(err.text, cases[i].reason)) fail_msg("%s: %s", cases[i].text, err.text);
        assert_null(e.payload.at);
    }
}

static void limits_hold_on_both_sides(void **state) {
    (void)state;
    SIGN_KEY_AUTO key = {0};
    struct sign_key many[ENVELOPE_SIGNATURES_MAX + 1] = {0};
    STRBUF payload = {0}, text = {0}, big = {0};
    struct err err;
    struct envelope e;
    sign_key_generate(&key);
    while (payload.len < ENVELOPE_TEXT_MAX / 4 * 3) strbuf_addf(&payload, "%0100d", 0);
    assert_false(envelope_sign(bytes_of(&payload), TYPE, &key, 1, &text, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(text.len, 0);
    payload.len -= 1024;
    assert_true(envelope_sign(bytes_of(&payload), TYPE, &key, 1, &text, &err));
    assert_true(opens_and_verifies(bytes_of(&text), &key));
    strbuf_add_bytes(&big, text.at, text.len);
    while (big.len <= ENVELOPE_TEXT_MAX) strbuf_addf(&big, "%100s", "");
    assert_false(envelope_open(bytes_of(&big), TYPE, &e, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_false(envelope_sign(text_of("{}"), TYPE, many, ENVELOPE_SIGNATURES_MAX + 1, &text, &err));
    assert_false(envelope_sign(text_of("{}"), TYPE, many, 0, &text, &err));
}

/* 17 signatures, each of them sound, in an envelope that envelope_sign would not make. */
static void too_many_signatures_are_refused(void **state) {
    (void)state;
    STRBUF text = {0};
    struct envelope e;
    struct err err;
    strbuf_add(&text, "{\"payload\":\"e30=\",\"payloadType\":\"" TYPE "\",\"signatures\":[" SIGNATURE);
    for (int i = 0; i < ENVELOPE_SIGNATURES_MAX; i++) strbuf_add(&text, "," SIGNATURE);
    strbuf_add(&text, "]}");
    assert_false(envelope_open(bytes_of(&text), TYPE, &e, &err));
    assert_non_null(strstr(err.text, "list of 1 to 16"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc8032_vectors_hold),
        cmocka_unit_test(malleable_signature_is_refused),
        cmocka_unit_test(hash_is_sha256_in_hex),
        cmocka_unit_test(pae_is_the_published_one),
        cmocka_unit_test(public_key_text_is_strict),
        cmocka_unit_test(key_file_goes_round_and_is_never_overwritten),
        cmocka_unit_test(freed_key_is_wiped),
        cmocka_unit_test(broken_key_file_is_refused_and_not_quoted),
        cmocka_unit_test(sealed_document_comes_out_as_it_went_in),
        cmocka_unit_test(envelope_text_is_stable),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(every_shorter_text_is_refused),
        cmocka_unit_test(another_type_is_refused_inside_and_outside),
        cmocka_unit_test(two_signatures_of_one_key_count_once),
        cmocka_unit_test(key_id_is_only_a_hint),
        cmocka_unit_test(url_safe_base64_is_read_but_no_mixture),
        cmocka_unit_test(malformed_envelopes_are_refused_with_a_reason),
        cmocka_unit_test(limits_hold_on_both_sides),
        cmocka_unit_test(too_many_signatures_are_refused),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
