/* The coordinator's configuration file. Reading it starts and contacts nothing. */
#ifndef COORDINATOR_CONFIG_H
#define COORDINATOR_CONFIG_H
#include "net/tls.h"
#include "rt/config_file.h"
#include "wire/topology.h"

struct coordinator_health {
    char listen[96];
};
struct coordinator_store {
    char embedded[512];
};
struct coordinator_trust {
    char operators[OPERATORS_MAX][KEY_TEXT_MAX];
    uint32_t operator_count;
};
struct coordinator_config {
    char file[512]; /* where it was read from; paths in it are relative to its directory */
    char name[NAME_MAX_BYTES];
    char listen[96];
    struct coordinator_health health;
    struct coordinator_store store;
    struct tls_files tls;
    char signing_key[512];
    struct coordinator_trust trust;
    struct log_config log;
};
bool coordinator_config_read(const char *path, struct coordinator_config *out, struct err *err);
#endif
