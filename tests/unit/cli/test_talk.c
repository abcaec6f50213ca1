/* Questions and moves against coordinators of recorded answers, against none, and against agents: what people and
 * scripts are told, and with which exit code. */
#include "topology_sample.h"
#include "coordinator/cli/operation.h"
#include <signal.h>
#include <sys/stat.h>

static struct fake *fake;
static struct sign_key alice;

#define CLUSTER(extra)                                                                                                 \
    "{\"format\":1,\"source\":\"coordinator\",\"clusters\":[{\"name\":\"orders\",\"epoch\":\"1.0\",\"primary_site\":\"ams\",\"writable\":true,\"problems\":[]," extra \
    "\"sites\":[{\"name\":\"ams\",\"role\":\"primary\",\"state\":\"ok\"},{\"name\":\"fra\",\"role\":\"standby\",\"state\":\"ok\",\"lag_bytes\":0}]}]}"
#define OPERATION(state, rest) "{\"id\":\"OPID\",\"kind\":\"switchover\",\"from\":\"ams\",\"to\":\"fra\",\"state\":\"" state "\"," rest "}"
#define ONE(state, rest) "{\"number\":7,\"operations\":[" OPERATION(state, rest) "]}"
#define STEPS_RUNNING "\"step\":\"stop\",\"steps\":[{\"name\":\"check\",\"state\":\"done\",\"seconds\":0.01},{\"name\":\"stop\",\"state\":\"running\",\"seconds\":null}]"
#define STEPS_DONE                                                                                                     \
    "\"step\":\"verify\",\"steps\":[{\"name\":\"check\",\"state\":\"done\",\"seconds\":0.01},{\"name\":\"stop\",\"state\":\"done\",\"seconds\":0.2}]," \
    "\"epoch\":\"1.1\",\"write_gap_ms\":212,\"lost_bytes\":0"

static int start(void **state) {
    (void)state;
    fake = fake_new();
    configure((int[]){fake_port(fake)}, 1, &alice);
    return 0;
}

static int stop(void **state) {
    (void)state;
    struct err err;
    fake_free(fake);
    sign_key_free(&alice);
    return file_remove_tree(in_dir(".cache"), &err) ? 0 : -1;
}

/* A port that nobody listens on. */
static int dead_port(void) {
    struct fake *gone = fake_new();
    int port = fake_port(gone);
    fake_free(gone);
    return port;
}

static void use_ports(const int *ports, size_t count) {
    sign_key_free(&alice);
    configure(ports, count, &alice);
}

/* ---- a planned move ---- */

static void a_move_is_followed_to_its_end(void **state) {
    (void)state;
    struct request request;
    ENVELOPE e = {0};
    struct err err = {0};
    fake_says(fake, "POST", "/v1/operations", 200, "{\"changed\":true,\"operation\":" OPERATION("running", STEPS_RUNNING) "}");
    fake_says(fake, "GET", "/v1/operations", 200, ONE("done", STEPS_DONE));
    RAN r = run("switchover orders --to fra --yes --reason disks --deadline 30s");
    assert_exit(r, CLI_DONE);
    assert_says(r.out, "switchover ams -> fra");
    assert_says(r.out, "  check      done     10 ms\n  stop       done     200 ms\n");
    assert_says(r.out, "fra is the primary site now, in epoch 1.1.\nWrites stopped for 212 ms. Lost: 0 bytes.");
    assert_true(envelope_open((struct bytes){fake->posted, strlen(fake->posted)}, REQUEST_TYPE, &e, &err));
    assert_true(envelope_verified_by(&e, alice.public));
    assert_true(field_from_json(&request_table, "request", (struct bytes){e.payload.at, e.payload.len}, &request, &err));
    assert_string_equal(request.cluster, "orders");
    assert_string_equal(request.to, "fra");
    assert_string_equal(request.reason, "disks");
    assert_int_equal(request.verb, VERB_SWITCHOVER);
    assert_int_equal(request.deadline_ms, 30000);
    assert_int_equal(strlen(request.op), 32);
    assert_true(request.expires_at > request.issued_at);
}

