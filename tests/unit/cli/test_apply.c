/* plan and apply against a coordinator of recorded answers: what is sent would be accepted by every site, and what must
 * not be sent is refused here with nothing sent. */
#include "topology_sample.h"
#include "coordinator/cli/settle.h"
#include "wire/verify.h"

static struct fake *fake;
static struct sign_key alice;
static struct strbuf file, base;

#define STATUS(extra)                                                                                                  \
    "{\"format\":1,\"source\":\"coordinator\",\"clusters\":[{\"name\":\"orders\",\"epoch\":\"1.0\",\"primary_site\":\"ams\",\"writable\":true,\"topology_version\":2," extra \
    "\"sites\":[{\"name\":\"ams\",\"role\":\"primary\",\"state\":\"ok\",\"members\":[{\"name\":\"ams-1\",\"state\":\"running\"}]},"                                         \
    "{\"name\":\"fra\",\"role\":\"standby\",\"state\":\"ok\",\"members\":[{\"name\":\"fra-1\",\"state\":\"streaming\"}]}]}]}"

static int start(void **state) {
    (void)state;
    fake = fake_new();
    sign_key_free(&alice);
    configure((int[]){fake_port(fake)}, 1, &alice);
    strbuf_reset(&file);
    strbuf_reset(&base);
    sample_topology(&alice, 0, &file);
    write_file("orders.yaml", file.at);
    return 0;
}

static int stop(void **state) {
    (void)state;
    fake_free(fake);
    return 0;
}

/* The coordinator holds the sample as version 1. */
static void given_the_sample_in_force(const char *status) {
    STRBUF answer = {0};
    sample_envelope(file.at, 1, "", &alice, &base);
    strbuf_addf(&answer, "{\"envelope\": %s, \"version\": 1}", base.at);
    fake_says(fake, "GET", "/v1/topology", 200, answer.at);
    fake_says(fake, "GET", "/v1/status", 200, status);
}

static struct ran run_on_file(const char *command, const char *options) {
    char line[700];
    snprintf(line, sizeof line, "%s %s %s", command, in_dir("orders.yaml"), options);
    return run(line);
}

/* What was posted, taken apart as the sites do. */
static void open_posted(const struct topology *trusted, struct topology *topology, struct request *request, struct strbuf *text) {
    struct err err = {0};
    STRBUF envelope = {0};
    STRBUF asked = {0};
    char pinned[1][KEY_TEXT_MAX];
    assert_non_null(fake->posted);
    JSON_AUTO *body = json_parse((struct bytes){fake->posted, strlen(fake->posted)}, &err);
    json_write(json_object_get(body, "envelope"), &envelope);
    json_write(json_object_get(body, "request"), &asked);
    sign_public_format(alice.public, pinned[0]);
    if (!topology_open((struct bytes){envelope.at, envelope.len}, trusted, pinned, 1, topology, text, &err))
        fail_msg("%s", err.text);
    if (!verify_request((struct bytes){asked.at, asked.len}, trusted ? trusted : topology, request, &err))
        fail_msg("%s", err.text);
}

/* ---- the first time ---- */

static void the_first_topology_is_signed_and_verifies(void **state) {
    (void)state;
    RT_AUTO struct topology *topology = rt_alloc(sizeof *topology);
    struct request request;
    STRBUF text = {0};
    fake_says(fake, "POST", "/v1/topology", 200, "{\"topology_version\": 1, \"operation\": \"OPID\"}");
    fake_says(fake, "GET", "/v1/operations", 200,
              "{\"number\":1,\"operations\":[{\"id\":\"OPID\",\"kind\":\"create\",\"to\":\"ams\",\"state\":\"done\",\"steps\":[{\"name\":\"birth\",\"state\":\"done\",\"seconds\":1.5}]}]}");
    fake_says(fake, "GET", "/v1/status", 404, "{\"error\":{\"code\":\"not_found\",\"message\":\"no such cluster\"}}");
    fake_says(fake, "GET", "/v1/status", 200, STATUS(""));
    RAN r = run_on_file("apply", "--create --yes --reason birthday");
    assert_exit(r, CLI_DONE);
    assert_says(r.out, "+  sites.ams");
    assert_says(r.out, "create of ams");
    assert_says(r.out, "birth      done     1.5 s");
    assert_says(r.out, "topology 1 of orders is in force");
    open_posted(NULL, topology, &request, &text);
    assert_string_equal(text.at, file.at); /* the file itself, unaltered */
    assert_int_equal(topology->topology_version, 1);
    assert_string_equal(topology->previous, "");
    assert_true(request.create);
    assert_int_equal(request.verb, VERB_APPLY);
    assert_string_equal(request.topology, topology->hash);
    assert_string_equal(request.operator_name, "alice");
    assert_string_equal(request.reason, "birthday");
}

