/* The one query of pg_facts.h and the table that reads its answer. Keys of the JSON are the members of the structs.
 * Source of each fact: PostgreSQL 15 manual, 9.27.3/9.27.4 (WAL and recovery functions), 28.2 (statistics views), 54.19 (slots). */
#include "site-agent/pg/pg_facts.h"

#define MUST FIELD_REQUIRED
#define LSN(T, m, doc) FIELD_CUSTOM(T, m, &field_lsn, NULL, FIELD_REQUIRED | FIELD_NULL_EMPTY, doc)

static const struct field slot_fields[] = {
    FIELD_TEXT(struct pg_slot, name, MUST, "slot_name"),
    FIELD_BOOL(struct pg_slot, physical, NULL, MUST, "physical, else logical"),
    FIELD_BOOL(struct pg_slot, active, NULL, MUST, "somebody streams from it"),
    FIELD_INT64(struct pg_slot, active_pid, NULL, 0, INT32_MAX, MUST, "its walsender, 0 if none"),
    LSN(struct pg_slot, restart_lsn, "oldest WAL kept for it"),
    FIELD_TEXT(struct pg_slot, wal_status, MUST, "reserved, extended, unreserved or lost; empty if unknown"),
    FIELD_INT64(struct pg_slot, retained_bytes, NULL, 0, INT64_MAX, MUST, "from restart_lsn to the current end of WAL"),
    FIELD_BOOL(struct pg_slot, has_xmin, NULL, MUST, "holds back vacuum (xmin; physical: catalog_xmin too)"),
    FIELD_END};
static const struct fields slot_table = FIELDS("slot", struct pg_slot, slot_fields);

static const struct field sender_fields[] = {
    FIELD_INT64(struct pg_sender, pid, NULL, 0, INT32_MAX, MUST, "backend"),
    FIELD_TEXT(struct pg_sender, application_name, MUST, "name the receiver gave"),
    FIELD_TEXT(struct pg_sender, state, MUST, "startup, catchup, streaming, backup, stopping"),
    FIELD_TEXT(struct pg_sender, slot_name, MUST, "slot it holds, empty if none"),
    FIELD_BOOL(struct pg_sender, logical, NULL, MUST, "logical decoding"),
    LSN(struct pg_sender, sent_lsn, "sent"),
    LSN(struct pg_sender, write_lsn, "written there"),
    LSN(struct pg_sender, flush_lsn, "flushed there"),
    LSN(struct pg_sender, replay_lsn, "replayed there"),
    FIELD_END};
static const struct fields sender_table = FIELDS("sender", struct pg_sender, sender_fields);

static const struct field facts_fields[] = {
    FIELD_BOOL(struct pg_facts, in_recovery, NULL, MUST, "pg_is_in_recovery"),
    FIELD_INT64(struct pg_facts, server_version_num, NULL, 130000, 999999, MUST, "150018"),
    FIELD_TEXT(struct pg_facts, server_version, MUST, "15.18"),
    FIELD_INT64(struct pg_facts, timeline, NULL, 1, UINT32_MAX, MUST, "written to (primary); received or replayed (standby)"),
    LSN(struct pg_facts, write_lsn, "primary: written"),
    LSN(struct pg_facts, flush_lsn, "primary: flushed"),
    LSN(struct pg_facts, receive_lsn, "standby: received or, if later, replayed"),
    LSN(struct pg_facts, replay_lsn, "standby: replayed"),
    LSN(struct pg_facts, redo_lsn, "redo of the last checkpoint or restartpoint"),
    FIELD_INT64(struct pg_facts, replay_lag_ms, NULL, -1, INT64_MAX, MUST, "age of the last replayed commit; 0: all replayed; -1: unknown"),
    FIELD_TEXT(struct pg_facts, replay_pause_state, MUST, "not paused, pause requested, paused; empty on a primary"),
    FIELD_TEXT(struct pg_facts, receiver_status, MUST, "status of the WAL receiver; empty if there is none"),
    FIELD_TEXT(struct pg_facts, receiver_slot, MUST, "slot it uses upstream"),
    FIELD_INT64(struct pg_facts, receiver_timeline, NULL, 0, UINT32_MAX, MUST, "timeline of the last WAL it flushed; 0: none"),
    LSN(struct pg_facts, receiver_latest_end, "end of WAL as the upstream reported it"),
    FIELD_TEXT(struct pg_facts, receiver_host, MUST, "host of the upstream"),
    FIELD_INT64(struct pg_facts, receiver_port, NULL, 0, 65535, MUST, "port of the upstream; 0: no receiver"),
    FIELD_TEXT(struct pg_facts, primary_conninfo_source, MUST, "file that set primary_conninfo"),
    FIELD_BOOL(struct pg_facts, pending_restart, NULL, MUST, "a changed setting waits for a restart"),
    FIELD_LIST(struct pg_facts, slots, slot_count, &slot_table, MUST, "replication slots"),
    FIELD_LIST(struct pg_facts, senders, sender_count, &sender_table, MUST, "WAL senders"),
    FIELD_INT64(struct pg_facts, started_wall_ms, NULL, 0, INT64_MAX, MUST, "start of the postmaster, ms since 1970"),
    FIELD_END};
const struct fields pg_facts_table = FIELDS("facts", struct pg_facts, facts_fields);

#define TEXT_OF(number) TEXT_OF_(number)
#define TEXT_OF_(number) #number

