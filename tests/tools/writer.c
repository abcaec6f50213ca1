/* A client that writes and follows the primary: the load under which moves are tried, and the judge afterwards.
 *
 *   writer run --conninfo C --out FILE [--clients 4] [--pause-us 2000] [--seconds N] [--reconnect]
 *   writer check --conninfo C --in FILE
 *
 * Each client inserts numbered rows, each its own transaction, and never sends a number twice. By default it keeps a
 * session to every host and tries them in turn; with --reconnect it holds one session and dials all hosts at once when
 * that ends. FILE tells each row's fate, one line each: A acknowledged (no warning came with it), U unknown (connection
 * lost, or a warning), F refused by the server. `check` holds the table against it. SIGUSR1 ends a window and prints its
 * longest time between two acknowledged commits; SIGTERM ends the run. It is its own program so that nothing of the
 * product can make it lie. */
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HOSTS_MAX 16
#define CLIENTS_MAX 64
#define KEYWORDS_MAX 64
#define ROUND_PAUSE_MS 5       /* between two rounds over all hosts while nobody takes the row */
#define DIAL_EVERY_US 10000    /* while nobody takes the row */
#define REDIAL_EVERY_US 500000 /* for spare sessions, while the writing goes well */
#define ANSWER_MS 3000         /* a row not answered by then is unknown */
#define DIAL_MS 2000
#define FIRST_CONNECT_MS 15000

enum dial { DIAL_NONE, DIAL_UNDER_WAY, DIAL_READY };
enum fate { FATE_ACKNOWLEDGED = 'A', FATE_UNKNOWN = 'U', FATE_REFUSED = 'F' };

struct target {
    const char *keywords[KEYWORDS_MAX], *values[KEYWORDS_MAX];
};
struct session {
    PGconn *connection;
    enum dial dial;
    PostgresPollingStatusType wants;
    int64_t dialled_us;
    bool warned;
};
struct client {
    int number;
    int64_t sent, last_us, longest_us;
    struct session sessions[HOSTS_MAX];
    int host; /* that took the last row */
};
struct run {
    struct target targets[HOSTS_MAX];
    int hosts;
    int64_t id;
    bool reconnect;
    long pause_us;
    FILE *out;
    pthread_mutex_t lock; /* for all below */
    int64_t last_us, longest_us, window_longest_us, acknowledged, window_acknowledged, unknown, refused;
    int windows;
};
static struct run run = {.lock = PTHREAD_MUTEX_INITIALIZER, .pause_us = 2000};
static atomic_bool stopping;

static int64_t wall_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...) {
    va_list list;
    va_start(list, format);
    fputs("writer: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(2);
}

/* ---- targets: one conninfo for each host of the list ---- */

static char *nth(const char *list, int n) {
    for (; n > 0 && list; n--) {
        list = strchr(list, ',');
        list = list ? list + 1 : NULL;
    }
    return list ? strndup(list, strcspn(list, ",")) : NULL;
}

static const char *nth_or_only(const char *list, int n) {
    char *found = nth(list, n);
    return found ? found : nth(list, 0);
}

static void add(struct target *t, int *at, const char *keyword, const char *value) {
    if (*at + 1 >= KEYWORDS_MAX)
        die("conninfo has too many keywords");
    t->keywords[*at] = keyword;
    t->values[(*at)++] = value;
}

static void split_targets(const char *conninfo) {
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &why);
    if (!options)
        die("conninfo: %s", why ? why : "cannot be read");
    const char *hosts = "", *ports = "5432";
    for (PQconninfoOption *o = options; o->keyword; o++) {
        if (o->val && strcmp(o->keyword, "host") == 0)
            hosts = o->val;
        if (o->val && strcmp(o->keyword, "port") == 0)
            ports = o->val;
    }
    for (char *host; run.hosts < HOSTS_MAX && (host = nth(hosts, run.hosts)); run.hosts++) {
        struct target *t = &run.targets[run.hosts];
        int at = 0;
        add(t, &at, "host", host);
        add(t, &at, "port", nth_or_only(ports, run.hosts));
        for (PQconninfoOption *o = options; o->keyword; o++)
            if (o->val && strcmp(o->keyword, "host") != 0 && strcmp(o->keyword, "port") != 0 && strcmp(o->keyword, "target_session_attrs") != 0)
                add(t, &at, o->keyword, strdup(o->val));
        add(t, &at, "tcp_user_timeout", "2000");
    }
    PQconninfoFree(options);
}

