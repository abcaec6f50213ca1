/* Names in orders. Pure: the decide archives link this. The tables are in order_fields.c, the judge in order_judge.c. */
#include "wire/order.h"
#include <stdio.h>

const char *const order_kind_names[] = {
#define X(symbol, name) name,
    ORDER_KINDS(X)
#undef X
    NULL};
const char *const site_role_names[] = {
#define X(symbol, name) name,
    SITE_ROLES(X)
#undef X
    NULL};
const char *const slot_kind_names[] = {
#define X(symbol, name) name,
    SLOT_KINDS(X)
#undef X
    NULL};

void slot_name(char to[SLOT_NAME_MAX], enum slot_kind kind, const char *name) {
    snprintf(to, SLOT_NAME_MAX, "pgregent_%s_%s", slot_kind_names[kind], name);
    for (char *c = to; *c; c++)
        if (*c == '-') *c = '_';
}
