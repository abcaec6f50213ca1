/* What operators ask: planned moves, and taking them back. Judged here before anything is journaled; what is refused has
 * changed nothing. The id is made by the command, so a repeated request is the same operation. */
#include "coordinator/coordinator.h"
#include "coordinator/decide/cluster.h"
#include "rt/clock.h"
#include "rt/failpoint.h"
#include <stdio.h>
#include <string.h>

#define DEADLINE_DEFAULT_MS 60000
#define DEADLINE_LEAST_MS 5000

struct asked {
    struct coordinator *coordinator;
    struct cluster *cluster;
    struct request request;
    struct bytes envelope;
    struct strbuf *answer;
};

static int answer_operation(const struct asked *a, const struct operation *o) {
    JSON_AUTO *answer = json_object();
    json_object_set_new(answer, "changed", json_true());
    json_object_set_new(answer, "operation", operation_to_json(o, clock_wall_ms()));
    json_write(answer, a->answer);
    return 200;
}

static int answer_unchanged(const struct asked *a) {
    strbuf_add(a->answer, "{\"changed\":false,\"operation\":null}");
    return 200;
}

/* ---- refusing ---- */

json_t *check_to_json(const struct cluster_view *v, const struct move_check *check, int to) {
    json_t *one = json_object();
    char about[160] = "";
    if (check->about)
        check->about(v, to, about, sizeof about);
    json_object_set_new(one, "id", json_string(check->id));
    json_object_set_new(one, "message", json_string(check->sentence));
    json_object_set_new(one, "evidence", json_text_or_null(about));
    json_object_set_new(one, "cure", json_text_or_null(check->cure));
    json_object_set_new(one, "ignorable", json_false());
    return one;
}

static void note_refusal(const struct asked *a, const char *message) {
    note(a->coordinator, a->cluster, a->request.operator_name, "request refused", a->request.to, a->request.op, "", "", "%s: %s", verb_names[a->request.verb], message);
}

static int refuse(const struct asked *a, const char *message, const char *cure) {
    note_refusal(a, message);
    return answer_error(a->answer, 409, "refused", message, cure);
}

static int refuse_with(const struct asked *a, const char *message, json_t *checks, json_t *operation, const char *cure) {
    JSON_AUTO *error = json_object();
    json_t *inner = json_object();
    note_refusal(a, message);
    json_object_set_new(inner, "code", json_string("refused"));
    json_object_set_new(inner, "message", json_text_safe(message));
    json_object_set_new(inner, "checks", checks ? checks : json_array());
    json_object_set_new(inner, "cure", json_text_or_null(cure));
    json_object_set_new(inner, "operation", operation ? operation : json_null());
    json_object_set_new(error, "error", inner);
    json_write(error, a->answer);
    return 409;
}

static int refuse_by_checks(const struct asked *a, int to, const struct move_check *first) {
    const struct cluster_view *v = &a->cluster->view;
    json_t *checks = json_array();
    for (const struct move_check *check = first; check->id; check++)
        if (check->fails(v, to)) {
            json_array_append_new(checks, check_to_json(v, check, to));
            if (cluster_primary(v) == NOBODY)
                break; /* the others are about a primary */
        }
    return refuse_with(a, first->sentence, checks, NULL, first->cure);
}

static int refuse_open(const struct asked *a, const struct operation *open) {
    char text[256];
    snprintf(text, sizeof text, "operation %s is open: %s, step %s", open->id, op_kind_names[open->kind], operation_step_name(open));
    return refuse_with(a, text, NULL, operation_to_json(open, clock_wall_ms()), "wait for its end, or take it back: `pgregent operation abort`");
}

/* ---- beginning ---- */

static void raise_step(int64_t *step, int64_t generation, const struct epoch *e) {
    if (e->generation == generation && e->step > *step)
        *step = e->step;
}

