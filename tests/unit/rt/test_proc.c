/* Child processes as an owner's loop sees them: poll, step, and look. */
#include "rt/clock.h"
#include "rt/file.h"
#include "rt/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 20000 /* a test that waits longer has failed */
#define QUIET_MS 100      /* that nothing happens is believed after this long */

static void proc_auto(struct proc **p) {
    proc_free(*p);
}
#define PROC_AUTO __attribute__((cleanup(proc_auto))) struct proc

static struct proc *spawn(const struct proc_options *options) {
    struct proc *p = NULL;
    struct err err = {0};
    if (!proc_spawn(options, &p, &err)) fail_msg("%s", err.text);
    return p;
}

#define SHELL(script) ((const char *const[]){"/bin/sh", "-c", (script), NULL})

/* Polls once, for at most the patience, and steps at the given time. */
static enum proc_state wait_and_step(struct proc *p, int64_t now) {
    struct pollfd fds[2];
    size_t count = proc_pollfds(p, fds);
    assert_in_range(count, 1, 2); /* a running job always has an event to wait for */
    assert_true(poll(fds, count, PATIENCE_MS) > 0);
    return proc_step(p, now);
}

static enum proc_state to_the_end(struct proc *p) {
    enum proc_state state;
    while ((state = wait_and_step(p, clock_boot_ms())) == PROC_RUNNING) continue;
    return state;
}

static void until_output(struct proc *p, const char *text) {
    while (!strstr(proc_output(p), text)) assert_int_equal(wait_and_step(p, 0), PROC_RUNNING);
}

static bool is_alive(pid_t pid) {
    char state = 0;
    return proc_stat(pid, NULL, &state, NULL) && state != 'Z';
}

static void output_and_exit_status_come_back(void **state) {
    (void)state;
    PROC_AUTO *p = spawn(&(struct proc_options){.argv = SHELL("echo out; echo the reason >&2; echo; exit 3")});
    assert_int_equal(to_the_end(p), PROC_EXITED);
    assert_int_equal(proc_exit_code(p), 3);
    assert_string_equal(proc_output(p), "out\nthe reason\n\n");
    char line[64], small[4];
    proc_last_line(p, line, sizeof line);
    assert_string_equal(line, "the reason");
    proc_last_line(p, small, sizeof small);
    assert_string_equal(small, "the");
    assert_false(proc_timed_out(p));
    assert_int_equal(proc_step(p, 0), PROC_EXITED); /* stepping on changes nothing */
    assert_int_equal(waitpid(proc_pid(p), NULL, WNOHANG), -1);
}

static void death_by_signal_is_told_apart(void **state) {
    (void)state;
    PROC_AUTO *p = spawn(&(struct proc_options){.argv = SHELL("kill -USR1 $$")});
    assert_int_equal(to_the_end(p), PROC_SIGNALED);
    assert_int_equal(proc_exit_code(p), 128 + SIGUSR1);
}

