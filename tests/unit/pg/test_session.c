/* The session against a real server, and against a false one where the moment matters (refusals, hangs, a connection lost in
 * the middle of a query). */
#include "pg_fixture.h"
#include "site-agent/pg/pg_session.h"
#include <sys/socket.h>
#include <sys/un.h>

#define FAKE_PORT 5432 /* only names the socket file */

static struct pg_fixture pg;
static struct pg_server *server;
static char conninfo[256];

static int start_server(void **state) {
    (void)state;
    pg_fixture_open(&pg);
    server = pg_server_init(&pg, "main", 1);
    pg_server_start(server);
    str_copy(conninfo, sizeof conninfo, pg_server_conninfo(server));
    return 0;
}

static int stop_server(void **state) {
    (void)state;
    pg_fixture_close(&pg);
    return 0;
}

/* What a callback saw. */
struct seen {
    int calls, order;
    bool ok, warning;
    struct err err;
    char sqlstate[6], text[64];
    size_t text_len;
    bool null;
};
static int order;

static void see(void *context, const struct pg_result *r) {
    struct seen *seen = context;
    seen->calls++;
    seen->order = ++order;
    seen->ok = r->ok;
    seen->warning = r->warning;
    seen->err = r->err;
    seen->text_len = r->text_len;
    seen->null = !r->text;
    memcpy(seen->sqlstate, r->sqlstate, sizeof seen->sqlstate);
    str_copy(seen->text, sizeof seen->text, r->text ? r->text : "");
}

static int64_t in(int64_t ms) { return clock_boot_ms() + ms; }

static void ask_within(struct pg_session *s, const char *sql, int64_t ms, struct seen *seen) {
    *seen = (struct seen){0};
    pg_session_query(s, sql, NULL, 0, in(ms), see, seen);
}

static void ask(struct pg_session *s, const char *sql, struct seen *seen) { ask_within(s, sql, 10000, seen); }

/* The agent's loop in small. */
static void run_until(struct pg_session *s, const int *flag, int value) {
    for (int64_t until = in(15000); *flag != value && clock_boot_ms() < until;) {
        struct pollfd fd;
        nfds_t n = pg_session_pollfd(s, &fd);
        int64_t left = pg_session_next_deadline(s) - clock_boot_ms();
        poll(&fd, n, left < 0 ? 0 : left > 500 ? 500 : (int)left);
        pg_session_step(s, clock_boot_ms());
    }
    assert_int_equal(*flag, value);
}

static void await(struct pg_session *s, const struct seen *seen) { run_until(s, &seen->calls, 1); }

static void answers(struct pg_session *s, const char *sql, const char *wanted) {
    struct seen seen;
    ask(s, sql, &seen);
    await(s, &seen);
    if (!seen.ok)
        fail_msg("%s: %s", sql, seen.err.text);
    assert_string_equal(seen.text, wanted);
}

/* ---- a false server: says a few bytes, then does nothing or closes ---- */

struct fake {
    int listener, peer;
    char conninfo[256];
};

static void fake_open(struct fake *f, const char *name) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char dir[80];
    snprintf(dir, sizeof dir, "%.60s/%.16s", pg.base, name);
    assert_int_equal(mkdir(dir, 0700), 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s/.s.PGSQL.%d", dir, FAKE_PORT);
    f->peer = -1;
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listener, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(f->listener, 8), 0);
    snprintf(f->conninfo, sizeof f->conninfo, "host=%s port=%d user=x dbname=x", dir, FAKE_PORT);
}

static void fake_close(struct fake *f) {
    close(f->listener);
    if (f->peer >= 0)
        close(f->peer);
}

/* Steps the session until it has sent something on a new connection, and answers with `bytes`. */
static void fake_answer(struct fake *f, struct pg_session *s, const char *bytes, size_t len) {
    char packet[4096];
    pg_session_step(s, clock_boot_ms()); /* connects */
    f->peer = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(f->peer >= 0);
    pg_session_step(s, clock_boot_ms()); /* sends the startup packet */
    assert_true(read(f->peer, packet, sizeof packet) > 0);
    assert_int_equal(write(f->peer, bytes, len), len);
}

