/* A child from start to end in one call, for programs that have nothing else to do meanwhile. */
#include "rt/clock.h"
#include "rt/proc.h"

#define WAIT_MOST_MS 1000
#define PAST_DEADLINE_MS 50 /* between looks while the escalation runs */

static void proc_free_cleanup(struct proc **p) {
    proc_free(*p);
}

/* Events end the wait; its length only bounds how late the deadline is seen. */
static int wait_ms(int64_t deadline_boot_ms) {
    int64_t left = deadline_boot_ms ? deadline_boot_ms - clock_boot_ms() : WAIT_MOST_MS;
    return left <= 0 ? PAST_DEADLINE_MS : left > WAIT_MOST_MS ? WAIT_MOST_MS : (int)left;
}

bool proc_run(const struct proc_options *options, struct strbuf *output, int *exit_code, struct err *err) {
    __attribute__((cleanup(proc_free_cleanup))) struct proc *p = NULL;
    if (!proc_spawn(options, &p, err)) return false;
    while (proc_step(p, clock_boot_ms()) == PROC_RUNNING) {
        struct pollfd fds[2];
        poll(fds, proc_pollfds(p, fds), wait_ms(options->deadline_boot_ms));
    }
    if (output) strbuf_add(output, proc_output(p));
    if (exit_code) *exit_code = proc_exit_code(p);
    if (!proc_timed_out(p)) return true;
    char last[256];
    proc_last_line(p, last, sizeof last);
    return err_set(err, ERR_TIMEOUT, "%s: ended at its deadline%s%s", options->argv[0], last[0] ? "; last line: " : "", last);
}
