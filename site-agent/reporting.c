/* The talk with the coordinator: a signed report each second and on change, on a request of its own, and a poll that is
 * held until there is an order, another site's news or a topology. The site's leader speaks; while there is none, any
 * member does. */
#include "rt/clock.h"
#include "site-agent/agent.h"
#include <stdio.h>
#include <string.h>

#define REPORT_EVERY_MS 1000
#define REPORT_DEADLINE_MS 5000
#define POLL_DEADLINE_MS 35000 /* the coordinator holds for 25 s */
#define RETRY_MS 500
#define RELAYED_MAX 64 /* reports that may wait while a move is under way */
#define TOPOLOGY_EVERY_MS 1000

/* ---- whom we talk to ---- */

static uint32_t coordinator_count(const struct agent *a) { return a->topology ? a->topology->coordinator_count : a->config.coordinator_count; }

static void coordinator_url(const struct agent *a, const char *path, char *to, size_t size) {
    uint32_t i = a->uplink.coordinator % coordinator_count(a);
    if (a->topology)
        snprintf(to, size, "https://%s%s", a->topology->coordinators[i].address, path);
    else
        snprintf(to, size, "%s%s", a->config.coordinators[i], path);
}

static void note_failure(struct agent *a, const struct http_answer *answer) {
    struct uplink *u = &a->uplink;
    char text[256];
    if (answer->status)
        snprintf(text, sizeof text, "HTTP %d: %.200s", answer->status, answer->body.at ? answer->body.at : "");
    else
        snprintf(text, sizeof text, "%.250s", answer->err.text);
    if (!str_eq(text, u->last_error))
        log_warning("the coordinator cannot be reached or refuses", F_STR("error", text));
    str_copy(u->last_error, sizeof u->last_error, text);
    u->reached = false;
    if (!answer->status)
        u->coordinator++; /* one that answers, if only by a refusal, is the right one to talk to */
}

static void note_success(struct agent *a) {
    if (!a->uplink.reached)
        log_info("talks with the coordinator");
    a->uplink.reached = true;
    a->uplink.last_error[0] = 0;
}

/* The leader speaks; with no leader alive, everybody. */
static bool speaks(const struct agent *a) {
    if (a->view.lease_valid || !a->records.has_lease || str_eq(a->records.lease.holder_member, a->config.member))
        return true;
    return !records_member_fresh(a, a->records.lease.holder_member, clock_boot_ms()) || a->records.lease.state == LEASE_RELEASED;
}

/* ---- reports ---- */

static void fill_members(struct agent *a, struct report *r, int64_t now_ms) {
    for (uint32_t i = 0; i < a->records.member_count && r->member_count < MEMBERS_MAX; i++) {
        struct member_status *m = &r->members[r->member_count++];
        bool self = str_eq(a->records.members[i].name, a->config.member);
        *m = self ? a->self_status : a->records.members[i];
        m->age_ms = self ? 0 : now_ms - a->records.member_changed_boot_ms[i];
    }
}

/* The newest of each kind, and every decline above what is open: what an order may still be closed by. */
static bool still_tells(const struct records *k, uint32_t i) {
    const struct receipt *receipt = &k->receipts[i];
    bool newest = true;
    for (uint32_t later = i + 1; later < k->receipt_count; later++)
        newest &= k->receipts[later].kind != receipt->kind;
    return newest || (receipt->kind == RECEIPT_DECLINED && epoch_compare(&receipt->epoch, &k->vote.known_opened) > 0);
}

static void fill_receipts(struct agent *a, struct report *r) {
    for (uint32_t i = 0; i < a->records.receipt_count; i++) {
        if (!still_tells(&a->records, i))
            continue;
        STRBUF payload = {0};
        STRBUF envelope = {0};
        struct err err = {0};
        struct receipt receipt = a->records.receipts[i];
        str_copy(receipt.member, sizeof receipt.member, a->config.member); /* who signs: the site's word, its leader's hand */
        field_to_text(&receipt_table, &receipt, &payload);
        if (envelope_sign((struct bytes){payload.at, payload.len}, RECEIPT_TYPE, a->key, 1, &envelope, &err) &&
            str_copy(r->receipts[r->receipt_count], PROOF_TEXT_MAX, envelope.at))
            r->receipt_count++;
    }
}

static void add_problem(struct report *r, const char *id, const char *severity, const char *member, const char *message, const char *cure) {
    if (r->problem_count == REPORT_PROBLEMS_MAX)
        return;
    struct report_problem *p = &r->problems[r->problem_count++];
    str_copy(p->id, sizeof p->id, id);
    str_copy(p->severity, sizeof p->severity, severity);
    str_copy(p->member, sizeof p->member, member);
    str_copy(p->message, sizeof p->message, message);
    str_copy(p->cure, sizeof p->cure, cure);
}

