/* The site lease (protocol 1): what a holder may count on and how long a taker must wait. Pure: records and times come
 * in, nothing is read or sent here. The caller swaps (1.1), reserves sending numbers durably, compares with the
 * member's durable marks (1.6), and starts demotion before the deadline (1.3). */
#include "wire/lease.h"
#include <stdio.h>
#include <string.h>

static bool same_term(const struct lease *a, const struct lease *b) {
    return strcmp(a->store_id, b->store_id) == 0 && a->term_count == b->term_count &&
           strcmp(a->term_random, b->term_random) == 0;
}

/* The newest term that this process took, whether it still holds it or has released it. */
static bool is_own_term(const struct lease_memory *m, const struct lease *record) {
    return m->term_count == record->term_count && strcmp(m->term_random, record->term_random) == 0;
}

static bool holds(const struct lease_memory *m, const struct lease *record) {
    return m->holding && is_own_term(m, record);
}

static bool knows_record(const struct lease_memory *m) {
    return m->seen && !m->seen_absent;
}

/* Every sending has its own seq, so the rest should follow from it; it is compared because a wait rests on it. */
static bool same_record(const struct lease *a, const struct lease *b) {
    return same_term(a, b) && a->seq == b->seq && a->length_ms == b->length_ms && a->state == b->state &&
           a->serial == b->serial && strcmp(a->holder, b->holder) == 0 && epoch_compare(&a->epoch, &b->epoch) == 0;
}

/* A stale read or a late answer: the store had moved on before. Whoever believed it could only lose its next swap. */
static bool is_older(const struct lease *record, const struct lease *known) {
    if (strcmp(record->store_id, known->store_id) != 0) return false;
    if (record->term_count != known->term_count) return record->term_count < known->term_count;
    return same_term(record, known) && record->seq < known->seq;
}

/* Watching one's own renewals proves nothing that the taking had not proved (2.8b). */
static bool watched_after(const struct lease_memory *m, const struct lease *record, bool moved_in_term) {
    return is_own_term(m, record) ? m->took_by_watching : moved_in_term;
}

/* Whoever held in the store before may hold still, by a length that this record does not tell. */
static void note_store(struct lease_memory *m, const struct lease *record, int64_t now_ms) {
    if (m->store_id[0] && strcmp(m->store_id, record->store_id) != 0) {
        m->other_store = true;
        m->other_store_since_ms = now_ms;
    }
    if (!m->other_store && record->length_ms > m->former_length_ms) m->former_length_ms = record->length_ms;
    snprintf(m->store_id, sizeof m->store_id, "%s", record->store_id);
}

/* Keeps the newest record, and since when it stands. The wait counts from the answer, not from the question: the
 * holder may have sent it in between. */
static void observe(struct lease_memory *m, const struct lease *record, int64_t now_ms) {
    bool known = knows_record(m);
    if (known && (same_record(record, &m->last) || is_older(record, &m->last))) return;
    bool moved = known && same_term(record, &m->last) && record->seq > m->last.seq;
    note_store(m, record, now_ms);
    m->released_saves_wait = moved && record->state == LEASE_RELEASED && (m->last.state == LEASE_HELD || m->released_saves_wait);
    m->watched_renewals = watched_after(m, record, moved);
    m->seen = true;
    m->seen_absent = false;
    m->last = *record;
    m->unchanged_since_ms = now_ms;
}

static void observe_absent(struct lease_memory *m, int64_t asked_ms, int64_t now_ms) {
    if (m->seen && (m->seen_absent || asked_ms < m->unchanged_since_ms)) return;
    memset(&m->last, 0, sizeof m->last);
    m->seen = m->seen_absent = true;
    m->released_saves_wait = m->watched_renewals = false;
    m->unchanged_since_ms = now_ms;
}

static bool find_pending(const struct lease_memory *m, int64_t seq, uint32_t *at) {
    for (*at = 0; *at < m->pending_count; (*at)++)
        if (m->pending[*at].seq == seq) return true;
    return false;
}

static void drop_pending_through(struct lease_memory *m, uint32_t at) {
    uint32_t left = m->pending_count - at - 1;
    memmove(m->pending, m->pending + at + 1, left * sizeof m->pending[0]);
    m->pending_count = left;
}

/* A sending that may be in the record already binds from its sending if it ends before the deadline (1.2). */
static void bind_shorter(struct lease_memory *m, int64_t seq, int64_t until_ms) {
    if (until_ms >= m->deadline_ms) return;
    m->deadline_ms = until_ms;
    m->binding_seq = seq;
}

/* Our sending `at` is known to be in the record. What was sent before it has been swapped away or will fail; what was
 * sent after it may be there already, so a shorter length among those binds (1.2). */
static void confirm(struct lease_memory *m, uint32_t at, const struct lease *record) {
    if (!holds(m, record)) m->took_by_watching = m->watched_renewals;
    m->holding = true;
    m->term_count = record->term_count;
    snprintf(m->term_random, sizeof m->term_random, "%s", record->term_random);
    m->binding_seq = m->pending[at].seq;
    m->sent_ms = m->pending[at].sent_ms;
    m->deadline_ms = m->sent_ms + m->pending[at].length_ms;
    for (uint32_t i = at + 1; i < m->pending_count; i++) bind_shorter(m, m->pending[i].seq, m->pending[i].sent_ms + m->pending[i].length_ms);
    drop_pending_through(m, at);
}

