/* The HTTP server without TLS: answers, holds, letters, bounds and deadlines, and its end. */
#include "http_fixture.h"

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

static struct http_server *serve(void) {
    return serve_with((struct http_server_options){0}, NULL);
}

/* ---- answers ---- */

static void a_route_sees_the_newest_snapshot(void **state) {
    (void)state;
    struct http_server *s = serve();
    assert_answer(ask(client, "GET", url_of(s, "http", "/state"), NULL), 503, "");
    for (int i = 0; i < 20; i++) { /* published before the request: seen by it, with no wait in between */
        char text[32];
        snprintf(text, sizeof text, "version %d", i);
        publish(s, text);
        assert_answer(ask(client, "GET", url_of(s, "http", "/state"), NULL), 200, text);
    }
    http_server_stop(s);
    assert_int_equal(snapshots_alive, 0);
}

static void methods_path_query_and_body_reach_the_route(void **state) {
    (void)state;
    struct http_server *s = serve();
    assert_answer(ask(client, "GET", url_of(s, "http", "/echo/a%20b?x=1%2B1+is"), NULL), 200, "GET /echo/a b 1+1 is 0");
    assert_answer(ask(client, "POST", url_of(s, "http", "/echo"), "hello"), 200, "POST /echo - 5");
    assert_answer(ask(client, "PUT", url_of(s, "http", "/echo"), "hello"), 200, "PUT /echo - 5");
    assert_answer(ask(client, "PATCH", url_of(s, "http", "/echo"), "hello"), 200, "PATCH /echo - 5");
    assert_answer(ask(client, "DELETE", url_of(s, "http", "/echo"), NULL), 200, "DELETE /echo - 0");
    http_server_stop(s);
}

