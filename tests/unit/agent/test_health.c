/* Patroni's endpoints as load balancers and monitoring see them, over HTTP: which situation gives which status code,
 * and what the documents say. Also the agent's own two calls. */
#include "net/http_client.h"
#include "rt/clock.h"
#include "rt/json.h"
#include "site-agent/snapshot.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct http_server *server;
static struct http_client *client;

static void snapshot_free(const void *snapshot) { free((void *)(uintptr_t)snapshot); }

static int setup(void **state) {
    (void)state;
    struct err err = {0};
    const struct http_server_options options = {
        .listeners = {{.address = "127.0.0.1:0", .route = health_route}, {.address = "127.0.0.1:0", .route = api_route}},
        .listener_count = 2,
        .snapshot_free = snapshot_free};
    if (!http_server_start(&options, &server, &err)) fail_msg("%s", err.text);
    if (!http_client_new(NULL, &client, &err)) fail_msg("%s", err.text);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    http_client_free(client);
    http_server_stop(server);
    return 0;
}

static int ask(const char *method, size_t listener, const char *path, struct strbuf *body) {
    char url[256];
    struct err err = {0};
    int status = 0;
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", http_server_port(server, listener), path);
    const struct http_request request = {.method = method, .url = url, .deadline_ms = 20000};
    if (!http_client_run(client, &request, &status, body, &err)) fail_msg("%s: %s", path, err.text);
    return status;
}

static int status_of(const char *path) {
    STRBUF body = {0};
    return ask("GET", 0, path, &body);
}

static json_t *document(size_t listener, const char *path) {
    STRBUF body = {0};
    struct err err = {0};
    ask("GET", listener, path, &body);
    json_t *parsed = json_parse((struct bytes){body.at, body.len}, &err);
    if (!parsed) fail_msg("%s: %s", path, err.text);
    return parsed;
}

/* ---- situations ---- */

static struct snapshot *member_of(bool primary_site) {
    struct snapshot *s = rt_alloc(sizeof *s);
    str_copy(s->scope, sizeof s->scope, "orders");
    str_copy(s->report.cluster, sizeof s->report.cluster, "orders");
    str_copy(s->report.site, sizeof s->report.site, "ams");
    str_copy(s->report.member, sizeof s->report.member, "ams-1");
    str_copy(s->report.instance, sizeof s->report.instance, "0123");
    str_copy(s->self.name, sizeof s->self.name, "ams-1");
    str_copy(s->self.system_id, sizeof s->self.system_id, "7385000000000000001");
    s->report.store_ok = true;
    s->report.made_at = 1795248000500;
    str_copy(s->report.lease.holder, sizeof s->report.lease.holder, "0123");
    s->primary_site = primary_site;
    s->postmaster = true;
    s->ttl_ms = 10000;
    s->ticked_boot_ms = clock_boot_ms();
    s->server_version_num = 150018;
    s->postmaster_started_wall_ms = 1795244400250;
    s->self.timeline = 3;
    s->self.lsn = 0x5000148;
    s->self.replay_lsn = 0x5000100;
    return s;
}

static void leads(struct snapshot *s, int64_t left_ms) {
    s->leader = true;
    s->lease_deadline_boot_ms = clock_boot_ms() + left_ms;
}

