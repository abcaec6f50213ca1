/* What a change of the file means, key by key. */
#include "coordinator/cli/difference.h"
#include "rt/file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct differences found;

static void find(const char *before, const char *after) {
    NODE_DOC left = {0};
    NODE_DOC right = {0};
    struct err err = {0};
    if ((before && !yaml_parse("before", (struct bytes){before, strlen(before)}, &left, &err)) || !yaml_parse("after", (struct bytes){after, strlen(after)}, &right, &err))
        fail_msg("%s", err.text);
    differences_find(before ? left.root : NULL, right.root, &found);
}

static const struct difference *only(const char *path) {
    if (found.count != 1)
        fail_msg("%u differences, not one", found.count);
    assert_string_equal(found.at[0].path, path);
    return &found.at[0];
}

static void order_and_layout_are_no_difference(void **state) {
    (void)state;
    find("a: 1\nsites:\n  x: {b: 2, c: [1, 2]}\n", "# a comment\nsites: {x: {c: [1, 2], b: 2}}\na: 1\n");
    assert_int_equal(found.count, 0);
    find("a: \"1s\"\n", "a: 1s\n"); /* quotes are layout, too */
    assert_int_equal(found.count, 0);
}

static void every_key_is_seen_also_an_unknown_one(void **state) {
    (void)state;
    find("future: {knob: 1}\n", "future: {knob: 2}\n");
    const struct difference *d = only("future.knob");
    assert_int_equal(d->kind, DIFFERENCE_CHANGED);
    assert_int_equal(d->effect, EFFECT_APPLIED);
    assert_string_equal(d->before, "1");
    assert_string_equal(d->after, "2");
    find("a: [1, 2]\n", "a: [2, 1]\n"); /* lists as a whole: pg_hba is read in order */
    only("a");
    find("a: {}\n", "a: []\n");
    only("a");
}

static void site_and_member_are_named(void **state) {
    (void)state;
    find("sites: {fra: {members: {fra-1: {address: \"a:1\"}}}}\n", "sites: {fra: {members: {fra-1: {address: \"a:2\"}}}}\n");
    const struct difference *d = only("sites.fra.members.fra-1.address");
    assert_string_equal(d->site, "fra");
    assert_string_equal(d->member, "fra-1");
    assert_int_equal(d->effect, EFFECT_RESTART);
}

static void meanings_are_those_of_the_table(void **state) {
    (void)state;
    static const struct {
        const char *before, *after, *path;
        enum difference_effect effect;
    } rows[] = {
        {"cluster: a\n", "cluster: b\n", "cluster", EFFECT_REFUSED},
        {"initial_primary: a\n", "initial_primary: b\n", "initial_primary", EFFECT_NONE},
        {"sites: {a: {x: 1}}\n", "sites: {a: {x: 1}, b: {x: 1}}\n", "sites.b", EFFECT_BUILT},
        {"sites: {a: {x: 1}, b: {x: 1}}\n", "sites: {a: {x: 1}}\n", "sites.b", EFFECT_REFUSED},
        {"sites: {a: {members: {m: {k: 1}}}}\n", "sites: {a: {members: {m: {k: 1}, n: {k: 1}}}}\n", "sites.a.members.n", EFFECT_BUILT},
        {"sites: {a: {members: {m: {k: 1}, n: {k: 1}}}}\n", "sites: {a: {members: {m: {k: 1}}}}\n", "sites.a.members.n", EFFECT_REFUSED},
        {"sites: {a: {store: {embedded: /x}}}\n", "sites: {a: {store: {embedded: /y}}}\n", "sites.a.store.embedded", EFFECT_REFUSED},
        {"postgresql: {version: 15}\n", "postgresql: {version: 16}\n", "postgresql.version", EFFECT_REFUSED},
        /* a section that appears is judged by what stands in it */
        {"sites: {a: {members: {m: {k: 1}}}}\n", "sites: {a: {members: {m: {k: 1, postgresql: {data_dir: /x}}}}}\n", "sites.a.members.m.postgresql.data_dir", EFFECT_REFUSED},
        {"a: 1\n", "a: 1\npostgresql: {version: 16}\n", "postgresql.version", EFFECT_REFUSED},
        {"postgresql: {parameters: {shared_buffers: 1GB}}\n", "postgresql: {parameters: {shared_buffers: 2GB}}\n", "postgresql.parameters.shared_buffers", EFFECT_RESTART},
        {"postgresql: {parameters: {work_mem: 1MB}}\n", "postgresql: {parameters: {work_mem: 2MB}}\n", "postgresql.parameters.work_mem", EFFECT_APPLIED},
        {"sites: {a: {postgresql: {parameters: {x: 1}}}}\n", "sites: {a: {postgresql: {parameters: {x: 1, max_connections: 9}}}}\n",
         "sites.a.postgresql.parameters.max_connections", EFFECT_RESTART},
        {"local: {ttl: 10s}\n", "local: {ttl: 20s}\n", "local.ttl", EFFECT_APPLIED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        find(rows[i].before, rows[i].after);
        const struct difference *d = only(rows[i].path);
        if (d->effect != (int)rows[i].effect)
            fail_msg("%s: %s, not %s", rows[i].path, difference_effect_names[d->effect], difference_effect_names[rows[i].effect]);
    }
}

static void the_first_topology_is_its_sites(void **state) {
    (void)state;
    find(NULL, "cluster: c\nsites: {a: {x: 1}, b: {x: 1}}\n");
    assert_int_equal(found.count, 2);
    assert_int_equal(found.at[1].effect, EFFECT_BUILT);
}

static void the_example_in_the_docs_compares_with_itself(void **state) {
    (void)state;
    STRBUF text = {0};
    struct err err = {0};
    assert_true(file_read("examples/topology.yaml", 1 << 20, &text, &err));
    find(text.at, text.at);
    assert_int_equal(found.count, 0);
}

static void what_finds_no_room_is_counted(void **state) {
    (void)state;
    STRBUF before = {0};
    STRBUF after = {0};
    for (int i = 0; i < DIFFERENCES_MAX + 10; i++) {
        strbuf_addf(&before, "k%d: 1\n", i);
        strbuf_addf(&after, "k%d: 2\n", i);
    }
    find(before.at, after.at);
    assert_int_equal(found.count, DIFFERENCES_MAX);
    assert_int_equal(found.more, 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_layout_are_no_difference),
        cmocka_unit_test(every_key_is_seen_also_an_unknown_one),
        cmocka_unit_test(site_and_member_are_named),
        cmocka_unit_test(meanings_are_those_of_the_table),
        cmocka_unit_test(the_first_topology_is_its_sites),
        cmocka_unit_test(the_example_in_the_docs_compares_with_itself),
        cmocka_unit_test(what_finds_no_room_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