static void a_program_that_cannot_start_is_reported_at_once(void **state) {
    (void)state;
    struct proc *p = NULL;
    struct err err = {0};
    assert_false(proc_spawn(&(struct proc_options){.argv = (const char *const[]){"/no/such/program", NULL}}, &p, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_string_equal(err.text, "/no/such/program: execute: No such file or directory");
    assert_false(proc_spawn(&(struct proc_options){.argv = SHELL(":"), .cwd = "/no/such"}, &p, &err));
    assert_string_equal(err.text, "/bin/sh: change directory: No such file or directory");
    assert_false(proc_spawn(&(struct proc_options){.argv = SHELL(":"), .output_path = "/no/such/log"}, &p, &err));
    assert_string_equal(err.text, "/bin/sh: open the output file: No such file or directory");
    assert_null(p);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* and no zombie is left */
    assert_int_equal(errno, ECHILD);
}

static void the_child_starts_from_a_clean_slate(void **state) {
    (void)state;
    FILE_AUTO int open_on = fcntl(STDOUT_FILENO, F_DUPFD, 20); /* without close-on-exec, on purpose */
    assert_true(open_on >= 20);
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGCHLD);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    signal(SIGPIPE, SIG_IGN);
    setenv("PGPASSWORD", "secret", 1);
    PROC_AUTO *p = spawn(&(struct proc_options){
        .argv = SHELL("env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= | sort; pwd; grep SigBlk /proc/self/status; "
                      "sed -n 's/^SigIgn:.*\\(.......\\)$/SigIgn:\\1/p' /proc/self/status;" /* 1 to 28: the C library keeps 32 and 33 to itself */
                      "for fd in /proc/self/fd/*; do test -e $fd && echo ${fd##*/}; done; cat; cut -d' ' -f5 /proc/$$/stat; echo $$")});
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(to_the_end(p), PROC_EXITED);
    char wanted[512];
    snprintf(wanted, sizeof wanted,
             "LANG=C\nLC_ALL=C\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n/\n"
             "SigBlk:\t0000000000000000\nSigIgn:0000000\n0\n1\n2\n%d\n%d\n",
             (int)proc_pid(p), (int)proc_pid(p));
    assert_string_equal(proc_output(p), wanted);
}

static void only_the_newest_output_is_kept(void **state) {
    (void)state;
    PROC_AUTO *p = spawn(&(struct proc_options){
        .argv = SHELL("echo first; head -c 3000000 /dev/zero | tr '\\000' x; printf 'a\\000b\\nlast\\n'")});
    assert_int_equal(to_the_end(p), PROC_EXITED);
    const char *output = proc_output(p);
    assert_int_equal(strlen(output), PROC_OUTPUT_MAX);
    assert_null(strstr(output, "first"));
    assert_string_equal(output + PROC_OUTPUT_MAX - 10, "xa?b\nlast\n");
}

static void output_may_go_to_a_file(void **state) {
    (void)state;
    char path[] = "/tmp/test_proc.XXXXXX";
    FILE_AUTO int fd = mkstemp(path);
    assert_int_equal(write(fd, "before\n", 7), 7);
    PROC_AUTO *p = spawn(&(struct proc_options){.argv = SHELL("echo out; echo err >&2"), .output_path = path});
    assert_int_equal(to_the_end(p), PROC_EXITED);
    assert_string_equal(proc_output(p), "");
    struct err err = {0};
    STRBUF text = {0};
    assert_true(file_read(path, 100, &text, &err));
    assert_string_equal(text.at, "before\nout\nerr\n");
    unlink(path);
}

static void the_deadline_asks_first(void **state) {
    (void)state;
    int64_t now = clock_boot_ms();
    PROC_AUTO *p = spawn(&(struct proc_options){
        .argv = SHELL("trap 'echo bye; exit 9' TERM; (echo ready; exec sleep 1000) & wait"),
        .deadline_boot_ms = now + 100000});
    until_output(p, "ready");
    assert_int_equal(proc_step(p, now + 99999), PROC_RUNNING);
    assert_false(proc_timed_out(p));
    proc_step(p, now + 100000);
    assert_true(proc_timed_out(p));
    assert_int_equal(to_the_end(p), PROC_EXITED);
    assert_int_equal(proc_exit_code(p), 9);
    assert_string_equal(proc_output(p), "ready\nbye\n");
}

/* Leader and member both ignore SIGTERM; the grace passes; SIGKILL takes them all. */
static void the_deadline_insists_after_the_grace(void **state) {
    (void)state;
    PROC_AUTO *p = spawn(&(struct proc_options){
        .argv = SHELL("trap '' TERM; sleep 1000 & echo member=$!; wait"), .deadline_boot_ms = 1000, .grace_ms = 500});
    until_output(p, "\n");
    pid_t member = (pid_t)atoi(strchr(proc_output(p), '=') + 1);
    assert_int_equal(proc_step(p, 1200), PROC_RUNNING);
    assert_int_equal(proc_step(p, 1699), PROC_RUNNING); /* the grace counts from the SIGTERM at 1200 */
    struct pollfd fds[2];
    assert_int_equal(poll(fds, proc_pollfds(p, fds), QUIET_MS), 0);
    assert_true(is_alive(proc_pid(p)) && is_alive(member));
    proc_step(p, 1700);
    assert_int_equal(to_the_end(p), PROC_SIGNALED);
    assert_int_equal(proc_exit_code(p), 128 + SIGKILL);
    assert_true(proc_timed_out(p));
    assert_false(is_alive(member));
}

/* The leader is gone before the deadline, a member lives on with no pipe to be heard by: the job is not over. */
static void a_member_that_outlives_its_leader_meets_the_deadline_too(void **state) {
    (void)state;
    PROC_AUTO *p = spawn(&(struct proc_options){
        .argv = SHELL("(trap '' TERM; exec >/dev/null 2>&1; exec sleep 1000) & echo member=$!; exit 4"), .deadline_boot_ms = 1000, .grace_ms = 1});
    struct pollfd fds[2];
    while (proc_pollfds(p, fds) == 2) assert_int_equal(wait_and_step(p, 1), PROC_RUNNING); /* until the pipe has closed */
    pid_t member = (pid_t)atoi(strchr(proc_output(p), '=') + 1);
    char letter = 0;
    while (proc_stat(proc_pid(p), NULL, &letter, NULL) && letter != 'Z') assert_true(poll(fds, 1, PATIENCE_MS) > 0);
    assert_int_equal(proc_step(p, 1), PROC_RUNNING);
    assert_int_equal(proc_pollfds(p, fds), 1);
    assert_int_equal(poll(fds, 1, 0), 0); /* and the dead leader does not keep the owner's loop spinning */
    assert_true(is_alive(member));
    proc_step(p, 1000);
    assert_int_equal(proc_step(p, 1000), PROC_RUNNING);
    proc_step(p, 1001);
    assert_int_equal(to_the_end(p), PROC_EXITED);
    assert_int_equal(proc_exit_code(p), 4);
    assert_true(proc_timed_out(p));
    assert_false(is_alive(member));
}

/* As pg_ctl leaves the postmaster: in a session of its own, with the output pipe still open. */
static void a_daemon_that_left_the_group_is_let_go(void **state) {
    (void)state;
    PROC_AUTO *p = spawn(&(struct proc_options){.argv = SHELL("setsid sh -c 'echo daemon=$$; exec sleep 1000' & wait_for() { "
                                                              "while ! grep -q sleep /proc/$!/comm; do :; done; }; wait_for; exit 0"),
                                                .deadline_boot_ms = clock_boot_ms() + PATIENCE_MS});
    assert_int_equal(to_the_end(p), PROC_EXITED);
    assert_false(proc_timed_out(p));
    const char *said = strchr(proc_output(p), '=');
    assert_non_null(said);
    pid_t daemon_pid = (pid_t)atoi(said + 1);
    assert_true(is_alive(daemon_pid));
    kill(daemon_pid, SIGKILL);
}

static void a_held_stdin_ends_with_its_holder(void **state) {
    (void)state;
    PROC_AUTO *p = spawn(&(struct proc_options){.argv = SHELL("echo ready; cat; echo end"), .hold_stdin = true});
    until_output(p, "ready");
    struct pollfd fds[2];
    assert_int_equal(poll(fds, proc_pollfds(p, fds), QUIET_MS), 0); /* nothing happens while we hold it */

    /* A holder that dies: it tells the pid of its child, and the child's last words come through our pipe. */
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t holder = fork();
    if (holder == 0) {
        char out[32];
        snprintf(out, sizeof out, "/proc/%d/fd/%d", (int)getppid(), ends[1]);
        struct proc *held;
        struct err err;
        bool started = proc_spawn(&(struct proc_options){.argv = SHELL("cat; echo end"), .hold_stdin = true, .output_path = out}, &held, &err);
        _exit(started ? 0 : 1); /* without proc_free, as a crash would */
    }
    int status = -1;
    assert_int_equal(waitpid(holder, &status, 0), holder);
    assert_int_equal(status, 0);
    close(ends[1]);
    char words[16] = "";
    assert_int_equal(read(ends[0], words, sizeof words - 1), 4);
    assert_string_equal(words, "end\n");
    close(ends[0]);
}

static void freeing_kills_what_still_runs(void **state) {
    (void)state;
    struct proc *p = spawn(&(struct proc_options){.argv = SHELL("trap '' TERM; echo ready; sleep 1000")});
    until_output(p, "ready");
    pid_t pid = proc_pid(p);
    FILE_AUTO int pidfd = proc_pidfd_open(pid);
    proc_free(p);
    assert_int_equal(proc_pidfd_signal(pidfd, 0), -1);
    assert_int_equal(errno, ESRCH);
    proc_free(NULL);
}

static void a_signal_reaches_the_whole_group(void **state) {
    (void)state;
    PROC_AUTO *p = spawn(&(struct proc_options){.argv = SHELL("sleep 1000 & echo ready; wait; wait")});
    until_output(p, "ready");
    proc_signal(p, SIGTERM);
    assert_int_equal(to_the_end(p), PROC_SIGNALED);
    assert_int_equal(proc_exit_code(p), 128 + SIGTERM);
}

/* For a parent that is itself the leader of a job: one group, ended as one. */
static void a_child_may_stay_in_its_parents_group(void **state) {
    (void)state;
    PROC_AUTO *p = spawn(&(struct proc_options){.argv = SHELL("echo ready; exec sleep 60"), .join_group = true});
    until_output(p, "ready");
    assert_int_equal(getpgid(proc_pid(p)), getpgrp());
    proc_signal(p, SIGTERM); /* reaches the program alone, or this test would end here */
    assert_int_equal(to_the_end(p), PROC_SIGNALED);
    assert_int_equal(proc_exit_code(p), 128 + SIGTERM);
}

static void a_child_may_die_with_its_parent(void **state) {
    (void)state;
    int told[2];
    pid_t child;
    assert_int_equal(pipe(told), 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct proc *p = spawn(&(struct proc_options){.argv = SHELL("exec sleep 60"), .death_signal = SIGKILL});
        child = proc_pid(p);
        if (write(told[1], &child, sizeof child) < 0) _exit(1);
        for (;;) pause();
    }
    assert_int_equal(read(told[0], &child, sizeof child), sizeof child);
    int pidfd = proc_pidfd_open(child);
    assert_true(pidfd >= 0 && is_alive(child));
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    assert_int_equal(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, PATIENCE_MS), 1);
    close(pidfd);
    close(told[0]);
    close(told[1]);
}