static void fake_refuse(struct fake *f, struct pg_session *s, const char *sqlstate, const char *message) {
    char bytes[256];
    int n = snprintf(bytes + 5, sizeof bytes - 5, "SFATAL%cVFATAL%cC%s%cM%s%cFx.c%cL1%cRf%c", 0, 0, sqlstate, 0, message, 0, 0, 0, 0);
    bytes[0] = 'E';
    bytes[1] = bytes[2] = 0;
    int length = n + 5; /* its own four bytes and the closing zero */
    bytes[3] = (char)(length >> 8);
    bytes[4] = (char)(length & 255);
    bytes[n + 5] = 0;
    fake_answer(f, s, bytes, (size_t)n + 6);
    close(f->peer);
    f->peer = -1;
}

/* ---- questions and answers ---- */

static void a_question_has_an_answer(void **state) {
    (void)state;
    struct pg_session *s = pg_session_new(conninfo, 2000);
    struct seen seen = {0};
    const char *const params[] = {"4", NULL, "it's"};
    assert_false(pg_session_connected(s));
    assert_int_equal(pg_session_backend_pid(s), 0);
    pg_session_query(s, "select $1::int + 1 || coalesce($2::text, '-') || $3::text", params, 3, in(5000), see, &seen);
    assert_int_equal(pg_session_next_deadline(s), 0); /* due at once */
    await(s, &seen);
    assert_true(seen.ok);
    assert_string_equal(seen.text, "5-it's");
    assert_int_equal(seen.text_len, 6);
    assert_true(pg_session_connected(s));
    assert_true(pg_session_backend_pid(s) > 0);
    assert_true(pg_session_next_deadline(s) == INT64_MAX);
    pg_session_free(s);
}

static void nothing_is_not_an_empty_text(void **state) {
    (void)state;
    struct pg_session *s = pg_session_new(conninfo, 2000);
    static const char *const nothing[] = {"select null::text", "select 1 where false", "checkpoint"};
    for (size_t i = 0; i < 3; i++) {
        struct seen seen;
        ask(s, nothing[i], &seen);
        await(s, &seen);
        assert_true(seen.ok);
        assert_true(seen.null);
    }
    struct seen seen;
    ask(s, "select ''", &seen);
    await(s, &seen);
    assert_false(seen.null);
    pg_session_free(s);
}

static void an_error_has_its_sqlstate_and_costs_nothing(void **state) {
    (void)state;
    struct pg_session *s = pg_session_new(conninfo, 2000);
    struct seen seen;
    answers(s, "select 'before'", "before");
    int pid = pg_session_backend_pid(s);
    ask(s, "select 1/0", &seen);
    await(s, &seen);
    assert_false(seen.ok);
    assert_int_equal(seen.err.code, ERR_EXTERNAL);
    assert_string_equal(seen.sqlstate, "22012");
    assert_string_equal(seen.err.text, "22012: division by zero");
    answers(s, "select 'after'", "after");
    assert_int_equal(pg_session_backend_pid(s), pid);
    pg_session_free(s);
}

static void a_copy_or_an_open_transaction_is_not_kept(void **state) {
    (void)state;
    struct pg_session *s = pg_session_new(conninfo, 2000);
    struct seen seen;
    ask(s, "copy (select 1) to stdout", &seen);
    await(s, &seen);
    assert_int_equal(seen.err.code, ERR_INTERNAL);
    ask(s, "begin", &seen);
    await(s, &seen);
    assert_true(seen.ok);
    assert_false(pg_session_connected(s));
    answers(s, "select 1", "1");
    pg_session_free(s);
}

