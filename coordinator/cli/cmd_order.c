/* pgregent order show FILE: what a signed document says. Offline, so it can only name the keys that claim to have signed;
 * with a public key at hand anybody may compare the ids. */
#include "coordinator/cli/command.h"
#include "coordinator/cli/human.h"
#include "coordinator/cli/say.h"
#include "rt/file.h"
#include "wire/report.h"
#include "wire/topology.h"

static const struct {
    const char *type, *kind;
} known[] = {
    {ORDER_TYPE, "order"}, {RECEIPT_TYPE, "receipt"}, {REQUEST_TYPE, "request"}, {REPORT_TYPE, "report"}, {TOPOLOGY_TYPE, "topology"},
};
#define KNOWN_COUNT (sizeof known / sizeof *known)

static bool open_any(struct bytes text, struct envelope *e, const char **kind, struct err *err) {
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        *kind = known[i].kind;
        if (envelope_open(text, known[i].type, e, err))
            return true;
        if (err->code != ERR_REFUSED) /* malformed, whatever its type */
            return false;
    }
    return false;
}

static json_t *signers(const struct envelope *e) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < e->signature_count; i++)
        json_array_append_new(list, json_string(e->signatures[i].key_id));
    return list;
}

static void show(const struct cli *c, const struct envelope *e, const char *kind, const json_t *payload) {
    STRBUF text = {0};
    const char *file = json_text(payload, "file", NULL);
    say(c, "%s, payload %s\n", kind, e->hash);
    for (uint32_t i = 0; i < e->signature_count; i++)
        say(c, "claims the signature of key %s (not verified offline)\n", e->signatures[i].key_id);
    if (file) {
        say(c, "topology version %lld of %s, after %s\n\n", (long long)json_int(payload, "topology_version", 0), human(json_text(payload, "cluster", "?")),
            human(json_text(payload, "previous", "none")));
        human_lines(file, &text);
    } else
        json_write_pretty(payload, &text);
    say(c, "%s\n", text.at);
}

int cmd_order_show(struct cli *c) {
    STRBUF text = {0};
    ENVELOPE e = {0};
    struct err err = {0};
    const char *kind;
    if (!file_read(c->words[0], ENVELOPE_TEXT_MAX, &text, &err))
        return say_refusal(c, CLI_USAGE, "invalid", NULL, "%s", err.text);
    if (!open_any((struct bytes){text.at, text.len}, &e, &kind, &err))
        return say_refusal(c, CLI_USAGE, "invalid", NULL, "%s: %s", c->words[0], err.text);
    JSON_AUTO *payload = json_parse((struct bytes){e.payload.at, e.payload.len}, &err);
    if (!payload)
        return say_refusal(c, CLI_USAGE, "invalid", NULL, "%s: payload: %s", c->words[0], err.text);
    if (c->options.json)
        say_document(c, json_pack("{s:i, s:s, s:s, s:o, s:O}", "format", 1, "kind", kind, "hash", e.hash, "key_ids", signers(&e), "document", payload));
    show(c, &e, kind, payload);
    return CLI_DONE;
}