/* - The timeline of a primary comes from the name of the segment it writes: the control file still shows the old one
 *   between a promotion and the checkpoint after it. pg_walfile_name is strict, so a standby never calls it.
 * - pg_get_wal_replay_pause_state came with 14, and an unknown function is an error before anything runs: the call is hidden
 *   in a text for query_to_xml (0.05 ms). It is an error outside recovery, so recovery is asked again beside it; a
 *   promotion between the two makes this one query fail (55000), and the next one tells.
 * - Texts are cut to what the structs hold and made ASCII, since a path or host of another site is not worth losing all facts.
 * - Functions, not the views on them: those join pg_database and pg_authid, and whoever locks a catalog must not make a server
 *   look dead.
 * - The settings are half of the price (about 1 ms when warm); there is no cheaper way to pending_restart. */
const char pg_facts_sql[] =
    "WITH mode AS MATERIALIZED (SELECT pg_is_in_recovery() AS r),\n"
    "wal AS MATERIALIZED (SELECT r,\n"
    "  CASE WHEN NOT r THEN pg_current_wal_lsn() END AS written,\n"
    "  CASE WHEN NOT r THEN pg_current_wal_flush_lsn() END AS flushed,\n"
    "  CASE WHEN r THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) END AS received,\n"
    "  CASE WHEN r THEN pg_last_wal_replay_lsn() END AS replayed FROM mode),\n"
    "slot AS MATERIALIZED (SELECT * FROM pg_get_replication_slots()),\n"
    "setting AS MATERIALIZED (SELECT bool_or(pending_restart) AS pending,\n"
    "  max(sourcefile) FILTER (WHERE name = 'primary_conninfo') AS source FROM pg_show_all_settings())\n"
    "SELECT json_build_object(\n"
    "'in_recovery', r,\n"
    "'server_version_num', current_setting('server_version_num')::int,\n"
    "'server_version', left(split_part(current_setting('server_version'), ' ', 1), 31),\n"
    "'timeline', coalesce(('x' || left(pg_walfile_name(written), 8))::bit(32)::bigint,\n"
    "  greatest(c.timeline_id, m.min_recovery_end_timeline, v.received_tli)),\n"
    "'write_lsn', written, 'flush_lsn', flushed, 'receive_lsn', received, 'replay_lsn', replayed, 'redo_lsn', c.redo_lsn,\n"
    "'replay_lag_ms', CASE WHEN NOT r OR received = replayed THEN 0 ELSE coalesce(greatest(0,\n"
    "  floor(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::bigint), -1) END,\n"
    "'replay_pause_state', coalesce(CASE WHEN NOT r THEN ''\n"
    "  WHEN current_setting('server_version_num')::int >= 140000 THEN substring(query_to_xml($q$\n"
    "    SELECT CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() END AS state $q$, false, false, '')::text\n"
    "    FROM '<state>([^<]*)</state>')\n"
    "  WHEN pg_is_wal_replay_paused() THEN 'paused' ELSE 'not paused' END, ''),\n"
    "'receiver_status', coalesce(v.status, ''), 'receiver_slot', coalesce(v.slot_name, ''),\n"
    "'receiver_timeline', coalesce(v.received_tli, 0), 'receiver_latest_end', v.latest_end_lsn,\n"
    "'receiver_host', coalesce(left(regexp_replace(v.sender_host, '[^ -~]', '?', 'g'), 63), ''),\n"
    "'receiver_port', coalesce(v.sender_port, 0),\n"
    "'primary_conninfo_source', coalesce(left(regexp_replace(source, '[^ -~]', '?', 'g'), 255), ''),\n"
    "'pending_restart', coalesce(pending, false),\n"
    "'slots', coalesce((SELECT json_agg(json_build_object('name', slot_name, 'physical', slot_type = 'physical',\n"
    "  'active', active, 'active_pid', coalesce(active_pid, 0), 'restart_lsn', restart_lsn,\n"
    "  'wal_status', coalesce(wal_status, ''),\n"
    "  'retained_bytes', coalesce(greatest(0, coalesce(written, received) - restart_lsn)::bigint, 0),\n"
    "  'has_xmin', xmin IS NOT NULL OR slot_type = 'physical' AND catalog_xmin IS NOT NULL))\n"
    "  FROM (SELECT * FROM slot ORDER BY left(slot_name, 9) <> 'pgregent_', slot_name LIMIT " TEXT_OF(PG_SLOTS_MAX) ") s), '[]'),\n"
    "'senders', coalesce((SELECT json_agg(json_build_object('pid', pid,\n"
    "  'application_name', left(regexp_replace(application_name, '[^ -~]', '?', 'g'), 63), 'state', coalesce(state, ''),\n"
    "  'slot_name', coalesce(slot_name, ''), 'logical', coalesce(slot_type = 'logical', false),\n"
    "  'sent_lsn', sent_lsn, 'write_lsn', write_lsn, 'flush_lsn', flush_lsn, 'replay_lsn', replay_lsn))\n"
    "  FROM (SELECT w.*, a.application_name, slot_name, slot_type FROM pg_stat_get_wal_senders() w\n"
    "    JOIN pg_stat_get_activity(NULL) a ON a.pid = w.pid LEFT JOIN slot ON active_pid = w.pid\n"
    "    ORDER BY slot_name IS NULL, w.pid LIMIT " TEXT_OF(PG_SENDERS_MAX) ") s), '[]'),\n"
    "'started_wall_ms', floor(extract(epoch FROM pg_postmaster_start_time()) * 1000)::bigint)\n"
    "FROM wal, setting, pg_control_checkpoint() c, pg_control_recovery() m LEFT JOIN pg_stat_get_wal_receiver() v ON v.pid IS NOT NULL";

bool pg_facts_parse(const char *text, size_t len, struct pg_facts *out, struct err *err) {
    return field_from_json(&pg_facts_table, "facts", (struct bytes){.at = text, .len = len}, out, err);
}
