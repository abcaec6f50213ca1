/* Millions of views, most of them absurd: whatever the sites say, some things are never ordered. What fails prints the
 * rule; the seed is fixed, so a failure repeats. */
#include "tests/golden/coordinator_view.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static uint64_t random_state = 88172645463325252u;
static uint64_t next_random(void) { /* xorshift64, Marsaglia 2003 */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void random_epoch(struct epoch *e) {
    memset(e, 0, sizeof *e);
    if (next_random() % 5)
        story_epoch(e, (int64_t)(next_random() % 4), (int)(next_random() % 3));
}

static void random_field(const struct field *f, char *at) {
    static const int64_t interesting[] = {-1, 0, 1, 2999, 3000, 15000, 300001, 16777217};
    if (f->type == FIELD_TYPE_BOOL) {
        *(bool *)(void *)at = next_random() & 1;
    } else if (f->type == FIELD_TYPE_ENUM) {
        uint64_t names = 0;
        while (f->names[names])
            names++;
        *(int *)(void *)at = (int)(next_random() % names);
    } else if (f->type == FIELD_TYPE_INT) {
        *(int64_t *)(void *)at = interesting[next_random() % 8];
    } else if (f->type == FIELD_TYPE_CUSTOM) {
        random_epoch((struct epoch *)(void *)at);
    }
}

static void mutate_by(const struct fields *table, void *to, uint64_t sites) {
    size_t count = 0;
    while (table->fields[count].name)
        count++;
    const struct field *f = &table->fields[next_random() % count];
    random_field(f, (char *)to + f->offset);
    if (f->names == story_sites && *(int *)(void *)((char *)to + f->offset) >= (int)sites)
        *(int *)(void *)((char *)to + f->offset) = 0;
}

static void mutate_decline(struct site_facts *s) {
    s->decline_count = (uint32_t)(next_random() % 2);
    random_epoch(&s->declines[0].epoch);
    random_epoch(&s->declines[0].next);
}

/* A settled view with a few fields thrown anew: near enough to reality to reach the deep rules. */
static void mutate(struct cluster_view *v, uint64_t changes) {
    for (uint64_t i = 0; i < changes; i++) {
        struct site_facts *s = &v->sites[next_random() % v->site_count];
        switch (next_random() % 8) {
        case 0: mutate_by(&story_op_table, &v->op, v->site_count); break;
        case 1: mutate_by(&story_member_table, &s->members[next_random() % s->member_count], 0); break;
        case 2: mutate_by(&story_cluster_table, v, 0); break;
        case 3: mutate_decline(s); break;
        default: mutate_by(&story_site_table, s, v->site_count); break;
        }
    }
    v->op.open = v->op.open && v->op.from >= 0 && v->op.to >= 0 && v->op.from != v->op.to;
    if (!v->op.open)
        return;
    story_epoch(&v->op.epoch, 0, v->op.from); /* the journal is ours: it says what was begun */
    story_epoch(&v->op.next, 1, v->op.to);
    story_epoch(&v->op.back, 2, v->op.from);
}

static const char *rule_now;
#define NEVER(condition)                                                                                               \
    if (condition)                                                                                                     \
    fail_msg("never: " #condition " (%s)", rule_now)

static bool declines_to(const struct site_facts *s, const struct epoch *e, const struct epoch *next) {
    const struct decline_facts *d = site_decline(s, e);
    return d && epoch_same(&d->next, next);
}

/* What any order must keep to, whoever decided it. */
static void check_order(const struct cluster_view *v, const struct order_intent *o) {
    const struct site_facts *s = &v->sites[o->site];
    struct epoch highest = cluster_epoch(v);
    NEVER(o->site < 0 || o->site >= (int)v->site_count);
    NEVER(epoch_is_zero(&o->epoch));
    NEVER(v->outranked || v->behind);                                                                     /* 3.3 */
    NEVER(o->upstream == o->site);
    NEVER(o->role == SITE_PRIMARY && strcmp(o->epoch.site, s->name) != 0);                     /* 2.1 */
    NEVER(o->kind == ORDER_FOLLOW && strcmp(o->epoch.site, s->name) == 0);
    NEVER(o->kind == ORDER_BIRTH && (cluster_is_open(v) || s->has_order || !s->fresh));        /* 3.8 */
    NEVER(o->kind == ORDER_STANDBY && (s->has_order || !cluster_is_open(v) || o->upstream == NOBODY)); /* slots first */
    NEVER(o->kind == ORDER_FOLLOW && epoch_below(&o->epoch, &highest));
    NEVER(o->kind == ORDER_PROMOTE && !(o->proofs & PROVE_STOPPED));                           /* 2.6a */
    NEVER((o->kind == ORDER_STOP || o->kind == ORDER_PROMOTE || o->kind == ORDER_ABORT || o->kind == ORDER_BIRTH) && !(o->proofs & PROVE_REQUEST)); /* 3.1 */
    NEVER(o->kind == ORDER_STOP && o->deadline_ms <= 0);
}

static void check_move(const struct cluster_view *v, const struct cluster_plan *p) {
    const struct order_intent *o = &p->order;
    const struct site_facts *from = &v->sites[v->op.from], *to = &v->sites[v->op.to];
    bool receipt = epoch_same(&from->stopped, &v->op.epoch) && epoch_same(&from->successor, &v->op.next);
    NEVER(o->kind == ORDER_STOP && (o->site != v->op.from || !from->fresh || !to->fresh || v->op.abort));
    NEVER(o->kind == ORDER_STOP && move_refusal(v, v->op.to) != NULL);
    NEVER(o->kind == ORDER_PROMOTE && (!receipt || v->op.abort || !to->fresh || o->site != v->op.to)); /* 2.5a */
    NEVER(o->kind == ORDER_PROMOTE && site_decline(to, &o->epoch));                            /* 2.5d */
    NEVER(o->kind == ORDER_PROMOTE && !epoch_same(&o->epoch, &from->successor));               /* 2.5b */
    bool back = o->kind == ORDER_ABORT && o->role == SITE_PRIMARY, decline = o->kind == ORDER_ABORT && o->role == SITE_STANDBY;
    NEVER(back && (!receipt || !declines_to(to, &v->op.next, &o->epoch)));                     /* 2.5c */
    NEVER(decline && (!epoch_below(&to->asked, &v->op.next) || !receipt || !v->op.abort));     /* 2.5c, 2.5d */
    NEVER(o->kind == ORDER_PREPARE && o->role == SITE_PRIMARY && receipt);
}

static void check_finish(const struct cluster_view *v, const struct cluster_plan *p) {
    struct epoch highest = cluster_epoch(v);
    if (v->op.kind != OP_SWITCHOVER)
        return;
    const struct site_facts *from = &v->sites[v->op.from], *to = &v->sites[v->op.to];
    NEVER(p->rule->finish == OP_DONE && epoch_below(&to->opened, &v->op.next));
    NEVER(p->rule->finish == OP_ABORTED && epoch_below(&highest, &v->op.next) && (v->op.stop_out || !site_speaks(from) || site_hands_over(from)));
    NEVER(p->rule->finish == OP_ABORTED && epoch_below(&highest, &v->op.next) && epoch_same(&from->stopped, &v->op.epoch) && epoch_same(&from->successor, &v->op.next));
}

static void check_site(const struct cluster_view *v, int i, const struct order_intent *o) {
    struct epoch highest = cluster_epoch(v);
    const struct site_facts *s = &v->sites[i];
    check_order(v, o);
    NEVER(o->site != i || !s->fresh || v->store_empty || cluster_owned(v, i));
    NEVER(o->kind != ORDER_FOLLOW && o->kind != ORDER_PREPARE);
    NEVER(o->role == SITE_PRIMARY && (epoch_below(&s->opened, &highest) || site_has_handed_over(s, &highest))); /* 2.5b */
    NEVER(o->role == SITE_STANDBY && !epoch_below(&highest, &s->asked) && o->upstream == NOBODY);
    NEVER(epoch_below(&highest, &s->asked));
}

static void check(const struct cluster_view *v) {
    static struct cluster_plan p;
    coordinator_decide(v, &p);
    rule_now = p.rule->head.id;
    if (p.rule->action == ACTION_ORDER) {
        check_order(v, &p.order);
        if (v->op.kind == OP_SWITCHOVER)
            check_move(v, &p);
    }
    if (p.rule->action == ACTION_FINISH)
        check_finish(v, &p);
    NEVER(p.rule->action == ACTION_START && (p.start == NOBODY || v->op.open || v->store_empty));
    NEVER(p.rule->action == ACTION_ABORT && (v->op.abort || v->op.kind != OP_SWITCHOVER || !v->op.open));
    for (uint32_t i = 0; i < v->site_count; i++) {
        rule_now = p.sites[i]->head.id;
        if (p.sites[i]->order)
            check_site(v, (int)i, &p.site_orders[i]);
    }
}

static void nothing_forbidden_is_ever_ordered(void **state) {
    (void)state;
    static const char *const bases[] = {"empty", "born", "steady", "switchover", "prepared", "stopping", "stopped", "promoting", "moved", "three"};
    static struct cluster_view v;
    for (int i = 0; i < 1000000; i++) {
        story_base(bases[i % 10], &v);
        mutate(&v, next_random() % 12);
        check(&v);
    }
    for (int i = 0; i < 200000; i++) { /* and anything at all */
        story_base("three", &v);
        mutate(&v, 150);
        check(&v);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_forbidden_is_ever_ordered)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
