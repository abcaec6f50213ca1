/* One table reads, checks, writes and documents a struct. The struct here has a field of every type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rt/field.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const mode_names[] = {"off", "on", "quorum", NULL};

/* A codec of the test's own that is a JSON number: thousandths. */
static bool parse_milli(const char *text, void *out, struct err *err) {
    char *end;
    double value = strtod(text, &end);
    *(int64_t *)out = (int64_t)(value * 1000 + (value < 0 ? -0.5 : 0.5));
    return (*text && !*end) || err_set(err, ERR_INVALID, "a number");
}
static void format_milli(const void *in, char *to, size_t size) {
    snprintf(to, size, "%.3f", (double)*(const int64_t *)in / 1000);
}
static const struct field_codec milli = {.parse = parse_milli, .format = format_milli, .as_number = true, .wants = "a number"};

struct member {
    char name[16]; /* the key */
    char note[8];  /* not of the table: the key must not run into it */
    char address[24];
    int64_t port;
    struct field_pair tags[2];
    uint32_t tag_count;
};
static const struct field member_fields[] = {
    FIELD_TEXT(struct member, address, FIELD_REQUIRED, "host and port"),
    FIELD_INT64(struct member, port, "5432", 1, 65535, 0, "of PostgreSQL"),
    FIELD_TEXT_MAP(struct member, tags, tag_count, FIELD_OMIT_EMPTY, "tags"),
    FIELD_END};
static const struct fields member_table = FIELDS("member", struct member, member_fields);

struct slot {
    char slot_name[16];
    bool active;
};
static const struct field slot_fields[] = {
    FIELD_TEXT(struct slot, slot_name, FIELD_REQUIRED, "slot"),
    FIELD_BOOL(struct slot, active, NULL, 0, "in use"),
    FIELD_END};
static const struct fields slot_table = FIELDS("slot", struct slot, slot_fields);

struct standby {
    bool present;
    char upstream[16];
    int64_t delay_ms;
};
static const struct field standby_fields[] = {
    FIELD_TEXT(struct standby, upstream, FIELD_NULL_EMPTY, "whom to follow"),
    FIELD_CUSTOM(struct standby, delay_ms, &field_duration_ms, "1s", 0, "apply delay"),
    FIELD_END};
static const struct fields standby_table = FIELDS("standby", struct standby, standby_fields);

struct retention {
    int64_t absent_ms, wal_max;
};
static const struct field retention_fields[] = {
    {FIELD_MEMBER_(struct retention, absent_ms), .type = FIELD_TYPE_CUSTOM, .codec = &field_duration_ms, .otherwise = "30m", .low = 60000, .high = 86400000, .doc = "grace"},
    FIELD_CUSTOM(struct retention, wal_max, &field_size_bytes, "20GB", 0, "most WAL kept"),
    FIELD_END};
static const struct fields retention_table = FIELDS("retention", struct retention, retention_fields);

