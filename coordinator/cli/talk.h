/* Talking to the coordinators of the configuration: the one that answered last first, the next on failure. A change may
 * be sent twice that way; it carries its own id, so it is the same change. */
#ifndef CLI_TALK_H
#define CLI_TALK_H
#include "coordinator/cli/cli.h"
#include "rt/json.h"

enum talk_result {
    TALK_ANSWERED,    /* 2xx */
    TALK_REFUSED,     /* 4xx and 5xx: `error` is filled */
    TALK_NOBODY,      /* nothing was sent anywhere */
    TALK_UNKNOWN,     /* something was sent and no answer came */
    TALK_INTERRUPTED, /* Ctrl-C */
};
struct talk_call {
    const char *method, *path;
    struct bytes body;
    int64_t patience_ms; /* for each coordinator */
};
struct talk_answer {
    int status;
    json_t *json;           /* NULL for 204 */
    json_t *error;          /* TALK_REFUSED: the error object */
    struct strbuf failures; /* who did not answer, and why: one a line */
};
void talk_answer_free(struct talk_answer *a);
#define TALK_ANSWER __attribute__((cleanup(talk_answer_free))) struct talk_answer

/* Reads the configuration and its certificates. False: said so already, end with *exit. */
bool talk_open(struct cli *c, int *exit);
/* `out` is filled afresh. */
enum talk_result talk(struct cli *c, const struct talk_call *call, struct talk_answer *out);
/* GET with the patience of a question (--timeout, 10 s). */
enum talk_result talk_ask(struct cli *c, struct talk_answer *out, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Says why there was no answer and returns the exit code; `operation` (may be NULL) is the id that an unknown outcome is
 * asked after with. Not for TALK_ANSWERED. */
int talk_failed(const struct cli *c, enum talk_result result, const struct talk_answer *a, const char *cluster, const char *operation);
/* One exchange with one address, for talk and for asking agents. */
bool talk_exchange(struct cli *c, const struct http_request *request, int *status, struct strbuf *body, bool *interrupted, struct err *err);

/* Ctrl-C becomes an event instead of the end, until talk_interruptible_end. */
void talk_interruptible(struct cli *c);
void talk_interruptible_end(struct cli *c);
/* Waits, unless Ctrl-C comes: then true. */
bool talk_pause(struct cli *c, int64_t ms);
#endif