static void a_warning_is_seen_and_stderr_stays_clean(void **state) {
    (void)state;
    int kept = dup(STDERR_FILENO);
    char path[160];
    snprintf(path, sizeof path, "%s/stderr", pg.base);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    dup2(file, STDERR_FILENO);
    struct pg_session *s = pg_session_new(conninfo, 2000);
    struct seen warned, noticed;
    ask(s, "do $$ begin raise warning 'the disk is nearly full'; end $$", &warned);
    ask(s, "do $$ begin raise notice 'by the way'; end $$", &noticed);
    await(s, &noticed);
    dup2(kept, STDERR_FILENO);
    close(kept);
    assert_true(warned.ok);
    assert_true(warned.warning);
    assert_true(noticed.ok);
    assert_false(noticed.warning);
    assert_int_equal(lseek(file, 0, SEEK_END), 0);
    close(file);
    pg_session_free(s);
}

static void the_seventeenth_is_refused_and_the_others_keep_their_order(void **state) {
    (void)state;
    struct pg_session *s = pg_session_new(conninfo, 2000);
    struct seen seen[17];
    order = 0;
    for (size_t i = 0; i < 17; i++)
        ask(s, "select 1", &seen[i]);
    assert_int_equal(seen[16].calls, 1);
    assert_int_equal(seen[16].err.code, ERR_LIMIT);
    await(s, &seen[15]);
    for (int i = 0; i < 16; i++) {
        assert_true(seen[i].ok);
        assert_int_equal(seen[i].order, i + 2);
    }
    pg_session_free(s);
}

/* More than any socket buffer holds, both ways: the bytes leave in pieces, as the server takes them. */
static void big_texts_go_through(void **state) {
    (void)state;
    struct pg_session *s = pg_session_new(conninfo, 2000);
    size_t size = (size_t)8 << 20;
    char *big = rt_alloc(size + 1);
    memset(big, 'x', size);
    const char *const params[] = {big};
    struct seen seen = {0};
    pg_session_query(s, "select $1::text", params, 1, in(20000), see, &seen);
    rt_free(big); /* the session has its own copy */
    await(s, &seen);
    assert_true(seen.ok);
    assert_int_equal(seen.text_len, size);
    pg_session_free(s);
}

static void functions_of_users_are_not_called_by_chance(void **state) {
    (void)state;
    pg_server_exec(server, "create function public.lower(varchar) returns text language sql as $$ select 'trojan' $$");
    struct pg_session *s = pg_session_new(conninfo, 2000);
    answers(s, "select lower('ABC'::varchar)", "abc");
    pg_session_free(s);
}

/* ---- deadlines ---- */

static void a_late_answer_costs_the_connection(void **state) {
    (void)state;
    struct pg_session *s = pg_session_new(conninfo, 2000);
    struct seen slow, next;
    answers(s, "select 1", "1");
    int pid = pg_session_backend_pid(s);
    int64_t before = clock_boot_ms();
    ask_within(s, "select pg_sleep(30)", 200, &slow);
    ask(s, "select pg_backend_pid()", &next);
    await(s, &slow);
    assert_in_range(clock_boot_ms() - before, 200, 1500);
    assert_int_equal(slow.err.code, ERR_TIMEOUT);
    assert_non_null(strstr(slow.err.text, "deadline"));
    await(s, &next);
    assert_true(next.ok);
    assert_int_not_equal(atoi(next.text), pid);
    pg_session_free(s);
}

static void who_waits_behind_a_slow_one_is_told_in_time(void **state) {
    (void)state;
    struct pg_session *s = pg_session_new(conninfo, 2000);
    struct seen slow, waiting;
    ask(s, "select 'slow' from pg_sleep(0.6)", &slow);
    ask_within(s, "select 'never sent'", 100, &waiting);
    await(s, &waiting);
    assert_int_equal(slow.calls, 0);
    assert_int_equal(waiting.err.code, ERR_UNREACHABLE); /* safe to ask again */
    await(s, &slow);
    assert_true(slow.ok);
    pg_session_free(s);
}