struct everything {
    char cluster[16];
    int64_t serial;
    bool writable;
    bool checked;
    int mode;
    int64_t made_at;
    uint8_t hash[32];
    int64_t lag_seconds;
    char password[16];
    struct standby standby;
    struct retention retention;
    struct slot slots[2];
    uint32_t slot_count;
    struct member members[3];
    uint32_t member_count;
    char pg_hba[2][24];
    uint32_t pg_hba_count;
    struct field_pair parameters[3];
    uint32_t parameter_count;
    int64_t port;
    int64_t later_ms;
    char methods[2][16];
    uint32_t method_count;
};
static const struct field everything_fields[] = {
    FIELD_TEXT(struct everything, cluster, FIELD_REQUIRED, "name of the cluster"),
    FIELD_INT64(struct everything, serial, NULL, 0, INT64_MAX, 0, "counts"),
    FIELD_BOOL(struct everything, writable, NULL, FIELD_OMIT_EMPTY, "accepts writes"),
    FIELD_BOOL(struct everything, checked, "true", FIELD_OMIT_EMPTY, "checks on"),
    FIELD_CHOICE(struct everything, mode, mode_names, 0, "synchronous mode"),
    FIELD_CUSTOM(struct everything, made_at, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "when"),
    FIELD_CUSTOM(struct everything, hash, &field_hex32, NULL, FIELD_NULL_EMPTY, "SHA-256"),
    FIELD_CUSTOM(struct everything, lag_seconds, &milli, NULL, 0, "lag"),
    FIELD_TEXT(struct everything, password, FIELD_SECRET | FIELD_OMIT_EMPTY, "secret"),
    FIELD_OBJECT(struct everything, standby, &standby_table, FIELD_PRESENCE, "standby cluster"),
    FIELD_OBJECT(struct everything, retention, &retention_table, 0, "retention"),
    FIELD_LIST(struct everything, slots, slot_count, &slot_table, 0, "slots"),
    FIELD_MAP(struct everything, members, member_count, &member_table, 0, "members"),
    FIELD_TEXTS(struct everything, pg_hba, pg_hba_count, FIELD_OMIT_EMPTY, "lines | rules"),
    FIELD_TEXT_MAP(struct everything, parameters, parameter_count, FIELD_NULL_EMPTY, "parameters"),
    FIELD_INT64(struct everything, port, NULL, 1, 65535, FIELD_NULL_EMPTY, "port"),
    FIELD_CUSTOM(struct everything, later_ms, &field_duration_ms, "1m", FIELD_LATER, "a delay that is to come"),
    {FIELD_ELEMENT_(struct everything, methods, method_count), .type = FIELD_TYPE_TEXTS, .flags = FIELD_LATER, .otherwise = "basebackup", .doc = "other ways to copy"},
    FIELD_END};
static const struct fields everything_table = FIELDS("everything", struct everything, everything_fields);

static struct bytes bytes_of(const char *text) {
    return (struct bytes){.at = text, .len = strlen(text)};
}

/* Reads YAML; the problems come back as the text that a person gets to see ("" for none). */
static bool read_yaml(const char *text, struct everything *out, struct strbuf *problems) {
    NODE_DOC doc = {0};
    struct err err = {0};
    if (!yaml_parse("t.yaml", bytes_of(text), &doc, &err)) fail_msg("%s", err.text);
    RT_AUTO struct field_problems *found = rt_alloc(sizeof *found);
    found->name = doc.name;
    bool done = field_read(&everything_table, doc.root, "", out, found);
    strbuf_add(problems, "");
    field_problems_write(found, problems);
    return done;
}

static void assert_good(const char *text, struct everything *out) {
    STRBUF problems = {0};
    if (!read_yaml(text, out, &problems)) fail_msg("%s", problems.at);
    assert_string_equal(problems.at, "");
}

static void assert_problem(const char *text, const char *want) {
    static struct everything e;
    STRBUF problems = {0};
    assert_false(read_yaml(text, &e, &problems));
    assert_string_equal(problems.at, want);
}

static void make_full(struct everything *e) {
    *e = (struct everything){.cluster = "orders", .serial = 7, .writable = true, .checked = false, .mode = 2, .made_at = 1795248000123,
                             .lag_seconds = 1250, .password = "x\"y", .standby = {.present = true, .upstream = "ams", .delay_ms = 90000},
                             .retention = {.absent_ms = 3600000, .wal_max = INT64_C(16) << 20},
                             .slots = {{"pgregent_fra", true}, {"old", false}}, .slot_count = 2,
                             .members = {{.name = "fra-1", .address = "10.0.2.11:5432", .port = 5433, .tags = {{"nofailover", "true"}}, .tag_count = 1},
                                         {.name = "fra-2", .address = "h", .port = 1}},
                             .member_count = 2, .pg_hba = {"local all all peer", ""}, .pg_hba_count = 2,
                             .parameters = {{"work_mem", "64MB"}, {"search_path", "\"$user\", é"}}, .parameter_count = 2, .port = 5432};
    for (int i = 0; i < 32; i++) e->hash[i] = (uint8_t)(i * 8);
    e->later_ms = 60000; /* what is not built has its default */
}

