/* The two tables of habits. An answer says what to type, or why nothing like it exists. */
#include "coordinator/cli/habit.h"
#include "rt/str.h"
#include <string.h>

struct habit {
    const char *word, *instead;
};
static const struct habit option_habits[] = {
    {"--force", "--yes answers the prompt; checks that guard rows, epochs and the single writer can't be overridden at all"},
    {"--candidate", "name the site with --to SITE; inside a site, members are chosen by themselves"},
    {"--leader", "the present primary is known; name the target with --to SITE"},
    {"--primary", "the present primary is known; name the target with --to SITE"},
    {"--master", "the present primary is known; name the target with --to SITE"},
    {"--target", "name the target with --to SITE"},
    {"--site", "name the target with --to SITE"},
    {"--scheduled", "a move runs when it is asked for; let cron or a timer call it"},
    {"--wait", "waiting is the default; --no-wait returns at once, --timeout bounds it"},
    {"--format", "use -o json"},
    {"--json", "use -o json"},
    {"-f", "-o json gives JSON, --yes answers the prompt"},
    {"--config-file", "use -c FILE"},
    {"--dcs", "sites have their own stores; -c FILE names the coordinators"},
    {"--dcs-url", "sites have their own stores; -c FILE names the coordinators"},
    {"--insecure", "certificates are always verified; see tls in the configuration"},
    {"--allow-data-loss", "a switchover loses nothing or does not happen"},
};
static const struct habit command_habits[] = {
    {"edit-config", "change the topology file in its repository, look at `pgregent plan FILE`, then `pgregent apply FILE`"},
    {"show-config", "the configuration is the topology file; `pgregent plan FILE` compares it with what is in force"},
    {"set", "change the topology file, then `pgregent apply FILE`"},
    {"reinit", "`pgregent local reinit CLUSTER SITE|MEMBER` (not built yet)"},
    {"restart", "`pgregent local restart CLUSTER SITE|MEMBER` (not built yet)"},
    {"reload", "`pgregent local reload CLUSTER SITE|MEMBER` (not built yet); parameters of the topology are reloaded by apply"},
    {"remove", "take it out of the topology file, then `pgregent apply FILE --remove SITE|MEMBER` (not built yet)"},
    {"drop", "take it out of the topology file, then `pgregent apply FILE --remove SITE|MEMBER` (not built yet)"},
    {"create", "`pgregent apply FILE --create`"},
    {"init", "`pgregent apply FILE --create`"},
    {"bootstrap", "sites of the topology file are built by themselves: `pgregent apply FILE`"},
    {"clone", "sites and members of the topology file are built by themselves: `pgregent apply FILE`"},
    {"register", "write it into the topology file, then `pgregent apply FILE`"},
    {"promote", "`pgregent switchover CLUSTER --to SITE`; a planned move, nothing is lost"},
    {"demote", "`pgregent switchover CLUSTER --to SITE`: the old primary site becomes a standby"},
    {"promote-cluster", "`pgregent switchover CLUSTER --to SITE`"},
    {"demote-cluster", "`pgregent switchover CLUSTER --to SITE`: the old primary site becomes a standby"},
    {"perform", "`pgregent switchover CLUSTER --to SITE`"},
    {"switchback", "`pgregent switchover CLUSTER --to SITE` with the site that was primary before"},
    {"rejoin", "`pgregent reinstate CLUSTER SITE` (not built yet); after a switchover nothing has to be rejoined"},
    {"follow", "standbys are re-pointed by themselves"},
    {"topology", "`pgregent status CLUSTER`"},
    {"show", "`pgregent status CLUSTER`"},
    {"cluster", "`pgregent status CLUSTER`"},
    {"members", "`pgregent status CLUSTER`"},
    {"state", "`pgregent status CLUSTER`"},
    {"check", "`pgregent status CLUSTER --exit-code`"},
    {"events", "`pgregent operation list CLUSTER` and `pgregent history CLUSTER`"},
    {"timeline", "`pgregent history CLUSTER`"},
    {"flush", "`pgregent operation abort CLUSTER [ID]` takes back what is under way"},
    {"abort", "`pgregent operation abort CLUSTER [ID]`"},
    {"maintenance", "`pgregent pause CLUSTER [SITE]` (not built yet)"},
    {"version", "`pgregent --version`; versions of agents and servers stand in `pgregent status -o json`"},
    {"query", "use psql; `pgregent status -o json` has the addresses"},
    {"dsn", "name all members in the connection string, with target_session_attrs=read-write"},
    {"uri", "name all members in the connection string, with target_session_attrs=read-write"},
    {"help", "`pgregent --help`, `pgregent COMMAND --help`"},
};

static const char *find(const struct habit *habits, size_t count, const char *word, size_t len) {
    for (size_t i = 0; i < count; i++)
        if (strlen(habits[i].word) == len && strncmp(habits[i].word, word, len) == 0)
            return habits[i].instead;
    return NULL;
}

const char *habit_option(const char *given) {
    return find(option_habits, sizeof option_habits / sizeof *option_habits, given, strcspn(given, "="));
}

const char *habit_command(const char *word) {
    return find(command_habits, sizeof command_habits / sizeof *command_habits, word, strlen(word));
}
