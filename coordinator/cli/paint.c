/* Escape sequences are written here and nowhere else. */
#include "coordinator/cli/paint.h"
#include "rt/utf8.h"
#include <stdlib.h>
#include <string.h>

static const char *const sequences[] = {
    [PAINT_PLAIN] = "", [PAINT_GOOD] = "\033[32m", [PAINT_WARNING] = "\033[33m", [PAINT_BAD] = "\033[31m", [PAINT_DIM] = "\033[2m", [PAINT_BOLD] = "\033[1m",
};

void paint(struct strbuf *to, bool colours, enum paint as, const char *text) {
    bool coloured = colours && as != PAINT_PLAIN;
    strbuf_addf(to, "%s%s%s", coloured ? sequences[as] : "", text, coloured ? "\033[0m" : "");
}

void paint_row(struct paint_table *t) {
    if (t->row_count == t->room) {
        size_t room = t->room ? t->room * 2 : 16;
        struct paint_cell(*rows)[PAINT_COLUMNS_MAX] = rt_alloc(room * sizeof *rows);
        if (t->row_count)
            memcpy(rows, t->rows, t->row_count * sizeof *rows);
        rt_free(t->rows);
        t->rows = rows;
        t->room = room;
    }
    t->row_count++;
    t->column = 0;
}

void paint_cell(struct paint_table *t, enum paint as, const char *text) {
    if (t->column == PAINT_COLUMNS_MAX)
        return;
    struct paint_cell *cell = &t->rows[t->row_count - 1][t->column++];
    cell->as = as;
    utf8_printable(cell->text, sizeof cell->text, text);
}

void paint_header(struct paint_table *t, const char *const *names, size_t count) {
    paint_row(t);
    for (size_t i = 0; i < count; i++)
        paint_cell(t, PAINT_DIM, names[i]);
}

/* Characters, not bytes: continuation bytes take no room. */
static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void paint_table(const struct paint_table *t, bool colours, const char *indent, struct strbuf *to) {
    size_t widths[PAINT_COLUMNS_MAX] = {0};
    for (size_t r = 0; r < t->row_count; r++)
        for (size_t i = 0; i < PAINT_COLUMNS_MAX; i++)
            if (width_of(t->rows[r][i].text) > widths[i])
                widths[i] = width_of(t->rows[r][i].text);
    for (size_t r = 0; r < t->row_count; r++) {
        strbuf_add(to, indent);
        size_t owed = 0; /* padding is written only if something follows, so that lines end in no blanks */
        for (size_t i = 0; i < PAINT_COLUMNS_MAX; i++) {
            const struct paint_cell *cell = &t->rows[r][i];
            if (cell->text[0]) {
                strbuf_addf(to, "%*s", (int)owed, "");
                paint(to, colours, cell->as, cell->text);
                owed = 0;
            }
            owed += widths[i] - width_of(cell->text) + (widths[i] ? 2 : 0);
        }
        strbuf_add(to, "\n");
    }
}

void paint_table_free(struct paint_table *t) {
    rt_free(t->rows);
    *t = (struct paint_table){0};
}

void paint_bar(struct strbuf *to, int64_t done, int64_t total, int width) {
    if (total <= 0 || done < 0)
        return;
    double part = done >= total ? 1.0 : (double)done / (double)total;
    int full = (int)(part * width);
    strbuf_add(to, "[");
    for (int i = 0; i < width; i++)
        strbuf_add(to, i < full ? "#" : ".");
    strbuf_addf(to, "] %3d %%", (int)(part * 100));
}