static void fill_problems(struct agent *a, struct report *r) {
    for (int i = 0; i < CONCERN_COUNT && a->plan.rules[i]; i++)
        if (a->plan.rules[i]->waits_for_person)
            add_problem(r, a->plan.rules[i]->name, "error", a->config.member, a->plan.rules[i]->sentence, "see `pgregent explain`");
    if (a->store_error[0])
        add_problem(r, "store-unreadable", "error", a->config.member, a->store_error, "check the site's store");
    if (a->attachment.verdict == ATTACH_REWIND || a->attachment.verdict == ATTACH_RECLONE)
        add_problem(r, "diverged-detail", "error", a->config.member, a->attachment.reason, "rebuild this member");
    if (a->job_failed)
        add_problem(r, "job-failed", "warning", a->config.member, a->job_note, "tried again by itself; see the agent's log");
}

static void fill_vouchers(const struct agent *a, struct report *r) {
    for (uint32_t i = 0; i < a->vouching.given_count && r->voucher_count < VOUCHERS_MAX; i++)
        if (a->vouching.given[i].nonce[0])
            r->vouchers[r->voucher_count++] = a->vouching.given[i];
    if (!a->vouching.nonce[0])
        return;
    str_copy(r->ask.nonce, sizeof r->ask.nonce, a->vouching.nonce);
    r->ask.opened = a->vouching.opened;
    r->ask.length_ms = vouching_length_ms(a);
}

static void fill_order(const struct agent *a, struct report *r) {
    const struct records *k = &a->records;
    r->has_order = k->has_order || a->state.epoch.generation > 0; /* an order that cannot be read now is an order */
    if (!k->has_order)
        return;
    str_copy(r->order_hash, sizeof r->order_hash, k->order_hash);
    r->order_serial = k->order.serial;
    r->order_epoch = k->order.epoch;
    r->order_kind = k->order.kind;
    r->order_role = k->order.role;
    str_copy(r->order_op, sizeof r->order_op, k->order.op);
    r->coordinator_term = k->order.coordinator_term;
    str_copy(r->coordinator, sizeof r->coordinator, k->order.coordinator);
    str_copy(r->stop_state, sizeof r->stop_state, k->stop_state);
}

void report_fill(struct agent *a, struct report *r, bool sign_receipts) {
    memset(r, 0, sizeof *r);
    str_copy(r->cluster, sizeof r->cluster, a->config.cluster);
    str_copy(r->site, sizeof r->site, a->config.site);
    str_copy(r->member, sizeof r->member, a->config.member);
    str_copy(r->instance, sizeof r->instance, a->state.instance);
    str_copy(r->life, sizeof r->life, a->life);
    r->made_at = agent_wall_ms(a); /* the clock that judges: what is issued after it is not old here */
    if (!a->topology)
        return;
    r->topology_version = a->topology->topology_version;
    str_copy(r->topology_hash, sizeof r->topology_hash, a->topology->hash);
    r->store_ok = a->view.store_ok;
    r->speaks = lease_valid(&a->lease, clock_boot_ms());
    r->lease = a->records.lease;
    r->vote = a->records.vote;
    str_copy(r->system_id, sizeof r->system_id, a->records.system_id);
    fill_order(a, r);
    str_copy(r->refused_hash, sizeof r->refused_hash, a->uplink.refused_hash);
    str_copy(r->refused_reason, sizeof r->refused_reason, a->uplink.refused_reason);
    r->lineage = r->speaks ? a->state.lineage : a->records.leader_lineage;
    if (a->records.has_lease && a->records.lease.state == LEASE_HELD)
        str_copy(r->leader, sizeof r->leader, a->records.lease.holder_member);
    fill_members(a, r, clock_boot_ms());
    if (sign_receipts)
        fill_receipts(a, r);
    fill_vouchers(a, r);
    fill_problems(a, r);
}

static void on_reported(void *context, const struct http_answer *answer) {
    struct agent *a = context;
    a->uplink.report_id = 0;
    if (answer->status == 200 || answer->status == 204)
        note_success(a);
    else {
        note_failure(a, answer);
        a->uplink.report_due_ms = clock_boot_ms() + RETRY_MS;
    }
}

static void send_report(struct agent *a, int64_t now_ms) {
    struct report *r = a->report;
    report_fill(a, r, true);
    r->seq = ++a->uplink.seq;
    STRBUF payload = {0};
    STRBUF envelope = {0};
    struct err err = {0};
    field_to_text(&report_table, r, &payload);
    if (!envelope_sign((struct bytes){payload.at, payload.len}, REPORT_TYPE, a->key, 1, &envelope, &err)) {
        agent_log_step(a, "sign the report", &err);
        return;
    }
    char url[256];
    coordinator_url(a, "/v1/report", url, sizeof url);
    struct http_request request = {.method = "POST", .url = url, .body = {envelope.at, envelope.len}, .deadline_ms = REPORT_DEADLINE_MS};
    a->uplink.report_due_ms = now_ms + REPORT_EVERY_MS;
    a->uplink.report_id = http_client_start(a->uplink.http, &request, on_reported, a);
}