static struct snapshot *primary(void) {
    struct snapshot *s = member_of(true);
    leads(s, 60000);
    s->self.role = MEMBER_PRIMARY;
    s->self.state = STATE_RUNNING;
    s->self.writable = true;
    return s;
}
static struct snapshot *late_primary(void) { /* published as leader, and the deadline has passed since */
    struct snapshot *s = primary();
    s->lease_deadline_boot_ms = clock_boot_ms() - 1;
    return s;
}
static struct snapshot *busy_primary(void) { /* does not answer its agent in time */
    struct snapshot *s = primary();
    s->self.state = STATE_STARTING;
    return s;
}
static struct snapshot *promoting(void) { /* promoted, and the epoch is not yet recorded as open */
    struct snapshot *s = primary();
    s->primary_site = false;
    return s;
}
static struct snapshot *handing_over(void) {
    struct snapshot *s = primary();
    s->self.role = MEMBER_DEMOTED;
    s->self.state = STATE_STOPPING;
    return s;
}
static struct snapshot *standby_leader(void) {
    struct snapshot *s = member_of(false);
    leads(s, 60000);
    s->in_recovery = true;
    s->self.role = MEMBER_STANDBY_LEADER;
    s->self.state = STATE_STREAMING;
    s->received_lsn_lag_bytes = 72;
    s->self.replay_lag_ms = 1500;
    return s;
}
static struct snapshot *replica(void) {
    struct snapshot *s = member_of(true);
    s->in_recovery = true;
    s->self.role = MEMBER_REPLICA;
    s->self.state = STATE_STREAMING;
    s->received_lsn_lag_bytes = 2 << 20;
    s->self.flush_of_upstream = s->self.lsn + 100;
    s->tags[0] = (struct field_pair){"zone", "b"};
    s->tags[1] = (struct field_pair){"clonefrom", "true"};
    s->tag_count = 2;
    return s;
}
static struct snapshot *unbalanced_replica(void) {
    struct snapshot *s = replica();
    s->tags[s->tag_count++] = (struct field_pair){"noloadbalance", "true"};
    return s;
}
static struct snapshot *stopped(void) {
    struct snapshot *s = member_of(true);
    leads(s, 60000);
    s->postmaster = false;
    s->self.role = MEMBER_PRIMARY;
    s->self.state = STATE_STOPPED;
    return s;
}
static struct snapshot *uninitialized(void) {
    struct snapshot *s = member_of(false);
    leads(s, 60000);
    s->postmaster = false;
    s->self.role = MEMBER_UNINITIALIZED;
    s->self.state = STATE_CREATING;
    return s;
}

/* ---- status codes ---- */

enum { PRIMARY, LATE, BUSY, PROMOTING, HANDING_OVER, STANDBY_LEADER, REPLICA, UNBALANCED, STOPPED, UNINITIALIZED, SITUATIONS };
static struct snapshot *(*const situations[SITUATIONS])(void) = {primary,        late_primary, busy_primary, promoting, handing_over,
                                                                 standby_leader, replica,      unbalanced_replica, stopped, uninitialized};
static const char *const situation_names[SITUATIONS] = {"primary",        "late primary", "busy primary", "promoting", "handing over",
                                                        "standby leader", "replica", "noloadbalance", "stopped", "uninitialized"};

/* One letter for each situation, in that order: + is 200, - is 503. */
static const struct {
    const char *path, *expected;
} codes[] = {
    /*                 P L B p h S R n s u */
    {"/",              "+-+-------"},
    {"/primary",       "+-+-------"},
    {"/master",        "+-+-------"},
    {"/read-write",    "+-+-------"},
    {"/standby-leader","-----+----"},
    {"/standby_leader","-----+----"},
    {"/leader",        "+-+--+----"},
    {"/replica",       "------+---"},
    {"/replica?lag=2MB", "------+---"},
    {"/replica?lag=2097151", "----------"},
    {"/replica?lag=16%20MB&replication_state=streaming", "------+---"},
    {"/replica?replication_state=in%20archive%20recovery", "----------"},
    {"/replica?tag_zone=b&tag_clonefrom=true", "------+---"},
    {"/replica?tag_zone=c", "----------"},
    {"/replica?tag_rack=1", "----------"},
    {"/primary?tag_zone=c", "+-+-------"},
    {"/read-only",     "+-+--++---"},
    {"/read-only?lag=1MB", "+-+--+----"},
    {"/sync",          "----------"},
    {"/synchronous",   "----------"},
    {"/read-only-sync","+-+--+----"},
    {"/quorum",        "----------"},
    {"/read-only-quorum", "+-+--+----"},
    {"/async",         "------+---"},
    {"/asynchronous?lag=1MB", "----------"},
    {"/health",        "++-+-+++--"},
    {"/liveness",      "++++++++++"},
    {"/readiness",     "+-+--+----"},
    {"/readiness?lag=4MB", "+-+--+++--"},
    {"/readiness?mode=write", "+-+--+++--"},
};

static void each_situation_gets_patronis_codes(void **state) {
    (void)state;
    for (int i = 0; i < SITUATIONS; i++) {
        http_server_publish(server, situations[i]());
        for (size_t k = 0; k < sizeof codes / sizeof *codes; k++) {
            int status = status_of(codes[k].path), expected = codes[k].expected[i] == '+' ? 200 : 503;
            if (status != expected) fail_msg("%s of %s: %d, not %d", codes[k].path, situation_names[i], status, expected);
        }
        assert_int_equal(status_of("/patroni"), 200);
        assert_int_equal(status_of("/cluster"), 200);
        assert_int_equal(status_of("/metrics"), 200);
    }
}

