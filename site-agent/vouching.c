/* Vouchers in manual mode (protocol 2.8b, 2.8c). A leader whose hold began cold asks, by its reports, every other site
 * that holds an order; each answers, by its own reports, with a promise not to accept a promotion for the asker's
 * length. Reports are signed and travel through the coordinator as they are. */
#include "rt/clock.h"
#include "site-agent/agent.h"
#include <stdio.h>
#include <string.h>

static uint32_t site_index(const struct agent *a, const char *site) {
    uint32_t i = 0;
    while (i < a->topology->site_count && !str_eq(a->topology->sites[i].name, site))
        i++;
    return i;
}

static bool all_answered(const struct agent *a) {
    for (uint32_t i = 0; i < a->topology->site_count; i++)
        if (!str_eq(a->topology->sites[i].name, a->config.site) && !a->vouching.answered[i])
            return false;
    return true;
}

/* Nobody vouches for longer than the own lease lasts (2.8b), and sites may have leases of different lengths: the shortest. */
int64_t vouching_length_ms(const struct agent *a) {
    int64_t least_ms = a->site->local.ttl_ms;
    for (uint32_t i = 0; i < a->topology->site_count; i++)
        if (a->topology->sites[i].local.ttl_ms < least_ms)
            least_ms = a->topology->sites[i].local.ttl_ms;
    return least_ms;
}

/* Vouchers count from when they were asked for, so the last quarter of the length is what remains for opening. Until then a
 * round goes on: every report repeats the question, and a new one would make the answers on their way worthless. */
static bool round_goes_on(const struct agent *a, int64_t now_ms) {
    const struct vouching *v = &a->vouching;
    return v->nonce[0] && now_ms - v->asked_boot_ms < vouching_length_ms(a) * 3 / 4 && epoch_compare(&v->opened, &a->records.vote.known_opened) == 0;
}

void vouching_ask(struct agent *a) {
    struct vouching *v = &a->vouching;
    int64_t now_ms = clock_boot_ms();
    if (round_goes_on(a, now_ms))
        return;
    unsigned char random[16];
    clock_random(random, sizeof random);
    str_hex(v->nonce, random, sizeof random);
    v->asked_boot_ms = now_ms;
    v->asked_wall_ms = clock_wall_ms();
    v->opened = a->records.vote.known_opened;
    memset(v->answered, 0, sizeof v->answered);
    a->uplink.report_due_ms = 0;
    log_info("asking the other sites to confirm that nobody else opened", F_STR("nonce", v->nonce));
}

/* Another site's report: does it answer our question? */
static void hear_answer(struct agent *a, const struct report *r) {
    struct vouching *v = &a->vouching;
    uint32_t i = site_index(a, r->site);
    if (!v->nonce[0] || i == a->topology->site_count)
        return;
    bool never_ordered = !r->has_order && r->store_ok && epoch_is_zero(&r->vote.promised) && !r->members[0].has_data;
    if (never_ordered && r->made_at >= v->asked_wall_ms - 5000)
        v->answered[i] = true; /* it has no order and never had one: it cannot become primary by one */
    for (uint32_t k = 0; k < r->voucher_count; k++)
        if (r->speaks && str_eq(r->vouchers[k].site, a->config.site) && str_eq(r->vouchers[k].nonce, v->nonce) && !epoch_compare(&r->vouchers[k].opened, &v->opened))
            v->answered[i] = true;
}

static const char *why_not(const struct agent *a, const struct voucher_ask *ask) {
    const struct vote *vote = &a->records.vote;
    const struct view *v = &a->view;
    bool handed_over = v->order_kind == KIND_STOP && v->receipt;
    if (!v->lease_valid || !v->order)
        return "does not speak for its site";
    if (epoch_compare(&vote->known_opened, &ask->opened) > 0)
        return "knows a higher opened epoch";
    if (epoch_compare(&vote->asked, &ask->opened) > 0)
        return "has passed the point of no return of a higher epoch";
    if (str_eq(vote->known_opened.site, a->config.site) && !epoch_compare(&vote->known_opened, &vote->opened) && !handed_over)
        return "is open itself";
    if (epoch_compare(&vote->promised_to, &ask->opened) > 0 && !vote_find_decline(vote, &vote->promised_to))
        return "has promised a higher epoch to another site";
    return NULL;
}

/* Another site asks. It is answered once our lease was renewed after the question: a successor of ours waits that
 * renewal out in full before it may speak, so no promise is needed from it. */
static void hear_question(struct agent *a, const struct report *r) {
    struct vouching *v = &a->vouching;
    uint32_t i = site_index(a, r->site);
    if (!r->ask.nonce[0] || !r->speaks || i == a->topology->site_count || str_eq(v->given_nonce[i], r->ask.nonce))
        return;
    if (str_eq(v->questions[i].nonce, r->ask.nonce))
        return;
    v->questions[i] = r->ask;
    v->question_boot_ms[i] = clock_boot_ms();
}

bool vouching_wants_renewal(const struct agent *a) {
    for (uint32_t i = 0; a->topology && i < a->topology->site_count; i++)
        if (a->vouching.questions[i].nonce[0] && a->lease.sent_ms < a->vouching.question_boot_ms[i])
            return true;
    return false;
}

/* The promise is on our own disk before it is given. */
static void give_voucher(struct agent *a, uint32_t i) {
    struct vouching *v = &a->vouching;
    const struct voucher_ask *ask = &v->questions[i];
    const char *site = a->topology->sites[i].name, *reason = why_not(a, ask);
    int64_t own_ms = a->lease.deadline_ms - v->question_boot_ms[i], until_ms = clock_boot_ms() + lease_full_wait_ms(ask->length_ms);
    struct err err = {0};
    if (ask->length_ms > own_ms)
        reason = "asks for longer than our own lease";
    if (reason) {
        log_warning("voucher refused", F_STR("site", site), F_STR("reason", reason));
        v->questions[i].nonce[0] = 0;
        return;
    }
    if (until_ms > a->state.vouch_until_boot_ms)
        a->state.vouch_until_boot_ms = until_ms;
    if (!state_save(a->config.state_dir, &a->state, &err)) {
        agent_log_step(a, "keep a voucher", &err);
        return;
    }
    v->given[i] = (struct voucher){.opened = ask->opened};
    str_copy(v->given[i].site, sizeof v->given[i].site, site);
    str_copy(v->given[i].nonce, sizeof v->given[i].nonce, ask->nonce);
    str_copy(v->given_nonce[i], sizeof v->given_nonce[i], ask->nonce);
    v->given_count = a->topology->site_count;
    v->questions[i].nonce[0] = 0;
    a->uplink.report_due_ms = 0;
    log_info("voucher given", F_STR("site", site), F_INT("ms", ask->length_ms));
}

void vouching_hear(struct agent *a, const struct report *r) {
    hear_answer(a, r);
    hear_question(a, r);
}

void vouching_step(struct agent *a) {
    struct vouching *v = &a->vouching;
    if (!a->topology)
        return;
    for (uint32_t i = 0; i < a->topology->site_count && !vouching_wants_renewal(a) && a->view.lease_valid; i++)
        if (v->questions[i].nonce[0])
            give_voucher(a, i);
    if (v->nonce[0] && all_answered(a)) {
        v->confirmed_until_ms = v->asked_boot_ms + vouching_length_ms(a);
        v->nonce[0] = 0;
        log_info("every other site has confirmed");
    }
}
