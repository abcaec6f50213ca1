/* A topology of two sites for the tests, with real keys; `alice` may do all. */
#ifndef TESTS_CLI_TOPOLOGY_SAMPLE_H
#define TESTS_CLI_TOPOLOGY_SAMPLE_H
#include "cli_fixture.h"
#include "wire/topology.h"

static inline const char *new_public(void) {
    static char texts[16][SIGN_PUBLIC_TEXT_MAX];
    static unsigned turn;
    char *text = texts[turn++ % 16];
    SIGN_KEY_AUTO key = {0};
    sign_key_generate(&key);
    sign_public_format(key.public, text);
    return text;
}

/* `agent_port` is that of the agent of ams-1; nobody listens on the others. 0: on none. */
static inline void sample_topology(const struct sign_key *alice, int agent_port, struct strbuf *to) {
    char public[SIGN_PUBLIC_TEXT_MAX];
    sign_public_format(alice->public, public);
    strbuf_add(to, "format: 1\ncluster: orders\ninitial_primary: ams\n"
                   "postgresql:\n  version: 15\n  parameters: {max_connections: 200, work_mem: 8MB}\nsites:\n");
    for (int s = 0; s < 2; s++) {
        const char *site = s ? "fra" : "ams";
        strbuf_addf(to, "  %s:\n    store: {embedded: /var/lib/pgregent/%s}\n    members:\n", site, site);
        for (int m = 1; m <= 2; m++)
            strbuf_addf(to, "      %s-%d: {address: \"127.0.0.1:74%d%d\", agent: \"127.0.0.1:%d\", key: \"%s\", postgresql: {data_dir: /var/lib/postgresql/orders/%s-%d}}\n", site, m,
                        s + 1, m, agent_port && s + m == 1 ? agent_port : 10 * (s + 1) + m, new_public(), site, m);
    }
    strbuf_addf(to, "coordinators: {par: {address: \"127.0.0.1:7400\", key: \"%s\"}}\nkeys:\n  operators: {alice: {key: \"%s\", may: [all]}}\n", new_public(), public);
}

static inline void replace(struct strbuf *text, const char *from, const char *to) {
    STRBUF made = {0};
    char *at = strstr(text->at, from);
    if (!at)
        fail_msg("\"%s\" is not in the sample", from);
    strbuf_add_bytes(&made, text->at, (size_t)(at - text->at));
    strbuf_addf(&made, "%s%s", to, at + strlen(from));
    strbuf_reset(text);
    strbuf_add(text, made.at);
}

/* The envelope of a file as some version, signed by `key`. */
static inline void sample_envelope(const char *file, int64_t version, const char *previous, const struct sign_key *key, struct strbuf *to) {
    STRBUF payload = {0};
    struct err err = {0};
    topology_payload("orders", version, previous, (struct bytes){file, strlen(file)}, &payload);
    if (!envelope_sign((struct bytes){payload.at, payload.len}, TOPOLOGY_TYPE, key, 1, to, &err))
        fail_msg("%s", err.text);
}
#endif
