/* The agent's configuration file (docs/interface.md, Daemons). Relative paths are relative to the file. */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H
#include "net/tls.h"
#include "rt/config_file.h"
#include "wire/topology.h"

struct agent_config {
    char file[512];
    char cluster[NAME_MAX_BYTES], site[NAME_MAX_BYTES], member[NAME_MAX_BYTES];
    char coordinators[COORDINATORS_MAX][128];
    uint32_t coordinator_count;
    char state_dir[256], listen[96];
    struct agent_health {
        char listen[96];
        int tls;
    } health;
    struct tls_files tls;
    char signing_key[512];
    struct agent_trust {
        char operators[OPERATORS_MAX][KEY_TEXT_MAX];
        uint32_t operator_count;
    } trust;
    struct agent_postgresql {
        char bin_dir[256], os_user[64], log[256]; /* log: a directory; the file is postgresql.log in it */
    } postgresql;
    struct agent_replication {
        char certificate[512], key[512];
    } replication;
    int on_exit; /* leave; stop is not built yet */
    struct log_config log;
    /* derived */
    int64_t uid, gid; /* of os_user; -1: the agent runs as that user */
    char agent_user[64];
};
/* Reads, checks and derives. Every mistake of the file stands in the error text, one a line. */
bool agent_config_read(const char *path, struct agent_config *out, struct err *err);
#endif
