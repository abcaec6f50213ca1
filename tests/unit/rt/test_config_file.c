/* What the programs' configuration files have in common. */
#include "rt/config_file.h"
#include "rt/file.h"
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sample {
    char name[16], path[64];
    struct log_config log;
};
static const struct field sample_fields[] = {
    FIELD_TEXT(struct sample, name, FIELD_REQUIRED, "a name"),
    FIELD_TEXT(struct sample, path, 0, "a path"),
    FIELD_OBJECT(struct sample, log, &log_config_table, 0, "log lines"),
    FIELD_END};
static const struct fields sample_table = FIELDS("sample", struct sample, sample_fields);

static char file[64];

static bool read_sample(const char *text, struct sample *out, struct err *err) {
    struct err ignored = {0};
    memset(out, 0, sizeof *out);
    assert_true(file_write(file, text, strlen(text), 0600, &ignored));
    return config_file_read(file, &sample_table, out, err);
}

static void a_good_file_is_read(void **state) {
    (void)state;
    struct sample s;
    struct err err = {0};
    assert_true(read_sample("name: x\nlog: {format: json}\n", &s, &err));
    assert_string_equal(s.name, "x");
    assert_int_equal(s.log.format, LOG_FORMAT_JSON);
    assert_int_equal(s.log.level, LOG_INFO);
}

static void every_mistake_is_named_one_a_line(void **state) {
    (void)state;
    struct sample s;
    struct err err = {0};
    assert_false(read_sample("nam: x\nlog: {level: loud}\n", &s, &err));
    assert_non_null(strstr(err.text, ":1"));
    assert_non_null(strstr(err.text, "name"));
    assert_non_null(strstr(err.text, "\n"));
    assert_non_null(strstr(err.text, "loud"));
    assert_int_not_equal(err.text[strlen(err.text) - 1], '\n');
}

static void a_file_that_is_missing_is_named(void **state) {
    (void)state;
    struct sample s = {0};
    struct err err = {0};
    assert_false(config_file_read("/nonexistent/sample.yaml", &sample_table, &s, &err));
    assert_non_null(strstr(err.text, "/nonexistent/sample.yaml"));
}

static void paths_are_relative_to_the_file(void **state) {
    (void)state;
    struct err err = {0};
    char path[64] = "keys/a", absolute[64] = "/keys/a", none[64] = "";
    assert_true(config_file_resolve("/etc/pgregent/agent.yaml", path, sizeof path, &err));
    assert_string_equal(path, "/etc/pgregent/keys/a");
    assert_true(config_file_resolve("/etc/pgregent/agent.yaml", absolute, sizeof absolute, &err));
    assert_string_equal(absolute, "/keys/a");
    assert_true(config_file_resolve("/etc/pgregent/agent.yaml", none, sizeof none, &err));
    assert_string_equal(none, "");
}

/* Cut off, it would name another file. */
static void a_path_that_gets_too_long_is_refused(void **state) {
    (void)state;
    struct err err = {0};
    char path[16] = "keys/a";
    assert_false(config_file_resolve("/etc/pgregent/agent.yaml", path, sizeof path, &err));
    assert_non_null(strstr(err.text, "too long"));
}

int main(void) {
    char dir[] = "/tmp/pgregent-config-XXXXXX";
    if (!mkdtemp(dir))
        return 1;
    snprintf(file, sizeof file, "%s/sample.yaml", dir);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_is_read),
        cmocka_unit_test(every_mistake_is_named_one_a_line),
        cmocka_unit_test(a_file_that_is_missing_is_named),
        cmocka_unit_test(paths_are_relative_to_the_file),
        cmocka_unit_test(a_path_that_gets_too_long_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(file);
    rmdir(dir);
    return failed;
}
