/* The stores of the simulated world behind store/store.h, and what can befall them. A swap happens at one moment between
 * question and answer; others go on while a call waits.
 *
 *   down    reads FAIL after up to a second; a swap FAILS, or its outcome is UNKNOWN, and it happens, or not, before the first
 *           answer after that. So what a read says after an UNKNOWN is final, as store.h promises
 *   flaky   swaps of UNKNOWN outcome, half of which have happened
 *   slow    before the moment (as another's lock: the deadline bounds it) and after it (as fsync: nothing does)
 *   stale   a read is one of an earlier moment; deaf: nobody is woken by a change
 *   full    what would write FAILS, or its commit does (UNKNOWN, and has not happened); then this handle does nothing before there is room */
#include "tests/sim/stores.h"
#include "rt/clock.h"
#include "store/store_op.h"
#include "tests/sim/ideal.h"
#include "tests/sim/store_content.h"
#include "wire/lease.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORES_MAX 8
#define BUSY_MAX_MS 1000 /* a call waits so long for a lock or an answer */
#define WAKE_MOST (3 * MS)
#define BOOT_ID_MAX 64

/* A swap that was asked while the store was down. */
struct late_swap {
    struct late_swap *next;
    size_t count;
    struct store_op ops[STORE_SWAP_MAX];
};
struct handle {
    struct store base;
    struct handle *next;
    struct site_store *store;
    struct process *process;
    bool waking;    /* an event that wakes it is asked for */
    bool unsettled; /* a commit of its has failed: nothing else before one succeeds */
};
/* What belongs to a store beside what others may see of it; stores[i] and insides[i] are one. */
struct inside {
    struct handle *handles;
    struct late_swap *late, **late_end;
    struct dice dice;
    char boot_id[BOOT_ID_MAX]; /* of the host that opened it last */
};
static struct site_store stores[STORES_MAX];
static struct inside insides[STORES_MAX];
static size_t store_count;

static struct inside *inside(const struct site_store *s) { return &insides[s - stores]; }
static struct handle *handle_of(struct store *s) { return (struct handle *)s; /* base is its first member */ }
static bool is_down(const struct site_store *s) { return sim_now < s->down_until; }
static bool is_full(const struct site_store *s) { return s->files_full || host_self()->disk_full; }

struct site_store *store_at(const char *path) {
    for (size_t i = 0; i < store_count; i++)
        if (str_eq(stores[i].path, path))
            return &stores[i];
    if (store_count == STORES_MAX)
        abort();
    struct site_store *s = &stores[store_count++];
    str_copy(s->path, sizeof s->path, path);
    s->content = store_content_new();
    inside(s)->late_end = &inside(s)->late;
    dice_open(&inside(s)->dice, s->path, 0);
    return s;
}

int64_t store_revision(const struct site_store *s) { return s->content ? s->content->revision : 0; }

const char *store_peek(const struct site_store *s, const char *key, size_t *len) {
    struct bytes value = store_content_get(s->content, key);
    if (len)
        *len = value.len;
    return value.at;
}

/* ---- watches ---- */

static void wake(void *handle, int64_t number) {
    struct handle *h = handle;
    (void)number;
    if (h->waking && h->process)
        process_wake(h->process);
    h->waking = false;
}

static void tell_watchers(struct site_store *s) {
    for (struct handle *h = inside(s)->handles; h && !s->deaf; h = h->next) {
        if (h->waking)
            continue;
        h->waking = true;
        sim_at(sim_now + dice_between(&inside(s)->dice, 0, WAKE_MOST), wake, h, 0);
    }
}

/* ---- the story ---- */

/* Every second or so, and nothing new to a reader. */
static bool is_plain_renewal(const struct store_op *op) {
    struct lease was, is;
    struct err unused;
    if (!str_eq(op->key, "site/lease") || !op->expect.at || !op->value.at || !field_from_json(&lease_table, op->key, op->expect, &was, &unused) ||
        !field_from_json(&lease_table, op->key, op->value, &is, &unused))
        return false;
    was.seq = is.seq;
    return !memcmp(&was, &is, sizeof is);
}