/* ---- what the poll brings ---- */

/* What we cannot name in the poll is offered again at once: neither the polls nor the log may spin. */
static void refuse_unauthentic(struct agent *a, const char *hash, struct err *err) {
    struct uplink *u = &a->uplink;
    char reason[sizeof u->refused_reason];
    err_wrap(err, "3.2 not authentic");
    str_copy(reason, sizeof reason, err->text);
    u->poll_due_ms = clock_boot_ms() + RETRY_MS;
    if (str_eq(u->refused_hash, hash) && str_eq(u->refused_reason, reason))
        return;
    log_warning("order refused", F_STR("order", hash), F_STR("reason", err->text));
    str_copy(u->refused_hash, sizeof u->refused_hash, hash);
    str_copy(u->refused_reason, sizeof u->refused_reason, reason);
    u->report_due_ms = 0;
}

static void take_order(struct agent *a, const char *text, size_t len) {
    struct candidate *c = &a->candidate;
    struct err err = {0};
    LARGE_LOCAL struct order order;
    LARGE_LOCAL struct proofs proofs;
    char hash[HASH_TEXT_MAX] = "";
    str_copy(a->uplink.order_seen, sizeof a->uplink.order_seen, "unreadable");
    bool authentic = verify_order((struct bytes){text, len}, a->topology, &order, &proofs, hash, &err);
    if (hash[0])
        str_copy(a->uplink.order_seen, sizeof a->uplink.order_seen, hash);
    if (!authentic) {
        refuse_unauthentic(a, hash, &err);
        return;
    }
    c->order = order;
    c->proofs = proofs;
    str_copy(c->hash, sizeof c->hash, hash);
    strbuf_reset(&c->text);
    strbuf_add_bytes(&c->text, text, len);
    c->present = true;
}

static lsn_t oldest_redo(const struct report *r) {
    lsn_t oldest = 0;
    for (uint32_t i = 0; i < r->member_count; i++)
        if (r->members[i].has_data && r->members[i].redo_lsn && (!oldest || r->members[i].redo_lsn < oldest))
            oldest = r->members[i].redo_lsn;
    return oldest;
}

static void keep_relay(struct agent *a, const struct report *r) {
    struct relay seen = {.redo = oldest_redo(r), .opened = r->vote.opened, .term_count = r->lease.term_count, .has_order = r->has_order};
    str_copy(seen.site, sizeof seen.site, r->site);
    str_copy(seen.leader, sizeof seen.leader, r->leader);
    for (uint32_t i = 0; i < a->records.relay_count; i++) {
        const struct relay *known = &a->records.relays[i];
        if (!str_eq(known->site, r->site))
            continue;
        if (known->term_count > seen.term_count || !r->speaks)
            return; /* an older term, or nobody who leads: worth less than what is known */
        if (epoch_compare(&known->opened, &seen.opened) > 0)
            seen.opened = known->opened; /* what was opened once was opened for ever */
        if (known->redo == seen.redo && known->term_count == seen.term_count && known->has_order == seen.has_order && str_eq(known->leader, seen.leader) &&
            !epoch_compare(&known->opened, &seen.opened))
            return;
    }
    char key[64];
    STRBUF text = {0};
    snprintf(key, sizeof key, "relay/%s", r->site);
    field_to_text(&relay_table, &seen, &text);
    if (a->store && a->view.lease_valid)
        swap_publish(a, key, text.at);
}

static void take_relayed(struct agent *a, const char *text, size_t len) {
    struct err err = {0};
    LARGE_LOCAL struct report r;
    if (!verify_report((struct bytes){text, len}, a->topology, &r, &err)) {
        log_warning("relayed report refused", F_STR("reason", err.text));
        return;
    }
    if (str_eq(r.site, a->config.site))
        return;
    keep_relay(a, &r);
    vouching_hear(a, &r);
}

static void each_envelope(struct agent *a, const json_t *list, void (*take)(struct agent *, const char *, size_t)) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        STRBUF text = {0};
        json_write(json_array_get(list, i), &text);
        take(a, text.at, text.len);
    }
}

