/* Documents of the coordinator as they are; what the agents say is put into the same form (agents.c). */
#include "coordinator/cli/source.h"
#include "coordinator/cli/agents.h"
#include "coordinator/cli/cache.h"
#include "coordinator/cli/say.h"
#include "coordinator/cli/talk.h"

static const char *const paths[] = {[SOURCE_STATUS] = "status", [SOURCE_EXPLAIN] = "explain", [SOURCE_SLOTS] = "slots", [SOURCE_HISTORY] = "history"};

/* The newest topology is kept for the day when no coordinator answers. */
static void remember(struct cli *c, const json_t *status) {
    size_t i;
    const json_t *cluster;
    json_array_foreach(json_object_get(status, "clusters"), i, cluster) {
        const char *name = json_text(cluster, "name", "");
        if (name_is_valid(name))
            cache_refresh(c, name, json_int(cluster, "topology_version", 0));
    }
}

static json_t *ask_agents(struct cli *c, enum source_kind kind, const char *cluster, const struct talk_answer *why, int *exit) {
    bool possible = c->options.at || (cluster && agents_are_known(c, cluster));
    if (!possible) {
        *exit = talk_failed(c, TALK_NOBODY, why, cluster, NULL);
        return NULL;
    }
    if (!c->options.at)
        say_notice(c, "no coordinator answers: asking the agents");
    json_t *document = agents_ask(c, kind, cluster, exit);
    return document;
}

json_t *source_fetch(struct cli *c, enum source_kind kind, const char *cluster, int *exit) {
    TALK_ANSWER answer = {0};
    if (!talk_open(c, exit))
        return NULL;
    if (c->options.at)
        return ask_agents(c, kind, cluster, &answer, exit);
    enum talk_result result = talk_ask(c, &answer, "/v1/%s%s%s", paths[kind], cluster ? "?cluster=" : "", cluster ? cluster : "");
    if (result == TALK_NOBODY)
        return ask_agents(c, kind, cluster, &answer, exit);
    if (result != TALK_ANSWERED || !answer.json) {
        *exit = result == TALK_INTERRUPTED ? CLI_DONE : talk_failed(c, result, &answer, cluster, NULL);
        return NULL;
    }
    if (kind == SOURCE_STATUS)
        remember(c, answer.json);
    return json_incref(answer.json);
}
