/* The topology file: what it becomes when it is right, and for each way to get it wrong the place and the words. The
 * stories change one thing at a time in examples/topology.yaml, so that file is checked here, too. */
#include "rt/file.h"
#include "wire/topology.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct strbuf example; /* as it stands in examples/ */
static struct strbuf text;    /* the one under test */
static struct topology *t;
static struct field_problems *problems, *warnings;
static struct strbuf found;

static int read_example(void **state) {
    (void)state;
    struct err err = {0};
    if (!file_read("examples/topology.yaml", TOPOLOGY_FILE_MAX, &example, &err)) fail_msg("%s (run in the source directory)", err.text);
    t = rt_alloc(sizeof *t);
    problems = rt_alloc(sizeof *problems);
    warnings = rt_alloc(sizeof *warnings);
    return 0;
}

static int free_example(void **state) {
    (void)state;
    strbuf_free(&example);
    strbuf_free(&text);
    strbuf_free(&found);
    rt_free(t);
    rt_free(problems);
    rt_free(warnings);
    return 0;
}

static int fresh(void **state) {
    (void)state;
    strbuf_reset(&text);
    strbuf_add(&text, example.at);
    return 0;
}

/* The one place where `old` stands becomes `new`. */
static void change(const char *old, const char *new) {
    char *at = text.at ? strstr(text.at, old) : NULL;
    if (!at) fail_msg("the example no longer says: %s", old);
    STRBUF changed = {0};
    strbuf_add_bytes(&changed, text.at, (size_t)(at - text.at));
    strbuf_add(&changed, new);
    strbuf_add(&changed, at + strlen(old));
    strbuf_reset(&text);
    strbuf_add(&text, changed.at);
}

static bool parse(void) {
    memset(problems, 0, sizeof *problems);
    memset(warnings, 0, sizeof *warnings);
    return topology_parse("t.yaml", (struct bytes){text.at, text.len}, t, problems, warnings);
}

static const char *written(struct field_problems *p) {
    strbuf_reset(&found);
    strbuf_add(&found, "");
    field_problems_write(p, &found);
    return found.at;
}

/* Exactly one problem, whose line (without place) is "path: message". */
static void refused(const char *line) {
    if (parse()) fail_msg("accepted, though: %s", line);
    if (problems->count != 1) fail_msg("wanted: %s\nfound:\n%s", line, written(problems));
    char one[800];
    const struct field_problem *p = &problems->at[0];
    snprintf(one, sizeof one, "%s%s%s", p->path, p->path[0] ? ": " : "", p->message);
    assert_string_equal(one, line);
    assert_true(p->line > 0);
}

static void accepted(void) {
    if (!parse()) fail_msg("%s", written(problems));
}

/* --- what it becomes --- */

static void the_example_is_valid_and_warns_of_nothing(void **state) {
    (void)state;
    accepted();
    assert_string_equal(written(warnings), "");
    assert_string_equal(t->cluster, "orders");
    assert_string_equal(t->initial_primary, "ams");
    assert_int_equal(t->site_count, 2);
    assert_int_equal(t->absent_member_ms, 30 * 60000);
    assert_int_equal(t->absent_site_ms, 24 * 3600000);
    assert_int_equal(t->slot_wal_max, 20LL << 30);
    assert_false(t->isolated_start_open);
    const struct topology_site *fra = topology_site(t, "fra");
    assert_true(fra->standby_given);
    assert_string_equal(fra->standby.create_replica_methods[0], "basebackup");
    assert_string_equal(fra->embedded, "/var/lib/pgregent/fra");
    assert_int_equal(fra->local.ttl_ms, 10000);
    assert_int_equal(fra->local.stop_time_ms, 4000);
    assert_int_equal(fra->local.maximum_lag_on_failover, 1 << 20);
    assert_true(fra->local.failsafe_mode);
    const struct topology_member *ams2 = topology_member(t, "ams", "ams-2");
    assert_string_equal(ams2->host, "10.0.1.11");
    assert_int_equal(ams2->port, 5433);
    assert_string_equal(ams2->agent, "10.0.1.11:7402");
    assert_string_equal(ams2->tags[0].name, "failover_priority");
    assert_string_equal(ams2->tags[0].value, "2");
    assert_string_equal(ams2->postgresql.data_dir, "/var/lib/postgresql/orders/ams-2");
    assert_int_equal(ams2->postgresql.version, 15);
    assert_int_equal(ams2->postgresql.parameter_count, 2);
    assert_int_equal(ams2->postgresql.pg_hba_count, 1);
    assert_true(t->operators[1].may[VERB_SWITCHOVER] && t->operators[1].may[VERB_APPLY] && !t->operators[1].may[VERB_FAILOVER]);
    for (int verb = 0; verb_names[verb]; verb++) assert_true(t->operators[0].may[verb]);
}

