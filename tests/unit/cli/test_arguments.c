/* What is typed, and what comes of it: every refusal before anything is sent, with its exit code and its cure. */
#include "cli_fixture.h"
#include "coordinator/cli/command.h"

struct typed {
    const char *line;
    int exit;
    const char *says; /* on stdout when it went well, and with -o json */
};

static void try_all(const struct typed *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        RAN r = run(rows[i].line);
        if (r.exit != rows[i].exit)
            fail_msg("%s: exit %d, not %d: %s%s", rows[i].line, r.exit, rows[i].exit, r.out, r.err);
        bool on_stdout = rows[i].exit == 0 || strstr(rows[i].line, "-o json") || strstr(rows[i].line, "-ojson");
        if (!strstr(on_stdout ? r.out : r.err, rows[i].says))
            fail_msg("%s: \"%s\" is missing in:\n%s%s", rows[i].line, rows[i].says, r.out, r.err);
    }
}
#define TRY(rows) try_all((rows), sizeof(rows) / sizeof *(rows))

static void help_is_made_from_the_table(void **state) {
    (void)state;
    static const struct typed rows[] = {
        {"--help", 0, "usage: pgregent [-c FILE]"},
        {"-h", 0, "switchover CLUSTER --to SITE"},
        {"--help", 0, "failover CLUSTER --to SITE                   unplanned move (not built yet)"},
        {"--version", 0, "pgregent " PGREGENT_VERSION},
        {"switchover --help", 0, "--deadline TIME"},
        {"operation abort --help", 0, "usage: pgregent operation abort CLUSTER [ID]"},
        {"operation --help", 0, "operation watch CLUSTER [ID]"},
        {"failover --help", 0, "(not built yet)"},
        {"docs topology", 0, "sites"},
    };
    TRY(rows);
}

static void a_help_text_names_only_what_the_command_takes(void **state) {
    (void)state;
    RAN r = run("status --help");
    assert_says(r.out, "--watch");
    assert_null(strstr(r.out, "--deadline"));
    assert_null(strstr(r.out, "--yes"));
}

static void what_is_not_built_says_so(void **state) {
    (void)state;
    for (const struct command *k = command_table; k->name; k++) {
        char line[128];
        snprintf(line, sizeof line, "%s %s orders fra --to ams --accept-loss 1MB", k->name, k->verb ? k->verb : "");
        if (k->run)
            continue;
        RAN r = run(line);
        assert_exit(r, CLI_USAGE);
        assert_says(r.err, "is not built yet; nothing was sent");
    }
    static const struct typed rows[] = {
        {"switchover orders --to fra --ignore-check lag", CLI_USAGE, "--ignore-check is not built yet"},
        {"apply file --restart", CLI_USAGE, "--restart is not built yet"},
        {"apply file --remove fra", CLI_USAGE, "--remove is not built yet"},
        {"status --direct", CLI_USAGE, "--direct is not built yet"},
    };
    TRY(rows);
}

static void habits_from_elsewhere_are_answered(void **state) {
    (void)state;
    static const struct typed rows[] = {
        {"edit-config orders", CLI_USAGE, "change the topology file"},
        {"reinit orders ams-1", CLI_USAGE, "pgregent local reinit"},
        {"restart orders", CLI_USAGE, "pgregent local restart"},
        {"promote orders", CLI_USAGE, "pgregent switchover CLUSTER --to SITE"},
        {"switchover orders --to fra --force", CLI_USAGE, "--yes answers the prompt"},
        {"switchover orders --candidate fra", CLI_USAGE, "--to SITE"},
        {"switchover orders --candidate=fra", CLI_USAGE, "--to SITE"},
        {"status --json", CLI_USAGE, "use -o json"},
    };
    TRY(rows);
}

static void slips_are_told_with_the_right_word(void **state) {
    (void)state;
    static const struct typed rows[] = {
        {"", CLI_USAGE, "usage: pgregent"},
        {"stauts", CLI_USAGE, "did you mean \"status\"?"},
        {"frobnicate", CLI_USAGE, "pgregent --help lists all"},
        {"operation", CLI_USAGE, "operation what? pgregent operation list|show|watch|abort"},
        {"operation shw orders", CLI_USAGE, "did you mean \"show\"?"},
        {"switchover orders --dedline 5s", CLI_USAGE, "did you mean --deadline?"},
        {"--cofig x status", CLI_USAGE, "did you mean --config?"},
        {"status --watc", CLI_USAGE, "did you mean --watch?"}, /* no abbreviations */
        {"status --frobnicate", CLI_USAGE, "unknown option --frobnicate"},
        {"status -q", CLI_USAGE, "unknown option -q"},
    };
    TRY(rows);
}

