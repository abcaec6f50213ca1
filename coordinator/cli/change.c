/* Gathering a change. Nothing here is sent that alters anything. */
#include "coordinator/cli/change.h"
#include "coordinator/cli/human.h"
#include "coordinator/cli/paint.h"
#include "coordinator/cli/say.h"
#include "coordinator/cli/status.h"
#include "coordinator/cli/talk.h"
#include "rt/clock.h"
#include "rt/file.h"
#include <string.h>

#define NO_BASE "none"

void change_free(struct change *change) {
    load_free(&change->wanted);
    strbuf_free(&change->base_file);
    rt_free(change->base);
    rt_free(change->differences);
    json_decref(change->cluster);
    json_decref(change->checks);
    json_decref(change->pending);
    *change = (struct change){0};
}

void change_refuse(struct change *change, const char *id, const char *message, const char *cure) {
    json_array_append_new(change->checks, json_pack("{s:s, s:o, s:n, s:o, s:b}", "id", id, "message", json_text_safe(message), "evidence", "cure",
                                                    cure ? json_text_safe(cure) : json_null(), "ignorable", false));
}

/* ---- the file ---- */

/* A plan is JSON with the file inside. A topology file never begins with a brace. */
static bool read_plan(const char *file, struct bytes text, struct change *out, bool *fine, struct err *err) {
    JSON_AUTO *plan = json_parse(text, err);
    const char *topology = json_text(plan, "file", NULL);
    if (!plan || !str_eq(json_text(plan, "kind", NULL), "plan") || !topology)
        return plan ? err_set(err, ERR_INVALID, "%s: is no plan of pgregent plan --out", file) : err_wrap(err, "%s", file);
    str_copy(out->plan_base, sizeof out->plan_base, json_text(json_object_get(plan, "base"), "hash", NO_BASE));
    *fine = load_text(json_text(plan, "file_name", file), (struct bytes){topology, strlen(topology)}, &out->wanted);
    return true;
}

static bool read_wanted(struct cli *c, const char *file, struct change *out, int *exit) {
    STRBUF text = {0};
    struct err err = {0};
    bool fine = false, was_read = file_read(file, 2 * TOPOLOGY_FILE_MAX, &text, &err);
    if (was_read && text.at && text.at[0] == '{')
        was_read = read_plan(file, (struct bytes){text.at, text.len}, out, &fine, &err);
    else if (was_read)
        fine = load_topology(file, &out->wanted, &err);
    if (was_read && fine)
        return true;
    *exit = was_read ? load_refused(c, &out->wanted, &err) : say_refusal(c, CLI_USAGE, "invalid", NULL, "%s", err.text);
    return false;
}

/* ---- what is in force ---- */

static bool open_base(const json_t *answer, struct change *out, struct err *err) {
    STRBUF text = {0};
    ENVELOPE e = {0};
    json_write(json_object_get(answer, "envelope"), &text);
    struct bytes envelope = {text.at, text.len};
    out->base = rt_alloc(sizeof *out->base);
    if (!topology_reopen(envelope, out->base, err) || !envelope_open(envelope, TOPOLOGY_TYPE, &e, err))
        return false;
    JSON_AUTO *payload = json_parse((struct bytes){e.payload.at, e.payload.len}, err);
    strbuf_add(&out->base_file, json_text(payload, "file", ""));
    out->exists = true;
    return payload != NULL;
}

static bool fetch_base(struct cli *c, struct change *out, int *exit) {
    TALK_ANSWER answer = {0};
    struct err err = {0};
    const char *cluster = out->wanted.topology->cluster;
    enum talk_result result = talk_ask(c, &answer, "/v1/topology?cluster=%s", cluster);
    if (result == TALK_REFUSED && answer.status == 404)
        return true;
    if (result != TALK_ANSWERED)
        *exit = talk_failed(c, result, &answer, cluster, NULL);
    else if (open_base(answer.json, out, &err))
        return true;
    else
        *exit = say_refusal(c, CLI_FAILED, "failed", NULL, "the topology that the coordinator holds: %s", err.text);
    return false;
}

static bool fetch_status(struct cli *c, struct change *out, int *exit) {
    TALK_ANSWER answer = {0};
    const char *cluster = out->wanted.topology->cluster;
    enum talk_result result = talk_ask(c, &answer, "/v1/status?cluster=%s", cluster);
    if (result == TALK_REFUSED && answer.status == 404)
        return true;
    if (result != TALK_ANSWERED) {
        *exit = talk_failed(c, result, &answer, cluster, NULL);
        return false;
    }
    const json_t *known = status_cluster(answer.json, cluster);
    out->cluster = known ? json_deep_copy(known) : NULL;
    return true;
}

bool change_is_unborn(const struct change *change) {
    return !json_text(change->cluster, "epoch", NULL);
}

/* ---- judgement ---- */

static bool compare(struct change *out, struct err *err) {
    NODE_DOC before = {0};
    NODE_DOC after = {0};
    out->differences = rt_alloc(sizeof *out->differences);
    if (!yaml_parse("topology", (struct bytes){out->wanted.text.at, out->wanted.text.len}, &after, err) ||
        (out->exists && !yaml_parse("topology in force", (struct bytes){out->base_file.at, out->base_file.len}, &before, err)))
        return false;
    differences_find(out->exists ? before.root : NULL, after.root, out->differences);
    return true;
}

