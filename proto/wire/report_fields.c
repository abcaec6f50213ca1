/* Reports and their parts as they are signed, and the members' own publications in the site's store. */
#include "wire/lineage_field.h"
#include "wire/report.h"

static const struct field report_slot_fields[] = {
    FIELD_TEXT(struct report_slot, name, FIELD_REQUIRED, "slot"),
    FIELD_CHOICE(struct report_slot, kind, slot_kind_names, 0, "site, anchor, member or user"),
    FIELD_BOOL(struct report_slot, active, NULL, 0, "a walsender uses it"),
    FIELD_CUSTOM(struct report_slot, restart_lsn, &field_lsn, NULL, FIELD_NULL_EMPTY, "oldest WAL that it keeps"),
    FIELD_INT64(struct report_slot, retained_bytes, NULL, INT64_MIN, INT64_MAX, 0, "WAL kept for it; -1 unknown"),
    FIELD_TEXT(struct report_slot, wal_status, FIELD_NULL_EMPTY, "as in pg_replication_slots"),
    FIELD_BOOL(struct report_slot, covering, NULL, 0, "keeps all that its consumer needs"),
    FIELD_END};
static const struct fields report_slot_table = FIELDS("slot", struct report_slot, report_slot_fields);

static const struct field member_status_fields[] = {
    FIELD_TEXT(struct member_status, name, FIELD_REQUIRED, "member"),
    FIELD_TEXT(struct member_status, instance, FIELD_NULL_EMPTY, "its agent's instance id"),
    FIELD_INT64(struct member_status, beat, NULL, INT64_MIN, INT64_MAX, 0, "grows with each publication"),
    FIELD_INT64(struct member_status, age_ms, NULL, INT64_MIN, INT64_MAX, 0, "since the reporter saw beat change"),
    FIELD_CHOICE(struct member_status, role, member_role_names, 0, "Patroni's roles"),
    FIELD_CHOICE(struct member_status, state, member_state_names, 0, "Patroni's states"),
    FIELD_BOOL(struct member_status, has_data, NULL, 0, "has a data directory with a valid pg_control"),
    FIELD_TEXT(struct member_status, system_id, FIELD_NULL_EMPTY, "system identifier in it"),
    FIELD_INT64(struct member_status, timeline, NULL, 0, UINT32_MAX, FIELD_NULL_EMPTY, "timeline"),
    FIELD_CUSTOM(struct member_status, lsn, &field_lsn, NULL, FIELD_NULL_EMPTY, "written (primary) or received"),
    FIELD_CUSTOM(struct member_status, replay_lsn, &field_lsn, NULL, FIELD_NULL_EMPTY, "replayed"),
    FIELD_CUSTOM(struct member_status, redo_lsn, &field_lsn, NULL, FIELD_NULL_EMPTY, "redo of the last checkpoint or restartpoint"),
    FIELD_BOOL(struct member_status, writable, NULL, 0, "accepted writes when last asked"),
    FIELD_TEXT(struct member_status, upstream, FIELD_NULL_EMPTY, "member that it streams from"),
    FIELD_TEXT(struct member_status, host, FIELD_NULL_EMPTY, "address of its PostgreSQL"),
    FIELD_INT64(struct member_status, port, NULL, 0, 65535, FIELD_NULL_EMPTY, "port of its PostgreSQL"),
    FIELD_BOOL(struct member_status, pending_restart, NULL, 0, "parameters wait for a restart"),
    FIELD_INT64(struct member_status, replay_lag_ms, NULL, -1, INT64_MAX, 0, "-1 unknown"),
    FIELD_TEXT(struct member_status, postgresql_version, FIELD_NULL_EMPTY, "PostgreSQL's version"),
    FIELD_TEXT(struct member_status, agent_version, FIELD_NULL_EMPTY, "agent's version"),
    FIELD_TEXT(struct member_status, rule, FIELD_NULL_EMPTY, "rule that holds"),
    FIELD_TEXT(struct member_status, why, FIELD_NULL_EMPTY, "its sentence"),
    FIELD_TEXT(struct member_status, job, FIELD_NULL_EMPTY, "running long work"),
    FIELD_INT64(struct member_status, job_done_bytes, NULL, -1, INT64_MAX, 0, "-1 unknown"),
    FIELD_INT64(struct member_status, job_total_bytes, NULL, -1, INT64_MAX, 0, "-1 unknown"),
    FIELD_LIST(struct member_status, slots, slot_count, &report_slot_table, 0, "slots on this member"),
    FIELD_BOOL(struct member_status, not_streaming_reasoned, NULL, 0, "replica that does not stream though there is a leader"),
    FIELD_INT64(struct member_status, topology_version, NULL, 0, INT64_MAX, 0, "topology that it holds"),
    FIELD_BOOL(struct member_status, target_ready, NULL, 0, "prepared as a target"),
    FIELD_BOOL(struct member_status, checkpointed, NULL, 0, "checkpoint of prepare was made"),
    FIELD_INT64(struct member_status, blockers, NULL, 0, INT64_MAX, 0, "what would hold up a stop"),
    FIELD_TEXT(struct member_status, blocker_text, FIELD_NULL_EMPTY, "the same in words"),
    FIELD_TEXT(struct member_status, replay_pause_state, FIELD_NULL_EMPTY, "pg_get_wal_replay_pause_state()"),
    FIELD_CUSTOM(struct member_status, flush_of_upstream, &field_lsn, NULL, FIELD_NULL_EMPTY, "what the upstream said it had"),
    FIELD_END};
const struct fields member_status_table = FIELDS("member", struct member_status, member_status_fields);