static void a_hanging_server_is_given_up_in_time(void **state) {
    (void)state;
    struct fake f;
    fake_open(&f, "hang");
    struct pg_session *s = pg_session_new(f.conninfo, 300);
    struct seen seen, hasty;
    int64_t before = clock_boot_ms();
    ask(s, "select 1", &seen);
    ask_within(s, "select 2", 50, &hasty);
    await(s, &hasty);
    assert_in_range(clock_boot_ms() - before, 50, 250);
    assert_int_equal(hasty.err.code, ERR_UNREACHABLE);
    await(s, &seen);
    assert_in_range(clock_boot_ms() - before, 300, 1500);
    assert_int_equal(seen.err.code, ERR_UNREACHABLE);
    assert_string_equal(seen.err.text, "connect: no answer within 300 ms");
    pg_session_free(s);
    fake_close(&f);
}

/* ---- refusals and losses ---- */

static void refusal_with(const char *name, const char *sqlstate, const char *message) {
    struct fake f;
    struct seen seen;
    fake_open(&f, name);
    struct pg_session *s = pg_session_new(f.conninfo, 2000);
    ask(s, "select 1", &seen);
    fake_refuse(&f, s, sqlstate, message);
    await(s, &seen);
    assert_int_equal(seen.err.code, ERR_UNREACHABLE);
    assert_string_equal(seen.sqlstate, sqlstate);
    assert_non_null(strstr(seen.err.text, sqlstate));
    assert_non_null(strstr(seen.err.text, message));
    assert_null(strstr(seen.err.text, "LOCATION"));
    pg_session_free(s);
    fake_close(&f);
}

static void starting_up_and_full_are_told_apart_from_dead(void **state) {
    (void)state;
    refusal_with("starting", "57P03", "the database system is starting up");
    refusal_with("full", "53300", "sorry, too many clients already");
}

static void a_real_refusal_is_read_the_same_way(void **state) {
    (void)state;
    pg_server_exec(server, "create role nobody login connection limit 0");
    char as_nobody[300];
    snprintf(as_nobody, sizeof as_nobody, "%s user=nobody", conninfo);
    struct pg_session *s = pg_session_new(as_nobody, 2000);
    struct seen seen;
    ask(s, "select 1", &seen);
    await(s, &seen);
    assert_int_equal(seen.err.code, ERR_UNREACHABLE);
    assert_string_equal(seen.sqlstate, "53300");
    assert_non_null(strstr(seen.err.text, "too many connections for role"));
    pg_session_free(s);
}

/* Time is ours here: the session is only told what time it is. */
static void a_dead_server_is_tried_again_after_growing_pauses(void **state) {
    (void)state;
    static const int64_t pauses[] = {100, 200, 400, 800, 1000, 1000};
    struct pg_session *s = pg_session_new("host=/nowhere user=x", 2000);
    struct seen seen = {0};
    int64_t now = 1000000;
    pg_session_query(s, "select 1", NULL, 0, now + 60000, see, &seen);
    pg_session_step(s, now);
    assert_int_equal(seen.err.code, ERR_UNREACHABLE); /* told at once, not at its deadline */
    assert_true(pg_session_next_deadline(s) == INT64_MAX);
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        seen.calls = 0;
        pg_session_query(s, "select 1", NULL, 0, now + 60000, see, &seen);
        pg_session_step(s, now + pauses[i] - 1);
        assert_int_equal(seen.calls, 0);
        assert_int_equal(pg_session_next_deadline(s), now + pauses[i]);
        now += pauses[i];
        pg_session_step(s, now);
        assert_int_equal(seen.calls, 1);
    }
    pg_session_reset(s); /* "the server was started": no pause */
    pg_session_query(s, "select 1", NULL, 0, now + 60000, see, &seen);
    pg_session_step(s, now);
    assert_int_equal(seen.calls, 2);
    pg_session_free(s);
}

static void a_deadline_within_the_pause_names_the_refusal(void **state) {
    (void)state;
    struct pg_session *s = pg_session_new("host=/nowhere user=x", 2000);
    struct seen seen = {0};
    pg_session_query(s, "select 1", NULL, 0, 9000, see, &seen);
    pg_session_step(s, 1000);
    pg_session_query(s, "select 1", NULL, 0, 1050, see, &seen);
    assert_int_equal(pg_session_next_deadline(s), 1050);
    pg_session_step(s, 1050);
    assert_int_equal(seen.calls, 2);
    assert_int_equal(seen.err.code, ERR_UNREACHABLE);
    assert_non_null(strstr(seen.err.text, "/nowhere"));
    pg_session_free(s);
}

