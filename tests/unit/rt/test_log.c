/* Log lines as whoever reads stderr gets them. Each test puts a pipe in stderr's place. */
#include "rt/json.h"
#include "rt/log.h"
#include "rt/str.h"
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct capture {
    int stderr_kept, read_end;
    char text[1 << 17];
};

static int capture_begin(void **state) {
    static struct capture capture;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    capture.stderr_kept = dup(STDERR_FILENO);
    capture.read_end = ends[0];
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *state = &capture;
    return 0;
}

static int capture_end(void **state) {
    struct capture *capture = *state;
    dup2(capture->stderr_kept, STDERR_FILENO);
    close(capture->stderr_kept);
    close(capture->read_end);
    return 0;
}

/* All that is in the pipe now. */
static const char *written(struct capture *capture) {
    size_t len = 0;
    for (ssize_t n; (n = read(capture->read_end, capture->text + len, sizeof capture->text - 1 - len)) > 0;) len += (size_t)n;
    capture->text[len] = '\0';
    return capture->text;
}

static size_t count_lines(const char *text) {
    size_t count = 0;
    for (; (text = strchr(text, '\n')); text++) count++;
    return count;
}

static const char *behind_time(const char *line) {
    const char *rest = strchr(line, ' ');
    assert_non_null(rest);
    return rest + 1;
}

static json_t *as_json(const char *line) {
    struct err err = {0};
    json_t *json = json_parse((struct bytes){line, strlen(line)}, &err);
    if (!json) fail_msg("%s in %s", err.text, line);
    return json;
}

static void a_line_reads_as_key_and_value(void **state) {
    static const struct log_field standing[] = {{.key = "site", .text = "fra"}, {0}};
    log_open("agent", LOG_FORMAT_KEY_VALUE, LOG_INFO, standing);
    log_info("lease taken", F_STR("store", "s1"), F_INT("epoch", -7), F_STR("why", ""), F_STR("expression", "a=b"));
    const char *line = written(*state);
    assert_true(str_starts(line, "time=20"));
    assert_string_equal(behind_time(line), "level=info program=agent site=fra message=\"lease taken\" store=s1 epoch=-7 why=\"\" "
                                           "expression=\"a=b\"\n");
}

static void a_message_needs_no_fields(void **state) {
    log_open("agent", LOG_FORMAT_KEY_VALUE, LOG_DEBUG, NULL);
    log_debug("started");
    assert_string_equal(behind_time(written(*state)), "level=debug program=agent message=started\n");
}

static void nobody_can_forge_a_second_line(void **state) {
    log_open("agent", LOG_FORMAT_KEY_VALUE, LOG_INFO, NULL);
    log_info("server said", F_STR("text", "no\nlevel=info message=\"all is well\"\x1b[2K\\ \xff \xc3\xa4"));
    assert_non_null(strstr(written(*state), "text=\"no\\nlevel=info message=\\\"all is well\\\"\\x1b[2K\\\\ \\xff \xc3\xa4\"\n"));
    assert_int_equal(count_lines(((struct capture *)*state)->text), 1);
}

static void a_machine_reads_json(void **state) {
    log_open("coordinator", LOG_FORMAT_JSON, LOG_INFO, NULL);
    log_error("put \"lease\"", F_STR("text", "a\nb\t\x01 \xc3\xa4 \xff\xed\xa0\x80"), F_INT("code", INT64_MIN));
    JSON_AUTO *json = as_json(written(*state));
    assert_string_equal(json_text(json, "level", ""), "error");
    assert_string_equal(json_text(json, "program", ""), "coordinator");
    assert_string_equal(json_text(json, "message", ""), "put \"lease\"");
    assert_string_equal(json_text(json, "text", ""), "a\nb\t\x01 \xc3\xa4 \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_true(json_int(json, "code", 0) == INT64_MIN);
}

static void lines_below_the_level_are_dropped(void **state) {
    log_open("agent", LOG_FORMAT_KEY_VALUE, LOG_WARNING, NULL);
    log_info("quiet");
    log_warning("loud");
    assert_null(strstr(written(*state), "quiet"));
    assert_non_null(strstr(((struct capture *)*state)->text, "loud"));
    enum log_level level = LOG_INFO;
    assert_true(log_level_parse("error", &level) && level == LOG_ERROR);
    assert_false(log_level_parse("ERROR", &level));
    assert_false(log_level_parse("", &level));
}

/* Whatever is too long, in whatever place, the line stays one line of its format within what a pipe takes whole. */
static void a_long_line_is_cut_and_stays_well_formed(void **state) {
    static char text[6000];
    log_open("agent", LOG_FORMAT_JSON, LOG_INFO, NULL);
    for (size_t len = PIPE_BUF - 200; len < PIPE_BUF; len++) {
        memset(text, 'x', len);
        text[len] = '\0';
        log_info("long", F_STR("text", text), F_INT("number", 123456), F_STR("last", "\x01\x01\x01"));
        const char *line = written(*state);
        assert_in_range(strlen(line), 1, PIPE_BUF);
        assert_int_equal(count_lines(line), 1);
        JSON_AUTO *json = as_json(line);
        assert_true(str_starts(json_text(json, "text", ""), "xxx"));
    }
    log_info("long", F_STR("text", text));
    assert_non_null(strstr(written(*state), "xxx...\"}\n"));
    log_open("agent", LOG_FORMAT_KEY_VALUE, LOG_INFO, NULL);
    log_info("long", F_STR("text", text));
    assert_non_null(strstr(written(*state), "xxx...\"\n"));
}

static void a_full_pipe_loses_lines_and_the_next_one_counts_them(void **state) {
    struct capture *capture = *state;
    fcntl(STDERR_FILENO, F_SETPIPE_SZ, 4096);
    log_open("agent", LOG_FORMAT_KEY_VALUE, LOG_INFO, NULL);
    for (int i = 0; i < 1000; i++) log_info("flood"); /* would hang here if it blocked */
    size_t kept = count_lines(written(capture));
    assert_in_range(kept, 1, 999);
    assert_null(strstr(capture->text, "lost="));
    log_info("after");
    char lost[64];
    snprintf(lost, sizeof lost, "program=agent lost=%zu message=after\n", 1000 - kept);
    assert_non_null(strstr(written(capture), lost));
    log_info("later");
    assert_null(strstr(written(capture), "lost="));
}

int main(void) {
#define CAPTURED(test) cmocka_unit_test_setup_teardown(test, capture_begin, capture_end)
    const struct CMUnitTest tests[] = {
        CAPTURED(a_line_reads_as_key_and_value),
        CAPTURED(a_message_needs_no_fields),
        CAPTURED(nobody_can_forge_a_second_line),
        CAPTURED(a_machine_reads_json),
        CAPTURED(lines_below_the_level_are_dropped),
        CAPTURED(a_long_line_is_cut_and_stays_well_formed),
        CAPTURED(a_full_pipe_loses_lines_and_the_next_one_counts_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