static void with_json_progress_is_on_stderr_and_the_end_on_stdout(void **state) {
    (void)state;
    fake_says(fake, "POST", "/v1/operations", 200, "{\"changed\":true,\"operation\":" OPERATION("running", STEPS_RUNNING) "}");
    fake_says(fake, "GET", "/v1/operations", 200, ONE("done", STEPS_DONE));
    RAN r = run("-o json switchover orders --to fra --yes");
    assert_exit(r, CLI_DONE);
    JSON_AUTO *document = document_of(&r);
    assert_true(json_is_true(json_object_get(document, "changed")));
    assert_int_equal(json_int(json_object_get(document, "operation"), "write_gap_ms", 0), 212);
    assert_says(r.err, "\"step\":\"stop\",\"state\":\"running\",\"seconds\":null}\n");
    assert_says(r.err, "\"step\":\"stop\",\"state\":\"done\",\"seconds\":0.2}\n");
    for (char *line = strtok(r.err, "\n"); line; line = strtok(NULL, "\n")) { /* each line is a document */
        struct err err = {0};
        JSON_AUTO *one = json_parse((struct bytes){line, strlen(line)}, &err);
        assert_non_null(one);
    }
}

static void every_end_has_its_exit_code(void **state) {
    (void)state;
    static const struct {
        const char *answer;
        int exit;
        const char *code, *says;
    } rows[] = {
        {ONE("aborted", "\"steps\":[],\"message\":\"not stopped within 60 s\""), CLI_ABORTED, "aborted", "The primary site is the same as before: ams."},
        {ONE("failed", "\"steps\":[],\"message\":\"target is past the receipt\""), CLI_FAILED, "failed", "target is past the receipt"},
        {ONE("waiting", "\"steps\":[],\"question\":\"was fra opened by hand?\""), CLI_WAITS, "waits", "Question: was fra opened by hand?"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        stop(NULL);
        start(NULL);
        fake_says(fake, "POST", "/v1/operations", 200, "{\"changed\":true,\"operation\":" OPERATION("running", STEPS_RUNNING) "}");
        fake_says(fake, "GET", "/v1/operations", 200, rows[i].answer);
        RAN text = run("switchover orders --to fra --yes");
        assert_exit(text, rows[i].exit);
        assert_says(text.out, rows[i].says);
        if (rows[i].exit == CLI_WAITS)
            continue; /* once is enough: it takes a moment */
        RAN json = run("switchover orders --to fra --yes -o json");
        assert_exit(json, rows[i].exit);
        JSON_AUTO *document = document_of(&json);
        assert_string_equal(json_text(json_object_get(document, "error"), "code", ""), rows[i].code);
    }
}

static void to_the_present_primary_is_nothing_to_do(void **state) {
    (void)state;
    fake_says(fake, "POST", "/v1/operations", 200, "{\"changed\":false,\"operation\":null}");
    RAN r = run("switchover orders --to ams --yes -o json");
    assert_exit(r, CLI_DONE);
    JSON_AUTO *document = document_of(&r);
    assert_true(json_is_false(json_object_get(document, "changed")));
}

static void a_refusal_names_check_evidence_and_cure(void **state) {
    (void)state;
    fake_says(fake, "POST", "/v1/operations", 409,
              "{\"error\":{\"code\":\"refused\",\"message\":\"the target lags\",\"checks\":[{\"id\":\"target-lag\",\"message\":\"fra lags\",\"evidence\":\"20 MB\","
              "\"cure\":\"wait\",\"ignorable\":false}],\"cure\":null,\"operation\":{\"id\":\"0f\",\"kind\":\"bootstrap\",\"by\":\"bob\",\"step\":\"copy\",\"started_at\":\"t\"}}}");
    RAN r = run("switchover orders --to fra --yes");
    assert_exit(r, CLI_REFUSED);
    static const char *const parts[] = {"the target lags", "target-lag: fra lags", "seen: 20 MB", "cure: wait", "can't be ignored", "operation: 0f, bootstrap by bob, in step copy since t"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        assert_says(r.err, parts[i]);
}

static void statuses_become_exit_codes(void **state) {
    (void)state;
    static const struct {
        int status, exit;
    } rows[] = {{400, CLI_USAGE}, {403, CLI_REFUSED}, {404, CLI_USAGE}, {409, CLI_REFUSED}, {413, CLI_USAGE}, {500, CLI_FAILED}, {503, CLI_NOBODY}, {504, CLI_UNFINISHED}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        stop(NULL);
        start(NULL);
        fake_says(fake, "POST", "/v1/operations", rows[i].status, "not even JSON");
        RAN r = run("switchover orders --to fra --yes -o json");
        if (r.exit != rows[i].exit)
            fail_msg("HTTP %d: exit %d, not %d", rows[i].status, r.exit, rows[i].exit);
        JSON_AUTO *document = document_of(&r);
        assert_non_null(json_object_get(document, "error"));
    }
}

static void people_are_asked_and_shown_what_moves(void **state) {
    (void)state;
    fake_says(fake, "GET", "/v1/status", 200, CLUSTER(""));
    RAN silent = run("switchover orders --to fra");
    assert_exit(silent, CLI_REFUSED);
    assert_says(silent.err, "--yes");
    RAN declined = run_answering("\n", "switchover orders --to fra");
    assert_exit(declined, CLI_REFUSED);
    assert_says(declined.out, "it lacks 0 B of what ams has written");
    assert_says(declined.out, "Move the primacy of orders from ams to fra? [y/N]");
    assert_int_equal(fake->posts, 0);
    fake_says(fake, "POST", "/v1/operations", 200, "{\"changed\":true,\"operation\":" OPERATION("done", STEPS_DONE) "}");
    RAN agreed = run_answering("yes\n", "switchover orders --to fra");
    assert_exit(agreed, CLI_DONE);
    assert_int_equal(fake->posts, 1);
}

static void a_dry_run_asks_and_sends_nothing(void **state) {
    (void)state;
    fake_says(fake, "GET", "/v1/readiness", 200, "{\"ready\":true,\"checks\":[],\"steps\":[\"check\",\"stop\"]}");
    RAN ready = run("switchover orders --to fra --dry-run");
    assert_exit(ready, CLI_DONE);
    assert_says(ready.out, "check stop");
    fake_says(fake, "GET", "/v1/readiness", 200, "{\"ready\":false,\"checks\":[{\"id\":\"lag\",\"message\":\"lags\"}],\"steps\":[]}");
    RAN not_ready = run("switchover orders --to fra --dry-run -o json");
    assert_exit(not_ready, CLI_REFUSED);
    assert_int_equal(fake->posts, 0);
}

static void a_dry_run_without_that_answer_judges_by_the_status(void **state) {
    (void)state;
    fake_says(fake, "GET", "/v1/status", 200, CLUSTER(""));
    RAN ready = run("switchover orders --to fra --dry-run");
    assert_exit(ready, CLI_DONE);
    assert_says(ready.err, "judged by the status");
    RAN unknown = run("switchover orders --to lon --dry-run");
    assert_exit(unknown, CLI_REFUSED);
    assert_says(unknown.err, "target-unknown");
}

/* ---- waiting ---- */

static void no_wait_and_timeout_leave_the_operation_to_itself(void **state) {
    (void)state;
    static const char *const lines[] = {"switchover orders --to fra --yes --no-wait", "switchover orders --to fra --yes --timeout 1ms",
                                        "switchover orders --to fra --yes --no-wait -o json"};
    fake_says(fake, "POST", "/v1/operations", 200, "{\"changed\":true,\"operation\":" OPERATION("running", STEPS_RUNNING) "}");
    fake_says(fake, "GET", "/v1/operations", 200, ONE("running", STEPS_RUNNING));
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        RAN r = run(lines[i]);
        assert_exit(r, CLI_UNFINISHED);
        assert_says(r.err, fake->op);
    }
}

static void *interrupt_soon(void *context) {
    pthread_t *waiting = context;
    for (unsigned posts = 0; !posts; usleep(10000)) { /* the test's own thread has sent, and waits now */
        pthread_mutex_lock(&fake->lock);
        posts = fake->posts;
        pthread_mutex_unlock(&fake->lock);
    }
    usleep(100000);
    pthread_kill(*waiting, SIGINT);
    return NULL;
}

static void an_interrupt_ends_only_the_waiting(void **state) {
    (void)state;
    pthread_t self = pthread_self(), other;
    fake_says(fake, "POST", "/v1/operations", 200, "{\"changed\":true,\"operation\":" OPERATION("running", STEPS_RUNNING) "}");
    fake_says(fake, "GET", "/v1/operations", 200, ONE("running", STEPS_RUNNING));
    pthread_create(&other, NULL, interrupt_soon, &self);
    RAN r = run("switchover orders --to fra --yes");
    pthread_join(other, NULL);
    assert_exit(r, CLI_UNFINISHED);
    assert_says(r.err, "goes on; pgregent operation watch orders");
}

static void a_coordinator_that_restarts_is_asked_again(void **state) {
    (void)state;
    fake_says(fake, "POST", "/v1/operations", 200, "{\"changed\":true,\"operation\":" OPERATION("running", STEPS_RUNNING) "}");
    fake_says(fake, "GET", "/v1/operations", 200, "{\"number\":900,\"operations\":[" OPERATION("running", STEPS_RUNNING) "]}");
    fake_says(fake, "GET", "/v1/operations", 503, "");
    fake_says(fake, "GET", "/v1/operations", 200, ONE("done", STEPS_DONE)); /* it counts from the beginning again */
    RAN r = run("switchover orders --to fra --yes --timeout 5s");
    assert_exit(r, CLI_DONE);
    assert_says(r.err, "no coordinator answers at the moment");
}

/* The answer to the request may be there before the journal shows the operation. */
static void an_operation_that_is_not_shown_yet_is_asked_for_again(void **state) {
    (void)state;
    fake_says(fake, "POST", "/v1/operations", 200, "{\"changed\":true,\"operation\":" OPERATION("running", STEPS_RUNNING) "}");
    fake_says(fake, "GET", "/v1/operations", 404, "{\"error\":{\"code\":\"not_found\",\"message\":\"no such operation\"}}");
    fake_says(fake, "GET", "/v1/operations", 200, ONE("done", STEPS_DONE));
    RAN r = run("switchover orders --to fra --yes");
    assert_exit(r, CLI_DONE);
    assert_string_equal(r.err, "");
}

/* ---- the journal ---- */

static void operations_are_listed_shown_and_watched(void **state) {
    (void)state;
    fake_says(fake, "GET", "/v1/operations", 200, ONE("done", STEPS_DONE));
    RAN list = run("operation list orders");
    assert_exit(list, CLI_DONE);
    assert_says(list.out, "switchover ams -> fra");
    RAN show = run("operation show orders");
    assert_exit(show, CLI_DONE);
    assert_says(show.out, "Writes stopped for 212 ms.");
    RAN watch = run("operation watch orders abc");
    assert_exit(watch, CLI_DONE);
    RAN json = run("operation list orders -o json");
    JSON_AUTO *document = document_of(&json);
    assert_int_equal(json_array_size(json_object_get(document, "operations")), 1);
}

static void an_abort_names_the_operation_that_it_takes_back(void **state) {
    (void)state;
    str_copy(fake->op, sizeof fake->op, "00112233445566778899aabbccddeeff");
    fake_says(fake, "GET", "/v1/operations", 200, ONE("running", STEPS_RUNNING));
    fake_says(fake, "POST", "/v1/operations", 200, "{\"operation\":" OPERATION("running", STEPS_RUNNING) "}");
    fake_says(fake, "GET", "/v1/operations", 200, ONE("aborted", "\"steps\":[]"));
    RAN r = run("operation abort orders --yes");
    assert_exit(r, CLI_DONE); /* it is what was asked for */
    assert_string_equal(fake->op, "00112233445566778899aabbccddeeff");
    assert_int_equal(fake->posts, 1);
}

static void an_abort_that_comes_too_late_is_refused(void **state) {
    (void)state;
    fake_says(fake, "GET", "/v1/operations", 200, ONE("running", STEPS_RUNNING));
    fake_says(fake, "POST", "/v1/operations", 409, "{\"error\":{\"code\":\"refused\",\"message\":\"past the point of no return\"}}");
    RAN r = run("operation abort orders --yes");
    assert_exit(r, CLI_REFUSED);
    stop(NULL);
    start(NULL);
    fake_says(fake, "GET", "/v1/operations", 200, ONE("done", STEPS_DONE));
    RAN over = run("operation abort orders --yes");
    assert_exit(over, CLI_REFUSED);
    assert_int_equal(fake->posts, 0);
}

/* ---- several coordinators, none, agents ---- */

static void the_next_coordinator_is_asked_when_one_is_away(void **state) {
    (void)state;
    use_ports((int[]){dead_port(), fake_port(fake)}, 2);
    fake_says(fake, "GET", "/v1/status", 200, CLUSTER(""));
    RAN r = run("status orders");
    assert_exit(r, CLI_DONE);
    assert_says(r.out, "orders  epoch 1.0  primary ams");
}

static void status_exits_8_only_when_asked_to_judge(void **state) {
    (void)state;
    fake_says(fake, "GET", "/v1/status", 200, CLUSTER("\"x\":1,"));
    fake_says(fake, "GET", "/v1/status", 200, CLUSTER("\"problems\":[{\"id\":\"clock\",\"severity\":\"warning\",\"message\":\"m\"}],\"y\":1,"));
    RAN fine = run("status orders --exit-code");
    assert_exit(fine, CLI_DONE);
    stop(NULL);
    start(NULL);
    fake_says(fake, "GET", "/v1/status", 200, "{\"clusters\":[{\"name\":\"orders\",\"writable\":true,\"sites\":[],\"problems\":[{\"id\":\"clock\",\"message\":\"m\"}]}]}");
    RAN troubled = run("status orders --exit-code");
    assert_exit(troubled, CLI_DIFFERENT);
    RAN plain = run("status orders");
    assert_exit(plain, CLI_DONE);
}

static void nobody_at_all_is_4_with_the_next_steps(void **state) {
    (void)state;
    static const char *const lines[] = {"status orders", "status", "explain orders", "slots orders", "history orders", "operation list orders", "switchover orders --to fra --yes"};
    use_ports((int[]){dead_port(), dead_port()}, 2);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char json[128];
        RAN r = run(lines[i]);
        assert_exit(r, CLI_NOBODY);
        assert_says(r.err, "Nothing was sent");
        assert_says(r.err, "--at HOST:PORT");
        snprintf(json, sizeof json, "-o json %s", lines[i]);
        RAN again = run(json);
        assert_exit(again, CLI_NOBODY);
        JSON_AUTO *document = document_of(&again);
        assert_string_equal(json_text(json_object_get(document, "error"), "code", ""), "nobody");
    }
}

