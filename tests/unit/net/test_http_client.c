/* The HTTP client: what went wrong is told apart by what the caller may conclude from it, and the one wait of a
 * daemon's loop is fair to the owner's descriptors. */
#include "http_fixture.h"
#include <fcntl.h>
#include <signal.h>

static struct http_client *client;

static int setup(void **state) {
    (void)state;
    client = client_with(NULL);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    http_client_free(client);
    return 0;
}

/* A listening socket nobody serves: the kernel completes `backlog` + 1 connections. */
static int deaf_server(int backlog, char url[64]) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(url, 64, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    return fd;
}

static int port_of(const char *url) {
    return (int)strtol(strrchr(url, ':') + 1, NULL, 10);
}

static struct got ask_for(const struct http_request *what) {
    struct got got = {0};
    http_client_start(client, what, on_answer, &got);
    await(client, &got);
    return got;
}

/* ---- what went wrong ---- */

static void a_closed_port_is_unreachable(void **state) {
    (void)state;
    char url[64];
    close(deaf_server(1, url));
    struct got got = ask(client, "GET", url, NULL);
    assert_error(got, ERR_UNREACHABLE, "connect");
    assert_error(got, ERR_UNREACHABLE, url);
    assert_int_equal(got.status, 0);
}

static void a_connect_that_takes_too_long_sent_nothing(void **state) {
    (void)state;
    char url[64];
    int server = deaf_server(0, url);
    int fills_the_queue = raw_connect(port_of(url));
    int64_t before = clock_boot_ms();
    struct got got = ask_for(&(struct http_request){.method = "GET", .url = url, .deadline_ms = PATIENCE_MS, .connect_ms = 200});
    assert_error(got, ERR_UNREACHABLE, "timed out after 200 ms");
    assert_in_range(clock_boot_ms() - before, 190, 5000);
    close(fills_the_queue);
    close(server);
}

static void no_answer_in_time_is_an_unknown_outcome(void **state) {
    (void)state;
    char url[64];
    int server = deaf_server(4, url);
    struct got got = ask_for(&(struct http_request){.method = "POST", .url = url, .body = {"x", 1}, .deadline_ms = 200});
    assert_error(got, ERR_TIMEOUT, "no answer after 200 ms");
    close(server);
}

static void a_connection_lost_after_the_request_is_an_unknown_outcome(void **state) {
    (void)state;
    char url[64];
    int server = deaf_server(4, url);
    struct got got;
    request(client, &got, "POST", url, "x");
    while (!poll(&(struct pollfd){.fd = server, .events = POLLIN}, 1, 0))
        http_client_wait(client, NULL, 0, 10);
    int fd = accept(server, NULL, NULL);
    while (!poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0))
        http_client_wait(client, NULL, 0, 10);
    close(fd);
    await(client, &got);
    assert_error(got, ERR_TIMEOUT, "connection lost before the answer");
    close(server);
}

static void an_answer_beyond_the_bound_is_a_limit(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){0}, NULL);
    publish(s, "twelve bytes");
    struct http_request what = {.method = "GET", .url = url_of(s, "http", "/state"), .deadline_ms = PATIENCE_MS, .answer_max = 12};
    assert_answer(ask_for(&what), 200, "twelve bytes");
    what.answer_max = 11;
    assert_error(ask_for(&what), ERR_LIMIT, "longer than 11 bytes");
    http_server_stop(s);
}

static void what_cannot_be_started_is_told_by_the_callback(void **state) {
    (void)state;
    struct got got = {0};
    http_client_start(client, &(struct http_request){.method = "GET", .url = "http://127.0.0.1:1/"}, on_answer, &got);
    assert_false(got.over); /* never from within the start */
    await(client, &got);
    assert_error(got, ERR_INVALID, "deadline");
    assert_error(ask(client, "GET", "gopher://127.0.0.1/", NULL), ERR_INVALID, "gopher");
    assert_error(ask(client, "GET", "http://[::1/", NULL), ERR_INVALID, "http://[::1/");
}

static void proxies_of_the_environment_are_ignored(void **state) {
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    struct http_server *s = serve_with((struct http_server_options){0}, NULL);
    assert_answer(ask(client, "GET", url_of(s, "http", "/echo"), NULL), 200, "GET /echo - 0");
    http_server_stop(s);
    unsetenv("http_proxy");
}

/* ---- the loop ---- */

static void connections_are_reused(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){.connections_max = 1}, NULL);
    for (int i = 0; i < 5; i++) /* a second connection would be refused */
        assert_answer(ask(client, "GET", url_of(s, "http", "/echo"), NULL), 200, "GET /echo - 0");
    http_server_stop(s);
}

struct chain {
    struct http_server *server;
    struct got last;
    uint64_t to_cancel;
    int left;
};

static void next_of_chain(void *context, const struct http_answer *answer) {
    struct chain *chain = context;
    assert_int_equal(answer->status, 200);
    if (chain->to_cancel)
        http_client_cancel(client, chain->to_cancel);
    chain->to_cancel = 0;
    struct http_request what = {.method = "GET", .url = url_of(chain->server, "http", "/echo"), .deadline_ms = PATIENCE_MS};
    if (chain->left-- > 0)
        http_client_start(client, &what, next_of_chain, chain);
    else
        http_client_start(client, &what, on_answer, &chain->last);
}

