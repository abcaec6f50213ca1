/* Colours, aligned columns and progress bars for a terminal; the same without colour when piped. */
#ifndef CLI_PAINT_H
#define CLI_PAINT_H
#include "rt/str.h"

enum paint { PAINT_PLAIN, PAINT_GOOD, PAINT_WARNING, PAINT_BAD, PAINT_DIM, PAINT_BOLD };
/* Appends the text in that colour, or plain. */
void paint(struct strbuf *to, bool colours, enum paint as, const char *text);

#define PAINT_COLUMNS_MAX 12
#define PAINT_CELL_MAX 64
struct paint_cell {
    char text[PAINT_CELL_MAX];
    enum paint as;
};
/* Rows of cells, columns as wide as their widest cell. Zero-initialise; free with paint_table_free. */
struct paint_table {
    struct paint_cell (*rows)[PAINT_COLUMNS_MAX];
    size_t row_count, room;
    size_t column; /* of the row under way */
};
void paint_row(struct paint_table *t); /* begins one */
void paint_cell(struct paint_table *t, enum paint as, const char *text);
void paint_header(struct paint_table *t, const char *const *names, size_t count);
void paint_table(const struct paint_table *t, bool colours, const char *indent, struct strbuf *to);
void paint_table_free(struct paint_table *t);
#define PAINT_TABLE __attribute__((cleanup(paint_table_free))) struct paint_table

/* "[#######.....]  58 %" of `width` cells; nothing when the total is unknown. */
void paint_bar(struct strbuf *to, int64_t done, int64_t total, int width);
#endif
