/* People with the command: what deeds make them ask, and what somebody who looks after the cluster does by himself. A command is
 * impatient: it repeats the same request until it is answered. Who decides looks into the coordinator's memory, as at `pgregent status`. */
#include "coordinator/coordinator.h"
#include "coordinator/decide/cluster.h"
#include "rt/json.h"
#include "tests/sim/ideal.h"
#include "tests/sim/invariants.h"
#include "tests/sim/network.h"
#include "tests/sim/operators.h"
#include "wire/envelope.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define REPEAT_EVERY (2 * SECOND)
#define GIVE_UP_AFTER (60 * SECOND)
#define STARTS_WITHIN_MS (5 * 60 * 1000) /* as the command gives a request */
#define PATIENCE (20 * SECOND)           /* with what waits for a person */

static struct command *create_command; /* the newest `apply` */
static int accepted_moves;
static char last_move[OP_ID_MAX];

int operations_accepted(void) { return accepted_moves; }

static struct host *coordinator(void) { return coordinator_hosts[0]; }

struct dice *operators_dice(void) {
    static struct dice d;
    static bool open;
    if (!open)
        dice_open(&d, "operators", 0);
    open = true;
    return &d;
}

/* ---- a command ---- */

static void count_acceptance(struct command *c) {
    if (!c->accepted && c->request.verb == VERB_SWITCHOVER)
        accepted_moves++;
    c->accepted = true;
}

/* By the first check that failed, or by what the answer says. */
static void count_refusal(const char *body) {
    struct err err = {0};
    char figure[60];
    JSON_AUTO *document = json_parse((struct bytes){body, strlen(body)}, &err);
    const json_t *error = json_object_get(document, "error");
    const json_t *check = json_array_get(json_object_get(error, "checks"), 0);
    const char *why = json_string_value(json_object_get(check ? check : error, check ? "id" : "message"));
    bool of_open = why && str_starts(why, "operation ") && strstr(why, " is open"); /* with a number that is another each time */
    bool of_newer = why && str_starts(why, "the newest topology is");
    snprintf(figure, sizeof figure, "operator refused: %.40s", of_open ? "an operation is open" : of_newer ? "not the next topology" : why ? why : "?");
    count(figure);
}

static void end(struct command *c) {
    c->over = true;
    if (c->perhaps || c->unanswered)
        count_acceptance(c);
}

static void on_answer(void *context, int status, const char *body) {
    struct command *c = context;
    bool unknown = status == 0 || status == 503 || status == 504;
    c->unanswered--;
    c->perhaps |= unknown;
    if (c->over || unknown || status == 404)
        return; /* 404: it does not know the cluster, or the operation, yet or any more */
    sim_say("operator", "%s %s is answered: %d %.300s", verb_names[c->request.verb], c->request.op, status, body);
    if (status == 200 && !strstr(body, "\"changed\":false")) {
        count("operator accepted");
        count_acceptance(c);
    } else if (status != 200)
        count_refusal(body);
    end(c);
    if (status != 200 && c->refused)
        c->refused(c, body);
}

static void post(void *command, int64_t number) {
    struct command *c = command;
    if (c->over)
        return;
    if (sim_now - c->since >= GIVE_UP_AFTER) {
        sim_say("operator", "%s %s: gives up", verb_names[c->request.verb], c->request.op);
        count("operator gave up");
        end(c);
        return;
    }
    c->unanswered++;
    network_post(coordinator(), c->path, c->body, on_answer, c);
    sim_at(sim_now + REPEAT_EVERY, post, c, number);
}

struct command *command_new(enum verb verb, const char *to) {
    struct command *c = rt_alloc(sizeof *c);
    struct request *r = &c->request;
    *r = (struct request){.verb = (int)verb};
    str_copy(r->cluster, sizeof r->cluster, "orders");
    dice_id(operators_dice(), r->op, sizeof r->op);
    str_copy(r->to, sizeof r->to, to);
    str_copy(r->operator_name, sizeof r->operator_name, "alice");
    str_copy(r->reason, sizeof r->reason, "simulated");
    r->issued_at = host_wall_ms(coordinator());
    r->expires_at = r->issued_at + STARTS_WITHIN_MS;
    c->since = sim_now;
    return c;
}

static void sign(const struct request *r, struct strbuf *envelope) {
    STRBUF payload = {0};
    struct sign_key alice = {0};
    struct err err = {0};
    struct host *before = host_act_as(coordinator());
    ideal_key(&alice, "alice");
    field_to_text(&request_table, r, &payload);
    if (!envelope_sign((struct bytes){payload.at, payload.len}, REQUEST_TYPE, &alice, 1, envelope, &err))
        sim_fail("I0 simulator", "an operator's request cannot be signed: %s", err.text);
    host_act_as(before);
}

static void begin(struct command *c, const char *path, const char *body) {
    c->path = path;
    c->body = rt_strdup(body);
    sim_say("operator", "%s %s %s", verb_names[c->request.verb], c->request.to, c->request.op);
    post(c, 0);
}

