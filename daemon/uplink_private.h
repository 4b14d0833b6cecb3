/* SPDX-License-Identifier: ISC */
/*
 * The inside of an uplink: what uplink.c and uplink_paths.c share.
 */
#ifndef UPLINK_PRIVATE_H
#define UPLINK_PRIVATE_H

#include "core/room.h"
#include "core/traffic.h"
#include "slots.h"
#include "trunk.h"
#include "uplink.h"

struct path_history {
	struct paths_counts before;	/* of the groups before this one */
	struct traffic_rate rate;
};

struct uplink {
	struct uplink_options options;
	struct path_history *paths;
	uint64_t sampled_us;		/* their rates */
	struct repeats repeats;		/* of the groups before this one */
	struct trunk *trunk;
	struct slots *slots;
	bool draining, closing;		/* closing: the relay is */
	uint32_t relay_sessions;	/* most that it takes; 0: not known */
	struct room room;
	uint32_t features;		/* WIRE_FEATURE_*, its latest */
	bool features_known;
	unsigned int count;		/* subflows that it has */
	bool up;			/* is that one at least? */
	uint64_t since_us;		/* it is so since then */
};

static inline const struct config_relay *
uplink_relay(const struct uplink *u)
{
	return &u->options.config->relays[u->options.relay];
}

/* Our way, of all its paths together; 0: not known. */
uint64_t uplink_rate(const struct uplink *);

/* What sessions are offered, on all paths together. */
struct uplink_windows {
	uint32_t start, most;
};
struct uplink_windows uplink_windows(const struct uplink *);

/* Tell a trunk what is configured. */
void uplink_be_redundant(const struct uplink *, struct trunk *);
void uplink_set_paths(const struct uplink *, struct trunk *);

/* What a path has carried since the uplink began. */
struct paths_counts uplink_counts(const struct uplink *, size_t path);
/* Once a second at most; to be called as often. */
void uplink_sample(struct uplink *, uint64_t now);

#endif