/* What members and sites say of themselves changes all the time, too. */
static void say_change(const struct site_store *s, const struct store_op *op, const char *how) {
    STRBUF words = {0};
    bool is_told = str_starts(op->key, "site/") || str_starts(op->key, "term") || str_starts(op->key, "cluster/");
    if (!is_told || is_plain_renewal(op))
        return;
    if (op->value.at)
        ideal_words(op->value, &words);
    sim_tell(s->path, "%s: %s = %.1000s%s", process_self() ? process_self()->name : "late", op->key, words.at ? words.at : "(removed)", how);
}

static void say_swap(const struct site_store *s, const struct store_op *ops, size_t count, const char *how) {
    for (size_t i = 0; i < count && sim_telling; i++)
        if (store_op_writes(&ops[i]))
            say_change(s, &ops[i], how);
}

/* ---- happening ---- */

static bool has_writes(const struct store_op *ops, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (store_op_writes(&ops[i]))
            return true;
    return false;
}

static void happen(struct site_store *s, const struct store_op *ops, size_t count, const char *how) {
    say_swap(s, ops, count, how);
    if (store_content_apply(s->content, ops, count))
        tell_watchers(s);
}

static struct bytes copy_of(struct bytes from) {
    if (!from.at)
        return from;
    char *copy = rt_alloc(from.len + 1);
    memcpy(copy, from.at, from.len);
    return (struct bytes){copy, from.len};
}

static void remember_late(struct site_store *s, const struct store_op *ops, size_t count) {
    struct late_swap *late = rt_alloc(sizeof *late);
    late->count = count;
    for (size_t i = 0; i < count; i++) {
        struct store_op *to = &late->ops[i];
        *to = (struct store_op){.key = rt_strdup(ops[i].key), .expect = copy_of(ops[i].expect)};
        to->value = store_op_writes(&ops[i]) ? copy_of(ops[i].value) : to->expect;
    }
    *inside(s)->late_end = late;
    inside(s)->late_end = &late->next;
}

/* The first call after the store is up again comes after all that was asked while it was down. */
static void settle_late(struct site_store *s) {
    struct inside *in = inside(s);
    for (struct late_swap *late = in->late; late; late = late->next) {
        if (!dice_chance(&in->dice, 500) || !store_content_holds(s->content, late->ops, late->count))
            continue;
        count("store: swap happened long after it was asked");
        happen(s, late->ops, late->count, " (late)");
    }
    in->late = NULL;
    in->late_end = &in->late;
}

/* ---- waiting ---- */

static void block(sim_time how_long) {
    if (how_long > 0)
        process_block(how_long);
}

static sim_time some_of(struct site_store *s, sim_time most) { return most > 0 ? dice_between(&inside(s)->dice, 0, most) : 0; }

/* How long this call may wait. */
static sim_time patience(int64_t deadline_boot_ms) {
    int64_t left_ms = deadline_boot_ms - clock_boot_ms();
    return (left_ms < 0 ? 0 : left_ms < BUSY_MAX_MS ? left_ms : BUSY_MAX_MS) * MS;
}

static bool busy(const struct site_store *s, struct err *err) {
    count("store: busy until the deadline");
    return err_set(err, ERR_UNREACHABLE, "%s: begin: another process holds the lock", s->path);
}

static bool wait_for_lock(struct site_store *s, int64_t deadline_boot_ms, struct err *err) {
    sim_time wait = some_of(s, s->slow), most = patience(deadline_boot_ms);
    block(wait < most ? wait : most);
    return wait <= most || busy(s, err);
}

static bool no_answer(struct site_store *s, int64_t deadline_boot_ms, struct err *err) {
    bool at_once = dice_chance(&inside(s)->dice, 500);
    block(at_once ? some_of(s, 5 * MS) : patience(deadline_boot_ms));
    return err_set(err, ERR_UNREACHABLE, "%s: does not answer", s->path);
}

/* An earlier commit of this handle that failed: another must succeed before it does anything else. */
static bool settle_own(struct handle *h, struct err *err) {
    struct site_store *s = h->store;
    if (!h->unsettled)
        return true;
    if (is_full(s))
        return err_set(err, ERR_IO, "%s: settle a commit of unknown outcome: no space", s->path);
    h->unsettled = false;
    s->content->revision++;
    return true;
}

/* ---- swap ---- */