#define REPORT(cluster_, speaks)                                                                                       \
    "{\"source\":\"agents\",\"age_ms\":120,\"report\":{\"cluster\":\"" cluster_ "\",\"site\":\"ams\",\"member\":\"ams-1\",\"speaks\":" speaks ",\"leader\":\"ams-1\",\"has_order\":true," \
    "\"order_role\":\"primary\",\"order_epoch\":\"1.0@ams\",\"vote\":{\"opened\":\"1.0@ams\"},\"members\":[{\"name\":\"ams-1\",\"role\":\"primary\",\"state\":\"running\"," \
    "\"lsn\":\"0/5000148\",\"writable\":true,\"rule\":\"R07\",\"why\":\"leads\",\"slots\":[]}]}}"

static void an_agent_is_asked_directly(void **state) {
    (void)state;
    char line[128];
    int port = fake_port(fake);
    use_ports((int[]){dead_port()}, 1);
    fake_says(fake, "GET", "/v1/status", 200, REPORT("orders", "true"));
    snprintf(line, sizeof line, "status orders -o json --at 127.0.0.1:%d", port);
    RAN r = run(line);
    assert_exit(r, CLI_DONE);
    JSON_AUTO *document = document_of(&r);
    assert_string_equal(json_text(document, "source", ""), "agents");
    const json_t *cluster = json_array_get(json_object_get(document, "clusters"), 0);
    assert_string_equal(json_text(cluster, "primary_member", ""), "ams-1");
    assert_int_equal(json_int(json_array_get(json_object_get(cluster, "sites"), 0), "report_age_ms", 0), 120);
    snprintf(line, sizeof line, "explain orders --at 127.0.0.1:%d", port);
    RAN why = run(line);
    assert_exit(why, CLI_DONE);
    assert_says(why.out, "R07 leads");
    snprintf(line, sizeof line, "status billing --at 127.0.0.1:%d", port);
    RAN other = run(line);
    assert_exit(other, CLI_USAGE);
    assert_says(other.err, "belongs to cluster orders");
    snprintf(line, sizeof line, "status orders --at 127.0.0.1:%d", dead_port());
    RAN gone = run(line);
    assert_exit(gone, CLI_NOBODY);
}

