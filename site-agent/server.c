/* PostgreSQL as seen from here: the dead-man's status, pg_control, the facts that the server tells, and the
 * configuration it shall have. Observing only, except for the configuration files. */
#include "site-agent/server.h"
#include "rt/clock.h"
#include "rt/proc.h"
#include "site-agent/agent.h"
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <unistd.h>

/* ---- the dead-man ---- */

static void forget_postmaster(struct server *s) {
    if (s->postmaster_fd >= 0)
        close(s->postmaster_fd);
    s->postmaster_fd = -1;
    s->postmaster_fd_pid = 0;
    s->postmaster_over = false;
}

static void watch_postmaster(struct server *s) {
    if (s->postmaster_fd_pid == s->status.postmaster_pid)
        return;
    s->lives += s->postmaster_fd_pid > 0;
    forget_postmaster(s);
    s->facts_boot_ms = s->probe_boot_ms = s->timeline_seen = 0; /* what the last one said is void */
    s->promote_sent_ms = 0;
    pg_session_reset(s->main);
    pg_session_reset(s->probe);
    if (s->status.postmaster_pid) {
        s->postmaster_fd = proc_pidfd_open((pid_t)s->status.postmaster_pid);
        s->postmaster_fd_pid = s->status.postmaster_pid;
    }
}

#define BACK_OFF_FIRST_MS 500
#define BACK_OFF_LAST_MS 30000
static void note_failed_start(struct server *s, const char *why) {
    s->start_failed = true;
    s->back_off_ms = s->back_off_ms ? s->back_off_ms * 2 : BACK_OFF_FIRST_MS;
    if (s->back_off_ms > BACK_OFF_LAST_MS)
        s->back_off_ms = BACK_OFF_LAST_MS;
    s->back_off_until_ms = clock_boot_ms() + s->back_off_ms;
    log_warning("PostgreSQL did not start", F_STR("reason", why), F_INT("next_try_ms", s->back_off_ms));
}

void server_event(void *agent, const struct deadman_status *status) {
    struct agent *a = agent;
    struct server *s = &a->server;
    int64_t was = s->status.postmaster_pid;
    bool first = !s->status_known;
    if (status->id && !status->ok && status->error[0])
        log_warning("the dead-man refused", F_STR("reason", status->error));
    if (status->id && status->id == s->start_id) {
        s->start_id = 0;
        if (!status->ok)
            note_failed_start(s, status->error);
    }
    s->status = *status;
    s->status_known = true;
    s->lost_deadman_ms = 0;
    if (!first && was && !status->postmaster_pid) {
        log_info("PostgreSQL ended", F_INT("pid", was), F_INT("status", status->last_exit));
        char why[320];
        snprintf(why, sizeof why, "it ended by itself; %s/postgresql.log says why", a->config.postgresql.log);
        if (!s->stop_sent_boot_ms || s->stop_pid != was)
            note_failed_start(s, why);
    }
    watch_postmaster(s);
}

/* The dead-man kills a little before the lease ends: taking the last process off the machine needs time, too. */
#define KILL_MARGIN_MS 200
void server_set_deadline(struct agent *a) {
    struct server *s = &a->server;
    if (!s->deadman || !s->status_known || !a->site || s->start_id)
        return; /* a start brings its own deadline, and is answered first */
    bool primary = (s->status.postmaster_pid && s->status.started_primary) || s->status.guard;
    if (primary && !a->lease.deadline_ms)
        return; /* not led since this agent started: what the dead-man holds from before stands */
    if (primary && !a->lease.holding)
        return; /* what the dead-man has was a holder's word; ours is worth less */
    int64_t kill_ms = primary ? a->lease.deadline_ms - KILL_MARGIN_MS : 0;
    if (kill_ms == s->deadline_sent_ms)
        return;
    struct deadman_request r = {.command = DEADMAN_DEADLINE, .kill_boot_ms = kill_ms,
                                .fast_boot_ms = primary ? a->lease.deadline_ms - agent_stop_time_ms(a) : 0};
    if (deadman_send(s->deadman, &r))
        s->deadline_sent_ms = kill_ms;
}