/* ---- sessions ---- */

static void note_warning(void *context, const PGresult *notice) {
    struct session *s = context;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    s->warned |= severity && strcmp(severity, "WARNING") == 0;
}

static void hang_up(struct session *s) {
    PQfinish(s->connection);
    s->connection = NULL;
    s->dial = DIAL_NONE;
}

static void start_dial(struct session *s, const struct target *t) {
    s->dialled_us = wall_us();
    s->connection = PQconnectStartParams(t->keywords, t->values, 0);
    if (!s->connection || PQstatus(s->connection) == CONNECTION_BAD) {
        hang_up(s);
        return;
    }
    PQsetNoticeReceiver(s->connection, note_warning, s);
    s->dial = DIAL_UNDER_WAY;
    s->wants = PGRES_POLLING_WRITING;
}

static struct pollfd dial_pollfd(const struct session *s) {
    return (struct pollfd){.fd = PQsocket(s->connection), .events = s->wants == PGRES_POLLING_READING ? POLLIN : POLLOUT};
}

/* Takes a dial as far as it goes without waiting. */
static void advance_dial(struct session *s) {
    while (s->dial == DIAL_UNDER_WAY) {
        struct pollfd fd = dial_pollfd(s);
        if (wall_us() - s->dialled_us > DIAL_MS * 1000) {
            hang_up(s);
            return;
        }
        if (poll(&fd, 1, 0) <= 0)
            return;
        s->wants = PQconnectPoll(s->connection);
        if (s->wants == PGRES_POLLING_FAILED)
            hang_up(s);
        else if (s->wants == PGRES_POLLING_OK)
            s->dial = DIAL_READY;
    }
}

static bool in_recovery(const struct session *s) {
    const char *value = PQparameterStatus(s->connection, "in_hot_standby");
    return value && strcmp(value, "on") == 0;
}

static void keep_dialled(struct client *c, int host, int64_t every_us) {
    struct session *s = &c->sessions[host];
    if (s->dial == DIAL_NONE && wall_us() - s->dialled_us >= every_us)
        start_dial(s, &run.targets[host]);
    advance_dial(s);
    if (run.reconnect && s->dial == DIAL_READY && in_recovery(s))
        hang_up(s);
}

/* ---- rows ---- */

static void record(struct client *c, int64_t n, enum fate fate) {
    pthread_mutex_lock(&run.lock);
    int64_t now_us = wall_us();
    fprintf(run.out, "%c %d %" PRId64 " %" PRId64 "\n", (char)fate, c->number, n, now_us);
    run.unknown += fate == FATE_UNKNOWN;
    run.refused += fate == FATE_REFUSED;
    if (fate == FATE_ACKNOWLEDGED) {
        int64_t gap_us = run.last_us ? now_us - run.last_us : 0, own_us = c->last_us ? now_us - c->last_us : 0;
        run.longest_us = gap_us > run.longest_us ? gap_us : run.longest_us;
        run.window_longest_us = gap_us > run.window_longest_us ? gap_us : run.window_longest_us;
        c->longest_us = own_us > c->longest_us ? own_us : c->longest_us;
        run.last_us = c->last_us = now_us;
        run.acknowledged++;
        run.window_acknowledged++;
    }
    pthread_mutex_unlock(&run.lock);
}

static bool wait_answer(PGconn *connection) {
    int64_t until_us = wall_us() + ANSWER_MS * 1000;
    while (PQisBusy(connection)) {
        struct pollfd fd = {.fd = PQsocket(connection), .events = POLLIN};
        int64_t left_ms = (until_us - wall_us()) / 1000;
        if (left_ms <= 0 || poll(&fd, 1, (int)left_ms) == 0 || !PQconsumeInput(connection))
            return false;
    }
    return true;
}

/* A session on a standby tells its promotion with the next answer: asked so that the server's log is not filled with
 * refused rows. */
static bool still_in_recovery(struct session *s) {
    if (!in_recovery(s))
        return false;
    if (PQsendQuery(s->connection, "SHOW in_hot_standby")) {
        while (wait_answer(s->connection)) {
            PGresult *result = PQgetResult(s->connection);
            if (!result)
                break;
            PQclear(result);
        }
    }
    if (PQstatus(s->connection) != CONNECTION_OK || PQisBusy(s->connection))
        hang_up(s);
    return s->dial != DIAL_READY || in_recovery(s);
}