static void begin_operation(struct command *c) {
    STRBUF envelope = {0};
    sign(&c->request, &envelope);
    begin(c, "/v1/operations", envelope.at);
}

/* ---- what they ask ---- */

void command_send_topology(struct command *c, const struct signed_topology *t) {
    STRBUF envelope = {0};
    STRBUF body = {0};
    str_copy(c->request.topology, sizeof c->request.topology, t->hash);
    sign(&c->request, &envelope);
    strbuf_addf(&body, "{\"envelope\":%s,\"request\":%s}", t->envelope, envelope.at);
    begin(c, "/v1/topology", body.at);
}

/* What they have is what the sites have, or what was signed first. Where those disagree, above all of it. */
static const struct signed_topology *topology_kept(void) {
    const struct signed_topology *newest = topology_in_force();
    return world_agrees_on_topology() ? newest : topology_sign_next(&newest->declared, topology_newest_version() + 2, newest->hash);
}

static bool nobody_has_orders(void) {
    for (int i = 0; i < site_count; i++)
        if (invariants_holds_order(i))
            return false;
    return true;
}

void operator_apply(bool create) {
    const struct signed_topology *t = topology_kept();
    create_command = command_new(VERB_APPLY, "");
    create_command->request.create = create && (t->version == 1 || nobody_has_orders());
    command_send_topology(create_command, t);
}

void operator_switchover(int to_site, int64_t deadline_ms) {
    struct command *c = command_new(VERB_SWITCHOVER, sites[to_site].name);
    c->request.deadline_ms = deadline_ms;
    str_copy(last_move, sizeof last_move, c->request.op);
    begin_operation(c);
}

static void take_back(const char *op) {
    struct command *c = command_new(VERB_ABORT, "");
    str_copy(c->request.op, sizeof c->request.op, op);
    begin_operation(c);
}

/* ---- what they see ---- */

static const struct cluster *cluster_seen(void) {
    const struct coordinator *c = coordinator_on(coordinator());
    return c && c->cluster_count ? c->clusters[0] : NULL;
}

static const struct operation *open_operation(const struct cluster *cluster) {
    for (uint32_t i = 0; cluster && i < cluster->operation_count; i++)
        if (operation_is_open(&cluster->operations[i]))
            return &cluster->operations[i];
    return NULL;
}

void operator_abort(void) {
    const struct operation *open = open_operation(cluster_seen());
    if (open || last_move[0])
        take_back(open ? open->id : last_move);
}

/* The same sight for PATIENCE: somebody does something about it, and begins to wait anew. */
struct sight {
    char what[OP_ID_MAX];
    sim_time since;
};
static bool seen_long(struct sight *s, const char *what) {
    if (!str_eq(s->what, what)) {
        str_copy(s->what, sizeof s->what, what);
        s->since = sim_now;
    }
    if (!what[0] || sim_now - s->since < PATIENCE)
        return false;
    s->since = sim_now;
    return true;
}

/* A coordinator that knows of no cluster, or whose creation came to nothing. */
static void look_for_unborn(const struct cluster *cluster) {
    static struct sight sight;
    bool unborn = !cluster || (epoch_is_zero(&cluster->marks.epoch) && !open_operation(cluster));
    bool asked = create_command && create_command->over;
    if (seen_long(&sight, unborn && asked ? "unborn" : ""))
        operator_apply(true);
}

static void look_for_question(const struct operation *open) {
    static struct sight sight;
    if (seen_long(&sight, open && open->asks ? open->id : ""))
        take_back(open->id);
}

/* The primary has handed over under an operation that no journal knows (C04): finished or undone, as they like. */
static void look_for_hanging(const struct cluster *cluster) {
    static struct sight sight;
    const struct cluster_rule *rule = cluster && !open_operation(cluster) && cluster->plan.asks ? cluster->plan.rule : NULL;
    int primary = rule && str_eq(rule->head.name, "hand-over-hangs") ? cluster_primary(&cluster->view) : NOBODY;
    const struct site_facts *from = primary == NOBODY ? NULL : &cluster->view.sites[primary];
    if (!seen_long(&sight, from ? from->stop_op : ""))
        return;
    count("operator settles a hanging hand-over");
    for (int i = 0; i < site_count; i++)
        if (str_eq(sites[i].name, from->successor.site) && dice_chance(operators_dice(), 500)) {
            operator_switchover(i, 0);
            return;
        }
    take_back(from->stop_op);
}

/* The coordinator's store is older than what it has handed out (C09): an empty one is put in its place, as it asks for. */
static void look_for_behind(const struct cluster *cluster) {
    static struct sight sight;
    if (!seen_long(&sight, cluster && cluster->view.behind ? "behind" : ""))
        return;
    count("operator empties a journal that is behind");
    deed_put_journal_back(0);
}

void operators_step(void) {
    if (!coordinator_on(coordinator()))
        return;
    const struct cluster *cluster = cluster_seen();
    look_for_unborn(cluster);
    if (!world_healed)
        return;
    look_for_question(open_operation(cluster));
    look_for_hanging(cluster);
    look_for_behind(cluster);
}
