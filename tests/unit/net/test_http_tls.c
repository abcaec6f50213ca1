/* HTTP over TLS 1.3 with certificates on both sides: who gets in, who does not, and whether the error says why. */
#include "http_fixture.h"
#include "authority.h"
#include "rt/file.h"
#include <openssl/ssl.h>

static char *dir;
static struct authority ca, stranger;
static struct tls_files server_files, client_files;

static int setup(void **state) {
    (void)state;
    dir = temporary_directory();
    ca = authority_new(dir, &(struct issue){.name = "ca"});
    stranger = authority_new(dir, &(struct issue){.name = "stranger"});
    server_files = authority_issue(&ca, &(struct issue){.name = "server", .alt_names = "IP:127.0.0.1"});
    client_files = authority_issue(
        &ca, &(struct issue){.name = "client", .alt_names = "DNS:x,URI:pgregent:site/fra,URI:pgregent:site/ams"});
    return 0;
}

static int teardown(void **state) {
    (void)state;
    authority_free(&ca);
    authority_free(&stranger);
    struct err err;
    bool gone = file_remove_tree(dir, &err);
    free(dir);
    return gone ? 0 : -1;
}

static void append_file(struct strbuf *to, const char *path) {
    struct err err;
    assert_true(file_read(path, 1 << 20, to, &err));
}

/* Makes a CA file of both authorities, for a node whose CA is being changed. */
static void trust_both(struct tls_files *files) {
    STRBUF both = {0};
    char path[512];
    struct err err;
    authority_path(path, &ca, "ca", "crt");
    append_file(&both, path);
    authority_path(path, &ca, "stranger", "crt");
    append_file(&both, path);
    authority_path(files->ca, &ca, "both", "crt");
    assert_true(file_write(files->ca, both.at, both.len, 0644, &err));
}

static struct got ask_over(const struct tls_files *files, struct http_server *s) {
    struct http_client *c = client_with(files);
    struct got got = ask(c, "GET", url_of(s, "https", "/who"), NULL);
    http_client_free(c);
    return got;
}

/* ---- let in ---- */

static void both_sides_know_each_other(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){0}, &server_files);
    assert_answer(ask_over(&client_files, s), 200, "127.0.0.1 pgregent:site/fra");
    http_server_stop(s);
}

static void a_certificate_without_uri_or_with_an_endless_one_has_no_identity(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){0}, &server_files);
    struct tls_files files = authority_issue(&ca, &(struct issue){.name = "nobody", .alt_names = "DNS:x"});
    assert_answer(ask_over(&files, s), 200, "127.0.0.1 ");
    char alt[400] = "URI:pgregent:site/";
    memset(alt + strlen(alt), 'x', 300);
    files = authority_issue(&ca, &(struct issue){.name = "endless", .alt_names = alt});
    assert_answer(ask_over(&files, s), 200, "127.0.0.1 ");
    http_server_stop(s);
}

static void holds_and_letters_work_over_tls(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){0}, &server_files);
    struct http_client *c = client_with(&client_files);
    struct got held, mailed;
    request(c, &held, "GET", url_of(s, "https", "/hold?ms=15000"), NULL);
    request(c, &mailed, "POST", url_of(s, "https", "/mail"), "hello");
    struct http_letter *letter = await_letter(s, c);
    assert_string_equal(letter->peer_uri, "pgregent:site/fra");
    assert_string_equal(letter->body.at, "hello");
    answer_text(s, letter, 200, "read");
    await(c, &mailed);
    assert_answer(mailed, 200, "read");
    publish(s, "news");
    await(c, &held);
    assert_answer(held, 200, "news");
    http_client_free(c);
    http_server_stop(s);
}

/* ---- kept out ---- */

static void a_client_of_another_ca_is_refused_and_told(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){0}, &server_files);
    struct tls_files files = authority_issue(&stranger, &(struct issue){.name = "intruder"});
    trust_both(&files);
    int told = 0;
    for (int i = 0; i < 20; i++) {
        struct got got = ask_over(&files, s);
        assert_int_equal(got.status, 0);
        assert_error(got, got.err.code, "refus");
        assert_error(got, got.err.code, "our TLS certificate");
        told += got.err.code == ERR_EXTERNAL; /* the others: a reset overtook the alert */
    }
    assert_in_range(told, 5, 20);
    http_server_stop(s);
}