/* An ERROR undid the row for certain; FATAL or silence may come after the commit. */
static enum fate fate_of(const PGresult *result) {
    if (PQresultStatus(result) == PGRES_COMMAND_OK)
        return FATE_ACKNOWLEDGED;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    return severity && strcmp(severity, "ERROR") == 0 ? FATE_REFUSED : FATE_UNKNOWN;
}

/* The row's fate is what the last answer says, and only once the server is ready for the next query: it tells "INSERT 0 1"
 * when the statement has run, and commits after that. An error may still follow. */
static enum fate read_fate(struct session *s) {
    enum fate fate = FATE_UNKNOWN;
    PGresult *result = NULL;
    while (wait_answer(s->connection) && (result = PQgetResult(s->connection))) {
        fate = fate_of(result);
        PQclear(result);
    }
    bool ready = PQtransactionStatus(s->connection) == PQTRANS_IDLE && !s->warned;
    return fate == FATE_ACKNOWLEDGED && !ready ? FATE_UNKNOWN : fate;
}

static enum fate send_row(struct client *c, struct session *s, int64_t n) {
    char run_id[24], client[12], number[24];
    snprintf(run_id, sizeof run_id, "%" PRId64, run.id);
    snprintf(client, sizeof client, "%d", c->number);
    snprintf(number, sizeof number, "%" PRId64, n);
    const char *const values[] = {run_id, client, number};
    s->warned = false;
    enum fate fate = FATE_UNKNOWN;
    if (PQsendQueryParams(s->connection, "INSERT INTO writer_rows (run, client, n) VALUES ($1, $2, $3)", 3, NULL, values, NULL, NULL, 0))
        fate = read_fate(s);
    if (PQstatus(s->connection) != CONNECTION_OK || PQisBusy(s->connection))
        hang_up(s);
    return fate;
}

static bool try_row(struct client *c, int host) {
    struct session *s = &c->sessions[host];
    if (s->dial != DIAL_READY || still_in_recovery(s))
        return false;
    int64_t n = ++c->sent;
    enum fate fate = send_row(c, s, n);
    record(c, n, fate);
    if (fate == FATE_ACKNOWLEDGED) {
        c->host = host;
        return true;
    }
    if (run.reconnect && s->dial == DIAL_READY)
        hang_up(s);
    return false;
}

/* Waits for a dial to move, or a moment. */
static void wait_round(const struct client *c) {
    struct pollfd fds[HOSTS_MAX];
    nfds_t count = 0;
    for (int host = 0; host < run.hosts; host++)
        if (c->sessions[host].dial == DIAL_UNDER_WAY)
            fds[count++] = dial_pollfd(&c->sessions[host]);
    poll(fds, count, ROUND_PAUSE_MS);
}

static void follow(struct client *c) {
    for (int host = 0; host < run.hosts; host++)
        keep_dialled(c, host, DIAL_EVERY_US);
    for (int host = 0; host < run.hosts; host++)
        if (try_row(c, host))
            return;
    wait_round(c);
}

static void *write_rows(void *context) {
    struct client *c = context;
    while (!stopping) {
        if (!try_row(c, c->host)) {
            follow(c);
            continue;
        }
        for (int host = 0; host < run.hosts && !run.reconnect; host++)
            keep_dialled(c, host, REDIAL_EVERY_US);
        usleep((useconds_t)run.pause_us);
    }
    for (int host = 0; host < run.hosts; host++)
        hang_up(&c->sessions[host]);
    return NULL;
}

/* ---- run ---- */

static double ms(int64_t us) { return (double)us / 1000.0; }

static void end_window(void) {
    pthread_mutex_lock(&run.lock);
    int64_t open_us = run.last_us ? wall_us() - run.last_us : 0;
    int64_t longest_us = open_us > run.window_longest_us ? open_us : run.window_longest_us;
    printf("{\"window\": %d, \"longest_gap_ms\": %.1f, \"acknowledged\": %" PRId64 "}\n", ++run.windows, ms(longest_us), run.window_acknowledged);
    fflush(stdout);
    fflush(run.out);
    run.window_longest_us = run.window_acknowledged = 0;
    pthread_mutex_unlock(&run.lock);
}