static enum store_outcome unknown(const struct site_store *s, const char *why, struct err *err) {
    count("store: swap of unknown outcome");
    err_set(err, ERR_TIMEOUT, "%s: commit: %s", s->path, why);
    return STORE_UNKNOWN;
}

static enum store_outcome swap_while_down(struct site_store *s, const struct store_op *ops, size_t count, int64_t deadline_boot_ms, struct err *err) {
    bool is_sent = dice_chance(&inside(s)->dice, 600);
    if (is_sent)
        remember_late(s, ops, count);
    (void)no_answer(s, deadline_boot_ms, err);
    return is_sent ? unknown(s, "does not answer", err) : STORE_FAILED;
}

static enum store_outcome swap_without_space(struct handle *h, struct err *err) {
    h->unsettled = dice_chance(&inside(h->store)->dice, 300);
    if (h->unsettled)
        return unknown(h->store, "no space", err);
    err_set(err, ERR_IO, "%s: write: no space", h->store->path);
    return STORE_FAILED;
}

/* The moment itself: no other process runs in here. */
static enum store_outcome swap_now(struct handle *h, const struct store_op *ops, size_t count, struct store_answer *answer) {
    struct site_store *s = h->store;
    bool holds = store_content_holds(s->content, ops, count);
    bool is_lost = s->flaky_permille && dice_chance(&inside(s)->dice, s->flaky_permille);
    bool is_undone = is_lost && dice_chance(&inside(s)->dice, 500);
    if (!holds && !is_lost)
        return STORE_BEATEN;
    if (holds && has_writes(ops, count) && is_full(s))
        return swap_without_space(h, &answer->err);
    if (holds && !is_undone)
        happen(s, ops, count, is_lost ? " (not told)" : "");
    answer->revision = is_lost ? 0 : s->content->revision;
    return is_lost ? unknown(s, "the answer is lost", &answer->err) : STORE_DONE;
}

static enum store_outcome swap(struct handle *h, const struct store_op *ops, size_t count, int64_t deadline_boot_ms, struct store_answer *answer) {
    struct site_store *s = h->store;
    if (!wait_for_lock(s, deadline_boot_ms, &answer->err))
        return STORE_FAILED;
    if (is_down(s))
        return swap_while_down(s, ops, count, deadline_boot_ms, &answer->err);
    settle_late(s);
    if (!settle_own(h, &answer->err))
        return STORE_FAILED;
    enum store_outcome outcome = swap_now(h, ops, count, answer);
    block(some_of(s, s->slow) + some_of(s, host_self()->disk_slow));
    return outcome;
}

static void on_swap(struct store *store, const struct store_op *ops, size_t n, int64_t deadline_boot_ms, store_done *done, void *context) {
    struct store_answer answer = {0};
    process_point("store: before a swap");
    answer.outcome = swap(handle_of(store), ops, n, deadline_boot_ms, &answer);
    process_point("store: after a swap");
    count(answer.outcome == STORE_BEATEN ? "store: swap beaten" : "store: swap");
    done(context, &answer);
}

/* ---- read ---- */

/* Never one from before the store was put back. */
static int64_t some_revision(struct site_store *s) {
    const struct store_content *c = s->content;
    int64_t revision = s->stale ? c->revision - dice_between(&inside(s)->dice, 0, s->stale) : c->revision;
    return revision < c->restored ? c->restored : revision;
}

static struct store_content_rows *rows_of(struct site_store *s, int64_t revision) {
    if (revision == s->content->revision)
        return s->content->rows;
    count("store: stale read");
    struct store_content_rows *rows = store_content_as_of(s->content, revision);
    rows->is_private = true;
    return rows;
}

static bool may_read(struct handle *h, int64_t deadline_boot_ms, struct err *err) {
    struct site_store *s = h->store;
    if (!wait_for_lock(s, deadline_boot_ms, err))
        return false;
    if (is_down(s))
        return no_answer(s, deadline_boot_ms, err);
    settle_late(s);
    return settle_own(h, err);
}

