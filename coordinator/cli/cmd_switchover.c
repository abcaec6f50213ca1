/* pgregent switchover CLUSTER --to SITE: one signed request, then the operation that it asked for is followed. */
#include "coordinator/cli/command.h"
#include "coordinator/cli/follow.h"
#include "coordinator/cli/human.h"
#include "coordinator/cli/operator.h"
#include "coordinator/cli/readiness.h"
#include "coordinator/cli/say.h"
#include "coordinator/cli/talk.h"

#define DEADLINE_DEFAULT_MS 60000
#define SEND_MS 15000

static int nothing_to_do(const struct cli *c, const char *cluster) {
    say(c, "%s is the primary site of %s already: nothing to do\n", c->options.to, cluster);
    if (c->options.json)
        say_document(c, json_pack("{s:i, s:b, s:n}", "format", 1, "changed", false, "operation"));
    return CLI_DONE;
}

static int send(struct cli *c, const char *cluster, const struct request *request, struct bytes envelope) {
    struct talk_call call = {.method = "POST", .path = "/v1/operations", .body = envelope, .patience_ms = SEND_MS};
    TALK_ANSWER answer = {0};
    talk_interruptible(c);
    enum talk_result result = talk(c, &call, &answer);
    if (result != TALK_ANSWERED)
        return talk_failed(c, result, &answer, cluster, request->op);
    const json_t *operation = json_object_get(answer.json, "operation");
    if (!json_bool(answer.json, "changed", true) && !json_is_object(operation))
        return nothing_to_do(c, cluster);
    return follow_operation(c, cluster, request->op, json_is_object(operation) ? operation : NULL, FOLLOW_DONE);
}

static int ask_and_send(struct cli *c, const char *cluster, const struct sign_key *key) {
    struct request request;
    STRBUF envelope = {0};
    struct err err = {0};
    operator_request(c, cluster, VERB_SWITCHOVER, &request);
    str_copy(request.to, sizeof request.to, c->options.to);
    request.deadline_ms = c->options.deadline_ms == OPTION_NOT_GIVEN ? DEADLINE_DEFAULT_MS : c->options.deadline_ms;
    if (!operator_sign_request(&request, key, &envelope, &err))
        return say_refusal(c, CLI_FAILED, "failed", NULL, "%s", err.text);
    return send(c, cluster, &request, (struct bytes){envelope.at, envelope.len});
}

int cmd_switchover(struct cli *c) {
    const char *cluster = c->words[0];
    int exit = CLI_DONE;
    if (!name_is_valid(cluster))
        return say_refusal(c, CLI_USAGE, "usage", NULL, "\"%s\" can't be a cluster's name", human(cluster));
    if (!c->options.to)
        return say_refusal(c, CLI_USAGE, "usage", "pgregent switchover CLUSTER --to SITE", "--to SITE is missing");
    if (!name_is_valid(c->options.to))
        return say_refusal(c, CLI_USAGE, "usage", NULL, "\"%s\" can't be a site's name", human(c->options.to));
    if (c->options.deadline_ms == 0)
        return say_refusal(c, CLI_USAGE, "usage", NULL, "--deadline 0 leaves no time for the move");
    if (!talk_open(c, &exit))
        return exit;
    if (c->options.dry_run)
        return readiness_dry_run(c, cluster, c->options.to);
    SIGN_KEY_AUTO key = {0};
    if (!operator_open(c, &key, &exit) || !readiness_consent(c, cluster, c->options.to, &exit))
        return exit;
    return ask_and_send(c, cluster, &key);
}
