/* Long work in a child process, against real servers: what initdb and copy leave behind, what is refused, and that
 * neither a killed agent nor a killed child leaves anything running. The program itself is the child (argv[1] "job"). */
#include "../pg/pg_fixture.h"
#include "site-agent/job.h"
#include <dirent.h>
#include <sys/mman.h>

static struct pg_fixture pg;
static struct pg_server *primary, *follower;
static char self[256], state_dir[160];
static int turn;

/* ---- helpers ---- */

static int64_t pg_uid(void) { return geteuid() == 0 ? (int64_t)getpwnam("postgres")->pw_uid : -1; }
static int64_t pg_gid(void) { return geteuid() == 0 ? (int64_t)getpwnam("postgres")->pw_gid : -1; }

/* A state directory and a data directory of its own for each test. */
static struct job_spec *spec_new(enum job_kind kind) {
    struct job_spec *spec = rt_alloc(sizeof *spec);
    spec->kind = (int)kind;
    snprintf(state_dir, sizeof state_dir, "%s/state%d", pg.base, ++turn);
    snprintf(spec->data_dir, sizeof spec->data_dir, "%s/job%d", pg.base, turn);
    snprintf(spec->work_dir, sizeof spec->work_dir, "%s.pgregent-new", spec->data_dir);
    assert_int_equal(mkdir(state_dir, 0700), 0);
    str_copy(spec->bin_dir, sizeof spec->bin_dir, "/usr/lib/postgresql/15/bin");
    str_copy(spec->key, sizeof spec->key, "what it serves");
    spec->uid = pg_uid();
    spec->gid = pg_gid();
    spec->deadline_ms = PG_FIXTURE_PATIENCE_MS;
    return spec;
}

static void system_id(const struct pg_server *s, char to[24]) {
    str_copy(to, 24, pg_server_query(s, "select system_identifier from pg_control_system()"));
}

static void lineage_of_initdb(const char *id, struct lineage *out) {
    *out = (struct lineage){.count = 1, .entries[0].timeline = 1};
    snprintf(out->entries[0].fingerprint, sizeof out->entries[0].fingerprint, "initdb:%s", id);
}

static struct job_spec *copy_spec(const struct pg_server *from) {
    struct job_spec *spec = spec_new(JOB_KIND_COPY);
    str_copy(spec->conninfo, sizeof spec->conninfo, pg_server_conninfo(from));
    snprintf(spec->slot, sizeof spec->slot, "copy%d", turn);
    char sql[128];
    snprintf(sql, sizeof sql, "select pg_create_physical_replication_slot('%s', true)", spec->slot);
    pg_server_exec(from, sql);
    system_id(from, spec->expected_system_id);
    lineage_of_initdb(spec->expected_system_id, &spec->upstream);
    return spec;
}

static struct job *start(const struct job_spec *spec) {
    struct job *j = NULL;
    struct err err = {0};
    if (!job_start(self, state_dir, spec, &j, &err)) fail_msg("%s", err.text);
    return j;
}

static void wait_a_little(struct job *j) {
    struct pollfd fds[2];
    poll(fds, job_pollfds(j, fds), 20);
}

static struct job_result *finish(struct job *j) {
    struct job_result *result = rt_alloc(sizeof *result);
    int64_t deadline = pg_fixture_deadline();
    while (!job_step(j, clock_boot_ms(), result)) {
        assert_true(clock_boot_ms() < deadline);
        wait_a_little(j);
    }
    job_free(j);
    assert_string_equal(result->key, "what it serves");
    return result;
}

static struct job_result *run(const struct job_spec *spec) { return finish(start(spec)); }

static void assert_done(const struct job_result *r) {
    if (!r->ok) fail_msg("%s", r->error);
}
static void assert_refused(const struct job_result *r, const char *words) {
    assert_false(r->ok);
    if (!strstr(r->error, words)) fail_msg("\"%s\" does not say \"%s\"", r->error, words);
}

static const char *in(const char *dir, const char *name) {
    static char path[4][512];
    static int next;
    char *to = path[next++ % 4];
    snprintf(to, sizeof path[0], "%s/%s", dir, name);
    return to;
}

static void assert_belongs_to_postgres(const char *path) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, pg_uid() >= 0 ? (uid_t)pg_uid() : geteuid());
}