/* Above every epoch of this generation that anybody has promised, asked for, opened or burnt. */
static int64_t next_step(const struct cluster *cluster, const struct epoch *highest) {
    int64_t step = highest->step;
    for (uint32_t i = 0; i < cluster->site_count; i++) {
        const struct site_facts *s = &cluster->view.sites[i];
        const struct report *r = cluster->sites[i].report;
        raise_step(&step, highest->generation, &s->promised);
        raise_step(&step, highest->generation, &s->asked);
        raise_step(&step, highest->generation, r ? &r->vote.promised_to : &s->asked);
        for (uint32_t d = 0; d < s->decline_count; d++) {
            raise_step(&step, highest->generation, &s->declines[d].epoch);
            raise_step(&step, highest->generation, &s->declines[d].next);
        }
    }
    return step + 1;
}

static void name_epochs(const struct cluster *cluster, struct operation *o) {
    o->epoch = cluster_epoch(&cluster->view);
    o->next = (struct epoch){.generation = o->epoch.generation, .step = next_step(cluster, &o->epoch)};
    str_copy(o->next.site, sizeof o->next.site, o->to);
    o->back = (struct epoch){.generation = o->next.generation, .step = o->next.step + 1};
    str_copy(o->back.site, sizeof o->back.site, o->from);
}

static int64_t deadline_of(const struct request *r) {
    int64_t deadline_ms = r->deadline_ms ? r->deadline_ms : DEADLINE_DEFAULT_MS;
    return deadline_ms > DEADLINE_LEAST_MS ? deadline_ms : DEADLINE_LEAST_MS;
}

static struct operation *begin(struct asked *a, const char *from, const char *to) {
    struct operation *o = cluster_add_operation(a->cluster);
    const struct request *r = &a->request;
    str_copy(o->id, sizeof o->id, r->op);
    o->kind = OP_SWITCHOVER;
    o->started_at = clock_wall_ms();
    o->deadline_at = o->started_at + deadline_of(r);
    str_copy(o->from, sizeof o->from, from);
    str_copy(o->to, sizeof o->to, to);
    str_copy(o->by, sizeof o->by, r->operator_name);
    str_copy(o->reason, sizeof o->reason, r->reason);
    STRBUF text = {0};
    strbuf_add_bytes(&text, a->envelope.at, a->envelope.len);
    str_copy(o->request, sizeof o->request, text.at);
    operation_plan_steps(o);
    return o;
}

static void journal_start(struct asked *a, struct operation *o) {
    char epoch[EPOCH_TEXT_MAX];
    epoch_format(&o->next, epoch);
    note(a->coordinator, a->cluster, o->by, "operation started", o->to, o->id, "", "", "switchover %s -> %s, %s: %s", o->from, o->to, epoch, o->reason);
    journal_operation(a->coordinator, a->cluster, o);
    a->cluster->dirty = true;
    FAILPOINT("operation-started");
}

/* ---- an operation whose journal was lost (3.4) ---- */

/* The primary of the highest epoch that has handed over, or is about to, under this very id. */
static const struct site_facts *holder_of(const struct asked *a) {
    const struct cluster_view *v = &a->cluster->view;
    int primary = cluster_primary(v);
    return primary != NOBODY && str_eq(v->sites[primary].stop_op, a->request.op) ? &v->sites[primary] : NULL;
}

/* The primary, when it has handed over to that site and no promotion was accepted there: then an operator's new request
 * will do as well as the lost one, because the receipt passes to that epoch whoever carries it. Only forward: what the
 * old primary holds is undone under its own id alone. */
static const struct site_facts *hander_over_to(const struct asked *a, int to) {
    const struct cluster_view *v = &a->cluster->view;
    int primary = cluster_primary(v);
    struct epoch highest = cluster_epoch(v);
    bool over = primary != NOBODY && site_has_handed_over(&v->sites[primary], &highest) && str_eq(v->sites[primary].successor.site, v->sites[to].name);
    return over && v->sites[to].order_role == SITE_STANDBY ? &v->sites[primary] : NULL;
}

/* What the sites hold says where it stands; the person's request, under the same id, says that it may go on. */
static int resume(struct asked *a, const struct site_facts *from, bool abort) {
    struct operation *o = begin(a, from->name, from->successor.site);
    o->epoch = from->stopped;
    o->next = from->successor;
    o->back = (struct epoch){.generation = o->next.generation, .step = o->next.step + 1};
    str_copy(o->back.site, sizeof o->back.site, o->from);
    if (!str_eq(from->stop_op, o->id))
        o->deadline_at = 0; /* it cannot take itself back */
    if (abort) {
        o->abort = true;
        snprintf(o->abort_reason, sizeof o->abort_reason, "taken back by %s: %s", a->request.operator_name, a->request.reason);
    }
    journal_start(a, o);
    return answer_operation(a, o);
}

