/* Polling once a second: what happens here takes minutes, and bars shall move. */
#include "coordinator/cli/settle.h"
#include "coordinator/cli/follow.h"
#include "coordinator/cli/human.h"
#include "coordinator/cli/operation.h"
#include "coordinator/cli/say.h"
#include "coordinator/cli/status.h"
#include "coordinator/cli/talk.h"
#include "rt/clock.h"

#define POLL_MS 1000

static void miss(json_t *missing, const json_t *site, const json_t *member, const char *why) {
    json_array_append_new(missing, json_pack("{s:o, s:o, s:o}", "site", json_text_safe(json_text(site, "name", "?")), "member",
                                             member ? json_text_safe(json_text(member, "name", "?")) : json_null(), "why", json_text_safe(why)));
}

static bool is_among(const char *word, const char *const *list) {
    for (; *list; list++)
        if (str_eq(word, *list))
            return true;
    return false;
}

static void judge_member(const json_t *site, const json_t *member, int64_t version, json_t *missing) {
    static const char *const states[] = {"running", "streaming", NULL};
    if (!is_among(json_text(member, "state", ""), states))
        miss(missing, site, member, json_text(member, "state", "unknown"));
    else if (json_int(member, "topology_version", version) < version)
        miss(missing, site, member, "holds an older topology");
}

static void judge_site(const json_t *site, int64_t version, json_t *missing) {
    static const char *const roles[] = {"primary", "standby", NULL}, *const states[] = {"ok", "degraded", NULL};
    size_t i;
    const json_t *member;
    if (!is_among(json_text(site, "role", ""), roles) || !is_among(json_text(site, "state", ""), states)) {
        miss(missing, site, NULL, json_text(site, "state", "unknown"));
        return;
    }
    json_array_foreach(json_object_get(site, "members"), i, member)
        judge_member(site, member, version, missing);
}

bool settle_judge(const json_t *cluster, int64_t version, json_t *missing) {
    size_t i;
    const json_t *site;
    if (!cluster || json_int(cluster, "topology_version", 0) < version)
        return false;
    json_array_foreach(json_object_get(cluster, "sites"), i, site)
        judge_site(site, version, missing);
    return json_array_size(missing) == 0 && !json_is_object(json_object_get(cluster, "operation"));
}

/* ---- the operations of this change ---- */

struct settling {
    struct follow follow;
    const char *cluster, *own;
    int64_t version, quiet_ms; /* since when no operation is open; 0: one is */
    json_t *old;               /* ids of operations that were over before: not ours to tell */
    bool polled;
    json_t *ended_badly, *waiting;
    json_t *missing;
};

static bool is_ours(struct settling *s, const json_t *operation) {
    const char *id = json_text(operation, "id", "");
    if (!s->polled && operation_is_over(operation) && !str_eq(id, s->own))
        json_object_set_new(s->old, id, json_true());
    return !json_object_get(s->old, id);
}

static void take_operations(struct settling *s, const json_t *operations) {
    json_decref(s->waiting);
    s->waiting = NULL;
    for (size_t i = json_array_size(operations); i-- > 0;) { /* oldest first */
        json_t *operation = json_array_get(operations, i);
        if (!is_ours(s, operation))
            continue;
        follow_tell(&s->follow, operation);
        if (!operation_is_over(operation))
            s->quiet_ms = 0;
        if (operation_state(operation) == OPERATION_WAITING && !s->waiting)
            s->waiting = json_incref(operation);
        if (operation_is_over(operation) && operation_exit(operation) != CLI_DONE && !s->ended_badly)
            s->ended_badly = json_incref(operation);
    }
    s->polled = true;
}

static void show_jobs(struct settling *s, const json_t *cluster) {
    STRBUF jobs = {0};
    status_jobs_short(cluster, &jobs);
    if (jobs.len)
        follow_live(&s->follow, jobs.at);
}

enum poll_result { POLL_GOES_ON, POLL_SETTLED, POLL_FAILED };

static enum poll_result poll_once(struct settling *s, struct talk_answer *answer, enum talk_result *result) {
    struct cli *c = s->follow.c;
    TALK_ANSWER status = {0};
    *result = talk_ask(c, answer, "/v1/operations?cluster=%s", s->cluster);
    if (*result != TALK_ANSWERED)
        return POLL_FAILED;
    s->quiet_ms = s->quiet_ms ? s->quiet_ms : clock_boot_ms();
    take_operations(s, json_object_get(answer->json, "operations"));
    *result = talk_ask(c, &status, "/v1/status?cluster=%s", s->cluster);
    if (*result != TALK_ANSWERED)
        return POLL_FAILED;
    s->follow.silent_ms = 0;
    const json_t *cluster = status_cluster(status.json, s->cluster);
    json_array_clear(s->missing);
    show_jobs(s, cluster);
    bool settled = settle_judge(cluster, s->version, s->missing);
    return settled ? POLL_SETTLED : POLL_GOES_ON;
}

