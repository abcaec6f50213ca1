/* The topology as it travels (protocol 3.9): what the operator signed, handed on unaltered. Whether a version follows
 * the one that is held is looked at here; storing it is the caller's swap. */
#include "wire/topology.h"
#include <string.h>

struct sealed {
    char cluster[NAME_MAX_BYTES];
    int64_t topology_version;
    char previous[HASH_TEXT_MAX];
    char file[TOPOLOGY_FILE_MAX + 1];
};
static const struct field sealed_fields[] = {
    FIELD_TEXT(struct sealed, cluster, FIELD_REQUIRED, "cluster"),
    FIELD_INT64(struct sealed, topology_version, NULL, 1, INT64_MAX, FIELD_REQUIRED, "one more than the version that it replaces"),
    FIELD_TEXT(struct sealed, previous, FIELD_REQUIRED | FIELD_NULL_EMPTY, "hash of the payload that it replaces; null: the first"),
    FIELD_TEXT(struct sealed, file, FIELD_REQUIRED, "the topology file as it was written"),
    FIELD_END};
static const struct fields sealed_table = FIELDS("topology", struct sealed, sealed_fields);

void topology_payload(const char *cluster, int64_t version, const char *previous, struct bytes file, struct strbuf *payload) {
    RT_AUTO struct sealed *sealed = rt_alloc(sizeof *sealed);
    str_copy(sealed->cluster, sizeof sealed->cluster, cluster);
    sealed->topology_version = version;
    str_copy(sealed->previous, sizeof sealed->previous, previous);
    memcpy(sealed->file, file.at, file.len < TOPOLOGY_FILE_MAX ? file.len : TOPOLOGY_FILE_MAX);
    field_to_text(&sealed_table, sealed, payload);
}

bool topology_signed_by(const struct envelope *e, const char *key) {
    unsigned char public[SIGN_PUBLIC_BYTES];
    struct err unused = {0};
    return sign_public_parse(key, public, &unused) && envelope_verified_by(e, public);
}

static bool is_signed(const struct envelope *e, const struct topology *trusted, const char (*pinned)[KEY_TEXT_MAX], size_t pinned_count,
                      struct err *err) {
    for (uint32_t i = 0; trusted && i < trusted->operator_count; i++)
        if (trusted->operators[i].may[VERB_APPLY] && topology_signed_by(e, trusted->operators[i].key)) return true;
    for (size_t i = 0; !trusted && i < pinned_count; i++)
        if (topology_signed_by(e, pinned[i])) return true;
    if (!trusted) return err_set(err, ERR_REFUSED, "topology: signed by none of the %zu pinned keys", pinned_count);
    return err_set(err, ERR_REFUSED, "topology: signed by no operator who may apply in version %lld of %s", (long long)trusted->topology_version,
                   trusted->cluster);
}

/* The same again is fine; a member that was away may meet a version several steps on. */
static bool follows(const struct sealed *s, const char *hash, const struct topology *trusted, struct err *err) {
    long long version = (long long)s->topology_version, held = (long long)trusted->topology_version;
    if (strcmp(s->cluster, trusted->cluster) != 0)
        return err_set(err, ERR_REFUSED, "topology of cluster %s, held is one of %s", s->cluster, trusted->cluster);
    if (version < held) return err_set(err, ERR_REFUSED, "topology version %lld is older than %lld, which is held", version, held);
    if (version == held && strcmp(hash, trusted->hash) != 0)
        return err_set(err, ERR_CONFLICT, "topology version %lld is another than the one that is held", version);
    if (version == held + 1 && strcmp(s->previous, trusted->hash) != 0)
        return err_set(err, ERR_CONFLICT, "topology version %lld replaces %.12s, held is %.12s", version, s->previous, trusted->hash);
    return true;
}

static bool parse_file(const struct sealed *s, struct topology *out, struct err *err) {
    RT_AUTO struct field_problems *problems = rt_alloc(sizeof *problems);
    if (topology_parse("topology", (struct bytes){s->file, strlen(s->file)}, out, problems, NULL)) return true;
    STRBUF text = {0};
    field_problems_write(problems, &text);
    return err_set(err, ERR_INVALID, "%s", text.at);
}

static bool unseal(const struct envelope *e, const struct sealed *s, struct topology *out, struct strbuf *file, struct err *err) {
    if ((s->topology_version == 1) != (s->previous[0] == '\0'))
        return err_set(err, ERR_INVALID, "topology version %lld replaces %.12s: only the first replaces none", (long long)s->topology_version,
                       s->previous[0] ? s->previous : "none");
    if (!parse_file(s, out, err)) return false;
    if (strcmp(s->cluster, out->cluster) != 0)
        return err_set(err, ERR_INVALID, "topology sealed for cluster %s, its file is of %s", s->cluster, out->cluster);
    out->topology_version = s->topology_version;
    memcpy(out->previous, s->previous, sizeof out->previous);
    memcpy(out->hash, e->hash, sizeof out->hash);
    if (file) strbuf_add(file, s->file);
    return true;
}

static bool read_payload(const struct envelope *e, struct sealed *s, struct err *err) {
    return field_from_json(&sealed_table, "topology", (struct bytes){e->payload.at, e->payload.len}, s, err);
}

bool topology_open(struct bytes envelope, const struct topology *trusted, const char (*pinned)[KEY_TEXT_MAX], size_t pinned_count,
                   struct topology *out, struct strbuf *file, struct err *err) {
    ENVELOPE e = {0};
    RT_AUTO struct sealed *sealed = rt_alloc(sizeof *sealed);
    return envelope_open(envelope, TOPOLOGY_TYPE, &e, err) && is_signed(&e, trusted, pinned, pinned_count, err) &&
           read_payload(&e, sealed, err) && (!trusted || follows(sealed, e.hash, trusted, err)) && unseal(&e, sealed, out, file, err);
}

bool topology_reopen(struct bytes envelope, struct topology *out, struct err *err) {
    ENVELOPE e = {0};
    RT_AUTO struct sealed *sealed = rt_alloc(sizeof *sealed);
    return envelope_open(envelope, TOPOLOGY_TYPE, &e, err) && read_payload(&e, sealed, err) && unseal(&e, sealed, out, NULL, err);
}
