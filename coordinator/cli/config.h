/* The command's own configuration file: whom to ask, with which certificate, and as which operator to sign. */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H
#include "net/tls.h"
#include "rt/config_file.h"
#include "wire/epoch.h"

#define CONFIG_COORDINATORS_MAX 5
struct cli_config {
    char file[512];
    char coordinators[CONFIG_COORDINATORS_MAX][128]; /* https://HOST:PORT */
    uint32_t coordinator_count;
    struct tls_files tls;
    char operator[NAME_MAX_BYTES];
    char operator_key[512];
};

/* Which file it is: `given` (-c), $PGREGENT_CONFIG, ~/.config/pgregent/pgregent.yaml, /etc/pgregent/pgregent.yaml. The
 * last two only if they exist; ERR_NOT_FOUND names all places. */
bool config_find(const char *given, char *to, size_t size, struct err *err);
/* Reads and resolves paths against the file's directory. Every mistake stands in the error, one a line. */
bool config_read(const char *path, struct cli_config *out, struct err *err);
#endif
