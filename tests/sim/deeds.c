/* What is done to the world: each deed begins, most of them end after a while, and healing ends those that are left. */
#include "tests/sim/deadman.h"
#include "tests/sim/files.h"
#include "tests/sim/network.h"
#include "tests/sim/postgres.h"
#include "tests/sim/stores.h"
#include "tests/sim/world.h"
#include <signal.h>
#include <stdio.h>

#define WALL_ERROR_MS 500 /* of a clock that is looked after */

/* A deed that is in force. */
struct force {
    struct deed deed;
    bool over;
    int flaps;
    int64_t remembered; /* what it has put away */
};
static struct force forces[DEEDS_MAX];
static int force_count;

static struct host *host_of(const struct deed *d) { return d->target >= 0 && d->target < host_count ? &hosts[d->target] : NULL; }

static const char *target_name(const struct deed *d) {
    static char text[80];
    bool of_site = d->kind == DEED_CRASH_SITE || d->kind == DEED_ISOLATE_SITE || (d->kind >= DEED_STORE_DOWN && d->kind <= DEED_STORE_BACK) ||
                   d->kind == DEED_SWITCHOVER || d->kind == DEED_SWITCHOVER_TWICE || d->kind == DEED_APPLY_LEASE || d->kind == DEED_APPLY_TWICE ||
                   d->kind == DEED_APPLY_MEMBER;
    if (of_site)
        return d->target >= 0 && d->target < site_count ? sites[d->target].name : "";
    const struct host *h = host_of(d);
    snprintf(text, sizeof text, "%s%s%s", h ? h->name : "", d->other >= 0 && d->other < host_count ? " - " : "",
             d->other >= 0 && d->other < host_count ? hosts[d->other].name : "");
    return text;
}

/* ---- processes ---- */

static void pause_process(struct process *p, bool on) {
    if (!p || !p->alive)
        return;
    if (on)
        process_pause(p);
    else
        process_resume(p);
}

static void pause_deadman(struct host *h, bool on) {
    invariants_unguard(h);
    if (h->deadman)
        deadman_pause(h, on);
}

static void stop_host(struct host *h) {
    pause_process(h->agent, true);
    if (!h->postgres)
        return; /* the coordinator's */
    pause_deadman(h, true);
    postgres_pause(h->postgres, true);
}
static void thaw_host(struct host *h) {
    if (h->postgres) {
        postgres_pause(h->postgres, false);
        pause_deadman(h, false);
    }
    pause_process(h->agent, false);
}

static void kill_process(struct process *p) {
    if (p && p->alive)
        process_kill(p);
}

static void strike(struct process *p, const struct deed *d, enum strike how) {
    if (p && p->alive)
        process_strike_at(p, d->number, how, d->ms * MS);
}

static struct process *coordinator_of(const struct deed *d) { return coordinator_hosts[d->target == 1 && coordinator_count > 1 ? 1 : 0]->agent; }

/* The members of a site share their host's fate when the store is embedded. */
static void each_of_fate(struct host *h, void (*call)(struct host *)) {
    if (h->site == NOWHERE || !world_plan->settings.one_host) {
        call(h);
        return;
    }
    for (int i = 0; i < sites[h->site].member_count; i++)
        call(sites[h->site].members[i]);
}

static void crash_site(int site) {
    for (int i = 0; i < sites[site].member_count; i++)
        if (sites[site].members[i]->up)
            host_crash(sites[site].members[i]);
}

static void boot_site(int site) {
    for (int i = 0; i < sites[site].member_count; i++)
        if (!sites[site].members[i]->up)
            host_boot(sites[site].members[i]);
}

static void crash_one(struct host *h) {
    if (h->up)
        host_crash(h);
}
static void boot_one(struct host *h) {
    if (!h->up)
        host_boot(h);
}

/* ---- network ---- */

static int ports_of(int kind) { return kind == DEED_CUT_CONTROL ? PORT_CONTROL : kind == DEED_CUT_REPLICATION ? PORT_REPLICATION : PORT_ALL; }

static void cut(const struct deed *d, bool on) {
    link_cut(d->target, d->other, ports_of(d->kind), on);
    if (d->kind != DEED_CUT_ONE_WAY)
        link_cut(d->other, d->target, ports_of(d->kind), on);
}