static const char full_text[] =
    "{\"cluster\":\"orders\",\"serial\":7,\"writable\":true,\"checked\":false,\"mode\":\"quorum\",\"made_at\":\"2026-11-21T08:00:00.123Z\","
    "\"hash\":\"0008101820283038404850586068707880889098a0a8b0b8c0c8d0d8e0e8f0f8\",\"lag_seconds\":1.25,\"password\":\"x\\\"y\","
    "\"standby\":{\"upstream\":\"ams\",\"delay_ms\":\"90s\"},\"retention\":{\"absent_ms\":\"1h\",\"wal_max\":\"16MB\"},"
    "\"slots\":[{\"slot_name\":\"pgregent_fra\",\"active\":true},{\"slot_name\":\"old\",\"active\":false}],"
    "\"members\":{\"fra-1\":{\"address\":\"10.0.2.11:5432\",\"port\":5433,\"tags\":{\"nofailover\":\"true\"}},\"fra-2\":{\"address\":\"h\",\"port\":1}},"
    "\"pg_hba\":[\"local all all peer\",\"\"],\"parameters\":{\"work_mem\":\"64MB\",\"search_path\":\"\\\"$user\\\", é\"},\"port\":5432}";

static void every_type_goes_out_in_table_order_and_comes_back_the_same(void **state) {
    (void)state;
    static struct everything e, back;
    make_full(&e);
    STRBUF text = {0};
    field_to_text(&everything_table, &e, &text);
    assert_string_equal(text.at, full_text);
    struct err err = {0};
    if (!field_from_json(&everything_table, "order", bytes_of(text.at), &back, &err)) fail_msg("%s", err.text);
    assert_memory_equal(&e, &back, sizeof e);
    STRBUF again = {0};
    field_to_text(&everything_table, &back, &again);
    assert_string_equal(again.at, full_text);
}

static void nothing_at_all_comes_back_the_same_too(void **state) {
    (void)state;
    static struct everything zero, back;
    zero.retention.absent_ms = 60000; /* its range starts there */
    zero.later_ms = 60000;
    STRBUF text = {0};
    field_to_text(&everything_table, &zero, &text);
    assert_string_equal(text.at, "{\"cluster\":\"\",\"serial\":0,\"checked\":false,\"mode\":\"off\",\"made_at\":null,\"hash\":null,\"lag_seconds\":0.0,"
                                 "\"retention\":{\"absent_ms\":\"1m\",\"wal_max\":\"0\"},\"slots\":[],\"members\":{},\"parameters\":null,\"port\":null}");
    struct err err = {0};
    if (!field_from_json(&everything_table, "order", bytes_of(text.at), &back, &err)) fail_msg("%s", err.text);
    zero.standby.delay_ms = 1000; /* not written, so its default stands there, not present as before */
    assert_memory_equal(&zero, &back, sizeof zero);
}

static void yaml_gives_the_same_as_json(void **state) {
    (void)state;
    static struct everything e;
    assert_good("cluster: orders\nserial: 7\nwritable: true\nchecked: off\nmode: quorum\nmade_at: 2026-11-21T09:00:00.123+01:00\n"
                "hash: 0008101820283038404850586068707880889098a0a8b0b8c0c8d0d8e0e8f0f8\nlag_seconds: 1.25\npassword: 'x\"y'\n"
                "standby: {upstream: ams, delay_ms: 90s}\nretention: {absent_ms: 60m, wal_max: 16384kB}\n"
                "slots:\n  - {slot_name: pgregent_fra, active: yes}\n  - slot_name: old\n"
                "members:\n  fra-1: {address: \"10.0.2.11:5432\", port: 5433, tags: {nofailover: true}}\n  fra-2: {port: 1, address: h}\n"
                "pg_hba: [local all all peer, \"\"]\nparameters:\n  work_mem: 64MB\n  search_path: '\"$user\", é'\nport: 5432\n",
                &e);
    STRBUF text = {0};
    field_to_text(&everything_table, &e, &text);
    assert_string_equal(text.at, full_text);
}

static void defaults_are_applied_at_every_level(void **state) {
    (void)state;
    static struct everything e;
    memset(&e, 0x55, sizeof e);
    assert_good("cluster: orders\nmembers: {a: {address: h}}\n", &e);
    assert_true(e.checked);
    assert_int_equal(e.retention.absent_ms, 1800000);
    assert_int_equal(e.retention.wal_max, INT64_C(20) << 30);
    assert_int_equal(e.members[0].port, 5432);
    assert_string_equal(e.members[0].name, "a");
    assert_int_equal(e.member_count, 1);
    assert_false(e.standby.present);
    assert_int_equal(e.serial, 0);
    assert_int_equal(e.mode, 0);
}

