/* WAL positions as text, and the field tables that carry positions and lineages. Strict where text comes in, so that
 * one position has few spellings; comparing lineages is in lineage.c. */
#include "wire/lsn.h"
#include "rt/str.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void lsn_format(lsn_t lsn, char to[LSN_TEXT_MAX]) {
    snprintf(to, LSN_TEXT_MAX, "%" PRIX32 "/%" PRIX32, (uint32_t)(lsn >> 32), (uint32_t)lsn);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/* 1 to 8 hex digits; returns what follows them, NULL when there are none or too many. */
static const char *parse_half(const char *text, uint32_t *half) {
    int digits = 0;
    for (*half = 0; hex_digit(text[digits]) >= 0; digits++) {
        if (digits == 8) return NULL;
        *half = (*half << 4) | (uint32_t)hex_digit(text[digits]);
    }
    return digits > 0 ? text + digits : NULL;
}

bool lsn_parse(const char *text, lsn_t *lsn) {
    uint32_t high, low;
    const char *rest = parse_half(text, &high);
    if (!rest || *rest != '/') return false;
    rest = parse_half(rest + 1, &low);
    if (!rest || *rest != '\0') return false;
    *lsn = ((lsn_t)high << 32) | low;
    return true;
}

static bool codec_parse(const char *text, void *out, struct err *err) {
    lsn_t lsn = 0;
    if (*text && !lsn_parse(text, &lsn)) return err_set(err, ERR_INVALID, "\"%.40s\" is not a WAL position like 0/5000148", text);
    memcpy(out, &lsn, sizeof lsn);
    return true;
}

static void codec_format(const void *in, char *to, size_t size) {
    lsn_t lsn;
    char text[LSN_TEXT_MAX] = "";
    memcpy(&lsn, in, sizeof lsn);
    if (lsn) lsn_format(lsn, text);
    str_copy(to, size, text);
}

const struct field_codec field_lsn = {.parse = codec_parse, .format = codec_format, .wants = "a WAL position like 0/5000148"};

static const struct field lineage_entry_fields[] = {
    FIELD_INT64(struct lineage_entry, timeline, NULL, 1, UINT32_MAX, FIELD_REQUIRED, "number of the timeline"),
    FIELD_CUSTOM(struct lineage_entry, begin, &field_lsn, NULL, FIELD_NULL_EMPTY, "where it left its parent; null for the first"),
    FIELD_TEXT(struct lineage_entry, fingerprint, FIELD_NULL_EMPTY, "what identifies its content; null when unknown"),
    FIELD_END};
const struct fields lineage_entry_table = FIELDS("lineage entry", struct lineage_entry, lineage_entry_fields);
