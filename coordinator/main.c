/* pgregent-coordinator: proposes what each site shall be. Reads its configuration and journal, then loops. */
#include "coordinator/snapshot.h"
#include "rt/clock.h"
#include "rt/daemon.h"
#include "rt/failpoint.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum mode { MODE_RUN, MODE_CHECK, MODE_AUDIT };

static const char usage[] = "pgregent-coordinator --config FILE\n"
                            "\n"
                            "  -c, --config FILE    configuration (default /etc/pgregent/coordinator.yaml)\n"
                            "      --check-config   read configuration, keys and certificates, say what is wrong, end\n"
                            "      --verify-audit   check the audit log's chain while the daemon is stopped, end\n"
                            "      --list-failpoints, --version, --help\n";

static int fail(const char *what, const struct err *err) {
    fprintf(stderr, "pgregent-coordinator: %s%s%s\n", what, what[0] ? ": " : "", err->text);
    return 1;
}

static bool start_server(struct coordinator *c, struct err *err) {
    struct http_server_options options = {
        .listeners = {{.address = c->config.listen, .tls = &c->config.tls, .client_certificates = true, .route = coordinator_api},
                      {.address = c->config.health.listen, .route = coordinator_health_route}},
        .listener_count = 2,
        .snapshot_free = snapshot_free,
        .body_max = 4u << 20,
    };
    return http_server_start(&options, &c->http, err);
}

static bool open_all(struct coordinator *c, struct err *err) {
    if (!tls_check(&c->config.tls, err) || !sign_key_load(c->config.signing_key, c->key, err) || !coordinator_begin(c, err))
        return false;
    c->signal_fd = daemon_signals();
    return http_client_new(&c->config.tls, &c->client, err) && start_server(c, err);
}

static void close_all(struct coordinator *c) {
    if (c->http)
        http_server_stop(c->http);
    if (c->client)
        http_client_free(c->client);
    coordinator_free(c);
    journal_close(c->journal);
    sign_key_free(c->key);
}

static int run(struct coordinator *c) {
    struct err err = {0};
    if (!open_all(c, &err)) {
        close_all(c);
        return fail("", &err);
    }
    log_info("coordinator runs", F_STR("listen", c->config.listen), F_INT("term", c->term), F_INT("clusters", c->cluster_count));
    coordinator_turn(c);
    daemon_notify("READY=1");
    while (!c->stopping) {
        coordinator_wait(c);
        coordinator_turn(c);
    }
    daemon_notify("STOPPING=1");
    log_info("coordinator ends: the sites go on by themselves");
    close_all(c);
    return 0;
}

static int check(struct coordinator *c) {
    struct err err = {0};
    bool fine = tls_check(&c->config.tls, &err) && sign_key_load(c->config.signing_key, c->key, &err);
    sign_key_free(c->key);
    if (!fine)
        return fail(c->config.file, &err);
    printf("%s: fine\n", c->config.file);
    return 0;
}

static int verify(struct coordinator *c) {
    struct err err = {0};
    STRBUF problems = {0};
    bool fresh;
    int64_t count = 0;
    bool read = journal_open(c->config.store.embedded, &c->journal, &fresh, &err) && audit_verify(c->journal, &count, &problems, &err);
    journal_close(c->journal);
    if (!read)
        return fail("audit log", &err);
    printf("%s%lld records, %s\n", problems.len ? problems.at : "", (long long)count, problems.len ? "chain broken" : "chain whole");
    return problems.len ? 1 : 0;
}

static int start(const char *path, enum mode mode) {
    struct coordinator *c = rt_alloc(sizeof *c);
    struct err err = {0};
    static struct sign_key key; /* has its place for good */
    c->key = &key;
    int status = 2;
    if (!coordinator_config_read(path, &c->config, &err)) {
        fail("", &err);
    } else {
        log_open("coordinator", (enum log_format)c->config.log.format, (enum log_level)c->config.log.level, NULL);
        status = mode == MODE_CHECK ? check(c) : mode == MODE_AUDIT ? verify(c) : run(c);
    }
    rt_free(c);
    return status;
}

static void print_version(void) { puts("pgregent-coordinator " PGREGENT_VERSION); }
static void print_usage(void) { fputs(usage, stdout); }

int main(int argc, char **argv) {
    enum { CHECK = 256, AUDIT, FAILPOINTS, VERSION, HELP };
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"check-config", no_argument, NULL, CHECK},
                                            {"verify-audit", no_argument, NULL, AUDIT}, {"list-failpoints", no_argument, NULL, FAILPOINTS},
                                            {"version", no_argument, NULL, VERSION},    {"help", no_argument, NULL, HELP},
                                            {NULL, 0, NULL, 0}};
    const char *path = "/etc/pgregent/coordinator.yaml";
    enum mode mode = MODE_RUN;
    void (*print)(void) = NULL;
    for (int option; (option = getopt_long(argc, argv, "c:", options, NULL)) != -1;)
        switch (option) {
        case 'c': path = optarg; break;
        case CHECK: mode = MODE_CHECK; break;
        case AUDIT: mode = MODE_AUDIT; break;
        case FAILPOINTS: print = failpoint_list; break;
        case VERSION: print = print_version; break;
        case HELP: print = print_usage; break;
        default: return 2;
        }
    if (optind < argc) {
        fprintf(stderr, "pgregent-coordinator: unexpected argument \"%s\"\n%s", argv[optind], usage);
        return 2;
    }
    if (print) {
        print();
        return 0;
    }
    return start(path, mode);
}