static void agents_are_found_in_the_topology_of_the_last_call(void **state) {
    (void)state;
    STRBUF file = {0};
    STRBUF envelope = {0};
    STRBUF answer = {0};
    struct fake *agent = fake_new();
    fake_says(agent, "GET", "/v1/status", 200, REPORT("orders", "false"));
    sample_topology(&alice, fake_port(agent), &file);
    sample_envelope(file.at, 1, "", &alice, &envelope);
    strbuf_addf(&answer, "{\"envelope\": %s, \"version\": 1}", envelope.at);
    fake_says(fake, "GET", "/v1/topology", 200, answer.at);
    fake_says(fake, "GET", "/v1/status", 200, CLUSTER("\"topology_version\":1,"));
    for (int i = 0; i < 3; i++) {
        RAN before = run("status orders");
        assert_exit(before, CLI_DONE);
    }
    assert_int_equal(fake->script[0].used, 1); /* fetched once: the version is the one that is kept */
    use_ports((int[]){dead_port()}, 1);
    RAN r = run("status orders");
    assert_exit(r, CLI_DONE);
    assert_says(r.err, "no coordinator answers: asking the agents");
    assert_says(r.out, "without a coordinator: this is what the agents say");
    assert_says(r.out, "ams/ams-1");
    assert_says(r.out, "fra   ?"); /* known to exist, and not heard of */
    write_file("topology.yaml", file.at);
    struct err err;
    assert_true(file_remove_tree(in_dir(".cache"), &err));
    RAN forgotten = run("status orders");
    assert_exit(forgotten, CLI_NOBODY);
    char line[600];
    snprintf(line, sizeof line, "slots orders --topology %s", in_dir("topology.yaml"));
    RAN named = run(line);
    assert_exit(named, CLI_DONE);
    fake_free(agent);
}

