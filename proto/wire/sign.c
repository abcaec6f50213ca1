/* Ed25519 and SHA-256 by libsodium. Secrets stay out of the general buffers: a key file is read and written through
 * small arrays on the stack that are wiped, because freed heap memory keeps what it held. */
#include "wire/sign.h"
#include "rt/file.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECRET_PREFIX "pgregent-ed25519-secret:"
#define PUBLIC_PREFIX "ed25519:"
#define BASE64_MAX sodium_base64_ENCODED_LEN(crypto_sign_SEEDBYTES, sodium_base64_VARIANT_ORIGINAL) /* with NUL */
#define LINE_MAX_BYTES (sizeof SECRET_PREFIX + BASE64_MAX) /* with newline and NUL */

_Static_assert(SIGN_SECRET_BYTES == crypto_sign_SECRETKEYBYTES, "libsodium's secret key");
_Static_assert(SIGN_PUBLIC_BYTES == crypto_sign_PUBLICKEYBYTES, "libsodium's public key");
_Static_assert(SIGN_PUBLIC_BYTES == crypto_sign_SEEDBYTES, "seed and public key are base64 of the same length");
_Static_assert(SIGN_BYTES == crypto_sign_BYTES, "libsodium's signature");
_Static_assert(sizeof PUBLIC_PREFIX + BASE64_MAX <= SIGN_PUBLIC_TEXT_MAX, "text of a public key");

/* libsodium wants this before any other call; again and again is cheap and safe. Fails only without random numbers. */
static void ready(void) {
    if (sodium_init() < 0) abort();
}

static const unsigned char *octets(struct bytes data) {
    return (const unsigned char *)(data.at ? data.at : "");
}

void sign_hash(struct bytes data, char to[SIGN_HASH_TEXT_MAX]) {
    unsigned char hash[crypto_hash_sha256_BYTES];
    ready();
    crypto_hash_sha256(hash, octets(data), data.len);
    str_hex(to, hash, sizeof hash);
}

void sign_public_id(const unsigned char public[SIGN_PUBLIC_BYTES], char to[SIGN_ID_MAX]) {
    char hash[SIGN_HASH_TEXT_MAX];
    sign_hash((struct bytes){(const char *)public, SIGN_PUBLIC_BYTES}, hash);
    (void)str_copy(to, SIGN_ID_MAX, hash); /* cut off on purpose */
}

/* Locking is the best that can be had: RLIMIT_MEMLOCK may be zero, and a key that works beats none. */
static void key_from_seed(struct sign_key *key, const unsigned char seed[crypto_sign_SEEDBYTES]) {
    (void)sodium_mlock(key->secret, sizeof key->secret);
    crypto_sign_seed_keypair(key->public, key->secret, seed);
    sign_public_id(key->public, key->id);
}

void sign_key_generate(struct sign_key *key) {
    unsigned char seed[crypto_sign_SEEDBYTES];
    ready();
    randombytes_buf(seed, sizeof seed);
    key_from_seed(key, seed);
    sodium_memzero(seed, sizeof seed);
}

void sign_key_free(struct sign_key *key) {
    if (!key->id[0]) return; /* never filled: nothing was locked */
    (void)sodium_munlock(key->secret, sizeof key->secret);
    sodium_memzero(key, sizeof *key);
}

/* Exactly 32 bytes in the one canonical spelling. */
static bool bytes_from_base64(unsigned char to[32], const char *text, size_t text_len) {
    size_t len = 0;
    return text_len == BASE64_MAX - 1 &&
           sodium_base642bin(to, 32, text, text_len, NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 && len == 32;
}

/* Reads the file's one line into `line`, NUL-terminated and without its newline. */
static bool read_line(const char *path, char line[LINE_MAX_BYTES], struct err *err) {
    if (!file_check_private(path, err)) return false;
    FILE_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return err_sys(err, errno, "%s: open", path);
    ssize_t n = read(fd, line, LINE_MAX_BYTES - 1);
    if (n < 0) return err_sys(err, errno, "%s: read", path);
    if (n > 0 && line[n - 1] == '\n') n--;
    line[n] = '\0';
    char more;
    if (read(fd, &more, 1) != 0) return err_set(err, ERR_INVALID, "%s: holds more than one private key", path);
    return true;
}

bool sign_key_load(const char *path, struct sign_key *key, struct err *err) {
    char line[LINE_MAX_BYTES] = "";
    unsigned char seed[crypto_sign_SEEDBYTES];
    const size_t prefix_len = sizeof SECRET_PREFIX - 1;
    ready();
    bool was_read = read_line(path, line, err);
    bool is_key = was_read && str_starts(line, SECRET_PREFIX) && bytes_from_base64(seed, line + prefix_len, strlen(line + prefix_len));
    if (is_key) key_from_seed(key, seed);
    sodium_memzero(line, sizeof line);
    sodium_memzero(seed, sizeof seed);
    if (was_read && !is_key)
        return err_set(err, ERR_INVALID, "%s: is no private key: one line \"" SECRET_PREFIX "\" and base64 of 32 bytes is wanted", path);
    return is_key;
}

bool sign_key_save(const char *path, const struct sign_key *key, struct err *err) {
    char base64[BASE64_MAX], line[LINE_MAX_BYTES];
    if (file_exists(path)) return err_set(err, ERR_CONFLICT, "%s: exists, and a key is never overwritten: move it away first", path);
    ready();
    sodium_bin2base64(base64, sizeof base64, key->secret, crypto_sign_SEEDBYTES, sodium_base64_VARIANT_ORIGINAL);
    int len = snprintf(line, sizeof line, SECRET_PREFIX "%s\n", base64);
    bool saved = file_write(path, line, (size_t)len, 0600, err);
    sodium_memzero(base64, sizeof base64);
    sodium_memzero(line, sizeof line);
    return saved;
}

bool sign_public_parse(const char *text, unsigned char public[SIGN_PUBLIC_BYTES], struct err *err) {
    const size_t prefix_len = sizeof PUBLIC_PREFIX - 1;
    ready();
    if (!str_starts(text, PUBLIC_PREFIX) || !bytes_from_base64(public, text + prefix_len, strlen(text + prefix_len)))
        return err_set(err, ERR_INVALID, "\"%.80s\" is no public key: \"" PUBLIC_PREFIX "\" and base64 of 32 bytes is wanted", text);
    if (!crypto_core_ed25519_is_valid_point(public))
        return err_set(err, ERR_INVALID, "\"%.80s\" is no public key: no point of the curve that a key may be", text);
    return true;
}

void sign_public_format(const unsigned char public[SIGN_PUBLIC_BYTES], char to[SIGN_PUBLIC_TEXT_MAX]) {
    char base64[BASE64_MAX];
    ready();
    sodium_bin2base64(base64, sizeof base64, public, SIGN_PUBLIC_BYTES, sodium_base64_VARIANT_ORIGINAL);
    snprintf(to, SIGN_PUBLIC_TEXT_MAX, PUBLIC_PREFIX "%s", base64);
}

void sign_make(const struct sign_key *key, struct bytes message, unsigned char signature[SIGN_BYTES]) {
    ready();
    crypto_sign_detached(signature, NULL, octets(message), message.len, key->secret);
}

bool sign_verify(const unsigned char public[SIGN_PUBLIC_BYTES], struct bytes message, const unsigned char signature[SIGN_BYTES]) {
    ready();
    return crypto_sign_verify_detached(signature, octets(message), message.len, public) == 0;
}
