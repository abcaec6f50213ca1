/* Reads global/pg_control and PG_VERSION. The layout is written down here as offsets, by PG_CONTROL_VERSION, so that no
 * server header is needed and another version is refused instead of misread. Only reads; works beside a running server. */
#include "site-agent/pg/pg_control.h"
#include "rt/file.h"
#include "site-agent/pg/pg_crc32c.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PG_CONTROL_FILE_MAX 8192
#define LAYOUT_13_TO_16 1300
#define TORN_READ_PAUSE_NS 2000000

/* struct ControlFileData on the 64-bit platforms, PG_CONTROL_VERSION 1300 */
enum offset_1300 {
    AT_SYSTEM_IDENTIFIER = 0,
    AT_VERSION = 8,
    AT_CATALOG_VERSION = 12,
    AT_STATE = 16,
    AT_CHECKPOINT = 32,
    AT_REDO = 40,
    AT_TIMELINE = 48,
    AT_MIN_RECOVERY_POINT = 136,
    AT_MIN_RECOVERY_TIMELINE = 144,
    AT_WAL_LOG_HINTS = 176,
    AT_MAX_CONNECTIONS = 180,
    AT_MAX_WORKER_PROCESSES = 184,
    AT_MAX_WAL_SENDERS = 188,
    AT_MAX_PREPARED_TRANSACTIONS = 192,
    AT_MAX_LOCKS_PER_TRANSACTION = 196,
    AT_WAL_BLOCK_SIZE = 224,
    AT_WAL_SEGMENT_SIZE = 228,
    AT_DATA_CHECKSUM_VERSION = 252,
    AT_CRC = 288,
    SIZE_1300 = AT_CRC + 4,
};

const char *pg_control_state_name(int state) {
    switch ((enum pg_control_state)state) {
#define X(symbol, number, text)                                                                                        \
    case symbol:                                                                                                       \
        return text;
        PG_CONTROL_STATES(X)
#undef X
    }
    return "unrecognized";
}

static uint32_t u32(const char *file, size_t at) {
    uint32_t v;
    memcpy(&v, file + at, sizeof v);
    return v;
}

static uint64_t u64(const char *file, size_t at) {
    uint64_t v;
    memcpy(&v, file + at, sizeof v);
    return v;
}

static void fill(const char *file, struct pg_control *out) {
    *out = (struct pg_control){
        .system_identifier = u64(file, AT_SYSTEM_IDENTIFIER),
        .version = u32(file, AT_VERSION),
        .catalog_version = u32(file, AT_CATALOG_VERSION),
        .state = (int)u32(file, AT_STATE),
        .checkpoint = u64(file, AT_CHECKPOINT),
        .redo = u64(file, AT_REDO),
        .min_recovery_point = u64(file, AT_MIN_RECOVERY_POINT),
        .timeline = u32(file, AT_TIMELINE),
        .min_recovery_timeline = u32(file, AT_MIN_RECOVERY_TIMELINE),
        .wal_segment_size = u32(file, AT_WAL_SEGMENT_SIZE),
        .data_checksums = u32(file, AT_DATA_CHECKSUM_VERSION) != 0,
        .wal_log_hints = file[AT_WAL_LOG_HINTS] != 0,
        .max_connections = (int32_t)u32(file, AT_MAX_CONNECTIONS),
        .max_worker_processes = (int32_t)u32(file, AT_MAX_WORKER_PROCESSES),
        .max_wal_senders = (int32_t)u32(file, AT_MAX_WAL_SENDERS),
        .max_prepared_transactions = (int32_t)u32(file, AT_MAX_PREPARED_TRANSACTIONS),
        .max_locks_per_transaction = (int32_t)u32(file, AT_MAX_LOCKS_PER_TRANSACTION),
    };
}

static bool is_power_of_two(int64_t n) { return n > 0 && (n & (n - 1)) == 0; }

/* Every use of the segment size divides by it, so what could not be one is refused here. */
static bool check_wal_sizes(const char *path, const char *file, struct err *err) {
    uint32_t block = u32(file, AT_WAL_BLOCK_SIZE), segment = u32(file, AT_WAL_SEGMENT_SIZE);
    if (block != 8192) return err_set(err, ERR_UNSUPPORTED, "%s: WAL block size %u, only 8192 is supported", path, block);
    if (!is_power_of_two(segment) || segment < (1u << 20) || segment > (1u << 30))
        return err_set(err, ERR_INVALID, "%s: WAL segment size %u", path, segment);
    return true;
}

static bool decode(const char *path, const struct strbuf *file, struct pg_control *out, struct err *err) {
    if (file->len < AT_CATALOG_VERSION) return err_set(err, ERR_INVALID, "%s: only %zu bytes long", path, file->len);
    uint32_t version = u32(file->at, AT_VERSION);
    if (version != LAYOUT_13_TO_16)
        return err_set(err, ERR_UNSUPPORTED, "%s: layout version %u, only %d (PostgreSQL 13 to 16) is known", path, version, LAYOUT_13_TO_16);
    if (file->len < SIZE_1300) return err_set(err, ERR_INVALID, "%s: only %zu bytes long", path, file->len);
    uint32_t is = pg_crc32c(0, file->at, AT_CRC), says = u32(file->at, AT_CRC);
    if (is != says) return err_set(err, ERR_INVALID, "%s: checksum %08X does not match the content (%08X)", path, says, is);
    if (!check_wal_sizes(path, file->at, err)) return false;
    fill(file->at, out);
    return true;
}

static bool read_once(const char *path, struct pg_control *out, struct err *err) {
    STRBUF file = {0};
    return file_read(path, PG_CONTROL_FILE_MAX, &file, err) && decode(path, &file, out, err);
}

bool pg_control_read(const char *data_dir, struct pg_control *out, struct err *err) {
    char path[PATH_MAX];
    struct err first = {0};
    snprintf(path, sizeof path, "%s/global/pg_control", data_dir);
    if (read_once(path, out, &first)) return true;
    if (first.code != ERR_INVALID) return err_set(err, first.code, "%s", first.text);
    /* the server overwrites in place: what is torn now is whole a moment later */
    nanosleep(&(struct timespec){.tv_nsec = TORN_READ_PAUSE_NS}, NULL);
    return read_once(path, out, err);
}

bool pg_version_read(const char *data_dir, int *major, struct err *err) {
    char path[PATH_MAX], *end = NULL;
    STRBUF text = {0};
    snprintf(path, sizeof path, "%s/PG_VERSION", data_dir);
    if (!file_read(path, 64, &text, err)) return false;
    long number = text.len ? strtol(text.at, &end, 10) : 0;
    if (number < 1 || number > 999 || (*end != '\n' && *end != '\0'))
        return err_set(err, ERR_INVALID, "%s: \"%.20s\" is not a major version", path, text.at ? text.at : "");
    *major = (int)number;
    return true;
}
