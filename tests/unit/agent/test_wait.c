/* The loop's one wait: what must wake it, and what must not keep it awake. */
#include "site-agent/agent.h"
#include "rt/clock.h"
#include "rt/proc.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define IDLE_MS 300
static struct agent agent; /* the parts that waiting looks at */

static int setup(void **state) {
    (void)state;
    struct err err = {0};
    sigset_t none;
    sigemptyset(&none);
    agent = (struct agent){.plan = {.wake_ms = IDLE_MS}, .uplink = {.topology_due_ms = INT64_MAX}, .server = {.postmaster_fd = -1}};
    agent.signal_fd = signalfd(-1, &none, SFD_NONBLOCK | SFD_CLOEXEC);
    agent.server.main = pg_session_new("host=/nowhere", 1000);
    agent.server.probe = pg_session_new("host=/nowhere", 1000);
    agent.server.setup = pg_session_new("host=/nowhere", 1000);
    if (!http_client_new(NULL, &agent.uplink.http, &err)) fail_msg("%s", err.text);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    pg_session_free(agent.server.main);
    pg_session_free(agent.server.probe);
    pg_session_free(agent.server.setup);
    http_client_free(agent.uplink.http);
    close(agent.signal_fd);
    return 0;
}

static int64_t waited_ms(void) {
    int64_t begun_ms = clock_boot_ms();
    agent_wait(&agent);
    return clock_boot_ms() - begun_ms;
}

/* What the dead-man's status brings; its pid 0 says that none runs. */
static void told_of(int64_t pid) { server_event(&agent, &(struct deadman_status){.postmaster_pid = pid, .last_exit = -1}); }

static pid_t ended_process(void) {
    siginfo_t info;
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0); /* it stays in the process table, as with a dead-man that stands still */
    return pid;
}

static void a_dead_postmaster_wakes_the_loop_once(void **state) {
    (void)state;
    pid_t first = ended_process(), second = ended_process();
    told_of(first);
    waited_ms();
    assert_true(agent.server.postmaster_over);
    assert_true(waited_ms() > IDLE_MS / 2); /* and does not spin while the dead-man says nothing */
    told_of(first);
    assert_true(waited_ms() > IDLE_MS / 2);
    told_of(second); /* another one: looked at anew */
    assert_false(agent.server.postmaster_over);
    waited_ms();
    assert_true(agent.server.postmaster_over);
    told_of(0);
    assert_false(agent.server.postmaster_over);
    waitpid(first, NULL, 0);
    waitpid(second, NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(a_dead_postmaster_wakes_the_loop_once, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
