/* The command in the test's own process, and a coordinator made of recorded answers. */
#ifndef TESTS_CLI_FIXTURE_H
#define TESTS_CLI_FIXTURE_H
#include "coordinator/cli/cli.h"
#include "net/http_server.h"
#include "rt/file.h"
#include "rt/json.h"
#include "tests/unit/net/authority.h"
#include "wire/envelope.h"
#include "wire/request.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- a directory with keys, certificates and a configuration ---- */

static char *dir;
static struct authority ca;
static struct tls_files server_files, operator_files;

static inline const char *in_dir(const char *name) {
    static char paths[8][512];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static inline void write_file(const char *name, const char *text) {
    struct err err = {0};
    if (!file_write(in_dir(name), text, strlen(text), 0600, &err))
        fail_msg("%s", err.text);
}

static inline void read_into(const char *path, struct strbuf *to) {
    struct err err = {0};
    if (!file_read(path, 1 << 20, to, &err))
        fail_msg("%s", err.text);
}

static inline int setup(void **state) {
    (void)state;
    dir = temporary_directory();
    setenv("HOME", dir, 1);
    unsetenv("PGREGENT_CONFIG");
    unsetenv("XDG_CACHE_HOME");
    ca = authority_new(dir, &(struct issue){.name = "ca"});
    server_files = authority_issue(&ca, &(struct issue){.name = "server", .alt_names = "IP:127.0.0.1"});
    operator_files = authority_issue(&ca, &(struct issue){.name = "alice", .alt_names = "URI:pgregent:operator/alice"});
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    struct err err;
    authority_free(&ca);
    bool gone = file_remove_tree(dir, &err);
    free(dir);
    return gone ? 0 : -1;
}

/* ---- running it ---- */

struct ran {
    int exit;
    char *out, *err;
    size_t out_len, err_len;
};
static inline void ran_free(struct ran *r) {
    free(r->out);
    free(r->err);
}
#define RAN __attribute__((cleanup(ran_free))) struct ran

#define WORDS_MAX 24
/* Blank-separated words; `answer` is what a person at a terminal types, NULL: there is no terminal. */
static inline struct ran run_answering(const char *answer, const char *line) {
    char copy[2048], *argv[WORDS_MAX], *rest = NULL;
    int argc = 0;
    struct ran r = {0};
    str_copy(copy, sizeof copy, line);
    argv[argc++] = copy;
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word; /* the first takes argv[1]: argv[0] is never looked at */
    char *typed = strdup(answer && *answer ? answer : "\n");
    struct cli_io io = {.in = fmemopen(typed, strlen(typed), "r"), .out = open_memstream(&r.out, &r.out_len), .err = open_memstream(&r.err, &r.err_len),
                        .in_terminal = answer != NULL, .out_terminal = answer != NULL, .err_terminal = answer != NULL};
    r.exit = cli_run(&io, argc, argv);
    fclose(io.in);
    fclose(io.out);
    fclose(io.err);
    free(typed);
    return r;
}
static inline struct ran run(const char *line) {
    return run_answering(NULL, line);
}

#define assert_exit(r, wanted)                                                                                         \
    do {                                                                                                               \
        if ((r).exit != (wanted))                                                                                      \
            fail_msg("exit %d, not %d\nstdout: %s\nstderr: %s", (r).exit, (wanted), (r).out, (r).err);                 \
    } while (0)
#define assert_says(text, part)                                                                                        \
    do {                                                                                                               \
        if (!strstr((text), (part)))                                                                                   \
            fail_msg("\"%s\" is missing in:\n%s", (part), (text));                                                     \
    } while (0)

/* stdout as the one document that -o json promises. */
static inline json_t *document_of(const struct ran *r) {
    struct err err = {0};
    json_t *document = json_parse((struct bytes){r->out, r->out_len}, &err);
    if (!document)
        fail_msg("stdout is no document: %s\n%s", err.text, r->out);
    return document;
}

/* ---- a coordinator of recorded answers ---- */

#define SCRIPT_MAX 48
struct line {
    char method[8], path[128]; /* path without its parameters */
    int status;
    char *body; /* OPID in it becomes the id of the last request */
    unsigned used;
};
struct fake {
    struct http_server *server;
    pthread_mutex_t lock;
    struct line script[SCRIPT_MAX];
    size_t count;
    char op[OP_ID_MAX];
    char *posted; /* body of the last POST */
    unsigned posts;
};

/* The n-th answer given for a call is the n-th that was scripted; the last one is repeated. */
static inline void fake_says(struct fake *f, const char *method, const char *path, int status, const char *body) {
    pthread_mutex_lock(&f->lock);
    struct line *l = &f->script[f->count++];
    assert(f->count <= SCRIPT_MAX);
    *l = (struct line){.status = status, .body = strdup(body)};
    str_copy(l->method, sizeof l->method, method);
    str_copy(l->path, sizeof l->path, path);
    pthread_mutex_unlock(&f->lock);
}

static inline struct line *fake_line(struct fake *f, const char *method, const char *path) {
    struct line *last = NULL;
    for (size_t i = 0; i < f->count; i++) {
        struct line *l = &f->script[i];
        if (!str_eq(l->method, method) || !str_eq(l->path, path))
            continue;
        last = l;
        if (!l->used)
            break;
    }
    return last;
}

/* The id in a posted request, alone or beside a topology. */
static inline void fake_remember(struct fake *f, struct bytes body) {
    struct err err = {0};
    STRBUF text = {0};
    ENVELOPE e = {0};
    struct request request;
    JSON_AUTO *json = json_parse(body, &err);
    const json_t *inner = json_object_get(json, "request");
    json_write(inner ? inner : json, &text);
    if (envelope_open((struct bytes){text.at, text.len}, REQUEST_TYPE, &e, &err) &&
        field_from_json(&request_table, "request", (struct bytes){e.payload.at, e.payload.len}, &request, &err))
        str_copy(f->op, sizeof f->op, request.op);
    free(f->posted);
    f->posted = strndup(body.at, body.len);
    f->posts++;
}

/* Would a real one hold this poll: is its own number below the one that was seen? */
static inline bool fake_holds(const struct http_query *q, const struct line *l) {
    const char *seen = http_query_get(q, "seen"), *number = l ? strstr(l->body, "\"number\":") : NULL;
    return seen && number && strtol(seen, NULL, 10) > strtol(number + strlen("\"number\":"), NULL, 10);
}

static inline enum http_verdict fake_route(void *context, const void *snapshot, const struct http_query *q, struct http_reply *reply) {
    struct fake *f = context;
    (void)snapshot;
    pthread_mutex_lock(&f->lock);
    if (str_eq(q->method, "POST"))
        fake_remember(f, q->body);
    struct line *l = fake_line(f, q->method, q->path);
    if (fake_holds(q, l)) {
        pthread_mutex_unlock(&f->lock);
        reply->hold_ms = 25000;
        return HTTP_HOLD;
    }
    reply->status = l ? l->status : 404;
    for (const char *at = l ? l->body : "{\"error\": {\"code\": \"not_found\", \"message\": \"nothing is scripted\"}}"; *at;) {
        bool is_op = strncmp(at, "OPID", 4) == 0;
        strbuf_add_bytes(&reply->body, is_op ? f->op : at, is_op ? strlen(f->op) : 1);
        at += is_op ? 4 : 1;
    }
    if (l)
        l->used++;
    pthread_mutex_unlock(&f->lock);
    return HTTP_ANSWER;
}

static inline struct fake *fake_new(void) {
    struct fake *f = calloc(1, sizeof *f);
    struct err err = {0};
    pthread_mutex_init(&f->lock, NULL);
    struct http_server_options options = {
        .listeners = {{.address = "127.0.0.1:0", .tls = &server_files, .client_certificates = true, .route = fake_route}}, .listener_count = 1, .context = f};
    if (!http_server_start(&options, &f->server, &err))
        fail_msg("%s", err.text);
    return f;
}

static inline void fake_free(struct fake *f) {
    http_server_stop(f->server);
    for (size_t i = 0; i < f->count; i++)
        free(f->script[i].body);
    free(f->posted);
    free(f);
}

static inline int fake_port(const struct fake *f) {
    return http_server_port(f->server, 0);
}

/* ~/.config/pgregent/pgregent.yaml naming these ports, with alice's key. */
static inline void configure(const int *ports, size_t count, struct sign_key *alice) {
    STRBUF text = {0};
    struct err err = {0};
    strbuf_add(&text, "coordinators: [");
    for (size_t i = 0; i < count; i++)
        strbuf_addf(&text, "%s\"127.0.0.1:%d\"", i ? ", " : "", ports[i]);
    strbuf_addf(&text, "]\ntls: {ca: %s, certificate: %s, key: %s}\noperator: alice\noperator_key: alice.ed25519\n", operator_files.ca, operator_files.certificate,
                operator_files.key);
    assert_true(file_mkdirs(in_dir(".config/pgregent"), 0700, &err));
    write_file(".config/pgregent/pgregent.yaml", text.at);
    sign_key_generate(alice);
    if (file_exists(in_dir(".config/pgregent/alice.ed25519")))
        assert_true(file_remove(in_dir(".config/pgregent/alice.ed25519"), &err));
    assert_true(sign_key_save(in_dir(".config/pgregent/alice.ed25519"), alice, &err));
}
#endif