static void root_runs_a_program_as_somebody_else(void **state) {
    (void)state;
    if (geteuid() != 0) skip();
    PROC_AUTO *p = spawn(&(struct proc_options){
        .argv = SHELL("grep -e ^Uid -e ^Gid -e ^Groups -e ^CapEff /proc/$$/status"), .switch_user = true, .uid = 65534, .gid = 65533});
    assert_int_equal(to_the_end(p), PROC_EXITED);
    assert_string_equal(proc_output(p), "Uid:\t65534\t65534\t65534\t65534\nGid:\t65533\t65533\t65533\t65533\nGroups:\t65533 \n"
                                        "CapEff:\t0000000000000000\n");
}

static void a_user_may_only_switch_to_itself(void **state) {
    (void)state;
    if (geteuid() == 0) skip();
    struct proc_options options = {.argv = SHELL(":"), .switch_user = true, .uid = geteuid(), .gid = getegid()};
    PROC_AUTO *p = spawn(&options);
    assert_int_equal(to_the_end(p), PROC_EXITED);
    struct proc *none = NULL;
    struct err err = {0};
    options.uid++;
    assert_false(proc_spawn(&options, &none, &err));
    assert_string_equal(err.text, "/bin/sh: switch user: Operation not permitted");
}

static void running_to_the_end_in_one_call(void **state) {
    (void)state;
    struct err err = {0};
    STRBUF output = {0};
    int code = -1;
    const char *const env[] = {"WHO=me", NULL};
    assert_true(proc_run(&(struct proc_options){.argv = SHELL("echo $WHO; pwd; exit 2"), .env = env, .cwd = "/usr"}, &output, &code, &err));
    assert_string_equal(output.at, "me\n/usr\n");
    assert_int_equal(code, 2);
    assert_false(proc_run(&(struct proc_options){.argv = SHELL("echo waiting for it; sleep 1000"), .deadline_boot_ms = clock_boot_ms() + 200}, NULL,
                          NULL, &err));
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_string_equal(err.text, "/bin/sh: ended at its deadline; last line: waiting for it");
}

