/* pgregent-deadman: the dead-man's switch as a program of its own. */
#include "deadman.h"
#include <getopt.h>
#include <stdio.h>

static void usage(FILE *to) {
    fputs("Usage: pgregent-deadman --state-dir DIR [--log FILE]\n"
          "Parent of PostgreSQL. Holds the deadline that the agent renews, and kills PostgreSQL with\n"
          "everything that it started when the deadline passes. The agent starts it by itself.\n\n"
          "  --state-dir DIR  the agent's state directory: socket, lock and records are kept there\n"
          "  --log FILE       append log lines to FILE instead of standard error\n"
          "  --help, --version\n",
          to);
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"state-dir", required_argument, NULL, 's'}, {"log", required_argument, NULL, 'l'},
                                            {"help", no_argument, NULL, 'h'},            {"version", no_argument, NULL, 'v'},
                                            {0}};
    const char *state_dir = NULL, *log_path = NULL;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 's': state_dir = optarg; break;
        case 'l': log_path = optarg; break;
        case 'h': return usage(stdout), 0;
        case 'v': return puts("pgregent-deadman " PGREGENT_VERSION), 0;
        default: return usage(stderr), 2;
        }
    }
    if (!state_dir || optind < argc)
        return usage(stderr), 2;
    return deadman_run(state_dir, log_path);
}
