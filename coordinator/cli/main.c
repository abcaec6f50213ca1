/* pgregent: the command for people and runbooks. What it can do stands in the table of command.c. */
#include "coordinator/cli/cli.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* an operator's key lives in this process */
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    struct cli_io io = {.in = stdin, .out = stdout, .err = stderr, .in_terminal = isatty(STDIN_FILENO), .out_terminal = isatty(STDOUT_FILENO), .err_terminal = isatty(STDERR_FILENO)};
    return cli_run(&io, argc, argv);
}
