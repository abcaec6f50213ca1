/* What the agent reads and writes of PostgreSQL's files: pg_control, records by position, history files, fingerprints, and the
 * configuration. Files say what the model of the server has written; recycled WAL is gone. Rendering and checking of the
 * configuration is production code; here it becomes what the model reads at its next start or SIGHUP. */
#include "tests/sim/pg_files.h"
#include "rt/file.h"
#include "site-agent/pg/pg_config.h"
#include "tests/sim/files.h"
#include "tests/sim/world.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA_ROOT "/data/"
#define POSTGRES_EPOCH_US 946684800000000 /* 2000-01-01 */
#define SEGMENT_BYTES 0x4000 /* the whole world is small: WAL is removed, and copied, in pieces of this size */
#define FIRST_PORT 5432

/* resource managers and operations, as in site-agent/pg/pg_wal_record.c */
#define RMGR_XLOG 0
#define RMGR_TRANSACTION 1
#define RMGR_HEAP 10
#define INFO_SHUTDOWN 0x00
#define INFO_ONLINE 0x10
#define INFO_END_OF_RECOVERY 0x90

struct postgres *pg_files_server(const char *path) {
    struct host *h = host_self();
    size_t root = sizeof DATA_ROOT - 1, len = strlen(h->name);
    bool ours = strncmp(path, DATA_ROOT, root) == 0 && strncmp(path + root, h->name, len) == 0 && (path[root + len] == 0 || path[root + len] == '/');
    return ours ? h->postgres : NULL;
}

/* ---- pg_control ---- */

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

/* A directory that initdb has made beside the data directory. */
static bool read_new(const char *data_dir, struct pg_control *out, struct err *err) {
    STRBUF path = {0};
    STRBUF made = {0};
    strbuf_addf(&path, "%s/" FILES_SYSTEM_ID, data_dir);
    *out = (struct pg_control){.state = PG_SHUT_DOWN, .timeline = 1, .wal_segment_size = SEGMENT_BYTES};
    if (!file_read(path.at, sizeof out->system_identifier, &made, err))
        return false;
    if (made.len != sizeof out->system_identifier)
        return err_set(err, ERR_INVALID, "%s: only %zu bytes long", path.at, made.len);
    memcpy(&out->system_identifier, made.at, made.len);
    return true;
}

bool pg_control_read(const char *data_dir, struct pg_control *out, struct err *err) {
    const struct postgres *pg = pg_files_server(data_dir);
    if (!pg)
        return read_new(data_dir, out, err);
    if (pg->directory == DIRECTORY_ABSENT)
        return err_set(err, ERR_NOT_FOUND, "%s/global/pg_control: no such file", data_dir);
    if (pg->directory == DIRECTORY_BROKEN)
        return err_set(err, ERR_INVALID, "%s/global/pg_control: the checksum does not match the content", data_dir);
    postgres_control(pg, out);
    out->wal_segment_size = SEGMENT_BYTES;
    return true;
}

/* ---- records ---- */

lsn_t pg_files_begin(const struct postgres *pg) { return pg->oldest_kept - pg->oldest_kept % SEGMENT_BYTES; }

static bool is_kept(const struct postgres *pg, const struct wal *w) { return pg->directory == DIRECTORY_THERE && w->start >= pg_files_begin(pg); }

const struct wal *pg_files_from(const struct postgres *pg, const struct wal *tip, lsn_t start) {
    const struct wal *w = tip;
    while (w && w->start > start)
        w = w->jump != w && w->jump->start >= start ? w->jump : w->previous;
    return w && w->start == start && is_kept(pg, w) ? w : NULL;
}

const struct wal *pg_files_before(const struct postgres *pg, const struct wal *record) {
    return record->previous && is_kept(pg, record->previous) ? record->previous : NULL;
}

static void set_kind(const struct wal *w, struct pg_wal_record *out) {
    switch ((enum wal_kind)w->kind) {
    case WAL_COMMIT: out->rmid = RMGR_TRANSACTION; return;
    case WAL_SHUTDOWN: out->info = INFO_SHUTDOWN; return;
    case WAL_CHECKPOINT: out->info = INFO_ONLINE; return;
    case WAL_END_OF_RECOVERY: out->info = INFO_END_OF_RECOVERY; return;
    case WAL_BEGINNING: case WAL_OTHER: out->rmid = RMGR_HEAP; return;
    }
}

void pg_files_record(const struct wal *w, struct pg_wal_record *out) {
    bool timed = w->kind == WAL_COMMIT || w->kind == WAL_END_OF_RECOVERY;
    *out = (struct pg_wal_record){.start = w->start, .end = w->end, .previous = w->previous ? w->previous->start : 0, .length = (uint32_t)(w->end - w->start),
                                  .crc = w->own, .rmid = RMGR_XLOG, .timeline = w->timeline, .microseconds = timed ? w->made_us - POSTGRES_EPOCH_US : 0};
    set_kind(w, out);
}

enum pg_wal_kind pg_wal_kind(const struct pg_wal_record *r) {
    if (r->rmid == RMGR_TRANSACTION)
        return PG_WAL_COMMIT_OR_ABORT;
    if (r->rmid != RMGR_XLOG)
        return PG_WAL_OTHER;
    return r->info == INFO_SHUTDOWN ? PG_WAL_CHECKPOINT_SHUTDOWN : r->info == INFO_END_OF_RECOVERY ? PG_WAL_END_OF_RECOVERY : PG_WAL_OTHER;
}

