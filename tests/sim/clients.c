/* Writers that know what was acknowledged to them. Each stays with the server that took its last row, and when that one is
 * lost, tries all members of all sites. An outcome that it does not learn stays unknown: that row is never written again. */
#include "tests/sim/network.h"
#include "tests/sim/postgres.h"
#include "tests/sim/world.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_EVERY_LOW (100 * MS)
#define WRITE_EVERY_HIGH (300 * MS)
#define PATIENCE (5 * SECOND)
#define CLIENTS_MAX 16

struct client {
    struct host *host;
    struct dice dice;
    struct postgres *server; /* it has a session there; NULL */
    int generation;          /* of that server's life */
    int64_t waiting_for;     /* number of the commit that is under way; 0: none */
};
static struct client clients[CLIENTS_MAX];
static int client_count;
static int64_t numbers, acknowledged;
static unsigned char *acknowledged_bits;
static int64_t bits;

/* ---- what was acknowledged ---- */

static void remember(int64_t commit) {
    if (commit >= bits) {
        int64_t more = (commit / 8192 + 1) * 8192;
        acknowledged_bits = realloc(acknowledged_bits, (size_t)(more / 8));
        if (!acknowledged_bits)
            abort();
        memset(acknowledged_bits + bits / 8, 0, (size_t)((more - bits) / 8));
        bits = more;
    }
    acknowledged_bits[commit / 8] |= (unsigned char)(1 << commit % 8);
    acknowledged++;
}

int64_t clients_acknowledged(void) { return acknowledged; }
bool client_was_acknowledged(int64_t commit) { return commit > 0 && commit < bits && acknowledged_bits[commit / 8] >> commit % 8 & 1; }

/* ---- the session ---- */

static bool both_ways(const struct host *a, const struct host *b) { return network_passes(a, b, PORT_CLIENT) && network_passes(b, a, PORT_CLIENT); }

static bool has_session(const struct client *c) {
    return c->server && c->server->generation == c->generation && (postgres_accepts_writes(c->server) || c->server->paused);
}

/* A standby says at once that it is one; who does not answer is given up by the driver's connect timeout, which is not played. */
static void connect_to_writer(struct client *c) {
    c->server = NULL;
    for (int s = 0; s < site_count; s++)
        for (int m = 0; m < sites[s].member_count; m++) {
            struct host *h = sites[s].members[m];
            if (!postgres_answers(h->postgres) || !postgres_accepts_writes(h->postgres) || !both_ways(c->host, h))
                continue;
            c->server = h->postgres;
            c->generation = h->postgres->generation;
            return;
        }
}

/* ---- one row ---- */

struct row {
    struct client *client;
    struct postgres *server;
    int generation;
    int64_t commit;
};

static void drop_session(struct client *c, int64_t commit) {
    if (c->waiting_for != commit)
        return;
    c->waiting_for = 0;
    c->server = NULL;
    count("commits of unknown outcome");
}

static void on_answer(void *context, int64_t commit) {
    struct row *row = context;
    struct client *c = row->client;
    if (c->waiting_for == row->commit && commit) {
        c->waiting_for = 0;
        remember(commit);
        count("commits acknowledged");
        invariants_acknowledged(row->server->host, wal_of_commit(commit));
    }
    drop_session(c, row->commit);
    free(row);
}

static void on_patience_over(void *context, int64_t commit) { drop_session(context, commit); }

/* The server has spoken; its word travels, unless the wire is cut, and then nothing ever comes. */
static void on_flushed(void *context, int64_t commit) {
    struct row *row = context;
    if (both_ways(row->client->host, row->server->host))
        sim_at(sim_now + network_delay(row->server->host, row->client->host), on_answer, row, commit);
    else
        free(row);
}

static void on_arrival(void *context, int64_t number) {
    (void)number;
    struct row *row = context;
    bool session = row->server->generation == row->generation && both_ways(row->client->host, row->server->host);
    if (session)
        postgres_commit(row->server, row->commit, on_flushed, row);
    else
        free(row);
}

static void write_row(struct client *c) {
    struct row *row = malloc(sizeof *row);
    if (!row)
        abort();
    *row = (struct row){.client = c, .server = c->server, .generation = c->generation, .commit = ++numbers};
    c->waiting_for = row->commit;
    sim_at(sim_now + network_delay(c->host, c->server->host), on_arrival, row, 0);
    sim_at(sim_now + PATIENCE, on_patience_over, c, row->commit);
}

static void on_turn(void *context, int64_t number) {
    struct client *c = context;
    if (!c->waiting_for) {
        if (!has_session(c))
            connect_to_writer(c);
        if (c->server)
            write_row(c);
    }
    sim_at(sim_now + dice_between(&c->dice, WRITE_EVERY_LOW, WRITE_EVERY_HIGH), on_turn, c, number);
}

void clients_start(void) {
    for (int s = 0; s < site_count; s++)
        for (int i = 0; i < world_plan->settings.clients && client_count < CLIENTS_MAX; i++) {
            char name[48];
            struct client *c = &clients[client_count];
            snprintf(name, sizeof name, "client-%.8s", sites[s].name);
            *c = (struct client){.host = host_named(name)};
            dice_open(&c->dice, "client", client_count++);
            sim_at(sim_now + dice_between(&c->dice, 0, WRITE_EVERY_HIGH), on_turn, c, 0);
        }
}