static void isolate(int site, bool on) {
    for (int i = 0; i < host_count; i++)
        for (int k = 0; k < host_count; k++)
            if ((hosts[i].site == site) != (hosts[k].site == site))
                link_cut(i, k, PORT_ALL, on);
}

static void slow_link(const struct deed *d, bool on) {
    struct link *const both[] = {&links[d->target][d->other], &links[d->other][d->target]};
    for (int i = 0; i < 2; i++) {
        both[i]->slow_ms = on ? d->number : 0;
        both[i]->loss_permille = on ? 150 : 0;
    }
}

static void disorder(int host, bool on) {
    for (int k = 0; k < host_count; k++)
        links[host][k].disorder = links[k][host].disorder = on;
}

static void flap(void *force, int64_t number) {
    struct force *f = force;
    if (f->over)
        return;
    f->flaps++;
    cut(&f->deed, f->flaps % 2 == 1);
    sim_at(sim_now + f->deed.number * MS, flap, f, number);
}

/* ---- stores ---- */

static struct site_store *store_of(const struct deed *d) {
    char path[64];
    snprintf(path, sizeof path, "/store/%s", sites[d->target].name);
    return store_at(path);
}

static void begin_store(const struct deed *d) {
    struct site_store *s = store_of(d);
    if (d->kind == DEED_STORE_DOWN || d->kind == DEED_STORE_BACK)
        s->down_until = sim_now + d->ms * MS;
    if (d->kind == DEED_STORE_FLAKY)
        s->flaky_permille = (int)d->number;
    if (d->kind == DEED_STORE_SLOW)
        s->slow = d->number * MS;
    if (d->kind == DEED_STORE_STALE)
        s->stale = (int)d->number;
    if (d->kind == DEED_STORE_DEAF)
        s->deaf = true;
}

static void end_store(const struct deed *d) {
    struct site_store *s = store_of(d);
    if (d->kind == DEED_STORE_DOWN)
        s->down_until = 0;
    if (d->kind == DEED_STORE_BACK) {
        s->down_until = 0;
        store_put_back(s, d->number * MS, true);
        invariants_store_back(d->target);
    }
    if (d->kind == DEED_STORE_FLAKY)
        s->flaky_permille = 0;
    if (d->kind == DEED_STORE_SLOW)
        s->slow = 0;
    if (d->kind == DEED_STORE_STALE)
        s->stale = 0;
    if (d->kind == DEED_STORE_DEAF)
        s->deaf = false;
}

void deed_put_journal_back(int64_t ago_ms) {
    struct host *h = coordinator_hosts[0];
    char path[64];
    snprintf(path, sizeof path, "/journal/%s", h->name);
    kill_process(h->agent);
    store_put_back(store_at(path), ago_ms * MS, false);
}

/* ---- people ---- */

static void start_by_hand(struct postgres *pg) {
    const char *why = NULL;
    if (pg->directory != DIRECTORY_THERE || pg->away || pg->postmaster_pid || pg->orphans)
        return;
    if (!pg->standby_signal)
        invariants_excuse(pg->host); /* out of its own files alone it would have come up in recovery */
    postgres_start(pg, false, &why);
}

static void promote_by_hand(struct postgres *pg) {
    if (pg->state != SERVER_RECOVERY)
        return;
    invariants_excuse(pg->host);
    postgres_trigger_promotion(pg);
}

static void drop_slots(struct postgres *pg) {
    invariants_slots_dropped();
    for (int i = pg->slot_count - 1; i >= 0 && pg->postmaster_pid; i--)
        postgres_drop_slot(pg, pg->slots[i].name);
}

static void burst(int64_t records) {
    for (int i = 0; i < host_count; i++)
        if (hosts[i].postgres && postgres_accepts_writes(hosts[i].postgres))
            postgres_write_other(hosts[i].postgres, (int)records);
}

/* One that somebody has paused stays so when it is promoted or restarted: not our business. */
static void pause_replay(struct postgres *pg, bool on) {
    if (pg->state == SERVER_RECOVERY)
        pg->replay_paused = on;
    postgres_changed(pg);
}

/* Something else is seen in the place of the directory, and PostgreSQL, which has its files open, dies of it. */
enum { MOUNTED_NOTHING, MOUNTED_RUBBISH, MOUNTED_OTHER };
#define OTHER_SYSTEM 6000000000000000001u

