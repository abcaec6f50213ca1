/* Files of the cache, one directory for each configuration file: two installations may both have a cluster "orders". They
 * hold no secret: topologies are public keys, addresses and settings. */
#include "coordinator/cli/cache.h"
#include "coordinator/cli/talk.h"
#include "rt/file.h"
#include <stdlib.h>
#include <string.h>

static void path_of(const struct cli *c, const char *cluster, char *to, size_t size) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char dir[512], whose[HASH_TEXT_MAX];
    sign_hash((struct bytes){c->config.file, strlen(c->config.file)}, whose);
    if (cache && *cache)
        snprintf(to, size, "%s/pgregent/%.16s/%s.json", cache, whose, cluster);
    else if (home && *home)
        snprintf(to, size, "%s/.cache/pgregent/%.16s/%s.json", home, whose, cluster);
    else {
        file_parent(dir, sizeof dir, c->config.file);
        snprintf(to, size, "%s/%s.topology.json", dir, cluster);
    }
}

bool cache_read(const struct cli *c, const char *cluster, struct topology *out, struct err *err) {
    char path[1024];
    STRBUF text = {0};
    path_of(c, cluster, path, sizeof path);
    return file_read(path, ENVELOPE_TEXT_MAX, &text, err) && topology_reopen((struct bytes){text.at, text.len}, out, err);
}

void cache_write(const struct cli *c, const char *cluster, struct bytes envelope) {
    char path[1024], dir[1024];
    struct err ignored = {0};
    path_of(c, cluster, path, sizeof path);
    file_parent(dir, sizeof dir, path);
    (void)(file_mkdirs(dir, 0700, &ignored) && file_write(path, envelope.at, envelope.len, 0600, &ignored));
}

void cache_refresh(struct cli *c, const char *cluster, int64_t version) {
    RT_AUTO struct topology *kept = rt_alloc(sizeof *kept);
    struct err ignored = {0};
    TALK_ANSWER answer = {0};
    STRBUF text = {0};
    if (version <= 0 || (cache_read(c, cluster, kept, &ignored) && kept->topology_version == version))
        return;
    if (talk_ask(c, &answer, "/v1/topology?cluster=%s", cluster) != TALK_ANSWERED)
        return;
    const json_t *envelope = json_object_get(answer.json, "envelope");
    if (!json_is_object(envelope))
        return;
    json_write(envelope, &text);
    cache_write(c, cluster, (struct bytes){text.at, text.len});
}
