/* Epochs: comparing, writing and reading (protocol 2.1), and what a name may look like. Pure: the decide archives
 * link this. The codec for the field tables is in epoch_fields.c. */
#include "wire/epoch.h"
#include <stdio.h>
#include <string.h>

int epoch_compare(const struct epoch *a, const struct epoch *b) {
    if (a->generation != b->generation) return a->generation < b->generation ? -1 : 1;
    if (a->step != b->step) return a->step < b->step ? -1 : 1;
    return strcmp(a->site, b->site);
}

bool epoch_is_zero(const struct epoch *e) {
    return e->generation == 0 && e->step == 0 && e->site[0] == '\0';
}

void epoch_format(const struct epoch *e, char to[EPOCH_TEXT_MAX]) {
    to[0] = '\0';
    if (epoch_is_zero(e)) return;
    snprintf(to, EPOCH_TEXT_MAX, "%lld.%lld@%s", (long long)e->generation, (long long)e->step, e->site);
}

void epoch_format_short(const struct epoch *e, char to[EPOCH_TEXT_MAX]) {
    to[0] = '\0';
    if (epoch_is_zero(e)) return;
    snprintf(to, EPOCH_TEXT_MAX, "%lld.%lld", (long long)e->generation, (long long)e->step);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Canonical decimal (no sign, no leading zero): one epoch has one text, so texts can be compared and hashed. */
static const char *take_number(const char *text, int64_t *number) {
    if (!is_digit(text[0]) || (text[0] == '0' && is_digit(text[1]))) return NULL;
    *number = 0;
    for (; is_digit(*text); text++) {
        int digit = *text - '0';
        if (*number > (INT64_MAX - digit) / 10) return NULL;
        *number = *number * 10 + digit;
    }
    return text;
}

bool epoch_parse(const char *text, struct epoch *e) {
    struct epoch read = {0};
    const char *at = take_number(text, &read.generation);
    if (!at || *at != '.' || read.generation == 0) return false;
    at = take_number(at + 1, &read.step);
    if (!at || *at != '@' || !name_is_valid(at + 1)) return false;
    memcpy(read.site, at + 1, strlen(at + 1));
    *e = read;
    return true;
}

bool name_is_valid(const char *name) {
    if (name[0] < 'a' || name[0] > 'z') return false;
    size_t len = 1;
    for (; name[len]; len++) {
        char c = name[len];
        if (!(c >= 'a' && c <= 'z') && !is_digit(c) && c != '-') return false;
        if (len + 1 >= NAME_MAX_BYTES) return false;
    }
    return true;
}