static void nothing_is_known_before_the_first_tick(void **state) {
    (void)state;
    assert_int_equal(status_of("/primary"), 503);
    assert_int_equal(status_of("/liveness"), 503);
    STRBUF body = {0};
    assert_int_equal(ask("GET", 1, "/v1/status", &body), 503);
}

static void a_lease_runs_out_between_two_answers(void **state) {
    (void)state;
    struct snapshot *s = primary();
    leads(s, 300);
    int64_t deadline_ms = s->lease_deadline_boot_ms;
    http_server_publish(server, s);
    int before = status_of("/primary");
    if (clock_boot_ms() < deadline_ms) assert_int_equal(before, 200);
    while (clock_boot_ms() < deadline_ms) assert_true(status_of("/primary") == 200 || clock_boot_ms() >= deadline_ms);
    assert_int_equal(status_of("/primary"), 503); /* the same snapshot */
}

static void a_loop_that_hangs_is_not_live(void **state) {
    (void)state;
    struct snapshot *s = primary();
    s->ticked_boot_ms -= s->ttl_ms;
    http_server_publish(server, s);
    assert_int_equal(status_of("/liveness"), 503);
    s = replica(); /* others have twice as long */
    s->ticked_boot_ms -= s->ttl_ms;
    http_server_publish(server, s);
    assert_int_equal(status_of("/liveness"), 200);
    s = replica();
    s->ticked_boot_ms -= 2 * s->ttl_ms;
    http_server_publish(server, s);
    assert_int_equal(status_of("/liveness"), 503);
}

static void an_unknown_lag_is_within_no_limit(void **state) {
    (void)state;
    struct snapshot *s = replica();
    s->received_lsn_lag_bytes = -1;
    http_server_publish(server, s);
    assert_int_equal(status_of("/replica"), 200);
    assert_int_equal(status_of("/replica?lag=1TB"), 503);
    assert_int_equal(status_of("/replica?lag=plenty"), 400);
    assert_int_equal(status_of("/replica?lag=-1"), 400);
    assert_int_equal(status_of("/readiness?mode=sideways"), 400);
}

static void head_and_options_give_the_code_alone(void **state) {
    (void)state;
    STRBUF body = {0};
    http_server_publish(server, replica());
    assert_int_equal(ask("OPTIONS", 0, "/primary", &body), 503);
    assert_int_equal(ask("OPTIONS", 0, "/replica", &body), 200);
    assert_int_equal(ask("HEAD", 0, "/replica", &body), 200);
    assert_int_equal(body.len, 0);
    assert_int_equal(ask("POST", 0, "/switchover", &body), 405);
    assert_int_equal(status_of("/nothing"), 404);
    assert_int_equal(status_of("/config"), 502);
    assert_int_equal(status_of("/failsafe"), 502);
}

/* ---- documents ---- */

static void a_primary_tells_its_position(void **state) {
    (void)state;
    http_server_publish(server, primary());
    JSON_AUTO *d = document(0, "/primary");
    assert_string_equal(json_text(d, "state", ""), "running");
    assert_string_equal(json_text(d, "role", ""), "primary");
    assert_string_equal(json_text(d, "postmaster_start_time", ""), "2026-11-21 07:00:00.250000+00:00");
    assert_string_equal(json_text(d, "database_system_identifier", ""), "7385000000000000001");
    assert_int_equal(json_int(d, "server_version", 0), 150018);
    assert_int_equal(json_int(d, "timeline", 0), 3);
    assert_int_equal(json_int(d, "dcs_last_seen", 0), 1795248000);
    assert_int_equal(json_int(json_object_get(d, "xlog"), "location", 0), 0x5000148);
    assert_null(json_object_get(d, "replication_state"));
    assert_null(json_object_get(d, "cluster_unlocked"));
    const json_t *patroni = json_object_get(d, "patroni");
    assert_string_equal(json_text(patroni, "version", ""), PGREGENT_VERSION);
    assert_string_equal(json_text(patroni, "scope", ""), "orders");
    assert_string_equal(json_text(patroni, "name", ""), "ams-1");
}