static void without_create_nothing_is_born(void **state) {
    (void)state;
    RAN r = run_on_file("apply", "--yes");
    assert_exit(r, CLI_REFUSED);
    assert_says(r.err, "create-needed");
    assert_says(r.err, "--create makes a new, empty database system");
    assert_int_equal(fake->posts, 0);
}

static void a_birth_that_never_happened_is_asked_for_again_with_the_same_bytes(void **state) {
    (void)state;
    RT_AUTO struct topology *topology = rt_alloc(sizeof *topology);
    struct request request;
    STRBUF text = {0};
    given_the_sample_in_force("{\"clusters\":[{\"name\":\"orders\",\"epoch\":null,\"sites\":[]}]}");
    fake_says(fake, "POST", "/v1/topology", 200, "{\"topology_version\": 1, \"operation\": \"OPID\"}");
    RAN r = run_on_file("apply", "--create --yes --no-wait");
    assert_exit(r, CLI_UNFINISHED);
    assert_says(r.err, fake->op);
    open_posted(NULL, topology, &request, &text);
    assert_int_equal(topology->topology_version, 1);
    assert_true(request.create);
}

/* ---- later ---- */

static void a_change_follows_the_version_in_force(void **state) {
    (void)state;
    RT_AUTO struct topology *present = rt_alloc(sizeof *present), *next = rt_alloc(sizeof *next);
    struct request request;
    struct err err = {0};
    STRBUF text = {0};
    given_the_sample_in_force(STATUS(""));
    replace(&file, "work_mem: 8MB", "work_mem: 16MB");
    write_file("orders.yaml", file.at);
    fake_says(fake, "POST", "/v1/topology", 200, "{\"topology_version\": 2, \"operation\": null}");
    fake_says(fake, "GET", "/v1/operations", 200, "{\"number\":1,\"operations\":[]}");
    RAN r = run_on_file("apply", "--yes");
    assert_exit(r, CLI_DONE);
    assert_says(r.out, "~  postgresql.parameters.work_mem  8MB -> 16MB");
    assert_true(topology_reopen((struct bytes){base.at, base.len}, present, &err));
    open_posted(present, next, &request, &text);
    assert_int_equal(next->topology_version, 2);
    assert_string_equal(next->previous, present->hash);
    assert_false(request.create);
}

static void the_same_file_is_nothing_to_do(void **state) {
    (void)state;
    given_the_sample_in_force(STATUS(""));
    RAN r = run_on_file("apply", "--yes -o json");
    assert_exit(r, CLI_DONE);
    JSON_AUTO *document = document_of(&r);
    assert_true(json_is_false(json_object_get(document, "changed")));
    assert_int_equal(fake->posts, 0);
}

static void plan_shows_and_changes_nothing(void **state) {
    (void)state;
    given_the_sample_in_force(STATUS(""));
    RAN same = run_on_file("plan", "--exit-code");
    assert_exit(same, CLI_DONE);
    assert_says(same.out, "orders: no changes");
    replace(&file, "max_connections: 200", "max_connections: 300");
    write_file("orders.yaml", file.at);
    RAN different = run_on_file("plan", "--exit-code");
    assert_exit(different, CLI_DIFFERENT);
    assert_says(different.out, "topology 1 -> 2, 1 change");
    assert_says(different.out, "restart: PostgreSQL takes it at its next start");
    RAN plain = run_on_file("plan", "");
    assert_exit(plain, CLI_DONE);
    assert_int_equal(fake->posts, 0);
}

static void a_plan_is_applied_only_to_what_it_was_made_for(void **state) {
    (void)state;
    STRBUF other = {0};
    STRBUF answer = {0};
    char line[700];
    given_the_sample_in_force(STATUS(""));
    replace(&file, "work_mem: 8MB", "work_mem: 16MB");
    write_file("orders.yaml", file.at);
    snprintf(line, sizeof line, "--out %s", in_dir("plan.json"));
    RAN planned = run_on_file("plan", line);
    assert_exit(planned, CLI_DONE);
    snprintf(line, sizeof line, "apply %s --dry-run", in_dir("plan.json"));
    RAN fits = run(line);
    assert_exit(fits, CLI_DONE);
    assert_says(fits.out, "work_mem");
    /* meanwhile somebody else applied another file */
    fake_free(fake);
    fake = fake_new();
    sign_key_free(&alice);
    configure((int[]){fake_port(fake)}, 1, &alice);
    replace(&file, "max_connections: 200", "max_connections: 201");
    sample_envelope(file.at, 2, "1111111111111111111111111111111111111111111111111111111111111111", &alice, &other);
    strbuf_addf(&answer, "{\"envelope\": %s, \"version\": 2}", other.at);
    fake_says(fake, "GET", "/v1/topology", 200, answer.at);
    fake_says(fake, "GET", "/v1/status", 200, STATUS(""));
    RAN stale = run(line);
    assert_exit(stale, CLI_REFUSED);
    assert_says(stale.err, "plan-stale");
}

