/* WAL as one immutable tree of records: a history is the way from a record back to the beginning. Each node has a jump to an
 * ancestor further back (lengths as in a skew-binary number), so that walks take a number of steps that grows with the logarithm. */
#include "tests/sim/postgres_inner.h"
#include "tests/sim/ideal.h"
#include <stdlib.h>

#define BEGINNING_LSN 0x1000000
#define PAGE_OF_COMMITS 1024
#define SECOND_US 1000000

/* ---- which record a commit has ---- */

static const struct wal ***commits; /* pages of PAGE_OF_COMMITS */
static int64_t commit_pages;

static void remember_commit(const struct wal *w) {
    int64_t page = w->commit / PAGE_OF_COMMITS;
    if (page >= commit_pages) {
        int64_t more = page + 16;
        commits = realloc(commits, (size_t)more * sizeof *commits);
        for (; commits && commit_pages < more; commit_pages++)
            commits[commit_pages] = NULL;
    }
    if (!commits)
        abort();
    if (!commits[page] && !(commits[page] = calloc(PAGE_OF_COMMITS, sizeof **commits)))
        abort();
    commits[page][w->commit % PAGE_OF_COMMITS] = w;
}

const struct wal *wal_of_commit(int64_t commit) {
    int64_t page = commit / PAGE_OF_COMMITS;
    return commit > 0 && page < commit_pages && commits[page] ? commits[page][commit % PAGE_OF_COMMITS] : NULL;
}

/* ---- making ---- */

/* What stands in the record: with two wholly different histories before them, two checkpoints of one second can be equal. */
static uint32_t own_crc(const struct wal *w) {
    bool precise = w->kind == WAL_COMMIT || w->kind == WAL_END_OF_RECOVERY;
    bool seconds = w->kind == WAL_CHECKPOINT || w->kind == WAL_SHUTDOWN || w->kind == WAL_BEGINNING;
    int64_t content[] = {(int64_t)w->start, (int64_t)w->end, w->kind, w->timeline, w->commit, (int64_t)w->redo,
                         precise ? w->made_us : seconds ? w->made_us / SECOND_US : 0};
    return (uint32_t)ideal_hash(content, sizeof content, 0);
}

static uint32_t whole_crc(const struct wal *w) {
    int64_t content[] = {w->own, w->made_us, w->timeline};
    return (uint32_t)ideal_hash(content, sizeof content, w->previous ? w->previous->crc : 0);
}

static const struct wal *jump_of(const struct wal *p) {
    const struct wal *far = p->jump;
    return p->depth - far->depth == far->depth - far->jump->depth ? far->jump : p;
}

static bool is_checkpoint(int kind) { return kind == WAL_CHECKPOINT || kind == WAL_SHUTDOWN; }

const struct wal *wal_new(const struct wal_input *in) {
    struct wal *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    const struct wal *p = in->previous;
    *w = (struct wal){.previous = p, .start = p ? p->end : BEGINNING_LSN, .timeline = in->timeline, .kind = in->kind, .commit = in->commit,
                      .made_us = in->made_us, .depth = p ? p->depth + 1 : 0, .redo = in->redo};
    w->end = w->start + in->size;
    if (is_checkpoint(in->kind) && !w->redo)
        w->redo = w->start;
    w->jump = p ? jump_of(p) : w;
    w->first = p && p->timeline == w->timeline ? p->first : w;
    w->checkpoint = is_checkpoint(in->kind) ? w : p ? p->checkpoint : NULL;
    w->own = own_crc(w);
    w->crc = whole_crc(w);
    if (w->kind == WAL_COMMIT)
        remember_commit(w);
    return w;
}

/* ---- reading ---- */

static const struct wal *at_depth(const struct wal *w, uint32_t depth) {
    while (w->depth > depth)
        w = w->jump->depth >= depth ? w->jump : w->previous;
    return w;
}

bool wal_holds(const struct wal *tip, const struct wal *record) {
    return tip == record || (tip && record && tip->depth > record->depth && at_depth(tip, record->depth) == record);
}

const struct wal *wal_at_end(const struct wal *tip, lsn_t end) {
    while (tip && tip->end > end)
        tip = tip->jump != tip && tip->jump->end >= end ? tip->jump : tip->previous;
    return tip && tip->end == end ? tip : NULL;
}

const struct wal *wal_common(const struct wal *a, const struct wal *b) {
    if (!a || !b)
        return NULL;
    uint32_t depth = a->depth < b->depth ? a->depth : b->depth;
    a = at_depth(a, depth);
    b = at_depth(b, depth);
    while (a != b && a->depth > 0) { /* nodes of one depth jump equally far */
        bool far = a->jump != b->jump;
        a = far ? a->jump : a->previous;
        b = far ? b->jump : b->previous;
    }
    return a == b ? a : NULL;
}

bool wal_has_commit(const struct wal *tip, int64_t commit) {
    const struct wal *record = wal_of_commit(commit);
    return record && wal_holds(tip, record);
}

lsn_t wal_timeline_end(const struct wal *tip, int64_t timeline) {
    lsn_t end = UINT64_MAX;
    while (tip && tip->timeline > timeline) {
        end = tip->first->start;
        tip = tip->first->previous;
    }
    return tip && tip->timeline == timeline ? end : 0;
}

int64_t wal_timeline_at(const struct wal *tip, lsn_t at) {
    while (tip->first->previous && tip->first->start > at)
        tip = tip->first->previous;
    return tip->timeline;
}