static void head_and_options_are_gets_without_a_body(void **state) {
    (void)state;
    struct http_server *s = serve();
    assert_answer(ask(client, "HEAD", url_of(s, "http", "/state"), NULL), 503, "");
    publish(s, "up");
    assert_answer(ask(client, "HEAD", url_of(s, "http", "/state"), NULL), 200, "");
    assert_answer(ask(client, "OPTIONS", url_of(s, "http", "/state"), NULL), 200, "");
    int fd = raw_connect(http_server_port(s, 0));
    raw_send(fd, "HEAD /state HTTP/1.1\r\nHost: x\r\n\r\nGET /state HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_expect(fd, "Content-Length: 2\r\n")); /* what GET would bring */
    raw_send(fd, "HEAD /state HTTP/1.1\r\nHost: x\r\n\r\nGET /state HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_expect(fd, "\r\n\r\nHTTP/1.1 200")); /* nothing between the two answers */
    close(fd);
    http_server_stop(s);
}

static void malformed_targets_are_refused(void **state) {
    (void)state;
    struct http_server *s = serve();
    assert_int_equal(ask(client, "GET", url_of(s, "http", "/state%00x"), NULL).status, 400);
    assert_int_equal(ask(client, "GET", url_of(s, "http", "/state?=1"), NULL).status, 400);
    assert_int_equal(ask(client, "BREW", url_of(s, "http", "/state"), NULL).status, 501);
    http_server_stop(s);
}

/* ---- holds ---- */

static void a_held_request_is_answered_right_after_a_publish(void **state) {
    (void)state;
    struct http_server *s = serve();
    publish(s, "quiet");
    struct got got;
    holds_seen = 0;
    request(client, &got, "GET", url_of(s, "http", "/hold?ms=15000"), NULL);
    await_holds(client, 1);
    publish(s, "quiet"); /* looked at again and held on */
    assert_answer(ask(client, "GET", url_of(s, "http", "/state"), NULL), 200, "quiet");
    assert_false(got.over);
    int64_t before = clock_boot_ms();
    publish(s, "news");
    await(client, &got);
    assert_answer(got, 200, "news");
    assert_in_range(clock_boot_ms() - before, 0, 5000); /* far below the hold; as a rule a millisecond */
    http_server_stop(s);
}

static void a_publish_seen_by_another_request_first_still_reaches_the_held_one(void **state) {
    (void)state;
    struct http_server *s = serve();
    for (int i = 0; i < 50; i++) {
        publish(s, "quiet");
        struct got held, other;
        holds_seen = 0;
        request(client, &held, "GET", url_of(s, "http", "/hold?ms=15000"), NULL);
        await_holds(client, 1);
        request(client, &other, "GET", url_of(s, "http", "/state"), NULL);
        publish(s, "news");
        int64_t before = clock_boot_ms();
        await(client, &held);
        await(client, &other);
        assert_answer(held, 200, "news");
        assert_in_range(clock_boot_ms() - before, 0, 5000);
    }
    http_server_stop(s);
    assert_int_equal(snapshots_alive, 0);
}

static void a_hold_ends_with_204(void **state) {
    (void)state;
    struct http_server *s = serve();
    int64_t before = clock_boot_ms();
    assert_answer(ask(client, "GET", url_of(s, "http", "/hold?ms=200"), NULL), 204, "");
    assert_in_range(clock_boot_ms() - before, 190, 5000);
    http_server_stop(s);
}

static void a_newer_hold_with_the_same_key_ends_the_older(void **state) {
    (void)state;
    struct http_server *s = serve();
    struct got fra, ams, newer;
    holds_seen = 0;
    request(client, &fra, "GET", url_of(s, "http", "/hold?ms=15000&key=fra"), NULL);
    request(client, &ams, "GET", url_of(s, "http", "/hold?ms=15000&key=ams"), NULL);
    await_holds(client, 2);
    request(client, &newer, "GET", url_of(s, "http", "/hold?ms=15000&key=fra"), NULL);
    await_holds(client, 3);
    await(client, &fra);
    assert_answer(fra, 204, "");
    assert_int_equal(ask(client, "GET", url_of(s, "http", "/state"), NULL).status, 503);
    assert_false(newer.over);
    assert_false(ams.over);
    publish(s, "news");
    await(client, &newer);
    await(client, &ams);
    assert_answer(newer, 200, "news");
    assert_answer(ams, 200, "news");
    http_server_stop(s);
}

/* ---- letters ---- */

static void a_letter_is_answered_by_the_loop_thread(void **state) {
    (void)state;
    struct http_server *s = serve();
    struct got got;
    request(client, &got, "POST", url_of(s, "http", "/mail?ms=0&why=test"), "{\"a\": 1}");
    struct http_letter *letter = await_letter(s, client);
    assert_string_equal(letter->method, "POST");
    assert_string_equal(letter->path, "/mail");
    assert_string_equal(letter->query, "ms=0&why=test");
    assert_string_equal(letter->peer_address, "127.0.0.1");
    assert_string_equal(letter->body.at, "{\"a\": 1}");
    struct pollfd mail = {.fd = http_server_mail_fd(s), .events = POLLIN};
    assert_int_equal(poll(&mail, 1, 0), 0); /* no letter left: the loop must not spin */
    answer_text(s, letter, 202, "taken");
    await(client, &got);
    assert_answer(got, 202, "taken");
    http_server_stop(s);
}

static void a_full_mailbox_says_503_and_when_to_come_back(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){.mailbox_max = 2}, NULL);
    struct got first, second;
    request(client, &first, "POST", url_of(s, "http", "/mail"), "1");
    struct http_letter *letter = await_letter(s, client);
    request(client, &second, "POST", url_of(s, "http", "/mail"), "2");
    struct http_letter *waiting = await_letter(s, client); /* a letter taken counts until it is answered */
    int fd = raw_connect(http_server_port(s, 0));
    raw_send(fd, "POST /mail HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n3");
    assert_true(raw_expect(fd, "Retry-After: 1\r\n"));
    close(fd);
    assert_answer(ask(client, "POST", url_of(s, "http", "/mail"), "4"), 503,
                  "{\"error\": {\"code\": \"busy\", \"message\": \"too many requests are waiting; try again\", \"checks\": [], \"cure\": null, \"operation\": null}}\n");
    answer_text(s, letter, 200, "one");
    await(client, &first);
    struct got again;
    request(client, &again, "POST", url_of(s, "http", "/mail"), "5");
    letter = await_letter(s, client);
    assert_string_equal(letter->body.at, "5");
    answer_text(s, waiting, 200, "two");
    answer_text(s, letter, 200, "five");
    await(client, &second);
    await(client, &again);
    assert_answer(again, 200, "five");
    http_server_stop(s);
}

