/* The hash chain. */
#include "coordinator/audit.h"
#include "rt/clock.h"
#include "rt/field.h"
#include "wire/sign.h"
#include <stdio.h>
#include <string.h>

static const struct field record_fields[] = {
    FIELD_INT64(struct audit_record, n, NULL, 1, INT64_MAX, FIELD_REQUIRED, "number"),
    FIELD_CUSTOM(struct audit_record, time, &field_wall_ms, NULL, FIELD_REQUIRED, "when"),
    FIELD_TEXT(struct audit_record, actor, FIELD_REQUIRED, "who"),
    FIELD_TEXT(struct audit_record, what, FIELD_REQUIRED, "what"),
    FIELD_TEXT(struct audit_record, cluster, FIELD_NULL_EMPTY, "cluster"),
    FIELD_TEXT(struct audit_record, site, FIELD_NULL_EMPTY, "site"),
    FIELD_TEXT(struct audit_record, operation, FIELD_NULL_EMPTY, "operation"),
    FIELD_TEXT(struct audit_record, rule, FIELD_NULL_EMPTY, "rule that decided"),
    FIELD_TEXT(struct audit_record, detail, FIELD_NULL_EMPTY, "in words"),
    FIELD_TEXT(struct audit_record, document, FIELD_NULL_EMPTY, "hash of the document"),
    FIELD_TEXT(struct audit_record, previous, FIELD_NULL_EMPTY, "hash of the record before"),
    FIELD_END};
const struct fields audit_record_table = FIELDS("audit record", struct audit_record, record_fields);

struct head {
    int64_t n;
    char hash[HASH_TEXT_MAX];
};
static const struct field head_fields[] = {
    FIELD_INT64(struct head, n, NULL, 0, INT64_MAX, FIELD_REQUIRED, "newest record"),
    FIELD_TEXT(struct head, hash, FIELD_NULL_EMPTY, "its hash"),
    FIELD_END};
static const struct fields head_table = FIELDS("audit head", struct head, head_fields);
#define HEAD_KEY "audit-head"

static bool read_head(struct journal *j, struct head *head, struct err *err) {
    const char *text = journal_get(j, HEAD_KEY);
    *head = (struct head){0};
    return !text || field_from_json(&head_table, HEAD_KEY, (struct bytes){text, strlen(text)}, head, err);
}

static void record_key(char to[48], int64_t n) { snprintf(to, 48, "audit/%016lld", (long long)n); }

#define AUDIT_LOST_MAX 1000
bool audit_open(struct audit *a, struct journal *j, struct err *err) {
    struct head head;
    *a = (struct audit){.journal = j};
    if (!read_head(j, &head, err))
        return false;
    for (a->n = head.n; a->n > 0 && a->lost < AUDIT_LOST_MAX; a->n--, a->lost++) {
        STRBUF text = {0};
        char key[48];
        bool found;
        record_key(key, a->n);
        if (!journal_read(j, key, &text, &found, err))
            return false;
        if (!found)
            continue;
        sign_hash((struct bytes){text.at, text.len}, a->hash);
        return true;
    }
    return a->n == 0 || err_set(err, ERR_INVALID, "audit log: more than %d records before number %lld are missing", AUDIT_LOST_MAX, (long long)head.n);
}

void audit_add(struct audit *a, struct audit_record *record) {
    record->n = ++a->n;
    record->time = clock_wall_ms();
    str_copy(record->previous, sizeof record->previous, a->hash);
    STRBUF text = {0};
    STRBUF head_text = {0};
    char key[48];
    field_to_text(&audit_record_table, record, &text);
    sign_hash((struct bytes){text.at, text.len}, a->hash);
    record_key(key, record->n);
    journal_append(a->journal, key, text.at);
    struct head head = {.n = a->n};
    str_copy(head.hash, sizeof head.hash, a->hash);
    field_to_text(&head_table, &head, &head_text);
    journal_put(a->journal, HEAD_KEY, head_text.at);
}

/* ---- verification ---- */

struct verifying {
    int64_t n;
    char hash[HASH_TEXT_MAX];
    struct strbuf *problems;
};

static void on_record(void *context, const char *key, struct bytes value) {
    struct verifying *v = context;
    struct audit_record record;
    struct err err = {0};
    v->n++;
    if (!field_from_json(&audit_record_table, key, value, &record, &err))
        strbuf_addf(v->problems, "%s: %s\n", key, err.text);
    else if (record.n != v->n)
        strbuf_addf(v->problems, "%s: number %lld where %lld belongs\n", key, (long long)record.n, (long long)v->n);
    else if (!str_eq(record.previous, v->hash))
        strbuf_addf(v->problems, "%s: does not follow the record before it\n", key);
    v->n = record.n > v->n ? record.n : v->n;
    sign_hash(value, v->hash);
}

bool audit_verify(struct journal *j, int64_t *count, struct strbuf *problems, struct err *err) {
    struct verifying v = {.problems = problems};
    struct head head;
    if (!journal_read_audit(j, on_record, &v, err) || !read_head(j, &head, err))
        return false;
    if (head.n != v.n || !str_eq(head.hash, v.hash))
        strbuf_addf(problems, "the newest record should be number %lld with hash %.12s\n", (long long)head.n, head.hash);
    *count = v.n;
    return true;
}