static void a_replica_tells_what_it_received_and_replayed(void **state) {
    (void)state;
    struct snapshot *s = replica();
    str_copy(s->self.replay_pause_state, sizeof s->self.replay_pause_state, "paused");
    s->self.pending_restart = true;
    s->report.store_ok = false;
    http_server_publish(server, s);
    JSON_AUTO *d = document(0, "/replica");
    const json_t *xlog = json_object_get(d, "xlog"), *tags = json_object_get(d, "tags");
    assert_string_equal(json_text(d, "state", ""), "running");
    assert_string_equal(json_text(d, "role", ""), "replica");
    assert_string_equal(json_text(d, "replication_state", ""), "streaming");
    assert_int_equal(json_int(xlog, "received_location", 0), 0x5000148);
    assert_int_equal(json_int(xlog, "replayed_location", 0), 0x5000100);
    assert_true(json_bool(xlog, "paused", false));
    assert_true(json_bool(d, "pending_restart", false));
    assert_true(json_bool(d, "cluster_unlocked", false)); /* the store does not say who leads */
    assert_int_equal(json_int(d, "dcs_last_seen", -1), 0);
    assert_true(json_bool(tags, "clonefrom", false));
    assert_string_equal(json_text(tags, "zone", ""), "b");
}

static void without_a_server_only_the_state_is_told(void **state) {
    (void)state;
    http_server_publish(server, uninitialized());
    JSON_AUTO *d = document(0, "/patroni");
    assert_string_equal(json_text(d, "state", ""), "creating replica");
    assert_string_equal(json_text(d, "role", ""), "uninitialized");
    assert_null(json_object_get(d, "xlog"));
    assert_null(json_object_get(d, "postmaster_start_time"));
}

static void the_cluster_lists_members_and_their_lag(void **state) {
    (void)state;
    struct snapshot *s = primary();
    str_copy(s->report.leader, sizeof s->report.leader, "ams-1");
    s->report.member_count = 2;
    s->report.members[0] = s->self;
    s->report.members[1] = (struct member_status){.role = MEMBER_REPLICA, .state = STATE_STREAMING, .replay_lsn = 0x5000048, .port = 5432, .name = "ams-2", .host = "10.0.0.2"};
    http_server_publish(server, s);
    JSON_AUTO *d = document(0, "/cluster");
    const json_t *members = json_object_get(d, "members"), *second = json_array_get(members, 1);
    assert_string_equal(json_text(d, "scope", ""), "orders");
    assert_string_equal(json_text(json_array_get(members, 0), "role", ""), "leader");
    assert_null(json_object_get(json_array_get(members, 0), "lag"));
    assert_string_equal(json_text(second, "name", ""), "ams-2");
    assert_string_equal(json_text(second, "role", ""), "replica");
    assert_string_equal(json_text(second, "state", ""), "streaming");
    assert_int_equal(json_int(second, "lag", -1), 256);
    assert_int_equal(json_int(second, "port", 0), 5432);
}

static void the_history_names_each_switch(void **state) {
    (void)state;
    struct snapshot *s = primary();
    s->report.lineage = (struct lineage){.count = 2, .entries = {{.timeline = 1}, {.timeline = 2, .begin = 0x4000000}}};
    http_server_publish(server, s);
    JSON_AUTO *d = document(0, "/history");
    assert_int_equal(json_array_size(d), 1);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(d, 0), 0)), 1);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(d, 0), 1)), 0x4000000);
}

/* ---- metrics ---- */

static void metrics_say(const char *line) {
    STRBUF body = {0};
    assert_int_equal(ask("GET", 0, "/metrics", &body), 200);
    if (!strstr(body.at, line)) fail_msg("no line %s in:\n%s", line, body.at);
}
static void metrics_do_not_say(const char *text) {
    STRBUF body = {0};
    ask("GET", 0, "/metrics", &body);
    if (strstr(body.at, text)) fail_msg("%s in:\n%s", text, body.at);
}
#define WHO "{scope=\"orders\",name=\"ams-1\",site=\"ams\""

