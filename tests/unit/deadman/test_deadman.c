/* The dead-man with a real PostgreSQL 15 below it: what it starts, kills, puts back, and refuses. This program is its
 * own pgregent-deadman: called with --state-dir it runs as one. Skipped where there is no PostgreSQL. */
#include "site-agent/deadman/deadman.h"
#include "rt/clock.h"
#include "rt/file.h"
#include "rt/proc.h"
#include "site-agent/deadman/deadman_striker.h"
#include "site-agent/deadman/deadman_tree.h"
#include "site-agent/pg/pg_control.h"
#include <errno.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BIN "/usr/lib/postgresql/15/bin"
#define WAIT_MS 20000 /* generous: the machine may be busy, and nothing waits this long when all is well */

static char self[512], base[256], cluster[300]; /* this program; where all lies; the directory that each test copies */
static uid_t pg_uid;
static gid_t pg_gid;

struct world {
    char state[300], data[300];
    struct deadman_client *agent;
    struct deadman_status last;   /* newest status, answered or pushed */
    struct deadman_status answer; /* newest answer */
    int64_t deadman_pid;
    pid_t orphan; /* a postmaster that a test stopped and left without its dead-man */
};

/* --- small tools ---------------------------------------------------------------------------------------------- */

static int run_as(bool as_postgres, struct strbuf *output, const char *const *argv) {
    int code = -1;
    struct err err = {0};
    struct proc_options o = {.argv = argv, .switch_user = as_postgres && geteuid() == 0, .uid = pg_uid, .gid = pg_gid,
                             .deadline_boot_ms = clock_boot_ms() + 60000};
    if (!proc_run(&o, output, &code, &err))
        fail_msg("%s: %s", argv[0], err.text);
    return code;
}
#define RUN(output, ...) run_as(true, output, (const char *const[]){__VA_ARGS__, NULL})

static bool in_data(const struct world *w, const char *name) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", w->data, name);
    return file_exists(path);
}

static bool in_state(const struct world *w, const char *name) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", w->state, name);
    return file_exists(path);
}

static void remove_in_data(const struct world *w, const char *name) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", w->data, name);
    assert_int_equal(unlink(path), 0);
}

static int control_state(const struct world *w) {
    struct pg_control control;
    struct err err;
    return pg_control_read(w->data, &control, &err) ? control.state : -1;
}

/* First line of what the server answers, "" while it does not. */
static void ask(const struct world *w, const char *sql, char *to, size_t size) {
    STRBUF out = {0};
    to[0] = 0;
    if (RUN(&out, BIN "/psql", "-XAtq", "-h", w->data, "-U", "postgres", "-d", "postgres", "-c", sql) == 0) {
        str_copy(to, size, out.at ? out.at : "");
        to[strcspn(to, "\n")] = 0;
    }
}

static bool answers(const struct world *w, const char *sql, const char *wanted) {
    char got[64];
    ask(w, sql, got, sizeof got);
    return str_eq(got, wanted);
}

static void on_status(void *context, const struct deadman_status *status) {
    struct world *w = context;
    w->last = *status;
    if (status->id)
        w->answer = *status;
}

/* Waits for the next packet, at most `ms`. */
static void listen_once(struct world *w, int ms) {
    struct pollfd fd;
    if (deadman_pollfd(w->agent, &fd))
        poll(&fd, 1, ms);
    else
        poll(NULL, 0, ms);
    deadman_step(w->agent);
}

