/* The problems of one document: collecting, sorting by place, printing. */
#include "rt/field_inner.h"

void field_problem_add(struct field_problems *p, const struct node *where, const char *path, const char *format, ...) {
    if (!p) return;
    if (p->count >= FIELD_PROBLEMS_MAX) {
        p->more++;
        return;
    }
    struct field_problem *problem = &p->at[p->count++];
    *problem = (struct field_problem){.line = where ? where->line : 0, .column = where ? where->column : 0};
    str_copy(problem->path, sizeof problem->path, path);
    STRBUF message = {0};
    va_list args;
    va_start(args, format);
    strbuf_vaddf(&message, format, args);
    va_end(args);
    str_copy(problem->message, sizeof problem->message, message.at);
}

static bool comes_before(const struct field_problem *a, const struct field_problem *b) {
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

/* Insertion: there are few, and those of one place must stay in the order in which they were found. */
static void sort_by_place(struct field_problems *p) {
    for (uint32_t i = 1; i < p->count; i++) {
        struct field_problem moving = p->at[i];
        uint32_t to = i;
        for (; to > 0 && comes_before(&moving, &p->at[to - 1]); to--) p->at[to] = p->at[to - 1];
        p->at[to] = moving;
    }
}

void field_problems_write(struct field_problems *p, struct strbuf *to) {
    sort_by_place(p);
    for (uint32_t i = 0; i < p->count; i++) {
        const struct field_problem *problem = &p->at[i];
        strbuf_add(to, p->name ? p->name : "document");
        if (problem->line) strbuf_addf(to, ":%u:%u", problem->line, problem->column);
        strbuf_addf(to, ": %s%s%s\n", problem->path, *problem->path ? ": " : "", problem->message);
    }
    if (p->more) strbuf_addf(to, "%s: and %u more problems\n", p->name ? p->name : "document", p->more);
}