static void judge(struct change *out) {
    char message[400];
    for (uint32_t i = 0; i < out->differences->count; i++) {
        const struct difference *d = &out->differences->at[i];
        if (d->effect != EFFECT_REFUSED)
            continue;
        snprintf(message, sizeof message, "%s: %s", d->path, d->note ? d->note : "can't be changed");
        change_refuse(out, "topology-change", message, "take this change out of the file");
    }
    if (out->differences->more) /* those were not judged */
        change_refuse(out, "topology-change", "too many changes at once to judge them all", "apply them in several steps");
    const json_t *operation = json_object_get(out->cluster, "operation");
    if (json_is_object(operation)) {
        snprintf(message, sizeof message, "%s %s is under way", json_text(operation, "kind", "operation"), json_text(operation, "id", "?"));
        change_refuse(out, "operation-open", message, "wait for it (pgregent operation watch), or take it back (pgregent operation abort)");
    }
    if (out->plan_base[0] && !str_eq(out->plan_base, out->exists ? out->base->hash : NO_BASE))
        change_refuse(out, "plan-stale", "the topology has changed since the plan was made", "look at it again: pgregent plan FILE");
}

static void add_pending(struct change *out, const json_t *site, const json_t *member, const char *why) {
    json_array_append_new(out->pending, json_pack("{s:o, s:o, s:s}", "site", json_text_safe(json_text(site, "name", "?")), "member",
                                                  member ? json_text_safe(json_text(member, "name", "?")) : json_null(), "why", why));
}

/* Who is away, and what hand-made or earlier changes wait for a restart. */
static void find_pending(struct change *out) {
    size_t i, k;
    const json_t *site, *member;
    json_array_foreach(json_object_get(out->cluster, "sites"), i, site) {
        const char *state = json_text(site, "state", "unknown");
        if (str_eq(state, "unknown") || str_eq(state, "down"))
            add_pending(out, site, NULL, str_eq(state, "down") ? "no PostgreSQL runs there" : "no fresh report: it learns of the change when it is back");
        json_array_foreach(json_object_get(site, "members"), k, member)
            if (json_bool(member, "pending_restart", false))
                add_pending(out, site, member, "waits for a restart already");
    }
}

bool change_open(struct cli *c, const char *file, struct change *out, int *exit) {
    struct err err = {0};
    *out = (struct change){.checks = json_array(), .pending = json_array()};
    if (!read_wanted(c, file, out, exit) || !talk_open(c, exit) || !fetch_base(c, out, exit) || !fetch_status(c, out, exit))
        return false;
    if (!compare(out, &err)) {
        *exit = say_refusal(c, CLI_FAILED, "failed", NULL, "%s", err.text);
        return false;
    }
    judge(out);
    find_pending(out);
    return true;
}

/* ---- showing ---- */

static long long next_version(const struct change *change) {
    return change->exists ? (long long)change->base->topology_version + 1 : 1;
}

void change_text(const struct change *change, bool colours, struct strbuf *to) {
    size_t i;
    const json_t *item;
    const struct differences *d = change->differences;
    if (d->count == 0)
        strbuf_addf(to, "%s: no changes\n", change->wanted.topology->cluster);
    else
        strbuf_addf(to, "%s: topology %lld -> %lld, %u change%s\n", change->wanted.topology->cluster, next_version(change) - 1, next_version(change), d->count + d->more,
                    d->count + d->more == 1 ? "" : "s");
    differences_text(d, colours, to);
    json_array_foreach(change->pending, i, item) {
        const char *member = json_text(item, "member", NULL);
        paint(to, colours, PAINT_WARNING, "  pending: ");
        strbuf_addf(to, "%s%s%s: %s\n", human(json_text(item, "site", "?")), member ? "/" : "", human(member ? member : ""), json_text(item, "why", ""));
    }
    json_array_foreach(change->checks, i, item) {
        paint(to, colours, PAINT_BAD, "  refused: ");
        strbuf_addf(to, "%s\n", human(json_text(item, "message", "")));
    }
}

json_t *change_document(const struct change *change) {
    json_t *base = change->exists ? json_pack("{s:I, s:s}", "topology_version", (json_int_t)change->base->topology_version, "hash", change->base->hash) : json_null();
    return json_pack("{s:i, s:s, s:o, s:b, s:o, s:O, s:O}", "format", 1, "cluster", change->wanted.topology->cluster, "base", base, "different",
                     change->differences->count > 0, "changes", differences_document(change->differences), "checks", change->checks, "pending", change->pending);
}

void change_plan(const struct change *change, struct strbuf *to) {
    char made_at[CLOCK_TEXT_MAX];
    JSON_AUTO *plan = change_document(change);
    clock_format(made_at, clock_wall_ms());
    json_object_set_new(plan, "kind", json_string("plan"));
    json_object_set_new(plan, "made_at", json_string(made_at));
    json_object_set_new(plan, "file_name", json_text_safe(change->wanted.file));
    json_object_set_new(plan, "file", json_text_safe(change->wanted.text.at));
    json_write_pretty(plan, to);
}