/* Signals come to this thread alone. */
static void wait_end(const sigset_t *set, long seconds) {
    int64_t until_us = seconds ? wall_us() + (int64_t)seconds * 1000000 : INT64_MAX;
    const struct timespec look = {.tv_nsec = 100000000};
    while (wall_us() < until_us) {
        int number = sigtimedwait(set, NULL, &look);
        if (number == SIGUSR1)
            end_window();
        else if (number > 0)
            return;
    }
}

static void exec_or_die(PGconn *connection, const char *sql) {
    PGresult *result = PQexec(connection, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        die("%s", PQerrorMessage(connection));
    PQclear(result);
}

/* A standby that has not yet replayed the making of the database ends libpq's way through the hosts: tried again. */
static PGconn *connect_patiently(const char *conninfo) {
    int64_t until_us = wall_us() + FIRST_CONNECT_MS * 1000;
    for (;;) {
        PGconn *connection = PQconnectdb(conninfo);
        if (PQstatus(connection) == CONNECTION_OK)
            return connection;
        if (wall_us() > until_us)
            die("%s", PQerrorMessage(connection));
        PQfinish(connection);
        usleep(100000);
    }
}

static void make_table(const char *conninfo) {
    PGconn *connection = connect_patiently(conninfo);
    exec_or_die(connection, "SET client_min_messages = error");
    exec_or_die(connection, "CREATE TABLE IF NOT EXISTS writer_rows (run bigint, client int, n bigint, at timestamptz DEFAULT clock_timestamp())");
    PQfinish(connection);
}

static int do_run(const char *conninfo, const char *out, int count, long seconds) {
    static struct client clients[CLIENTS_MAX];
    pthread_t threads[CLIENTS_MAX];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    split_targets(conninfo);
    make_table(conninfo);
    run.id = wall_us();
    run.out = fopen(out, "we");
    if (!run.out)
        die("%s: %s", out, strerror(errno));
    fprintf(run.out, "R %" PRId64 "\n", run.id);
    for (int i = 0; i < count; i++) {
        clients[i].number = i + 1;
        if (pthread_create(&threads[i], NULL, write_rows, &clients[i]) != 0)
            die("cannot start a thread");
    }
    wait_end(&set, seconds);
    stopping = true;
    int64_t longest_us = 0;
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        longest_us = clients[i].longest_us > longest_us ? clients[i].longest_us : longest_us;
    }
    printf("{\"acknowledged\": %" PRId64 ", \"unknown\": %" PRId64 ", \"refused\": %" PRId64 ", \"longest_gap_ms\": %.1f, \"longest_gap_of_one_client_ms\": %.1f}\n",
           run.acknowledged, run.unknown, run.refused, ms(run.longest_us), ms(longest_us));
    return fclose(run.out) == 0 ? 0 : 2;
}

/* ---- check ---- */

struct row {
    int64_t client, n;
    char fate; /* of sent rows */
};
struct rows {
    struct row *at;
    size_t count, space;
};

static void add_row(struct rows *rows, struct row row) {
    if (rows->count == rows->space) {
        rows->space = rows->space ? rows->space * 2 : 4096;
        rows->at = realloc(rows->at, rows->space * sizeof *rows->at);
        if (!rows->at)
            die("no memory");
    }
    rows->at[rows->count++] = row;
}

static int by_number(const void *left, const void *right) {
    const struct row *a = left, *b = right;
    if (a->client != b->client)
        return a->client < b->client ? -1 : 1;
    return a->n < b->n ? -1 : a->n > b->n;
}

static int64_t read_sent(const char *path, struct rows *sent) {
    FILE *in = fopen(path, "re");
    int64_t id = 0, at_us;
    struct row row;
    if (!in || fscanf(in, "R %" SCNd64 "\n", &id) != 1)
        die("%s: is not the file of a run", path);
    while (fscanf(in, "%c %" SCNd64 " %" SCNd64 " %" SCNd64 "\n", &row.fate, &row.client, &row.n, &at_us) == 4)
        add_row(sent, row);
    fclose(in);
    qsort(sent->at, sent->count, sizeof *sent->at, by_number);
    return id;
}

