/* A lineage inside a message: the list of its timelines under the member's own name. */
#ifndef WIRE_LINEAGE_FIELD_H
#define WIRE_LINEAGE_FIELD_H
#include "wire/lsn.h"

#define FIELD_LINEAGE(T, m, f, d)                                                                                      \
    {.name = #m, .type = FIELD_TYPE_LIST, .flags = (f), .offset = offsetof(T, m.entries),                              \
     .size = sizeof(struct lineage_entry), .count_offset = offsetof(T, m.count), .max = LINEAGE_MAX,                   \
     .table = &lineage_entry_table, .doc = (d)}
#endif
