/* The store as its users see it: arguments are checked here, once for all backends, then the backend works. What is
 * wrong with a call is answered like any other failure: STORE_FAILED, nothing happened. */
#include "store/store.h"
#include "rt/clock.h"
#include "store/store_op.h"
#include <string.h>

/* Keys and prefixes have the same letters; only a prefix may be empty. */
static bool has_key_letters(const char *text) {
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789/_.-")] == '\0';
}

static bool key_is_valid(const char *key, struct err *err) {
    if (!key || !*key) return err_set(err, ERR_INVALID, "store: a key is empty");
    if (strlen(key) > STORE_KEY_MAX) return err_set(err, ERR_LIMIT, "store: key %.32s...: longer than %d bytes", key, STORE_KEY_MAX);
    if (!has_key_letters(key)) return err_set(err, ERR_INVALID, "store: a key has letters other than [a-z0-9/_.-]");
    return true;
}

static bool op_is_valid(const struct store_op *op, struct err *err) {
    if (!key_is_valid(op->key, err)) return false;
    if (op->value.at && op->value.len > STORE_VALUE_MAX)
        return err_set(err, ERR_LIMIT, "store: key %s: value of %zu bytes, the limit is %d", op->key, op->value.len, STORE_VALUE_MAX);
    if (op->value.at && op->value.at == op->expect.at && op->value.len != op->expect.len)
        return err_set(err, ERR_INVALID, "store: key %s: the new value is a part of the expected one's memory", op->key);
    return true;
}

static bool key_stands_before(const struct store_op *ops, size_t at) {
    for (size_t i = 0; i < at; i++)
        if (str_eq(ops[i].key, ops[at].key)) return true;
    return false;
}

static bool deadline_is_ahead(int64_t deadline_boot_ms, struct err *err) {
    if (clock_boot_ms() < deadline_boot_ms) return true;
    return err_set(err, ERR_UNREACHABLE, "store: the deadline had passed before anything was tried");
}

static bool swap_is_valid(const struct store_op *ops, size_t count, struct err *err) {
    if (count < 1 || count > STORE_SWAP_MAX) return err_set(err, ERR_LIMIT, "store: swap of %zu keys, 1 to %d are possible", count, STORE_SWAP_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!op_is_valid(&ops[i], err)) return false;
        if (key_stands_before(ops, i)) return err_set(err, ERR_INVALID, "store: key %s stands twice in one swap", ops[i].key);
    }
    return true;
}

static bool prefix_is_valid(const char *prefix, struct err *err) {
    if (strlen(prefix) <= STORE_KEY_MAX && has_key_letters(prefix)) return true;
    return err_set(err, ERR_INVALID, "store: a prefix is too long or has letters other than [a-z0-9/_.-]");
}

void store_swap(struct store *s, const struct store_op *ops, size_t count, int64_t deadline_boot_ms, store_done *done, void *context) {
    struct store_answer refusal = {.outcome = STORE_FAILED};
    if (swap_is_valid(ops, count, &refusal.err) && deadline_is_ahead(deadline_boot_ms, &refusal.err))
        s->ops->swap(s, ops, count, deadline_boot_ms, done, context);
    else
        done(context, &refusal);
}

void store_read(struct store *s, const char *prefix, int64_t deadline_boot_ms, store_done *done, void *context) {
    struct store_answer refusal = {.outcome = STORE_FAILED};
    if (prefix_is_valid(prefix, &refusal.err) && deadline_is_ahead(deadline_boot_ms, &refusal.err))
        s->ops->read(s, prefix, deadline_boot_ms, done, context);
    else
        done(context, &refusal);
}

int store_watch_fd(const struct store *s) {
    return s->ops->watch_fd(s);
}

void store_watch_clear(struct store *s) {
    s->ops->watch_clear(s);
}

void store_close(struct store *s) {
    if (s) s->ops->close(s);
}
