/* The status document (docs/interface.md): finding things in it, and its text for people. Pure. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H
#include "rt/json.h"

const json_t *status_cluster(const json_t *status, const char *cluster); /* NULL: not in the document */
const json_t *status_site(const json_t *cluster, const char *site);
/* Problems, and whatever else a monitor would want to hear of: not writable, a site that is not ok, WAL lost. */
bool status_is_troubled(const json_t *status);
void status_text(const json_t *status, bool colours, struct strbuf *to);
/* The bars of running copies, a line each. */
void status_jobs(const json_t *cluster, bool colours, struct strbuf *to);
/* "fra 12 %, lon 3 %": for one line that moves. */
void status_jobs_short(const json_t *cluster, struct strbuf *to);
#endif