static void a_section_that_is_there_is_marked_present(void **state) {
    (void)state;
    static struct everything e;
    assert_good("cluster: orders\nstandby: {}\n", &e);
    assert_true(e.standby.present);
    assert_int_equal(e.standby.delay_ms, 1000);
}

static void all_mistakes_come_in_one_run_in_order_of_place(void **state) {
    (void)state;
    assert_problem("serial: -1\n"
                   "writeable: true\n"
                   "mode: quorom\n"
                   "members:\n"
                   "  fra-1: {adress: x, port: 70000}\n"
                   "  fra-2:\n"
                   "  a-name-that-is-too-long: {address: 10.0.0.1, tags: {a: 1, b: 2, c: 3}}\n"
                   "retention: {absent_ms: 10s, wal_max: 20Gb}\n"
                   "slots: {}\n"
                   "pg_hba: [[a], this line is far too long for it, 5]\n"
                   "parameters: {work_mem: , x: [1]}\n"
                   "made_at: yesterday\n"
                   "later_ms: 2m\n"
                   "colour: red\n",
                   "t.yaml:1:1: cluster: is missing: name of the cluster\n"
                   "t.yaml:1:9: serial: wants a whole number, at least 0, not \"-1\"\n"
                   "t.yaml:2:1: writeable: unknown key; did you mean \"writable\"?\n"
                   "t.yaml:3:7: mode: wants one of off, on, quorum, not \"quorom\"; did you mean \"quorum\"?\n"
                   "t.yaml:5:10: members.fra-1.address: is missing: host and port\n"
                   "t.yaml:5:11: members.fra-1.adress: unknown key; did you mean \"address\"?\n"
                   "t.yaml:5:28: members.fra-1.port: wants a whole number from 1 to 65535, not \"70000\"\n"
                   "t.yaml:6:9: members.fra-2: has no value; wants a map\n"
                   "t.yaml:7:3: members.a-name-that-is-too-long: a name of 23 bytes, at most 15 are allowed\n"
                   "t.yaml:7:54: members.a-name-that-is-too-long.tags: 3 entries, at most 2 are allowed\n"
                   "t.yaml:8:24: retention.absent_ms: wants a time with a unit, like 10s (ms, s, m, h, d) from 1m to 1d, not \"10s\"\n"
                   "t.yaml:8:38: retention.wal_max: wants a size with a unit, like 16MB (B, kB, MB, GB, TB), not \"20Gb\"\n"
                   "t.yaml:9:8: slots: wants a list of maps, not a map\n"
                   "t.yaml:10:9: pg_hba: 3 entries, at most 2 are allowed\n"
                   "t.yaml:11:24: parameters.work_mem: has no value; an empty text is \"\"\n"
                   "t.yaml:11:29: parameters.x: wants one value, not a list\n"
                   "t.yaml:12:10: made_at: wants a time like 2026-11-21T08:00:00Z, not \"yesterday\"\n"
                   "t.yaml:13:11: later_ms: not built yet: a delay that is to come\n"
                   "t.yaml:14:1: colour: unknown key\n");
}

static void a_document_that_is_no_map_says_so(void **state) {
    (void)state;
    assert_problem("- a\n", "t.yaml:1:1: wants a map\n");
    assert_problem("~\n", "t.yaml:1:1: has no value; wants a map\n");
}

static void words_for_yes_and_no_count_only_as_bare_yaml(void **state) {
    (void)state;
    static struct everything e;
    static const char *const yes[] = {"true", "on", "yes"}, *const no[] = {"false", "off", "no"};
    char text[64];
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "cluster: a\nwritable: %s\nchecked: %s\n", yes[i], no[i]);
        assert_good(text, &e);
        assert_true(e.writable);
        assert_false(e.checked);
    }
    assert_problem("cluster: a\nwritable: 'true'\n", "t.yaml:2:11: writable: wants true or false, not \"true\"; write it without quotes\n");
    assert_problem("cluster: a\nwritable: 1\n", "t.yaml:2:11: writable: wants true or false, not \"1\"\n");
    struct err err = {0};
    assert_false(field_from_json(&everything_table, "order", bytes_of("{\"cluster\": \"a\", \"writable\": \"on\"}"), &e, &err));
    assert_string_equal(err.text, "order: writable: wants true or false, not \"on\"; write it without quotes");
}

