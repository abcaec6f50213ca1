/* The loop: letters in, decide and act for each cluster that has news, commit, answer, publish, wait. */
#include "coordinator/decide/cluster.h"
#include "coordinator/snapshot.h"
#include "rt/clock.h"
#include "rt/failpoint.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICK_MS 500         /* time alone makes reports stale, orders expire and deadlines pass */
#define DOCUMENTS_MS 100    /* after news; they are never in the way of an order */
#define DOCUMENTS_IDLE_MS 1000
#define ROUNDS_MAX 32       /* of deciding in one turn */

/* ---- the beginning ---- */

static bool open_journal(struct coordinator *c, struct err *err) {
    bool fresh;
    return journal_open(c->config.store.embedded, &c->journal, &fresh, err) && audit_open(&c->audit, c->journal, err) && coordinator_load(c, err);
}

bool coordinator_begin(struct coordinator *c, struct err *err) {
    c->started_boot_ms = clock_boot_ms();
    c->relay_number = clock_wall_ms(); /* slower than one a millisecond, so it grows over restarts */
    if (!open_journal(c, err))
        return false;
    note(c, NULL, c->config.name, "coordinator started", "", "", "", "", "version %s, term %lld%s", PGREGENT_VERSION, (long long)c->term,
         c->audit.lost ? "; the newest audit records before this one were lost" : "");
    return true;
}

/* ---- letters ---- */

static void answer_later(struct coordinator *c, struct http_letter *letter, int status, const struct strbuf *body) {
    struct answer *a = &c->answers[c->answer_count++];
    a->letter = letter;
    a->status = status;
    a->body = text_of(body);
}

static int handle_report(struct coordinator *c, struct bytes body, struct strbuf *answer) {
    struct err err = {0};
    if (intake_report(c, body, &err)) {
        strbuf_add(answer, "{}");
        return 200;
    }
    int status = err.code == ERR_REFUSED ? 403 : err.code == ERR_NOT_FOUND ? 404 : 400;
    return answer_error(answer, status, status == 403 ? "not_permitted" : status == 404 ? "not_found" : "invalid", err.text, NULL);
}

static int handle(struct coordinator *c, const struct http_letter *letter, struct strbuf *answer) {
    struct bytes body = {letter->body.at, letter->body.len};
    if (str_eq(letter->path, "/v1/report"))
        return handle_report(c, body, answer);
    if (str_eq(letter->path, "/v1/topology"))
        return topology_post(c, body, answer);
    return operation_post(c, body, answer);
}

static void take_letters(struct coordinator *c) {
    struct http_letter *letter;
    while (c->answer_count < ANSWERS_MAX && http_server_take(c->http, &letter)) {
        STRBUF answer = {0};
        int status = handle(c, letter, &answer);
        if (status >= 400)
            log_warning("request refused", F_STR("path", letter->path), F_STR("peer", letter->peer_uri), F_INT("status", status), F_STR("answer", answer.at));
        answer_later(c, letter, status, &answer);
    }
}

/* Nobody is told that something was done before it is in the journal. */
static void send_answers(struct coordinator *c, bool committed) {
    STRBUF busy = {0};
    answer_error(&busy, 503, "busy", "the coordinator's journal cannot be written: whether this was done is not known", "ask again; check the disk of the coordinator");
    for (size_t i = 0; i < c->answer_count; i++) {
        struct answer *a = &c->answers[i];
        struct bytes body = committed ? (struct bytes){a->body->at, a->body->len} : (struct bytes){busy.at, busy.len};
        http_server_answer(c->http, a->letter, committed ? a->status : 503, NULL, body);
        text_unref(a->body);
    }
    c->answer_count = 0;
}

/* ---- deciding ---- */

static void work_on(struct coordinator *c, struct cluster *cluster) {
    cluster->dirty = false;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        cluster_observe(cluster);
        coordinator_decide(&cluster->view, &cluster->plan);
        if (!cluster_act(c, cluster))
            return;
    }
    log_error("the rules do not come to rest: looked at again", F_STR("cluster", cluster->name), F_STR("rule", cluster->plan.rule->head.id));
}

void coordinator_work(struct coordinator *c) {
    for (uint32_t i = 0; i < c->cluster_count; i++)
        if (c->clusters[i]->dirty)
            work_on(c, c->clusters[i]);
}