static void lose_data(struct force *f, struct postgres *pg) {
    f->remembered = pg->directory == DIRECTORY_THERE && !pg->away;
    if (!f->remembered)
        return;
    postgres_kill_all(pg);
    pg->away = true;
    if (f->deed.number == MOUNTED_OTHER)
        postgres_mount_other(pg, OTHER_SYSTEM);
    else
        pg->directory = f->deed.number == MOUNTED_NOTHING ? DIRECTORY_ABSENT : DIRECTORY_BROKEN;
}
static void find_data(struct force *f, struct postgres *pg) {
    if (!f->remembered)
        return;
    postgres_kill_all(pg);
    if (f->deed.number == MOUNTED_OTHER)
        postgres_mount_own(pg);
    pg->directory = DIRECTORY_THERE;
    pg->away = false;
}

static void remove_signal(struct postgres *pg) {
    if (pg->directory != DIRECTORY_THERE)
        return;
    if (pg->standby_signal && pg->state == SERVER_STARTING)
        invariants_excuse(pg->host); /* in the moment between our start and its reading of the file */
    pg->standby_signal = false;
}

/* What only this machine has is lost for ever; that is done to no one whose loss is the cluster's (invariants.c knows). */
static void replace_host(struct host *h) {
    if (world_plan->settings.one_host || sites[h->site].member_count < 2 || h->postgres->away || !invariants_can_spare(h)) {
        count("machines that were not to be spared");
        return;
    }
    crash_one(h);
    files_wipe(h);
    postgres_wipe(h->postgres);
    invariants_forget(h);
}

/* ---- begin and end of each kind ---- */

#define ON_HOST(name, does) static void name(struct force *f, struct host *h) { (void)f; (void)h; does; }
ON_HOST(kill_agent, kill_process(h->agent))
ON_HOST(kill_agent_at, strike(h->agent, &f->deed, STRIKE_KILL))
ON_HOST(pause_agent, pause_process(h->agent, true))
ON_HOST(resume_agent, pause_process(h->agent, false))
ON_HOST(pause_agent_at, strike(h->agent, &f->deed, STRIKE_PAUSE))
ON_HOST(kill_deadman, if (h->deadman) deadman_crash(h))
ON_HOST(stop_deadman, pause_deadman(h, true))
ON_HOST(thaw_deadman, pause_deadman(h, false))
ON_HOST(kill_postmaster, postgres_signal(h->postgres, SIGKILL))
ON_HOST(kill_orphans, if (h->postgres->orphans) postgres_kill_all(h->postgres))
ON_HOST(crash_postgres, postgres_kill_all(h->postgres))
ON_HOST(stop_postgres, postgres_pause(h->postgres, true))
ON_HOST(thaw_postgres, postgres_pause(h->postgres, false))
ON_HOST(stop_hosts, each_of_fate(h, stop_host))
ON_HOST(thaw_hosts, each_of_fate(h, thaw_host))
ON_HOST(crash_hosts, each_of_fate(h, crash_one))
ON_HOST(boot_hosts, each_of_fate(h, boot_one))
ON_HOST(crash_host_at, strike(h->agent, &f->deed, STRIKE_POWER))
ON_HOST(fill_disk, h->disk_full = true)
ON_HOST(empty_disk, h->disk_full = false)
ON_HOST(slow_disk, h->disk_slow = f->deed.number * MS)
ON_HOST(quick_disk, h->disk_slow = 0)
ON_HOST(jump_clock, h->wall_offset_ms += f->deed.number)
ON_HOST(late_letters, disorder(h->index, true))
ON_HOST(good_letters, disorder(h->index, false))
ON_HOST(by_hand_start, start_by_hand(h->postgres))
ON_HOST(by_hand_promote, promote_by_hand(h->postgres))
ON_HOST(by_hand_stop, if (h->postgres->postmaster_pid) postgres_signal(h->postgres, SIGINT))
ON_HOST(hang_walsender, h->postgres->hung_walsender_until = sim_now + f->deed.ms * MS)
ON_HOST(free_walsender, h->postgres->hung_walsender_until = 0)
ON_HOST(slow_recovery, h->postgres->slow_until = sim_now + f->deed.ms * MS)
ON_HOST(quick_recovery, h->postgres->slow_until = 0)
ON_HOST(pause_replays, pause_replay(h->postgres, true))
ON_HOST(resume_replays, pause_replay(h->postgres, false))
ON_HOST(fail_starts, h->postgres->fail_start_until = sim_now + f->deed.ms * MS)
ON_HOST(let_start, h->postgres->fail_start_until = 0)
ON_HOST(drop_all_slots, drop_slots(h->postgres))
ON_HOST(signal_gone, remove_signal(h->postgres))
ON_HOST(new_machine, replace_host(h))
ON_HOST(data_gone, lose_data(f, h->postgres))
ON_HOST(data_back, find_data(f, h->postgres))
ON_HOST(cut_link, cut(&f->deed, true))
ON_HOST(mend_link, cut(&f->deed, false))
ON_HOST(begin_flapping, flap(f, 0))
ON_HOST(end_flapping, if (f->flaps % 2) cut(&f->deed, false))
ON_HOST(slow_wire, slow_link(&f->deed, true))
ON_HOST(quick_wire, slow_link(&f->deed, false))
ON_HOST(isolate_site, isolate(f->deed.target, true))
ON_HOST(join_site, isolate(f->deed.target, false))
ON_HOST(power_off, crash_site(f->deed.target))
ON_HOST(power_on, boot_site(f->deed.target))
ON_HOST(harm_store, begin_store(&f->deed))
ON_HOST(mend_store, end_store(&f->deed))
ON_HOST(kill_coordinator, kill_process(coordinator_of(&f->deed)))
ON_HOST(kill_coordinator_at, strike(coordinator_of(&f->deed), &f->deed, STRIKE_KILL))
ON_HOST(pause_coordinator, pause_process(coordinator_of(&f->deed), true))
ON_HOST(resume_coordinator, pause_process(coordinator_of(&f->deed), false))
ON_HOST(journal_back, deed_put_journal_back(f->deed.number))
ON_HOST(replay, network_replay(f->deed.target, f->deed.number))
ON_HOST(write_burst, burst(f->deed.number))
ON_HOST(ask_move, operator_switchover(f->deed.target, f->deed.ms))
ON_HOST(ask_two_moves, operator_switchover(f->deed.target, f->deed.ms); operator_switchover(f->deed.other, f->deed.ms))
ON_HOST(ask_abort, operator_abort())
ON_HOST(ask_change, operator_change(&f->deed))