static void a_server_of_another_ca_is_refused_by_us(void **state) {
    (void)state;
    struct tls_files files = authority_issue(&stranger, &(struct issue){.name = "fake", .alt_names = "IP:127.0.0.1"});
    struct http_server *s = serve_with((struct http_server_options){0}, &files);
    assert_error(ask_over(&client_files, s), ERR_EXTERNAL, "we refused the server's TLS certificate");
    http_server_stop(s);
}

static void a_server_whose_certificate_names_another_address_is_refused(void **state) {
    (void)state;
    struct tls_files files = authority_issue(&ca, &(struct issue){.name = "elsewhere", .alt_names = "IP:127.0.0.2"});
    struct http_server *s = serve_with((struct http_server_options){0}, &files);
    assert_error(ask_over(&client_files, s), ERR_EXTERNAL, "subject alternative names");
    http_server_stop(s);
}

/* One request over OpenSSL itself; the answer's beginning in `answer`, false if there is none. A session given is
 * offered for resumption, and replaced by the one of this connection. */
static bool ask_raw(SSL_CTX *context, int port, SSL_SESSION **session, char *answer, int size) {
    int fd = raw_connect(port);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (session && *session)
        SSL_set_session(ssl, *session);
    static const char text[] = "GET /who HTTP/1.1\r\nHost: x\r\n\r\n";
    int n = -1;
    if (SSL_connect(ssl) == 1 && SSL_write(ssl, text, sizeof text - 1) > 0)
        n = SSL_read(ssl, answer, size - 1);
    answer[n > 0 ? n : 0] = '\0';
    if (session) {
        SSL_SESSION_free(*session);
        *session = SSL_get1_session(ssl);
    }
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else OpenSSL spoils the session */
    SSL_free(ssl);
    close(fd);
    return n > 0;
}

static SSL_CTX *raw_context(const struct tls_files *files, int version) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(context, version);
    if (files) {
        SSL_CTX_use_certificate_chain_file(context, files->certificate);
        SSL_CTX_use_PrivateKey_file(context, files->key, SSL_FILETYPE_PEM);
    }
    return context;
}

static void a_client_without_certificate_is_refused(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){0}, &server_files);
    SSL_CTX *context = raw_context(NULL, TLS1_3_VERSION);
    char answer[1024];
    assert_false(ask_raw(context, http_server_port(s, 0), NULL, answer, sizeof answer));
    SSL_CTX_free(context);
    http_server_stop(s);
}

static void tls_12_is_refused(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){0}, &server_files);
    char answer[1024];
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *context = raw_context(&client_files, version);
        assert_int_equal(ask_raw(context, http_server_port(s, 0), NULL, answer, sizeof answer), version == TLS1_3_VERSION);
        SSL_CTX_free(context);
    }
    http_server_stop(s);
}

static void a_client_that_would_resume_is_served_each_time(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){0}, &server_files);
    SSL_CTX *context = raw_context(&client_files, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
    SSL_SESSION *session = NULL;
    char answer[1024];
    for (int i = 0; i < 4; i++) {
        assert_true(ask_raw(context, http_server_port(s, 0), &session, answer, sizeof answer));
        assert_true(str_starts(answer, "HTTP/1.1 200"));
        assert_false(SSL_SESSION_is_resumable(session)); /* no ticket came */
    }
    SSL_SESSION_free(session);
    SSL_CTX_free(context);
    http_server_stop(s);
}

static void plain_text_on_the_tls_port_gets_no_http(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){0}, &server_files);
    int fd = raw_connect(http_server_port(s, 0));
    raw_send(fd, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_false(raw_expect(fd, "HTTP/"));
    close(fd);
    http_server_stop(s);
}

static void tls_on_the_plain_port_says_so(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){0}, NULL);
    assert_error(ask_over(&client_files, s), ERR_EXTERNAL, "does not speak TLS");
    http_server_stop(s);
}