static void take_topology_text(struct agent *a, const char *text, size_t len) {
    struct err err = {0};
    if (topology_take(a, (struct bytes){text, len}, &err))
        return;
    a->uplink.poll_due_ms = clock_boot_ms() + RETRY_MS; /* it is offered again at once */
    if (!str_eq(a->topology_error, err.text)) {
        str_copy(a->topology_error, sizeof a->topology_error, err.text);
        log_error("topology refused", F_STR("reason", err.text));
    }
}

static void on_polled(void *context, const struct http_answer *answer) {
    struct agent *a = context;
    a->uplink.poll_id = 0;
    if (answer->status == 204)
        return;
    struct err err = {0};
    JSON_AUTO *news = answer->status == 200 ? json_parse(answer->body, &err) : NULL;
    if (!news) {
        note_failure(a, answer);
        a->uplink.poll_due_ms = clock_boot_ms() + RETRY_MS;
        return;
    }
    note_success(a);
    const json_t *topology = json_object_get(news, "topology");
    if (json_is_object(topology)) {
        STRBUF text = {0};
        json_write(topology, &text);
        take_topology_text(a, text.at, text.len);
    } else {
        a->topology_error[0] = 0;
    }
    each_envelope(a, json_object_get(news, "orders"), take_order);
    json_t *relayed = json_object_get(news, "relayed");
    if (json_array_size(relayed)) {
        if (!a->uplink.relayed || json_array_size(a->uplink.relayed) > RELAYED_MAX)
            json_decref(a->uplink.relayed), a->uplink.relayed = json_array();
        json_array_extend(a->uplink.relayed, relayed);
    }
    a->uplink.relay_seen = json_int(news, "relay", a->uplink.relay_seen);
}

static void send_poll(struct agent *a) {
    char path[512], url[640];
    const char *order = a->uplink.order_seen[0] ? a->uplink.order_seen : a->records.has_order ? a->records.order_hash : "none";
    snprintf(path, sizeof path, "/v1/orders?cluster=%s&site=%s&member=%s&order=%s&relay=%lld&topology=%s", a->config.cluster, a->config.site,
             a->config.member, order, (long long)a->uplink.relay_seen, a->topology->hash);
    coordinator_url(a, path, url, sizeof url);
    struct http_request request = {.method = "GET", .url = url, .deadline_ms = POLL_DEADLINE_MS};
    a->uplink.poll_due_ms = clock_boot_ms() + 10; /* a refused order must not make polls spin */
    a->uplink.poll_id = http_client_start(a->uplink.http, &request, on_polled, a);
}

/* ---- the first topology ---- */

static void on_topology(void *context, const struct http_answer *answer) {
    struct agent *a = context;
    a->uplink.topology_id = 0;
    struct err err = {0};
    if (answer->status == 404)
        return;
    JSON_AUTO *found = answer->status == 200 ? json_parse(answer->body, &err) : NULL;
    if (!found) {
        note_failure(a, answer);
        return;
    }
    STRBUF text = {0};
    json_write(json_object_get(found, "envelope"), &text);
    take_topology_text(a, text.at, text.len);
}

static void ask_topology(struct agent *a, int64_t now_ms) {
    char path[128], url[256];
    snprintf(path, sizeof path, "/v1/topology?cluster=%s", a->config.cluster);
    coordinator_url(a, path, url, sizeof url);
    struct http_request request = {.method = "GET", .url = url, .deadline_ms = REPORT_DEADLINE_MS};
    a->uplink.topology_due_ms = now_ms + TOPOLOGY_EVERY_MS;
    a->uplink.topology_id = http_client_start(a->uplink.http, &request, on_topology, a);
}

/* When the talk wants its next turn; a member that does not speak wants none. */
int64_t uplink_due_ms(const struct agent *a) {
    const struct uplink *u = &a->uplink;
    int64_t due_ms = INT64_MAX;
    if (!a->topology)
        return u->topology_id ? due_ms : u->topology_due_ms;
    if (!a->records.read || !speaks(a))
        return due_ms;
    if (!u->report_id)
        due_ms = u->report_due_ms;
    if (!u->poll_id && u->poll_due_ms < due_ms)
        due_ms = u->poll_due_ms;
    return due_ms;
}

void uplink_step(struct agent *a) {
    struct uplink *u = &a->uplink;
    int64_t now_ms = clock_boot_ms();
    if (!a->topology) {
        if (!u->topology_id && now_ms >= u->topology_due_ms)
            ask_topology(a, now_ms);
        return;
    }
    if (u->relayed && a->plan.wake_ms > MOVING_WAKE_MS) {
        each_envelope(a, u->relayed, take_relayed);
        json_decref(u->relayed);
        u->relayed = NULL;
    }
    if (!a->records.read || !speaks(a))
        return;
    if (!u->report_id && now_ms >= u->report_due_ms)
        send_report(a, now_ms);
    if (!u->poll_id && now_ms >= u->poll_due_ms)
        send_poll(a);
}
