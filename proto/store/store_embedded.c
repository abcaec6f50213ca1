/* The embedded store: one SQLite database in WAL mode, shared by the processes of one host (protocol 1.9). A swap is a
 * write transaction: it takes the write lock first (BEGIN IMMEDIATE), compares, writes, commits with fsync
 * (synchronous=FULL). How failures map to outcomes:
 *
 *   the write lock is not to be had, comparing or writing fails   FAILED: rolled back, nothing happened
 *   COMMIT fails                                                  UNKNOWN: it may be in the log all the same
 *   COMMIT succeeds, but the path is no longer the file we hold   UNKNOWN, and the store is lost until reopened
 *
 * After an unknown COMMIT its frames may lie in the -wal file, not counted now but counted by a recovery after a crash.
 * Reading back would then say "did not happen" about something that comes back later. So before this process reads or
 * swaps again it commits once more (`settle`), which overwrites them; if that fails, so does the read.
 *
 * A handle belongs to one thread, and does not survive fork. The deadline bounds the waiting for locks; a disk that
 * hangs in fsync hangs the caller (the dead-man is for that). */
#include "rt/clock.h"
#include "store/store.h"
#include "store/store_files.h"
#include "store/store_op.h"
#include "store/store_rows.h"
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MAX_MS 1000
#define OPEN_MAX_MS 5000 /* for others that open, recover or change the journal mode at the same time */
#define OPEN_RETRY_MS 10
#define FORMAT_ID 0x70677372 /* application_id of our files: "pgsr" */
#define FORMAT_VERSION 1
#define BOOT_ID_MAX 64
#define PREFIX_END "\x7f" /* above all letters of keys */
#define ROW_MAX (STORE_VALUE_MAX + 4 * STORE_KEY_MAX)

enum statement { BEGIN_WRITE, BEGIN_READ, COMMIT, ROLLBACK, GET, PUT, DROP, LIST, REVISION, NEXT_REVISION, STATEMENT_COUNT };
static const char *const statement_sql[STATEMENT_COUNT] = {
    [BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [BEGIN_READ] = "BEGIN",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [GET] = "SELECT value FROM entries WHERE key = ?1",
    [PUT] = "INSERT INTO entries (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    [DROP] = "DELETE FROM entries WHERE key = ?1",
    [LIST] = "SELECT key, value FROM entries WHERE key >= ?1 AND key < ?1 || '" PREFIX_END "' ORDER BY key",
    [REVISION] = "SELECT revision FROM meta",
    [NEXT_REVISION] = "UPDATE meta SET revision = revision + 1 RETURNING revision",
};

static const char schema_sql[] =
    "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS meta (one INTEGER PRIMARY KEY CHECK (one = 1), boot_id TEXT NOT NULL, revision INTEGER NOT NULL);"
    "INSERT OR IGNORE INTO meta VALUES (1, '', 0);";

struct embedded {
    struct store base;
    struct store_files files;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    int watch_fd;
    bool unsettled; /* a COMMIT of ours has failed and none has succeeded since */
    bool lost;      /* files moved or replaced under us */
};

static struct embedded *embedded_of(struct store *s) {
    return (struct embedded *)s; /* base is its first member */
}

/* --- errors */

static bool lost(const struct embedded *e, struct err *err) {
    return err_set(err, ERR_UNREACHABLE,
                   "%s: was moved, removed or replaced while in use; put it back or make sure that nobody uses the other one, then restart",
                   e->files.database);
}

/* What SQLite's code means to whoever runs the site, and what cures it; "" when SQLite's own words must do. */
static const char *cure_of(int primary) {
    switch (primary) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return "another process holds the lock; if that lasts, look for one that hangs";
    case SQLITE_FULL: return "no space: make room on its file system";
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN: return "cannot be written: directory and files must be writable for the user that runs this, the file system not read-only";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return "damaged: stop all that use it, move the directory away, start with an empty store";
    case SQLITE_IOERR: return "the file system failed: look into the kernel's log, check space and quota";
    default: return "";
    }
}