static void a_letter_nobody_takes_ends_with_504_and_is_withdrawn(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){.mailbox_max = 1}, NULL);
    assert_int_equal(ask(client, "POST", url_of(s, "http", "/mail?ms=100"), "late").status, 504);
    struct http_letter *letter;
    assert_false(http_server_take(s, &letter));
    struct pollfd mail = {.fd = http_server_mail_fd(s), .events = POLLIN};
    assert_int_equal(poll(&mail, 1, 0), 0);
    struct got got;
    request(client, &got, "POST", url_of(s, "http", "/mail"), "there is room again");
    answer_text(s, await_letter(s, client), 200, "ok");
    await(client, &got);
    assert_answer(got, 200, "ok");
    http_server_stop(s);
}

static void a_late_answer_is_dropped_and_the_connection_lives(void **state) {
    (void)state;
    struct http_server *s = serve();
    struct got got;
    request(client, &got, "POST", url_of(s, "http", "/mail?ms=100"), "slow");
    struct http_letter *letter = await_letter(s, client);
    await(client, &got);
    assert_int_equal(got.status, 504);
    answer_text(s, letter, 200, "much too late");
    assert_answer(ask(client, "GET", url_of(s, "http", "/echo"), NULL), 200, "GET /echo - 0");
    http_server_stop(s);
}

static void an_answer_to_a_vanished_client_does_no_harm(void **state) {
    (void)state;
    struct http_server *s = serve();
    int fd = raw_connect(http_server_port(s, 0));
    raw_send(fd, "POST /mail HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1");
    struct http_letter *letter = await_letter(s, client);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger)); /* close with a reset */
    close(fd);
    answer_text(s, letter, 200, "nobody there");
    assert_answer(ask(client, "GET", url_of(s, "http", "/echo"), NULL), 200, "GET /echo - 0");
    http_server_stop(s);
}

static void a_path_too_long_for_a_letter_is_refused(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){.mailbox_max = 1}, NULL);
    char path[1000] = "/mail?x=";
    memset(path + 8, 'x', sizeof path - 9);
    struct got got;
    request(client, &got, "POST", url_of(s, "http", path), "fits"); /* the query string may have 1023 bytes */
    answer_text(s, await_letter(s, client), 200, "ok");
    await(client, &got);
    assert_answer(got, 200, "ok");
    int fd = raw_connect(http_server_port(s, 0));
    raw_send(fd, "POST /mail?x=");
    for (int i = 0; i < 2; i++)
        raw_send(fd, path + 8);
    raw_send(fd, " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_true(raw_expect(fd, "414"));
    close(fd);
    http_server_stop(s);
}

/* ---- bounds and deadlines ---- */

static void a_body_beyond_the_bound_is_413(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){.body_max = 1000}, NULL);
    char body[1002];
    memset(body, 'x', sizeof body);
    body[1000] = '\0';
    assert_answer(ask(client, "POST", url_of(s, "http", "/echo"), body), 200, "POST /echo - 1000");
    body[1000] = 'x', body[1001] = '\0';
    assert_int_equal(ask(client, "POST", url_of(s, "http", "/echo"), body).status, 413);
    int fd = raw_connect(http_server_port(s, 0));
    raw_send(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n");
    assert_true(raw_expect(fd, "413"));
    close(fd);
    http_server_stop(s);
}

static void a_hundred_megabytes_are_refused_at_once(void **state) {
    (void)state;
    struct http_server *s = serve();
    size_t len = 100u << 20;
    char *body = calloc(1, len);
    struct got got = {0};
    int64_t before = clock_boot_ms();
    http_client_start(client,
                      &(struct http_request){.method = "POST",
                                             .url = url_of(s, "http", "/echo"),
                                             .body = {body, len},
                                             .deadline_ms = PATIENCE_MS},
                      on_answer, &got);
    free(body);
    await(client, &got);
    assert_int_equal(got.status, 413);
    assert_in_range(clock_boot_ms() - before, 0, 5000);
    http_server_stop(s);
}