static void on_read(struct store *store, const char *prefix, int64_t deadline_boot_ms, store_done *done, void *context) {
    struct handle *h = handle_of(store);
    struct site_store *s = h->store;
    struct store_answer answer = {.outcome = STORE_FAILED};
    if (!may_read(h, deadline_boot_ms, &answer.err)) {
        done(context, &answer);
        return;
    }
    answer.outcome = STORE_DONE;
    answer.revision = some_revision(s);
    struct store_content_rows *rows = rows_of(s, answer.revision);
    size_t first = store_content_place(rows, prefix), end = first;
    while (end < rows->count && str_starts(rows->entries[end].key, prefix))
        end++;
    answer.entries = rows->entries + first;
    answer.count = end - first;
    rows->readers++;
    block(some_of(s, s->slow));
    done(context, &answer);
    store_content_release(rows);
}

/* ---- handles ---- */

static int no_watch_fd(const struct store *store) {
    (void)store;
    return -1;
}

static void on_watch_clear(struct store *store) { handle_of(store)->waking = false; }

static void let_go(struct handle **link) {
    struct handle *h = *link;
    *link = h->next;
    h->process = NULL;
}

static void on_close(struct store *store) {
    struct handle **link = &inside(handle_of(store)->store)->handles;
    while (*link && *link != handle_of(store))
        link = &(*link)->next;
    if (*link)
        let_go(link);
}

void store_process_ended(struct process *p) {
    for (size_t i = 0; i < store_count; i++)
        for (struct handle **link = &insides[i].handles; *link;)
            if ((*link)->process == p)
                let_go(link);
            else
                link = &(*link)->next;
}

static const struct store_ops ops_of_all = {on_swap, on_read, no_watch_fd, on_watch_clear, on_close};

/* True for the first that opens it after a reboot, where its users share one host. */
static bool note_boot(struct site_store *s) {
    char now[BOOT_ID_MAX], *known = inside(s)->boot_id;
    clock_boot_id(now, sizeof now);
    if (str_eq(known, now))
        return false;
    bool is_reboot = known[0] != '\0';
    str_copy(known, BOOT_ID_MAX, now);
    s->content->revision++;
    return is_reboot;
}

bool store_open_embedded(const char *path, struct store **out, bool *rebooted, struct err *err) {
    struct site_store *s = store_at(path);
    if (is_down(s))
        return no_answer(s, clock_boot_ms() + BUSY_MAX_MS, err) || err_wrap(err, "embedded store");
    if (is_full(s))
        return err_set(err, ERR_IO, "embedded store: %s: make tables: no space", path);
    settle_late(s);
    block(some_of(s, s->slow) + some_of(s, host_self()->disk_slow));
    struct handle *h = rt_alloc(sizeof *h);
    *h = (struct handle){.base = {&ops_of_all}, .next = inside(s)->handles, .store = s, .process = process_self()};
    inside(s)->handles = h;
    bool is_reboot = note_boot(s);
    if (rebooted)
        *rebooted = is_reboot;
    *out = &h->base;
    return true;
}

/* ---- put back ---- */

/* Whoever puts a copy back gives it another identity (protocol 1.6). */
static void give_identity(struct site_store *s, struct store_content_rows *rows) {
    struct lease lease;
    struct err err = {0};
    STRBUF text = {0};
    size_t place = store_content_place(rows, "site/lease");
    if (place == rows->count || !str_eq(rows->entries[place].key, "site/lease"))
        return;
    if (!field_from_json(&lease_table, "site/lease", rows->entries[place].value, &lease, &err)) {
        fprintf(stderr, "%s: %s\n", s->path, err.text);
        abort();
    }
    dice_id(&inside(s)->dice, lease.store_id, sizeof lease.store_id);
    field_to_text(&lease_table, &lease, &text);
    rows->entries[place].value = copy_of((struct bytes){text.at, text.len});
}

void store_put_back(struct site_store *s, sim_time ago, bool new_identity) {
    struct store_content *c = s->content;
    struct store_content_rows *rows = ago ? store_content_as_of(c, store_content_revision_at(c, sim_now - ago)) : rt_alloc(sizeof *rows);
    sim_say(s->path, "is put back to how it was %" PRId64 " ms ago%s", ago / MS, ago ? "" : ": it is empty");
    inside(s)->late = NULL;
    inside(s)->late_end = &inside(s)->late;
    if (new_identity)
        give_identity(s, rows);
    store_content_put_back(c, rows);
    tell_watchers(s);
}
