/* pgregent-agent: one beside every PostgreSQL. Reads its configuration, takes its state directory, starts the HTTP
 * thread, and goes round the loop until it is told to leave. */
#include "rt/clock.h"
#include "site-agent/agent.h"
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char usage[] =
    "usage: pgregent-agent --config FILE [--check-config]\n"
    "       pgregent-agent --version | --help\n"
    "\n"
    "Runs local high availability for one PostgreSQL member, in the foreground, logging to stderr.\n"
    "  --config FILE    the agent's configuration (docs/interface.md, Daemons)\n"
    "  --check-config   read it, check it, say what is wrong, start nothing\n"
    "SIGHUP rereads certificates; SIGTERM leaves PostgreSQL running under its dead-man for a restart within the lease.\n";

static int fail(const struct err *err, int code) {
    fprintf(stderr, "pgregent-agent: %s\n", err->text);
    return code;
}

/* The dead-man's binary lies beside this one. */
static bool find_binaries(struct agent *a, struct err *err) {
    ssize_t len = readlink("/proc/self/exe", a->self, sizeof a->self - 1);
    if (len <= 0)
        return err_set(err, ERR_IO, "/proc/self/exe cannot be read");
    a->self[len] = 0;
    char *slash = strrchr(a->self, '/');
    snprintf(a->deadman_binary, sizeof a->deadman_binary, "%.*s/pgregent-deadman", (int)(slash - a->self), a->self);
    if (access(a->deadman_binary, X_OK) != 0)
        return err_set(err, ERR_NOT_FOUND, "%s is missing: install it beside pgregent-agent", a->deadman_binary);
    return true;
}

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

/* Signals come by descriptor. SIGCHLD stays at its default: children are seen by pidfd. */
static int open_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void free_snapshot(const void *snapshot) {
    union {
        const void *in;
        void *out;
    } unconst = {snapshot};
    rt_free(unconst.out);
}

static bool start_http(struct agent *a, struct err *err) {
    struct http_server_options options = {
        .listeners = {{.address = a->config.listen, .tls = &a->config.tls, .client_certificates = true, .route = api_route},
                      {.address = a->config.health.listen, .route = health_route}},
        .listener_count = 2,
        .context = a,
        .snapshot_free = free_snapshot,
    };
    return http_server_start(&options, &a->http, err);
}

/* Protocol 1.6: a restarted agent goes on as holder only with its boot, its term and a dead-man whose deadline still
 * runs. The deadline that the dead-man holds is an earlier, so a safe, one. */
#define DEADMAN_HELLO_MS 2000
static void continue_hold(struct agent *a) {
    int64_t until_ms = clock_boot_ms() + DEADMAN_HELLO_MS;
    a->lease.seq_next = a->state.seq_reserved + 1;
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

/* An expired certificate never stops PostgreSQL: the lease must be renewed although no peer talks with us any more. */
static bool check_certificates(struct agent *a, struct err *err) {
    struct err expired = {0};
    if (tls_check(&a->config.tls, &expired))
        return true;
    if (!tls_usable(&a->config.tls, err))
        return false;
    log_error("no coordinator talks with this agent until its certificate is valid; PostgreSQL and its lease go on", F_STR("error", expired.text));
    return true;
}

static bool agent_open(struct agent *a, struct err *err) {
    a->server.postmaster_fd = -1;
    a->report = rt_alloc(sizeof *a->report);
    a->key = rt_alloc(sizeof *a->key);
    a->signal_fd = open_signals();
    if (!find_binaries(a, err) || !check_certificates(a, err) || !sign_key_load(a->config.signing_key, a->key, err) ||
        !state_open(a->config.state_dir, &a->state, &a->state_lock, err) || !http_client_new(&a->config.tls, &a->uplink.http, err))
        return false;
    a->certificate_expiry_wall_ms = tls_expiry_wall_ms(&a->config.tls);
    if (!records_load_marks(a, err) || !topology_load(a, err) || !start_http(a, err))
        return false;
    open_sessions(a);
    take_last_job(a);
    continue_hold(a);
    return true;
}

static void reload(struct agent *a) {
    struct err err = {0};
    a->reload = false;
    if (!tls_check(&a->config.tls, &err) || !http_client_reload(a->uplink.http, &a->config.tls, &err) || !http_server_reload(a->http, &err))
        log_error("certificates are not reloaded: the old ones stay", F_STR("error", err.text));
    else
        log_info("certificates reloaded");
    a->certificate_expiry_wall_ms = tls_expiry_wall_ms(&a->config.tls);
}

/* on_exit: leave. The lease is renewed once in full; the dead-man keeps the deadline. */
static void leave(struct agent *a) {
    if (lease_valid(&a->lease, clock_boot_ms()) && !a->swap_pending) {
        swap_renew(a);
        server_set_deadline(a);
        log_info("leaving: PostgreSQL runs on under its dead-man", F_INT("agent_must_be_back_within_ms", a->lease.deadline_ms - clock_boot_ms()));
    }
    if (a->job)
        job_free(a->job);
    if (a->server.deadman)
        deadman_disconnect(a->server.deadman);
    http_server_stop(a->http);
}

/* sd_notify(3) by hand: one datagram to the socket that systemd names. */
static void notify_systemd(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || !path[0] || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (address.sun_path[0] == '@')
        address.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
    close(fd);
}

static int run(struct agent *a) {
    struct err err = {0};
    if (!agent_open(a, &err))
        return fail(&err, 1);
    notify_systemd("READY=1");
    log_info("agent started", F_STR("version", PGREGENT_VERSION), F_STR("instance", a->state.instance));
    while (!a->stopping) {
        agent_tick(a);
        agent_wait(a);
        if (a->reload)
            reload(a);
        if (a->member && a->session_port != a->member->port)
            open_sessions(a);
    }
    leave(a);
    return 0;
}

int main(int argc, char **argv) {
    const char *config = NULL;
    bool check = false;
    if (argc == 3 && str_eq(argv[1], "job"))
        return job_main(argv[2]);
    for (int i = 1; i < argc; i++) {
        if (str_eq(argv[i], "--config") && i + 1 < argc)
            config = argv[++i];
        else if (str_eq(argv[i], "--check-config"))
            check = true;
        else if (str_eq(argv[i], "--version"))
            return printf("pgregent-agent %s\n", PGREGENT_VERSION) < 0;
        else if (str_eq(argv[i], "--help"))
            return fputs(usage, stdout) < 0;
        else
            return fprintf(stderr, "pgregent-agent: unknown argument \"%s\"\n%s", argv[i], usage), 2;
    }
    if (!config)
        return fputs(usage, stderr), 2;
    struct agent *a = rt_alloc(sizeof *a);
    struct err err = {0};
    if (!agent_config_read(config, &a->config, &err))
        return fail(&err, 2);
    if (check)
        return printf("%s: fine\n", config) < 0;
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* keys live in this process */
    umask(077);
    const struct log_field standing[] = {F_STR("site", a->config.site), F_STR("member", a->config.member), {0}};
    log_open("agent", (enum log_format)a->config.log.format, (enum log_level)a->config.log.level, standing);
    return run(a);
}
