/* Signals by descriptor, and what systemd is told. */
#include "rt/daemon.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void signals_arrive_by_descriptor(void **state) {
    (void)state;
    struct signalfd_siginfo info;
    int fd = daemon_signals();
    assert_true(fd >= 0);
    assert_int_equal(read(fd, &info, sizeof info), -1);
    raise(SIGPIPE);
    raise(SIGHUP);
    assert_int_equal(read(fd, &info, sizeof info), sizeof info);
    assert_int_equal(info.ssi_signo, SIGHUP);
    close(fd);
}

/* Listens as systemd does at `name` ('@': abstract) and returns what was told, or "". */
static const char *told(const char *name, const char *state) {
    static char text[64];
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", name);
    if (name[0] == '@')
        at.sun_path[0] = 0;
    assert_int_equal(bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    daemon_notify(state);
    ssize_t len = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    text[len < 0 ? 0 : len] = 0;
    close(fd);
    return text;
}

static void systemd_is_told_at_a_path(void **state) {
    (void)state;
    char dir[] = "/tmp/pgregent-daemon-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/notify", dir);
    assert_string_equal(told(path, "READY=1"), "READY=1");
    unlink(path);
    rmdir(dir);
}

static void systemd_is_told_at_an_abstract_name(void **state) {
    (void)state;
    char name[64];
    snprintf(name, sizeof name, "@pgregent-daemon-%ld", (long)getpid());
    assert_string_equal(told(name, "STOPPING=1"), "STOPPING=1");
}

static void without_systemd_nothing_happens(void **state) {
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    daemon_notify("READY=1");
    setenv("NOTIFY_SOCKET", "", 1);
    daemon_notify("READY=1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_arrive_by_descriptor),
        cmocka_unit_test(systemd_is_told_at_a_path),
        cmocka_unit_test(systemd_is_told_at_an_abstract_name),
        cmocka_unit_test(without_systemd_nothing_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