/* ---- refusals before anything is sent ---- */

static void what_must_not_change_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *says;
    } rows[] = {
        {"version: 15", "version: 16", "a major upgrade"},
        {"embedded: /var/lib/pgregent/fra", "embedded: /var/lib/pgregent/elsewhere", "two holders"},
        {"data_dir: /var/lib/postgresql/orders/fra-2", "data_dir: /srv/fra-2", "left behind"},
        {"fra-2: {", "fra-3: {", "apply --remove is not built yet"},
    };
    given_the_sample_in_force(STATUS(""));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        STRBUF changed = {0};
        strbuf_add(&changed, file.at);
        replace(&changed, rows[i].from, rows[i].to);
        write_file("orders.yaml", changed.at);
        RAN r = run_on_file("apply", "--yes");
        assert_exit(r, CLI_REFUSED);
        assert_says(r.err, rows[i].says);
        assert_says(r.err, "can't be ignored");
    }
    assert_int_equal(fake->posts, 0);
}

static void an_open_operation_is_waited_for(void **state) {
    (void)state;
    given_the_sample_in_force(STATUS("\"operation\":{\"id\":\"abc\",\"kind\":\"switchover\",\"state\":\"running\"},"));
    replace(&file, "work_mem: 8MB", "work_mem: 16MB");
    write_file("orders.yaml", file.at);
    RAN r = run_on_file("apply", "--yes");
    assert_exit(r, CLI_REFUSED);
    assert_says(r.err, "switchover abc is under way");
}

static void create_is_for_the_first_time_only(void **state) {
    (void)state;
    given_the_sample_in_force(STATUS(""));
    replace(&file, "work_mem: 8MB", "work_mem: 16MB");
    write_file("orders.yaml", file.at);
    RAN r = run_on_file("apply", "--yes --create");
    assert_exit(r, CLI_REFUSED);
    assert_says(r.err, "create-again");
}

static void a_file_with_mistakes_sends_nothing(void **state) {
    (void)state;
    replace(&file, "initial_primary: ams", "initial_primary: nowhere");
    replace(&file, "max_connections: 200", "primary_conninfo: x");
    write_file("orders.yaml", file.at);
    RAN r = run_on_file("apply", "--yes --create");
    assert_exit(r, CLI_USAGE);
    assert_says(r.err, "orders.yaml:3:");
    assert_says(r.err, "initial_primary");
    assert_says(r.err, "primary_conninfo\" comes from the topology");
    RAN json = run_on_file("validate", "-o json");
    assert_exit(json, CLI_USAGE);
    JSON_AUTO *document = document_of(&json);
    assert_true(json_is_false(json_object_get(document, "valid")));
    RAN missing = run("apply /nonexistent --yes");
    assert_exit(missing, CLI_USAGE);
}

static void a_key_without_the_right_is_told_before_sending(void **state) {
    (void)state;
    given_the_sample_in_force(STATUS(""));
    replace(&file, "work_mem: 8MB", "work_mem: 16MB");
    write_file("orders.yaml", file.at);
    sign_key_free(&alice);
    configure((int[]){fake_port(fake)}, 1, &alice); /* another key than the topology names */
    RAN r = run_on_file("apply", "--yes");
    assert_exit(r, CLI_REFUSED);
    assert_says(r.err, "signed by no operator who may apply");
    assert_int_equal(fake->posts, 0);
}

static void without_a_terminal_yes_must_be_said(void **state) {
    (void)state;
    RAN silent = run_on_file("apply", "--create");
    assert_exit(silent, CLI_REFUSED);
    assert_says(silent.err, "--yes");
    char line[700];
    snprintf(line, sizeof line, "apply %s --create", in_dir("orders.yaml"));
    RAN declined = run_answering("no\n", line);
    assert_exit(declined, CLI_REFUSED);
    assert_says(declined.out, "Make the cluster orders? [y/N]");
    assert_says(declined.err, "nothing was changed");
    assert_int_equal(fake->posts, 0);
    fake_says(fake, "POST", "/v1/topology", 200, "{\"topology_version\": 1, \"operation\": null}");
    snprintf(line, sizeof line, "apply %s --create --no-wait", in_dir("orders.yaml"));
    RAN agreed = run_answering("y\n", line);
    assert_exit(agreed, CLI_UNFINISHED);
    assert_int_equal(fake->posts, 1);
}

/* ---- answers of the coordinator ---- */

static void beaten_is_refused_unless_it_was_our_own_sending(void **state) {
    (void)state;
    fake_says(fake, "POST", "/v1/topology", 409, "{\"error\":{\"code\":\"conflict\",\"message\":\"version 1 is another\"}}");
    RAN beaten = run_on_file("apply", "--create --yes");
    assert_exit(beaten, CLI_REFUSED);
    assert_says(beaten.err, "version 1 is another");
}