static void half_a_handshake_is_cut(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){.io_timeout_ms = 300}, &server_files);
    int fd = raw_connect(http_server_port(s, 0));
    int64_t before = clock_boot_ms();
    assert_int_equal(send(fd, "\x16\x03\x01\x02\x00\x01", 6, MSG_NOSIGNAL), 6); /* the head of a ClientHello */
    assert_true(raw_closed(fd));
    assert_in_range(clock_boot_ms() - before, 250, 5000);
    close(fd);
    http_server_stop(s);
}

static void a_client_with_certificates_never_speaks_plain_http(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){0}, NULL);
    struct http_client *c = client_with(&client_files);
    assert_error(ask(c, "GET", url_of(s, "http", "/who"), NULL), ERR_INVALID, "http");
    http_client_free(c);
    http_server_stop(s);
}

/* ---- change of certificates ---- */

static void a_new_ca_counts_for_the_next_connection(void **state) {
    (void)state;
    struct tls_files mutable = authority_issue(&ca, &(struct issue){.name = "mutable", .alt_names = "IP:127.0.0.1"});
    struct http_server *s = serve_with((struct http_server_options){0}, &mutable);
    struct http_client *c = client_with(&client_files);
    assert_answer(ask(c, "GET", url_of(s, "https", "/who"), NULL), 200, "127.0.0.1 pgregent:site/fra");

    struct tls_files next = authority_issue(&stranger, &(struct issue){.name = "next", .alt_names = "IP:127.0.0.1"});
    struct err err = {0};
    assert_int_equal(rename(next.certificate, mutable.certificate), 0);
    assert_false(http_server_reload(s, &err)); /* caught halfway: the key is still the old one */
    assert_non_null(strstr(err.text, mutable.key));
    assert_answer(ask_over(&client_files, s), 200, "127.0.0.1 pgregent:site/fra");

    assert_int_equal(rename(next.key, mutable.key), 0);
    STRBUF bundle = {0};
    append_file(&bundle, next.ca);
    assert_true(file_write(mutable.ca, bundle.at, bundle.len, 0644, &err));
    if (!http_server_reload(s, &err))
        fail_msg("%s", err.text);
    assert_answer(ask(c, "GET", url_of(s, "https", "/who"), NULL), 200, "127.0.0.1 pgregent:site/fra"); /* kept alive */
    authority_write(&ca, &(struct issue){.name = "ca"}, ca.certificate, ca.key); /* ours again: both use one file */
    assert_error(ask_over(&client_files, s), ERR_EXTERNAL, "we refused the server's TLS certificate");

    struct tls_files ours = authority_issue(&stranger, &(struct issue){.name = "ours", .alt_names = "URI:pgregent:site/new"});
    assert_true(http_client_reload(c, &ours, &err));
    assert_answer(ask(c, "GET", url_of(s, "https", "/who"), NULL), 200, "127.0.0.1 pgregent:site/new"); /* not the kept one */
    http_client_free(c);
    http_server_stop(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_know_each_other),
        cmocka_unit_test(a_certificate_without_uri_or_with_an_endless_one_has_no_identity),
        cmocka_unit_test(holds_and_letters_work_over_tls),
        cmocka_unit_test(a_client_of_another_ca_is_refused_and_told),
        cmocka_unit_test(a_server_of_another_ca_is_refused_by_us),
        cmocka_unit_test(a_server_whose_certificate_names_another_address_is_refused),
        cmocka_unit_test(a_client_without_certificate_is_refused),
        cmocka_unit_test(tls_12_is_refused),
        cmocka_unit_test(a_client_that_would_resume_is_served_each_time),
        cmocka_unit_test(plain_text_on_the_tls_port_gets_no_http),
        cmocka_unit_test(tls_on_the_plain_port_says_so),
        cmocka_unit_test(half_a_handshake_is_cut),
        cmocka_unit_test(a_client_with_certificates_never_speaks_plain_http),
        cmocka_unit_test(a_new_ca_counts_for_the_next_connection),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
