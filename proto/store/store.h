/* Where a site (or the coordinator) keeps shared state. Safety never rests on the store's own leases, on watches or on
 * one read: what authorises is a swap, a watch is a hint to look (protocol 1). The same interface serves the embedded
 * SQLite file, the in-memory store of the tests, and etcd later; answers come by callback, because etcd's take time.
 * The embedded stores answer before store_swap/store_read return. */
#ifndef STORE_STORE_H
#define STORE_STORE_H
#include "rt/err.h"
#include "rt/str.h"
#include <stdint.h>

#define STORE_KEY_MAX 255     /* [a-z0-9/_.-]+ */
#define STORE_VALUE_MAX 262144
#define STORE_SWAP_MAX 16

struct store;

/* One key of a swap: it must now have exactly the bytes `expect` (at NULL: must be absent), and gets `value` (at NULL:
 * is removed; same pointer as expect: only compared). */
struct store_op {
    const char *key;
    struct bytes expect;
    struct bytes value;
};
struct store_entry {
    const char *key;
    struct bytes value;
};

enum store_outcome {
    STORE_DONE,     /* every comparison held, all was written durably */
    STORE_BEATEN,   /* some key differed; nothing was written */
    STORE_UNKNOWN,  /* it may or may not have happened: read it back */
    STORE_FAILED,   /* it did not happen; err says why */
};
struct store_answer {
    enum store_outcome outcome;
    struct err err;
    const struct store_entry *entries; /* store_read: all keys under the prefix, sorted; valid during the callback */
    size_t count;
    int64_t revision; /* grows with every change of the store; 0 if unknown */
};
typedef void store_done(void *context, const struct store_answer *answer);

/* All or nothing over up to STORE_SWAP_MAX keys. deadline_boot_ms bounds the call. */
void store_swap(struct store *s, const struct store_op *ops, size_t count, int64_t deadline_boot_ms, store_done *done, void *context);
/* One consistent read of every key that begins with `prefix`. */
void store_read(struct store *s, const char *prefix, int64_t deadline_boot_ms, store_done *done, void *context);
/* Readable when something may have changed (-1: none; poll then). Drain with store_watch_clear before reading. */
int store_watch_fd(const struct store *s);
void store_watch_clear(struct store *s);
void store_close(struct store *s);

/* The embedded store: one SQLite file in directory `path`, several processes of one host (protocol 1.9): WAL journal,
 * synchronous=FULL, BEGIN IMMEDIATE, short busy timeout. After each commit the path must still be the inode that is
 * open (SQLITE_FCNTL_HAS_MOVED), else the outcome is UNKNOWN and the store counts as unreachable until reopened. The
 * boot id in the file tells a reboot: `*rebooted` (may be NULL) is true for the first that opens it after one. Network
 * file systems are refused. quick_check at opening. The directory is made if missing (0700); a new file has its owner
 * (when root opens) and mode. After an UNKNOWN, what a read then says is final. One thread a handle, none across fork. */
bool store_open_embedded(const char *path, struct store **out, bool *rebooted, struct err *err);

/* In memory, for tests. Faults are switched on by store_memory_fault: the next n swaps answer as given
 * (STORE_UNKNOWN with `applied` or not, STORE_FAILED). */
struct store *store_open_memory(void);
void store_memory_fault(struct store *s, int n, enum store_outcome outcome, bool applied);

/* Backends implement this. */
struct store_ops {
    void (*swap)(struct store *, const struct store_op *, size_t, int64_t, store_done *, void *);
    void (*read)(struct store *, const char *, int64_t, store_done *, void *);
    int (*watch_fd)(const struct store *);
    void (*watch_clear)(struct store *);
    void (*close)(struct store *);
};
struct store {
    const struct store_ops *ops;
};
#endif
