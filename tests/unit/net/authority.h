/* A private CA for tests, made on the fly with libcrypto: keys and certificates as PEM files in a directory of the
 * test's own. */
#ifndef TESTS_NET_AUTHORITY_H
#define TESTS_NET_AUTHORITY_H
#include "net/tls.h"
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S (24 * 3600L)

struct authority {
    const char *dir, *name;
    EVP_PKEY *key;
    X509 *certificate;
};

/* What a certificate says. Times are seconds from now. */
struct issue {
    const char *name;      /* common name and file name */
    const char *alt_names; /* as in openssl.cnf: "IP:127.0.0.1,URI:pgregent:site/fra"; NULL: none */
    long from_s, until_s;  /* until_s 0: ten days */
    const char *passphrase; /* encrypts the key file */
};

static inline void authority_path(char to[512], const struct authority *a, const char *name, const char *suffix) {
    snprintf(to, 512, "%s/%s.%s", a->dir, name, suffix);
}

static inline void authority_extend(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert(extension && X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

static inline X509 *authority_sign(const struct authority *a, EVP_PKEY *key, const struct issue *what) {
    static long serial = 1;
    X509 *certificate = X509_new();
    X509 *issuer = a->certificate ? a->certificate : certificate;
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), what->from_s ? what->from_s : -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), what->until_s ? what->until_s : 10 * DAY_S);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               (const unsigned char *)what->name, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    if (!a->certificate)
        authority_extend(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE");
    if (what->alt_names)
        authority_extend(certificate, issuer, NID_subject_alt_name, what->alt_names);
    assert(X509_sign(certificate, a->key, EVP_sha256()));
    return certificate;
}

static inline void authority_write(const struct authority *a, const struct issue *what, X509 *certificate, EVP_PKEY *key) {
    char path[512];
    authority_path(path, a, what->name, "crt");
    FILE *file = fopen(path, "w");
    assert(file && PEM_write_X509(file, certificate));
    fclose(file);
    authority_path(path, a, what->name, "key");
    file = fopen(path, "w");
    assert(file && PEM_write_PrivateKey(file, key, what->passphrase ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL,
                                        (void *)(uintptr_t)what->passphrase));
    fclose(file);
}

/* Also writes DIR/NAME.crt, the CA file of everybody. */
static inline struct authority authority_new(const char *dir, const struct issue *what) {
    struct authority a = {.dir = dir, .name = what->name, .key = EVP_EC_gen("P-256")};
    X509 *certificate = authority_sign(&a, a.key, what);
    a.certificate = certificate;
    authority_write(&a, what, certificate, a.key);
    return a;
}

/* Writes DIR/NAME.crt and DIR/NAME.key and returns the three paths. */
static inline struct tls_files authority_issue(const struct authority *a, const struct issue *what) {
    struct tls_files files;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = authority_sign(a, key, what);
    authority_write(a, what, certificate, key);
    authority_path(files.ca, a, a->name, "crt");
    authority_path(files.certificate, a, what->name, "crt");
    authority_path(files.key, a, what->name, "key");
    X509_free(certificate);
    EVP_PKEY_free(key);
    return files;
}

static inline void authority_free(struct authority *a) {
    X509_free(a->certificate);
    EVP_PKEY_free(a->key);
}

static inline char *temporary_directory(void) {
    char pattern[] = "/tmp/pgregent-test-XXXXXX";
    char *dir = mkdtemp(pattern);
    assert(dir);
    return strdup(dir);
}
#endif