/* ---- how it ends ---- */

static json_t *document(const struct settling *s, int exit) {
    json_t *d = json_pack("{s:i, s:o, s:s, s:I, s:O}", "format", 1, "changed", exit == CLI_UNFINISHED ? json_null() : json_true(), "cluster", s->cluster,
                          "topology_version", (json_int_t)s->version, "pending", s->missing);
    json_t *operation = s->ended_badly ? s->ended_badly : s->waiting;
    json_object_set(d, "operation", operation ? operation : json_null());
    if (exit != CLI_DONE)
        json_object_set_new(d, "error", say_error(exit == CLI_UNFINISHED ? "unfinished" : exit == CLI_WAITS ? "waits" : exit == CLI_ABORTED ? "aborted" : "failed",
                                                  json_text(operation, "message", "the topology is in force; not everything is built"), NULL));
    return d;
}

static int finish(struct settling *s, int exit) {
    struct cli *c = s->follow.c;
    size_t i;
    const json_t *item;
    follow_end_line(&s->follow);
    if (c->options.json)
        say_document(c, document(s, exit));
    if (exit == CLI_DONE)
        say(c, "topology %lld of %s is in force\n", (long long)s->version, s->cluster);
    json_array_foreach(s->missing, i, item) {
        const char *member = json_text(item, "member", NULL);
        say(c, "pending: %s%s%s: %s\n", human(json_text(item, "site", "?")), member ? "/" : "", human(member ? member : ""), human(json_text(item, "why", "")));
    }
    return exit;
}

static int finish_operation(struct settling *s, const json_t *operation) {
    STRBUF text = {0};
    follow_end_line(&s->follow);
    operation_outcome(operation, say_colours(s->follow.c), &text);
    say(s->follow.c, "%s", text.at);
    return finish(s, (int)operation_exit(operation));
}

static int leave(struct settling *s) {
    follow_end_line(&s->follow);
    if (s->follow.c->options.json && s->own)
        fprintf(s->follow.c->io.err, "{\"operation\":\"%s\"}\n", s->own);
    else if (!s->follow.c->options.json)
        fprintf(s->follow.c->io.err, "topology %lld of %s was accepted%s%s; what follows from it goes on: pgregent status %s\n", (long long)s->version, s->cluster,
                s->own ? ", operation " : "", s->own ? s->own : "", s->cluster);
    return finish(s, CLI_UNFINISHED);
}

static int wait(struct settling *s) {
    while (!s->follow.c->options.no_wait) {
        TALK_ANSWER answer = {0};
        enum talk_result result;
        enum poll_result poll = poll_once(s, &answer, &result);
        int64_t now_ms = clock_boot_ms();
        if (s->ended_badly)
            return finish_operation(s, s->ended_badly);
        s->follow.waiting_ms = !s->waiting ? 0 : s->follow.waiting_ms ? s->follow.waiting_ms : now_ms;
        if (s->waiting && now_ms - s->follow.waiting_ms >= FOLLOW_WAITING_MS)
            return finish_operation(s, s->waiting);
        if (poll == POLL_SETTLED || (poll == POLL_GOES_ON && s->quiet_ms && now_ms - s->quiet_ms >= SETTLE_QUIET_MS))
            return finish(s, CLI_DONE);
        if (result == TALK_INTERRUPTED || follow_is_over_time(&s->follow))
            break;
        if (poll == POLL_FAILED ? !follow_retry(&s->follow, answer.failures.at) : talk_pause(s->follow.c, POLL_MS))
            break;
    }
    return leave(s);
}

int settle(struct cli *c, const char *cluster, int64_t version, const char *operation) {
    struct settling s = {.cluster = cluster, .own = operation, .version = version, .old = json_object(), .missing = json_array()};
    follow_open(&s.follow, c);
    int exit = wait(&s);
    follow_close(&s.follow);
    json_decref(s.old);
    json_decref(s.missing);
    json_decref(s.ended_badly);
    json_decref(s.waiting);
    return exit;
}