/* A move that was closed while its primary holds a stop of it: what the site holds is the truth (3.4). */
static bool may_reopen(const struct asked *a, const struct operation *o) {
    const struct site_facts *from = holder_of(a);
    return o->kind == OP_SWITCHOVER && !operation_is_open(o) && !cluster_open_operation(a->cluster) && from && str_eq(from->name, o->from) &&
           !epoch_compare(&a->cluster->view.epoch, &o->epoch);
}

static int reopen(struct asked *a, struct operation *o, bool abort) {
    int64_t now_ms = clock_wall_ms();
    o->state = OP_RUNNING;
    o->finished_at = 0;
    o->deadline_at = now_ms + deadline_of(&a->request);
    o->deadline_boot_ms = 0;
    o->abort = abort;
    operation_plan_steps(o);
    if (abort)
        operation_advance(o, OP_ABORT, now_ms);
    note(a->coordinator, a->cluster, a->request.operator_name, "operation reopened", o->to, o->id, "", "", "%s holds a stop of it: %s", o->from, abort ? "taken back" : "goes on");
    journal_operation(a->coordinator, a->cluster, o);
    a->cluster->dirty = true;
    return answer_operation(a, o);
}

static bool may_resume(const struct site_facts *from, const struct cluster *cluster) {
    return from && !epoch_is_zero(&from->successor) && cluster_site_index(cluster, from->successor.site) != NOBODY;
}

/* ---- switchover ---- */

static int switchover(struct asked *a) {
    struct cluster *cluster = a->cluster;
    const struct request *r = &a->request;
    int to = cluster_site_index(cluster, r->to), primary;
    struct operation *open = cluster_open_operation(cluster);
    cluster_observe(cluster);
    primary = cluster_primary(&cluster->view);
    if (to == NOBODY)
        return refuse(a, "the target is not a site of this cluster", "see `pgregent status`");
    if (open)
        return refuse_open(a, open);
    const struct site_facts *from = holder_of(a);
    if (may_resume(from, cluster) && str_eq(from->successor.site, r->to))
        return resume(a, from, false);
    if (cluster->marks.complete && !cluster->outranked && !cluster->view.behind && hander_over_to(a, to))
        return resume(a, hander_over_to(a, to), false);
    if (to == primary && !site_has_handed_over(&cluster->view.sites[to], &cluster->view.sites[to].opened))
        return answer_unchanged(a);
    if (!cluster->marks.complete)
        return refuse(a, "this coordinator began with an empty store and has not heard every site", "start the agents of every site");
    if (cluster->outranked)
        return refuse(a, "the sites obey another coordinator with a higher term", "ask that one");
    if (cluster->view.behind)
        return refuse(a, "a site holds a newer topology than this coordinator: its store was put back", "put its newest store, or an empty one, in its place");
    const struct move_check *failed = move_refusal(&cluster->view, to);
    if (failed)
        return refuse_by_checks(a, to, failed);
    struct operation *o = begin(a, cluster->sites[primary].name, r->to);
    name_epochs(cluster, o);
    journal_start(a, o);
    return answer_operation(a, o);
}

/* ---- abort ---- */

/* Its report may have come in this very turn. */
static bool is_past_return(const struct cluster *cluster, const struct operation *o) {
    int to = cluster_site_index(cluster, o->to);
    const struct site_facts *s = to == NOBODY ? NULL : &cluster->view.sites[to];
    return o->kind == OP_SWITCHOVER && s && (epoch_compare(&s->asked, &o->next) >= 0 || epoch_compare(&s->opened, &o->next) >= 0);
}

/* Whoever carries the same receipt forward under another id gives way to its being handed back. */
static bool make_room(struct asked *a, const struct site_facts *from) {
    struct operation *open = cluster_open_operation(a->cluster);
    if (!open)
        return true;
    if (open->kind != OP_SWITCHOVER || epoch_compare(&open->next, &from->successor) || is_past_return(a->cluster, open))
        return false;
    operation_finish(open, OP_FAILED, clock_wall_ms());
    str_copy(open->message, sizeof open->message, "the move that it carried on is taken back");
    note(a->coordinator, a->cluster, a->request.operator_name, "operation finished", open->to, open->id, "", "", "failed: %s", open->message);
    journal_operation(a->coordinator, a->cluster, open);
    return true;
}

