/* A ring of buffers saves every caller its own; the program has one thread. */
#include "coordinator/cli/human.h"
#include "rt/utf8.h"
#include <stdio.h>
#include <string.h>

static char *next_buffer(void) {
    static char ring[8][HUMAN_MAX];
    static unsigned turn;
    return ring[turn++ % 8];
}

const char *human(const char *text) {
    char *to = next_buffer();
    utf8_printable(to, HUMAN_MAX, text);
    return to;
}

void human_lines(const char *text, struct strbuf *to) {
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        char one[HUMAN_MAX];
        snprintf(one, sizeof one, "%.*s", (int)(len < sizeof one ? len : sizeof one - 1), line);
        strbuf_addf(to, "%s%s", line == text ? "" : "\n  ", human(one));
        line += len;
        line += *line == '\n';
    }
    if (!to->at)
        strbuf_add(to, "");
}

const char *human_size(int64_t bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    char *to = next_buffer();
    double value = (double)bytes;
    size_t unit = 0;
    while ((value >= 1024 || value <= -1024) && unit < 5)
        value /= 1024, unit++;
    snprintf(to, HUMAN_MAX, unit && value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return to;
}

const char *human_bytes(const json_t *number) {
    return json_is_number(number) ? human_size((int64_t)json_number_value(number)) : "?";
}

static const char *two_units(int64_t seconds, int64_t large, const char *large_name, int64_t small, const char *small_name) {
    char *to = next_buffer();
    snprintf(to, HUMAN_MAX, "%lld %s %lld %s", (long long)(seconds / large), large_name, (long long)(seconds % large / small), small_name);
    return to;
}

const char *human_ms(int64_t ms) {
    int64_t seconds = ms / 1000;
    if (seconds >= 86400)
        return two_units(seconds, 86400, "d", 3600, "h");
    if (seconds >= 3600)
        return two_units(seconds, 3600, "h", 60, "min");
    if (seconds >= 60)
        return two_units(seconds, 60, "min", 1, "s");
    char *to = next_buffer();
    if (seconds == 0)
        snprintf(to, HUMAN_MAX, "%lld ms", (long long)ms);
    else
        snprintf(to, HUMAN_MAX, seconds >= 10 ? "%.0f s" : "%.1f s", (double)ms / 1000);
    return to;
}

const char *human_seconds(const json_t *number) {
    return json_is_number(number) ? human_ms((int64_t)(json_number_value(number) * 1000 + 0.5)) : "?";
}
