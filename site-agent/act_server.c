/* Steps on PostgreSQL: start, stop, promote, follow. The one start function is the dead-man's; here its preconditions
 * are laid down: configuration outside the directory, nothing of a former life in postgresql.auto.conf, the mark of an
 * authorised start (protocol 4.1). */
#include "rt/clock.h"
#include "rt/proc.h"
#include "site-agent/agent.h"
#include "site-agent/deadman/deadman_tree.h"
#include "site-agent/lineage.h"
#include "site-agent/server.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>

static bool write_as_server(const struct agent *a, const char *name, struct err *err) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", a->member->postgresql.data_dir, name);
    return file_write_as(path, "", 0, 0600, (uid_t)a->config.uid, (gid_t)a->config.gid, err);
}

/* ---- start ---- */

static bool write_mark(const struct agent *a, struct err *err) {
    char path[512], text[EPOCH_TEXT_MAX];
    epoch_format(&a->records.order.epoch, text);
    snprintf(path, sizeof path, "%s/authorised-start", a->config.state_dir);
    return file_write(path, text, strlen(text), 0600, err);
}

static bool make_server_dirs(const struct agent *a, struct err *err) {
    char run[512];
    snprintf(run, sizeof run, "%s/run", a->config.state_dir);
    return file_mkdirs_as(run, 0755, (uid_t)a->config.uid, (gid_t)a->config.gid, err) &&
           file_mkdirs_as(a->config.postgresql.log, 0750, (uid_t)a->config.uid, (gid_t)a->config.gid, err);
}

static void send_start(struct agent *a, bool primary, const struct pg_argv *argv) {
    struct server *s = &a->server;
    LARGE_LOCAL struct deadman_request r;
    memset(&r, 0, sizeof r);
    r.command = DEADMAN_START;
    r.primary = primary;
    r.uid = a->config.uid;
    r.gid = a->config.gid;
    str_copy(r.data_dir, sizeof r.data_dir, a->member->postgresql.data_dir);
    snprintf(r.log_path, sizeof r.log_path, "%s/postgresql.log", a->config.postgresql.log);
    for (; argv->argv[r.argv_count]; r.argv_count++)
        str_copy(r.argv[r.argv_count], sizeof r.argv[0], argv->argv[r.argv_count]);
    if (primary) {
        r.kill_boot_ms = a->lease.deadline_ms - 200;
        r.fast_boot_ms = a->lease.deadline_ms - agent_stop_time_ms(a);
    }
    s->start_id = deadman_send(s->deadman, &r); /* until it is answered, or the connection is gone, a server may be coming up */
    s->starting_primary = primary;
    s->deadline_sent_ms = r.kill_boot_ms;
    s->restart_pending = s->stop_sent_for_running = false;
    s->stop_sent_boot_ms = 0;
}

static void start(struct agent *a, bool primary) {
    struct err err = {0};
    struct pg_argv argv;
    if (primary && !lease_valid(&a->lease, clock_boot_ms() + agent_stop_time_ms(a)))
        return;
    a->server.applied_known = false; /* a server at rest is configured anew, whatever was written before */
    server_configure(a, true);
    if (!a->server.applied_known)
        return;
    bool fine = make_server_dirs(a, &err) && pg_config_strip_auto(a->member->postgresql.data_dir, &err) &&
                pg_config_argv(a->config.postgresql.bin_dir, &a->server.applied, &argv, &err) && (!primary || write_mark(a, &err));
    if (!fine) {
        agent_log_step(a, "start PostgreSQL", &err);
        return;
    }
    log_info(primary ? "starting PostgreSQL as primary" : "starting PostgreSQL in recovery", F_STR("follows", a->server.applied_target));
    send_start(a, primary, &argv);
}

/* ---- stop ---- */