bool pg_wal_read_record(const char *wal_dir, int64_t segment_size, int64_t timeline, lsn_t at, struct pg_wal_record *out, struct err *err) {
    const struct postgres *pg = pg_files_server(wal_dir);
    const struct wal *w = pg ? pg_files_from(pg, pg->written, at) : NULL;
    (void)segment_size;
    if (!w || w->timeline != timeline)
        return err_set(err, ERR_NOT_FOUND, "%s: no record of timeline %lld at %" PRIx64, wal_dir, (long long)timeline, at);
    pg_files_record(w, out);
    return true;
}

/* ---- timelines ---- */

/* The newest record on `timeline` in the history that lies there; NULL: it is not in it. */
static const struct wal *newest_on(const struct postgres *pg, int64_t timeline) {
    const struct wal *w = pg->directory == DIRECTORY_THERE ? pg->written : NULL;
    while (w && w->timeline > timeline)
        w = w->first->previous;
    return w && w->timeline == timeline ? w : NULL;
}

bool pg_history_read(const char *data_dir, int64_t timeline, uint64_t system_identifier, struct lineage *out, struct err *err) {
    const struct postgres *pg = pg_files_server(data_dir);
    const struct wal *ancestors[LINEAGE_MAX];
    uint32_t count = 0;
    for (const struct wal *w = pg ? newest_on(pg, timeline) : NULL; w && count < LINEAGE_MAX; w = w->first->previous)
        ancestors[count++] = w->first;
    if (!count)
        return err_set(err, ERR_NOT_FOUND, "%s: no history of timeline %lld", data_dir, (long long)timeline);
    memset(out, 0, sizeof *out);
    while (count > 0) {
        const struct wal *first = ancestors[--count];
        struct lineage_entry *e = &out->entries[out->count++];
        e->timeline = first->timeline;
        e->begin = first->previous ? first->start : 0;
        if (!first->previous)
            snprintf(e->fingerprint, sizeof e->fingerprint, "initdb:%" PRIu64, system_identifier);
    }
    return true;
}

/* Not before it is flushed: what a power failure may take is no proof of anything. */
bool pg_lineage_fingerprint(const char *wal_dir, int64_t segment_size, int64_t timeline, lsn_t begin, char to[LINEAGE_FINGERPRINT_MAX], struct err *err) {
    const struct postgres *pg = pg_files_server(wal_dir);
    const struct wal *w = pg ? newest_on(pg, timeline) : NULL, *first = w ? w->first : NULL;
    char at[LSN_TEXT_MAX];
    struct pg_wal_record record;
    (void)segment_size;
    if (!first || first->kind != WAL_END_OF_RECOVERY || first->start != begin || !is_kept(pg, first) || !wal_holds(pg->flushed, first))
        return err_set(err, ERR_NOT_FOUND, "end-of-recovery record of timeline %lld: none there", (long long)timeline);
    pg_files_record(first, &record);
    lsn_format(record.start, at);
    snprintf(to, LINEAGE_FINGERPRINT_MAX, "eor:%s:%08" PRIx32 ":%" PRId64, at, record.crc, record.microseconds);
    return true;
}

/* ---- addresses ---- */

#define MEMBER_NETWORK "10.2.0."

/* The members of a site share a host, as its embedded store demands: they differ in the port. */
void member_address(const struct host *h, char *host, size_t size, int64_t *port) {
    snprintf(host, size, MEMBER_NETWORK "%d", h->site + 1);
    *port = FIRST_PORT + h->member;
}

/* The number-th item of the list that stands in quotes behind `keyword`; "" when there are not so many. */
static const char *list_item(const char *conninfo, const char *keyword, int number) {
    const char *at = strstr(conninfo, keyword);
    at = at ? at + strlen(keyword) : "";
    for (; number > 0; number--) {
        at += strcspn(at, ",'");
        at += *at == ',';
    }
    return *at == '\'' ? "" : at;
}

struct host *conninfo_host(const char *conninfo, int number) {
    size_t network = sizeof MEMBER_NETWORK - 1;
    const char *address = list_item(conninfo, "host='", number), *port = list_item(conninfo, "port='", number);
    int site = strncmp(address, MEMBER_NETWORK, network) == 0 ? atoi(address + network) - 1 : NOWHERE, member = atoi(port) - FIRST_PORT;
    return site >= 0 && site < site_count && member >= 0 && member < sites[site].member_count ? sites[site].members[member] : NULL;
}

/* ---- configuration ---- */

static void set_target(struct postgres *pg, const char *conninfo) {
    STRBUF names = {0};
    strbuf_add(&names, "");
    const struct host *h;
    for (int i = 0; (h = conninfo_host(conninfo, i)); i++)
        strbuf_addf(&names, "%s%s", i ? "," : "", h->name);
    str_copy(pg->primary_target, sizeof pg->primary_target, names.at ? names.at : "");
}

bool __real_pg_config_write(const struct pg_config_input *in, uid_t uid, gid_t gid, bool *changed, bool *restart, struct err *err);
bool __wrap_pg_config_write(const struct pg_config_input *in, uid_t uid, gid_t gid, bool *changed, bool *restart, struct err *err);
bool __wrap_pg_config_write(const struct pg_config_input *in, uid_t uid, gid_t gid, bool *changed, bool *restart, struct err *err) {
    struct postgres *pg = host_self()->postgres;
    if (!__real_pg_config_write(in, uid, gid, changed, restart, err))
        return false;
    set_target(pg, in->primary_conninfo);
    str_copy(pg->primary_conninfo, sizeof pg->primary_conninfo, in->primary_conninfo);
    str_copy(pg->primary_slot, sizeof pg->primary_slot, in->primary_slot_name);
    pg->ready_for_promotion = in->ready_for_promotion;
    return true;
}