static void read_table(const char *conninfo, int64_t id, struct rows *found) {
    PGconn *connection = connect_patiently(conninfo);
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT client, n FROM writer_rows WHERE run = %" PRId64 " ORDER BY 1, 2", id);
    PGresult *result = PQexec(connection, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        die("%s", PQerrorMessage(connection));
    for (int i = 0; i < PQntuples(result); i++)
        add_row(found, (struct row){.client = strtoll(PQgetvalue(result, i, 0), NULL, 10), .n = strtoll(PQgetvalue(result, i, 1), NULL, 10)});
    PQclear(result);
    PQfinish(connection);
}

struct verdict {
    int64_t acknowledged, unknown, refused, missing, twice, unknown_present, refused_present, never_sent;
};

static void judge_sent(const struct row *row, size_t times, struct verdict *v) {
    v->acknowledged += row->fate == FATE_ACKNOWLEDGED;
    v->unknown += row->fate == FATE_UNKNOWN;
    v->refused += row->fate == FATE_REFUSED;
    v->missing += row->fate == FATE_ACKNOWLEDGED && times == 0;
    v->unknown_present += row->fate == FATE_UNKNOWN && times > 0;
    v->refused_present += row->fate == FATE_REFUSED && times > 0;
    v->twice += times > 1;
}

/* Both sorted: one walk. */
static struct verdict judge(const struct rows *sent, const struct rows *found) {
    struct verdict v = {0};
    size_t at = 0;
    for (size_t i = 0; i < sent->count; i++) {
        size_t times = 0;
        for (; at < found->count && by_number(&found->at[at], &sent->at[i]) < 0; at++)
            v.never_sent++;
        for (; at < found->count && by_number(&found->at[at], &sent->at[i]) == 0; at++)
            times++;
        judge_sent(&sent->at[i], times, &v);
    }
    v.never_sent += (int64_t)(found->count - at);
    return v;
}

static int do_check(const char *conninfo, const char *path) {
    struct rows sent = {0}, found = {0};
    int64_t id = read_sent(path, &sent);
    read_table(conninfo, id, &found);
    struct verdict v = judge(&sent, &found);
    bool ok = !v.missing && !v.twice && !v.refused_present && !v.never_sent && v.acknowledged > 0;
    printf("{\"ok\": %s, \"acknowledged\": %" PRId64 ", \"missing\": %" PRId64 ", \"twice\": %" PRId64 ", \"never_sent\": %" PRId64
           ", \"unknown\": %" PRId64 ", \"unknown_present\": %" PRId64 ", \"refused\": %" PRId64 ", \"refused_present\": %" PRId64 "}\n",
           ok ? "true" : "false", v.acknowledged, v.missing, v.twice, v.never_sent, v.unknown, v.unknown_present, v.refused, v.refused_present);
    free(sent.at);
    free(found.at);
    return ok ? 0 : 1;
}

static long number(const char *text, long least, long most) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || end == text || value < least || value > most)
        die("%s: wants a number from %ld to %ld", text, least, most);
    return value;
}

int main(int argc, char **argv) {
    const char *conninfo = NULL, *file = NULL, *verb = argc > 1 ? argv[1] : "";
    long clients = 4, seconds = 0;
    for (int i = 2; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--reconnect") == 0) {
            run.reconnect = true;
            continue;
        }
        if (strcmp(argv[i], "--conninfo") == 0)
            conninfo = value;
        else if (strcmp(argv[i], "--out") == 0 || strcmp(argv[i], "--in") == 0)
            file = value;
        else if (strcmp(argv[i], "--clients") == 0)
            clients = number(value, 1, CLIENTS_MAX);
        else if (strcmp(argv[i], "--pause-us") == 0)
            run.pause_us = number(value, 0, 1000000);
        else if (strcmp(argv[i], "--seconds") == 0)
            seconds = number(value, 1, 86400);
        else
            die("unknown argument %s", argv[i]);
        i++;
    }
    if (conninfo && file && strcmp(verb, "run") == 0)
        return do_run(conninfo, file, (int)clients, seconds);
    if (conninfo && file && strcmp(verb, "check") == 0)
        return do_check(conninfo, file);
    die("usage: writer run --conninfo C --out FILE [--clients N] [--pause-us N] [--seconds N] [--reconnect] | check --conninfo C --in FILE");
}
