/* SPDX-License-Identifier: ISC */
/*
 * The inside of the relay's side, for downlink.c (for the relay; what time and
 * reloads do), downlink_groups.c (groups, and how fast they send) and
 * downlink_members.c (connections, from accept() on) only.
 */
#ifndef DOWNLINK_PRIVATE_H
#define DOWNLINK_PRIVATE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "call.h"
#include "core/list.h"
#include "core/metrics.h"
#include "downlink.h"
#include "notice.h"
#include "strangers.h"
#include "trunk.h"

struct group_entry {
	struct list list;
	struct downlink *downlink;
	struct peer *peer;
	struct trunk *trunk;
	struct repeats counted;	/* for its peer, of its own */
	unsigned long number;	/* for the log: the name is a secret */
	uint8_t name[WIRE_GROUP_NAME];
};

/* A subflow, from accept() on. */
struct member {
	struct trunk_subflow line;	/* first: callbacks find us by it */
	struct list list;
	struct downlink *downlink;
	bool named;			/* a key, which may be unknown */
	uint8_t key_id[WIRE_KEY_ID];
	struct peer *peer;		/* NULL: of nobody that we know */
	struct group_entry *group;	/* NULL: a stranger */
	struct stranger stranger;
	struct addr source;
	uint8_t name[WIRE_GROUP_NAME];	/* that its hello gave, */
	uint32_t window;		/* and what it offered; */
	bool told_known;		/* what we answered */
	uint32_t told_features;
	uint32_t told_window;
};

struct downlink {
	struct downlink_options options;
	struct call_host calls;
	struct peers *peers;
	struct strangers *strangers;
	struct list members, groups;
	unsigned long last_group;
	struct notice *notice;		/* of addresses and routes */
	uint32_t features;		/* that answers say we have */
	ev_timer housekeeping;
	bool draining, idle_told;
};

/* ---- groups ---- */

/* Under the name that its hello gave, of the same peer; NULL: there is none. */
struct group_entry *downlink_find_group(const struct member *);
/* Makes it.  NULL: the relay is about to end, the peer may have no more, or
 * there is no memory. */
struct group_entry *downlink_add_group(struct downlink *,
    const struct member *);
/* Its sessions are reset, its subflows closed. */
void downlink_remove_group(struct group_entry *);

/* Most sessions that one of the peer's groups takes before it refuses by
 * itself. */
uint32_t downlink_most_sessions(const struct downlink *, const struct peer *);
/* What it sent again since the last time is its peer's. */
void downlink_count_repeats(struct group_entry *);

/* Rates of a subflow, or of a group and all that it has, after they may have
 * changed: pacing, room, windows, redundancy. */
void downlink_tune(struct member *);
void downlink_tune_group(struct group_entry *);

/* Tells the relay, once, when it drains and the last group is gone. */
void downlink_check_idle(struct downlink *);

/* ---- connections ---- */

/* Of one that was let in; `why` is a literal. */
void member_log_lost(const struct member *, int error, const char *why);
/* It is closed already, and detached. */
void member_free(struct member *);

/* Those whose key is not their peer's any more, attached or not. */
void downlink_close_unwelcome(struct downlink *);

#endif
