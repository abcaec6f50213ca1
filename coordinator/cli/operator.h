/* Signing as the operator of the configuration: requests and topologies. */
#ifndef CLI_OPERATOR_H
#define CLI_OPERATOR_H
#include "coordinator/cli/cli.h"
#include "wire/request.h"
#include "wire/sign.h"

/* Loads operator_key into *key (zeroed before; free it where it is). False: said so already, end with *exit. */
bool operator_open(struct cli *c, struct sign_key *key, int *exit);
/* A request with who, why and when filled in, and a new id for its operation. */
void operator_request(const struct cli *c, const char *cluster, enum verb verb, struct request *out);
/* Its envelope, appended. */
bool operator_sign_request(const struct request *request, const struct sign_key *key, struct strbuf *out, struct err *err);
#endif