/* Busy is "unreachable", nothing happened and another try may help; the rest is for people. */
static bool failed(const struct embedded *e, int rc, const char *doing, struct err *err) {
    const int primary = rc & 0xff;
    const int system_error = e->db ? sqlite3_system_errno(e->db) : 0;
    const bool is_busy = primary == SQLITE_BUSY || primary == SQLITE_LOCKED;
    const bool is_system = (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && system_error;
    const char *cure = cure_of(primary);
    return err_set(err, is_busy ? ERR_UNREACHABLE : ERR_IO, "%s: %s: %s (SQLite %d%s%s)%s%s", e->files.database, doing, sqlite3_errstr(rc), rc,
                   is_system ? ", " : "", is_system ? strerror(system_error) : "", *cure ? ": " : "", cure);
}

/* --- statements */

/* One step: SQLITE_DONE, SQLITE_ROW or an error. Writing is complete after it, also of RETURNING. The caller resets a
 * statement whose row it looks at. */
static int step(struct embedded *e, enum statement which) {
    int rc = sqlite3_step(e->statements[which]);
    if (rc != SQLITE_ROW) sqlite3_reset(e->statements[which]);
    return rc;
}

/* The same for a statement about one key or prefix. What is bound must live until the statement is reset. */
static int step_key(struct embedded *e, enum statement which, const char *key) {
    int rc = sqlite3_bind_text(e->statements[which], 1, key, -1, SQLITE_STATIC);
    return rc == SQLITE_OK ? step(e, which) : rc;
}

static struct bytes column_bytes(sqlite3_stmt *statement, int column) {
    const void *at = sqlite3_column_blob(statement, column); /* NULL for a blob of no bytes */
    return (struct bytes){at ? at : "", (size_t)sqlite3_column_bytes(statement, column)};
}

static bool step_revision(struct embedded *e, enum statement which, int64_t *revision, struct err *err) {
    int rc = step(e, which);
    if (rc != SQLITE_ROW) return failed(e, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc, "revision", err);
    *revision = sqlite3_column_int64(e->statements[which], 0);
    sqlite3_reset(e->statements[which]);
    return true;
}

static void roll_back(struct embedded *e) {
    if (!sqlite3_get_autocommit(e->db)) (void)step(e, ROLLBACK);
}

/* --- transactions */

/* Once lost it stays so, also when the files are put back: what happened meanwhile is not known. */
static bool is_ours_still(struct embedded *e) {
    int moved = 0;
    int rc = sqlite3_file_control(e->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (rc != SQLITE_OK || moved || !store_files_are_same(&e->files)) e->lost = true;
    return !e->lost;
}

static enum store_outcome commit(struct embedded *e, struct err *err) {
    int rc = step(e, COMMIT);
    if (rc != SQLITE_DONE) {
        failed(e, rc, "commit", err);
        e->unsettled = true;
        roll_back(e);
        return STORE_UNKNOWN;
    }
    e->unsettled = false;
    if (is_ours_still(e)) return STORE_DONE;
    lost(e, err);
    return STORE_UNKNOWN;
}

static bool settle(struct embedded *e, struct err *err) {
    int64_t revision;
    int rc = step(e, BEGIN_WRITE);
    if (rc != SQLITE_DONE) return failed(e, rc, "settle a commit of unknown outcome", err);
    if (step_revision(e, NEXT_REVISION, &revision, err) && commit(e, err) == STORE_DONE) return true;
    roll_back(e);
    return err_wrap(err, "settle a commit of unknown outcome");
}

static bool begin(struct embedded *e, enum statement how, int64_t deadline_boot_ms, struct err *err) {
    if (!is_ours_still(e)) return lost(e, err);
    int64_t left = deadline_boot_ms - clock_boot_ms();
    sqlite3_busy_timeout(e->db, left < 0 ? 0 : left > BUSY_MAX_MS ? BUSY_MAX_MS : (int)left);
    if (e->unsettled && !settle(e, err)) return false;
    int rc = step(e, how);
    return rc == SQLITE_DONE ? true : failed(e, rc, "begin", err);
}

/* --- swap */

static bool compare(struct embedded *e, const struct store_op *op, bool *holds, struct err *err) {
    sqlite3_stmt *get = e->statements[GET];
    int rc = step_key(e, GET, op->key);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return failed(e, rc, "compare", err);
    *holds = store_op_holds(op, rc == SQLITE_ROW ? column_bytes(get, 0) : (struct bytes){NULL, 0});
    sqlite3_reset(get);
    return true;
}

static bool write_op(struct embedded *e, const struct store_op *op, struct err *err) {
    const enum statement which = op->value.at ? PUT : DROP;
    int rc = op->value.at ? sqlite3_bind_blob64(e->statements[which], 2, op->value.at, op->value.len, SQLITE_STATIC) : SQLITE_OK;
    if (rc == SQLITE_OK) rc = step_key(e, which, op->key);
    return rc == SQLITE_DONE ? true : failed(e, rc, "write", err);
}

static bool compare_all(struct embedded *e, const struct store_op *ops, size_t count, bool *hold, struct err *err) {
    *hold = true;
    for (size_t i = 0; i < count && *hold; i++)
        if (!compare(e, &ops[i], hold, err)) return false;
    return true;
}

static bool write_all(struct embedded *e, const struct store_op *ops, size_t count, bool *writes, int64_t *revision, struct err *err) {
    for (size_t i = 0; i < count; i++) {
        if (!store_op_writes(&ops[i])) continue;
        if (!write_op(e, &ops[i], err)) return false;
        *writes = true;
    }
    return step_revision(e, *writes ? NEXT_REVISION : REVISION, revision, err);
}

static enum store_outcome swap(struct embedded *e, const struct store_op *ops, size_t count, int64_t deadline_boot_ms, struct store_answer *answer) {
    struct err *err = &answer->err;
    int64_t revision = 0;
    bool hold = false, writes = false;
    if (!begin(e, BEGIN_WRITE, deadline_boot_ms, err)) return STORE_FAILED;
    if (!compare_all(e, ops, count, &hold, err) || (hold && !write_all(e, ops, count, &writes, &revision, err))) {
        roll_back(e);
        return STORE_FAILED;
    }
    if (!hold) {
        roll_back(e);
        return STORE_BEATEN;
    }
    enum store_outcome outcome = commit(e, err);
    if (outcome != STORE_DONE) return outcome;
    answer->revision = revision;
    if (writes) store_files_touch(&e->files);
    return STORE_DONE;
}

static void embedded_swap(struct store *s, const struct store_op *ops, size_t count, int64_t deadline_boot_ms, store_done *done, void *context) {
    struct store_answer answer = {0};
    answer.outcome = swap(embedded_of(s), ops, count, deadline_boot_ms, &answer);
    done(context, &answer);
}

/* --- read */

static bool list(struct embedded *e, const char *prefix, struct store_rows *rows, struct err *err) {
    sqlite3_stmt *statement = e->statements[LIST];
    int rc = step_key(e, LIST, prefix);
    for (; rc == SQLITE_ROW; rc = step(e, LIST)) {
        const unsigned char *key = sqlite3_column_text(statement, 0);
        if (key) store_rows_add(rows, (const char *)key, column_bytes(statement, 1));
    }
    return rc == SQLITE_DONE ? true : failed(e, rc, "read", err);
}

/* Revision and rows come from one snapshot, that of the transaction. Read from a file that is no longer the store, they
 * are worth nothing. */
static bool read_rows(struct embedded *e, const char *prefix, int64_t deadline_boot_ms, struct store_rows *rows, int64_t *revision, struct err *err) {
    if (!begin(e, BEGIN_READ, deadline_boot_ms, err)) return false;
    bool is_read = step_revision(e, REVISION, revision, err) && list(e, prefix, rows, err) && store_rows_finish(rows, err);
    roll_back(e); /* ends a transaction that has written nothing */
    if (!is_read) return false;
    return is_ours_still(e) ? true : lost(e, err);
}

static void embedded_read(struct store *s, const char *prefix, int64_t deadline_boot_ms, store_done *done, void *context) {
    struct store_answer answer = {.outcome = STORE_FAILED};
    STORE_ROWS rows = {0};
    int64_t revision = 0;
    if (read_rows(embedded_of(s), prefix, deadline_boot_ms, &rows, &revision, &answer.err)) {
        answer.outcome = STORE_DONE;
        answer.entries = rows.entries;
        answer.count = rows.count;
        answer.revision = revision;
    }
    done(context, &answer);
}

/* --- opening */

static bool execute(struct embedded *e, const char *sql, const char *doing, struct err *err) {
    int rc = sqlite3_exec(e->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? true : failed(e, rc, doing, err);
}

/* roll_back for the time before there are prepared statements. */
static void end_setup(struct embedded *e) {
    if (!sqlite3_get_autocommit(e->db)) (void)sqlite3_exec(e->db, "ROLLBACK", NULL, NULL, NULL);
}

/* The first column of the first row as text. */
static bool ask(struct embedded *e, const char *sql, char *to, size_t size, const char *doing, struct err *err) {
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(e->db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    const unsigned char *text = rc == SQLITE_ROW ? sqlite3_column_text(statement, 0) : NULL;
    str_copy(to, size, text ? (const char *)text : "");
    sqlite3_finalize(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? true : failed(e, rc, doing, err);
}

static bool judge_format(struct embedded *e, struct err *err) {
    char id[24], version[24], tables[24], ours[24], our_version[24];
    if (!ask(e, "SELECT count(*) FROM sqlite_schema", tables, sizeof tables, "read the format", err) ||
        !ask(e, "PRAGMA application_id", id, sizeof id, "read the format", err) ||
        !ask(e, "PRAGMA user_version", version, sizeof version, "read the format", err))
        return false;
    if (str_eq(tables, "0")) return true;
    snprintf(ours, sizeof ours, "%d", FORMAT_ID);
    snprintf(our_version, sizeof our_version, "%d", FORMAT_VERSION);
    if (!str_eq(id, ours)) return err_set(err, ERR_REFUSED, "%s: is a database of something else", e->files.database);
    if (!str_eq(version, our_version))
        return err_set(err, ERR_UNSUPPORTED, "%s: has format %s, this program knows format %s", e->files.database, version, our_version);
    return true;
}

/* Before anything is written: an empty file, or one of ours, of a version that we know. In one transaction, because
 * another process may just be making it. */
static bool check_format(struct embedded *e, struct err *err) {
    if (!execute(e, "BEGIN", "begin", err)) return false;
    bool is_known = judge_format(e, err);
    end_setup(e);
    return is_known;
}

static bool check_pages(struct embedded *e, struct err *err) {
    char words[256];
    if (!ask(e, "PRAGMA quick_check(1)", words, sizeof words, "check", err)) return false;
    return str_eq(words, "ok") ? true : err_set(err, ERR_IO, "%s: %s: %s", e->files.database, words, cure_of(SQLITE_CORRUPT));
}

static bool set_journal_mode(struct embedded *e, struct err *err) {
    char mode[24];
    if (!ask(e, "PRAGMA journal_mode = WAL", mode, sizeof mode, "set the journal mode", err)) return false;
    if (!str_eq(mode, "wal")) return err_set(err, ERR_IO, "%s: journal mode is %s and cannot be set to wal", e->files.database, mode);
    return execute(e, "PRAGMA synchronous = FULL", "set synchronous", err);
}

static bool set_boot_id(struct embedded *e, bool *rebooted, struct err *err) {
    char known[BOOT_ID_MAX], now[BOOT_ID_MAX], sql[256];
    clock_boot_id(now, sizeof now);
    if (!*now) return err_set(err, ERR_UNSUPPORTED, "%s: the kernel tells no boot id, so a reboot could not be noticed", e->files.database);
    if (!ask(e, "SELECT boot_id FROM meta", known, sizeof known, "boot id", err)) return false;
    *rebooted = *known && !str_eq(known, now);
    snprintf(sql, sizeof sql, "UPDATE meta SET boot_id = '%s', revision = revision + 1 WHERE boot_id <> '%s'", now, now);
    return execute(e, sql, "boot id", err);
}

static bool make_tables(struct embedded *e, bool *rebooted, struct err *err) {
    char format[96];
    snprintf(format, sizeof format, "PRAGMA application_id = %d; PRAGMA user_version = %d", FORMAT_ID, FORMAT_VERSION);
    if (!execute(e, "BEGIN IMMEDIATE", "begin", err)) return false;
    if (execute(e, schema_sql, "make tables", err) && execute(e, format, "make tables", err) && set_boot_id(e, rebooted, err) &&
        execute(e, "COMMIT", "make tables", err))
        return true;
    end_setup(e);
    return false;
}

static bool set_up(struct embedded *e, bool *rebooted, struct err *err) {
    if (sqlite3_db_readonly(e->db, "main") == 1) return failed(e, SQLITE_READONLY, "open", err);
    sqlite3_busy_timeout(e->db, BUSY_MAX_MS);
    sqlite3_db_config(e->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(e->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_limit(e->db, SQLITE_LIMIT_LENGTH, ROW_MAX);
    return check_format(e, err) && check_pages(e, err) && set_journal_mode(e, err) && make_tables(e, rebooted, err);
}

static bool prepare_statements(struct embedded *e, struct err *err) {
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        int rc = sqlite3_prepare_v3(e->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &e->statements[i], NULL);
        if (rc != SQLITE_OK) return failed(e, rc, "prepare", err);
    }
    return true;
}

static bool open_database(struct embedded *e, bool *rebooted, struct err *err) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int64_t give_up = clock_boot_ms() + OPEN_MAX_MS;
    struct err why = {0};
    int rc = sqlite3_open_v2(e->files.database, &e->db, flags, NULL);
    if (rc != SQLITE_OK) return failed(e, rc, "open", err);
    if (!store_files_adopt(&e->files, err)) return false;
    while (!set_up(e, rebooted, &why)) {
        if (why.code != ERR_UNREACHABLE || clock_boot_ms() >= give_up) return err_set(err, why.code, "%s", why.text);
        (void)poll(NULL, 0, OPEN_RETRY_MS);
    }
    return true;
}

static int embedded_watch_fd(const struct store *s) {
    return ((const struct embedded *)s)->watch_fd;
}

static void embedded_watch_clear(struct store *s) {
    store_files_watch_clear(embedded_of(s)->watch_fd);
}

static void embedded_close(struct store *s) {
    struct embedded *e = embedded_of(s);
    for (size_t i = 0; i < STATEMENT_COUNT; i++) sqlite3_finalize(e->statements[i]);
    sqlite3_close(e->db);
    if (e->watch_fd >= 0) close(e->watch_fd);
    rt_free(e);
}

static const struct store_ops embedded_ops = {embedded_swap, embedded_read, embedded_watch_fd, embedded_watch_clear, embedded_close};

bool store_open_embedded(const char *path, struct store **out, bool *rebooted, struct err *err) {
    struct embedded *e = rt_alloc(sizeof *e);
    bool is_reboot = false;
    e->base.ops = &embedded_ops;
    e->watch_fd = -1;
    if (!store_files_prepare(path, &e->files, err) || !open_database(e, &is_reboot, err) || !prepare_statements(e, err) ||
        !store_files_remember(&e->files, err)) {
        embedded_close(&e->base);
        return err_wrap(err, "embedded store");
    }
    e->watch_fd = store_files_watch(&e->files);
    if (rebooted) *rebooted = is_reboot;
    *out = &e->base;
    return true;
}
