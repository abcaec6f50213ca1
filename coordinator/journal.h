/* What the coordinator must not forget, in its embedded store. Changes of one turn of the loop are collected, written
 * in one swap, and only then may anything be published or answered. The journal is the only writer: what it read at the
 * start and wrote since is what each swap expects.
 *
 *   term                        the coordinator's term
 *   audit-head, audit/N         the hash-chained log
 *   cluster/NAME/topology       envelope, as the operator signed it
 *   cluster/NAME/marks          highest opened epoch; whether every site has been heard
 *   cluster/NAME/held/SITE      envelope of the order that the site holds, if it is one of ours
 *   cluster/NAME/pending/SITE   envelope of the order that is published for it
 *   cluster/NAME/operation/ID   operation
 *   cluster/NAME/receipt/TIME-SITE-KIND  envelope */
#ifndef COORDINATOR_JOURNAL_H
#define COORDINATOR_JOURNAL_H
#include "rt/err.h"
#include "rt/str.h"

#define JOURNAL_VALUE_MAX 262144 /* bytes */

struct journal;
/* Opens the store and reads everything but the audit records. *fresh: it was empty. One process at a time. */
bool journal_open(const char *directory, struct journal **out, bool *fresh, struct err *err);
void journal_close(struct journal *j);

/* Value of a key as it will be after the next commit, NULL when there is none. Valid until that key changes. */
const char *journal_get(const struct journal *j, const char *key);
/* Calls for each key with that prefix, in the order of their names. */
void journal_each(const struct journal *j, const char *prefix, void (*call)(void *context, const char *key, const char *value), void *context);
/* To be written with the next commit. NULL removes the key. A later value replaces an earlier one. */
void journal_put(struct journal *j, const char *key, const char *value);
/* As journal_put for a key that is never changed again: not kept in memory afterwards. */
void journal_append(struct journal *j, const char *key, const char *value);
bool journal_is_dirty(const struct journal *j);
/* Writes what was put. False: nothing, or not all, is known to be written; what was put stays and the next commit tries
 * again. ERR_CONFLICT: somebody else has written to this store; nothing here can be relied on any more.
 * ERR_LIMIT, ERR_INVALID: a value can never be written; trying again is no use. */
bool journal_commit(struct journal *j, struct err *err);
/* What the store has under a key right now, appended; *found tells. For keys that are not kept in memory. */
bool journal_read(struct journal *j, const char *key, struct strbuf *to, bool *found, struct err *err);
/* Reads the audit records, in order, for verification. */
bool journal_read_audit(struct journal *j, void (*call)(void *context, const char *key, struct bytes value), void *context, struct err *err);
#endif
