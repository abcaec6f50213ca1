/* Checks of the TLS files that must give a sentence a DBA can act on: which file, what is wrong, what to do. */
#include "net/tls.h"
#include "net/tls_context.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <time.h>

static void store_ctx_free(X509_STORE_CTX **ctx) {
    X509_STORE_CTX_free(*ctx);
}

/* OpenSSL's newest reason with the file and the cure. Leaves this thread's queue empty, else the next reader of the
 * queue would see our errors as its own. */
static bool refused_by_openssl(struct err *err, const char *what, const char *path, const char *cure) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    err_set(err, ERR_INVALID, "%s %s: %s; %s", what, path, reason ? reason : "not usable", cure);
    ERR_clear_error();
    return false;
}

static bool readable(const char *what, const char *path, struct err *err) {
    if (path[0] == '\0')
        return err_set(err, ERR_INVALID, "%s: no file is configured", what);
    FILE *file = fopen(path, "re");
    if (!file)
        return err_sys(err, errno, "%s %s", what, path);
    fclose(file);
    return true;
}

/* Without this OpenSSL would ask for the passphrase of an encrypted key on the terminal. */
static int no_passphrase(char *to, int size, int writing, void *context) {
    (void)to, (void)size, (void)writing, (void)context;
    return -1;
}

static bool load_files(SSL_CTX *context, const struct tls_files *files, struct err *err) {
    if (!readable("CA file", files->ca, err) || !readable("certificate", files->certificate, err) ||
        !readable("private key", files->key, err))
        return false;
    ERR_clear_error();
    if (SSL_CTX_load_verify_file(context, files->ca) != 1)
        return refused_by_openssl(err, "CA file", files->ca, "it must hold the CA's certificate in PEM");
    if (SSL_CTX_use_certificate_chain_file(context, files->certificate) != 1)
        return refused_by_openssl(err, "certificate", files->certificate, "it must hold this node's certificate in PEM");
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    /* Loading compares the key with the certificate, too; only then is the reason "key values mismatch". */
    if (SSL_CTX_use_PrivateKey_file(context, files->key, SSL_FILETYPE_PEM) != 1)
        return refused_by_openssl(err, "private key", files->key,
                                  "it must be the unencrypted PEM key that belongs to the certificate");
    return true;
}

/* Builds the chain from our certificate to the CA; 0 on success, else the X509_V_ERR_ code. `flags` as in
 * X509_VERIFY_PARAM_set_flags. */
static int chain_build(SSL_CTX *context, unsigned long flags, X509_STORE_CTX *ctx) {
    STACK_OF(X509) *extra = NULL;
    SSL_CTX_get_extra_chain_certs(context, &extra);
    if (X509_STORE_CTX_init(ctx, SSL_CTX_get_cert_store(context), SSL_CTX_get0_certificate(context), extra) != 1)
        return X509_V_ERR_OUT_OF_MEM;
    X509_STORE_CTX_set_flags(ctx, flags);
    return X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
}

static bool chain_check(SSL_CTX *context, const struct tls_files *files, unsigned long flags, struct err *err) {
    __attribute__((cleanup(store_ctx_free))) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int problem = ctx ? chain_build(context, flags, ctx) : X509_V_ERR_OUT_OF_MEM;
    ERR_clear_error();
    if (problem == X509_V_OK)
        return true;
    const char *cure = problem == X509_V_ERR_CERT_HAS_EXPIRED     ? "renew it"
                       : problem == X509_V_ERR_CERT_NOT_YET_VALID ? "check the clock of this host"
                                                                  : "have it signed by this CA, with the chain appended";
    return err_set(err, ERR_INVALID, "certificate %s against CA file %s: %s; %s", files->certificate, files->ca,
                   X509_verify_cert_error_string(problem), cure);
}

SSL_CTX *tls_context_load(const struct tls_files *files, struct err *err) {
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    if (!context) {
        err_set(err, ERR_INTERNAL, "OpenSSL cannot make a TLS context");
        return NULL;
    }
    if (load_files(context, files, err) && chain_check(context, files, X509_V_FLAG_NO_CHECK_TIME, err))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

bool tls_usable(const struct tls_files *files, struct err *err) {
    TLS_CONTEXT_AUTO SSL_CTX *context = tls_context_load(files, err);
    return context != NULL;
}

bool tls_check(const struct tls_files *files, struct err *err) {
    TLS_CONTEXT_AUTO SSL_CTX *context = tls_context_load(files, err);
    return context && chain_check(context, files, 0, err);
}

static int64_t not_after_wall_ms(const X509 *certificate) {
    struct tm end;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1)
        return 0;
    return (int64_t)timegm(&end) * 1000;
}

int64_t tls_expiry_wall_ms(const struct tls_files *files) {
    TLS_CONTEXT_AUTO SSL_CTX *context = SSL_CTX_new(TLS_method());
    __attribute__((cleanup(store_ctx_free))) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    struct err ignored;
    if (!context || !ctx || !load_files(context, files, &ignored))
        return 0;
    /* An end of validity that has passed is what the caller wants to hear of, so it must not break the chain. */
    int problem = chain_build(context, X509_V_FLAG_NO_CHECK_TIME, ctx);
    ERR_clear_error();
    if (problem != X509_V_OK)
        return 0;
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
    int64_t earliest = 0;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int64_t end = not_after_wall_ms(sk_X509_value(chain, i));
        if (i == 0 || end < earliest)
            earliest = end;
    }
    return earliest;
}
