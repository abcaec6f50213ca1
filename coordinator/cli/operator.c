/* The operator's key is loaded right before something is signed and wiped right after. */
#include "coordinator/cli/operator.h"
#include "coordinator/cli/say.h"
#include "rt/clock.h"
#include "wire/envelope.h"
#include <string.h>

#define REQUEST_STARTS_WITHIN_MS (5 * 60 * 1000) /* room for clocks that differ; a request starts nothing later */

bool operator_open(struct cli *c, struct sign_key *key, int *exit) {
    struct err err = {0};
    if (!cli_configure(c, exit))
        return false;
    if (!c->config.operator[0] || !c->config.operator_key[0]) {
        *exit = say_refusal(c, CLI_USAGE, "configuration", "pgregent key generate FILE makes a key; its public half stands under keys.operators of the topology",
                            "%s: operator and operator_key are needed to change something", c->config.file);
        return false;
    }
    if (c->options.reason && strlen(c->options.reason) >= REASON_MAX) {
        *exit = say_refusal(c, CLI_USAGE, "usage", NULL, "--reason is longer than %d bytes", REASON_MAX - 1);
        return false;
    }
    if (sign_key_load(c->config.operator_key, key, &err))
        return true;
    *exit = say_refusal(c, CLI_USAGE, "configuration", NULL, "operator_key: %s", err.text);
    return false;
}

void operator_request(const struct cli *c, const char *cluster, enum verb verb, struct request *out) {
    unsigned char id[16];
    *out = (struct request){.verb = (int)verb, .issued_at = clock_wall_ms(), .create = c->options.create && verb == VERB_APPLY};
    out->expires_at = out->issued_at + REQUEST_STARTS_WITHIN_MS;
    clock_random(id, sizeof id);
    str_hex(out->op, id, sizeof id);
    str_copy(out->cluster, sizeof out->cluster, cluster);
    str_copy(out->operator_name, sizeof out->operator_name, c->config.operator);
    str_copy(out->reason, sizeof out->reason, c->options.reason ? c->options.reason : "");
}

bool operator_sign_request(const struct request *request, const struct sign_key *key, struct strbuf *out, struct err *err) {
    STRBUF payload = {0};
    field_to_text(&request_table, request, &payload);
    return envelope_sign((struct bytes){payload.at, payload.len}, REQUEST_TYPE, key, 1, out, err);
}