static void values_and_words_are_checked(void **state) {
    (void)state;
    static const struct typed rows[] = {
        {"switchover orders", CLI_USAGE, "--to SITE is missing"},
        {"switchover --to fra", CLI_USAGE, "something is missing: pgregent switchover CLUSTER --to SITE"},
        {"switchover orders fra --to fra", CLI_USAGE, "\"fra\" is too much"},
        {"switchover orders --to", CLI_USAGE, "--to wants a value: SITE"},
        {"switchover orders --to Fra", CLI_USAGE, "\"Fra\" can't be a site's name"},
        {"switchover or/ders --to fra", CLI_USAGE, "can't be a cluster's name"},
        {"switchover orders --to fra --to ams", CLI_USAGE, "--to is given twice"},
        {"switchover orders --to fra --deadline 60", CLI_USAGE, "--deadline wants a time with a unit"},
        {"switchover orders --to fra --deadline 0", CLI_USAGE, "leaves no time"},
        {"switchover orders --to fra --yes=no", CLI_USAGE, "--yes takes no value"},
        {"status -o yaml", CLI_USAGE, "text or json, not \"yaml\""},
        {"status -w -o json", CLI_USAGE, "take one of them"},
        {"status orders --deadline 5s", CLI_USAGE, "pgregent status takes no --deadline"},
        {"validate f --yes", CLI_USAGE, "pgregent validate takes no --yes"},
        {"operation show orders ../x", CLI_USAGE, "can't be an operation's id"},
        {"status a b", CLI_USAGE, "\"b\" is too much"},
    };
    TRY(rows);
}

static void options_may_stand_anywhere_and_in_any_form(void **state) {
    (void)state;
    static const struct typed rows[] = {
        {"-o json --help", 0, "usage"},
        {"--output=text --version", 0, "pgregent "},
        {"-ojson switchover orders", CLI_USAGE, ""},
        {"key show -- --odd-name", CLI_USAGE, "--odd-name"}, /* a word after -- */
    };
    TRY(rows);
}

static void json_is_one_document_also_when_refused(void **state) {
    (void)state;
    static const char *const lines[] = {"-o json", "-o json stauts", "stauts -o json", "failover -ojson", "switchover orders --frob -o json", "-o json status --timeout x",
                                        "validate -o json /nonexistent", "key show /nonexistent -o json", "status orders -o json"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        RAN r = run(lines[i]);
        assert_exit(r, CLI_USAGE);
        JSON_AUTO *document = document_of(&r);
        assert_non_null(json_text(json_object_get(document, "error"), "code", NULL));
        assert_non_null(json_text(json_object_get(document, "error"), "message", NULL));
    }
}

static void without_a_configuration_all_places_are_named(void **state) {
    (void)state;
    RAN r = run("status orders");
    assert_exit(r, CLI_USAGE);
    assert_says(r.err, "$PGREGENT_CONFIG");
    assert_says(r.err, "~/.config/pgregent/pgregent.yaml");
    assert_says(r.err, "/etc/pgregent/pgregent.yaml");
}

static void mistakes_of_the_configuration_are_told_at_once(void **state) {
    (void)state;
    struct {
        const char *text, *says;
    } rows[] = {
        {"coordinatrs: [\"x:1\"]\n", "coordinators"},
        {"coordinators: []\ntls: {ca: a, certificate: b, key: c}\n", "at least one"},
        {"coordinators: [\"http://x:1\"]\ntls: {ca: a, certificate: b, key: c}\n", "only https://"},
        {"coordinators: [\"x:1/path\"]\ntls: {ca: a, certificate: b, key: c}\n", "no HOST:PORT"},
        {"coordinators: [\"x:1\"]\ntls: {ca: a, certificate: b, key: c}\n", "tls: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char line[600];
        write_file("broken.yaml", rows[i].text);
        snprintf(line, sizeof line, "-c %s status", in_dir("broken.yaml"));
        RAN r = run(line);
        assert_exit(r, CLI_USAGE);
        assert_says(r.err, rows[i].says);
    }
}

static void addresses_of_coordinators_are_completed(void **state) {
    (void)state;
    struct err err = {0};
    struct cli_config config;
    write_file("c.yaml", "coordinators: [par, \"par:7000\", \"https://par:7001/\", \"[::1]\", \"[::1]:7002\"]\n"
                         "tls: {ca: ca.crt, certificate: /a/b.crt, key: k}\noperator_key: keys/alice\n");
    if (!config_read(in_dir("c.yaml"), &config, &err))
        fail_msg("%s", err.text);
    static const char *const wanted[] = {"https://par:7400", "https://par:7000", "https://par:7001", "https://[::1]:7400", "https://[::1]:7002"};
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(config.coordinators[i], wanted[i]);
    assert_string_equal(config.tls.ca, in_dir("ca.crt"));
    assert_string_equal(config.tls.certificate, "/a/b.crt");
    assert_string_equal(config.operator_key, in_dir("keys/alice"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_is_made_from_the_table),
        cmocka_unit_test(a_help_text_names_only_what_the_command_takes),
        cmocka_unit_test(what_is_not_built_says_so),
        cmocka_unit_test(habits_from_elsewhere_are_answered),
        cmocka_unit_test(slips_are_told_with_the_right_word),
        cmocka_unit_test(values_and_words_are_checked),
        cmocka_unit_test(options_may_stand_anywhere_and_in_any_form),
        cmocka_unit_test(json_is_one_document_also_when_refused),
        cmocka_unit_test(without_a_configuration_all_places_are_named),
        cmocka_unit_test(mistakes_of_the_configuration_are_told_at_once),
        cmocka_unit_test(addresses_of_coordinators_are_completed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