static void callbacks_may_start_and_cancel(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){0}, NULL);
    struct chain chain = {.server = s, .left = 3};
    struct got cancelled;
    chain.to_cancel = request(client, &cancelled, "GET", url_of(s, "http", "/hold?ms=15000"), NULL);
    struct http_request what = {.method = "GET", .url = url_of(s, "http", "/echo"), .deadline_ms = PATIENCE_MS};
    http_client_start(client, &what, next_of_chain, &chain);
    await(client, &chain.last);
    assert_answer(chain.last, 200, "GET /echo - 0");
    publish(s, "news");
    assert_int_equal(ask(client, "GET", url_of(s, "http", "/state"), NULL).status, 200);
    assert_false(cancelled.over);
    http_client_cancel(client, 999999); /* unknown: nothing */
    http_server_stop(s);
}

static void freeing_the_client_ends_requests_without_callbacks(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){0}, NULL);
    struct http_client *c = client_with(NULL);
    struct got got;
    request(c, &got, "GET", url_of(s, "http", "/hold?ms=15000"), NULL);
    http_client_wait(c, NULL, 0, 1);
    http_client_free(c);
    assert_false(got.over);
    http_server_stop(s);
}

static void the_wait_reports_the_owners_descriptors(void **state) {
    (void)state;
    int ready[2], silent[2], closed[2];
    assert_int_equal(pipe2(ready, O_CLOEXEC) | pipe2(silent, O_CLOEXEC) | pipe2(closed, O_CLOEXEC), 0);
    assert_int_equal(write(ready[1], "x", 1), 1);
    close(closed[1]);
    struct pollfd fds[300];
    for (size_t i = 0; i < 300; i++)
        fds[i] = (struct pollfd){.fd = silent[0], .events = POLLIN, .revents = POLLOUT};
    fds[7].fd = -1;
    fds[100] = (struct pollfd){.fd = ready[0], .events = POLLIN};
    fds[200] = (struct pollfd){.fd = closed[0], .events = POLLIN};
    fds[299] = (struct pollfd){.fd = ready[1], .events = POLLOUT};
    http_client_wait(client, fds, 300, PATIENCE_MS);
    assert_int_equal(fds[100].revents, POLLIN);
    assert_int_equal(fds[200].revents, POLLHUP);
    assert_int_equal(fds[299].revents, POLLOUT);
    assert_int_equal(fds[0].revents | fds[7].revents | fds[298].revents, 0);
    int64_t before = clock_boot_ms();
    http_client_wait(client, fds, 100, 100); /* nobody is ready: the time passes */
    assert_in_range(clock_boot_ms() - before, 90, 5000);
    http_client_wait(client, &fds[200], 1, PATIENCE_MS); /* end of a pipe alone wakes, too */
    assert_int_equal(fds[200].revents, POLLHUP);
    close(ready[0]), close(ready[1]), close(silent[0]), close(silent[1]), close(closed[0]);
}

static void a_run_is_one_exchange_to_its_end(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){0}, NULL);
    STRBUF body = {0};
    strbuf_add(&body, "> ");
    int status = 0;
    struct err err = {0};
    struct http_request what = {.method = "GET", .url = url_of(s, "http", "/echo"), .deadline_ms = PATIENCE_MS};
    assert_true(http_client_run(client, &what, &status, &body, &err));
    assert_int_equal(status, 200);
    assert_string_equal(body.at, "> GET /echo - 0");
    what.url = "http://127.0.0.1:1/";
    assert_false(http_client_run(client, &what, &status, &body, &err));
    assert_int_equal(err.code, ERR_UNREACHABLE);
    http_server_stop(s);
}

static void a_client_keeps_the_process_from_dying_of_sigpipe(void **state) {
    (void)state;
    struct sigaction action;
    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_ptr_equal(action.sa_handler, SIG_IGN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_port_is_unreachable),
        cmocka_unit_test(a_connect_that_takes_too_long_sent_nothing),
        cmocka_unit_test(no_answer_in_time_is_an_unknown_outcome),
        cmocka_unit_test(a_connection_lost_after_the_request_is_an_unknown_outcome),
        cmocka_unit_test(an_answer_beyond_the_bound_is_a_limit),
        cmocka_unit_test(what_cannot_be_started_is_told_by_the_callback),
        cmocka_unit_test(proxies_of_the_environment_are_ignored),
        cmocka_unit_test(connections_are_reused),
        cmocka_unit_test(callbacks_may_start_and_cancel),
        cmocka_unit_test(freeing_the_client_ends_requests_without_callbacks),
        cmocka_unit_test(the_wait_reports_the_owners_descriptors),
        cmocka_unit_test(a_run_is_one_exchange_to_its_end),
        cmocka_unit_test(a_client_keeps_the_process_from_dying_of_sigpipe),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
