/* Letters on the wire: what TCP, and proxies that nobody asked for, make of a request and of its answer. A cut delays a
 * letter until it heals; who sent it may have given up long before it arrives. */
#include "tests/sim/network_inner.h"
#include "tests/sim/world.h"
#include <stdio.h>
#include <string.h>

#define RETRY_FIRST (200 * MS)
#define SYN_RETRY_FIRST (1 * SECOND)
#define RETRY_LONGEST (8 * SECOND)
#define AFTER_GIVING_UP (15 * SECOND) /* a sender's kernel goes on trying what its process has forgotten */
#define LATE_MOST (20 * SECOND)
#define LOOK_AGAIN (20 * MS)
#define OPERATOR_PATIENCE (10 * SECOND)
#define OPERATOR_URI "pgregent://orders/operator/alice"
#define KEPT_MAX 200

/* One way of one copy. */
struct letter {
    struct exchange *exchange;
    const struct host *from, *to; /* NULL: somebody who is no host of ours */
    int from_boots;
    sim_time pause, give_up;
    void (*arrived)(struct letter *l);
    int status;     /* of an answer */
    const char *body;
    size_t len;
    enum err_code error; /* of a broken connection */
    const char *why;
};

/* Letters that somebody on the wire has kept. */
struct kept {
    struct letter letters[KEPT_MAX];
    int64_t count;
};
static struct kept kept_posts, kept_polls;

static struct dice *dice(void) {
    static struct dice d;
    static bool open;
    if (!open)
        dice_open(&d, "letters", 0);
    open = true;
    return &d;
}

/* ---- addresses ---- */

void http_address(const struct host *h, char *to, size_t size) { snprintf(to, size, "10.1.0.%d:7400", h->index); }

struct host *letters_host_of_url(const char *url, const char **target) {
    int index = -1, len = 0;
    if (sscanf(url, "https://10.1.0.%d:7400%n", &index, &len) != 1 || !len || index < 0 || index >= host_count)
        return NULL;
    *target = url + len;
    return &hosts[index];
}

static void write_peer_uri(const struct host *from, char *to, size_t size) {
    if (!from)
        snprintf(to, size, OPERATOR_URI);
    else if (from->site == NOWHERE)
        snprintf(to, size, "pgregent://orders/coordinator/%s", from->name);
    else
        snprintf(to, size, "pgregent://orders/%s/%s", sites[from->site].name, from->name);
}

/* Nothing in our URLs needs decoding: names, hashes and numbers. */
static void parse_query(struct exchange *x) {
    char *rest = rt_strdup(x->query), *save = NULL;
    for (char *part = strtok_r(rest, "&", &save); part && x->parameter_count < PARAMETERS_MAX; part = strtok_r(NULL, "&", &save)) {
        char *equals = strchr(part, '=');
        if (equals)
            *equals = 0;
        x->parameters[x->parameter_count++] = (struct parameter){part, equals ? equals + 1 : ""};
    }
}

static char *copy_of(const char *at, size_t len) {
    char *to = rt_alloc(len + 1);
    if (len)
        memcpy(to, at, len);
    return to;
}

struct exchange *exchange_new(struct host *from, struct host *to, bool post, const char *target, struct bytes body) {
    struct exchange *x = rt_alloc(sizeof *x);
    const char *question = strchr(target, '?');
    x->from = from;
    x->to = to;
    x->post = post;
    x->path = copy_of(target, question ? (size_t)(question - target) : strlen(target));
    x->query = rt_strdup(question ? question + 1 : "");
    x->body = copy_of(body.at, body.len);
    x->len = body.len;
    write_peer_uri(from, x->peer_uri, sizeof x->peer_uri);
    parse_query(x);
    return x;
}

/* ---- on the way ---- */

static sim_time delay(const struct letter *l) {
    return l->from && l->to ? network_delay(l->from, l->to) : dice_between(dice(), 1 * MS, 20 * MS);
}

/* Whether what has been sent comes in now; its sender need not be there any more. */
static bool comes_in(const struct letter *l) {
    bool cut = l->from && l->to && (links[l->from->index][l->to->index].cut & PORT_CONTROL);
    return !cut && (!l->to || l->to->up);
}

static bool sender_lives(const struct letter *l) { return !l->from || (l->from->up && l->from->boots == l->from_boots); }

static void come(void *letter, int64_t number) {
    struct letter *l = letter;
    (void)number;
    if (comes_in(l)) {
        l->arrived(l);
        rt_free(l);
        return;
    }
    sim_time pause = l->pause;
    l->pause = pause * 2 < RETRY_LONGEST ? pause * 2 : RETRY_LONGEST;
    if (!sender_lives(l) || sim_now + pause > l->give_up) {
        count("letters lost");
        rt_free(l);
        return;
    }
    sim_at(sim_now + pause + delay(l), come, l, 0);
}

static void post_letter(const struct letter *like, sim_time later) {
    struct letter *l = rt_alloc(sizeof *l);
    *l = *like;
    l->from_boots = l->from ? l->from->boots : 0;
    sim_at(sim_now + delay(l) + later, come, l, 0);
}

/* ---- connections ---- */

static void on_connected(struct letter *l) { client_connected(l->exchange); }
static void on_broken(struct letter *l) { client_failed(l->exchange, l->error, l->why); }

void letters_break(struct exchange *x, enum err_code error, const char *why) {
    post_letter(&(struct letter){.exchange = x, .from = x->to, .to = x->from, .pause = RETRY_FIRST, .give_up = x->until, .arrived = on_broken, .error = error, .why = why}, 0);
}