/* Every PostgreSQL process that works in our directory, by whomever it was started. */
#define KILL_DIRECTLY_MAX 1024
static void kill_directly(const struct agent *a) {
    FILE_AUTO int directory = open(a->member->postgresql.data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pid_t pid = 0;
    for (int i = 0; i < KILL_DIRECTLY_MAX && directory >= 0 && (pid = deadman_tree_stranger(directory)) > 0; i++)
        kill(pid, SIGKILL);
}

#define KILL_AGAIN_MS 1000
static void send_kill(struct agent *a) {
    struct server *s = &a->server;
    int64_t now_ms = clock_boot_ms();
    if (s->kill_sent_ms && now_ms - s->kill_sent_ms < KILL_AGAIN_MS)
        return;
    bool again = s->kill_sent_ms && now_ms - s->kill_sent_ms < 3 * KILL_AGAIN_MS;
    s->kill_sent_ms = now_ms;
    struct deadman_request r = {.command = DEADMAN_KILL};
    if (!s->deadman || !deadman_send(s->deadman, &r) || again)
        kill_directly(a); /* no dead-man, or one that does not do it */
    log_warning("every process of PostgreSQL is killed", F_INT("postmaster", s->status.postmaster_pid));
}

static pid_t foreign_pid(const struct agent *a) {
    char path[512];
    STRBUF text = {0};
    struct err err = {0};
    snprintf(path, sizeof path, "%s/postmaster.pid", a->member->postgresql.data_dir);
    return file_read(path, 4096, &text, &err) && text.at ? (pid_t)strtol(text.at, NULL, 10) : 0;
}

static void signal_postmaster(struct agent *a, int number) {
    struct server *s = &a->server;
    if (s->postmaster_fd >= 0)
        proc_pidfd_signal(s->postmaster_fd, number);
    else if (a->view.foreign && foreign_pid(a) > 1)
        kill(foreign_pid(a), number);
}

static void note_stop(struct server *s, int64_t pid) {
    s->stop_pid = pid;
    s->stop_sent_boot_ms = clock_boot_ms();
    s->stop_sent_wall_ms = clock_wall_ms();
    s->stop_sent_for_running = true;
}

/* A fast stop; if it has not ended within the lease's stop time, everything is killed. */
static void stop(struct agent *a) {
    struct server *s = &a->server;
    int64_t pid = s->status.postmaster_pid ? s->status.postmaster_pid : a->view.foreign ? foreign_pid(a) : 0, now_ms = clock_boot_ms();
    if (!pid)
        return; /* just being started: a stop finds it at the next tick */
    if (!s->stop_sent_boot_ms || s->stop_pid != pid) {
        note_stop(s, pid);
        log_warning("fast stop of PostgreSQL", F_INT("postmaster", pid), F_STR("rule", a->plan.rules[CONCERN_ROLE]->id));
        signal_postmaster(a, SIGINT);
    } else if (now_ms - s->stop_sent_boot_ms > agent_stop_time_ms(a)) {
        send_kill(a);
    }
}

#define LOGICAL_BUDGET_MS 100 /* healthy subscribers are drained by a fast stop; they get this long */
#define NUDGE_EVERY_MS 10
static void note_walsenders(struct server *s) {
    s->walsender_count = 0;
    for (uint32_t i = 0; i < s->facts.sender_count; i++)
        if (s->facts.senders[i].logical)
            s->walsenders[s->walsender_count++] = s->facts.senders[i].pid;
}

/* A logical walsender that is stuck sending needs a second SIGTERM, and more do no harm. */
static void nudge_walsenders(struct agent *a, int64_t now_ms) {
    struct server *s = &a->server;
    if (now_ms - s->stop_sent_boot_ms < LOGICAL_BUDGET_MS || now_ms - s->stop_nudged_ms < NUDGE_EVERY_MS)
        return;
    s->stop_nudged_ms = now_ms;
    for (uint32_t i = 0; i < s->walsender_count; i++)
        server_signal_child(a, s->walsenders[i], SIGTERM);
}

/* The stop request first, so that nobody can come back; then the walsenders (postgres.md, stop and hand over). */
static void stop_ordered(struct agent *a) {
    struct server *s = &a->server;
    bool sent = str_eq(s->stop_order, a->records.order_hash) && s->stop_pid == s->status.postmaster_pid;
    if (!lease_valid(&a->lease, clock_boot_ms()) || !s->status.postmaster_pid)
        return;
    if (sent) {
        nudge_walsenders(a, clock_boot_ms());
        return;
    }
    note_walsenders(s);
    note_stop(s, s->status.postmaster_pid);
    str_copy(s->stop_order, sizeof s->stop_order, a->records.order_hash);
    signal_postmaster(a, SIGINT);
    log_info("stop requested for the hand-over", F_STR("order", s->stop_order), F_INT("logical_walsenders", s->walsender_count));
}

/* ---- promote ---- */

static void on_command(void *context, const struct pg_result *result) {
    struct agent *a = context;
    a->server.command_running = false;
    a->server.facts_asked_ms = 0;
    if (!result->ok)
        agent_log_step(a, "command to PostgreSQL", &result->err);
}

static void run_command(struct agent *a, const char *sql, int64_t deadline_ms) {
    if (a->server.command_running)
        return;
    a->server.command_running = true;
    pg_session_query(a->server.main, sql, NULL, 0, clock_boot_ms() + deadline_ms, on_command, a);
}

/* In this order: the dead-man has the deadline, puts recovery.signal there, which makes a start by hand impossible, and
 * watches for the moment without standby.signal; then the trigger. */
#define GUARD_AGAIN_MS 1000
#define PROMOTE_AGAIN_MS 3000
static void promote(struct agent *a) {
    struct server *s = &a->server;
    if (!lease_valid(&a->lease, clock_boot_ms() + agent_stop_time_ms(a)))
        return;
    if (!s->status.guard && !s->status.started_primary) {
        if (s->guard_sent_pid == s->status.postmaster_pid && clock_boot_ms() - s->guard_sent_ms < GUARD_AGAIN_MS)
            return;
        struct deadman_request guard = {.command = DEADMAN_GUARD, .on = true, .kill_boot_ms = a->lease.deadline_ms - 200,
                                        .fast_boot_ms = a->lease.deadline_ms - agent_stop_time_ms(a), .uid = a->config.uid, .gid = a->config.gid};
        str_copy(guard.data_dir, sizeof guard.data_dir, a->member->postgresql.data_dir);
        s->guard_sent_ms = clock_boot_ms();
        if (deadman_send(s->deadman, &guard))
            s->guard_sent_pid = s->status.postmaster_pid;
        return;
    }
    if (s->command_running || (s->promote_sent_ms && clock_boot_ms() - s->promote_sent_ms < PROMOTE_AGAIN_MS))
        return; /* the trigger may be repeated: what has been promoted is out of recovery and not asked again */
    server_set_deadline(a);
    s->promote_sent_ms = clock_boot_ms();
    log_info("promoting PostgreSQL");
    run_command(a, "SELECT pg_promote(false)", PROMOTE_AGAIN_MS);
}

/* ---- the rest ---- */

static void on_checkpoint(void *context, const struct pg_result *result) {
    struct agent *a = context;
    on_command(context, result);
    if (result->ok)
        str_copy(a->server.checkpointed_order, sizeof a->server.checkpointed_order, a->records.order_hash);
}
static void checkpoint(struct agent *a) {
    if (a->server.command_running)
        return;
    a->server.command_running = true;
    pg_session_query(a->server.main, "CHECKPOINT", NULL, 0, clock_boot_ms() + 300000, on_checkpoint, a);
}

/* Least rights: what the agent asks of a server, and nothing of the users' data. */
static const char roles_sql[] =
    "DO $$ BEGIN\n"
    "IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgregent') THEN CREATE ROLE pgregent LOGIN REPLICATION; END IF;\n"
    "IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgregent_repl') THEN CREATE ROLE pgregent_repl LOGIN REPLICATION; END IF;\n"
    "GRANT pg_monitor, pg_checkpoint TO pgregent;\n"
    "GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer), pg_wal_replay_pause(), pg_wal_replay_resume(), pg_reload_conf() TO pgregent;\n"
    "END $$";
static void on_roles(void *context, const struct pg_result *result) {
    struct agent *a = context;
    a->server.setup_running = false;
    a->server.roles_made = result->ok;
    if (!result->ok)
        agent_log_step(a, "create the database roles", &result->err);
}
static void create_roles(struct agent *a) {
    struct server *s = &a->server;
    if (s->setup_running)
        return;
    s->setup_running = true;
    pg_session_query(s->setup, roles_sql, NULL, 0, clock_boot_ms() + 5000, on_roles, a);
}

void act_server(struct agent *a, enum step step) {
    struct err err = {0};
    bool fine = true;
    switch (step) {
    case STEP_CONFIGURE: server_configure(a, true); break;
    case STEP_PUT_SIGNAL: fine = write_as_server(a, "standby.signal", &err); break;
    case STEP_START_STANDBY: start(a, false); break;
    case STEP_START_PRIMARY: start(a, true); break;
    case STEP_STOP: stop(a); break;
    case STEP_STOP_ORDERED: stop_ordered(a); break;
    case STEP_KILL: send_kill(a); break;
    case STEP_CHECKPOINT: checkpoint(a); break;
    case STEP_PROMOTE: promote(a); break;
    case STEP_RECORD_LINEAGE: fine = lineage_record(a, &err); break;
    case STEP_CREATE_ROLES: create_roles(a); break;
    case STEP_TAKE: case STEP_RENEW: case STEP_CREATE_SITE: case STEP_ACCEPT: case STEP_REFUSE: case STEP_FORGET: case STEP_DECLINE:
    case STEP_INITDB: case STEP_COPY: case STEP_CANCEL_JOB: case STEP_CLEAN_COPY: case STEP_CHECK_ATTACH: case STEP_STORE_RECEIPT:
    case STEP_DROP_STOP: case STEP_ASK: case STEP_OPENED: case STEP_ASK_VOUCHERS: case STEP_CREATE_SLOTS: case STEP_ADVANCE_SLOTS:
    case STEP_DROP_SLOTS: case STEP_COUNT: break;
    }
    if (!fine)
        agent_log_step(a, step_names[step], &err);
}
