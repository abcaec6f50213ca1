/* An order that a site has refused is tried again after a pause, which grows while the site gives the same answer: from
 * nothing but repeating it no site gets better, and the audit log tells of each answer once. When something changes that
 * the site's verdict rests on, the next try is due soon. Which rule waits for that is decided in coordinator/decide. */
#include "coordinator/coordinator.h"
#include "rt/clock.h"
#include <ctype.h>
#include <string.h>

#define RETRY_FIRST_MS 1000
#define RETRY_LAST_MS 60000

/* What order_judge looks at, as far as a report tells it. */
static void facts_of(const struct report *r, char to[HASH_TEXT_MAX]) {
    STRBUF text = {0};
    field_to_text(&vote_table, &r->vote, &text);
    strbuf_addf(&text, " %s %s %s %s %s %lld", r->order_hash, r->stop_state, r->topology_hash, r->system_id, r->coordinator, (long long)r->coordinator_term);
    sign_hash((struct bytes){text.at, text.len}, to);
}

/* But for figures: the reasons tell serials and times, which are others with each try. */
static bool same_words(const char *a, const char *b) {
    for (;;) {
        while (isdigit((unsigned char)*a))
            a++;
        while (isdigit((unsigned char)*b))
            b++;
        if (*a != *b)
            return false;
        if (!*a)
            return true;
        a++;
        b++;
    }
}

bool refusal_is_of(const struct refusal *f, const struct order *o) {
    return f->pause_ms && f->kind == o->kind && str_eq(f->op, o->op) && !epoch_compare(&f->epoch, &o->epoch);
}

void refusal_note(struct coordinator *c, struct cluster *cluster, struct site *s) {
    const struct order *o = &s->pending.order;
    const struct report *r = s->report;
    struct refusal *f = &s->refusal;
    bool same = refusal_is_of(f, o) && same_words(s->refused_reason, r->refused_reason);
    s->refused = true;
    s->refused_boot_ms = clock_boot_ms();
    str_copy(s->refused_reason, sizeof s->refused_reason, r->refused_reason);
    *f = (struct refusal){.kind = o->kind, .epoch = o->epoch, .pause_ms = same ? 2 * f->pause_ms : RETRY_FIRST_MS};
    if (f->pause_ms > RETRY_LAST_MS)
        f->pause_ms = RETRY_LAST_MS;
    str_copy(f->op, sizeof f->op, o->op);
    facts_of(r, f->facts);
    if (!same)
        note(c, cluster, s->name, "order refused", s->name, o->op, "", s->pending.hash, "%s: %s", order_kind_names[o->kind], r->refused_reason);
    cluster->changed = true;
}

void refusal_consider(struct site *s) {
    char facts[HASH_TEXT_MAX];
    if (!s->refused)
        return;
    facts_of(s->report, facts);
    if (str_eq(facts, s->refusal.facts))
        return;
    str_copy(s->refusal.facts, sizeof s->refusal.facts, facts);
    s->refusal.pause_ms = RETRY_FIRST_MS;
}

int64_t refusal_retry_ms(const struct site *s, int64_t now_ms) {
    int64_t left_ms = s->refused_boot_ms + s->refusal.pause_ms - now_ms;
    return s->refused && left_ms > 0 ? left_ms : 0;
}
