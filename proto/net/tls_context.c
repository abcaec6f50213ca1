/* TLS of the listeners: what the server demands of a handshake, and who the peer turned out to be. */
#include "net/tls_context.h"
#include "rt/str.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

void tls_context_free_cleanup(SSL_CTX **context) {
    SSL_CTX_free(*context);
}

/* Sessions are never resumed: a resumed one would keep the certificate of its first handshake, and so outlive a
 * change of the CA. Daemons keep their connections, so full handshakes are rare. The id context is set all the same:
 * without it OpenSSL fails connections of clients that try. */
static bool forbid_resumption(SSL_CTX *context) {
    static const unsigned char id[] = "pgregent";
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_num_tickets(context, 0) == 1 && SSL_CTX_set_session_id_context(context, id, sizeof id - 1) == 1;
}

static bool demand_client_certificates(SSL_CTX *context, const char *ca) {
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca);
    if (!names)
        return false;
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return true;
}

SSL_CTX *tls_context_server(const struct tls_files *files, bool client_certificates, struct err *err) {
    SSL_CTX *context = tls_context_load(files, err);
    if (!context)
        return NULL;
    if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 && forbid_resumption(context) &&
        (!client_certificates || demand_client_certificates(context, files->ca)))
        return context;
    ERR_clear_error();
    SSL_CTX_free(context);
    err_set(err, ERR_INTERNAL, "OpenSSL refuses the settings of a TLS 1.3 server with CA file %s", files->ca);
    return NULL;
}

static bool copy_uri(const GENERAL_NAME *name, char *to, size_t size) {
    if (name->type != GEN_URI)
        return false;
    const ASN1_STRING *uri = name->d.uniformResourceIdentifier;
    size_t len = (size_t)ASN1_STRING_length(uri);
    const unsigned char *text = ASN1_STRING_get0_data(uri);
    if (len < size && !memchr(text, '\0', len)) {
        memcpy(to, text, len);
        to[len] = '\0';
    }
    return true;
}

void tls_peer_uri(const SSL *ssl, char *to, size_t size) {
    to[0] = '\0';
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (!certificate)
        return;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        if (copy_uri(sk_GENERAL_NAME_value(names, i), to, size))
            break;
    GENERAL_NAMES_free(names);
}
