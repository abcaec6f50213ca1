/* pgregent operation list|show|watch|abort CLUSTER [ID]: the journal, and taking back. */
#include "coordinator/cli/command.h"
#include "coordinator/cli/follow.h"
#include "coordinator/cli/human.h"
#include "coordinator/cli/operation.h"
#include "coordinator/cli/operator.h"
#include "coordinator/cli/say.h"
#include "coordinator/cli/talk.h"

#define SEND_MS 15000

static bool words_are_valid(struct cli *c, int *exit) {
    if (!name_is_valid(c->words[0])) {
        *exit = say_refusal(c, CLI_USAGE, "usage", NULL, "\"%s\" can't be a cluster's name", human(c->words[0]));
        return false;
    }
    if (c->word_count > 1 && !operation_id_is_valid(c->words[1])) {
        *exit = say_refusal(c, CLI_USAGE, "usage", NULL, "\"%s\" can't be an operation's id", human(c->words[1]));
        return false;
    }
    return true;
}

/* The journal of the cluster, or one operation of it. */
static bool fetch(struct cli *c, const char *id, struct talk_answer *answer, int *exit) {
    if (!words_are_valid(c, exit) || !talk_open(c, exit))
        return false;
    enum talk_result result = id ? talk_ask(c, answer, "/v1/operations?cluster=%s&id=%s", c->words[0], id) : talk_ask(c, answer, "/v1/operations?cluster=%s", c->words[0]);
    if (result == TALK_ANSWERED && answer->json)
        return true;
    *exit = result == TALK_ANSWERED ? say_refusal(c, CLI_FAILED, "failed", NULL, "the coordinator gave no answer") : talk_failed(c, result, answer, c->words[0], NULL);
    return false;
}

int cmd_operation_list(struct cli *c) {
    TALK_ANSWER answer = {0};
    STRBUF text = {0};
    int exit = CLI_DONE;
    if (!fetch(c, NULL, &answer, &exit))
        return exit;
    const json_t *operations = json_object_get(answer.json, "operations");
    if (c->options.json)
        say_document(c, json_pack("{s:i, s:s, s:O}", "format", 1, "cluster", c->words[0], "operations", operations));
    operation_table(operations, say_colours(c), &text);
    say(c, "%s", text.at);
    return CLI_DONE;
}

/* The one of that id, or without an id the newest (or, with `open`, the newest that is not over). NULL: *exit. */
static json_t *find(struct cli *c, bool open, int *exit) {
    TALK_ANSWER answer = {0};
    size_t i;
    json_t *operation;
    const char *id = c->word_count > 1 ? c->words[1] : NULL;
    if (!fetch(c, id, &answer, exit))
        return NULL;
    json_array_foreach(json_object_get(answer.json, "operations"), i, operation)
        if (id || !open || !operation_is_over(operation))
            return json_incref(operation);
    if (open && !id)
        *exit = say_refusal(c, CLI_REFUSED, "not_found", NULL, "no operation of %s is under way", c->words[0]);
    else
        *exit = say_refusal(c, CLI_USAGE, "not_found", NULL, "%s has no operation %s", c->words[0], id ? id : "yet");
    return NULL;
}

int cmd_operation_show(struct cli *c) {
    int exit = CLI_DONE;
    STRBUF text = {0};
    JSON_AUTO *operation = find(c, false, &exit);
    if (!operation)
        return exit;
    if (c->options.json)
        say_document(c, json_pack("{s:i, s:s, s:O}", "format", 1, "cluster", c->words[0], "operation", operation));
    operation_text(operation, say_colours(c), &text);
    say(c, "%s", text.at);
    return CLI_DONE;
}

int cmd_operation_watch(struct cli *c) {
    int exit = CLI_DONE;
    JSON_AUTO *operation = find(c, false, &exit);
    return operation ? follow_operation(c, c->words[0], json_text(operation, "id", ""), operation, FOLLOW_DONE) : exit;
}

static int send_abort(struct cli *c, const json_t *operation, const struct sign_key *key) {
    const char *id = json_text(operation, "id", "");
    struct request request;
    struct err err = {0};
    STRBUF envelope = {0};
    TALK_ANSWER answer = {0};
    operator_request(c, c->words[0], VERB_ABORT, &request);
    str_copy(request.op, sizeof request.op, id);
    if (!operator_sign_request(&request, key, &envelope, &err))
        return say_refusal(c, CLI_FAILED, "failed", NULL, "%s", err.text);
    struct talk_call call = {.method = "POST", .path = "/v1/operations", .body = {envelope.at, envelope.len}, .patience_ms = SEND_MS};
    talk_interruptible(c);
    enum talk_result result = talk(c, &call, &answer);
    if (result != TALK_ANSWERED)
        return talk_failed(c, result, &answer, c->words[0], id);
    return follow_operation(c, c->words[0], id, json_object_get(answer.json, "operation"), FOLLOW_ABORTED);
}

int cmd_operation_abort(struct cli *c) {
    int exit = CLI_DONE;
    char question[256];
    STRBUF title = {0};
    JSON_AUTO *operation = find(c, true, &exit);
    if (!operation)
        return exit;
    operation_title(operation, &title);
    if (operation_is_over(operation))
        return say_refusal(c, CLI_REFUSED, "refused", NULL, "%s is %s already", title.at, human(json_text(operation, "state", "over")));
    if (c->options.dry_run) {
        say(c, "would ask to take back: %s, in step %s; nothing was changed\n", title.at, human(json_text(operation, "step", "?")));
        if (c->options.json)
            say_document(c, json_pack("{s:i, s:b, s:b, s:O}", "format", 1, "changed", false, "dry_run", true, "operation", operation));
        return CLI_DONE;
    }
    SIGN_KEY_AUTO key = {0};
    snprintf(question, sizeof question, "Take back %s, in step %s?", title.at, human(json_text(operation, "step", "?")));
    if (!operator_open(c, &key, &exit) || !say_consent(c, question, &exit))
        return exit;
    return send_abort(c, operation, &key);
}