static void an_idle_connection_that_went_is_noticed_before_it_costs_a_query(void **state) {
    (void)state;
    struct pg_session *s = pg_session_new(conninfo, 2000);
    answers(s, "select 1", "1");
    char kill[80];
    snprintf(kill, sizeof kill, "select pg_terminate_backend(%d, 5000)", pg_session_backend_pid(s));
    pg_server_exec(server, kill);
    answers(s, "select 'again'", "again");
    pg_session_free(s);
}

static void a_backend_that_is_ended_says_so(void **state) {
    (void)state;
    struct pg_session *s = pg_session_new(conninfo, 2000);
    struct seen seen;
    ask(s, "select pg_terminate_backend(pg_backend_pid())", &seen);
    await(s, &seen);
    assert_int_equal(seen.err.code, ERR_EXTERNAL);
    assert_string_equal(seen.sqlstate, "57P01");
    answers(s, "select 1", "1");
    pg_session_free(s);
}

static void a_connection_lost_in_the_middle_leaves_the_outcome_unknown(void **state) {
    (void)state;
    static const char welcome[] = "R\0\0\0\10\0\0\0\0Z\0\0\0\5I";
    struct fake f;
    struct seen seen, behind;
    char packet[4096];
    fake_open(&f, "lost");
    struct pg_session *s = pg_session_new(f.conninfo, 2000);
    ask(s, "select pg_promote()", &seen);
    ask_within(s, "select 2", 700, &behind);
    fake_answer(&f, s, welcome, sizeof welcome - 1);
    pg_session_step(s, clock_boot_ms());
    assert_true(pg_session_connected(s));
    assert_true(read(f.peer, packet, sizeof packet) > 0);
    close(f.peer);
    f.peer = -1;
    await(s, &seen);
    assert_int_equal(seen.err.code, ERR_TIMEOUT);
    assert_non_null(strstr(seen.err.text, "unknown"));
    assert_int_equal(behind.calls, 0); /* waits for the next connection */
    pg_session_free(s);
    fake_close(&f);
}

/* ---- reset, free, callbacks ---- */

static void reset_ends_what_runs_and_keeps_what_waits(void **state) {
    (void)state;
    struct pg_session *s = pg_session_new(conninfo, 2000);
    struct seen running, waiting;
    answers(s, "select 1", "1");
    ask(s, "select pg_sleep(30)", &running);
    ask(s, "select 'kept'", &waiting);
    pg_session_step(s, clock_boot_ms());
    pg_session_reset(s);
    assert_false(pg_session_connected(s));
    assert_int_equal(running.calls, 0); /* never from within reset */
    assert_int_equal(pg_session_next_deadline(s), 0);
    await(s, &waiting);
    assert_int_equal(running.calls, 1);
    assert_int_equal(running.err.code, ERR_TIMEOUT);
    assert_true(waiting.ok);
    pg_session_free(s);
}

static void free_is_silent(void **state) {
    (void)state;
    struct pg_session *s = pg_session_new(conninfo, 2000);
    struct seen running, waiting;
    ask(s, "select pg_sleep(30)", &running);
    ask(s, "select 1", &waiting);
    pg_session_step(s, clock_boot_ms());
    pg_session_free(s);
    assert_int_equal(running.calls + waiting.calls, 0);
    pg_session_free(NULL);
}

struct chain {
    struct pg_session *s;
    int left;
};

static void ask_on(void *context, const struct pg_result *r) {
    struct chain *c = context;
    assert_true(r->ok);
    if (--c->left == 0)
        return;
    pg_session_query(c->s, "select 1", NULL, 0, in(5000), ask_on, c);
    if (c->left % 2)
        pg_session_reset(c->s);
}

