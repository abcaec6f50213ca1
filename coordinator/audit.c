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

bool audit_open(struct audit *a, struct journal *j, struct err *err) {
    *a = (struct audit){.journal = j};
    const char *text = journal_get(j, HEAD_KEY);
    struct head head;
    if (!text)
        return true;
    if (!field_from_json(&head_table, HEAD_KEY, (struct bytes){text, strlen(text)}, &head, err))
        return false;
    a->n = head.n;
    str_copy(a->hash, sizeof a->hash, head.hash);
    return true;
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
    snprintf(key, sizeof key, "audit/%016lld", (long long)record->n);
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
    struct audit head;
    if (!journal_read_audit(j, on_record, &v, err) || !audit_open(&head, j, err))
        return false;
    if (head.n != v.n || !str_eq(head.hash, v.hash))
        strbuf_addf(problems, "the newest record should be number %lld with hash %.12s\n", (long long)head.n, head.hash);
    *count = v.n;
    return true;
}
