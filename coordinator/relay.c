/* What other sites get to see of a site: its newest signed report, handed on when something in it matters to them
 * (receipts, votes, vouchers, who leads), and its restartpoints, which move slots, at most every two seconds. */
#include "coordinator/coordinator.h"
#include <string.h>

#define REDO_EVERY_MS 2000
#define ASKED_EVERY_MS 1000

static void hash_of(const struct strbuf *text, char to[HASH_TEXT_MAX]) { sign_hash((struct bytes){text->at ? text->at : "", text->len}, to); }

/* Kept short on purpose: each change answers the polls of all other sites, and one that is being answered is not there
 * for an order that comes right after. */
static void what_matters(const struct report *r, char to[HASH_TEXT_MAX]) {
    STRBUF text = {0};
    field_to_text(&vote_table, &r->vote, &text);
    strbuf_addf(&text, " %s %s %lld %s %d %d", r->leader, r->lease.holder, (long long)r->lease.term_count, r->ask.nonce, r->has_order, r->speaks);
    for (uint32_t i = 0; i < r->voucher_count; i++)
        strbuf_addf(&text, " %s:%s", r->vouchers[i].site, r->vouchers[i].nonce);
    strbuf_addf(&text, " %u", r->receipt_count);
    if (r->receipt_count)
        strbuf_add(&text, r->receipts[r->receipt_count - 1]);
    if (r->lineage.count)
        strbuf_add(&text, r->lineage.entries[r->lineage.count - 1].fingerprint);
    hash_of(&text, to);
}

static void restartpoints(const struct report *r, char to[HASH_TEXT_MAX]) {
    STRBUF text = {0};
    for (uint32_t i = 0; i < r->member_count; i++)
        strbuf_addf(&text, "%s:%llx ", r->members[i].name, (unsigned long long)r->members[i].redo_lsn);
    hash_of(&text, to);
}

static void mark(struct coordinator *c, struct cluster *cluster, struct site *s, int64_t now_ms) {
    s->relay_mark = ++c->relay_number;
    s->redo_boot_ms = now_ms;
    text_set(&s->relayed, text_ref(s->envelope));
    cluster->changed = true;
}

/* Somebody waits for confirmation that nobody else opened: a site that has nothing to say confirms by a fresh report. */
static bool is_asked(const struct cluster *cluster, const struct site *s) {
    for (uint32_t i = 0; i < cluster->site_count; i++)
        if (&cluster->sites[i] != s && cluster->sites[i].report && cluster->sites[i].report->ask.nonce[0])
            return true;
    return false;
}

void relay_consider(struct coordinator *c, struct cluster *cluster, struct site *s, int64_t now_ms) {
    char key[HASH_TEXT_MAX], redo[HASH_TEXT_MAX];
    what_matters(s->report, key);
    restartpoints(s->report, redo);
    bool matters = !str_eq(key, s->relay_key);
    bool moves = !str_eq(redo, s->redo_key) && now_ms - s->redo_boot_ms >= REDO_EVERY_MS;
    bool asked = now_ms - s->redo_boot_ms >= ASKED_EVERY_MS && is_asked(cluster, s);
    if (!matters && !moves && !asked)
        return;
    str_copy(s->relay_key, sizeof s->relay_key, key);
    str_copy(s->redo_key, sizeof s->redo_key, redo);
    mark(c, cluster, s, now_ms);
}
