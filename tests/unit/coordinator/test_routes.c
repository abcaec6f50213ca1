/* What a site's poll is answered with and when, over real HTTP: orders that it has not seen, other sites' news, another
 * topology; held otherwise. The snapshot is made from a coordinator in memory. */
#include "coordinator/snapshot.h"
#include "rt/clock.h"
#include "rt/file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct coordinator *c;
static struct cluster *cluster;
static struct http_client *client;

static struct text *text(const char *s) { return text_new(s, strlen(s)); }

/* Plain HTTP here; who asks is what the certificate would say. */
static const char *peer = "pgregent://orders/ams/ams-1";
static enum http_verdict route(void *context, const void *snapshot, const struct http_query *q, struct http_reply *reply) {
    struct http_query asked = *q;
    asked.peer_uri = peer;
    return coordinator_api(context, snapshot, &asked, reply);
}

/* One cluster of two sites: ams has an order to come, fra has reported. */
static int make_coordinator(void **state) {
    struct err err = {0};
    (void)state;
    c = rt_alloc(sizeof *c);
    c->relay_number = 100;
    cluster = coordinator_add_cluster(c, "orders");
    cluster->topology = rt_alloc(sizeof *cluster->topology);
    cluster->topology->topology_version = 3;
    str_copy(cluster->topology->hash, HASH_TEXT_MAX, "topo3");
    cluster->topology_envelope = text("{\"topology\":3}");
    cluster->site_count = 2;
    str_copy(cluster->sites[0].name, NAME_MAX_BYTES, "ams");
    str_copy(cluster->sites[1].name, NAME_MAX_BYTES, "fra");
    struct http_server_options options = {.listeners = {{.address = "127.0.0.1:0", .route = route}}, .listener_count = 1, .snapshot_free = snapshot_free};
    if (!http_server_start(&options, &c->http, &err) || !http_client_new(NULL, &client, &err))
        fail_msg("%s", err.text);
    return 0;
}

static int free_coordinator(void **state) {
    (void)state;
    http_client_free(client);
    http_server_stop(c->http);
    coordinator_free(c);
    rt_free(c);
    return 0;
}

static void publish(void) { http_server_publish(c->http, snapshot_new(c)); }

static void add_order(int site, const char *hash) {
    struct issued *o = &cluster->sites[site].pending;
    o->present = true;
    str_copy(o->hash, sizeof o->hash, hash);
    text_set(&o->envelope, text("{\"order\":1}"));
}

static void add_news(int site, const char *report) {
    cluster->sites[site].relay_mark = ++c->relay_number;
    text_set(&cluster->sites[site].relayed, text(report));
}

struct reply {
    bool done;
    int status;
    char body[512];
};
static void on_reply(void *context, const struct http_answer *answer) {
    struct reply *r = context;
    r->done = true;
    r->status = answer->status;
    snprintf(r->body, sizeof r->body, "%.*s", (int)(answer->body.len < 500 ? answer->body.len : 500), answer->body.at ? answer->body.at : "");
}

static void ask_from(struct reply *r, const char *method, const char *path) {
    char url[512];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", http_server_port(c->http, 0), path);
    *r = (struct reply){0};
    struct http_request request = {.method = method, .url = url, .deadline_ms = 20000};
    http_client_start(client, &request, on_reply, r);
}

static void wait_for(struct reply *r) {
    int64_t until = clock_boot_ms() + 10000;
    while (!r->done && clock_boot_ms() < until)
        http_client_wait(client, NULL, 0, 100);
    if (!r->done)
        fail_msg("no answer");
}

/* Held: nothing comes while the server has time to answer a question asked after it. */
static void check_held(struct reply *r) {
    struct reply other;
    ask_from(&other, "GET", "/v1/topology?cluster=orders");
    wait_for(&other);
    assert_int_equal(other.status, 200);
    assert_false(r->done);
}

#define POLL "/v1/orders?cluster=orders&site=ams&member=ams-1&topology=topo3"