static void a_process_is_known_by_its_start_time(void **state) {
    (void)state;
    assert_int_equal(prctl(PR_SET_NAME, "odd) S 1 (name"), 0); /* a name may look like the fields behind it */
    uint64_t start = 0, again = 0;
    char letter = 0;
    pid_t parent = 0;
    assert_true(proc_stat(getpid(), &start, &letter, &parent));
    assert_true(proc_stat(getpid(), &again, NULL, NULL));
    assert_true(start > 0 && start == again);
    assert_int_equal(letter, 'R');
    assert_int_equal(parent, getppid());
    assert_false(proc_stat(0, NULL, NULL, NULL));
    assert_false(proc_stat(0x3ffffff, NULL, NULL, NULL));

    pid_t child = fork();
    if (child == 0) _exit(0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_true(proc_stat(child, NULL, &letter, NULL));
    assert_int_equal(letter, 'Z');
    waitpid(child, NULL, 0);
    assert_false(proc_stat(child, NULL, &letter, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_exit_status_come_back),
        cmocka_unit_test(death_by_signal_is_told_apart),
        cmocka_unit_test(a_program_that_cannot_start_is_reported_at_once),
        cmocka_unit_test(the_child_starts_from_a_clean_slate),
        cmocka_unit_test(only_the_newest_output_is_kept),
        cmocka_unit_test(output_may_go_to_a_file),
        cmocka_unit_test(the_deadline_asks_first),
        cmocka_unit_test(the_deadline_insists_after_the_grace),
        cmocka_unit_test(a_member_that_outlives_its_leader_meets_the_deadline_too),
        cmocka_unit_test(a_daemon_that_left_the_group_is_let_go),
        cmocka_unit_test(a_held_stdin_ends_with_its_holder),
        cmocka_unit_test(freeing_kills_what_still_runs),
        cmocka_unit_test(a_signal_reaches_the_whole_group),
        cmocka_unit_test(a_child_may_stay_in_its_parents_group),
        cmocka_unit_test(a_child_may_die_with_its_parent),
        cmocka_unit_test(root_runs_a_program_as_somebody_else),
        cmocka_unit_test(a_user_may_only_switch_to_itself),
        cmocka_unit_test(running_to_the_end_in_one_call),
        cmocka_unit_test(a_process_is_known_by_its_start_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