static const char smallest[] = "format: 1\ncluster: c\ninitial_primary: a\n"
                               "sites:\n  a:\n    store: {embedded: /s}\n    members:\n"
                               "      a-1: {address: \"10.0.0.1:5432\", key: \"ed25519:j9yooSQP3ABxwOKrqkeGRsANgYbgG4kuhl8FyR2Xkjg=\"}\n"
                               "coordinators:\n  p: {address: \"10.0.0.2:7400\", key: \"ed25519:3UIruGRkfEqyK+imvBp6v4EXfZx2jqn8hOQRNL/OzHE=\"}\n"
                               "keys:\n  operators:\n    o: {key: \"ed25519:e3WWzGJXDEANwwfXWRjcGERywe9PacXk7YYX0MDrIdM=\", may: [all]}\n";

static void what_is_left_out_has_its_default(void **state) {
    (void)state;
    strbuf_reset(&text);
    strbuf_add(&text, smallest);
    accepted();
    const struct topology_member *m = topology_member(t, "a", "a-1");
    assert_string_equal(m->agent, "10.0.0.1:7401");
    assert_string_equal(m->postgresql.data_dir, "/var/lib/postgresql/c/data");
    assert_int_equal(m->postgresql.version, 15);
    assert_int_equal(t->sites[0].local.ttl_ms, 10000);
    assert_int_equal(t->sites[0].local.stop_time_ms, 4000);
    assert_int_equal(t->sites[0].local.maximum_lag_on_failover, 1 << 20);
    assert_true(t->sites[0].local.failsafe_mode);
    assert_false(t->sites[0].standby_given);
    assert_int_equal(t->sites[0].standby.create_replica_method_count, 1);
    assert_int_equal(t->absent_member_ms, 30 * 60000);
    assert_string_equal(t->sites[0].standby.upstream, "");
}

static void the_nearest_level_wins_and_the_others_shine_through(void **state) {
    (void)state;
    change("  ams:\n    store:", "  ams:\n    local: {ttl: 30s, failsafe_mode: false, maximum_lag_on_failover: 0}\n"
                                 "    postgresql: {parameters: {shared_buffers: 1GB, work_mem: 8MB}, pg_hba: []}\n    store:");
    change("data_dir: /var/lib/postgresql/orders/ams-2}", "data_dir: /var/lib/postgresql/orders/ams-2, parameters: {work_mem: 16MB}}");
    accepted();
    const struct topology_site *ams = topology_site(t, "ams"), *fra = topology_site(t, "fra");
    assert_int_equal(ams->local.ttl_ms, 30000);
    assert_int_equal(ams->local.stop_time_ms, 4000);
    assert_int_equal(ams->local.maximum_lag_on_failover, 0);
    assert_false(ams->local.failsafe_mode);
    assert_int_equal(fra->local.ttl_ms, 10000);
    const struct topology_postgresql *one = &ams->members[0].postgresql, *two = &ams->members[1].postgresql;
    static const struct field_pair wanted[] = {{"max_connections", "200"}, {"shared_buffers", "1GB"}, {"work_mem", "8MB"}};
    assert_int_equal(one->parameter_count, 3);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(one->parameters[i].name, wanted[i].name);
        assert_string_equal(one->parameters[i].value, wanted[i].value);
    }
    assert_string_equal(two->parameters[2].value, "16MB");
    assert_int_equal(one->pg_hba_count, 0);
    assert_int_equal(fra->members[0].postgresql.parameter_count, 2);
    assert_int_equal(fra->members[0].postgresql.pg_hba_count, 1);
    assert_string_equal(fra->members[0].postgresql.parameters[1].value, "256MB");
}