static void a_failed_operation_is_a_failed_apply(void **state) {
    (void)state;
    fake_says(fake, "POST", "/v1/topology", 200, "{\"topology_version\": 1, \"operation\": \"OPID\"}");
    fake_says(fake, "GET", "/v1/operations", 200,
              "{\"number\":1,\"operations\":[{\"id\":\"OPID\",\"kind\":\"create\",\"to\":\"ams\",\"state\":\"failed\",\"message\":\"member ams-1 holds data\",\"steps\":[]}]}");
    RAN r = run_on_file("apply", "--create --yes -o json");
    assert_exit(r, CLI_FAILED);
    JSON_AUTO *document = document_of(&r);
    assert_string_equal(json_text(json_object_get(document, "error"), "message", ""), "member ams-1 holds data");
}

static void waiting_ends_at_the_timeout_and_names_the_operation(void **state) {
    (void)state;
    fake_says(fake, "POST", "/v1/topology", 200, "{\"topology_version\": 1, \"operation\": \"OPID\"}");
    fake_says(fake, "GET", "/v1/operations", 200, "{\"number\":1,\"operations\":[{\"id\":\"OPID\",\"kind\":\"create\",\"to\":\"ams\",\"state\":\"running\",\"steps\":[]}]}");
    RAN r = run_on_file("apply", "--create --yes --timeout 1ms");
    assert_exit(r, CLI_UNFINISHED);
    assert_says(r.err, fake->op);
}

/* ---- when is everything built? ---- */

static void settled_is_what_the_status_says(void **state) {
    (void)state;
    static const struct {
        const char *cluster;
        bool settled;
        size_t missing;
    } rows[] = {
        {"{\"topology_version\":2,\"sites\":[{\"name\":\"a\",\"role\":\"primary\",\"state\":\"ok\",\"members\":[{\"name\":\"m\",\"state\":\"running\"}]}]}", true, 0},
        {"{\"topology_version\":1,\"sites\":[]}", false, 0}, /* has not seen it yet */
        {"{\"topology_version\":2,\"operation\":{\"id\":\"x\"},\"sites\":[]}", false, 0},
        {"{\"topology_version\":2,\"sites\":[{\"name\":\"a\",\"role\":\"standby\",\"state\":\"bootstrapping\"}]}", false, 1},
        {"{\"topology_version\":2,\"sites\":[{\"name\":\"a\",\"role\":\"unassigned\",\"state\":\"ok\"}]}", false, 1},
        {"{\"topology_version\":2,\"sites\":[{\"name\":\"a\",\"role\":null,\"state\":\"unknown\"}]}", false, 1},
        {"{\"topology_version\":2,\"sites\":[{\"name\":\"a\",\"role\":\"standby\",\"state\":\"degraded\",\"members\":[{\"name\":\"m\",\"state\":\"creating replica\"},"
         "{\"name\":\"n\",\"state\":\"streaming\"}]}]}",
         false, 1},
        {"{\"topology_version\":2,\"sites\":[{\"name\":\"a\",\"role\":\"standby\",\"state\":\"ok\",\"members\":[{\"name\":\"m\",\"state\":\"streaming\",\"topology_version\":1},"
         "{\"name\":\"n\",\"state\":\"streaming\",\"topology_version\":2}]}]}",
         false, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {0};
        JSON_AUTO *cluster = json_parse((struct bytes){rows[i].cluster, strlen(rows[i].cluster)}, &err), *missing = json_array();
        assert_int_equal(settle_judge(cluster, 2, missing), rows[i].settled);
        assert_int_equal(json_array_size(missing), rows[i].missing);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
        T(the_first_topology_is_signed_and_verifies),
        T(without_create_nothing_is_born),
        T(a_birth_that_never_happened_is_asked_for_again_with_the_same_bytes),
        T(a_change_follows_the_version_in_force),
        T(the_same_file_is_nothing_to_do),
        T(plan_shows_and_changes_nothing),
        T(a_plan_is_applied_only_to_what_it_was_made_for),
        T(what_must_not_change_is_refused),
        T(an_open_operation_is_waited_for),
        T(create_is_for_the_first_time_only),
        T(a_file_with_mistakes_sends_nothing),
        T(a_key_without_the_right_is_told_before_sending),
        T(without_a_terminal_yes_must_be_said),
        T(beaten_is_refused_unless_it_was_our_own_sending),
        T(a_failed_operation_is_a_failed_apply),
        T(waiting_ends_at_the_timeout_and_names_the_operation),
        cmocka_unit_test(settled_is_what_the_status_says),
    };
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    strbuf_free(&file);
    strbuf_free(&base);
    sign_key_free(&alice);
    return failed;
}
