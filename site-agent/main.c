/* pgregent-agent: one beside every PostgreSQL. Reads its configuration, takes its state directory, starts the HTTP
 * thread, and goes round the loop until it is told to leave. */
#include "rt/clock.h"
#include "rt/daemon.h"
#include "site-agent/agent.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
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

static bool open_all(struct agent *a, struct err *err) {
    a->key = rt_alloc(sizeof *a->key);
    a->signal_fd = daemon_signals(); /* SIGCHLD stays at its default: children are seen by pidfd */
    if (!find_binaries(a, err) || !check_certificates(a, err) || !sign_key_load(a->config.signing_key, a->key, err) ||
        !http_client_new(&a->config.tls, &a->uplink.http, err) || !agent_begin(a, err))
        return false;
    a->certificate_expiry_wall_ms = tls_expiry_wall_ms(&a->config.tls);
    return start_http(a, err);
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

static int run(struct agent *a) {
    struct err err = {0};
    if (!open_all(a, &err))
        return fail(&err, 1);
    daemon_notify("READY=1");
    log_info("agent started", F_STR("version", PGREGENT_VERSION), F_STR("instance", a->state.instance));
    while (!a->stopping) {
        agent_round(a);
        if (a->reload)
            reload(a);
    }
    agent_leave(a);
    http_server_stop(a->http);
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
