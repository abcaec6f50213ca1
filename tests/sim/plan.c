/* Plans as text: printed for people, kept as stories, read back. One line a setting, one line a deed:
 *
 *   seed: 17
 *   sites: 2
 *   ...
 *   12.500s kill-agent ams-1
 *   30.000s switchover fra 60000 */
#include "tests/sim/world.h"
#include "rt/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const deed_names[DEED_KINDS] = {
#define X(symbol, name, says) name,
    DEEDS(X)
#undef X
};

struct setting {
    const char *name;
    size_t offset;
    char type; /* i int, b bool, l int64_t */
};
static const struct setting settings_table[] = {
#define SETTING(member, type) {#member, offsetof(struct settings, member), type}
    SETTING(sites, 'i'),   SETTING(members, 'i'),     SETTING(one_host, 'b'),   SETTING(born, 'b'),      SETTING(clients, 'i'),
    SETTING(ttl_ms, 'l'),  SETTING(stop_time_ms, 'l'), SETTING(latency_ms, 'i'), SETTING(safety_ms, 'l'), {NULL, 0, 0},
#undef SETTING
};

static int64_t setting_get(const struct settings *s, const struct setting *t) {
    const char *at = (const char *)s + t->offset;
    int number;
    int64_t large;
    bool flag;
    switch (t->type) {
    case 'i': memcpy(&number, at, sizeof number); return number;
    case 'b': memcpy(&flag, at, sizeof flag); return flag;
    default: memcpy(&large, at, sizeof large); return large;
    }
}

static void setting_put(struct settings *s, const struct setting *t, int64_t value) {
    char *at = (char *)s + t->offset;
    int number = (int)value;
    bool flag = value != 0;
    switch (t->type) {
    case 'i': memcpy(at, &number, sizeof number); return;
    case 'b': memcpy(at, &flag, sizeof flag); return;
    default: memcpy(at, &value, sizeof value);
    }
}

void plan_write(const struct script *p, struct strbuf *to) {
    strbuf_addf(to, "seed: %llu\n", (unsigned long long)p->seed);
    for (const struct setting *t = settings_table; t->name; t++)
        strbuf_addf(to, "%s: %lld\n", t->name, (long long)setting_get(&p->settings, t));
    for (int i = 0; i < p->deed_count; i++) {
        const struct deed *d = &p->deeds[i];
        strbuf_addf(to, "%lld.%03llds %s target=%d other=%d ms=%lld number=%lld\n", (long long)(d->at / SECOND), (long long)(d->at % SECOND / MS),
                    deed_names[d->kind], d->target, d->other, (long long)d->ms, (long long)d->number);
    }
}

static int kind_named(const char *name) {
    for (int i = 0; i < DEED_KINDS; i++)
        if (str_eq(deed_names[i], name))
            return i;
    return -1;
}

static bool read_deed(const char *line, struct script *out) {
    long long seconds, millis, ms, number;
    int target, other;
    char name[32];
    if (out->deed_count == DEEDS_MAX ||
        sscanf(line, "%lld.%3llds %31s target=%d other=%d ms=%lld number=%lld", &seconds, &millis, name, &target, &other, &ms, &number) != 7 || kind_named(name) < 0)
        return false;
    out->deeds[out->deed_count++] = (struct deed){.at = seconds * SECOND + millis * MS, .kind = kind_named(name), .target = target, .other = other, .ms = ms, .number = number};
    return true;
}

static bool read_setting(const char *line, struct script *out) {
    char name[32];
    long long value;
    if (sscanf(line, "%31[a-z_]: %lld", name, &value) != 2)
        return false;
    if (str_eq(name, "seed")) {
        out->seed = (uint64_t)value;
        return true;
    }
    for (const struct setting *t = settings_table; t->name; t++)
        if (str_eq(t->name, name)) {
            setting_put(&out->settings, t, value);
            return true;
        }
    return false;
}

/* Comments (#), blank lines, and "expect:" (run.c's) are passed over. */
bool plan_read(const char *text, struct script *out, char *problem, size_t size) {
    char line[256];
    *out = (struct script){0};
    for (int number = 1; *text; number++) {
        size_t len = strcspn(text, "\n"), kept = len < sizeof line - 1 ? len : sizeof line - 1;
        memcpy(line, text, kept);
        line[kept] = 0;
        text += len + (text[len] == '\n');
        bool passed = !line[0] || line[0] == '#' || str_starts(line, "expect:");
        if (!passed && !read_setting(line, out) && !read_deed(line, out)) {
            snprintf(problem, size, "line %d: neither a setting nor a deed: %.100s", number, line);
            return false;
        }
    }
    return true;
}
