/* The agent's life without its surroundings: what it finds at its start, one round of the loop, its leaving. Whoever calls
 * brings configuration, keys and an HTTP client (main.c), and with it the place to wait. */
#include "rt/clock.h"
#include "site-agent/agent.h"
#include <stdio.h>
#include <string.h>

static void open_sessions(struct agent *a) {
    STRBUF base = {0};
    char run[512];
    snprintf(run, sizeof run, "%s/run", a->config.state_dir);
    pg_conninfo_add(&base, "host", run);
    char port[16];
    snprintf(port, sizeof port, "%lld", (long long)(a->member ? a->member->port : 5432));
    pg_conninfo_add(&base, "port", port);
    pg_conninfo_add(&base, "dbname", "postgres");
    pg_conninfo_add(&base, "application_name", "pgregent-agent");
    pg_conninfo_add(&base, "gssencmode", "disable");
    STRBUF main_info = {0};
    STRBUF setup_info = {0};
    strbuf_addf(&main_info, "%s user=pgregent", base.at);
    strbuf_addf(&setup_info, "%s user=postgres", base.at);
    a->server.facts_running = a->server.probe_running = a->server.command_running = a->server.setup_running = false;
    pg_session_free(a->server.main);
    pg_session_free(a->server.probe);
    pg_session_free(a->server.setup);
    a->server.main = pg_session_new(main_info.at, 2000);
    a->server.probe = pg_session_new(main_info.at, 2000);
    a->server.setup = pg_session_new(setup_info.at, 2000);
    a->session_port = a->member ? a->member->port : 0;
}

/* Protocol 1.6: a restarted agent goes on as holder only with its boot, its term and a dead-man whose deadline still
 * runs. The deadline that the dead-man holds is an earlier, so a safe, one. */
#define DEADMAN_HELLO_MS 2000
static void continue_hold(struct agent *a) {
    int64_t until_ms = clock_boot_ms() + DEADMAN_HELLO_MS;
    a->topology_seq = a->lease.seq_next = a->state.seq_reserved + 1;
    while (a->store && clock_boot_ms() < until_ms && !a->server.status_known) {
        server_step(a);
        struct pollfd fd;
        size_t count = a->server.deadman ? deadman_pollfd(a->server.deadman, &fd) : 0;
        http_client_wait(a->uplink.http, &fd, count, 20);
    }
    int64_t deadline_ms = a->server.status.kill_boot_ms;
    if (!a->state.term_count || !a->server.status_known || deadline_ms <= clock_boot_ms() || !a->server.status.postmaster_pid)
        return;
    a->lease.holding = true;
    a->lease.term_count = a->state.term_count;
    str_copy(a->lease.term_random, sizeof a->lease.term_random, a->state.term_random);
    a->lease.deadline_ms = deadline_ms;
    a->former_stop_time_ms = a->server.status.fast_boot_ms ? deadline_ms - a->server.status.fast_boot_ms : 0; /* as the dead-man was told */
    log_info("goes on with the hold of the agent before", F_INT("ms_left", deadline_ms - clock_boot_ms()));
}

/* The agent before may have died between the end of a job and taking its result. */
static void take_last_job(struct agent *a) {
    struct job_result *last = &a->job_result;
    if (a->state.data_expected || !job_last_result(a->config.state_dir, last) || !last->ok)
        return;
    a->initdb_ready = last->kind == JOB_KIND_INITDB;
    if (last->kind == JOB_KIND_COPY && !a->state.lineage.count)
        job_keep_lineage(a, &last->lineage, true);
}

bool agent_begin(struct agent *a, struct err *err) {
    unsigned char random[8];
    clock_random(random, sizeof random);
    str_hex(a->life, random, sizeof random);
    a->server.postmaster_fd = -1;
    a->report = rt_alloc(sizeof *a->report);
    if (!state_open(a->config.state_dir, &a->state, &a->state_lock, err) || !records_load_marks(a, err) || !topology_load(a, err))
        return false;
    str_copy(a->lease.store_id, sizeof a->lease.store_id, a->state.store_id);
    open_sessions(a);
    take_last_job(a);
    continue_hold(a);
    return true;
}

void agent_round(struct agent *a) {
    agent_tick(a);
    agent_wait(a);
    if (a->member && a->session_port != a->member->port)
        open_sessions(a);
}

/* on_exit: leave. The lease is renewed once in full; the dead-man keeps the deadline. */
void agent_leave(struct agent *a) {
    if (lease_valid(&a->lease, clock_boot_ms()) && !a->swap_pending) {
        swap_renew(a);
        server_set_deadline(a);
        log_info("leaving: PostgreSQL runs on under its dead-man", F_INT("agent_must_be_back_within_ms", a->lease.deadline_ms - clock_boot_ms()));
    }
    if (a->job)
        job_free(a->job);
    if (a->server.deadman)
        deadman_disconnect(a->server.deadman);
}
