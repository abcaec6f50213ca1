/* The verbs' names. Pure; the table is in request_fields.c. */
#include "wire/request.h"

const char *const verb_names[] = {
#define X(symbol, name) name,
    VERBS(X)
#undef X
    NULL};