#define AWAIT(w, condition)                                                                                            \
    do {                                                                                                               \
        int64_t until_ = clock_boot_ms() + WAIT_MS;                                                                    \
        while (!(condition)) {                                                                                         \
            if (clock_boot_ms() > until_)                                                                              \
                fail_msg("line %d: waited in vain for %s", __LINE__, #condition);                                     \
            listen_once(w, 20);                                                                                        \
        }                                                                                                              \
    } while (0)

static bool request(struct world *w, const struct deadman_request *r) {
    int64_t id = deadman_send(w->agent, r);
    assert_true(id > 0);
    AWAIT(w, w->answer.id == id || !deadman_alive(w->agent));
    assert_int_equal(w->answer.id, id);
    return w->answer.ok;
}

static bool command(struct world *w, int which) { return request(w, &(struct deadman_request){.command = which, .uid = -1, .gid = -1}); }

/* A dead-man that is just dying may still take the connection, never to answer: then once more, as the agent does. */
static void connect_agent(struct world *w) {
    struct err err = {0};
    w->answer = (struct deadman_status){0};
    for (int64_t until = clock_boot_ms() + WAIT_MS; w->answer.id == 0 && clock_boot_ms() < until;) {
        deadman_disconnect(w->agent);
        w->agent = NULL;
        if (!deadman_connect(w->state, self, on_status, w, &w->agent, &err))
            fail_msg("%s", err.text);
        deadman_send(w->agent, &(struct deadman_request){.command = DEADMAN_HELLO, .uid = -1, .gid = -1});
        AWAIT(w, w->answer.id || !deadman_alive(w->agent));
    }
    assert_true(w->answer.ok);
    w->deadman_pid = w->last.pid;
}

static struct deadman_request start_request(const struct world *w, bool primary) {
    struct deadman_request r = {.command = DEADMAN_START, .primary = primary, .argv_count = 3, .uid = -1, .gid = -1};
    str_copy(r.data_dir, sizeof r.data_dir, w->data);
    snprintf(r.log_path, sizeof r.log_path, "%s/server.log", w->data);
    str_copy(r.argv[0], sizeof r.argv[0], BIN "/postgres");
    str_copy(r.argv[1], sizeof r.argv[1], "-D");
    str_copy(r.argv[2], sizeof r.argv[2], w->data);
    if (geteuid() == 0) {
        r.uid = pg_uid;
        r.gid = pg_gid;
    }
    if (primary)
        r.kill_boot_ms = clock_boot_ms() + 60000;
    return r;
}

static void write_mark(const struct world *w) {
    char path[400];
    struct err err;
    snprintf(path, sizeof path, "%s/authorised-start", w->state);
    if (!file_write(path, "epoch 1.0", 9, 0600, &err))
        fail_msg("%s", err.text);
}

static void start_primary(struct world *w) {
    struct deadman_request r = start_request(w, true);
    write_mark(w);
    if (!request(w, &r))
        fail_msg("%s", w->answer.error);
    AWAIT(w, answers(w, "select pg_is_in_recovery()", "f"));
}

static void start_standby(struct world *w) {
    struct deadman_request r = start_request(w, false);
    if (!request(w, &r))
        fail_msg("%s", w->answer.error);
    AWAIT(w, answers(w, "select pg_is_in_recovery()", "t"));
}

static void stop_postmaster_only(struct world *w) {
    assert_true(request(w, &(struct deadman_request){.command = DEADMAN_SIGNAL, .signal_number = SIGINT}));
    AWAIT(w, w->last.postmaster_pid == 0);
}

static void stop(struct world *w) {
    stop_postmaster_only(w);
    AWAIT(w, w->last.descendants == 0);
}

static void set_deadline(struct world *w, int64_t fast, int64_t last) {
    assert_true(request(w, &(struct deadman_request){.command = DEADMAN_DEADLINE, .fast_boot_ms = fast, .kill_boot_ms = last}));
}

/* A backend that computes for minutes and looks at nothing meanwhile. Returns psql; *pid is the backend. */
static struct proc *busy_backend(struct world *w, pid_t *pid) {
    char number[64];
    struct err err;
    struct proc *psql;
    const char *const argv[] = {BIN "/psql", "-XAtq", "-h", w->data, "-U", "postgres", "-d", "postgres", "-c",
                                "set jit = off; select count(*) from generate_series(1, 4000000000::bigint)", NULL};
    struct proc_options o = {.argv = argv, .switch_user = geteuid() == 0, .uid = pg_uid, .gid = pg_gid};
    if (!proc_spawn(&o, &psql, &err))
        fail_msg("%s", err.text);
    const char *sql = "select pid from pg_stat_activity where query like 'set jit%' and pid <> pg_backend_pid() and state = 'active'";
    AWAIT(w, (ask(w, sql, number, sizeof number), number[0] != 0));
    *pid = (pid_t)atoi(number);
    return psql;
}

static bool process_lives(pid_t pid) {
    uint64_t ticks;
    char state = 0;
    pid_t parent;
    return pid > 0 && proc_stat(pid, &ticks, &state, &parent) && state != 'Z' && state != 'X';
}

/* A person, or the distribution at boot, starts the directory by hand: it may run in recovery or not at all. */
static bool hand_start_is_harmless(const struct world *w, bool *ran) {
    char log[400];
    snprintf(log, sizeof log, "%s/hand.log", w->data);
    STRBUF out = {0};
    *ran = RUN(&out, BIN "/pg_ctl", "-D", w->data, "-l", log, "-w", "-t", "30", "start") == 0;
    if (!*ran)
        return !answers(w, "select pg_is_in_recovery()", "f");
    bool recovery = answers(w, "select pg_is_in_recovery()", "t");
    assert_int_equal(RUN(&out, BIN "/pg_ctl", "-D", w->data, "-w", "-m", "fast", "stop"), 0);
    return recovery;
}

static void assert_parked(const struct world *w) {
    bool ran;
    assert_true(in_data(w, "standby.signal"));
    assert_false(in_data(w, "recovery.signal"));
    assert_false(in_state(w, "window"));
    assert_true(hand_start_is_harmless(w, &ran));
    assert_true(ran);
}

/* --- stage ---------------------------------------------------------------------------------------------------- */

static int world_number;

static int set_up(void **state) {
    if (cluster[0] == 0)
        return 0;
    struct world *w = rt_alloc(sizeof *w);
    struct err err = {0};
    snprintf(w->state, sizeof w->state, "%s/s%d", base, world_number);
    snprintf(w->data, sizeof w->data, "%s/d%d", base, world_number++);
    if (!file_mkdirs(w->state, 0700, &err) || RUN(NULL, "/bin/cp", "-a", cluster, w->data) != 0)
        fail_msg("%s", err.text);
    connect_agent(w);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = *state;
    if (!w)
        return 0;
    if (process_lives(w->orphan))
        kill(w->orphan, SIGKILL);
    connect_agent(w);
    command(w, DEADMAN_KILL);
    AWAIT(w, command(w, DEADMAN_LEAVE));
    AWAIT(w, !deadman_alive(w->agent));
    deadman_disconnect(w->agent);
    run_as(false, NULL, (const char *const[]){"/bin/rm", "-rf", w->state, w->data, NULL});
    rt_free(w);
    return 0;
}

static int make_cluster(void **state) {
    (void)state;
    const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : getpwuid(geteuid());
    if (access(BIN "/initdb", X_OK) != 0 || !user)
        return 0;
    pg_uid = user->pw_uid;
    pg_gid = user->pw_gid;
    snprintf(base, sizeof base, "/tmp/deadman-XXXXXX");
    if (!mkdtemp(base) || chmod(base, 0755) != 0)
        return -1;
    char owned[280], conf[400];
    snprintf(owned, sizeof owned, "%s/template", base);
    if (geteuid() == 0 && chown(base, pg_uid, pg_gid) != 0)
        return -1;
    STRBUF out = {0};
    if (RUN(&out, BIN "/initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-D", owned) != 0)
        return print_error("%s", out.at), -1;
    snprintf(conf, sizeof conf, "%s/postgresql.conf", owned);
    FILE *f = fopen(conf, "a");
    fputs("listen_addresses = ''\nunix_socket_directories = '.'\nshared_buffers = 16MB\nrestart_after_crash = off\n"
          "max_wal_size = 64MB\nmin_wal_size = 32MB\n", f);
    fclose(f);
    snprintf(conf, sizeof conf, "%s/standby.signal", owned);
    struct err err;
    if (!file_write_as(conf, "", 0, 0600, pg_uid, pg_gid, &err))
        return print_error("%s", err.text), -1;
    snprintf(cluster, sizeof cluster, "%s", owned);
    return 0;
}

static int remove_cluster(void **state) {
    (void)state;
    if (base[0])
        run_as(false, NULL, (const char *const[]){"/bin/rm", "-rf", base, NULL});
    return 0;
}

#define STORY(name)                                                                                                    \
    static void name##_story(struct world *w);                                                                        \
    static void name(void **state) {                                                                                   \
        if (!*state)                                                                                                   \
            skip();                                                                                                    \
        name##_story(*state);                                                                                          \
    }                                                                                                                  \
    static void name##_story(struct world *w)

/* --- starting ------------------------------------------------------------------------------------------------- */

STORY(a_standby_starts_and_stops) {
    start_standby(w);
    assert_true(command(w, DEADMAN_HELLO)); /* forks are not pushed */
    assert_false(w->last.started_primary);
    assert_true(w->last.postmaster_start_ticks > 0);
    assert_true(w->last.descendants > 3);
    assert_true(in_data(w, "standby.signal"));
    stop(w);
    assert_int_equal(w->last.last_exit, 0);
    assert_parked(w);
}

STORY(a_primary_starts_and_its_directory_is_a_standby_again) {
    start_primary(w);
    AWAIT(w, !w->last.window_open);
    print_message("window of a clean start: %lld us\n", (long long)w->last.last_window_us);
    assert_true(w->last.last_window_us > 0);
    assert_true(in_data(w, "standby.signal"));
    assert_false(in_state(w, "authorised-start"));
    assert_false(in_state(w, "window"));
    assert_true(answers(w, "create table t (x int); select count(*) from t", "0"));
    stop(w);
    assert_parked(w);
}


STORY(a_start_needs_its_permission) {
    struct deadman_request primary = start_request(w, true), standby = start_request(w, false);
    assert_false(request(w, &primary));
    assert_non_null(strstr(w->answer.error, "no authorisation"));
    write_mark(w);
    primary.kill_boot_ms = clock_boot_ms() - 1;
    assert_false(request(w, &primary));
    assert_non_null(strstr(w->answer.error, "deadline"));
    primary.kill_boot_ms = 0;
    assert_false(request(w, &primary));
    assert_true(in_data(w, "standby.signal"));
    remove_in_data(w, "standby.signal");
    assert_false(request(w, &standby));
    assert_non_null(strstr(w->answer.error, "no standby.signal"));
    assert_int_equal(w->last.descendants, 0);
}

STORY(a_directory_in_which_another_postgresql_works_is_refused) {
    STRBUF out = {0};
    char log[400];
    snprintf(log, sizeof log, "%s/hand.log", w->data);
    assert_int_equal(RUN(&out, BIN "/pg_ctl", "-D", w->data, "-l", log, "-w", "start"), 0);
    struct deadman_request r = start_request(w, true);
    write_mark(w);
    assert_false(request(w, &r));
    assert_non_null(strstr(w->answer.error, "another PostgreSQL"));
    assert_true(in_data(w, "standby.signal"));
    assert_int_equal(RUN(&out, BIN "/pg_ctl", "-D", w->data, "-w", "stop"), 0);
}

STORY(a_program_that_cannot_run_leaves_a_standby) {
    struct deadman_request r = start_request(w, true);
    write_mark(w);
    str_copy(r.argv[0], sizeof r.argv[0], "/nonexistent/postgres");
    assert_false(request(w, &r));
    assert_non_null(strstr(w->answer.error, "No such file"));
    AWAIT(w, command(w, DEADMAN_HELLO) && w->last.descendants == 0 && !w->last.window_open);
    AWAIT(w, !in_state(w, "window"));
    assert_parked(w);
}

/* pg_control says "in production" from the first moment, long before PostgreSQL looks for standby.signal: who believes
 * it puts the file back too early, and the primary comes up as a standby. */
STORY(a_crashed_directory_comes_up_as_the_primary_that_it_should_be) {
    start_primary(w);
    assert_true(answers(w, "create table t as select generate_series(1, 200000) x; select count(*) from t", "200000"));
    assert_true(command(w, DEADMAN_KILL));
    assert_int_equal(w->last.descendants, 0);
    assert_int_equal(control_state(w), PG_IN_PRODUCTION);
    assert_true(in_data(w, "standby.signal"));
    start_primary(w);
    AWAIT(w, !w->last.window_open);
    print_message("window of a start after a crash: %lld us\n", (long long)w->last.last_window_us);
    assert_true(in_data(w, "standby.signal"));
    assert_true(answers(w, "select count(*) from t", "200000"));
    assert_true(command(w, DEADMAN_KILL));
    assert_parked(w);
}

/* Killed while it recovers, again and again: pg_control then says "in crash recovery" before the start already. */
STORY(a_directory_that_crashed_in_recovery_comes_up_as_primary_too) {
    start_primary(w);
    assert_true(answers(w, "create table t as select generate_series(1, 1000000) x; select count(*) from t", "1000000"));
    assert_true(command(w, DEADMAN_KILL));
    for (int i = 0; i < 3; i++) {
        struct deadman_request r = start_request(w, true);
        write_mark(w);
        assert_true(request(w, &r));
        AWAIT(w, !w->last.window_open);
        assert_true(command(w, DEADMAN_KILL));
        assert_true(in_data(w, "standby.signal"));
    }
    start_primary(w);
    assert_true(answers(w, "select count(*) from t", "1000000"));
}

/* The word after a key in one of the postmaster's files in /proc. */
static void proc_word(const struct world *w, const char *file, const char *key, char *to, size_t size) {
    char path[64];
    STRBUF text = {0};
    snprintf(path, sizeof path, "/proc/%lld/%s", (long long)w->last.postmaster_pid, file);
    assert_true(file_read(path, 65536, &text, NULL));
    const char *at = strstr(text.at, key);
    assert_non_null(at);
    at += strlen(key);
    at += strspn(at, " \t");
    str_copy(to, size, at);
    to[strcspn(to, " \t\n")] = 0;
}

STORY(postgresql_inherits_nothing_of_the_dead_mans_privileges) {
    char got[64], parent[64];
    STRBUF mine = {0};
    start_standby(w);
    assert_true(file_read("/proc/self/oom_score_adj", 32, &mine, NULL));
    mine.at[strcspn(mine.at, "\n")] = 0;
    proc_word(w, "oom_score_adj", "", got, sizeof got);
    assert_string_equal(got, mine.at);
    proc_word(w, "status", "SigBlk:", got, sizeof got);
    assert_string_equal(got, "0000000000000000");
    proc_word(w, "status", "Uid:", got, sizeof got);
    assert_int_equal(atoi(got), pg_uid);
    proc_word(w, "status", "PPid:", parent, sizeof parent);
    assert_int_equal(atoi(parent), w->deadman_pid);
    strbuf_free(&mine);
}

/* --- deadlines ------------------------------------------------------------------------------------------------ */

STORY(without_its_agent_a_primary_ends_at_the_deadline_with_every_backend) {
    pid_t backend, postmaster;
    start_primary(w);
    struct proc *psql = busy_backend(w, &backend);
    postmaster = (pid_t)w->last.postmaster_pid;
    int64_t deadline = clock_boot_ms() + 500;
    set_deadline(w, 0, deadline);
    deadman_disconnect(w->agent);
    w->agent = NULL;
    AWAIT(w, !process_lives(postmaster) && !process_lives(backend));
    print_message("the tree was gone %lld ms after the deadline\n", (long long)(clock_boot_ms() - deadline));
    assert_true(clock_boot_ms() >= deadline);
    connect_agent(w);
    AWAIT(w, command(w, DEADMAN_HELLO) && w->last.descendants == 0);
    assert_true(w->last.struck);
    assert_int_equal(w->last.last_exit, 128 + SIGKILL);
    assert_int_equal(w->last.kill_boot_ms, deadline);
    proc_free(psql);
    assert_parked(w);
}

STORY(a_deadline_that_moves_forward_keeps_it_running) {
    start_primary(w);
    for (int64_t end = clock_boot_ms() + 1500; clock_boot_ms() < end;) {
        set_deadline(w, 0, clock_boot_ms() + 400);
        listen_once(w, 50);
    }
    assert_false(w->last.struck);
    assert_true(answers(w, "select 1", "1"));
    set_deadline(w, 0, 0);
    listen_once(w, 600);
    assert_true(answers(w, "select 1", "1"));
}

STORY(the_first_deadline_is_a_fast_stop) {
    start_primary(w);
    int64_t now = clock_boot_ms();
    set_deadline(w, now + 100, now + 60000);
    AWAIT(w, w->last.postmaster_pid == 0 && w->last.descendants == 0);
    assert_int_equal(w->last.last_exit, 0);
    assert_false(w->last.struck);
    assert_int_equal(control_state(w), PG_SHUT_DOWN);
    assert_parked(w);
}

STORY(a_start_after_the_deadline_struck_begins_anew) {
    start_primary(w);
    set_deadline(w, 0, clock_boot_ms() - 1);
    AWAIT(w, w->last.struck && w->last.descendants == 0);
    start_primary(w);
    assert_false(w->last.struck);
    listen_once(w, 100);
    assert_true(answers(w, "select 1", "1"));
}

/* The striking thread alone: whoever runs the loop is busy with something else, like a disk that hangs. */
static void a_blocked_loop_does_not_hold_up_the_deadline(void **state) {
    (void)state;
    pid_t helper = fork();
    if (helper == 0) {
        struct deadman_striker striker = {0};
        struct err err;
        int64_t deadline = clock_boot_ms() + 200;
        int status = 0;
        if (!deadman_tree_adopt() || !deadman_striker_start(&striker, &err))
            _exit(1);
        deadman_striker_set(&striker, deadline);
        pid_t child = fork();
        if (child == 0) {
            execl("/bin/sleep", "sleep", "30", (char *)NULL);
            _exit(2);
        }
        waitpid(child, &status, 0);
        _exit(clock_boot_ms() < deadline ? 3 : !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL ? 4 : 0);
    }
    int status = -1;
    waitpid(helper, &status, 0);
    assert_int_equal(status, 0);
}

/* --- ends ----------------------------------------------------------------------------------------------------- */

STORY(a_killed_postmaster_leaves_a_busy_backend_and_kill_leaves_none) {
    pid_t backend;
    start_primary(w);
    struct proc *psql = busy_backend(w, &backend);
    assert_int_equal(kill((pid_t)w->last.postmaster_pid, SIGKILL), 0);
    AWAIT(w, w->last.postmaster_pid == 0);
    assert_int_equal(w->last.last_exit, 128 + SIGKILL);
    assert_true(in_data(w, "standby.signal"));
    assert_true(process_lives(backend));
    assert_true(w->last.descendants > 0);
    struct deadman_request r = start_request(w, false);
    assert_false(request(w, &r));
    assert_non_null(strstr(w->answer.error, "left"));
    assert_false(command(w, DEADMAN_LEAVE));
    assert_true(command(w, DEADMAN_KILL));
    assert_int_equal(w->answer.descendants, 0);
    assert_false(process_lives(backend));
    proc_free(psql);
    AWAIT(w, !in_state(w, "window"));
    assert_parked(w);
}

STORY(a_program_that_hid_in_its_own_session_is_killed_too) {
    char number[64], pid_file[400];
    STRBUF text = {0};
    start_primary(w);
    snprintf(pid_file, sizeof pid_file, "%s/hidden.pid", w->data);
    ask(w, "copy (select 1) to program '(setsid sh -c \"echo \\$\\$ > hidden.pid; exec sleep 1000\" > /dev/null 2>&1 &)'", number, sizeof number);
    for (int i = 0; i < 1000 && !text.len; i++) { /* it tells its number once it is in its session */
        poll(NULL, 0, 10);
        (void)file_read(pid_file, 32, &text, NULL);
    }
    assert_true(text.len > 0);
    pid_t hidden = (pid_t)atoi(text.at);
    assert_true(process_lives(hidden));
    stop_postmaster_only(w);
    assert_true(process_lives(hidden));
    assert_true(command(w, DEADMAN_KILL));
    assert_false(process_lives(hidden));
    assert_int_equal(w->answer.descendants, 0);
    strbuf_free(&text);
}

STORY(a_stopped_postmaster_is_killed_too) {
    start_primary(w);
    assert_int_equal(kill((pid_t)w->last.postmaster_pid, SIGSTOP), 0);
    assert_true(command(w, DEADMAN_KILL));
    assert_int_equal(w->answer.descendants, 0);
    assert_int_equal(w->answer.postmaster_pid, 0);
}

/* --- promotion ------------------------------------------------------------------------------------------------ */

static void guard(struct world *w, bool on) {
    if (!request(w, &(struct deadman_request){.command = DEADMAN_GUARD, .on = on}))
        fail_msg("%s", w->answer.error);
}

static void trigger_promotion(struct world *w) {
    char path[400];
    struct err err;
    snprintf(path, sizeof path, "%s/promote", w->data);
    assert_true(file_write_as(path, "", 0, 0600, pg_uid, pg_gid, &err));
    assert_true(request(w, &(struct deadman_request){.command = DEADMAN_SIGNAL, .signal_number = SIGUSR1}));
}

STORY(a_guarded_promotion_ends_with_standby_signal_only) {
    start_standby(w);
    guard(w, true);
    assert_true(w->last.guard);
    assert_true(in_data(w, "recovery.signal"));
    assert_true(in_state(w, "window"));
    trigger_promotion(w);
    AWAIT(w, w->last.started_primary);
    print_message("window of a promotion: at most %lld us\n", (long long)w->last.last_window_us);
    assert_false(w->last.guard);
    assert_true(in_data(w, "standby.signal"));
    assert_false(in_data(w, "recovery.signal"));
    AWAIT(w, answers(w, "select pg_is_in_recovery()", "f"));
    assert_true(command(w, DEADMAN_KILL));
    assert_parked(w);
}

STORY(a_guard_taken_off_leaves_a_standby) {
    start_standby(w);
    guard(w, true);
    guard(w, false);
    assert_true(in_data(w, "standby.signal"));
    assert_false(in_data(w, "recovery.signal"));
    stop(w);
    assert_parked(w);
}

/* What is left of a dead postmaster may be a startup process in the middle of the promotion: guarded to the last one. */
STORY(a_postmaster_that_dies_under_guard_leaves_a_standby) {
    pid_t backend;
    start_standby(w);
    guard(w, true);
    struct proc *psql = busy_backend(w, &backend);
    remove_in_data(w, "standby.signal");
    assert_int_equal(kill((pid_t)w->last.postmaster_pid, SIGKILL), 0);
    AWAIT(w, w->last.postmaster_pid == 0);
    assert_true(in_data(w, "standby.signal"));
    assert_true(w->last.guard);
    assert_true(in_data(w, "recovery.signal"));
    remove_in_data(w, "standby.signal");
    AWAIT(w, in_data(w, "standby.signal"));
    assert_true(process_lives(backend));
    kill(backend, SIGKILL);
    AWAIT(w, w->last.descendants == 0 && !w->last.guard);
    proc_free(psql);
    assert_parked(w);
}

/* Killed at a different moment of the promotion each time. */
STORY(a_promotion_killed_at_any_moment_leaves_a_standby) {
    for (int i = 0; i < 8; i++) {
        start_standby(w);
        guard(w, true);
        trigger_promotion(w);
        for (int64_t until = clock_boot_ns() + i * 5000000; clock_boot_ns() < until;)
            ;
        assert_true(command(w, DEADMAN_KILL));
        AWAIT(w, command(w, DEADMAN_HELLO) && !w->last.guard);
        assert_parked(w);
    }
}

STORY(a_promotion_by_hand_is_put_right_when_it_ends) {
    start_standby(w);
    trigger_promotion(w);
    AWAIT(w, answers(w, "select pg_is_in_recovery()", "f"));
    assert_false(in_data(w, "standby.signal"));
    stop(w);
    assert_parked(w);
}

/* --- the dead-man's own death --------------------------------------------------------------------------------- */

static void kill_deadman(struct world *w) {
    pid_t pid = (pid_t)w->deadman_pid;
    assert_int_equal(kill(pid, SIGKILL), 0);
    AWAIT(w, !deadman_alive(w->agent) && !process_lives(pid));
}

/* A program that never touches pg_control, so the window of its start stays open. */
static void start_in_open_window(struct world *w) {
    struct deadman_request r = start_request(w, true);
    str_copy(r.argv[0], sizeof r.argv[0], "/bin/sleep");
    str_copy(r.argv[1], sizeof r.argv[1], "1000");
    r.argv_count = 2;
    write_mark(w);
    assert_true(request(w, &r));
    assert_true(w->last.window_open);
    assert_false(in_data(w, "standby.signal"));
}

STORY(a_dead_man_killed_in_a_window_is_succeeded_by_one_that_closes_it) {
    start_in_open_window(w);
    pid_t child = (pid_t)w->last.postmaster_pid;
    kill_deadman(w);
    AWAIT(w, !process_lives(child));
    assert_false(in_data(w, "standby.signal"));
    connect_agent(w);
    assert_true(in_data(w, "standby.signal"));
    assert_false(in_state(w, "authorised-start"));
    assert_parked(w);
}

STORY(a_window_in_a_directory_that_is_not_mounted_yet_is_closed_when_it_is) {
    char away[400];
    start_in_open_window(w);
    kill_deadman(w);
    snprintf(away, sizeof away, "%s.away", w->data);
    assert_int_equal(rename(w->data, away), 0);
    assert_int_equal(mkdir(w->data, 0700), 0); /* the empty mount point */
    connect_agent(w);
    assert_true(in_state(w, "window"));
    assert_int_equal(rmdir(w->data), 0); /* nothing was put there */
    assert_int_equal(rename(away, w->data), 0);
    AWAIT(w, in_data(w, "standby.signal") && !in_state(w, "window"));
    assert_parked(w);
}

STORY(postgresql_does_not_outlive_its_dead_man) {
    start_primary(w);
    pid_t postmaster = (pid_t)w->last.postmaster_pid;
    kill_deadman(w);
    AWAIT(w, !process_lives(postmaster));
    connect_agent(w);
    assert_parked(w);
}

/* The orphan may still unlink standby.signal after the new dead-man has put it back. */
STORY(an_orphan_of_a_guard_is_watched_to_its_end) {
    start_standby(w);
    guard(w, true);
    w->orphan = (pid_t)w->last.postmaster_pid;
    kill(w->orphan, SIGSTOP);
    kill_deadman(w);
    remove_in_data(w, "standby.signal");
    connect_agent(w);
    assert_true(w->last.guard);
    assert_true(in_data(w, "standby.signal"));
    remove_in_data(w, "standby.signal");
    AWAIT(w, in_data(w, "standby.signal"));
    struct deadman_request r = start_request(w, false);
    assert_false(request(w, &r));
    kill(w->orphan, SIGCONT);
    AWAIT(w, !w->last.guard);
    assert_false(process_lives(w->orphan));
    assert_parked(w);
}

/* --- a directory that goes while PostgreSQL runs in it -------------------------------------------------------- */

/* Again, as long as PostgreSQL makes new files there. */
static void remove_data(struct world *w) {
    AWAIT(w, run_as(false, NULL, (const char *const[]){"/bin/rm", "-rf", w->data, NULL}) == 0 && !file_exists(w->data));
}

/* All at once, as a mount does, and without standby.signal. */
static void put_other_data(const struct world *w) {
    char fresh[400], signal_file[440];
    snprintf(fresh, sizeof fresh, "%s.fresh", w->data);
    snprintf(signal_file, sizeof signal_file, "%s/standby.signal", fresh);
    assert_int_equal(RUN(NULL, "/bin/cp", "-a", cluster, fresh), 0);
    assert_int_equal(unlink(signal_file), 0);
    assert_int_equal(rename(fresh, w->data), 0);
}

STORY(a_directory_that_was_removed_leaves_nothing_to_be_put_back) {
    start_primary(w);
    remove_data(w);
    assert_true(command(w, DEADMAN_KILL));
    AWAIT(w, command(w, DEADMAN_HELLO) && w->last.descendants == 0);
    assert_int_equal(RUN(NULL, "/bin/cp", "-a", cluster, w->data), 0);
    start_standby(w);
    stop(w);
    assert_parked(w);
}

STORY(a_directory_that_was_made_anew_is_a_standby_when_postgresql_ends) {
    start_primary(w);
    remove_data(w);
    put_other_data(w);
    assert_true(command(w, DEADMAN_KILL));
    AWAIT(w, in_data(w, "standby.signal"));
    assert_parked(w);
}

STORY(a_window_in_a_directory_that_went_is_closed_when_it_is_back) {
    start_in_open_window(w);
    remove_data(w);
    assert_true(command(w, DEADMAN_KILL));
    assert_int_equal(mkdir(w->data, 0700), 0);
    struct deadman_request r = start_request(w, false);
    assert_false(request(w, &r)); /* an empty mount point: nothing is started there, and nothing put there */
    assert_true(in_state(w, "window"));
    assert_int_equal(rmdir(w->data), 0);
    put_other_data(w);
    AWAIT(w, in_data(w, "standby.signal") && !in_state(w, "window"));
    assert_parked(w);
}

/* --- starts that are not ours --------------------------------------------------------------------------------- */

STORY(a_start_by_hand_in_the_middle_of_a_promotion_is_refused_by_postgresql) {
    bool ran;
    start_standby(w);
    guard(w, true);
    w->orphan = (pid_t)w->last.postmaster_pid;
    kill(w->orphan, SIGSTOP);
    kill_deadman(w);
    kill(w->orphan, SIGKILL);
    STRBUF none = {0};
    AWAIT(w, RUN(&none, BIN "/pg_ctl", "-D", w->data, "status") == 3);
    remove_in_data(w, "standby.signal");
    AWAIT(w, hand_start_is_harmless(w, &ran));
    assert_false(ran);
    connect_agent(w);
    AWAIT(w, command(w, DEADMAN_HELLO) && !w->last.guard);
    assert_parked(w);
}

/* --- the conversation ----------------------------------------------------------------------------------------- */

STORY(a_newer_agent_ends_the_older_connection) {
    struct world older = *w;
    w->agent = NULL;
    connect_agent(w);
    assert_int_equal(w->last.pid, older.deadman_pid);
    for (int i = 0; i < 100 && deadman_alive(older.agent); i++)
        listen_once(&older, 100);
    assert_false(deadman_alive(older.agent));
    assert_int_equal(deadman_send(older.agent, &(struct deadman_request){.command = DEADMAN_HELLO}), 0);
    deadman_disconnect(older.agent);
    assert_true(command(w, DEADMAN_HELLO));
}

STORY(sigterm_ends_it_only_when_nothing_runs) {
    start_standby(w);
    kill((pid_t)w->deadman_pid, SIGTERM);
    listen_once(w, 300);
    assert_true(command(w, DEADMAN_HELLO));
    stop(w);
    kill((pid_t)w->deadman_pid, SIGTERM);
    AWAIT(w, !deadman_alive(w->agent));
}

STORY(a_state_directory_with_a_long_path_will_do) {
    struct world other = *w;
    size_t used = strlen(w->state);
    memset(other.state + used, 'x', 150);
    other.state[used] = '/';
    other.state[used + 150] = 0;
    struct err err;
    assert_true(file_mkdirs(other.state, 0700, &err));
    other.agent = NULL;
    connect_agent(&other);
    assert_int_not_equal(other.deadman_pid, w->deadman_pid);
    assert_true(command(&other, DEADMAN_LEAVE));
    AWAIT(&other, !deadman_alive(other.agent));
    deadman_disconnect(other.agent);
}

STORY(only_one_runs_for_a_state_directory) {
    STRBUF out = {0};
    int code = run_as(false, &out, (const char *const[]){self, "--state-dir", w->state, NULL});
    assert_int_equal(code, 1);
    assert_non_null(strstr(out.at, "another dead-man"));
    assert_true(command(w, DEADMAN_HELLO));
}

int main(int argc, char **argv) {
    if (argc > 2 && str_eq(argv[1], "--state-dir"))
        return deadman_run(argv[2], NULL);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    signal(SIGPIPE, SIG_IGN);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_standby_starts_and_stops),
        TEST(a_primary_starts_and_its_directory_is_a_standby_again),
        TEST(a_start_needs_its_permission),
        TEST(a_directory_in_which_another_postgresql_works_is_refused),
        TEST(a_program_that_cannot_run_leaves_a_standby),
        TEST(a_crashed_directory_comes_up_as_the_primary_that_it_should_be),
        TEST(a_directory_that_crashed_in_recovery_comes_up_as_primary_too),
        TEST(postgresql_inherits_nothing_of_the_dead_mans_privileges),
        TEST(without_its_agent_a_primary_ends_at_the_deadline_with_every_backend),
        TEST(a_deadline_that_moves_forward_keeps_it_running),
        TEST(the_first_deadline_is_a_fast_stop),
        TEST(a_start_after_the_deadline_struck_begins_anew),
        cmocka_unit_test(a_blocked_loop_does_not_hold_up_the_deadline),
        TEST(a_killed_postmaster_leaves_a_busy_backend_and_kill_leaves_none),
        TEST(a_program_that_hid_in_its_own_session_is_killed_too),
        TEST(a_stopped_postmaster_is_killed_too),
        TEST(a_guarded_promotion_ends_with_standby_signal_only),
        TEST(a_guard_taken_off_leaves_a_standby),
        TEST(a_postmaster_that_dies_under_guard_leaves_a_standby),
        TEST(a_promotion_killed_at_any_moment_leaves_a_standby),
        TEST(a_promotion_by_hand_is_put_right_when_it_ends),
        TEST(a_dead_man_killed_in_a_window_is_succeeded_by_one_that_closes_it),
        TEST(a_window_in_a_directory_that_is_not_mounted_yet_is_closed_when_it_is),
        TEST(postgresql_does_not_outlive_its_dead_man),
        TEST(a_directory_that_was_removed_leaves_nothing_to_be_put_back),
        TEST(a_directory_that_was_made_anew_is_a_standby_when_postgresql_ends),
        TEST(a_window_in_a_directory_that_went_is_closed_when_it_is_back),
        TEST(an_orphan_of_a_guard_is_watched_to_its_end),
        TEST(a_start_by_hand_in_the_middle_of_a_promotion_is_refused_by_postgresql),
        TEST(a_newer_agent_ends_the_older_connection),
        TEST(sigterm_ends_it_only_when_nothing_runs),
        TEST(a_state_directory_with_a_long_path_will_do),
        TEST(only_one_runs_for_a_state_directory),
    };
    return cmocka_run_group_tests_name("deadman", tests, make_cluster, remove_cluster);
}
