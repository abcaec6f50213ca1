/* Long polls on the journal, and what is printed of them. */
#include "coordinator/cli/follow.h"
#include "coordinator/cli/human.h"
#include "coordinator/cli/operation.h"
#include "coordinator/cli/say.h"
#include "coordinator/cli/talk.h"
#include "rt/clock.h"
#include <sys/ioctl.h>

#define HOLD_MS 30000 /* a poll is held 25 s */
#define RETRY_MS 500

void follow_open(struct follow *f, struct cli *c) {
    *f = (struct follow){.c = c, .told = json_object(), .until_ms = INT64_MAX};
    if (c->options.timeout_ms != OPTION_NOT_GIVEN)
        f->until_ms = clock_boot_ms() + c->options.timeout_ms;
    if (c->interrupt_fd < 0)
        talk_interruptible(c);
}

void follow_close(struct follow *f) {
    follow_end_line(f);
    json_decref(f->told);
    f->told = NULL;
}

/* ---- telling ---- */

void follow_end_line(struct follow *f) {
    if (f->line_open)
        fputs("\r\033[K", f->c->io.out);
    f->line_open = false;
}

/* A line that wraps cannot be overwritten. */
static int terminal_width(FILE *terminal) {
    struct winsize size;
    return ioctl(fileno(terminal), TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

void follow_live(struct follow *f, const char *more) {
    char line[400];
    if (!f->c->io.out_terminal || f->c->options.json || !f->live[0])
        return;
    snprintf(line, sizeof line, "%s%s%s", f->live, more ? "  " : "", more ? more : "");
    fprintf(f->c->io.out, "\r\033[K%.*s", terminal_width(f->c->io.out) - 1, line);
    fflush(f->c->io.out);
    f->line_open = true;
}

/* True when this state of that thing was not told yet. */
static bool is_news(struct follow *f, const char *id, const char *step, const char *state) {
    STRBUF key = {0};
    strbuf_addf(&key, "%s/%s", id, step);
    if (str_eq(json_text(f->told, key.at, NULL), state))
        return false;
    json_object_set_new(f->told, key.at, json_text_safe(state));
    return true;
}

static void tell_step(struct follow *f, const json_t *operation, const json_t *step) {
    const char *id = json_text(operation, "id", ""), *name = json_text(step, "name", ""), *state = json_text(step, "state", "pending");
    json_t *seconds = json_object_get(step, "seconds");
    if (str_eq(state, "pending") || !is_news(f, id, name, state))
        return;
    say_progress(f->c, json_pack("{s:o, s:o, s:o, s:o, s:O}", "operation", json_text_safe(id), "kind", json_text_safe(json_text(operation, "kind", "")), "step",
                                 json_text_safe(name), "state", json_text_safe(state), "seconds", json_is_number(seconds) ? seconds : json_null()));
    if (str_eq(state, "running"))
        return; /* people on a terminal see it as the live line */
    STRBUF line = {0};
    operation_step(step, say_colours(f->c), &line);
    follow_end_line(f);
    say(f->c, "%s", line.at);
}

static void tell_live(struct follow *f, const json_t *operation) {
    f->live[0] = '\0';
    if (operation_is_over(operation))
        return;
    snprintf(f->live, sizeof f->live, "  %-10.20s %.120s", human(json_text(operation, "step", "")), human(json_text(operation, "message", "...")));
    follow_live(f, NULL);
}

void follow_tell(struct follow *f, const json_t *operation) {
    size_t i;
    const json_t *step;
    const char *id = json_text(operation, "id", "");
    if (is_news(f, id, "", "told")) {
        STRBUF title = {0};
        operation_title(operation, &title);
        follow_end_line(f);
        say(f->c, "%s  %s\n", title.at, human(id));
    }
    json_array_foreach(json_object_get(operation, "steps"), i, step)
        tell_step(f, operation, step);
    if (is_news(f, id, "state", json_text(operation, "state", "")))
        say_progress(f->c, json_pack("{s:o, s:o, s:o}", "operation", json_text_safe(id), "kind", json_text_safe(json_text(operation, "kind", "")), "state",
                                     json_text_safe(json_text(operation, "state", ""))));
    tell_live(f, operation);
}

/* ---- waiting ---- */

bool follow_is_over_time(const struct follow *f) {
    return clock_boot_ms() >= f->until_ms;
}

bool follow_retry(struct follow *f, const char *failures) {
    int64_t now_ms = clock_boot_ms();
    if (!f->silent_ms && failures) {
        follow_end_line(f);
        say_notice(f->c, "no coordinator answers at the moment; asking again:%s", failures);
    }
    f->silent_ms = f->silent_ms ? f->silent_ms : now_ms;
    return now_ms - f->silent_ms < FOLLOW_SILENCE_MS && !talk_pause(f->c, RETRY_MS);
}

static json_t *outcome_document(const json_t *operation, int exit) {
    json_t *document = json_pack("{s:i, s:o, s:O?}", "format", 1, "changed",
                                 exit == CLI_DONE ? json_true() : exit == CLI_ABORTED ? json_false() : json_null(), "operation", operation);
    static const char *const codes[] = {[CLI_FAILED] = "failed", [CLI_REFUSED] = "refused", [CLI_UNFINISHED] = "unfinished", [CLI_ABORTED] = "aborted", [CLI_WAITS] = "waits"};
    const char *why = exit == CLI_UNFINISHED ? "only the waiting has ended: the operation goes on, or nobody knows" : json_text(operation, "message", codes[exit]);
    if (exit != CLI_DONE)
        json_object_set_new(document, "error", say_error(codes[exit], why, NULL));
    return document;
}

/* It goes on without us: the id on stderr, and how to come back. */
static int leave(struct cli *c, const char *cluster, const char *id, const json_t *operation) {
    if (c->options.json) {
        fprintf(c->io.err, "{\"operation\":\"%s\"}\n", id);
        say_document(c, outcome_document(operation, CLI_UNFINISHED));
    } else
        fprintf(c->io.err, "operation %s goes on; pgregent operation watch %s %s\n", id, cluster, id);
    return CLI_UNFINISHED;
}

static int finish(struct cli *c, const char *cluster, const json_t *operation, enum follow_wish wish) {
    int exit = (int)operation_exit(operation);
    if (wish == FOLLOW_ABORTED)
        exit = exit == CLI_ABORTED ? CLI_DONE : exit == CLI_DONE ? CLI_REFUSED : exit;
    STRBUF text = {0};
    operation_outcome(operation, say_colours(c), &text);
    if (exit == CLI_WAITS && !c->options.json)
        fprintf(c->io.err, "operation %s waits for people; pgregent explain %s\n", human(json_text(operation, "id", "")), cluster);
    if (c->options.json)
        say_document(c, outcome_document(operation, exit));
    say(c, "%s", text.at);
    return exit;
}

/* Is there a reason to stop following? */
static bool is_settled(struct follow *f, const json_t *operation) {
    if (operation_state(operation) != OPERATION_WAITING) {
        f->waiting_ms = 0;
        return operation_is_over(operation);
    }
    if (!f->waiting_ms)
        f->waiting_ms = clock_boot_ms();
    return clock_boot_ms() - f->waiting_ms >= FOLLOW_WAITING_MS;
}

/* One poll: the newest state of the operation, or NULL when nothing is new. */
static enum talk_result poll_operation(struct follow *f, const char *cluster, const char *id, int64_t *number, struct talk_answer *answer) {
    STRBUF path = {0};
    strbuf_addf(&path, "/v1/operations?cluster=%s&id=%s", cluster, id);
    if (*number >= 0 && !f->waiting_ms)
        strbuf_addf(&path, "&seen=%lld", (long long)*number);
    int64_t left_ms = f->until_ms == INT64_MAX ? HOLD_MS : f->until_ms - clock_boot_ms();
    struct talk_call call = {.method = "GET", .path = path.at, .patience_ms = left_ms < 1 ? 1 : left_ms < HOLD_MS ? left_ms : HOLD_MS};
    enum talk_result result = talk(f->c, &call, answer);
    if (result == TALK_ANSWERED)
        f->silent_ms = 0;
    /* After silence the whole state is asked for: a coordinator that has restarted may count from the beginning. */
    *number = result == TALK_ANSWERED ? json_int(answer->json, "number", -1) : -1;
    return result;
}

int follow_operation(struct cli *c, const char *cluster, const char *id, const json_t *first, enum follow_wish wish) {
    FOLLOW f = {0};
    int64_t number = -1;
    follow_open(&f, c);
    JSON_AUTO *operation = first ? json_deep_copy(first) : NULL;
    while (true) {
        if (operation) {
            follow_tell(&f, operation);
            if (is_settled(&f, operation)) {
                follow_end_line(&f);
                return finish(c, cluster, operation, wish);
            }
        }
        if (c->options.no_wait || follow_is_over_time(&f))
            break;
        TALK_ANSWER answer = {0};
        enum talk_result result = poll_operation(&f, cluster, id, &number, &answer);
        /* 404 is silence: a coordinator that has just taken the request, or restarted, may not show it yet. */
        if (result == TALK_INTERRUPTED || (result == TALK_REFUSED && answer.status / 100 == 4 && answer.status != 404))
            break;
        if (result != TALK_ANSWERED && !follow_is_over_time(&f) && !follow_retry(&f, answer.failures.at))
            break;
        json_t *newest = json_array_get(json_object_get(answer.json, "operations"), 0);
        if (json_is_object(newest)) {
            json_decref(operation);
            operation = json_incref(newest);
        }
        if (f.waiting_ms && talk_pause(c, RETRY_MS))
            break;
    }
    follow_end_line(&f);
    return leave(c, cluster, id, operation);
}
