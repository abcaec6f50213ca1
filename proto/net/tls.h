/* TLS 1.3 with certificates of a private CA on both sides. Certificates only let a peer connect; rights come from
 * signed documents. Used by the HTTP server (OpenSSL bufferevents) and checked before curl is told the same files. */
#ifndef NET_TLS_H
#define NET_TLS_H
#include "rt/err.h"
#include <stdint.h>

struct tls_files {
    char ca[512], certificate[512], key[512];
};
/* Loads and checks the three files: they exist, the key belongs to the certificate, the chain leads to the CA, not
 * expired. Errors name the file and the cure. */
bool tls_check(const struct tls_files *files, struct err *err);
/* The same but for the time: with a certificate that has expired no peer talks to us, yet the rest of us goes on. */
bool tls_usable(const struct tls_files *files, struct err *err);
/* Earliest end of validity among the certificate and its CA, ms since 1970; 0 if unreadable. */
int64_t tls_expiry_wall_ms(const struct tls_files *files);
#endif