static int abort_operation(struct asked *a) {
    struct operation *o = cluster_operation(a->cluster, a->request.op);
    cluster_observe(a->cluster);
    if (!o) {
        const struct site_facts *from = holder_of(a);
        if (may_resume(from, a->cluster) && make_room(a, from))
            return resume(a, from, true);
        return answer_error(a->answer, 404, "not_found", "no such operation", "see `pgregent operation list`");
    }
    if (may_reopen(a, o))
        return reopen(a, o, true);
    if (o->abort)
        return answer_operation(a, o);
    if (!operation_is_open(o))
        return refuse_with(a, "the operation is over", NULL, operation_to_json(o, clock_wall_ms()), NULL);
    if (o->kind == OP_CREATE && a->cluster->view.op.open && a->cluster->view.sites[a->cluster->view.op.to].has_order)
        return refuse_with(a, "the cluster has begun: its first order is accepted", NULL, operation_to_json(o, clock_wall_ms()), NULL);
    if (o->no_return_at || o->moved_at || is_past_return(a->cluster, o))
        return refuse_with(a, "the point of no return is passed: only forward", NULL, operation_to_json(o, clock_wall_ms()), "wait for its end, then move back");
    o->abort = true;
    snprintf(o->abort_reason, sizeof o->abort_reason, "taken back by %s: %s", a->request.operator_name, a->request.reason);
    if (o->kind == OP_SWITCHOVER)
        operation_advance(o, OP_ABORT, clock_wall_ms());
    note(a->coordinator, a->cluster, a->request.operator_name, "operation taken back", o->to, o->id, "", "", "%s", o->abort_reason);
    journal_operation(a->coordinator, a->cluster, o);
    a->cluster->dirty = true;
    return answer_operation(a, o);
}

/* ---- */

static bool find_cluster(struct asked *a, struct err *err) {
    struct coordinator *c = a->coordinator;
    err_set(err, ERR_NOT_FOUND, "no cluster is known here yet");
    for (uint32_t i = 0; i < c->cluster_count; i++)
        if (verify_request(a->envelope, c->clusters[i]->topology, &a->request, err)) {
            a->cluster = c->clusters[i];
            return true;
        }
    return false;
}

/* The same id again is the same operation. */
static int answer_known(struct asked *a, struct operation *o) {
    cluster_observe(a->cluster);
    return may_reopen(a, o) ? reopen(a, o, false) : answer_operation(a, o);
}

static int judge(struct asked *a) {
    struct operation *known = cluster_operation(a->cluster, a->request.op);
    if (!operation_id_is_valid(a->request.op))
        return answer_error(a->answer, 400, "invalid", "op wants 8 to 32 hex digits", NULL);
    if (a->request.expires_at <= clock_wall_ms())
        return answer_error(a->answer, 403, "not_permitted", "the request has expired: compare the clocks", NULL);
    if (a->request.verb == VERB_ABORT)
        return abort_operation(a);
    if (a->request.verb != VERB_SWITCHOVER)
        return answer_error(a->answer, 409, "unsupported", "known, and not built yet", NULL);
    return known ? answer_known(a, known) : switchover(a);
}

int operation_post(struct coordinator *c, struct bytes body, struct strbuf *answer) {
    struct err err = {0};
    JSON_AUTO *document = json_parse(body, &err);
    if (!document)
        return answer_error(answer, 400, "invalid", err.text, NULL);
    STRBUF text = {0};
    json_write(document, &text);
    struct asked a = {.coordinator = c, .envelope = {text.at, text.len}, .answer = answer};
    if (text.len >= PROOF_TEXT_MAX)
        return answer_error(answer, 413, "invalid", "the request is too long", NULL);
    if (!find_cluster(&a, &err))
        return answer_error(answer, err.code == ERR_NOT_FOUND ? 404 : 403, err.code == ERR_NOT_FOUND ? "not_found" : "not_permitted", err.text, NULL);
    return judge(&a);
}