static void a_level_that_says_less_keeps_the_rest_from_above(void **state) {
    (void)state;
    change("  version: 15", "  version: 14\n  data_dir: /data/orders");
    change("  ttl: 10s", "  failsafe_mode: false\n  ttl: 20s");
    change("  stop_time: 4s", "  stop_time: 3s");
    change("maximum_lag_on_failover: 1MB", "maximum_lag_on_failover: 2MB");
    change("  fra:\n    standby", "  fra:\n    local: {stop_time: 5s}\n    postgresql: {parameters: {work_mem: 8MB}}\n    standby");
    change("        postgresql: {data_dir: /var/lib/postgresql/orders/fra-2}\n", "");
    accepted();
    const struct topology_site *ams = topology_site(t, "ams"), *fra = topology_site(t, "fra");
    assert_int_equal(ams->local.stop_time_ms, 3000);
    assert_int_equal(fra->local.stop_time_ms, 5000);
    assert_int_equal(fra->local.ttl_ms, 20000);
    assert_int_equal(fra->local.maximum_lag_on_failover, 2 << 20);
    assert_false(fra->local.failsafe_mode);
    assert_int_equal(fra->members[1].postgresql.version, 14);
    assert_string_equal(fra->members[1].postgresql.data_dir, "/data/orders");
    assert_string_equal(fra->members[1].postgresql.pg_hba[0], "hostssl all all 10.0.0.0/8 scram-sha-256");
}

static void parameters_over_all_levels_are_bounded(void **state) {
    (void)state;
    STRBUF many = {0};
    strbuf_add(&many, "data_dir: /var/lib/postgresql/orders/fra-2, parameters: {");
    for (int i = 0; i < PARAMETERS_MAX - 2; i++) strbuf_addf(&many, "%sp%d: 1", i ? ", " : "", i);
    strbuf_add(&many, "}");
    change("data_dir: /var/lib/postgresql/orders/fra-2", many.at);
    accepted();
    change("p0: 1", "one.more: 1, p0: 1");
    refused("sites.fra.members.fra-2.postgresql: more than 96 parameters over all levels");
}

static void the_one_built_value_may_be_written_out(void **state) {
    (void)state;
    change("  # synchronous_mode: off", "  synchronous_mode: off");
    change("# protection: max_performance", "protection: max_performance");
    change("  # mode: manual", "  mode: manual");
    change("  # reinstate: manual", "  reinstate: manual");
    change("      # recovery_min_apply_delay: 0", "      recovery_min_apply_delay: 0");
    change("  # approvals: {switchover: 1}", "  approvals: {switchover: 1, remove: 1}");
    change("      # upstream: ams", "      upstream: ams");
    change("on_isolated_start: wait", "on_isolated_start: open");
    accepted();
    assert_true(t->isolated_start_open);
    assert_string_equal(topology_site(t, "fra")->standby.upstream, "ams");
}

static void members_are_found_by_name_and_by_certificate(void **state) {
    (void)state;
    accepted();
    const char *site = NULL, *member = NULL;
    assert_true(topology_by_uri(t, "pgregent://orders/fra/fra-2", &site, &member));
    assert_string_equal(site, "fra");
    assert_string_equal(member, "fra-2");
    static const char *const strangers[] = {"pgregent://orders/fra/ams-1", "pgregent://orders/fra", "pgregent://orders/fra/", "pgregent://billing/fra/fra-1",
                                            "pgregent://orders/fra/fra-1/x", "pgregent://orders2/fra/fra-1", "https://orders/fra/fra-1", "", "pgregent://"};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) assert_false(topology_by_uri(t, strangers[i], &site, &member));
    assert_null(topology_site(t, "lon"));
    assert_null(topology_member(t, "lon", "fra-1"));
    assert_null(topology_member(t, "ams", "fra-1"));
    assert_string_equal(topology_coordinator(t, "par")->address, "10.0.3.11:7400");
    assert_null(topology_coordinator(t, "rom"));
    assert_string_equal(topology_operator(t, "ed25519:rMMzN1wXh4CKKZjWMfWshCtuMAiUrAHQ+oEHbLnC91o=")->name, "bob");
    assert_null(topology_operator(t, "ed25519:3UIruGRkfEqyK+imvBp6v4EXfZx2jqn8hOQRNL/OzHE="));
}

/* --- what is not built is said, never ignored --- */