static void headers_have_a_bound(void **state) {
    (void)state;
    struct http_server *s = serve();
    int fd = raw_connect(http_server_port(s, 0));
    raw_send(fd, "GET /state HTTP/1.1\r\nHost: x\r\n");
    char line[1000] = "X: ";
    memset(line + 3, 'x', sizeof line - 6);
    strcpy(line + sizeof line - 3, "\r\n");
    for (int i = 0; i < 20; i++)
        if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
            break;
    assert_true(raw_expect(fd, "400"));
    close(fd);
    http_server_stop(s);
}

/* While an answer is being written libevent reads on; without a bound the flood would end up in our memory. */
static void a_client_that_does_not_read_cannot_make_the_server_hoard(void **state) {
    (void)state;
    struct http_server *s = serve();
    int fd = raw_connect(http_server_port(s, 0));
    raw_send(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    char junk[65536];
    memset(junk, 'x', sizeof junk);
    size_t sent = 0;
    ssize_t n = 0;
    while (sent < (128u << 20) && poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 300) > 0 &&
           (n = send(fd, junk, sizeof junk, MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
        sent += (size_t)n;
    assert_in_range(sent, 1, 64u << 20);
    close(fd);
    http_server_stop(s);
}

static void silent_and_dripping_clients_are_cut_after_the_same_time(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){.io_timeout_ms = 500}, NULL);
    int silent = raw_connect(http_server_port(s, 0));
    int dripping = raw_connect(http_server_port(s, 0));
    int64_t before = clock_boot_ms();
    raw_send(dripping, "GET /state HTTP/1.1\r\n");
    while (clock_boot_ms() < before + PATIENCE_MS && send(dripping, "X: y\r\n", 6, MSG_NOSIGNAL) > 0)
        poll(&(struct pollfd){.fd = dripping, .events = POLLRDHUP}, 1, 50);
    assert_in_range(clock_boot_ms() - before, 450, 5000);
    assert_true(raw_closed(silent));
    assert_in_range(clock_boot_ms() - before, 450, 5000);
    close(silent);
    close(dripping);
    http_server_stop(s);
}

static void the_clock_of_a_second_request_starts_with_its_first_byte(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){.io_timeout_ms = 300}, NULL);
    publish(s, "up");
    int fd = raw_connect(http_server_port(s, 0));
    raw_send(fd, "GET /state HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_expect(fd, "up"));
    assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 600), 0); /* idle longer than that: open */
    int64_t before = clock_boot_ms();
    raw_send(fd, "GET /st");
    assert_true(raw_closed(fd));
    assert_in_range(clock_boot_ms() - before, 250, 5000);
    close(fd);
    http_server_stop(s);
}