static void a_poll_is_held_until_there_is_an_order(void **state) {
    struct reply r;
    (void)state;
    publish();
    ask_from(&r, "GET", POLL "&order=none&relay=0");
    check_held(&r);
    add_order(0, "aaa");
    publish();
    wait_for(&r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "{\"orders\":[{\"order\":1}],\"relay\":0,\"relayed\":[],\"topology\":null}");
}

static void an_order_that_was_seen_is_not_sent_again(void **state) {
    struct reply r;
    (void)state;
    add_order(0, "aaa");
    publish();
    ask_from(&r, "GET", POLL "&order=aaa&relay=0");
    check_held(&r);
    add_order(0, "bbb");
    publish();
    wait_for(&r);
    assert_non_null(strstr(r.body, "\"orders\":[{\"order\":1}]"));
}

static void another_sites_order_and_a_refused_one_are_nobodys_news(void **state) {
    struct reply r;
    (void)state;
    add_order(1, "ccc");
    add_order(0, "aaa");
    cluster->sites[0].refused = true;
    publish();
    ask_from(&r, "GET", POLL "&order=none&relay=0");
    check_held(&r);
    add_news(1, "{}");
    publish();
    wait_for(&r);
    assert_non_null(strstr(r.body, "\"orders\":[]"));
}

static void only_news_of_others_and_only_what_is_new_is_relayed(void **state) {
    struct reply r;
    (void)state;
    add_news(0, "{\"of\":\"ams\"}"); /* 101: its own */
    add_news(1, "{\"of\":\"fra\"}"); /* 102 */
    publish();
    ask_from(&r, "GET", POLL "&order=none&relay=0");
    wait_for(&r);
    assert_string_equal(r.body, "{\"orders\":[],\"relay\":102,\"relayed\":[{\"of\":\"fra\"}],\"topology\":null}");
    ask_from(&r, "GET", POLL "&order=none&relay=102");
    check_held(&r);
    add_news(0, "{}");
    publish();
    check_held(&r);
    add_news(1, "{\"of\":\"fra again\"}");
    publish();
    wait_for(&r);
    assert_non_null(strstr(r.body, "fra again"));
}

static void a_number_of_another_life_gets_everything(void **state) {
    struct reply r;
    (void)state;
    add_news(1, "{\"of\":\"fra\"}");
    publish();
    ask_from(&r, "GET", POLL "&order=none&relay=999999");
    wait_for(&r);
    assert_non_null(strstr(r.body, "\"of\":\"fra\""));
}

static void another_topology_is_sent(void **state) {
    struct reply r;
    (void)state;
    publish();
    ask_from(&r, "GET", "/v1/orders?cluster=orders&site=ams&member=ams-1&topology=topo2&order=none&relay=0");
    wait_for(&r);
    assert_non_null(strstr(r.body, "\"topology\":{\"topology\":3}"));
}

/* Whoever holds a newer one would refuse it again and again. */
static void an_older_topology_is_not_sent(void **state) {
    struct reply r;
    (void)state;
    cluster->view.behind = true;
    publish();
    ask_from(&r, "GET", "/v1/orders?cluster=orders&site=ams&member=ams-1&topology=topo4&order=none&relay=0");
    check_held(&r);
    cluster->view.behind = false;
    publish();
    wait_for(&r);
    assert_int_equal(r.status, 200);
}

static void whoever_is_unknown_is_told_so(void **state) {
    static const char *const paths[] = {"/v1/orders?cluster=orders&site=par&order=none&relay=0", "/v1/orders?cluster=other&site=ams", "/v1/topology?cluster=other",
                                        "/v1/status?cluster=other", "/v1/explain?cluster=other", "/v1/operations?cluster=orders&id=1", "/v1/nothing"};
    (void)state;
    publish();
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct reply r;
        ask_from(&r, "GET", paths[i]);
        wait_for(&r);
        assert_int_equal(r.status, 404);
        assert_non_null(strstr(r.body, "{\"error\":{\"code\":\"not_found\""));
    }
}