static void callbacks_may_ask_on_and_reset(void **state) {
    (void)state;
    struct chain c = {.s = pg_session_new(conninfo, 2000), .left = 7};
    pg_session_query(c.s, "select 1", NULL, 0, in(5000), ask_on, &c);
    run_until(c.s, &c.left, 0);
    pg_session_free(c.s);
}

/* ---- the small things of jobs ---- */

static void one_blocking_query(void **state) {
    (void)state;
    STRBUF answer = {0};
    struct err err = {0};
    assert_true(pg_query_once(conninfo, "select 42", in(5000), &answer, &err));
    assert_string_equal(answer.at, "42");
    assert_int_equal(err.code, ERR_NONE);
    assert_false(pg_query_once(conninfo, "select pg_sleep(30)", in(200), &answer, &err));
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_false(pg_query_once("host=/nowhere", "select 1", in(200), &answer, &err));
    assert_int_equal(err.code, ERR_UNREACHABLE);
}

static const char *const hostile[] = {"", "plain", "it's", "back\\slash", "'; drop table x; --", "a b='c'", "\\'", "''", "ü\n\t\"", "$1 %s"};

static void literals_come_back_as_they_went(void **state) {
    (void)state;
    struct pg_session *s = pg_session_new(conninfo, 2000);
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        STRBUF sql = {0};
        strbuf_add(&sql, "select ");
        pg_literal(&sql, hostile[i]);
        answers(s, sql.at, hostile[i]);
    }
    pg_session_free(s);
}

static void connection_strings_come_back_as_they_went(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        STRBUF text = {0};
        pg_conninfo_add(&text, "application_name", hostile[i]);
        pg_conninfo_add(&text, "user", "next");
        char *problem = NULL;
        PQconninfoOption *options = PQconninfoParse(text.at, &problem);
        assert_non_null(options);
        for (const PQconninfoOption *o = options; o->keyword; o++) {
            if (strcmp(o->keyword, "application_name") == 0)
                assert_string_equal(o->val, hostile[i]);
            if (strcmp(o->keyword, "user") == 0)
                assert_string_equal(o->val, "next");
        }
        PQconninfoFree(options);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_has_an_answer),
        cmocka_unit_test(nothing_is_not_an_empty_text),
        cmocka_unit_test(an_error_has_its_sqlstate_and_costs_nothing),
        cmocka_unit_test(a_copy_or_an_open_transaction_is_not_kept),
        cmocka_unit_test(a_warning_is_seen_and_stderr_stays_clean),
        cmocka_unit_test(the_seventeenth_is_refused_and_the_others_keep_their_order),
        cmocka_unit_test(big_texts_go_through),
        cmocka_unit_test(functions_of_users_are_not_called_by_chance),
        cmocka_unit_test(a_late_answer_costs_the_connection),
        cmocka_unit_test(who_waits_behind_a_slow_one_is_told_in_time),
        cmocka_unit_test(a_hanging_server_is_given_up_in_time),
        cmocka_unit_test(starting_up_and_full_are_told_apart_from_dead),
        cmocka_unit_test(a_real_refusal_is_read_the_same_way),
        cmocka_unit_test(a_dead_server_is_tried_again_after_growing_pauses),
        cmocka_unit_test(a_deadline_within_the_pause_names_the_refusal),
        cmocka_unit_test(an_idle_connection_that_went_is_noticed_before_it_costs_a_query),
        cmocka_unit_test(a_backend_that_is_ended_says_so),
        cmocka_unit_test(a_connection_lost_in_the_middle_leaves_the_outcome_unknown),
        cmocka_unit_test(reset_ends_what_runs_and_keeps_what_waits),
        cmocka_unit_test(free_is_silent),
        cmocka_unit_test(callbacks_may_ask_on_and_reset),
        cmocka_unit_test(one_blocking_query),
        cmocka_unit_test(literals_come_back_as_they_went),
        cmocka_unit_test(connection_strings_come_back_as_they_went),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