static void connections_are_counted(void **state) {
    (void)state;
    struct http_server *s = serve_with((struct http_server_options){.connections_max = 3}, NULL);
    int fds[4];
    for (int i = 0; i < 4; i++)
        fds[i] = raw_connect(http_server_port(s, 0));
    assert_true(raw_closed(fds[3]));
    raw_send(fds[2], "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_expect(fds[2], "GET /echo"));
    close(fds[0]);
    close(fds[3]);
    int64_t end = clock_boot_ms() + PATIENCE_MS; /* the place becomes free when the server has read the end of it */
    bool in = false;
    while (!in && clock_boot_ms() < end) {
        int fd = raw_connect(http_server_port(s, 0));
        in = send(fd, "GET /echo HTTP/1.1\r\n\r\n", 22, MSG_NOSIGNAL) == 22 && raw_expect(fd, "GET /echo");
        close(fd);
    }
    assert_true(in);
    close(fds[1]);
    close(fds[2]);
    http_server_stop(s);
}

static void one_address_cannot_take_all_connections(void **state) {
    (void)state;
    struct http_server *s = serve(); /* 1024 over all, 128 for each address */
    int fds[129];
    for (int i = 0; i < 129; i++)
        fds[i] = raw_connect(http_server_port(s, 0));
    assert_true(raw_closed(fds[128]));
    raw_send(fds[127], "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_expect(fds[127], "GET /echo"));
    for (int i = 0; i < 129; i++)
        close(fds[i]);
    http_server_stop(s);
}

/* ---- beginning and end ---- */

static void a_port_in_use_is_a_conflict_that_names_it(void **state) {
    (void)state;
    struct http_server *s = serve(), *second;
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", http_server_port(s, 0));
    struct http_server_options options = {.listeners = {{.address = address, .route = route}}, .listener_count = 1};
    struct err err = {0};
    assert_false(http_server_start(&options, &second, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_non_null(strstr(err.text, address));
    http_server_stop(s);
}

static void an_address_must_be_numeric_and_have_a_port(void **state) {
    (void)state;
    const char *wrong[] = {"127.0.0.1", "::1", "[::1]", "localhost:80", "127.0.0.1:", "127.0.0.1:99999", "::1:80", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct http_server_options options = {.listeners = {{.address = wrong[i], .route = route}}, .listener_count = 1};
        struct http_server *s;
        struct err err = {0};
        assert_false(http_server_start(&options, &s, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void stopping_tells_those_who_wait(void **state) {
    (void)state;
    struct http_server *s = serve();
    struct got held;
    holds_seen = 0;
    request(client, &held, "GET", url_of(s, "http", "/hold?ms=15000"), NULL);
    await_holds(client, 1);
    http_server_stop(s);
    await(client, &held);
    assert_int_equal(held.status, 503);
}

static void stopping_does_not_wait_for_a_client_that_does_not_read(void **state) {
    (void)state;
    struct http_server *s = serve();
    int fd = raw_connect(http_server_port(s, 0));
    raw_send(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_expect(fd, "0123456789abcdef"));
    int64_t before = clock_boot_ms();
    http_server_stop(s);
    assert_in_range(clock_boot_ms() - before, 0, 5000);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_sees_the_newest_snapshot),
        cmocka_unit_test(methods_path_query_and_body_reach_the_route),
        cmocka_unit_test(head_and_options_are_gets_without_a_body),
        cmocka_unit_test(malformed_targets_are_refused),
        cmocka_unit_test(a_held_request_is_answered_right_after_a_publish),
        cmocka_unit_test(a_publish_seen_by_another_request_first_still_reaches_the_held_one),
        cmocka_unit_test(a_hold_ends_with_204),
        cmocka_unit_test(a_newer_hold_with_the_same_key_ends_the_older),
        cmocka_unit_test(a_letter_is_answered_by_the_loop_thread),
        cmocka_unit_test(a_full_mailbox_says_503_and_when_to_come_back),
        cmocka_unit_test(a_letter_nobody_takes_ends_with_504_and_is_withdrawn),
        cmocka_unit_test(a_late_answer_is_dropped_and_the_connection_lives),
        cmocka_unit_test(an_answer_to_a_vanished_client_does_no_harm),
        cmocka_unit_test(a_path_too_long_for_a_letter_is_refused),
        cmocka_unit_test(a_body_beyond_the_bound_is_413),
        cmocka_unit_test(a_hundred_megabytes_are_refused_at_once),
        cmocka_unit_test(headers_have_a_bound),
        cmocka_unit_test(a_client_that_does_not_read_cannot_make_the_server_hoard),
        cmocka_unit_test(silent_and_dripping_clients_are_cut_after_the_same_time),
        cmocka_unit_test(the_clock_of_a_second_request_starts_with_its_first_byte),
        cmocka_unit_test(connections_are_counted),
        cmocka_unit_test(one_address_cannot_take_all_connections),
        cmocka_unit_test(a_port_in_use_is_a_conflict_that_names_it),
        cmocka_unit_test(an_address_must_be_numeric_and_have_a_port),
        cmocka_unit_test(stopping_tells_those_who_wait),
        cmocka_unit_test(stopping_does_not_wait_for_a_client_that_does_not_read),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
