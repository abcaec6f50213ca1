/* pgregent key generate|show FILE: offline. */
#include "coordinator/cli/command.h"
#include "coordinator/cli/say.h"
#include "wire/sign.h"

static int show_public(const struct cli *c, const struct sign_key *key, const char *file, bool changed) {
    char public[SIGN_PUBLIC_TEXT_MAX];
    sign_public_format(key->public, public);
    if (c->options.json)
        say_document(c, json_pack("{s:i, s:b, s:o, s:s, s:s}", "format", 1, "changed", changed, "file", json_text_safe(file), "public", public, "id", key->id));
    say(c, "%s\n", public); /* alone on stdout, for $(...); the id is for people */
    if (!c->options.json)
        fprintf(c->io.err, "key id %s%s%s\n", key->id, changed ? ", private half in " : "", changed ? file : "");
    return CLI_DONE;
}

int cmd_key_generate(struct cli *c) {
    SIGN_KEY_AUTO key = {0};
    struct err err = {0};
    sign_key_generate(&key);
    if (sign_key_save(c->words[0], &key, &err))
        return show_public(c, &key, c->words[0], true);
    return say_refusal(c, err.code == ERR_CONFLICT ? CLI_REFUSED : CLI_FAILED, err_code_name(err.code), NULL, "%s", err.text);
}

int cmd_key_show(struct cli *c) {
    SIGN_KEY_AUTO key = {0};
    struct err err = {0};
    if (sign_key_load(c->words[0], &key, &err))
        return show_public(c, &key, c->words[0], false);
    return say_refusal(c, err.code == ERR_REFUSED ? CLI_REFUSED : CLI_USAGE, err_code_name(err.code), NULL, "%s", err.text);
}
