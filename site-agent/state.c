/* STATE_DIR: the instance id under a file lock, the marks that may never go back, and what a restarted agent needs to
 * go on with its hold (protocol 1.1, 1.6). Everything boot-bound is void after a reboot. */
#include "rt/clock.h"
#include "rt/file.h"
#include "site-agent/agent.h"
#include "wire/lineage_field.h"
#include <stdio.h>

static const struct field state_fields[] = {
    FIELD_TEXT(struct agent_state, instance, FIELD_REQUIRED, "random id of this state directory"),
    FIELD_TEXT(struct agent_state, boot_id, 0, "boot that the boot-bound fields belong to"),
    FIELD_INT64(struct agent_state, term_count, NULL, 0, INT64_MAX, 0, "term of the hold"),
    FIELD_TEXT(struct agent_state, term_random, 0, "its random half"),
    FIELD_INT64(struct agent_state, seq_reserved, NULL, 0, INT64_MAX, 0, "sending numbers up to here may be used up"),
    FIELD_TEXT(struct agent_state, store_id, 0, "the store that the marks were read in"),
    FIELD_CUSTOM(struct agent_state, epoch, &field_epoch, NULL, FIELD_NULL_EMPTY, "highest epoch accepted"),
    FIELD_INT64(struct agent_state, serial, NULL, 0, INT64_MAX, 0, "highest serial accepted"),
    FIELD_BOOL(struct agent_state, hold_watched, NULL, 0, "the hold may open without vouchers"),
    FIELD_BOOL(struct agent_state, data_expected, NULL, 0, "this member once held data"),
    FIELD_INT64(struct agent_state, vouch_until_boot_ms, NULL, 0, INT64_MAX, 0, "our newest voucher runs until then"),
    FIELD_INT64(struct agent_state, last_wall_ms, NULL, 0, INT64_MAX, 0, "floor of the clock that judges expiry"),
    FIELD_LINEAGE(struct agent_state, lineage, 0, "timelines of the data directory"),
    FIELD_END};
const struct fields agent_state_table = FIELDS("state", struct agent_state, state_fields);

static const struct field lineage_record_fields[] = {
    FIELD_LINEAGE(struct lineage_record, lineage, 0, "timelines of the leader's directory"), FIELD_END};
const struct fields lineage_record_table = FIELDS("lineage", struct lineage_record, lineage_record_fields);

static const struct field relay_fields[] = {
    FIELD_TEXT(struct relay, site, FIELD_REQUIRED, "site"),
    FIELD_CUSTOM(struct relay, redo, &field_lsn, NULL, FIELD_NULL_EMPTY, "oldest restartpoint among its members"),
    FIELD_CUSTOM(struct relay, opened, &field_epoch, NULL, FIELD_NULL_EMPTY, "highest epoch it opened"),
    FIELD_INT64(struct relay, term_count, NULL, 0, INT64_MAX, 0, "term of its site lease"),
    FIELD_TEXT(struct relay, leader, 0, "member that holds it"),
    FIELD_BOOL(struct relay, has_order, NULL, 0, "it holds an accepted order"),
    FIELD_END};
const struct fields relay_table = FIELDS("relay", struct relay, relay_fields);

static void state_path(const char *state_dir, char to[512]) { snprintf(to, 512, "%s/state.json", state_dir); }

bool state_save(const char *state_dir, const struct agent_state *s, struct err *err) {
    char path[512];
    state_path(state_dir, path);
    STRBUF text = {0};
    field_to_text(&agent_state_table, s, &text);
    return file_write(path, text.at, text.len, 0600, err);
}

static bool state_begin(const char *state_dir, struct agent_state *out, struct err *err) {
    unsigned char random[16];
    clock_random(random, sizeof random);
    str_hex(out->instance, random, sizeof random);
    return state_save(state_dir, out, err);
}

/* After a reboot no hold and no voucher of the old boot counts; the sending numbers stay used up. */
static void void_old_boot(struct agent_state *s) {
    char boot_id[40];
    clock_boot_id(boot_id, sizeof boot_id);
    if (str_eq(boot_id, s->boot_id))
        return;
    str_copy(s->boot_id, sizeof s->boot_id, boot_id);
    s->term_count = 0;
    s->term_random[0] = 0;
    s->vouch_until_boot_ms = 0;
}

bool state_open(const char *state_dir, struct agent_state *out, int *lock_fd, struct err *err) {
    char path[512], lock[512];
    state_path(state_dir, path);
    snprintf(lock, sizeof lock, "%s/agent.lock", state_dir);
    *out = (struct agent_state){0};
    if (!file_mkdirs(state_dir, 0711, err))
        return err_wrap(err, "state directory");
    if (!file_lock(lock, lock_fd, err))
        return err_wrap(err, "state directory %s: is another agent configured for it?", state_dir);
    STRBUF text = {0};
    struct err missing = {0};
    if (!file_read(path, 1 << 20, &text, &missing)) {
        if (missing.code != ERR_NOT_FOUND)
            return err_set(err, missing.code, "%s", missing.text);
        if (!state_begin(state_dir, out, err))
            return false;
    } else if (!field_from_json(&agent_state_table, path, (struct bytes){text.at, text.len}, out, err)) {
        return err_wrap(err, "the state file is damaged: restore it, or remove the state directory and let this member join anew");
    }
    void_old_boot(out);
    return state_save(state_dir, out, err);
}
