/* Sentences and tables of three documents. */
#include "coordinator/cli/document.h"
#include "coordinator/cli/human.h"
#include "coordinator/cli/paint.h"
#include <stdio.h>

static void source_line(const json_t *document, bool colours, struct strbuf *to) {
    if (str_eq(json_text(document, "source", NULL), "agents"))
        paint(to, colours, PAINT_WARNING, "without a coordinator: this is what the agents say\n");
}

/* ---- explain ---- */

/* "C04 slots-wait  The slots ... (ams-2)" */
static void rule_line(const json_t *rule, const char *indent, bool colours, struct strbuf *to) {
    if (!json_is_object(rule))
        return;
    strbuf_add(to, indent);
    paint(to, colours, PAINT_BOLD, human(json_text(rule, "id", "?")));
    strbuf_addf(to, " %s: %s", human(json_text(rule, "name", "")), human(json_text(rule, "sentence", "")));
    if (json_text(rule, "about", NULL))
        strbuf_addf(to, " (%s)", human(json_text(rule, "about", "")));
    if (json_bool(rule, "waits_for_person", false))
        paint(to, colours, PAINT_WARNING, " Waits for a person.");
    strbuf_add(to, "\n");
}

static void member_lines(const json_t *site, bool colours, struct strbuf *to) {
    size_t i;
    const json_t *m;
    json_array_foreach(json_object_get(site, "members"), i, m) {
        strbuf_addf(to, "    %s, %s, %s", human(json_text(m, "name", "?")), human(json_text(m, "role", "?")), human(json_text(m, "state", "?")));
        if (json_text(m, "rule", NULL)) {
            strbuf_add(to, "\n      ");
            paint(to, colours, PAINT_BOLD, human(json_text(m, "rule", "")));
            strbuf_addf(to, " %s", human(json_text(m, "why", "")));
        }
        strbuf_add(to, "\n");
    }
}

void document_explain(const json_t *document, bool colours, struct strbuf *to) {
    size_t i;
    const json_t *site;
    source_line(document, colours, to);
    paint(to, colours, PAINT_BOLD, human(json_text(document, "cluster", "?")));
    strbuf_add(to, "\n");
    rule_line(json_object_get(document, "rule"), "  ", colours, to);
    json_array_foreach(json_object_get(document, "sites"), i, site) {
        strbuf_addf(to, "\n  %s, %s, %s\n", human(json_text(site, "name", "?")), human(json_text(site, "role", "?")), human(json_text(site, "state", "?")));
        rule_line(json_object_get(site, "rule"), "    ", colours, to);
        member_lines(site, colours, to);
    }
}

/* ---- slots ---- */

static void slot_row(const json_t *site, const json_t *slot, struct paint_table *table) {
    char member[96];
    const char *status = json_text(slot, "wal_status", "?");
    const json_t *active = json_object_get(slot, "active"), *covering = json_object_get(slot, "covering");
    snprintf(member, sizeof member, "%s/%s", json_text(site, "name", "?"), json_text(slot, "member", "?"));
    paint_row(table);
    paint_cell(table, PAINT_PLAIN, member);
    paint_cell(table, PAINT_PLAIN, json_text(slot, "name", "?"));
    paint_cell(table, PAINT_PLAIN, json_text(slot, "kind", "?"));
    paint_cell(table, PAINT_PLAIN, json_is_true(active) ? "active" : json_is_false(active) ? "-" : "?");
    paint_cell(table, PAINT_PLAIN, json_text(slot, "restart_lsn", "-"));
    paint_cell(table, PAINT_PLAIN, human_bytes(json_object_get(slot, "retained_bytes")));
    paint_cell(table, str_eq(status, "lost") ? PAINT_BAD : str_eq(status, "unreserved") ? PAINT_WARNING : PAINT_GOOD, status);
    paint_cell(table, PAINT_WARNING, json_is_false(covering) && !json_is_true(active) ? "does not keep all that is needed" : "");
}

void document_slots(const json_t *document, bool colours, struct strbuf *to) {
    static const char *const names[] = {"MEMBER", "SLOT", "KIND", "IN USE", "OLDEST WAL", "KEEPS", "STATUS"};
    PAINT_TABLE table = {0};
    size_t i, k, count = 0;
    const json_t *site, *slot;
    source_line(document, colours, to);
    paint_header(&table, names, sizeof names / sizeof *names);
    json_array_foreach(json_object_get(document, "sites"), i, site)
        json_array_foreach(json_object_get(site, "slots"), k, slot) {
            slot_row(site, slot, &table);
            count++;
        }
    if (count)
        paint_table(&table, colours, "", to);
    else
        strbuf_add(to, "no slots\n");
}

/* ---- history ---- */

static void epoch_row(const json_t *e, struct paint_table *table) {
    char gap[32] = "";
    const json_t *lost = json_object_get(e, "lost_bytes");
    if (json_is_number(json_object_get(e, "write_gap_ms")))
        snprintf(gap, sizeof gap, "%lld ms", (long long)json_int(e, "write_gap_ms", 0));
    paint_row(table);
    paint_cell(table, PAINT_BOLD, json_text(e, "epoch", "?"));
    paint_cell(table, PAINT_PLAIN, json_text(e, "site", "?"));
    paint_cell(table, PAINT_PLAIN, json_text(e, "opened_at", "?"));
    paint_cell(table, PAINT_PLAIN, json_text(e, "kind", "?"));
    paint_cell(table, PAINT_PLAIN, gap);
    paint_cell(table, PAINT_PLAIN, json_is_number(lost) ? human_bytes(lost) : "");
    paint_cell(table, PAINT_PLAIN, json_text(e, "by", ""));
    paint_cell(table, PAINT_DIM, json_text(e, "reason", ""));
}

static void timelines(const json_t *document, bool colours, struct strbuf *to) {
    static const char *const names[] = {"TIMELINE", "BEGINS", "FINGERPRINT"};
    PAINT_TABLE table = {0};
    size_t i;
    const json_t *t;
    if (json_array_size(json_object_get(document, "timelines")) == 0)
        return;
    paint_header(&table, names, sizeof names / sizeof *names);
    json_array_foreach(json_object_get(document, "timelines"), i, t) {
        char number[32];
        snprintf(number, sizeof number, "%lld", (long long)json_int(t, "timeline", 0));
        paint_row(&table);
        paint_cell(&table, PAINT_PLAIN, number);
        paint_cell(&table, PAINT_PLAIN, json_text(t, "begin", "-"));
        paint_cell(&table, PAINT_DIM, json_text(t, "fingerprint", "?"));
    }
    strbuf_add(to, "\n");
    paint_table(&table, colours, "", to);
}

void document_history(const json_t *document, bool colours, struct strbuf *to) {
    static const char *const names[] = {"EPOCH", "SITE", "OPENED", "BY OPERATION", "WRITES STOPPED", "LOST", "WHO", "WHY"};
    PAINT_TABLE table = {0};
    size_t i;
    const json_t *e;
    source_line(document, colours, to);
    paint_header(&table, names, sizeof names / sizeof *names);
    json_array_foreach(json_object_get(document, "epochs"), i, e)
        epoch_row(e, &table);
    if (json_array_size(json_object_get(document, "epochs")))
        paint_table(&table, colours, "", to);
    else
        strbuf_add(to, "no epoch is known\n");
    timelines(document, colours, to);
}