static void orders_are_given_to_the_member_that_the_certificate_names(void **state) {
    static const char *const others[] = {"pgregent://orders/fra/fra-1", "pgregent://orders/ams/ams-2", "pgregent://other/ams/ams-1", "pgregent://orders/operator/alice", ""};
    (void)state;
    add_order(0, "aaa");
    publish();
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct reply r;
        peer = others[i];
        ask_from(&r, "GET", POLL "&order=none&relay=0");
        wait_for(&r);
        assert_int_equal(r.status, 403);
        assert_null(strstr(r.body, "order\":1"));
    }
    peer = "pgregent://orders/ams/ams-1";
}

/* A command waits for the end of an operation: that it has just changed must not look like its disappearance. */
static void an_operation_that_changed_is_shown_as_it_was_until_it_is_written_anew(void **state) {
    struct reply r;
    (void)state;
    bool fresh;
    struct err err = {0};
    char directory[64];
    snprintf(directory, sizeof directory, "/tmp/pgregent-routes-%d", (int)getpid());
    assert_true(journal_open(directory, &c->journal, &fresh, &err));
    struct operation *o = cluster_add_operation(cluster);
    str_copy(o->id, sizeof o->id, "0123456789abcdef");
    text_set(&cluster->operation_texts[0], text("{\"id\":1}"));
    journal_operation(c, cluster, o);
    publish();
    ask_from(&r, "GET", "/v1/operations?cluster=orders&id=0123456789abcdef");
    wait_for(&r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "{\"id\":1}"));
    journal_close(c->journal);
    assert_true(file_remove_tree(directory, &err));
}

static void a_number_of_operations_from_another_life_is_not_waited_for(void **state) {
    struct reply r;
    (void)state;
    cluster->shown_number = 500;
    publish();
    ask_from(&r, "GET", "/v1/operations?cluster=orders&seen=501");
    wait_for(&r);
    assert_string_equal(r.body, "{\"operations\":[],\"number\":500}");
}

static void operations_are_held_until_their_number_moves(void **state) {
    struct reply r;
    char path[128];
    (void)state;
    cluster->shown_number = 500;
    publish();
    snprintf(path, sizeof path, "/v1/operations?cluster=orders&seen=%d", 500);
    ask_from(&r, "GET", path);
    check_held(&r);
    cluster->shown_number = 501;
    publish();
    wait_for(&r);
    assert_string_equal(r.body, "{\"operations\":[],\"number\":501}");
}

static void before_the_first_look_documents_are_not_known_yet(void **state) {
    struct reply r;
    (void)state;
    publish();
    ask_from(&r, "GET", "/v1/explain?cluster=orders");
    wait_for(&r);
    assert_int_equal(r.status, 503);
    ask_from(&r, "GET", "/v1/status");
    wait_for(&r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "\"clusters\":[]"));
}

int main(void) {
#define STORY(name) cmocka_unit_test_setup_teardown(name, make_coordinator, free_coordinator)
    const struct CMUnitTest tests[] = {
        STORY(a_poll_is_held_until_there_is_an_order),
        STORY(an_order_that_was_seen_is_not_sent_again),
        STORY(another_sites_order_and_a_refused_one_are_nobodys_news),
        STORY(only_news_of_others_and_only_what_is_new_is_relayed),
        STORY(a_number_of_another_life_gets_everything),
        STORY(another_topology_is_sent),
        STORY(an_older_topology_is_not_sent),
        STORY(whoever_is_unknown_is_told_so),
        STORY(orders_are_given_to_the_member_that_the_certificate_names),
        STORY(an_operation_that_changed_is_shown_as_it_was_until_it_is_written_anew),
        STORY(a_number_of_operations_from_another_life_is_not_waited_for),
        STORY(operations_are_held_until_their_number_moves),
        STORY(before_the_first_look_documents_are_not_known_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