/* Processes whose command line names the path. */
static int processes_on(const char *path) {
    int count = 0;
    DIR *dir = opendir("/proc");
    for (const struct dirent *e; (e = readdir(dir));) {
        char file[300], text[4096];
        snprintf(file, sizeof file, "/proc/%s/cmdline", e->d_name);
        FILE *f = atoi(e->d_name) > 0 && atoi(e->d_name) != getpid() ? fopen(file, "r") : NULL;
        if (!f) continue;
        size_t n = fread(text, 1, sizeof text - 1, f);
        fclose(f);
        text[n] = '\0';
        count += memmem(text, n, path, strlen(path)) != NULL;
    }
    closedir(dir);
    return count;
}

static void await_no_process_on(const char *path) {
    for (int64_t deadline = pg_fixture_deadline(); processes_on(path) > 0; pg_fixture_pause())
        if (clock_boot_ms() > deadline) fail_msg("processes still work on %s", path);
}

/* A pg_basebackup that takes minutes, so that a copy can be met half-way; `option` is what slows or changes it. */
static void slow_down(struct job_spec *spec, const char *option) {
    char path[300];
    snprintf(spec->bin_dir, sizeof spec->bin_dir, "%s/bin%d", pg.base, turn);
    snprintf(path, sizeof path, "%s/pg_basebackup", spec->bin_dir);
    assert_int_equal(mkdir(spec->bin_dir, 0755), 0);
    FILE *script = fopen(path, "w");
    assert_non_null(script);
    fprintf(script, "#!/bin/sh\nexec " PG_FIXTURE_BIN "pg_basebackup %s \"$@\"\n", option);
    assert_int_equal(fchmod(fileno(script), 0755), 0);
    fclose(script);
}
#define SLOW "--max-rate=100"

/* pg_basebackup and the WAL receiver that it forks are both at work. */
static void await_half_way(const struct job_spec *spec) {
    for (int64_t deadline = pg_fixture_deadline(); processes_on(spec->work_dir) < 2; pg_fixture_pause())
        if (clock_boot_ms() > deadline) fail_msg("%d processes copy", processes_on(spec->work_dir));
}

static pid_t marked_pid(void) {
    char path[256];
    STRBUF text = {0};
    struct err err = {0};
    snprintf(path, sizeof path, "%s/job.pid", state_dir);
    return file_read(path, 256, &text, &err) ? (pid_t)strtol(text.at, NULL, 10) : 0;
}

/* An agent of its own, to be killed. It does not look after its job, so what it could still do has not been done. */
static pid_t start_in_another_agent(const struct job_spec *spec) {
    pid_t agent = fork();
    if (agent == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        start(spec);
        for (;;) pause();
    }
    await_half_way(spec);
    return agent;
}