static void what_is_not_built_is_refused_by_name(void **state) {
    static const struct {
        const char *old, *new, *line;
    } cases[] = {
        {"  # synchronous_mode: off", "  synchronous_mode: on",
         "local.synchronous_mode: not built yet: synchronous replication among the members of a site; only off"},
        {"# protection: max_performance", "protection: max_availability",
         "protection: not built yet: synchronous replication between sites; only max_performance"},
        {"  # mode: manual", "  mode: automatic", "failover.mode: not built yet: automatic failover between sites; only manual"},
        {"  # reinstate: manual", "  reinstate: automatic",
         "failover.reinstate: not built yet: bringing a former primary site back by itself; only manual"},
        {"      # recovery_min_apply_delay: 0", "      recovery_min_apply_delay: 1h",
         "sites.fra.standby_cluster.recovery_min_apply_delay: not built yet: a site that replays late, against mistakes of people; only 0"},
        {"[basebackup]", "[pgbackrest, basebackup]", "sites.fra.standby_cluster.create_replica_methods: not built yet: pgbackrest, only basebackup"},
        {"{embedded: /var/lib/pgregent/fra}", "{etcd: {hosts: [\"https://10.0.1.21:2379\"], prefix: /pgregent}}",
         "sites.fra.store.etcd: not built yet: etcd as the site's store, for members on several hosts; only embedded"},
        {"coordinators:  ", "witnesses: {par: {agent: \"10.0.3.11:7401\"}}\ncoordinators:  ",
         "witnesses: not built yet: voters without data, for automatic failover"},
        {"  # approvals: {switchover: 1}", "  recovery: [\"ed25519:j9yooSQP3ABxwOKrqkeGRsANgYbgG4kuhl8FyR2Xkjg=\"]",
         "keys.recovery: not built yet: keys kept offline that may only replace operators"},
        {"  # approvals: {switchover: 1}", "  approvals: {remove: 2}", "keys.approvals.remove: not built yet: more than 1 signature, not \"2\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fresh(state);
        change(cases[i].old, cases[i].new);
        refused(cases[i].line);
    }
}

static void failsafe_mode_is_warned_of_while_it_is_not_in_effect(void **state) {
    (void)state;
    change("  # failsafe_mode: true", "  failsafe_mode: true");
    accepted();
    assert_int_equal(warnings->count, 1);
    assert_int_equal(strncmp(written(warnings), "t.yaml:", 7), 0);
    assert_string_equal(warnings->at[0].path, "local.failsafe_mode");
    assert_string_equal(warnings->at[0].message, "not in effect yet: a primary that cannot reach its store stops before its lease ends");
}

/* --- single values --- */

static void each_wrong_value_is_told_with_its_path(void **state) {
    static const struct {
        const char *old, *new, *line;
    } cases[] = {
        {"format: 1", "format: 2", "format: wants one of 1, not \"2\""},
        {"cluster: orders", "cluster: Orders", "cluster: a name is [a-z][a-z0-9-]{0,30}"},
        {"  fra:\n    standby", "  f_a:\n    standby", "sites: a name is [a-z][a-z0-9-]{0,30}"},
        {"      fra-2:", "      2fra:", "sites.fra.members: a name is [a-z][a-z0-9-]{0,30}"},
        {"  par: {", "  Par: {", "coordinators: a name is [a-z][a-z0-9-]{0,30}"},
        {"    bob:", "    bob.b:", "keys.operators: a name is [a-z][a-z0-9-]{0,30}"},
        {"      fra-2:", "      fra-2-with-a-name-that-is-too-long:",
         "sites.fra.members.fra-2-with-a-name-that-is-too-long: a name of 34 bytes, at most 31 are allowed"},
        {"  ttl: 10s", "  ttl: 10", "local.ttl: wants a time with a unit, like 10s (ms, s, m, h, d), not \"10\""},
        {"  ttl: 10s", "  ttl: 1s", "local.ttl: wants a time with a unit, like 10s (ms, s, m, h, d) from 2s to 1h, not \"1s\""},
        {"  stop_time: 4s", "  stop_time: 100ms",
         "local.stop_time: wants a time with a unit, like 10s (ms, s, m, h, d) from 500ms to 1h, not \"100ms\""},
        {"  stop_time: 4s", "  stop_time: 9001ms", "local: ttl 10000 ms leaves less than 1000 ms for renewing before stop_time 9001 ms begins"},
        {"  fra:\n    standby", "  fra:\n    local: {ttl: 4500ms}\n    standby",
         "sites.fra.local: ttl 4500 ms leaves less than 1000 ms for renewing before stop_time 4000 ms begins"},
        {"version: 15", "version: 12", "postgresql.version: wants a whole number from 13 to 16, not \"12\""},
        {"slot_wal_max: 20GB", "slot_wal_maxx: 20GB", "retention.slot_wal_maxx: unknown key; did you mean \"slot_wal_max\"?"},
        {"\"10.0.2.11:5433\"", "10.0.2.11", "sites.fra.members.fra-2.address: wants host:port, like 10.0.1.11:5432 or [2001:db8::1]:5432"},
        {"\"10.0.2.11:7402\"", "10.0.2.11:70000", "sites.fra.members.fra-2.agent: wants host:port, like 10.0.1.11:5432 or [2001:db8::1]:5432"},
        {"\"10.0.3.11:7400\"", "\"0.0.0.0:7400\"", "coordinators.par.address: wants host:port, like 10.0.3.11:7400"},
        {"        address: \"10.0.2.11:5433\"\n", "",
         "sites.fra.members.fra-2.address: is missing: host:port of its PostgreSQL, as clients and other sites reach it"},
        {"data_dir: /var/lib/postgresql/orders/fra-2", "data_dir: orders/fra-2",
         "sites.fra.members.fra-2.postgresql.data_dir: wants an absolute path without . or .., not \"orders/fra-2\""},
        {"data_dir: /var/lib/postgresql/orders/fra-2", "data_dir: /var/lib/../fra-2",
         "sites.fra.members.fra-2.postgresql.data_dir: wants an absolute path without . or .., not \"/var/lib/../fra-2\""},
        {"  version: 15", "  version: 15\n  data_dir: data", "postgresql.data_dir: wants an absolute path without . or .., not \"data\""},
        {"  ams:\n    store:", "  ams:\n    postgresql: {data_dir: /}\n    store:",
         "sites.ams.postgresql.data_dir: wants an absolute path without . or .., not \"/\""},
        {"{embedded: /var/lib/pgregent/fra}", "{embedded: fra}", "sites.fra.store.embedded: wants an absolute path without . or .., not \"fra\""},
        {"{embedded: /var/lib/pgregent/fra}", "{}", "sites.fra.store: wants embedded: DIRECTORY"},
        {"may: [apply, switchover", "may: [aply, apply, switchover", "keys.operators.bob.may: no verb is called \"aply\"; did you mean \"apply\"?"},
        {"may: [apply, switchover", "may: [polka, apply, switchover", "keys.operators.bob.may: no verb is called \"polka\""},
        {"  # approvals: {switchover: 1}", "  approvals: {swichover: 1}",
         "keys.approvals.swichover: no verb is called \"swichover\"; did you mean \"switchover\"?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fresh(state);
        change(cases[i].old, cases[i].new);
        refused(cases[i].line);
    }
}

static void a_key_that_is_none_is_refused_at_its_place(void **state) {
    static const char *const places[][2] = {{"j9yooSQP3ABxwOKrqkeGRsANgYbgG4kuhl8FyR2Xkjg=", "sites.ams.members.ams-1.key"},
                                            {"3UIruGRkfEqyK+imvBp6v4EXfZx2jqn8hOQRNL/OzHE=", "coordinators.par.key"},
                                            {"rMMzN1wXh4CKKZjWMfWshCtuMAiUrAHQ+oEHbLnC91o=", "keys.operators.bob.key"}};
    for (size_t i = 0; i < 3; i++) {
        fresh(state);
        change(places[i][0], "AAAA");
        assert_false(parse());
        assert_int_equal(problems->count, 1);
        assert_string_equal(problems->at[0].path, places[i][1]);
    }
}

static void addresses_may_be_names_and_of_version_6(void **state) {
    (void)state;
    change("\"10.0.2.11:5432\"", "\"[2001:db8::11]:5432\"");
    change("\"10.0.2.11:5433\"", "\"[2001:db8::11]:5433\"");
    change("        agent: \"10.0.2.11:7401\"\n", "");
    change("\"10.0.3.11:7400\"", "\"coordinator.example:7400\"");
    accepted();
    const struct topology_member *fra1 = topology_member(t, "fra", "fra-1");
    assert_string_equal(fra1->host, "2001:db8::11");
    assert_int_equal(fra1->port, 5432);
    assert_string_equal(fra1->agent, "[2001:db8::11]:7401");
}

static void what_is_no_address_is_refused(void **state) {
    static const char *const bad[] = {"10.0.2.11:", ":5433", "10.0.2.11:0", "10.0.2.11:05433", "10.0.2.11:5433x", "10.0.2.11:65536", "[::1]5433",
                                      "[2001:db8::1:5433", "[]:5433", "a b:5433", "[::]:5433", "2001:db8::1:5433", "host/x:5433", "0.0.0.0:5433"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fresh(state);
        change("10.0.2.11:5433", bad[i]);
        refused("sites.fra.members.fra-2.address: wants host:port, like 10.0.1.11:5432 or [2001:db8::1]:5432");
    }
}

/* --- one part against another --- */

static void what_does_not_fit_together_is_told(void **state) {
    static const struct {
        const char *old, *new, *line;
    } cases[] = {
        {"initial_primary: ams", "initial_primary: lon", "initial_primary: no site is called lon; there are ams, fra"},
        {"      # upstream: ams", "      upstream: lon", "sites.fra.standby_cluster.upstream: no site is called lon; there are ams, fra"},
        {"      # upstream: ams", "      upstream: fra", "sites.fra.standby_cluster.upstream: a site does not stream from itself"},
        {"\"10.0.2.11:5433\"", "\"10.0.2.11:5432\"",
         "sites.fra.members.fra-2.address: address 10.0.2.11:5432 is in use already by sites.fra.members.fra-1.address"},
        {"\"10.0.2.11:7402\"", "\"10.0.2.11:7401\"",
         "sites.fra.members.fra-2.agent: address 10.0.2.11:7401 is in use already by sites.fra.members.fra-1.agent"},
        {"\"10.0.2.11:7402\"", "\"10.0.2.11:5432\"",
         "sites.fra.members.fra-2.agent: address 10.0.2.11:5432 is in use already by sites.fra.members.fra-1.address"},
        {"\"10.0.3.11:7400\"", "\"10.0.1.11:7401\"",
         "coordinators.par.address: address 10.0.1.11:7401 is in use already by sites.ams.members.ams-1.agent"},
        {"      fra-2:", "      ams-2:", "sites.fra.members.ams-2: member name ams-2 is in use already by sites.ams.members.ams-2"},
        {"dk/RA6tZChmR8aud7n4237ZwtHDeE/55+vbquP3iBXA=", "H6UmK1p7FwulAF63WZVX1KmBEJq2xemKSNdaCePiCMg=",
         "sites.fra.members.fra-2.key: key ed25519:H6UmK1p7FwulAF63WZVX1KmBEJq2xemKSNdaCePiCMg= is in use already by sites.fra.members.fra-1.key"},
        {"rMMzN1wXh4CKKZjWMfWshCtuMAiUrAHQ+oEHbLnC91o=", "3UIruGRkfEqyK+imvBp6v4EXfZx2jqn8hOQRNL/OzHE=",
         "keys.operators.bob.key: key ed25519:3UIruGRkfEqyK+imvBp6v4EXfZx2jqn8hOQRNL/OzHE= is in use already by coordinators.par.key"},
        {"/var/lib/postgresql/orders/fra-2", "/var/lib/postgresql/orders/fra-1/",
         "sites.fra.members.fra-2.postgresql.data_dir: directory /var/lib/postgresql/orders/fra-1/ is in use already by "
         "sites.fra.members.fra-1.postgresql.data_dir"},
        {"/var/lib/postgresql/orders/fra-2", "/var/lib/postgresql/orders/fra-1/second",
         "sites.fra.members.fra-2.postgresql.data_dir: directory /var/lib/postgresql/orders/fra-1/second is in use already by "
         "sites.fra.members.fra-1.postgresql.data_dir"},
        {"/var/lib/pgregent/fra", "/var/lib/postgresql/orders/fra-1/store",
         "sites.fra.store.embedded: directory /var/lib/postgresql/orders/fra-1/store is in use already by "
         "sites.fra.members.fra-1.postgresql.data_dir"},
        {"/var/lib/pgregent/fra", "/var/lib/pgregent/ams",
         "sites.fra.store.embedded: store /var/lib/pgregent/ams is in use already by sites.ams.store.embedded"},
        {"\"10.0.2.11:5433\"", "\"10.0.2.12:5433\"",
         "sites.fra.store.embedded: an embedded store is for one host, and members lie on 10.0.2.11 and 10.0.2.12"},
        {"data_dir: /var/lib/postgresql/orders/fra-2}", "data_dir: /var/lib/postgresql/orders/fra-2, version: 14}",
         "sites.fra.members.fra-2.postgresql.version: version 14, another member has 15: physical replication needs one"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fresh(state);
        change(cases[i].old, cases[i].new);
        refused(cases[i].line);
    }
}

static void a_demo_on_one_machine_may_use_several_loopback_addresses(void **state) {
    (void)state;
    change("\"10.0.2.11:5432\"", "\"127.0.0.1:5432\"");
    change("\"10.0.2.11:5433\"", "\"127.0.0.2:5432\"");
    accepted();
    change("/var/lib/postgresql/orders/fra-2", "/var/lib/postgresql/orders/fra-1");
    refused("sites.fra.members.fra-2.postgresql.data_dir: directory /var/lib/postgresql/orders/fra-1 is in use already by "
            "sites.fra.members.fra-1.postgresql.data_dir");
}

/* A third site, so that two can stream from each other while another is primary. */
static void add_site(const char *upstream) {
    STRBUF site = {0};
    strbuf_addf(&site,
                "  lon:\n    standby_cluster: {upstream: %s}\n    store: {embedded: /var/lib/pgregent/lon}\n    members:\n"
                "      lon-1: {address: \"10.0.4.11:5432\", key: \"ed25519:DHzeYAT+iMjaAcWFghChRaK20IY6pow0FbnZUW7cVuQ=\"}\n\ncoordinators:  ",
                upstream);
    change("\ncoordinators:  ", site.at);
}

static void sites_that_cascade_are_fine_whoever_is_primary(void **state) {
    (void)state;
    add_site("fra");
    change("      # upstream: ams", "      upstream: ams");
    change("  ams:\n    store:", "  ams:\n    standby_cluster: {upstream: fra}\n    store:");
    /* ams and fra name each other, which is right while one of them is primary; with lon as primary it is a circle */
    refused("sites.ams.standby_cluster.upstream: with lon as primary the sites stream in a circle: ams -> fra -> ams");
    fresh(state);
    add_site("fra");
    accepted();
}

static void two_sites_may_name_each_other(void **state) {
    (void)state;
    change("      # upstream: ams", "      upstream: ams");
    change("  ams:\n    store:", "  ams:\n    standby_cluster: {upstream: fra}\n    store:");
    accepted();
}

static void a_circle_is_told_once_at_its_first_site(void **state) {
    (void)state;
    add_site("fra");
    change("      # upstream: ams", "      upstream: lon");
    refused("sites.fra.standby_cluster.upstream: with ams as primary the sites stream in a circle: fra -> lon -> fra");
}

/* --- people --- */

static void somebody_must_be_able_to_change_it(void **state) {
    (void)state;
    change("may: [all]", "may: [switchover]");
    accepted();
    change("may: [apply, switchover", "may: [switchover");
    refused("keys.operators: nobody may apply: this topology could never be changed");
}

static void one_key_that_locks_everybody_out_is_warned_of(void **state) {
    (void)state;
    change("may: [apply, switchover", "may: [switchover");
    accepted();
    assert_int_equal(warnings->count, 1);
    assert_string_equal(warnings->at[0].message, "only alice may apply: when that key is lost, nobody can change this topology");
    assert_true(topology_parse("t.yaml", (struct bytes){text.at, text.len}, t, NULL, NULL)); /* nobody listens: fine */
}

/* --- documents --- */

static void empty_lists_of_sites_members_and_coordinators_are_refused(void **state) {
    (void)state;
    strbuf_reset(&text);
    strbuf_add(&text, "format: 1\ncluster: c\ninitial_primary: a\nsites: {a: {store: {embedded: /s}, members: {}}}\ncoordinators: {}\n"
                      "keys: {operators: {}}\n");
    assert_false(parse());
    assert_string_equal(written(problems), "t.yaml:4:45: sites.a.members: a site has at least one member\n"
                                           "t.yaml:5:15: coordinators: a cluster has at least one coordinator\n"
                                           "t.yaml:6:19: keys.operators: nobody may apply: this topology could never be changed\n");
    change("{a: {store: {embedded: /s}, members: {}}}", "{}");
    assert_false(parse());
    assert_non_null(strstr(written(problems), "sites: a cluster has at least one site\n"));
}

static void all_mistakes_are_told_in_one_run(void **state) {
    (void)state;
    change("cluster: orders", "cluster: Orders");
    change("  ttl: 10s", "  ttl: soon");
    change("      # upstream: ams", "      upstream: rom");
    change("\"10.0.2.11:5433\"", "\"10.0.2.11:5432\"");
    assert_false(parse());
    assert_int_equal(problems->count, 4);
    const char *all = written(problems);
    assert_non_null(strstr(all, "t.yaml:8:10: cluster: "));
    assert_non_null(strstr(all, ": local.ttl: "));
    assert_non_null(strstr(all, ": sites.fra.standby_cluster.upstream: "));
    assert_non_null(strstr(all, ": sites.fra.members.fra-2.address: "));
}

static void what_follows_from_a_mistake_is_not_told_besides(void **state) {
    (void)state;
    change("\"10.0.2.11:5432\"", "here");
    change("\"10.0.2.11:5433\"", "there");
    change("/var/lib/postgresql/orders/fra-2", "/var/lib/postgresql/orders/fra-1"); /* on one host or two: nobody can tell */
    change("/var/lib/pgregent/fra", "/var/lib/postgresql/orders/fra-1/store");
    assert_false(parse());
    assert_int_equal(problems->count, 2);
    assert_string_equal(problems->at[0].path, "sites.fra.members.fra-1.address");
    assert_string_equal(problems->at[1].path, "sites.fra.members.fra-2.address");
}

static void what_is_no_yaml_is_told_with_its_place(void **state) {
    (void)state;
    strbuf_reset(&text);
    strbuf_add(&text, "format: 1\ncluster: a\ncluster: b\n");
    assert_false(parse());
    assert_int_equal(problems->count, 1);
    assert_int_equal(problems->at[0].line, 3);
    strbuf_reset(&text);
    strbuf_add(&text, "- format\n");
    assert_false(parse());
    assert_string_equal(written(problems), "t.yaml:1:1: wants a map\n");
    strbuf_reset(&text);
    for (int i = 0; i < TOPOLOGY_FILE_MAX / 8 + 1; i++) strbuf_add(&text, "# long\n#");
    assert_false(parse());
    assert_non_null(strstr(written(problems), "bytes long, at most 262144 are allowed"));
    assert_false(topology_parse("t.yaml", (struct bytes){text.at, text.len}, t, NULL, NULL));
}

static void any_part_of_the_file_is_refused_without_harm(void **state) {
    (void)state;
    for (size_t len = 0; len < example.len; len += 37) { /* cut anywhere: an answer, never a crash */
        strbuf_reset(&text);
        strbuf_add_bytes(&text, example.at, len);
        strbuf_add(&text, "");
        parse();
    }
}

static void the_reference_page_names_keys_and_verbs(void **state) {
    (void)state;
    STRBUF page = {0};
    topology_reference(&page);
    static const char *const wanted[] = {"| `ttl` | ", "| `10s` | ", "### standby_cluster", "*Not built yet.* etcd", "`break_glass`", "`on_isolated_start`"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (!strstr(page.at, wanted[i])) fail_msg("the page lacks %s", wanted[i]);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_example_is_valid_and_warns_of_nothing),
        TEST(what_is_left_out_has_its_default),
        TEST(the_nearest_level_wins_and_the_others_shine_through),
        TEST(a_level_that_says_less_keeps_the_rest_from_above),
        TEST(parameters_over_all_levels_are_bounded),
        TEST(the_one_built_value_may_be_written_out),
        TEST(members_are_found_by_name_and_by_certificate),
        TEST(what_is_not_built_is_refused_by_name),
        TEST(failsafe_mode_is_warned_of_while_it_is_not_in_effect),
        TEST(each_wrong_value_is_told_with_its_path),
        TEST(a_key_that_is_none_is_refused_at_its_place),
        TEST(addresses_may_be_names_and_of_version_6),
        TEST(what_is_no_address_is_refused),
        TEST(what_does_not_fit_together_is_told),
        TEST(a_demo_on_one_machine_may_use_several_loopback_addresses),
        TEST(sites_that_cascade_are_fine_whoever_is_primary),
        TEST(two_sites_may_name_each_other),
        TEST(a_circle_is_told_once_at_its_first_site),
        TEST(somebody_must_be_able_to_change_it),
        TEST(one_key_that_locks_everybody_out_is_warned_of),
        TEST(empty_lists_of_sites_members_and_coordinators_are_refused),
        TEST(all_mistakes_are_told_in_one_run),
        TEST(what_follows_from_a_mistake_is_not_told_besides),
        TEST(what_is_no_yaml_is_told_with_its_place),
        TEST(any_part_of_the_file_is_refused_without_harm),
        TEST(the_reference_page_names_keys_and_verbs),
    };
    return cmocka_run_group_tests(tests, read_example, free_example);
}
