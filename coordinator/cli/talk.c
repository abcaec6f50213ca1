/* Exchanges with the coordinators, and what their failures mean for the exit code. */
#include "coordinator/cli/talk.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/say.h"
#include "rt/clock.h"
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define CONNECT_MS 3000
#define BUSY_STATUS 503   /* nothing was taken in */
#define GATEWAY_STATUS 504 /* taken in, not answered in time: outcome unknown */

void talk_answer_free(struct talk_answer *a) {
    json_decref(a->json);
    json_decref(a->error);
    strbuf_free(&a->failures);
    *a = (struct talk_answer){0};
}

bool talk_open(struct cli *c, int *exit) {
    struct err err = {0};
    if (c->http)
        return true;
    if (!cli_configure(c, exit))
        return false;
    if (http_client_new(&c->config.tls, &c->http, &err))
        return true;
    *exit = say_refusal(c, CLI_USAGE, "invalid", NULL, "%s: tls: %s", c->config.file, err.text);
    return false;
}

struct exchange {
    bool over;
    int status;
    struct strbuf *body;
    struct err err;
};

static void on_answer(void *context, const struct http_answer *answer) {
    struct exchange *x = context;
    x->over = true;
    x->status = answer->status;
    x->err = answer->err;
    strbuf_add_bytes(x->body, answer->body.at, answer->body.len);
}

static bool interrupt_came(int fd) {
    struct signalfd_siginfo info;
    return fd >= 0 && read(fd, &info, sizeof info) == (ssize_t)sizeof info;
}

bool talk_exchange(struct cli *c, const struct http_request *request, int *status, struct strbuf *body, bool *interrupted, struct err *err) {
    struct exchange x = {.body = body};
    uint64_t id = http_client_start(c->http, request, on_answer, &x);
    *interrupted = false;
    while (!x.over && !*interrupted) { /* ends: the client keeps the deadline */
        struct pollfd fd = {.fd = c->interrupt_fd, .events = POLLIN};
        http_client_wait(c->http, &fd, c->interrupt_fd >= 0, 1000);
        *interrupted = !x.over && interrupt_came(c->interrupt_fd);
    }
    if (*interrupted)
        http_client_cancel(c->http, id);
    *status = x.status;
    return !*interrupted && x.status != 0 ? true : err_set(err, x.err.code, "%s", x.err.text);
}

/* The error object of an answer, or one made of its status when a proxy or an older coordinator sent none. */
static json_t *error_of(const json_t *json, int status, const char *path) {
    json_t *error = json_object_get(json, "error");
    if (json_is_object(error))
        return json_incref(error);
    char message[256];
    snprintf(message, sizeof message, "the coordinator answered %s with HTTP %d and no reason", path, status);
    return say_error(status == 404 ? "not_found" : "failed", message, NULL);
}

static enum talk_result understand(const struct talk_call *call, const struct strbuf *body, struct talk_answer *out) {
    struct err err = {0};
    if (out->status == 204)
        return TALK_ANSWERED;
    out->json = json_parse((struct bytes){body->at, body->len}, &err);
    if (out->status / 100 == 2 && out->json)
        return TALK_ANSWERED;
    if (out->status / 100 == 2) {
        char message[ERR_TEXT_MAX + 64];
        snprintf(message, sizeof message, "the coordinator's answer to %s is no JSON: %s", call->path, err.text);
        out->error = say_error("failed", message, NULL);
    } else
        out->error = error_of(out->json, out->status, call->path);
    return TALK_REFUSED;
}

