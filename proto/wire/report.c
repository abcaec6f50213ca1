/* Names in reports. Pure; the tables are in report_fields.c. */
#include "wire/report.h"

const char *const member_role_names[] = {
#define X(symbol, name) name,
    MEMBER_ROLES(X)
#undef X
    NULL};
const char *const member_state_names[] = {
#define X(symbol, name) name,
    MEMBER_STATES(X)
#undef X
    NULL};