bool coordinator_commit(struct coordinator *c) {
    struct err err = {0};
    if (journal_commit(c->journal, &err)) {
        if (c->journal_failing)
            log_info("the journal can be written again");
        c->journal_failing = false;
        return true;
    }
    if (err.code == ERR_CONFLICT) {
        log_error("somebody else has written to the journal: ended, so that the truth is read anew", F_STR("error", err.text));
        exit(1);
    }
    if (err.code == ERR_LIMIT || err.code == ERR_INVALID) {
        log_error("the journal refuses a value for good: ended, so that what was committed is read anew without it", F_STR("error", err.text));
        exit(1);
    }
    if (!c->journal_failing || !str_eq(c->journal_error, err.text))
        log_error("the journal cannot be written: nothing is published", F_STR("error", err.text));
    str_copy(c->journal_error, sizeof c->journal_error, err.text);
    c->journal_failing = true;
    return false;
}

/* ---- publishing ---- */

static bool any(const struct coordinator *c, size_t flag) {
    for (uint32_t i = 0; i < c->cluster_count; i++)
        if (*((const bool *)((const char *)c->clusters[i] + flag)))
            return true;
    return false;
}

static int64_t documents_due_in(const struct coordinator *c, int64_t now_ms) {
    int64_t every_ms = any(c, offsetof(struct cluster, documents_due)) ? DOCUMENTS_MS : DOCUMENTS_IDLE_MS;
    int64_t left_ms = c->documents_boot_ms + every_ms - now_ms;
    return c->documents_boot_ms && left_ms > 0 ? left_ms : 0;
}

static void publish(struct coordinator *c) {
    FAILPOINT("publish-before");
    http_server_publish(c->http, snapshot_new(c));
    for (uint32_t i = 0; i < c->cluster_count; i++)
        c->clusters[i]->changed = false;
    FAILPOINT("publish-after");
}

/* Orders go out first: inside a write gap nobody waits for documents to be made. */
static void publish_news(struct coordinator *c) {
    if (any(c, offsetof(struct cluster, changed)))
        publish(c);
    int64_t now_ms = clock_boot_ms();
    if (documents_due_in(c, now_ms) > 0)
        return;
    documents_refresh(c);
    c->documents_boot_ms = now_ms;
    publish(c);
}

/* ---- certificates ---- */

static void reload(struct coordinator *c) {
    struct err err = {0};
    if (http_server_reload(c->http, &err))
        log_info("certificates read anew");
    else
        log_error("certificates could not be read anew: the old ones stay", F_STR("error", err.text));
}

static int64_t changed_at(const struct tls_files *files) {
    const char *const paths[] = {files->ca, files->certificate, files->key};
    int64_t newest_ns = 0;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct stat st;
        int64_t ns = stat(paths[i], &st) == 0 ? (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec : 0;
        newest_ns = ns > newest_ns ? ns : newest_ns;
    }
    return newest_ns;
}

/* A renewal writes several files: they are read when they have stood still for one look. */
#define FILES_EVERY_MS 10000
static void watch_files(struct coordinator *c, int64_t now_ms) {
    if (now_ms - c->files_boot_ms < FILES_EVERY_MS)
        return;
    int64_t changed_ns = changed_at(&c->config.tls);
    bool settled = c->files_boot_ms && changed_ns == c->files_seen_ns && changed_ns != c->files_used_ns;
    if (!c->files_boot_ms)
        c->files_used_ns = changed_ns;
    c->files_boot_ms = now_ms;
    c->files_seen_ns = changed_ns;
    if (!settled)
        return;
    c->files_used_ns = changed_ns;
    reload(c);
}

/* ---- the turn ---- */

static void tick(struct coordinator *c) {
    int64_t now_ms = clock_boot_ms();
    if (now_ms - c->tick_boot_ms < TICK_MS)
        return;
    c->tick_boot_ms = now_ms;
    watch_files(c, now_ms);
    for (uint32_t i = 0; i < c->cluster_count; i++)
        c->clusters[i]->dirty = true;
}

void coordinator_turn(struct coordinator *c) {
    take_letters(c);
    tick(c);
    coordinator_work(c);
    bool committed = coordinator_commit(c);
    if (committed)
        publish_news(c);
    send_answers(c, committed);
}

/* ---- waiting ---- */

static void take_signal(struct coordinator *c) {
    struct signalfd_siginfo info;
    if (read(c->signal_fd, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGHUP)
        reload(c);
    else
        c->stopping = true;
}

static int64_t sooner(int64_t a, int64_t b) { return a < b ? a : b; }

void coordinator_wait(struct coordinator *c) {
    struct pollfd fds[] = {{.fd = http_server_mail_fd(c->http), .events = POLLIN}, {.fd = c->signal_fd, .events = POLLIN}};
    int64_t now_ms = clock_boot_ms(), tick_in = c->tick_boot_ms + TICK_MS - now_ms;
    int64_t wait_ms = c->journal_failing ? TICK_MS : sooner(tick_in, documents_due_in(c, now_ms));
    http_client_wait(c->client, fds, 2, wait_ms > 0 ? wait_ms : 0);
    if (fds[1].revents)
        take_signal(c);
}
