/* Following operations while they proceed: each step is told once, as it happens; people on a terminal see the running
 * one move. The waiting ends with the operation, at --timeout, or with Ctrl-C; the operation goes on regardless. */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H
#include "coordinator/cli/cli.h"
#include "rt/json.h"

#define FOLLOW_SILENCE_MS 60000 /* nobody answers for so long: the outcome is unknown */
#define FOLLOW_WAITING_MS 3000  /* waits for people, if that lasts: a late report looks the same for a moment */

struct follow {
    struct cli *c;
    json_t *told;         /* "ID" and "ID/step" -> the state that was told last */
    bool line_open;       /* a line on the terminal that will be overwritten */
    char live[160];       /* the running step, for that line */
    int64_t until_ms;     /* --timeout; INT64_MAX: none */
    int64_t silent_ms;    /* since when nobody answers; 0 */
    int64_t waiting_ms;   /* since when it waits for people; 0 */
};
void follow_open(struct follow *f, struct cli *c); /* begins to count --timeout, and takes Ctrl-C */
void follow_close(struct follow *f);
#define FOLLOW __attribute__((cleanup(follow_close))) struct follow

/* Tells what is new about an operation. */
void follow_tell(struct follow *f, const json_t *operation);
/* The running step and `more` (may be NULL) as a line that the next one overwrites; only on a terminal. */
void follow_live(struct follow *f, const char *more);
void follow_end_line(struct follow *f);
bool follow_is_over_time(const struct follow *f);
/* After a failed exchange, with who did not answer (NULL: somebody did, and knew nothing). True: try again. False: silent
 * too long, or Ctrl-C. */
bool follow_retry(struct follow *f, const char *failures);

enum follow_wish { FOLLOW_DONE, FOLLOW_ABORTED }; /* which end counts as success */
/* Follows one operation to its end, says how it ended, and returns the exit code. `first` (may be NULL) is what is known
 * of it; with --no-wait it is all that is said. */
int follow_operation(struct cli *c, const char *cluster, const char *id, const json_t *first, enum follow_wish wish);
#endif