/* The handshake of TLS needs the server's process; it goes there and back once more. */
static void shake_hands(void *exchange, int64_t number) {
    struct exchange *x = exchange;
    (void)number;
    if (x->over || !x->to->up)
        return;
    if (!server_listens(x->to)) {
        letters_break(x, ERR_UNREACHABLE, "connect: connection refused");
        return;
    }
    if (server_stands_still(x->to)) {
        sim_at(sim_now + LOOK_AGAIN, shake_hands, x, 0);
        return;
    }
    sim_time again = network_delay(x->from, x->to) + network_delay(x->to, x->from);
    post_letter(&(struct letter){.exchange = x, .from = x->to, .to = x->from, .pause = SYN_RETRY_FIRST, .give_up = x->connect_until, .arrived = on_connected}, again);
}

static void on_syn(struct letter *l) { shake_hands(l->exchange, 0); }

void letters_connect(struct exchange *x) {
    post_letter(&(struct letter){.exchange = x, .from = x->from, .to = x->to, .pause = SYN_RETRY_FIRST, .give_up = x->connect_until, .arrived = on_syn}, 0);
}

/* ---- requests ---- */

static void on_request(struct letter *l) { server_receive(l->exchange); }

static void keep(struct kept *k, const struct letter *l) { k->letters[k->count++ % KEPT_MAX] = *l; }

static bool is_disorderly(const struct letter *l) { return l->from && l->to && links[l->from->index][l->to->index].disorder; }

static sim_time lateness(const struct letter *l) {
    if (!is_disorderly(l) || !dice_chance(dice(), 400))
        return 0;
    sim_time late = dice_between(dice(), 0, dice_chance(dice(), 500) ? 2 * SECOND : LATE_MOST);
    count("letters late");
    sim_say("network", "a letter from %s to %s comes %lld ms late", l->from->name, l->to->name, (long long)(late / MS));
    return late;
}

void letters_send(struct exchange *x) {
    sim_time forgotten = dice_chance(dice(), 500) ? dice_between(dice(), 0, AFTER_GIVING_UP) : 0;
    struct letter l = {.exchange = x, .from = x->from, .to = x->to, .pause = RETRY_FIRST, .give_up = x->until + forgotten, .arrived = on_request};
    count("letters");
    if (x->post)
        keep(&kept_posts, &l);
    post_letter(&l, lateness(&l));
    if (!is_disorderly(&l) || !dice_chance(dice(), 200))
        return;
    count("letters twice");
    post_letter(&l, lateness(&l));
}

/* ---- answers ---- */

static void on_answer(struct letter *l) { client_answered(l->exchange, l->status, l->body, l->len); }

void letters_answer(struct exchange *x, int status, struct bytes body) {
    if (x->over)
        return; /* the socket is closed at the other end */
    struct letter l = {.exchange = x, .from = x->to, .to = x->from, .pause = RETRY_FIRST, .give_up = x->until, .arrived = on_answer,
                       .status = status, .body = copy_of(body.at, body.len), .len = body.len};
    if (status == 200 && str_eq(x->path, "/v1/orders"))
        keep(&kept_polls, &l);
    post_letter(&l, lateness(&l));
}

/* ---- old letters ---- */

static const struct letter *kept_letter(const struct kept *k, int64_t number) {
    int64_t there = k->count < KEPT_MAX ? k->count : KEPT_MAX;
    return there ? &k->letters[(k->count - 1 - number % there) % KEPT_MAX] : NULL;
}

static void repeat_post(struct host *coordinator, int64_t number) {
    const struct letter *old = kept_letter(&kept_posts, number);
    if (!old)
        return;
    const struct exchange *was = old->exchange;
    struct exchange *x = exchange_new(NULL, coordinator, true, was->path, (struct bytes){was->body, was->len});
    str_copy(x->peer_uri, sizeof x->peer_uri, was->peer_uri);
    x->phase = EXCHANGE_SENT;
    x->over = true; /* nobody wants the answer */
    sim_say("network", "somebody repeats an old POST %s of %s", was->path, was->peer_uri);
    count("letters repeated");
    post_letter(&(struct letter){.exchange = x, .to = coordinator, .pause = RETRY_FIRST, .give_up = sim_now, .arrived = on_request}, 0);
}

static void repeat_poll(const struct host *agent, int64_t number) {
    const struct letter *old = kept_letter(&kept_polls, number);
    struct exchange *x = client_poll_of(agent);
    if (!old || !x)
        return;
    sim_say("network", "somebody answers the poll of %s with an old answer to %s", agent->name, old->exchange->peer_uri);
    count("answers repeated");
    client_answered(x, old->status, old->body, old->len);
}

void network_replay(int target, int64_t number) {
    if (target < 0 || target >= host_count)
        return;
    if (hosts[target].site == NOWHERE)
        repeat_post(&hosts[target], number);
    else
        repeat_poll(&hosts[target], number);
}

/* ---- operators ---- */

static void lose_patience(void *exchange, int64_t number) {
    (void)number;
    client_failed(exchange, ERR_TIMEOUT, "no answer in time");
}

void network_post(struct host *coordinator, const char *path, const char *body, void (*answered)(void *context, int status, const char *body), void *context) {
    struct exchange *x = exchange_new(NULL, coordinator, true, path, (struct bytes){body, strlen(body)});
    x->phase = EXCHANGE_SENT;
    x->until = sim_now + OPERATOR_PATIENCE;
    x->told = answered;
    x->context = context;
    sim_at(x->until, lose_patience, x, 0);
    letters_send(x);
}