static const struct field voucher_fields[] = {
    FIELD_TEXT(struct voucher, site, FIELD_REQUIRED, "to whom"),
    FIELD_TEXT(struct voucher, nonce, FIELD_REQUIRED, "of the asker"),
    FIELD_CUSTOM(struct voucher, opened, &field_epoch, NULL, FIELD_NULL_EMPTY, "highest opened epoch that the asker knows"),
    FIELD_END};
static const struct fields voucher_table = FIELDS("voucher", struct voucher, voucher_fields);

static const struct field voucher_ask_fields[] = {
    FIELD_TEXT(struct voucher_ask, nonce, FIELD_NULL_EMPTY, "null: asks nothing"),
    FIELD_CUSTOM(struct voucher_ask, opened, &field_epoch, NULL, FIELD_NULL_EMPTY, "highest opened epoch known here"),
    FIELD_INT64(struct voucher_ask, length_ms, NULL, 0, INT64_MAX / 4, 0, "for how long"),
    FIELD_END};
static const struct fields voucher_ask_table = FIELDS("voucher ask", struct voucher_ask, voucher_ask_fields);

static const struct field report_problem_fields[] = {
    FIELD_TEXT(struct report_problem, id, FIELD_REQUIRED, "stable id"),
    FIELD_TEXT(struct report_problem, severity, FIELD_REQUIRED, "warning or error"),
    FIELD_TEXT(struct report_problem, member, FIELD_NULL_EMPTY, "null: the whole site"),
    FIELD_CUSTOM(struct report_problem, since, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "since when"),
    FIELD_TEXT(struct report_problem, message, 0, "what"),
    FIELD_TEXT(struct report_problem, cure, FIELD_NULL_EMPTY, "what to do"),
    FIELD_END};
static const struct fields report_problem_table = FIELDS("problem", struct report_problem, report_problem_fields);

static const struct field report_fields[] = {
    FIELD_TEXT(struct report, cluster, FIELD_REQUIRED, "cluster"),
    FIELD_TEXT(struct report, site, FIELD_REQUIRED, "site"),
    FIELD_TEXT(struct report, member, FIELD_REQUIRED, "member that speaks and signs"),
    FIELD_TEXT(struct report, instance, FIELD_REQUIRED, "its agent's instance id"),
    FIELD_TEXT(struct report, life, FIELD_NULL_EMPTY, "random, of the reporting process"),
    FIELD_INT64(struct report, seq, NULL, 0, INT64_MAX, FIELD_REQUIRED, "grows within a life"),
    FIELD_CUSTOM(struct report, made_at, &field_wall_ms, NULL, FIELD_NULL_EMPTY, "when"),
    FIELD_TEXT(struct report, system_id, FIELD_NULL_EMPTY, "PostgreSQL's system identifier"),
    FIELD_INT64(struct report, topology_version, NULL, 0, INT64_MAX, 0, "topology that it holds"),
    FIELD_TEXT(struct report, topology_hash, FIELD_NULL_EMPTY, "its payload's hash"),
    FIELD_BOOL(struct report, store_ok, NULL, 0, "the site's store answers"),
    FIELD_BOOL(struct report, speaks, NULL, 0, "the reporter holds the site lease now"),
    FIELD_OBJECT(struct report, lease, &lease_table, FIELD_NULL_EMPTY, "the site's lease record"),
    FIELD_OBJECT(struct report, vote, &vote_table, FIELD_NULL_EMPTY, "the site's vote record"),
    FIELD_BOOL(struct report, has_order, NULL, 0, "the site holds an order"),
    FIELD_TEXT(struct report, order_hash, FIELD_NULL_EMPTY, "its hash"),
    FIELD_INT64(struct report, order_serial, NULL, 0, INT64_MAX, 0, "its serial"),
    FIELD_CUSTOM(struct report, order_epoch, &field_epoch, NULL, FIELD_NULL_EMPTY, "its epoch"),
    FIELD_CHOICE(struct report, order_kind, order_kind_names, 0, "its kind"),
    FIELD_CHOICE(struct report, order_role, site_role_names, 0, "the role that it gives"),
    FIELD_TEXT(struct report, order_op, FIELD_NULL_EMPTY, "its operation"),
    FIELD_TEXT(struct report, stop_state, FIELD_NULL_EMPTY, "of a stop order in force: receipt or dropped"),
    FIELD_INT64(struct report, coordinator_term, NULL, 0, INT64_MAX, 0, "highest term accepted"),
    FIELD_TEXT(struct report, coordinator, FIELD_NULL_EMPTY, "whose term that is"),
    FIELD_TEXT(struct report, refused_hash, FIELD_NULL_EMPTY, "last order refused here"),
    FIELD_TEXT(struct report, refused_reason, FIELD_NULL_EMPTY, "and why"),
    FIELD_LINEAGE(struct report, lineage, 0, "timelines of the leader's directory"),
    FIELD_TEXT(struct report, leader, FIELD_NULL_EMPTY, "member that leads"),
    FIELD_LIST(struct report, members, member_count, &member_status_table, 0, "the site's members"),
    FIELD_TEXTS(struct report, receipts, receipt_count, 0, "signed receipts, newest last"),
    FIELD_OBJECT(struct report, ask, &voucher_ask_table, FIELD_NULL_EMPTY, "asks the other sites for vouchers"),
    FIELD_LIST(struct report, vouchers, voucher_count, &voucher_table, 0, "vouchers given"),
    FIELD_LIST(struct report, problems, problem_count, &report_problem_table, 0, "what is wrong here"),
    FIELD_END};
const struct fields report_table = FIELDS("report", struct report, report_fields);