#define DEADMAN_RETRY_MS 5000
static void connect_deadman(struct agent *a) {
    struct server *s = &a->server;
    if (s->deadman && deadman_alive(s->deadman))
        return;
    if (s->deadman) {
        log_error("the dead-man is gone", F_INT("postmaster", s->status.postmaster_pid));
        deadman_disconnect(s->deadman);
        s->deadman = NULL;
        s->status_known = false;
        s->status = (struct deadman_status){0};
        s->deadline_sent_ms = s->start_id = 0;
        s->lost_deadman_ms = clock_boot_ms();
        watch_postmaster(s);
    }
    int64_t now_ms = clock_boot_ms();
    if (now_ms < s->deadman_retry_ms)
        return;
    struct err err = {0};
    if (!deadman_connect(a->config.state_dir, a->deadman_binary, server_event, a, &s->deadman, &err)) {
        agent_log_step(a, "reach the dead-man", &err);
        s->deadman_retry_ms = clock_boot_ms() + DEADMAN_RETRY_MS; /* each try can take seconds */
        return;
    }
    struct deadman_request hello = {.command = DEADMAN_HELLO};
    deadman_send(s->deadman, &hello);
}

/* ---- what the server tells ---- */

/* A standby tells the timeline that it receives only while somebody sends, but it does not go back to an older one. */
static void keep_timeline(struct server *s) {
    if (s->facts.timeline < s->timeline_seen)
        s->facts.timeline = s->timeline_seen;
    s->timeline_seen = s->facts.timeline;
}

/* A server that says it is shutting down, without our having asked it in this process: it should be gone soon. */
static void note_ending(struct server *s, const struct pg_result *result) {
    bool ending = !result->ok && str_eq(result->sqlstate, "57P03") && strstr(result->err.text, "shutting down");
    if (!ending)
        s->ending_since_ms = 0;
    else if (!s->ending_since_ms)
        s->ending_since_ms = clock_boot_ms();
}

static void on_facts(void *context, const struct pg_result *result) {
    struct agent *a = context;
    struct server *s = &a->server;
    s->facts_running = false;
    struct err err = {0};
    LARGE_LOCAL struct pg_facts facts;
    note_ending(s, result);
    if (!result->ok || !result->text || !pg_facts_parse(result->text, result->text_len, &facts, &err))
        return;
    if (s->facts.in_recovery && !facts.in_recovery)
        s->writable_wall_ms = clock_wall_ms();
    s->facts = facts;
    keep_timeline(s);
    s->facts_boot_ms = clock_boot_ms();
    if (s->start_failed && s->facts_boot_ms - s->status.postmaster_started_boot_ms > BACK_OFF_LAST_MS) {
        s->start_failed = false;
        s->back_off_ms = 0;
    }
}

static void on_probe(void *context, const struct pg_result *result) {
    struct server *s = &((struct agent *)context)->server;
    s->probe_running = false;
    if (result->ok || str_eq(result->sqlstate, "53300")) /* too many clients: alive */
        s->probe_boot_ms = clock_boot_ms();
}

#define FACTS_DEADLINE_MS 3000
#define PROBE_EVERY_MS 5000
#define FACTS_IDLE_MS 500
static void ask_server(struct agent *a, int64_t now_ms) {
    struct server *s = &a->server;
    int64_t every_ms = a->plan.wake_ms < FACTS_IDLE_MS ? a->plan.wake_ms : FACTS_IDLE_MS;
    if (!s->facts_running && now_ms - s->facts_asked_ms >= every_ms) {
        s->facts_running = true;
        s->facts_asked_ms = now_ms;
        pg_session_query(s->main, pg_facts_sql, NULL, 0, now_ms + FACTS_DEADLINE_MS, on_facts, a);
    }
    if (!s->probe_running && now_ms - s->probe_asked_ms >= PROBE_EVERY_MS) {
        s->probe_running = true;
        s->probe_asked_ms = now_ms;
        pg_session_reset(s->probe); /* a new connection is the point */
        pg_session_query(s->probe, "SELECT 1", NULL, 0, now_ms + FACTS_DEADLINE_MS, on_probe, a);
    }
}