static void off_is_a_mode_and_parameters_stay_as_written(void **state) {
    (void)state;
    static struct everything e;
    assert_good("cluster: a\nmode: off\nparameters: {fsync: off, cost: 1.50, mask: '010'}\n", &e);
    assert_int_equal(e.mode, 0);
    assert_int_equal(e.parameter_count, 3);
    assert_string_equal(e.parameters[0].name, "fsync");
    assert_string_equal(e.parameters[0].value, "off");
    assert_string_equal(e.parameters[1].value, "1.50");
    assert_string_equal(e.parameters[2].value, "010");
    assert_good("cluster: a\nmode: 'on'\n", &e);
    assert_int_equal(e.mode, 1);
    struct err err = {0};
    assert_true(field_from_json(&everything_table, "order", bytes_of("{\"cluster\": \"a\", \"parameters\": {\"fsync\": false, \"n\": 5, \"r\": 0.1}}"), &e, &err));
    assert_string_equal(e.parameters[0].value, "false");
    assert_string_equal(e.parameters[1].value, "5");
    assert_string_equal(e.parameters[2].value, "0.1");
}

static void numbers_are_plain_decimal(void **state) {
    (void)state;
    static struct everything e;
    static const char *const bad[] = {"010", "0x10", "1_000", "+5", "5.0", "1e3", "-0", "9223372036854775808", "five"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[64], want[128];
        snprintf(text, sizeof text, "cluster: a\nserial: %s\n", bad[i]);
        snprintf(want, sizeof want, "t.yaml:2:9: serial: wants a whole number, at least 0, not \"%s\"\n", bad[i]);
        assert_problem(text, want);
    }
    assert_problem("cluster: a\nserial: '5'\n", "t.yaml:2:9: serial: wants a whole number, at least 0, not \"5\"; write it without quotes\n");
    assert_good("cluster: a\nserial: 9223372036854775807\n", &e);
    assert_true(e.serial == INT64_MAX);
}

static void a_text_must_fit(void **state) {
    (void)state;
    static struct everything e;
    assert_good("cluster: fifteen-bytes-x\n", &e);
    assert_problem("cluster: sixteen-bytes-xy\n", "t.yaml:1:10: cluster: 16 bytes long, at most 15 are allowed\n");
    assert_problem("cluster:\n", "t.yaml:1:9: cluster: has no value; wants a text of at most 15 bytes\n");
    assert_good("cluster: 5\n", &e);
    assert_string_equal(e.cluster, "5");
    assert_good("cluster: 'null'\n", &e);
    assert_string_equal(e.cluster, "null");
}

static void null_is_unknown_only_where_the_table_says_so(void **state) {
    (void)state;
    static struct everything e;
    assert_good("cluster: a\nport: null\nmade_at: ~\nparameters:\n", &e);
    assert_int_equal(e.port, 0);
    assert_int_equal(e.parameter_count, 0);
    assert_problem("cluster: a\nserial: null\n", "t.yaml:2:9: serial: has no value; wants a whole number, at least 0\n");
}

static void what_is_not_built_may_be_written_out_as_its_default(void **state) {
    (void)state;
    static struct everything e;
    assert_good("cluster: a\nlater_ms: 1m\nmethods: [basebackup]\n", &e);
    assert_good("cluster: a\nlater_ms: 60s\n", &e);
    assert_problem("cluster: a\nlater_ms:\nmethods: [basebackup, pgbackrest]\n",
                   "t.yaml:2:10: later_ms: not built yet: a delay that is to come\n"
                   "t.yaml:3:10: methods: not built yet: other ways to copy\n");
}

static void newer_peers_may_say_more(void **state) {
    (void)state;
    static struct everything e;
    NODE_DOC doc = {0};
    RT_AUTO struct field_problems *found = rt_alloc(sizeof *found);
    assert_true(node_from_json("report", bytes_of("{\"cluster\": \"a\", \"news\": [1], \"retention\": {\"more\": 1}}"), &doc, NULL));
    assert_true(field_read_lenient(&everything_table, doc.root, "", &e, found));
    assert_false(field_read(&everything_table, doc.root, "report", &e, found));
    STRBUF text = {0};
    field_problems_write(found, &text);
    assert_string_equal(text.at, "document: report.news: unknown key\ndocument: report.retention.more: unknown key\n");
}

