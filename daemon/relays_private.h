/* SPDX-License-Identifier: ISC */
/*
 * The relays of a proxy: what relays.c and relays_*.c share.
 */
#ifndef RELAYS_PRIVATE_H
#define RELAYS_PRIVATE_H

#include "core/choice.h"
#include "core/list.h"
#include "core/metrics.h"
#include "core/paths.h"
#include "lookup.h"
#include "relays.h"

struct relay_entry {
	struct list list;		/* of those that are gone */
	struct relays *relays;
	struct config *config;		/* it is relays[number] in there */
	size_t number;
	struct keyring *keys;		/* (held, as config is,
					 * when it is gone) */
	const struct key *key;		/* one of these; NULL: it needs none */
	bool gone;			/* it is not configured any more */
	struct lookup *lookup;
	struct uplink *uplink;		/* NULL: before start and after idle */
	uint64_t begun_us;		/* when it may dial first */
	struct uplink **retired;	/* that have sessions still */
	size_t nretired;
	/* What those have carried that are gone. */
	struct paths_counts *before;	/* for each path */
	struct repeats repeats;
	enum uplink_answer answer;
	bool up;			/* it answers */
	uint64_t since_us;
};

struct relays {
	struct relays_options options;
	struct choice choice;
	ev_timer tick;
	bool draining;
	size_t count;
	struct relay_entry *entries[CONFIG_RELAYS_MAX];
	struct list gone;		/* that have sessions still */
};

const char *relays_name(const struct relay_entry *);

/* Of config->relays[number]; it starts to dial.  NULL if out of memory;
 * relays_free_entry() accepts NULL, and resets what is left. */
struct relay_entry *relays_new_entry(struct relays *, struct config *,
    struct keyring *, size_t number);
void relays_free_entry(struct relay_entry *);

/* Is there one, or one where sessions finish? */
bool relays_has_uplinks(const struct relay_entry *);
/* Its configuration, key or address is another. */
void relays_configure_uplinks(struct relay_entry *);

/* How one is chosen, as options.config says. */
void relays_configure_choice(struct relays *);

/* Does it answer, now? */
void relays_look_at(struct relay_entry *, uint64_t now_us);

/* One of its uplinks is about to be freed: remember what it has carried. */
void relays_remember(struct relay_entry *, const struct uplink *);

#endif
