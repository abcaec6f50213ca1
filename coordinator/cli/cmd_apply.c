/* pgregent apply FILE|PLAN: the next version of the topology, signed by the operator, and a signed request beside it. */
#include "coordinator/cli/cache.h"
#include "coordinator/cli/change.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/operator.h"
#include "coordinator/cli/say.h"
#include "coordinator/cli/settle.h"
#include "coordinator/cli/talk.h"

#define SEND_MS 15000

/* What is signed and sent. */
struct sealed {
    struct request request;
    struct strbuf payload, envelope, body;
    int64_t version;
    char hash[HASH_TEXT_MAX];
};

static void sealed_free(struct sealed *s) {
    strbuf_free(&s->payload);
    strbuf_free(&s->envelope);
    strbuf_free(&s->body);
}

/* The birth of a cluster that was accepted and never carried out is asked for again, with the very same topology. */
static bool is_repeated_birth(const struct cli *c, const struct change *change) {
    return change->exists && change->differences->count == 0 && c->options.create && change_is_unborn(change);
}

static void judge(const struct cli *c, struct change *change) {
    if (!change->exists && !c->options.create)
        change_refuse(change, "create-needed", "there is no such cluster yet", "the first time, --create makes a new, empty database system");
    if (change->exists && c->options.create && !change_is_unborn(change))
        change_refuse(change, "create-again", "the cluster exists: --create would mean to make it anew", "leave --create out");
}

static json_t *envelope_json(const struct strbuf *text) {
    struct err unused;
    return json_parse((struct bytes){text->at, text->len}, &unused);
}

/* Signs both documents into one body. The signature is checked as the sites will, so that a key without the right to
 * apply is told here. */
static bool seal(const struct cli *c, const struct change *change, const struct sign_key *key, struct sealed *s, struct err *err) {
    const struct load *wanted = &change->wanted;
    bool again = is_repeated_birth(c, change);
    STRBUF request = {0};
    RT_AUTO struct topology *opened = rt_alloc(sizeof *opened);
    s->version = !change->exists ? 1 : again ? change->base->topology_version : change->base->topology_version + 1;
    const struct strbuf *file = again ? &change->base_file : &wanted->text;
    topology_payload(wanted->topology->cluster, s->version, !change->exists ? "" : again ? change->base->previous : change->base->hash,
                     (struct bytes){file->at, file->len}, &s->payload);
    sign_hash((struct bytes){s->payload.at, s->payload.len}, s->hash);
    if (!envelope_sign((struct bytes){s->payload.at, s->payload.len}, TOPOLOGY_TYPE, key, 1, &s->envelope, err) ||
        (change->exists && !topology_open((struct bytes){s->envelope.at, s->envelope.len}, change->base, NULL, 0, opened, NULL, err)))
        return false;
    operator_request(c, wanted->topology->cluster, VERB_APPLY, &s->request);
    str_copy(s->request.topology, sizeof s->request.topology, s->hash);
    if (!operator_sign_request(&s->request, key, &request, err))
        return false;
    JSON_AUTO *body = json_pack("{s:o, s:o}", "envelope", envelope_json(&s->envelope), "request", envelope_json(&request));
    json_write(body, &s->body);
    return true;
}

/* Beaten, or was it our own earlier sending that arrived after all? */
static bool is_in_force(struct cli *c, const char *cluster, const char *hash) {
    TALK_ANSWER answer = {0};
    STRBUF text = {0};
    ENVELOPE e = {0};
    struct err unused;
    if (talk_ask(c, &answer, "/v1/topology?cluster=%s", cluster) != TALK_ANSWERED)
        return false;
    json_write(json_object_get(answer.json, "envelope"), &text);
    return envelope_open((struct bytes){text.at, text.len}, TOPOLOGY_TYPE, &e, &unused) && str_eq(e.hash, hash);
}

static int send(struct cli *c, const char *cluster, const struct sealed *s) {
    struct talk_call call = {.method = "POST", .path = "/v1/topology", .body = {s->body.at, s->body.len}, .patience_ms = SEND_MS};
    TALK_ANSWER answer = {0};
    talk_interruptible(c);
    enum talk_result result = talk(c, &call, &answer);
    if (result == TALK_INTERRUPTED || (result != TALK_ANSWERED && !is_in_force(c, cluster, s->hash)))
        return talk_failed(c, result, &answer, cluster, s->request.op);
    cache_write(c, cluster, (struct bytes){s->envelope.at, s->envelope.len});
    const json_t *operation = json_object_get(answer.json, "operation");
    const char *id = json_is_object(operation) ? json_text(operation, "id", NULL) : json_string_value(operation);
    say(c, "topology %lld of %s was accepted\n", (long long)s->version, cluster);
    return settle(c, cluster, s->version, id);
}

static int nothing_to_do(const struct cli *c, const struct change *change) {
    say(c, "%s: the file is what is in force (topology %lld): nothing to do\n", change->wanted.topology->cluster, (long long)change->base->topology_version);
    if (c->options.json) {
        json_t *document = change_document(change);
        json_object_set_new(document, "changed", json_false());
        say_document(c, document);
    }
    return CLI_DONE;
}

static int refuse(const struct cli *c, const struct change *change) {
    JSON_AUTO *error = say_error("refused", "nothing was changed", NULL);
    json_object_set(error, "checks", change->checks);
    return say_refused(c, CLI_REFUSED, error);
}

static int dry_run(const struct cli *c, const struct change *change) {
    say(c, "nothing was changed\n");
    if (c->options.json) {
        json_t *document = change_document(change);
        json_object_set_new(document, "changed", json_false());
        json_object_set_new(document, "dry_run", json_true());
        say_document(c, document);
    }
    return CLI_DONE;
}

static int make_it_so(struct cli *c, const struct change *change) {
    __attribute__((cleanup(sealed_free))) struct sealed sealed = {0};
    SIGN_KEY_AUTO key = {0};
    struct err err = {0};
    int exit = CLI_DONE;
    char question[128];
    snprintf(question, sizeof question, c->options.create ? "Make the cluster %s?" : "Change the topology of %s?", change->wanted.topology->cluster);
    if (!operator_open(c, &key, &exit) || !say_consent(c, question, &exit))
        return exit;
    if (!seal(c, change, &key, &sealed, &err))
        return say_refusal(c, CLI_REFUSED, "not_permitted", "somebody with the right to apply must do this", "%s", err.text);
    return send(c, change->wanted.topology->cluster, &sealed);
}

int cmd_apply(struct cli *c) {
    CHANGE change = {0};
    STRBUF text = {0};
    int exit = CLI_DONE;
    if (!change_open(c, c->words[0], &change, &exit))
        return exit;
    if (change.exists && change.differences->count == 0 && !is_repeated_birth(c, &change))
        return nothing_to_do(c, &change);
    judge(c, &change);
    if (json_array_size(change.checks) > 0)
        return refuse(c, &change);
    change_text(&change, say_colours(c), &text);
    say(c, "%s", text.at);
    return c->options.dry_run ? dry_run(c, &change) : make_it_so(c, &change);
}