void server_step(struct agent *a) {
    struct server *s = &a->server;
    int64_t now_ms = clock_boot_ms();
    connect_deadman(a);
    if (s->deadman)
        deadman_step(s->deadman);
    if (!a->member)
        return;
    struct err err = {0};
    s->control_ok = pg_control_read(a->member->postgresql.data_dir, &s->control, &err);
    str_copy(s->control_error, sizeof s->control_error, s->control_ok ? "" : err.text);
    if (s->control_ok && s->control.state == PG_IN_PRODUCTION && s->status.postmaster_pid)
        s->production_pid = s->status.postmaster_pid;
    if (s->status.postmaster_pid && !s->stop_sent_for_running)
        ask_server(a, now_ms);
    pg_session_step(s->main, now_ms);
    pg_session_step(s->probe, now_ms);
    server_set_deadline(a);
}

/* An established and a new connection have both answered lately. The new one is asked less often. */
bool server_answers(const struct agent *a, int64_t now_ms) {
    const struct server *s = &a->server;
    bool probe_fine = !s->probe_boot_ms ? now_ms - s->status.postmaster_started_boot_ms < 2 * PROBE_EVERY_MS
                                        : now_ms - s->probe_boot_ms < 3 * PROBE_EVERY_MS;
    return s->status.postmaster_pid && s->facts_boot_ms && now_ms - s->facts_boot_ms < FACTS_DEADLINE_MS && probe_fine;
}

void server_signal_child(const struct agent *a, int64_t pid, int signal_number) {
    uint64_t start_ticks;
    char state;
    pid_t parent;
    int64_t postmaster = a->server.postmaster_fd_pid;
    if (pid > 1 && postmaster > 1 && proc_stat((pid_t)pid, &start_ticks, &state, &parent) && parent == (pid_t)postmaster)
        kill((pid_t)pid, signal_number);
}

/* ---- its configuration ---- */

bool server_target_wanted(const struct agent *a) {
    const struct order *o = &a->records.order;
    bool opening = o->role == SITE_PRIMARY && o->kind != ORDER_BIRTH && epoch_compare(&a->records.vote.opened, &o->epoch) < 0;
    return a->records.has_order && ((o->kind == ORDER_PREPARE && o->target) || opening);
}

static void floors_from_control(const struct server *s, struct pg_config_input *in) {
    if (!s->control_ok)
        return;
    in->least_max_connections = s->control.max_connections;
    in->least_max_worker_processes = s->control.max_worker_processes;
    in->least_max_wal_senders = s->control.max_wal_senders;
    in->least_max_prepared_transactions = s->control.max_prepared_transactions;
    in->least_max_locks_per_transaction = s->control.max_locks_per_transaction;
}

static void from_topology(const struct agent *a, struct pg_config_input *in) {
    const struct topology_postgresql *p = &a->member->postgresql;
    str_copy(in->cluster, sizeof in->cluster, a->config.cluster);
    str_copy(in->member, sizeof in->member, a->config.member);
    in->major = p->version;
    str_copy(in->data_dir, sizeof in->data_dir, p->data_dir);
    snprintf(in->config_dir, sizeof in->config_dir, "%s/postgresql", a->config.state_dir);
    char run[300];
    snprintf(run, sizeof run, "%s/run", a->config.state_dir);
    str_copy(in->socket_dir, sizeof in->socket_dir, run); /* its length was checked with the configuration */
    str_copy(in->host, sizeof in->host, a->member->host);
    in->port = a->member->port;
    in->parameter_count = p->parameter_count;
    memcpy(in->parameters, p->parameters, p->parameter_count * sizeof p->parameters[0]);
    in->pg_hba_count = p->pg_hba_count;
    memcpy(in->pg_hba, p->pg_hba, p->pg_hba_count * sizeof p->pg_hba[0]);
    str_copy(in->certificate, sizeof in->certificate, a->config.replication.certificate);
    str_copy(in->key, sizeof in->key, a->config.replication.key);
    str_copy(in->ca, sizeof in->ca, a->config.tls.ca);
    str_copy(in->os_user, sizeof in->os_user, a->config.postgresql.os_user);
    str_copy(in->agent_user, sizeof in->agent_user, a->config.agent_user);
    str_copy(in->restore_command, sizeof in->restore_command, a->site->standby.restore_command);
    in->slot_wal_max_bytes = a->topology->slot_wal_max;
}