enum talk_result talk(struct cli *c, const struct talk_call *call, struct talk_answer *out) {
    bool unknown = false;
    *out = (struct talk_answer){0};
    for (uint32_t i = 0; i < c->config.coordinator_count; i++) {
        size_t turn = (c->coordinator + i) % c->config.coordinator_count;
        char url[1024];
        STRBUF body = {0};
        bool interrupted;
        struct err err = {0};
        snprintf(url, sizeof url, "%s%s", c->config.coordinators[turn], call->path);
        struct http_request request = {.method = call->method, .url = url, .body = call->body, .deadline_ms = call->patience_ms, .connect_ms = CONNECT_MS};
        bool answered = talk_exchange(c, &request, &out->status, &body, &interrupted, &err);
        if (interrupted)
            return TALK_INTERRUPTED;
        if (answered && out->status != BUSY_STATUS && out->status != GATEWAY_STATUS) {
            c->coordinator = turn;
            return understand(call, &body, out);
        }
        unknown = unknown || out->status == GATEWAY_STATUS || err.code == ERR_TIMEOUT;
        if (!answered)
            strbuf_addf(&out->failures, "\n%s", err.text); /* names the address */
        else
            strbuf_addf(&out->failures, "\n%s: %s", c->config.coordinators[turn], out->status == BUSY_STATUS ? "busy (HTTP 503)" : "did not finish in time (HTTP 504)");
    }
    return unknown ? TALK_UNKNOWN : TALK_NOBODY;
}

/* With commands that wait for an operation --timeout bounds that waiting, and nothing else. */
static int64_t question_ms(const struct cli *c) {
    bool waits = (c->command->options & OPTION_NO_WAIT) || c->command->run == cmd_operation_watch;
    return !waits && c->options.timeout_ms > 0 ? c->options.timeout_ms : OPTION_TIMEOUT_QUESTION_MS;
}

enum talk_result talk_ask(struct cli *c, struct talk_answer *out, const char *format, ...) {
    STRBUF path = {0};
    va_list args;
    va_start(args, format);
    strbuf_vaddf(&path, format, args);
    va_end(args);
    struct talk_call call = {.method = "GET", .path = path.at, .patience_ms = question_ms(c) / c->config.coordinator_count + 1};
    enum talk_result result = talk(c, &call, out);
    return result == TALK_UNKNOWN ? TALK_NOBODY : result; /* a question changes nothing, so nothing is unknown */
}

/* What a refusal means to a script. */
static int exit_of(const struct talk_answer *a) {
    switch (a->status) {
    case 400:
    case 404:
    case 413: return CLI_USAGE;
    case 401:
    case 403:
    case 409: return CLI_REFUSED;
    default: return CLI_FAILED;
    }
}

static int nobody(const struct cli *c, const struct talk_answer *a, const char *cluster) {
    char cure[512];
    const char *name = cluster ? cluster : "CLUSTER";
    snprintf(cure, sizeof cure,
             "Nothing was sent. PostgreSQL and the sites go on without a coordinator. Next:\n"
             "systemctl status pgregent-coordinator, and its log, on those hosts\n"
             "pgregent status %s                    asks the agents while no coordinator answers\n"
             "pgregent status %s --at HOST:PORT     asks one agent",
             name, name);
    return say_refusal(c, CLI_NOBODY, "nobody", cure, "no coordinator answers:%s", a->failures.at ? a->failures.at : "");
}

int talk_failed(const struct cli *c, enum talk_result result, const struct talk_answer *a, const char *cluster, const char *operation) {
    if (result == TALK_REFUSED)
        return say_refused(c, exit_of(a), a->error);
    if (result == TALK_NOBODY)
        return nobody(c, a, cluster);
    char cure[256];
    snprintf(cure, sizeof cure, "pgregent operation watch %s %s", cluster ? cluster : "CLUSTER", operation ? operation : "");
    if (c->options.json && operation)
        fprintf(c->io.err, "{\"operation\":\"%s\"}\n", operation);
    if (result == TALK_INTERRUPTED)
        return say_refusal(c, CLI_UNFINISHED, "unfinished", cure, "interrupted: only the waiting has ended; operation %s goes on", operation ? operation : "");
    return say_refusal(c, CLI_UNFINISHED, "unknown", cure, "sent, and no answer: the outcome of operation %s is unknown%s", operation ? operation : "",
                       a->failures.at ? a->failures.at : "");
}

void talk_interruptible(struct cli *c) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    c->interrupt_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

void talk_interruptible_end(struct cli *c) {
    sigset_t set;
    if (c->interrupt_fd < 0)
        return;
    close(c->interrupt_fd);
    c->interrupt_fd = -1;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

bool talk_pause(struct cli *c, int64_t ms) {
    struct pollfd fd = {.fd = c->interrupt_fd, .events = POLLIN};
    poll(&fd, 1, (int)ms);
    return interrupt_came(c->interrupt_fd);
}
