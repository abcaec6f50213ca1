/* S: replication slots on this member (design, section 5). Standbys first, the leader last, so that no slot reserves WAL
 * that a later copy would not need; never created or moved inside a hand-over or an opening. */
#include "site-agent/decide/decide.h"
#include "site-agent/decide/site.h"

static bool no_server(const struct view *v) { return !v->order || !v->postmaster || !v->answers; }
static bool moving(const struct view *v) { return site_is_handing_over(v) || site_is_opening(v) || site_is_born(v); }
static bool not_my_turn(const struct view *v) { return v->slots_missing && !v->slots_turn; }
static bool missing(const struct view *v) { return v->slots_missing; }
static bool extra(const struct view *v) { return v->slots_extra; }
static bool behind(const struct view *v) { return v->slots_behind; }
static bool always(const struct view *v) { (void)v; return true; }

const struct rule slots_rules[] = {
    RULE("S01", "no-server", "no server to hold slots on", no_server, WAKE_IDLE, NO_STEP),
    RULE("S02", "moving", "slots rest while the primacy moves", moving, WAKE_IDLE, NO_STEP),
    RULE("S03", "not-my-turn", "slots are made on the standbys first", not_my_turn, WAKE_SOON, NO_STEP),
    RULE("S04", "missing", "makes the slots that are missing, WAL reserved at once", missing, WAKE_SOON, STEP_CREATE_SLOTS, -1),
    RULE("S05", "extra", "drops slots of ours that nobody needs any more", extra, WAKE_IDLE, STEP_DROP_SLOTS, -1),
    RULE("S06", "behind", "moves unconsumed slots up to what their consumers may still need", behind, WAKE_IDLE, STEP_ADVANCE_SLOTS, -1),
    RULE("S07", "complete", "every slot stands where it shall", always, WAKE_IDLE, NO_STEP),
    {.id = NULL},
};
