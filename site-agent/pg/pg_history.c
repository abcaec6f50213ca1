/* Timeline history files: each line names an ancestor and where it was left. What they say is only numbers; the
 * fingerprints that make a timeline comparable come from elsewhere (pg_lineage.c, the state directory). */
#include "rt/file.h"
#include "site-agent/pg/pg_wal.h"
#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY_MAX (1u << 20)
#define HISTORY_LINE_MAX 64 /* of a line, as much as number and position need; the reason behind them is not read */

static void append(struct lineage *l, int64_t timeline, lsn_t begin, uint64_t system_identifier) {
    if (l->count == LINEAGE_MAX) memmove(l->entries, l->entries + 1, --l->count * sizeof l->entries[0]);
    struct lineage_entry *e = &l->entries[l->count++];
    *e = (struct lineage_entry){.timeline = timeline, .begin = begin};
    if (timeline == 1) snprintf(e->fingerprint, sizeof e->fingerprint, "initdb:%" PRIu64, system_identifier);
}

/* "3\t0/5000148\treason" to its two numbers. */
static bool parse_line(const char *line, int64_t *timeline, lsn_t *left_at) {
    char *rest, position[LSN_TEXT_MAX];
    unsigned long number = strtoul(line, &rest, 10);
    if (!isdigit((unsigned char)*line) || number == 0 || number > UINT32_MAX || !isspace((unsigned char)*rest)) return false;
    rest += strspn(rest, " \t");
    str_copy(position, sizeof position, rest);
    position[strcspn(position, " \t\r")] = '\0';
    *timeline = (int64_t)number;
    return lsn_parse(position, left_at);
}

static bool add_ancestor(struct lineage *l, const char *line, lsn_t *begin, uint64_t system_identifier, struct err *err) {
    int64_t timeline;
    lsn_t left_at;
    if (!parse_line(line, &timeline, &left_at)) return err_set(err, ERR_INVALID, "history line \"%s\" is not a timeline and a position", line);
    bool ascending = l->count == 0 || timeline > l->entries[l->count - 1].timeline;
    if (!ascending || left_at < *begin) return err_set(err, ERR_INVALID, "history line \"%s\" goes back", line);
    append(l, timeline, *begin, system_identifier);
    *begin = left_at;
    return true;
}

bool pg_history_parse(const char *text, int64_t timeline, uint64_t system_identifier, struct lineage *out, struct err *err) {
    struct lineage l = {0};
    lsn_t begin = 0;
    while (*text) {
        char line[HISTORY_LINE_MAX];
        size_t len = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)(len < sizeof line ? len : sizeof line), text);
        text += len + (text[len] == '\n');
        const char *first = line + strspn(line, " \t\r");
        if (*first == '\0' || *first == '#') continue; /* the reason brings a newline of its own, so blank lines are normal */
        if (!add_ancestor(&l, first, &begin, system_identifier, err)) return false;
    }
    if (l.count && l.entries[l.count - 1].timeline >= timeline)
        return err_set(err, ERR_INVALID, "history of timeline %" PRId64 " names timeline %" PRId64 " as its ancestor", timeline,
                       l.entries[l.count - 1].timeline);
    append(&l, timeline, begin, system_identifier);
    *out = l;
    return true;
}

bool pg_history_read(const char *data_dir, int64_t timeline, uint64_t system_identifier, struct lineage *out, struct err *err) {
    char path[PATH_MAX];
    STRBUF text = {0};
    if (timeline == 1) return pg_history_parse("", 1, system_identifier, out, err);
    snprintf(path, sizeof path, "%s/pg_wal/%08" PRIX32 ".history", data_dir, (uint32_t)timeline);
    if (!file_read(path, HISTORY_MAX, &text, err)) return false;
    if (!pg_history_parse(text.at ? text.at : "", timeline, system_identifier, out, err)) return err_wrap(err, "%s", path);
    if (out->count < 2) return err_set(err, ERR_INVALID, "%s: names no ancestor", path);
    return true;
}