/* Another's record is there: no swap that we sent before can succeed any more, and a hold of ours is over. */
static void lose(struct lease_memory *m) {
    m->holding = false;
    m->pending_count = 0;
}

void lease_saw(struct lease_memory *m, const struct lease *record, const char *instance, int64_t asked_ms, int64_t now_ms) {
    if (!record) {
        observe_absent(m, asked_ms, now_ms);
        return;
    }
    bool known = knows_record(m), other_store = known && strcmp(record->store_id, m->last.store_id) != 0;
    if (known && is_older(record, &m->last)) return;
    if (other_store && asked_ms < m->unchanged_since_ms) return;
    uint32_t at;
    bool ours = !other_store && record->state == LEASE_HELD && strcmp(record->holder, instance) == 0;
    if (ours && find_pending(m, record->seq, &at)) confirm(m, at, record);
    bool changed = !known || !same_record(record, &m->last);
    if (changed && (other_store || !holds(m, record))) lose(m);
    observe(m, record, now_ms);
}

static void remember_sending(struct lease_memory *m, const struct lease *record, int64_t now_ms) {
    if (m->pending_count == LEASE_PENDING_MAX) drop_pending_through(m, 0); /* costs at most its late confirmation */
    uint32_t at = m->pending_count++;
    m->pending[at].seq = record->seq;
    m->pending[at].sent_ms = now_ms;
    m->pending[at].length_ms = record->length_ms;
}

void lease_sending(struct lease_memory *m, const struct lease *record, int64_t now_ms) {
    if (m->seq_next <= record->seq) m->seq_next = record->seq + 1;
    if (record->state == LEASE_RELEASED) { /* for good: whatever was under way counts no more, only a new term opens again */
        lose(m);
        m->deadline_ms = now_ms;
        return;
    }
    if (m->holding) bind_shorter(m, record->seq, now_ms + record->length_ms);
    remember_sending(m, record, now_ms);
}

void lease_confirmed(struct lease_memory *m, const struct lease *record, int64_t now_ms) {
    uint32_t at;
    if (record->state == LEASE_HELD && find_pending(m, record->seq, &at)) confirm(m, at, record);
    observe(m, record, now_ms);
}

bool lease_valid(const struct lease_memory *m, int64_t now_ms) {
    return m->holding && now_ms < m->deadline_ms;
}

int64_t lease_full_wait_ms(int64_t length_ms) {
    return length_ms + (length_ms * 2 + 99) / 100; /* 2 rho = 2 %, rounded up */
}

static bool is_elector(const struct lease *record, const char *instance) {
    for (uint32_t i = 0; i < record->elector_count; i++)
        if (strcmp(record->electors[i], instance) == 0) return true;
    return false;
}

static int64_t wait_left_ms(int64_t since_ms, int64_t length_ms, int64_t now_ms) {
    int64_t left_ms = since_ms + lease_full_wait_ms(length_ms) - now_ms;
    return left_ms > 0 ? left_ms : 0;
}

static int64_t largest(int64_t a, int64_t b) { return a > b ? a : b; }

int64_t lease_take_wait_ms(const struct lease_memory *m, const char *instance, int64_t largest_length_ms, int64_t now_ms) {
    if (lease_valid(m, now_ms)) return -1; /* a hold that has lapsed is waited out like anybody's */
    if (!m->seen) return lease_full_wait_ms(largest_length_ms);
    if (!m->seen_absent && !is_elector(&m->last, instance)) return -1;
    int64_t longest_ms = largest(largest_length_ms, m->former_length_ms);
    int64_t first_ms = m->other_store ? wait_left_ms(m->other_store_since_ms, longest_ms, now_ms) : 0;
    if (m->released_saves_wait) return first_ms;
    return largest(first_ms, wait_left_ms(m->unchanged_since_ms, m->seen_absent ? longest_ms : m->last.length_ms, now_ms));
}

/* A number above all that this memory has seen sent, and random besides, in case the reserved block was lost. */
void lease_make_acquisition(const struct lease_memory *m, const char *instance, const char *member, const char *term_random,
                            int64_t random_seq, int64_t length_ms, struct lease *out) {
    *out = m->last; /* all zero when the record is absent: birth, the caller names the store */
    out->term_count = m->last.term_count + 1;
    snprintf(out->term_random, sizeof out->term_random, "%s", term_random);
    snprintf(out->holder, sizeof out->holder, "%s", instance);
    snprintf(out->holder_member, sizeof out->holder_member, "%s", member);
    out->seq = random_seq > m->seq_next ? random_seq : m->seq_next;
    out->length_ms = length_ms;
    out->state = LEASE_HELD;
    if (out->elector_count > 0) return;
    snprintf(out->electors[0], sizeof out->electors[0], "%s", instance);
    out->elector_count = 1;
}

void lease_make_renewal(const struct lease_memory *m, int64_t length_ms, struct lease *out) {
    *out = m->last;
    out->seq = m->seq_next;
    out->length_ms = length_ms;
    out->state = LEASE_HELD;
}

/* Keeps the length: who did not watch the holder waits it out in full (1.5). */
void lease_make_release(const struct lease_memory *m, struct lease *out) {
    *out = m->last;
    out->seq = m->seq_next;
    out->state = LEASE_RELEASED;
}