struct act {
    void (*begin)(struct force *f, struct host *h);
    void (*end)(struct force *f, struct host *h); /* NULL: it has no end */
};
static const struct act acts[DEED_KINDS] = {
    [DEED_KILL_AGENT] = {kill_agent, NULL},
    [DEED_KILL_AGENT_AT] = {kill_agent_at, NULL},
    [DEED_PAUSE_AGENT] = {pause_agent, resume_agent},
    [DEED_PAUSE_AGENT_AT] = {pause_agent_at, NULL},
    [DEED_KILL_DEADMAN] = {kill_deadman, NULL},
    [DEED_PAUSE_DEADMAN] = {stop_deadman, thaw_deadman},
    [DEED_KILL_POSTMASTER] = {kill_postmaster, kill_orphans},
    [DEED_CRASH_POSTGRES] = {crash_postgres, NULL},
    [DEED_PAUSE_POSTGRES] = {stop_postgres, thaw_postgres},
    [DEED_PAUSE_HOST] = {stop_hosts, thaw_hosts},
    [DEED_CRASH_HOST] = {crash_hosts, boot_hosts},
    [DEED_CRASH_HOST_AT] = {crash_host_at, NULL},
    [DEED_CRASH_SITE] = {power_off, power_on},
    [DEED_DISK_FULL] = {fill_disk, empty_disk},
    [DEED_DISK_SLOW] = {slow_disk, quick_disk},
    [DEED_WALL_JUMP] = {jump_clock, NULL},
    [DEED_STORE_DOWN] = {harm_store, mend_store},
    [DEED_STORE_FLAKY] = {harm_store, mend_store},
    [DEED_STORE_SLOW] = {harm_store, mend_store},
    [DEED_STORE_STALE] = {harm_store, mend_store},
    [DEED_STORE_DEAF] = {harm_store, mend_store},
    [DEED_STORE_BACK] = {harm_store, mend_store},
    [DEED_CUT] = {cut_link, mend_link},
    [DEED_CUT_ONE_WAY] = {cut_link, mend_link},
    [DEED_CUT_CONTROL] = {cut_link, mend_link},
    [DEED_CUT_REPLICATION] = {cut_link, mend_link},
    [DEED_ISOLATE_SITE] = {isolate_site, join_site},
    [DEED_FLAP] = {begin_flapping, end_flapping},
    [DEED_SLOW_LINK] = {slow_wire, quick_wire},
    [DEED_LATE_LETTERS] = {late_letters, good_letters},
    [DEED_KILL_COORDINATOR] = {kill_coordinator, NULL},
    [DEED_KILL_COORDINATOR_AT] = {kill_coordinator_at, NULL},
    [DEED_PAUSE_COORDINATOR] = {pause_coordinator, resume_coordinator},
    [DEED_COORDINATOR_BACK] = {journal_back, NULL},
    [DEED_REPLAY] = {replay, NULL},
    [DEED_START_BY_HAND] = {by_hand_start, NULL},
    [DEED_PROMOTE_BY_HAND] = {by_hand_promote, NULL},
    [DEED_STOP_BY_HAND] = {by_hand_stop, NULL},
    [DEED_HUNG_WALSENDER] = {hang_walsender, free_walsender},
    [DEED_SLOW_RECOVERY] = {slow_recovery, quick_recovery},
    [DEED_PAUSE_REPLAY] = {pause_replays, resume_replays},
    [DEED_FAIL_START] = {fail_starts, let_start},
    [DEED_DROP_SLOTS] = {drop_all_slots, NULL},
    [DEED_WAL_BURST] = {write_burst, NULL},
    [DEED_LOSE_DATA] = {data_gone, data_back},
    [DEED_REMOVE_SIGNAL] = {signal_gone, NULL},
    [DEED_REPLACE_HOST] = {new_machine, boot_hosts},
    [DEED_SWITCHOVER] = {ask_move, NULL},
    [DEED_SWITCHOVER_TWICE] = {ask_two_moves, NULL},
    [DEED_ABORT] = {ask_abort, NULL},
    [DEED_APPLY_LEASE] = {ask_change, NULL},
    [DEED_APPLY_SETTING] = {ask_change, NULL},
    [DEED_APPLY_TWICE] = {ask_change, NULL},
    [DEED_APPLY_OLD] = {ask_change, NULL},
    [DEED_APPLY_MEMBER] = {ask_change, NULL},
    [DEED_APPLY_SITE] = {ask_change, NULL},
};

