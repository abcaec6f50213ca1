/* The two packets between agent and dead-man as field tables. Reading is lenient towards unknown keys, so that an
 * upgraded agent can talk to the dead-man that still runs from before. */
#include "deadman.h"

static const char *const command_names[] = {
#define X(symbol, name) name,
    DEADMAN_COMMANDS(X)
#undef X
        NULL};

static const struct field request_fields[] = {
    FIELD_INT64(struct deadman_request, id, NULL, 1, INT64_MAX, FIELD_REQUIRED, "number of the request, repeated in its answer"),
    FIELD_CHOICE(struct deadman_request, command, command_names, FIELD_REQUIRED, "what to do"),
    FIELD_BOOL(struct deadman_request, primary, "false", FIELD_OMIT_EMPTY, "start: as a primary"),
    FIELD_TEXT(struct deadman_request, data_dir, FIELD_OMIT_EMPTY, "start: data directory"),
    FIELD_TEXT(struct deadman_request, log_path, FIELD_OMIT_EMPTY, "start: where PostgreSQL's stdout and stderr go"),
    FIELD_TEXTS(struct deadman_request, argv, argv_count, FIELD_OMIT_EMPTY, "start: program and arguments"),
    FIELD_INT64(struct deadman_request, uid, "-1", -1, UINT32_MAX, 0, "start: user to run as, -1: as the dead-man"),
    FIELD_INT64(struct deadman_request, gid, "-1", -1, UINT32_MAX, 0, "start: group to run as, -1: as the dead-man"),
    FIELD_INT64(struct deadman_request, fast_boot_ms, "0", 0, INT64_MAX, FIELD_OMIT_EMPTY, "deadline of the fast stop, 0: none"),
    FIELD_INT64(struct deadman_request, kill_boot_ms, "0", 0, INT64_MAX, FIELD_OMIT_EMPTY, "deadline of the kill, 0: none"),
    FIELD_INT64(struct deadman_request, signal_number, "0", 0, 64, FIELD_OMIT_EMPTY, "signal: which"),
    FIELD_BOOL(struct deadman_request, on, "false", FIELD_OMIT_EMPTY, "guard: on or off"),
    FIELD_END};
const struct fields deadman_request_table = FIELDS("dead-man request", struct deadman_request, request_fields);

static const struct field status_fields[] = {
    FIELD_INT64(struct deadman_status, id, "0", 0, INT64_MAX, 0, "request that this answers, 0: pushed"),
    FIELD_BOOL(struct deadman_status, ok, "false", 0, "the request was done"),
    FIELD_TEXT(struct deadman_status, error, FIELD_OMIT_EMPTY, "why not"),
    FIELD_INT64(struct deadman_status, protocol, NULL, 1, INT64_MAX, FIELD_REQUIRED, "version of this conversation"),
    FIELD_TEXT(struct deadman_status, boot_id, 0, "boot that the deadlines belong to"),
    FIELD_INT64(struct deadman_status, pid, "0", 0, INT64_MAX, 0, "of the dead-man"),
    FIELD_INT64(struct deadman_status, postmaster_pid, "0", 0, INT64_MAX, 0, "0: none runs"),
    FIELD_INT64(struct deadman_status, postmaster_start_ticks, "0", 0, INT64_MAX, 0, "kernel start time of the postmaster"),
    FIELD_INT64(struct deadman_status, postmaster_started_boot_ms, "0", 0, INT64_MAX, 0, "when it was started"),
    FIELD_BOOL(struct deadman_status, started_primary, "false", 0, "started, or promoted under guard, as a primary"),
    FIELD_INT64(struct deadman_status, descendants, "0", 0, INT64_MAX, 0, "processes below the dead-man"),
    FIELD_INT64(struct deadman_status, last_exit, "-1", -1, INT64_MAX, 0, "exit status or 128 + signal of the last postmaster"),
    FIELD_INT64(struct deadman_status, fast_boot_ms, "0", 0, INT64_MAX, 0, "deadline of the fast stop"),
    FIELD_INT64(struct deadman_status, kill_boot_ms, "0", 0, INT64_MAX, 0, "deadline of the kill"),
    FIELD_BOOL(struct deadman_status, struck, "false", 0, "the kill deadline fired since the last start"),
    FIELD_BOOL(struct deadman_status, guard, "false", 0, "a promotion is being watched"),
    FIELD_BOOL(struct deadman_status, window_open, "false", 0, "standby.signal is away at this moment"),
    FIELD_INT64(struct deadman_status, last_window_us, "0", 0, INT64_MAX, 0, "how long it was away last"),
    FIELD_END};
const struct fields deadman_status_table = FIELDS("dead-man status", struct deadman_status, status_fields);
