/* A topology comes in: signed by an operator whom the present one names (the first: whom the configuration names), the
 * next after the present one, with the request to apply it. Accepted topologies are handed on as they were signed. */
#include "coordinator/coordinator.h"
#include "rt/clock.h"
#include "rt/failpoint.h"
#include <stdio.h>
#include <string.h>

int answer_error(struct strbuf *to, int status, const char *code, const char *message, const char *cure) {
    JSON_AUTO *error = json_object();
    json_t *inner = json_object();
    json_object_set_new(inner, "code", json_string(code));
    json_object_set_new(inner, "message", json_text_safe(message));
    json_object_set_new(inner, "checks", json_array());
    json_object_set_new(inner, "cure", json_text_or_null(cure));
    json_object_set_new(inner, "operation", json_null());
    json_object_set_new(error, "error", inner);
    json_write(error, to);
    return status;
}

/* What a topology arrives with. */
struct posted {
    struct coordinator *coordinator;
    struct strbuf envelope, request_text;
    struct topology *topology;
    struct cluster *cluster; /* the one that it is for; NULL: none yet */
    struct request request;
    struct strbuf *answer;
};

static void posted_free(struct posted *p) {
    strbuf_free(&p->envelope);
    strbuf_free(&p->request_text);
    rt_free(p->topology);
}

static bool take_part(const json_t *body, const char *key, struct strbuf *to) {
    const json_t *part = json_object_get(body, key);
    if (!json_is_object(part))
        return false;
    json_write(part, to);
    return true;
}

/* Whether it follows the present version is judged later, where the answer can say what was beaten. */
static bool open_by_operators(const struct topology *present, struct bytes envelope, struct topology *out, struct err *err) {
    char keys[OPERATORS_MAX][KEY_TEXT_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < present->operator_count; i++)
        if (present->operators[i].may[VERB_APPLY])
            str_copy(keys[count++], KEY_TEXT_MAX, present->operators[i].key);
    return topology_open(envelope, NULL, keys, count, out, NULL, err);
}

/* Whoever may apply to a cluster that is there stands in its topology; the configuration's keys are for the first only. */
static bool open_posted(struct posted *p, struct err *err) {
    struct coordinator *c = p->coordinator;
    struct bytes envelope = {p->envelope.at, p->envelope.len};
    for (uint32_t i = 0; i < c->cluster_count; i++)
        if (open_by_operators(c->clusters[i]->topology, envelope, p->topology, err) && str_eq(p->topology->cluster, c->clusters[i]->name)) {
            p->cluster = c->clusters[i];
            return true;
        }
    if (!topology_open(envelope, NULL, c->config.trust.operators, c->config.trust.operator_count, p->topology, NULL, err))
        return false;
    if (!coordinator_cluster(c, p->topology->cluster))
        return true;
    return err_set(err, ERR_REFUSED, "topology of %s is signed by no operator whom its present topology lets apply", p->topology->cluster);
}

static bool open_request(struct posted *p, struct err *err) {
    const struct topology *judge = p->cluster ? p->cluster->topology : p->topology;
    if (!verify_request((struct bytes){p->request_text.at, p->request_text.len}, judge, &p->request, err))
        return false;
    if (p->request.verb != VERB_APPLY || !str_eq(p->request.topology, p->topology->hash))
        return err_set(err, ERR_REFUSED, "the request is not to apply this topology");
    if (p->request.expires_at <= clock_wall_ms())
        return err_set(err, ERR_REFUSED, "the request has expired: compare the clocks");
    if (p->request_text.len >= PROOF_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "the request is too long");
    return true;
}

/* ---- what may not change by a topology ---- */

static const char *removed(const struct topology *was, const struct topology *is) {
    for (uint32_t s = 0; s < was->site_count; s++) {
        const struct topology_site *site = topology_site(is, was->sites[s].name);
        if (!site)
            return was->sites[s].name;
        for (uint32_t m = 0; m < was->sites[s].member_count; m++)
            if (!topology_member(is, site->name, was->sites[s].members[m].name))
                return was->sites[s].members[m].name;
    }
    return NULL;
}

static int64_t major_of(const struct topology *t) { return t->sites[0].members[0].postgresql.version; }

/* A corrected file must get past what cannot finish because of the old one: a copy that fails, a birth that nobody has
 * accepted yet. */
static bool is_in_the_way(const struct cluster *cluster, const struct operation *open) {
    if (!open || open->kind == OP_BOOTSTRAP)
        return false;
    int to = cluster_site_index(cluster, open->to);
    return open->kind == OP_SWITCHOVER || (to != NOBODY && cluster->view.sites[to].has_order);
}

static int check_change(struct posted *p) {
    const struct topology *was = p->cluster->topology, *is = p->topology;
    const char *gone = removed(was, is);
    cluster_observe(p->cluster);
    if (p->cluster->view.behind)
        return answer_error(p->answer, 409, "refused", "a site holds a newer topology than this coordinator: its store was put back",
                            "put its newest store in place, or an empty one: the next apply then brings the topology");
    char text[256];
    if (is->topology_version != was->topology_version + 1 || !str_eq(is->previous, was->hash)) {
        snprintf(text, sizeof text, "the newest topology is version %lld, %.12s: this one is version %lld after %.12s", (long long)was->topology_version, was->hash,
                 (long long)is->topology_version, is->previous[0] ? is->previous : "none");
        return answer_error(p->answer, 409, "conflict", text, "look at the difference: `pgregent plan`, then apply again");
    }
    if (gone) {
        snprintf(text, sizeof text, "%s is not in the file any more", gone);
        return answer_error(p->answer, 409, "refused", text, "removing sites and members is not built yet: leave it in");
    }
    if (major_of(was) != major_of(is))
        return answer_error(p->answer, 409, "refused", "postgresql.version changes", "major upgrades are not built yet: leave it");
    if (is_in_the_way(p->cluster, cluster_open_operation(p->cluster)))
        return answer_error(p->answer, 409, "refused", "an operation is open", "wait for its end: `pgregent operation list`");
    return 0;
}