static void the_first_problem_of_a_message_is_its_error(void **state) {
    (void)state;
    static struct everything e;
    struct err err = {0};
    assert_false(field_from_json(&everything_table, "order", bytes_of("{\"serial\": \"7\", \"mode\": 5}"), &e, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.text, "order: serial: wants a whole number, at least 0, not \"7\"; write it without quotes");
    assert_false(field_from_json(&everything_table, "order", bytes_of("[1]"), &e, &err));
    assert_string_equal(err.text, "order: wants a map");
    assert_false(field_from_json(&everything_table, "order", bytes_of("{\"cluster\": \"a\", \"cluster\": \"b\"}"), &e, &err));
    assert_non_null(strstr(err.text, "order:1:"));
}

static void secrets_are_neither_shown_nor_quoted(void **state) {
    (void)state;
    static struct everything e;
    make_full(&e);
    JSON_AUTO *shown = field_to_json(&everything_table, &e, true);
    assert_string_equal(json_text(shown, "password", ""), "***");
    assert_string_equal(json_text(shown, "cluster", ""), "orders");
    struct err err = {0};
    assert_false(field_from_json(&everything_table, "order", bytes_of("{\"cluster\": \"a\", \"password\": 271828}"), &e, &err));
    assert_null(strstr(err.text, "271828"));
}

static void foreign_text_cannot_break_a_message(void **state) {
    (void)state;
    assert_problem("cluster: a\n\"x\\n\\e[31m\": 1\nmode: \"a\\nt.yaml:1:1: fine\"\n",
                   "t.yaml:2:1: x??[31m: unknown key\n"
                   "t.yaml:3:7: mode: wants one of off, on, quorum, not \"a?t.yaml:1:1: fine\"\n");
    STRBUF text = {0}, want = {0};
    strbuf_add(&text, "cluster: a\nserial: ");
    strbuf_add(&want, "t.yaml:2:9: serial: wants a whole number, at least 0, not \"");
    for (int i = 0; i < 50; i++) strbuf_add(&text, "é");
    for (int i = 0; i < 30; i++) strbuf_add(&want, "é");
    strbuf_add(&want, "...\"\n");
    assert_problem(text.at, want.at);
}

static void a_hundred_problems_are_enough(void **state) {
    (void)state;
    STRBUF text = {0}, problems = {0};
    strbuf_add(&text, "cluster: a\n");
    for (int i = 0; i < 130; i++) strbuf_addf(&text, "unknown%d: 1\n", i);
    static struct everything e;
    assert_false(read_yaml(text.at, &e, &problems));
    assert_non_null(strstr(problems.at, "unknown99: unknown key\nt.yaml: and 30 more problems\n"));
}

static void a_struct_with_nonsense_in_it_is_written_safely(void **state) {
    (void)state;
    static struct everything e;
    make_full(&e);
    memset(e.cluster, 'x', sizeof e.cluster); /* no NUL */
    e.mode = 17;
    e.slot_count = 4000000000;
    memcpy(e.pg_hba[0], "caf\xe9", 5);
    JSON_AUTO *json = field_to_json(&everything_table, &e, false);
    assert_string_equal(json_text(json, "cluster", ""), "xxxxxxxxxxxxxxxx");
    assert_true(json_is_null(json_object_get(json, "mode")));
    assert_int_equal(json_array_size(json_object_get(json, "slots")), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "pg_hba"), 0)), "caf?");
}

static void assert_codec(const struct field_codec *codec, const char *text, int64_t value, const char *canonical) {
    int64_t got = -1;
    char back[64];
    struct err err = {0};
    if (!codec->parse(text, &got, &err)) fail_msg("%s: %s", text, err.text);
    if (got != value) fail_msg("%s is %" PRId64, text, got);
    codec->format(&got, back, sizeof back);
    assert_string_equal(back, canonical);
}

