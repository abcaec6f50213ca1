/* Millions of views, most of them absurd: whatever a view says, some things are never planned. What fails prints the
 * rule; the seed is fixed, so a failure repeats. */
#include "tests/golden/agent_view.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static uint64_t random_state = 88172645463325252u;
static uint64_t next_random(void) { /* xorshift64, Marsaglia 2003 */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* A settled view with a few fields thrown anew: near enough to reality to reach the deep rules. */
static void mutate(struct view *v, int changes) {
    size_t count = sizeof view_fields / sizeof view_fields[0] - 1;
    for (int i = 0; i < changes; i++) {
        const struct field *f = &view_fields[next_random() % count];
        char *at = (char *)v + f->offset;
        if (f->type == FIELD_TYPE_BOOL) {
            *(bool *)(void *)at = next_random() & 1;
        } else if (f->type == FIELD_TYPE_ENUM) {
            uint64_t names = 0;
            while (f->names[names])
                names++;
            *(int *)(void *)at = (int)(next_random() % names);
        } else {
            static const int64_t interesting[] = {-1, 0, 1, 3999, 4000, 4001, 10000};
            *(int64_t *)(void *)at = interesting[next_random() % 7];
        }
    }
}

static bool plans(const struct plan *p, enum step step) {
    for (int c = 0; c < CONCERN_COUNT; c++)
        for (int i = 0; i < PLAN_STEPS_MAX; i++)
            if (p->rules[c]->steps[i] == (int)step)
                return true;
    return false;
}

#define NEVER(condition)                                                                                               \
    if (condition)                                                                                                     \
    fail_msg("never: " #condition " (%s %s)", p.rules[CONCERN_ROLE]->id, p.rules[CONCERN_ROLE]->name)

static void check(const struct view *v) {
    struct plan p;
    decide(v, &p);
    bool opens = plans(&p, STEP_START_PRIMARY) || plans(&p, STEP_PROMOTE);
    NEVER(opens && !v->lease_valid);                                     /* 1.3 */
    NEVER(opens && v->superseded && plans(&p, STEP_START_PRIMARY) && !(v->order_kind == KIND_BIRTH)); /* 2.2 */
    NEVER(opens && v->order_kind != KIND_BIRTH && !v->confirmed);         /* 2.8 */
    NEVER(opens && !v->order);                                           /* 3 */
    NEVER(opens && v->receipt && v->order_kind == KIND_STOP && !v->dropped); /* 2.5b */
    NEVER(plans(&p, STEP_PROMOTE) && !v->asked);                         /* 2.6f */
    NEVER(plans(&p, STEP_PROMOTE) && v->replay_paused);
    NEVER(plans(&p, STEP_ASK) && v->closing != CLOSING_EXACT);            /* 2.5a */
    NEVER(plans(&p, STEP_ASK) && (v->declined || v->vouching || v->order_expired));
    NEVER(plans(&p, STEP_DECLINE) && v->asked);                          /* 2.5d */
    NEVER(plans(&p, STEP_STORE_RECEIPT) && (v->control != CONTROL_SHUT_DOWN || v->dropped || !v->lease_valid)); /* 2.5b */
    NEVER(plans(&p, STEP_DROP_STOP) && v->receipt);                       /* 2.5c */
    NEVER(plans(&p, STEP_START_STANDBY) && (!v->signal || v->postmaster)); /* 4.1 */
    NEVER(plans(&p, STEP_START_PRIMARY) && (v->postmaster || v->data != DATA_PRESENT));
    NEVER(plans(&p, STEP_COPY) && (v->data != DATA_ABSENT || v->data_expected || !v->source_slot)); /* slot first */
    NEVER(plans(&p, STEP_INITDB) && (v->order_kind != KIND_BIRTH || v->data != DATA_ABSENT || v->data_expected)); /* 3.8 */
    NEVER(plans(&p, STEP_ACCEPT) && (!v->lease_valid || v->candidate_verdict != VERDICT_ACCEPT)); /* 3.2 */
    NEVER(plans(&p, STEP_ACCEPT) && v->vouching && v->candidate_kind == KIND_PROMOTE); /* 2.8b */
    NEVER((plans(&p, STEP_TAKE) || plans(&p, STEP_RENEW)) && v->store_went_back); /* 1.6 */
    NEVER(plans(&p, STEP_TAKE) && v->take_in_ms != 0);                     /* 1.4 */
    NEVER((plans(&p, STEP_TAKE) || plans(&p, STEP_RENEW) || plans(&p, STEP_CREATE_SITE)) && v->swap_pending);
    bool runs_on = v->topology && v->deadman && !v->foreign && v->postmaster && v->as_primary && !v->lease_valid && !v->receipt;
    NEVER(runs_on && !plans(&p, STEP_STOP));                              /* a primary without a lease stops */
    NEVER(p.wake_ms <= 0 || p.wake_ms > 1000);
}

static void nothing_forbidden_is_ever_planned(void **state) {
    (void)state;
    static const char *const bases[] = {"primary", "standby leader", "replica"};
    for (int i = 0; i < 3000000; i++) {
        struct view v;
        view_base(bases[i % 3], &v);
        mutate(&v, (int)(next_random() % 12));
        check(&v);
    }
    for (int i = 0; i < 1000000; i++) { /* and anything at all */
        struct view v = {0};
        mutate(&v, 200);
        check(&v);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_forbidden_is_ever_planned)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
