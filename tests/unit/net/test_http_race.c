/* The two threads of the server against each other: clients come, wait, time out and vanish while the loop thread
 * publishes, answers late and stops. What is checked is that every request ends, every snapshot is freed and the
 * sanitizers stay silent. */
#include "http_fixture.h"
#include <pthread.h>

#define CLIENTS 3
#define RUN_MS 1200

static atomic_bool over;
static atomic_int answered, strange;
static struct http_server *server;

static unsigned draw(unsigned *seed, unsigned below) {
    return (unsigned)rand_r(seed) % below;
}

static void note(void *context, const struct http_answer *answer) {
    --*(int *)context;
    answered++;
    int s = answer->status;
    if (s != 200 && s != 204 && s != 503 && s != 504)
        strange++;
}

static void start_some_request(struct http_client *c, unsigned *seed, int *running) {
    char path[64], url[128];
    const char *method = "GET";
    switch (draw(seed, 4)) {
    case 0: snprintf(path, sizeof path, "/state"); break;
    case 1: snprintf(path, sizeof path, "/hold?ms=%u&key=%u", draw(seed, 30), draw(seed, 3)); break;
    case 2: snprintf(path, sizeof path, "/hold?ms=%u", draw(seed, 30)); break;
    default: method = "POST", snprintf(path, sizeof path, "/mail?ms=%u", 1 + draw(seed, 10)); break;
    }
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", http_server_port(server, 0), path);
    struct http_request what = {.method = method, .url = url, .body = {"x", method[0] == 'P'}, .deadline_ms = PATIENCE_MS};
    uint64_t id = http_client_start(c, &what, note, running);
    ++*running;
    http_client_wait(c, NULL, 0, draw(seed, 3));
    if (draw(seed, 8) == 0) /* vanish in the middle, unless it has ended already */
        http_client_cancel(c, id);
}

static void *be_a_client(void *context) {
    unsigned seed = *(unsigned *)context;
    while (!over) {
        struct http_client *c = client_with(NULL);
        int running = 0;
        for (int i = 0; i < 40 && !over; i++) {
            if (running < 12) /* some of them have vanished */
                start_some_request(c, &seed, &running);
            else
                http_client_wait(c, NULL, 0, 5);
        }
        http_client_free(c); /* and with it whatever still runs */
    }
    return NULL;
}

/* Publishes, takes letters and answers each after a random number of turns. */
static void be_the_loop(unsigned seed) {
    struct http_letter *kept[8] = {0};
    int64_t end = clock_boot_ms() + RUN_MS;
    while (clock_boot_ms() < end) {
        struct pollfd mail = {.fd = http_server_mail_fd(server), .events = POLLIN};
        poll(&mail, 1, 2);
        publish(server, draw(&seed, 2) ? "quiet" : "news");
        struct http_letter **place = &kept[draw(&seed, 8)];
        if (*place)
            answer_text(server, *place, 200, "done");
        *place = NULL;
        http_server_take(server, place);
    }
    for (size_t i = 0; i < 8; i++)
        if (kept[i])
            answer_text(server, kept[i], 200, "done");
}

static void nothing_is_lost_when_everything_happens_at_once(void **state) {
    (void)state;
    server = serve_with((struct http_server_options){.mailbox_max = 4, .io_timeout_ms = 200}, NULL);
    pthread_t clients[CLIENTS];
    unsigned seeds[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        seeds[i] = i + 1;
        assert_int_equal(pthread_create(&clients[i], NULL, be_a_client, &seeds[i]), 0);
    }
    be_the_loop(99);
    over = true;
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    http_server_stop(server);
    assert_int_equal(snapshots_alive, 0);
    assert_int_equal(strange, 0);
    assert_in_range(answered, 50, 1000000);
}

static void a_server_may_stop_at_any_moment(void **state) {
    (void)state;
    struct http_client *c = client_with(NULL);
    for (int i = 0; i < 60; i++) {
        struct http_server *s = serve_with((struct http_server_options){0}, NULL);
        struct got state_got, hold_got, mail_got;
        request(c, &state_got, "GET", url_of(s, "http", "/state"), NULL);
        request(c, &hold_got, "GET", url_of(s, "http", "/hold?ms=15000"), NULL);
        request(c, &mail_got, "POST", url_of(s, "http", "/mail"), "x");
        for (int turn = 0; turn < i / 4; turn++)
            http_client_wait(c, NULL, 0, 0);
        publish(s, "quiet");
        http_server_stop(s);
        await(c, &state_got);
        await(c, &hold_got);
        await(c, &mail_got);
        assert_true(hold_got.status == 503 || hold_got.err.code != ERR_NONE);
        assert_true(mail_got.status == 503 || mail_got.err.code != ERR_NONE);
    }
    http_client_free(c);
    assert_int_equal(snapshots_alive, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_when_everything_happens_at_once),
        cmocka_unit_test(a_server_may_stop_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