/* A directory may change hands between two lives of its server: somebody promotes it, and it is killed for that. */
bool server_is_proved(const struct agent *a, const char *key) {
    const struct attachment *at = &a->attachment;
    return at->verdict == ATTACH_OK && str_eq(at->key, key) && at->lives == a->server.lives;
}

/* Its history and the source's were found to part. It may have got there by streaming: from a server that somebody promoted. */
static bool is_diverged(const struct agent *a, const char *key) {
    const struct attachment *at = &a->attachment;
    return (at->verdict == ATTACH_REWIND || at->verdict == ATTACH_RECLONE) && str_eq(at->key, key) && at->lives == a->server.lives;
}

/* Streams only from a history that the comparison has proved (4.3), or stays with what it has. Whoever is known to have other
 * rows under the same numbers follows nobody: PostgreSQL would stream over them without a word. */
static void choose_upstream(struct agent *a, struct pg_config_input *in, char *target, size_t size) {
    LARGE_LOCAL struct upstream up;
    upstream_of(a, &up);
    bool leads = lease_valid(&a->lease, clock_boot_ms());
    bool proved = up.known && server_is_proved(a, up.key);
    bool stays = a->server.applied_known && !is_diverged(a, up.key) && ((!leads && !up.wanted) || (up.wanted && str_eq(a->server.applied_target, up.target)));
    if (proved) {
        str_copy(in->primary_conninfo, sizeof in->primary_conninfo, up.conninfo);
        str_copy(in->primary_slot_name, sizeof in->primary_slot_name, up.slot);
        str_copy(target, size, up.target);
    } else if (stays) {
        str_copy(in->primary_conninfo, sizeof in->primary_conninfo, a->server.applied.primary_conninfo);
        str_copy(in->primary_slot_name, sizeof in->primary_slot_name, a->server.applied.primary_slot_name);
        str_copy(target, size, a->server.applied_target);
    }
}

/* The agent has just come back to a server that streams, and nothing tells yet from whom it should: it stays as it is. */
static bool knows_less(struct agent *a) {
    LARGE_LOCAL struct upstream up;
    const struct server *s = &a->server;
    if (s->applied_known || !s->status.postmaster_pid || !str_eq(s->facts.receiver_status, "streaming"))
        return false;
    upstream_of(a, &up);
    return !up.wanted;
}

/* True when what the server should have differs from what was written last; with `write` it is written and reloaded. */
bool server_configure(struct agent *a, bool write) {
    struct server *s = &a->server;
    LARGE_LOCAL struct pg_config_input wish;
    char target[TARGET_MAX] = "";
    if (knows_less(a))
        return false;
    memset(&wish, 0, sizeof wish);
    from_topology(a, &wish);
    floors_from_control(s, &wish);
    choose_upstream(a, &wish, target, sizeof target);
    wish.ready_for_promotion = lease_valid(&a->lease, clock_boot_ms()) && server_target_wanted(a);
    STRBUF text = {0};
    pg_config_postgresql(&wish, &text);
    pg_config_hba(&wish, &text);
    bool differs = !s->applied_known || !str_eq(text.at, s->applied_text.at);
    if (!write || !differs)
        return differs;
    bool changed = false, restart = false;
    struct err err = {0};
    if (!pg_config_write(&wish, (uid_t)a->config.uid, (gid_t)a->config.gid, &changed, &restart, &err)) {
        agent_log_step(a, "write the server's configuration", &err);
        return true;
    }
    s->applied = wish;
    s->applied_known = true;
    str_copy(s->applied_target, sizeof s->applied_target, target);
    strbuf_reset(&s->applied_text);
    strbuf_add(&s->applied_text, text.at);
    s->restart_pending |= restart && s->status.postmaster_pid;
    if (s->postmaster_fd >= 0)
        proc_pidfd_signal(s->postmaster_fd, SIGHUP);
    s->facts_asked_ms = 0;
    log_info("configuration written", F_STR("follows", target[0] ? target : "nobody"));
    return false;
}
