/* The coordinator judges readiness with all it knows; where it has no such answer, the status must do, and it is said. */
#include "coordinator/cli/readiness.h"
#include "coordinator/cli/human.h"
#include "coordinator/cli/say.h"
#include "coordinator/cli/status.h"
#include "coordinator/cli/talk.h"
#include <stdio.h>

static const char *const steps_of_a_move[] = {"check", "prepare", "stop", "promote", "follow", "verify"};

static void fail(json_t *checks, const char *id, const char *cure, const char *message) {
    json_array_append_new(checks, json_pack("{s:s, s:o, s:n, s:o, s:b}", "id", id, "message", json_text_safe(message), "evidence", "cure", json_text_safe(cure),
                                            "ignorable", false));
}

json_t *readiness_judge(const json_t *cluster, const char *to) {
    json_t *checks = json_array();
    const json_t *site = status_site(cluster, to);
    if (!site) {
        fail(checks, "target-unknown", "pgregent status shows the sites", "the topology has no such site");
        return checks;
    }
    if (json_is_object(json_object_get(cluster, "operation")))
        fail(checks, "operation-open", "wait for it, or pgregent operation abort", "another operation is under way");
    if (!str_eq(json_text(site, "role", NULL), "standby"))
        fail(checks, "target-role", "pgregent explain says what it waits for", "the target is no standby site");
    if (!str_eq(json_text(site, "state", NULL), "ok"))
        fail(checks, "target-state", "pgregent explain says what is wrong there", "the target is not ok");
    if (!json_bool(cluster, "writable", false))
        fail(checks, "primary-state", "a primary that is gone can't be stopped in a planned way", "the primary does not accept writes, as far as is known");
    return checks;
}

/* {"checks", "steps", ...} of the coordinator, or judged from the status. NULL: said so already, *exit. */
static json_t *find_out(struct cli *c, const char *cluster, const char *to, int *exit) {
    TALK_ANSWER answer = {0}, status = {0};
    enum talk_result result = talk_ask(c, &answer, "/v1/readiness?cluster=%s&to=%s", cluster, to);
    if (result == TALK_ANSWERED)
        return json_incref(answer.json);
    if (result != TALK_REFUSED || answer.status != 404) {
        *exit = talk_failed(c, result, &answer, cluster, NULL);
        return NULL;
    }
    result = talk_ask(c, &status, "/v1/status?cluster=%s", cluster);
    const json_t *known = result == TALK_ANSWERED ? status_cluster(status.json, cluster) : NULL;
    if (!known) {
        *exit = result == TALK_ANSWERED ? say_refusal(c, CLI_USAGE, "not_found", NULL, "there is no cluster %s", cluster)
                                        : talk_failed(c, result, &status, cluster, NULL);
        return NULL;
    }
    json_t *steps = json_array();
    for (size_t i = 0; i < sizeof steps_of_a_move / sizeof *steps_of_a_move; i++)
        json_array_append_new(steps, json_string(steps_of_a_move[i]));
    say_notice(c, "judged by the status; the coordinator checks more when it is asked in earnest");
    return json_pack("{s:o, s:o}", "checks", readiness_judge(known, to), "steps", steps);
}

int readiness_dry_run(struct cli *c, const char *cluster, const char *to) {
    int exit = CLI_DONE;
    size_t i;
    const json_t *step;
    JSON_AUTO *found = find_out(c, cluster, to, &exit);
    if (!found)
        return exit;
    json_t *checks = json_object_get(found, "checks");
    if (json_array_size(checks) > 0) {
        JSON_AUTO *error = say_error("refused", "the move would be refused right now; nothing was changed", NULL);
        json_object_set(error, "checks", checks);
        return say_refused(c, CLI_REFUSED, error);
    }
    if (!json_bool(found, "changed", true))
        say(c, "%s is the primary site of %s already: nothing would be done\n", to, cluster);
    if (c->options.json)
        say_document(c, json_pack("{s:i, s:b, s:b, s:s, s:s, s:O, s:O}", "format", 1, "changed", false, "dry_run", true, "cluster", cluster, "to", to, "checks", checks,
                                  "steps", json_object_get(found, "steps")));
    if (!json_bool(found, "changed", true))
        return CLI_DONE;
    say(c, "A move of %s to %s would be accepted right now. Nothing was changed. Steps:\n ", cluster, to);
    json_array_foreach(json_object_get(found, "steps"), i, step)
        say(c, " %s", human(json_string_value(step) ? json_string_value(step) : "?"));
    say(c, "\nWrites stop from `stop` to the end of `promote`, commonly less than a second; nothing is lost.\n");
    return CLI_DONE;
}

bool readiness_consent(struct cli *c, const char *cluster, const char *to, int *exit) {
    TALK_ANSWER status = {0};
    char question[256];
    if (c->options.yes)
        return true;
    enum talk_result result = talk_ask(c, &status, "/v1/status?cluster=%s", cluster);
    if (result != TALK_ANSWERED) {
        *exit = talk_failed(c, result, &status, cluster, NULL);
        return false;
    }
    const json_t *known = status_cluster(status.json, cluster), *site = status_site(known, to);
    if (known && str_eq(json_text(known, "primary_site", NULL), to))
        return true; /* nothing will move, and the coordinator says so */
    if (site)
        say(c, "%s is %s and %s; it lacks %s of what %s has written.\n", to, human(json_text(site, "role", "?")), human(json_text(site, "state", "?")),
            human_bytes(json_object_get(site, "lag_bytes")), human(json_text(known, "primary_site", "?")));
    snprintf(question, sizeof question, "Move the primacy of %s from %s to %s?", cluster, human(json_text(known, "primary_site", "?")), to);
    return say_consent(c, question, exit);
}