/* ---- signed documents, offline ---- */

static void a_signed_document_can_be_read_offline(void **state) {
    (void)state;
    STRBUF file = {0};
    STRBUF envelope = {0};
    char line[600];
    sample_topology(&alice, 0, &file);
    sample_envelope(file.at, 1, "", &alice, &envelope);
    write_file("envelope.json", envelope.at);
    snprintf(line, sizeof line, "order show %s", in_dir("envelope.json"));
    RAN r = run(line);
    assert_exit(r, CLI_DONE);
    assert_says(r.out, "topology version 1 of orders");
    assert_says(r.out, alice.id);
    write_file("envelope.json", "{\"payload\": \"\"}");
    RAN broken = run(line);
    assert_exit(broken, CLI_USAGE);
}

static void keys_are_made_once_and_shown(void **state) {
    (void)state;
    char line[600];
    snprintf(line, sizeof line, "key generate %s", in_dir("new.ed25519"));
    RAN made = run(line);
    assert_exit(made, CLI_DONE);
    assert_true(str_starts(made.out, "ed25519:"));
    RAN again = run(line);
    assert_exit(again, CLI_REFUSED);
    snprintf(line, sizeof line, "key show %s", in_dir("new.ed25519"));
    RAN shown = run(line);
    assert_exit(shown, CLI_DONE);
    assert_string_equal(shown.out, made.out);
    assert_int_equal(chmod(in_dir("new.ed25519"), 0644), 0);
    RAN open_to_all = run(line);
    assert_exit(open_to_all, CLI_REFUSED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
        T(a_move_is_followed_to_its_end),
        T(with_json_progress_is_on_stderr_and_the_end_on_stdout),
        T(every_end_has_its_exit_code),
        T(to_the_present_primary_is_nothing_to_do),
        T(a_refusal_names_check_evidence_and_cure),
        T(statuses_become_exit_codes),
        T(people_are_asked_and_shown_what_moves),
        T(a_dry_run_asks_and_sends_nothing),
        T(a_dry_run_without_that_answer_judges_by_the_status),
        T(no_wait_and_timeout_leave_the_operation_to_itself),
        T(an_interrupt_ends_only_the_waiting),
        T(a_coordinator_that_restarts_is_asked_again),
        T(an_operation_that_is_not_shown_yet_is_asked_for_again),
        T(operations_are_listed_shown_and_watched),
        T(an_abort_names_the_operation_that_it_takes_back),
        T(an_abort_that_comes_too_late_is_refused),
        T(the_next_coordinator_is_asked_when_one_is_away),
        T(status_exits_8_only_when_asked_to_judge),
        T(nobody_at_all_is_4_with_the_next_steps),
        T(an_agent_is_asked_directly),
        T(agents_are_found_in_the_topology_of_the_last_call),
        T(a_signed_document_can_be_read_offline),
        T(keys_are_made_once_and_shown),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
