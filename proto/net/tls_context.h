/* OpenSSL objects made from tls_files. For the files of this directory only: whoever includes net/tls.h needs to know
 * nothing of OpenSSL. */
#ifndef NET_TLS_CONTEXT_H
#define NET_TLS_CONTEXT_H
#include "net/tls.h"
#include <openssl/ssl.h>
#include <stddef.h>

/* Certificate, key and CA loaded and checked as tls_check says; NULL with the error otherwise. No role yet. */
SSL_CTX *tls_context_load(const struct tls_files *files, struct err *err);
/* For a listener: TLS 1.3 only, no resumption; with `client_certificates` a client must show one signed by the CA. */
SSL_CTX *tls_context_server(const struct tls_files *files, bool client_certificates, struct err *err);
void tls_context_free_cleanup(SSL_CTX **context);
#define TLS_CONTEXT_AUTO __attribute__((cleanup(tls_context_free_cleanup)))

/* First URI among the subject alternative names of the peer's certificate. "" if there is none, if it holds a NUL
 * byte, or if it does not fit: half an identity is none. */
void tls_peer_uri(const SSL *ssl, char *to, size_t size);
#endif