static void kill_and_reap(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void assert_only_leftovers_then_clean(const struct job_spec *spec) {
    struct err err = {0};
    bool left = true;
    assert_true(job_leftovers(state_dir));
    assert_true(file_exists(spec->work_dir));
    assert_false(file_exists(spec->data_dir));
    assert_true(job_clean_leftovers(state_dir, &left, &err));
    assert_false(left);
    assert_int_equal(processes_on(spec->work_dir), 0);
    assert_false(file_exists(spec->work_dir));
    assert_false(file_exists(spec->data_dir));
    assert_false(job_leftovers(state_dir));
    char sql[128];
    snprintf(sql, sizeof sql, "select active from pg_replication_slots where slot_name = '%s'", spec->slot);
    pg_server_await(primary, sql, "f");
}

/* ---- initdb ---- */

static void initdb_makes_a_parked_directory_and_leaves_the_rename_to_the_caller(void **state) {
    (void)state;
    struct job_spec *spec = spec_new(JOB_KIND_INITDB);
    assert_int_equal(mkdir(spec->data_dir, 0700), 0); /* empty: fine */
    struct job_result *r = run(spec);
    assert_done(r);
    assert_string_equal(r->work_dir, spec->work_dir);
    assert_true(file_dir_is_empty(spec->data_dir));
    assert_true(file_exists(in(spec->work_dir, "standby.signal")));
    assert_belongs_to_postgres(spec->work_dir);
    assert_belongs_to_postgres(in(spec->work_dir, "standby.signal"));
    struct pg_control control;
    struct err err = {0};
    assert_true(pg_control_read(spec->work_dir, &control, &err));
    assert_true(control.data_checksums);
    char id[24], fingerprint[64];
    snprintf(id, sizeof id, "%" PRIu64, control.system_identifier);
    snprintf(fingerprint, sizeof fingerprint, "initdb:%s", id);
    assert_string_equal(r->system_id, id);
    assert_int_equal(r->lineage.count, 1);
    assert_int_equal(r->lineage.entries[0].timeline, 1);
    assert_string_equal(r->lineage.entries[0].fingerprint, fingerprint);

    /* an agent that died before it heard of it can still adopt it; once cleaned it is gone for good */
    struct job_result *again = rt_alloc(sizeof *again);
    bool left = true;
    assert_true(job_last_result(state_dir, again));
    assert_string_equal(again->work_dir, spec->work_dir);
    assert_string_equal(again->key, spec->key);
    assert_true(job_leftovers(state_dir));
    assert_true(job_clean_leftovers(state_dir, &left, &err));
    assert_false(left);
    assert_false(file_exists(spec->work_dir));
    assert_false(job_last_result(state_dir, again));
    assert_false(file_exists(in(state_dir, "job.result"))); /* it would speak again for another directory of that name */
    rt_free(again);
    rt_free(r);
    rt_free(spec);
}

static void an_adopted_initdb_survives_the_cleaning(void **state) {
    (void)state;
    struct job_spec *spec = spec_new(JOB_KIND_INITDB);
    struct err err = {0};
    struct job_result *r = run(spec);
    bool left = true;
    assert_done(r);
    assert_true(file_rename(spec->work_dir, spec->data_dir, &err));
    assert_true(job_clean_leftovers(state_dir, &left, &err));
    assert_false(left);
    assert_false(job_leftovers(state_dir));
    assert_true(file_exists(in(spec->data_dir, "PG_VERSION")));
    rt_free(r);
    rt_free(spec);
}

static void arguments_of_the_topology_win(void **state) {
    (void)state;
    struct job_spec *spec = spec_new(JOB_KIND_INITDB);
    str_copy(spec->topology_initdb[spec->topology_initdb_count++], 128, "--wal-segsize=1");
    str_copy(spec->topology_initdb[spec->topology_initdb_count++], 128, "--encoding=SQL_ASCII");
    str_copy(spec->topology_initdb[spec->topology_initdb_count++], 128, "--locale=C");
    struct job_result *r = run(spec);
    assert_done(r);
    struct pg_control control;
    struct err err = {0};
    assert_true(pg_control_read(spec->work_dir, &control, &err));
    assert_int_equal(control.wal_segment_size, 1 << 20);
    rt_free(r);
    rt_free(spec);
}

static void a_failed_initdb_says_why_and_leaves_nothing(void **state) {
    (void)state;
    struct job_spec *spec = spec_new(JOB_KIND_INITDB);
    str_copy(spec->topology_initdb[spec->topology_initdb_count++], 128, "--locale=xx_XX");
    struct job_result *r = run(spec);
    assert_refused(r, "initdb: error: invalid locale name \"xx_XX\"");
    assert_false(file_exists(spec->work_dir));
    assert_false(job_leftovers(state_dir));
    rt_free(r);
    rt_free(spec);
}

/* ---- copy ---- */

struct writer {
    pid_t pid;
    int64_t *rows; /* shared: committed so far */
};

static void writer_start(struct writer *w) {
    w->rows = mmap(NULL, sizeof *w->rows, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(w->rows, MAP_FAILED);
    w->pid = fork();
    if (w->pid != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    PGconn *conn = PQconnectdb(pg_server_conninfo(primary));
    for (;;) {
        PGresult *result = PQexec(conn, "insert into written (filler) values (repeat('x', 500))");
        if (PQresultStatus(result) != PGRES_COMMAND_OK) _exit(1);
        PQclear(result);
        ++*w->rows;
    }
}

static int64_t writer_stop(struct writer *w) {
    kill(w->pid, SIGKILL);
    waitpid(w->pid, NULL, 0);
    int64_t rows = *w->rows;
    munmap(w->rows, sizeof *w->rows);
    return rows;
}

static void a_copy_under_writes_streams_on_from_its_slot(void **state) {
    (void)state;
    struct writer w;
    pg_server_exec(primary, "create table written (n serial primary key, filler text)");
    pg_server_exec(primary, "alter system set synchronous_standby_names = '\"ams-1\"'");
    writer_start(&w);
    struct job_spec *spec = copy_spec(primary);
    struct job *j = start(spec);
    struct job_result *r = finish(j);
    assert_done(r);
    assert_false(file_exists(spec->work_dir));
    assert_false(job_leftovers(state_dir));
    assert_string_equal(r->system_id, spec->expected_system_id);
    assert_true(r->bytes > 1000000);
    assert_true(r->seconds > 0);
    assert_int_equal(r->lineage.count, 1);
    assert_string_equal(r->lineage.entries[0].fingerprint, spec->upstream.entries[0].fingerprint);
    assert_true(file_exists(in(spec->data_dir, "standby.signal")));
    assert_belongs_to_postgres(in(spec->data_dir, "standby.signal"));
    STRBUF text = {0};
    struct err err = {0};
    assert_true(file_read(in(spec->data_dir, "postgresql.auto.conf"), 65536, &text, &err));
    assert_null(strstr(text.at, "synchronous_standby_names"));
    struct job_result *again = rt_alloc(sizeof *again);
    assert_true(job_last_result(state_dir, again));
    assert_string_equal(again->data_dir, spec->data_dir);

    char name[32], streaming[128];
    snprintf(name, sizeof name, "job%d", turn);
    snprintf(streaming, sizeof streaming, "streaming %s", spec->slot);
    struct pg_server *standby = pg_server_new(&pg, name);
    pg_server_settings(standby);
    pg_server_follow(standby, primary);
    pg_server_append(standby, "postgresql.conf", "primary_slot_name = '%s'", spec->slot);
    pg_server_start(standby);
    int64_t rows = writer_stop(&w);
    pg_server_await_replay(standby, pg_server_lsn(primary, "select pg_current_wal_lsn()"));
    assert_true(strtoll(pg_server_query(standby, "select count(*) from written"), NULL, 10) >= rows);
    pg_server_await(standby, "select status || ' ' || slot_name from pg_stat_wal_receiver", streaming);
    pg_server_stop(standby);
    follower = standby;
    pg_server_exec(primary, "alter system reset synchronous_standby_names");
    rt_free(again);
    rt_free(r);
    rt_free(spec);
}

static void progress_is_told(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    slow_down(spec, "--max-rate=4096");
    struct job *j = start(spec);
    struct job_result *r = rt_alloc(sizeof *r);
    int64_t done = -1, total = -1;
    for (int64_t deadline = pg_fixture_deadline(); done <= 0; wait_a_little(j)) {
        assert_false(job_step(j, clock_boot_ms(), r));
        assert_true(clock_boot_ms() < deadline);
        job_progress(j, &done, &total);
    }
    assert_true(total > 10000000 && done < total);
    assert_int_equal(job_kind(j), JOB_KIND_COPY);
    assert_string_equal(job_key(j), "what it serves");
    job_free(j);
    rt_free(r);
    rt_free(spec);
}

static void a_copy_without_progress_is_given_up(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    slow_down(spec, SLOW);
    spec->deadline_ms = 1500;
    struct job *j = start(spec);
    await_half_way(spec);
    long sender = strtol(pg_server_query(primary, "select pid from pg_stat_replication where state = 'backup'"), NULL, 10);
    assert_true(sender > 1);
    kill((pid_t)sender, SIGSTOP);
    struct job_result *r = finish(j);
    kill((pid_t)sender, SIGCONT);
    assert_refused(r, "no progress for 1 s");
    assert_int_equal(processes_on(spec->work_dir), 0);
    assert_false(file_exists(spec->work_dir));
    assert_false(job_leftovers(state_dir));
    rt_free(r);
    rt_free(spec);
}

/* ---- refusals ---- */

static void refuse(struct job_spec *spec, const char *words) {
    struct job_result *r = run(spec);
    assert_refused(r, words);
    assert_false(file_exists(spec->work_dir));
    assert_false(job_leftovers(state_dir));
    rt_free(r);
    rt_free(spec);
}

static void a_source_of_another_cluster_is_refused(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    str_copy(spec->expected_system_id, sizeof spec->expected_system_id, "7385000000000000001");
    str_copy(spec->bin_dir, sizeof spec->bin_dir, "/nonexistent"); /* nothing is even tried */
    refuse(spec, "another cluster");
}

static void a_directory_with_anything_in_it_is_never_replaced(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    char kept[300];
    snprintf(kept, sizeof kept, "%s/kept", spec->data_dir);
    assert_int_equal(mkdir(spec->data_dir, 0700), 0);
    assert_int_equal(mkdir(kept, 0700), 0);
    str_copy(spec->bin_dir, sizeof spec->bin_dir, "/nonexistent"); /* said before the copying, not after */
    refuse(spec, "is not empty");
    assert_true(file_exists(kept));
}

static void nor_is_one_that_was_filled_meanwhile(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    struct job_result *before = rt_alloc(sizeof *before);
    char kept[300];
    snprintf(kept, sizeof kept, "%s/kept", spec->data_dir);
    slow_down(spec, "--max-rate=16384");
    struct job *j = start(spec);
    await_half_way(spec);
    assert_int_equal(mkdir(spec->data_dir, 0700), 0);
    assert_int_equal(mkdir(kept, 0700), 0);
    struct job_result *r = finish(j);
    assert_refused(r, "is not empty any more");
    assert_true(file_exists(kept));
    assert_false(file_exists(spec->work_dir));
    assert_false(job_last_result(state_dir, before));
    rt_free(before);
    rt_free(r);
    rt_free(spec);
}

static void a_link_in_the_place_of_the_directory_is_refused(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    assert_int_equal(symlink(pg.base, spec->data_dir), 0);
    refuse(spec, "symbolic link");
}

static void a_mount_point_is_refused_with_the_cure(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    str_copy(spec->data_dir, sizeof spec->data_dir, "/proc");
    str_copy(spec->work_dir, sizeof spec->work_dir, "/proc.pgregent-new");
    refuse(spec, "subdirectory");
}

static void a_copy_needs_its_slot(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    str_copy(spec->slot, sizeof spec->slot, "nobody");
    refuse(spec, "replication slot \"nobody\" does not exist");
    spec = copy_spec(primary);
    spec->slot[0] = '\0';
    refuse(spec, "no slot is named");
}

static void a_source_that_does_not_answer_is_named(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    str_copy(spec->conninfo, sizeof spec->conninfo, "host=/nonexistent user=postgres");
    refuse(spec, "source: ");
}

static void a_work_directory_elsewhere_is_not_begun_with(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    struct job *j = NULL;
    struct err err = {0};
    str_copy(spec->work_dir, sizeof spec->work_dir, "/tmp/elsewhere");
    assert_false(job_start(self, state_dir, spec, &j, &err));
    assert_int_equal(err.code, ERR_INVALID);
    str_copy(spec->work_dir, sizeof spec->work_dir, spec->data_dir);
    assert_false(job_start(self, state_dir, spec, &j, &err));
    assert_false(job_leftovers(state_dir));
    rt_free(spec);
}

static void tablespaces_are_refused(void **state) {
    (void)state;
    char place[200], sql[256], mapping[512], elsewhere[220];
    snprintf(place, sizeof place, "%s/space", pg.base);
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", pg.base);
    assert_int_equal(mkdir(place, 0700), 0);
    pg_fixture_give(place);
    snprintf(sql, sizeof sql, "create tablespace space location '%s'", place);
    pg_server_exec(primary, sql);
    struct job_spec *spec = copy_spec(primary);
    snprintf(mapping, sizeof mapping, "--max-rate=100 --tablespace-mapping='%s'='%s'", place, elsewhere); /* as if on another host; refused at once, not at the end */
    slow_down(spec, mapping);
    refuse(spec, "tablespaces");
    refuse(copy_spec(primary), "exists but is not empty");
    pg_server_exec(primary, "drop tablespace space");
}

/* ---- histories ---- */

static struct pg_server *promoted;

/* The upstream's list as its own agent would know it. */
static void promoted_lineage(struct lineage *out) {
    char wal_dir[200], id[24];
    struct err err = {0};
    system_id(promoted, id);
    snprintf(wal_dir, sizeof wal_dir, "%s/pg_wal", promoted->data);
    if (!pg_history_read(promoted->data, 2, strtoull(id, NULL, 10), out, &err)) fail_msg("%s", err.text);
    if (!pg_lineage_fingerprint(wal_dir, 1 << 20, 2, out->entries[1].begin, out->entries[1].fingerprint, &err)) fail_msg("%s", err.text);
}

static void make_promoted(void) {
    promoted = pg_server_copy(&pg, "promoted", primary);
    pg_server_start(promoted);
    pg_server_promote(promoted);
    pg_server_exec(promoted, "checkpoint");
}

static void a_copy_inherits_the_history_of_its_upstream_up_to_its_own_timeline(void **state) {
    (void)state;
    make_promoted();
    struct job_spec *spec = copy_spec(promoted);
    promoted_lineage(&spec->upstream);
    spec->upstream.entries[2] = (struct lineage_entry){.timeline = 3, .begin = UINT64_C(0xFF000000), .fingerprint = "eor:later"};
    spec->upstream.count = 3;
    struct job_result *r = run(spec);
    assert_done(r);
    assert_int_equal(r->lineage.count, 2);
    assert_memory_equal(r->lineage.entries, spec->upstream.entries, 2 * sizeof r->lineage.entries[0]);
    rt_free(r);
    rt_free(spec);
}

static void a_history_that_nobody_told_is_read_from_the_copy(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(promoted); /* upstream's list ends with timeline 1 */
    struct lineage truth;
    struct job_result *r = run(spec);
    assert_done(r);
    promoted_lineage(&truth);
    assert_int_equal(r->lineage.count, 2);
    assert_int_equal(r->lineage.entries[1].begin, truth.entries[1].begin);
    assert_string_equal(r->lineage.entries[0].fingerprint, truth.entries[0].fingerprint);
    rt_free(r);
    rt_free(spec);
}

static void another_timeline_of_that_number_is_refused(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(promoted);
    promoted_lineage(&spec->upstream);
    spec->upstream.entries[1].begin += 8;
    refuse(spec, "timeline 2 is not the one of that number");
}

/* ---- deaths ---- */

static void nothing_outlives_an_agent_that_is_killed(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    slow_down(spec, SLOW);
    pid_t agent = start_in_another_agent(spec);
    kill_and_reap(agent);
    await_no_process_on(spec->work_dir); /* with nobody's help */
    assert_only_leftovers_then_clean(spec);
    rt_free(spec);
}

static void a_killed_child_is_reported_and_its_children_end(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    slow_down(spec, SLOW);
    struct job *j = start(spec);
    await_half_way(spec);
    kill(marked_pid(), SIGKILL);
    struct job_result *r = finish(j);
    assert_refused(r, "ended with code 137");
    assert_int_equal(processes_on(spec->work_dir), 0);
    assert_only_leftovers_then_clean(spec);
    rt_free(r);
    rt_free(spec);
}

static void what_outlived_both_agent_and_child_is_killed_by_the_next_agent(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    slow_down(spec, SLOW);
    pid_t agent = start_in_another_agent(spec);
    kill(marked_pid(), SIGKILL);
    kill_and_reap(agent);
    for (int64_t deadline = pg_fixture_deadline(); processes_on(spec->work_dir) != 1; pg_fixture_pause()) /* the WAL receiver, for ever */
        assert_true(clock_boot_ms() < deadline);
    struct job *j = NULL;
    struct err err = {0};
    assert_false(job_start(self, state_dir, spec, &j, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_only_leftovers_then_clean(spec);
    rt_free(spec);
}

static void a_cancelled_job_ends_at_once(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    slow_down(spec, SLOW);
    struct job *j = start(spec);
    await_half_way(spec);
    job_free(j);
    await_no_process_on(spec->work_dir);
    assert_only_leftovers_then_clean(spec);
    rt_free(spec);
}

static void a_polite_signal_ends_all_of_it(void **state) {
    (void)state;
    struct job_spec *spec = copy_spec(primary);
    slow_down(spec, SLOW);
    struct job *j = start(spec);
    await_half_way(spec);
    kill(marked_pid(), SIGTERM);
    struct job_result *r = finish(j);
    assert_false(r->ok);
    assert_int_equal(processes_on(spec->work_dir), 0);
    assert_only_leftovers_then_clean(spec);
    rt_free(r);
    rt_free(spec);
}

/* Numbers of processes are given again: the mark names more than a number. */
static void a_stranger_with_the_number_of_an_old_job_is_left_alone(void **state) {
    (void)state;
    struct job_spec *spec = spec_new(JOB_KIND_COPY);
    struct err err = {0};
    char path[256], text[128], boot_id[40];
    bool left = true;
    pid_t stranger = fork();
    if (stranger == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) pause();
    }
    while (getpgid(stranger) != stranger) pg_fixture_pause();
    uint64_t start_ticks;
    assert_true(proc_stat(stranger, &start_ticks, NULL, NULL));
    clock_boot_id(boot_id, sizeof boot_id);
    snprintf(path, sizeof path, "%s/job.pid", state_dir);
    int length = snprintf(text, sizeof text, "%d %d %" PRIu64 " %s\n", (int)stranger, (int)getsid(0), start_ticks - 1, boot_id);
    assert_true(file_write(path, text, (size_t)length, 0600, &err));
    assert_true(job_clean_leftovers(state_dir, &left, &err));
    assert_false(left);
    assert_int_equal(waitpid(stranger, NULL, WNOHANG), 0);

    length = snprintf(text, sizeof text, "%d %d %" PRIu64 " %s\n", (int)stranger, (int)getsid(0), start_ticks, boot_id);
    assert_true(file_write(path, text, (size_t)length, 0600, &err)); /* the very same, and it is killed */
    assert_true(job_clean_leftovers(state_dir, &left, &err));
    assert_int_equal(waitpid(stranger, NULL, 0), stranger);
    rt_free(spec);
}

/* ---- attach ---- */

static void the_comparison_with_the_source_is_quick_and_gives_its_reason(void **state) {
    (void)state;
    struct job_spec *spec = spec_new(JOB_KIND_ATTACH);
    system_id(primary, spec->expected_system_id);
    str_copy(spec->data_dir, sizeof spec->data_dir, follower->data);
    str_copy(spec->conninfo, sizeof spec->conninfo, pg_server_conninfo(primary));
    lineage_of_initdb(spec->expected_system_id, &spec->mine);
    spec->upstream = spec->mine;
    struct job_result *r = run(spec);
    assert_done(r);
    assert_int_equal(r->attach, PG_ATTACH_OK);
    assert_non_null(strstr(r->reason, "stands in the source"));
    assert_true(r->local_end > 0);
    assert_true(r->seconds < 30.0); /* it stands in the path of an old primary's return */
    assert_false(job_leftovers(state_dir));
    rt_free(r);

    str_copy(spec->conninfo, sizeof spec->conninfo, "host=/nonexistent user=postgres");
    r = run(spec);
    assert_refused(r, "source");
    assert_false(job_leftovers(state_dir));
    rt_free(r);
    rt_free(spec);
}

static int setup(void **state) {
    (void)state;
    pg_fixture_open(&pg);
    primary = pg_server_init(&pg, "primary", 1);
    pg_server_append(primary, "postgresql.conf", "max_replication_slots = 50\nmax_wal_senders = 20");
    pg_server_start(primary);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    pg_fixture_close(&pg);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && str_eq(argv[1], "job")) return job_main(argv[2]);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initdb_makes_a_parked_directory_and_leaves_the_rename_to_the_caller),
        cmocka_unit_test(an_adopted_initdb_survives_the_cleaning),
        cmocka_unit_test(arguments_of_the_topology_win),
        cmocka_unit_test(a_failed_initdb_says_why_and_leaves_nothing),
        cmocka_unit_test(a_copy_under_writes_streams_on_from_its_slot),
        cmocka_unit_test(progress_is_told),
        cmocka_unit_test(a_copy_without_progress_is_given_up),
        cmocka_unit_test(a_source_of_another_cluster_is_refused),
        cmocka_unit_test(a_directory_with_anything_in_it_is_never_replaced),
        cmocka_unit_test(nor_is_one_that_was_filled_meanwhile),
        cmocka_unit_test(a_link_in_the_place_of_the_directory_is_refused),
        cmocka_unit_test(a_mount_point_is_refused_with_the_cure),
        cmocka_unit_test(a_copy_needs_its_slot),
        cmocka_unit_test(a_source_that_does_not_answer_is_named),
        cmocka_unit_test(a_work_directory_elsewhere_is_not_begun_with),
        cmocka_unit_test(tablespaces_are_refused),
        cmocka_unit_test(a_copy_inherits_the_history_of_its_upstream_up_to_its_own_timeline),
        cmocka_unit_test(a_history_that_nobody_told_is_read_from_the_copy),
        cmocka_unit_test(another_timeline_of_that_number_is_refused),
        cmocka_unit_test(nothing_outlives_an_agent_that_is_killed),
        cmocka_unit_test(a_killed_child_is_reported_and_its_children_end),
        cmocka_unit_test(what_outlived_both_agent_and_child_is_killed_by_the_next_agent),
        cmocka_unit_test(a_cancelled_job_ends_at_once),
        cmocka_unit_test(a_polite_signal_ends_all_of_it),
        cmocka_unit_test(a_stranger_with_the_number_of_an_old_job_is_left_alone),
        cmocka_unit_test(the_comparison_with_the_source_is_quick_and_gives_its_reason),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