/* Without --create nothing begins; a later version is taken over by a coordinator that has lost its store. */
static int check_first(struct posted *p) {
    if (p->topology->topology_version == 1 && !p->request.create)
        return answer_error(p->answer, 409, "refused", "no such cluster: --create is needed the first time", "`pgregent apply --create`, if there is none yet");
    return 0;
}

/* What the journal cannot keep is not accepted: signing makes a file a third longer. */
static int check_form(struct posted *p) {
    if (!operation_id_is_valid(p->request.op))
        return answer_error(p->answer, 400, "invalid", "op wants 8 to 32 hex digits", NULL);
    if (p->envelope.len > JOURNAL_VALUE_MAX)
        return answer_error(p->answer, 413, "invalid", "the signed topology is too long: at most 262144 bytes", "take comments out of the file");
    return 0;
}

static int check_ourselves(struct posted *p) {
    char public[SIGN_PUBLIC_TEXT_MAX], text[256];
    const struct coordinator *c = p->coordinator;
    const struct topology_coordinator *me = topology_coordinator(p->topology, c->config.name);
    sign_public_format(c->key->public, public);
    if (me && str_eq(me->key, public))
        return 0;
    snprintf(text, sizeof text, "the topology does not name this coordinator, %s with key %s: its sites would refuse every order", c->config.name, public);
    return answer_error(p->answer, 409, "refused", text, "put it under `coordinators`");
}

/* ---- accepting ---- */

static void start_create(struct posted *p) {
    struct coordinator *c = p->coordinator;
    struct operation *o = cluster_add_operation(p->cluster);
    str_copy(o->id, sizeof o->id, p->request.op);
    o->kind = OP_CREATE;
    o->started_at = clock_wall_ms();
    str_copy(o->to, sizeof o->to, p->cluster->topology->initial_primary);
    str_copy(o->by, sizeof o->by, p->request.operator_name);
    str_copy(o->reason, sizeof o->reason, p->request.reason);
    str_copy(o->request, sizeof o->request, p->request_text.at);
    operation_plan_steps(o);
    note(c, p->cluster, o->by, "operation started", o->to, o->id, "", "", "create at %s", o->to);
    journal_operation(c, p->cluster, o);
}

static bool may_create(const struct posted *p) {
    return p->request.create && epoch_is_zero(&p->cluster->marks.epoch) && !cluster_open_operation(p->cluster) && !cluster_operation(p->cluster, p->request.op) &&
           cluster_site_index(p->cluster, p->cluster->topology->initial_primary) != NOBODY;
}

static int answer_accepted(const struct posted *p) {
    JSON_AUTO *answer = json_object();
    const struct operation *o = cluster_operation(p->cluster, p->request.op);
    json_object_set_new(answer, "topology_version", json_integer(p->cluster->topology->topology_version));
    json_object_set_new(answer, "operation", o ? json_string(o->id) : json_null());
    json_write(answer, p->answer);
    return 200;
}

static int adopt(struct posted *p) {
    struct coordinator *c = p->coordinator;
    char key[160];
    if (!p->cluster && !(p->cluster = coordinator_add_cluster(c, p->topology->cluster)))
        return answer_error(p->answer, 409, "refused", "this coordinator serves as many clusters as it can", NULL);
    snprintf(key, sizeof key, "cluster/%s/topology", p->cluster->name);
    journal_put(c->journal, key, p->envelope.at);
    FAILPOINT("topology-put");
    note(c, p->cluster, p->request.operator_name, "topology accepted", "", p->request.op, "", p->topology->hash, "version %lld", (long long)p->topology->topology_version);
    cluster_adopt_topology(p->cluster, p->topology, text_of(&p->envelope));
    p->topology = NULL;
    return 0;
}

static int judge(struct posted *p) {
    struct err err = {0};
    if (!open_posted(p, &err))
        return answer_error(p->answer, err.code == ERR_REFUSED ? 403 : 400, err.code == ERR_REFUSED ? "not_permitted" : "invalid", err.text, NULL);
    if (!open_request(p, &err))
        return answer_error(p->answer, 403, "not_permitted", err.text, NULL);
    int status = check_form(p);
    if (!status)
        status = check_ourselves(p);
    bool same = p->cluster && str_eq(p->cluster->topology->hash, p->topology->hash);
    if (!status && !same)
        status = p->cluster ? check_change(p) : check_first(p);
    if (!status && !same)
        status = adopt(p);
    if (status)
        return status;
    if (may_create(p))
        start_create(p);
    return answer_accepted(p);
}

int topology_post(struct coordinator *c, struct bytes body, struct strbuf *answer) {
    struct err err = {0};
    JSON_AUTO *document = json_parse(body, &err);
    if (!document)
        return answer_error(answer, 400, "invalid", err.text, NULL);
    struct posted p = {.coordinator = c, .answer = answer, .topology = rt_alloc(sizeof *p.topology)};
    int status = 400;
    if (!take_part(document, "envelope", &p.envelope) || !take_part(document, "request", &p.request_text))
        answer_error(answer, status, "invalid", "wants {\"envelope\": ..., \"request\": ...}", NULL);
    else
        status = judge(&p);
    if (p.cluster)
        p.cluster->dirty = true;
    posted_free(&p);
    return status;
}
