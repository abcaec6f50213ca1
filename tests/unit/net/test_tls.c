/* TLS files: each way in which an installation gets them wrong must be told apart, with the file's name. */
#include "authority.h"
#include "rt/clock.h"
#include "rt/file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

static char *dir;
static struct authority ca, stranger;

static int setup(void **state) {
    (void)state;
    dir = temporary_directory();
    ca = authority_new(dir, &(struct issue){.name = "ca", .until_s = 100 * DAY_S});
    stranger = authority_new(dir, &(struct issue){.name = "stranger"});
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

static void assert_refused(const struct tls_files *files, const char *file, const char *reason) {
    struct err err = {0};
    assert_false(tls_check(files, &err));
    if (!strstr(err.text, file) || !strstr(err.text, reason))
        fail_msg("expected '%s' and '%s' in: %s", file, reason, err.text);
}

static void files_that_belong_together_pass(void **state) {
    (void)state;
    struct tls_files files = authority_issue(&ca, &(struct issue){.name = "good"});
    struct err err = {0};
    if (!tls_check(&files, &err))
        fail_msg("%s", err.text);
}

static void a_missing_file_is_named(void **state) {
    (void)state;
    struct tls_files files = authority_issue(&ca, &(struct issue){.name = "lost"});
    unlink(files.key);
    assert_refused(&files, files.key, "No such file");
    strcpy(files.ca, "/nonexistent/ca.crt");
    assert_refused(&files, "/nonexistent/ca.crt", "No such file");
    files.ca[0] = '\0';
    assert_refused(&files, "CA file", "no file is configured");
}

static void a_file_that_is_no_pem_is_named(void **state) {
    (void)state;
    struct tls_files files = authority_issue(&ca, &(struct issue){.name = "garbage"});
    struct err err;
    assert_true(file_write(files.certificate, "hello\n", 6, 0644, &err));
    assert_refused(&files, files.certificate, "it must hold this node's certificate");
}

static void the_key_of_another_certificate_is_refused(void **state) {
    (void)state;
    struct tls_files files = authority_issue(&ca, &(struct issue){.name = "mine"});
    struct tls_files other = authority_issue(&ca, &(struct issue){.name = "yours"});
    strcpy(files.key, other.key);
    assert_refused(&files, "yours.key", "key values mismatch");
}

static void an_encrypted_key_is_refused_without_asking_on_the_terminal(void **state) {
    (void)state;
    struct tls_files files = authority_issue(&ca, &(struct issue){.name = "locked", .passphrase = "secret"});
    assert_refused(&files, "locked.key", "unencrypted");
}

static void a_certificate_of_another_ca_is_refused(void **state) {
    (void)state;
    struct tls_files files = authority_issue(&stranger, &(struct issue){.name = "foreign"});
    authority_path(files.ca, &ca, "ca", "crt");
    assert_refused(&files, "foreign.crt", "have it signed by this CA");
}

static void an_expired_certificate_is_refused(void **state) {
    (void)state;
    struct tls_files files = authority_issue(&ca, &(struct issue){.name = "old", .from_s = -2 * DAY_S, .until_s = -DAY_S});
    assert_refused(&files, "old.crt", "expired");
    struct err err = {0};
    assert_true(tls_usable(&files, &err)); /* whoever must go on can */
    assert_refused(&files, "old.crt", "renew it");
}

static void a_certificate_of_tomorrow_points_to_the_clock(void **state) {
    (void)state;
    struct tls_files files = authority_issue(&ca, &(struct issue){.name = "early", .from_s = DAY_S});
    assert_refused(&files, "early.crt", "check the clock");
}

static void assert_days(int64_t wall_ms, long days) {
    int64_t off_ms = wall_ms - (clock_wall_ms() + days * DAY_S * 1000);
    assert_in_range(off_ms + 60000, 0, 120000);
}

static void the_earliest_end_counts(void **state) {
    (void)state;
    struct tls_files files = authority_issue(&ca, &(struct issue){.name = "month", .until_s = 30 * DAY_S});
    assert_days(tls_expiry_wall_ms(&files), 30);
    files = authority_issue(&ca, &(struct issue){.name = "year", .until_s = 365 * DAY_S});
    assert_days(tls_expiry_wall_ms(&files), 100); /* the CA ends first */
    files = authority_issue(&ca, &(struct issue){.name = "past", .from_s = -9 * DAY_S, .until_s = -DAY_S});
    assert_days(tls_expiry_wall_ms(&files), -1);
    unlink(files.certificate);
    assert_int_equal(tls_expiry_wall_ms(&files), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_belong_together_pass),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_file_that_is_no_pem_is_named),
        cmocka_unit_test(the_key_of_another_certificate_is_refused),
        cmocka_unit_test(an_encrypted_key_is_refused_without_asking_on_the_terminal),
        cmocka_unit_test(a_certificate_of_another_ca_is_refused),
        cmocka_unit_test(an_expired_certificate_is_refused),
        cmocka_unit_test(a_certificate_of_tomorrow_points_to_the_clock),
        cmocka_unit_test(the_earliest_end_counts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