static void end_force(struct force *f) {
    if (f->over)
        return;
    f->over = true;
    sim_say("world", "%s %s is over", deed_names[f->deed.kind], target_name(&f->deed));
    acts[f->deed.kind].end(f, host_of(&f->deed));
}
static void on_end(void *force, int64_t number) {
    (void)number;
    end_force(force);
}

void deed_do(const struct deed *d) {
    struct force *f = &forces[force_count++];
    *f = (struct force){.deed = *d};
    sim_say("world", "%s %s%s", deed_names[d->kind], target_name(d), d->ms ? "" : " ");
    if (d->ms)
        sim_say("world", "  for %lld.%03lld s, number %lld", (long long)(d->ms / 1000), (long long)(d->ms % 1000), (long long)d->number);
    count(deed_names[d->kind]);
    acts[d->kind].begin(f, host_of(d));
    f->over = !acts[d->kind].end;
    if (!f->over)
        sim_at(sim_now + d->ms * MS, on_end, f, 0);
}

/* Everything that was done to the world is over; what is down comes up, wall clocks are set again. */
void deeds_heal(void) {
    for (int i = 0; i < force_count; i++)
        end_force(&forces[i]);
    network_heal();
    for (int i = 0; i < host_count; i++) {
        boot_one(&hosts[i]);
        hosts[i].wall_offset_ms %= WALL_ERROR_MS;
        if (hosts[i].postgres)
            pause_replay(hosts[i].postgres, false);
        if (hosts[i].agent)
            process_strike_at(hosts[i].agent, 0, STRIKE_NONE, 0); /* of a deed that has not found its moment */
        pause_process(hosts[i].agent, false);
    }
}
