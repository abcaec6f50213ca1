/* For whom a site shall hold WAL. Slots are made for whoever has an order; they go only when the site that they are for
 * says itself that it needs none. */
#include "tests/golden/coordinator_view.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct cluster_view v;

/* ams is the primary, fra follows and is not heard, as after a start of the coordinator. */
static int begin(void **state) {
    (void)state;
    story_base("steady", &v);
    v.sites[FRA] = (struct site_facts){.upstream = NOBODY, .name = "fra"};
    return 0;
}

static void a_standby_that_is_heard_gets_slots(void **state) {
    (void)state;
    story_base("steady", &v);
    assert_true(cluster_slot_wanted(&v, AMS, FRA));
    assert_true(cluster_slot_wanted(&v, FRA, AMS));
    assert_false(cluster_slot_wanted(&v, AMS, AMS));
}

static void slots_for_a_site_that_is_not_heard_stay(void **state) {
    (void)state;
    v.sites[AMS].holds_slots_for[FRA] = true;
    assert_true(cluster_slot_wanted(&v, AMS, FRA));
}

static void none_are_made_for_a_site_that_nobody_has_heard(void **state) {
    (void)state;
    assert_false(cluster_slot_wanted(&v, AMS, FRA));
}

static void a_site_that_says_it_holds_nothing_needs_none(void **state) {
    (void)state;
    v.sites[AMS].holds_slots_for[FRA] = true;
    v.sites[FRA].heard = v.sites[FRA].fresh = v.sites[FRA].blank = true;
    assert_false(cluster_slot_wanted(&v, AMS, FRA));
}

/* Its store does not answer, or is gone, and the data of this history are there. */
static void a_site_that_cannot_tell_keeps_its_slots(void **state) {
    (void)state;
    v.sites[AMS].holds_slots_for[FRA] = true;
    v.sites[FRA].heard = v.sites[FRA].fresh = true;
    assert_true(cluster_slot_wanted(&v, AMS, FRA));
}

static void the_site_that_is_being_built_gets_slots_first(void **state) {
    (void)state;
    v.sites[FRA].heard = v.sites[FRA].fresh = v.sites[FRA].blank = true;
    v.op = (struct op_facts){.open = true, .kind = OP_BOOTSTRAP, .from = NOBODY, .to = FRA};
    assert_true(cluster_slot_wanted(&v, AMS, FRA));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_standby_that_is_heard_gets_slots),
        cmocka_unit_test_setup(slots_for_a_site_that_is_not_heard_stay, begin),
        cmocka_unit_test_setup(none_are_made_for_a_site_that_nobody_has_heard, begin),
        cmocka_unit_test_setup(a_site_that_says_it_holds_nothing_needs_none, begin),
        cmocka_unit_test_setup(a_site_that_cannot_tell_keeps_its_slots, begin),
        cmocka_unit_test_setup(the_site_that_is_being_built_gets_slots_first, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