static void metrics_have_patronis_names(void **state) {
    (void)state;
    http_server_publish(server, primary());
    metrics_say("\npatroni_primary" WHO "} 1\n");
    metrics_say("\npatroni_replica" WHO "} 0\n");
    metrics_say("# TYPE patroni_xlog_location counter\npatroni_xlog_location" WHO "} 83886408\n");
    metrics_say("\npatroni_postmaster_start_time" WHO "} 1795244400.250\n");
    metrics_say("\npatroni_postgres_server_version" WHO "} 150018\n");
    metrics_say("\npatroni_postgres_state" WHO "} 5\n");
    metrics_say("\npgregent_writable" WHO "} 1\n");
    metrics_do_not_say("pgregent_site_lag");
    http_server_publish(server, late_primary());
    metrics_say("\npatroni_primary" WHO "} 0\n");
    metrics_say("\npgregent_writable" WHO "} 0\n");
    metrics_say("\npgregent_lease_left_seconds" WHO "} 0.000\n");
    http_server_publish(server, standby_leader());
    metrics_say("\npatroni_standby_leader" WHO "} 1\n");
    metrics_say("\npatroni_xlog_location" WHO "} 0\n");
    metrics_say("\npgregent_site_lag_bytes" WHO "} 72\n");
    metrics_say("\npgregent_site_lag_seconds" WHO "} 1.500\n");
}

static void slots_and_problems_have_labels(void **state) {
    (void)state;
    struct snapshot *s = primary();
    s->self.slot_count = 2;
    s->self.slots[0] = (struct report_slot){.name = "pgregent_site_fra", .kind = SLOT_SITE, .retained_bytes = 328};
    s->self.slots[1] = (struct report_slot){.name = "pgregent_anchor_fra", .kind = SLOT_ANCHOR, .retained_bytes = -1};
    s->report.problem_count = 2;
    s->report.problems[0] = (struct report_problem){.id = "odd \"name\"\\", .severity = "warning", .member = "ams-2"};
    s->report.problems[1] = s->report.problems[0];
    s->certificate_expiry_wall_ms = 1800000000999;
    http_server_publish(server, s);
    metrics_say("\npgregent_slot_retained_bytes" WHO ",slot=\"pgregent_site_fra\",kind=\"site\"} 328\n");
    metrics_say("# TYPE pgregent_problem gauge\npgregent_problem" WHO ",id=\"odd \\\"name\\\"\\\\\",severity=\"warning\",member=\"ams-2\"} 1\n# HELP");
    metrics_say("\npgregent_certificate_expiry_timestamp_seconds" WHO "} 1800000000\n");
    metrics_do_not_say("pgregent_anchor_fra");
}

/* ---- the agent's own calls ---- */

static void status_and_explain_carry_rules(void **state) {
    (void)state;
    struct snapshot *s = primary();
    s->rules[0] = (struct snapshot_rule){.concern = "role", .id = "R50", .name = "primary-fine", .sentence = "it writes", .waits_for_person = true};
    http_server_publish(server, s);
    JSON_AUTO *status = document(1, "/v1/status");
    assert_string_equal(json_text(status, "source", ""), "agents");
    assert_string_equal(json_text(json_object_get(status, "report"), "site", ""), "ams");
    const json_t *rule = json_object_get(json_object_get(status, "rules"), "role");
    assert_string_equal(json_text(rule, "id", ""), "R50");
    assert_string_equal(json_text(rule, "sentence", ""), "it writes");
    assert_true(json_int(status, "lease_left_ms", 0) > 0);
    JSON_AUTO *explain = document(1, "/v1/explain");
    assert_string_equal(json_text(explain, "member", ""), "ams-1");
    assert_string_equal(json_text(explain, "role", ""), "primary");
    assert_true(json_bool(json_object_get(json_object_get(explain, "rules"), "role"), "waits_for_person", false));
    JSON_AUTO *nothing = document(1, "/v1/nothing");
    assert_string_equal(json_text(json_object_get(nothing, "error"), "code", ""), "not_found");
    http_server_publish(server, late_primary());
    JSON_AUTO *late = document(1, "/v1/status");
    assert_int_equal(json_int(late, "lease_left_ms", -1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_before_the_first_tick),
        cmocka_unit_test(each_situation_gets_patronis_codes),
        cmocka_unit_test(a_lease_runs_out_between_two_answers),
        cmocka_unit_test(a_loop_that_hangs_is_not_live),
        cmocka_unit_test(an_unknown_lag_is_within_no_limit),
        cmocka_unit_test(head_and_options_give_the_code_alone),
        cmocka_unit_test(a_primary_tells_its_position),
        cmocka_unit_test(a_replica_tells_what_it_received_and_replayed),
        cmocka_unit_test(without_a_server_only_the_state_is_told),
        cmocka_unit_test(the_cluster_lists_members_and_their_lag),
        cmocka_unit_test(the_history_names_each_switch),
        cmocka_unit_test(metrics_have_patronis_names),
        cmocka_unit_test(slots_and_problems_have_labels),
        cmocka_unit_test(status_and_explain_carry_rules),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
