/* The reference page out of the tables, so that documentation and reader cannot differ: Markdown, a section for each
 * table, nested ones after the one that names them first. */
#include "rt/field_inner.h"
#include <string.h>

#define TABLES_MAX 64 /* different tables in one page */

struct page {
    const struct fields *tables[TABLES_MAX]; /* in the order of their sections */
    size_t count;
};

static void want_section(struct page *page, const struct fields *table) {
    for (size_t i = 0; i < page->count; i++)
        if (page->tables[i] == table) return;
    if (page->count < TABLES_MAX) page->tables[page->count++] = table;
}

/* A bar would end the cell. */
static void add_cell(struct strbuf *to, const char *text) {
    for (; *text; text++) {
        if (*text == '|') strbuf_add(to, "\\");
        strbuf_add_bytes(to, *text == '\n' ? " " : text, 1);
    }
}

static void add_type(const struct field *f, struct strbuf *to) {
    char wants[FIELD_WANTS_MAX];
    field_wants(f, wants);
    add_cell(to, wants);
    if (field_has_count(f)) strbuf_addf(to, ", at most %u", f->max);
    if (f->table) strbuf_addf(to, " (see %s)", f->table->name);
}

static void add_row(const struct field *f, struct strbuf *to) {
    strbuf_addf(to, "| `%s` | ", f->name);
    add_type(f, to);
    strbuf_add(to, " | ");
    if (f->flags & FIELD_REQUIRED) strbuf_add(to, "required");
    else if (f->otherwise) strbuf_addf(to, "`%s`", f->otherwise);
    else if (f->type == FIELD_TYPE_ENUM) strbuf_addf(to, "`%s`", f->names[0]);
    strbuf_add(to, " | ");
    if (f->flags & FIELD_LATER) strbuf_add(to, "*Not built yet.* ");
    if (f->flags & FIELD_SECRET) strbuf_add(to, "*Secret.* ");
    add_cell(to, f->doc ? f->doc : "");
    strbuf_add(to, " |\n");
}

static void add_section(struct page *page, const struct fields *table, struct strbuf *to) {
    strbuf_addf(to, "### %s\n\n| key | takes | default | meaning |\n|---|---|---|---|\n", table->name);
    for (const struct field *f = table->fields; f->name; f++) {
        add_row(f, to);
        if (f->table) want_section(page, f->table);
    }
    strbuf_add(to, "\n");
}

void field_reference(const struct fields *table, struct strbuf *to) {
    struct page page = {0};
    want_section(&page, table);
    for (size_t i = 0; i < page.count; i++) add_section(&page, page.tables[i], to);
}