static void units_are_postgresqls_and_never_guessed(void **state) {
    (void)state;
    assert_codec(&field_duration_ms, "250ms", 250, "250ms");
    assert_codec(&field_duration_ms, "1000ms", 1000, "1s");
    assert_codec(&field_duration_ms, "90s", 90000, "90s");
    assert_codec(&field_duration_ms, "5m", 300000, "5m");
    assert_codec(&field_duration_ms, "5min", 300000, "5m");
    assert_codec(&field_duration_ms, "24h", 86400000, "1d");
    assert_codec(&field_duration_ms, "0", 0, "0");
    assert_codec(&field_duration_ms, "0s", 0, "0");
    assert_codec(&field_size_bytes, "8kB", 8192, "8kB");
    assert_codec(&field_size_bytes, "1024MB", INT64_C(1) << 30, "1GB");
    assert_codec(&field_size_bytes, "1TB", INT64_C(1) << 40, "1TB");
    assert_codec(&field_size_bytes, "100B", 100, "100B");
    assert_codec(&field_size_bytes, "9223372036854775807B", INT64_MAX, "9223372036854775807B");
    assert_codec(&field_wall_ms, "2026-11-21T08:00:00Z", 1795248000000, "2026-11-21T08:00:00.000Z");
    static const char *const bad[] = {"", "10", "s", "10 s", " 10s", "10s ", "-10s", "+10s", "1.5h", "10S", "10sec", "999999999999d", "99999999999999999999ms", "16KB"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t value;
        if (field_duration_ms.parse(bad[i], &value, NULL)) fail_msg("accepted as a time: \"%s\"", bad[i]);
        if (field_size_bytes.parse(bad[i], &value, NULL)) fail_msg("accepted as a size: \"%s\"", bad[i]);
        if (field_wall_ms.parse(bad[i], &value, NULL)) fail_msg("accepted as wall time: \"%s\"", bad[i]);
    }
    struct err err = {0};
    int64_t value;
    assert_false(field_duration_ms.parse("999999999999d", &value, &err));
    assert_string_equal(err.text, "at most 106751991167d");
}

static void the_reference_page_shows_the_table(void **state) {
    (void)state;
    STRBUF page = {0};
    field_reference(&everything_table, &page);
    static const char *const lines[] = {
        "### everything\n\n| key | takes | default | meaning |\n|---|---|---|---|\n",
        "| `cluster` | a text of at most 15 bytes | required | name of the cluster |\n",
        "| `mode` | one of off, on, quorum | `off` | synchronous mode |\n",
        "| `password` | a text of at most 15 bytes |  | *Secret.* secret |\n",
        "| `members` | a map from names to maps, at most 3 (see member) |  | members |\n",
        "| `pg_hba` | a list of texts, at most 2 |  | lines \\| rules |\n",
        "| `later_ms` | a time with a unit, like 10s (ms, s, m, h, d) | `1m` | *Not built yet.* a delay that is to come |\n",
        "### member\n",
        "| `port` | a whole number from 1 to 65535 | `5432` | of PostgreSQL |\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(page.at, lines[i])) fail_msg("no \"%s\" in\n%s", lines[i], page.at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_goes_out_in_table_order_and_comes_back_the_same),
        cmocka_unit_test(nothing_at_all_comes_back_the_same_too),
        cmocka_unit_test(yaml_gives_the_same_as_json),
        cmocka_unit_test(defaults_are_applied_at_every_level),
        cmocka_unit_test(a_section_that_is_there_is_marked_present),
        cmocka_unit_test(all_mistakes_come_in_one_run_in_order_of_place),
        cmocka_unit_test(a_document_that_is_no_map_says_so),
        cmocka_unit_test(words_for_yes_and_no_count_only_as_bare_yaml),
        cmocka_unit_test(off_is_a_mode_and_parameters_stay_as_written),
        cmocka_unit_test(numbers_are_plain_decimal),
        cmocka_unit_test(a_text_must_fit),
        cmocka_unit_test(null_is_unknown_only_where_the_table_says_so),
        cmocka_unit_test(what_is_not_built_may_be_written_out_as_its_default),
        cmocka_unit_test(newer_peers_may_say_more),
        cmocka_unit_test(the_first_problem_of_a_message_is_its_error),
        cmocka_unit_test(secrets_are_neither_shown_nor_quoted),
        cmocka_unit_test(foreign_text_cannot_break_a_message),
        cmocka_unit_test(a_hundred_problems_are_enough),
        cmocka_unit_test(a_struct_with_nonsense_in_it_is_written_safely),
        cmocka_unit_test(units_are_postgresqls_and_never_guessed),
        cmocka_unit_test(the_reference_page_shows_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
