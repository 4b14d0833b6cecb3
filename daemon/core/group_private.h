/* SPDX-License-Identifier: ISC */
/*
 * The inside of a group, for group.c, group_subflows.c, adopt.c, receive.c and
 * transmit.c only.
 */
#ifndef CORE_GROUP_PRIVATE_H
#define CORE_GROUP_PRIVATE_H

#include "group.h"
#include "numbers.h"
#include "reinject.h"

#define STRAYS 1024		/* RESET 7 that wait to be sent: as many as a
				 * burst of clients asks for that reset */
#define STRAYS_ALIKE 16		/* there is no copy among the last ones */

struct path_set {
	uint64_t words[PATHS / 64];
};

struct subflow_state {
	bool attached;
	uint8_t path, slot;
	uint64_t heard_us, answered_us, datagram_us;
	bool ping_due, pong_due, drain_due, features_due, path_due;
	uint64_t pong_opaque;
	struct path_set lost_paths;	/* of which the relay has to be told
					 * here */
	uint64_t lost_us;		/* when the proxy said so of this one;
					 * 0: it did not, or it lives */
};

struct stray {
	uint32_t number;
	int subflow;
};

struct group {
	struct session_env env;
	uint32_t max_sessions;
	struct subflow_state subflows[GROUP_SUBFLOWS];
	bool peer_window_known, draining, peer_draining, paths_changed;
	uint32_t features, peer_features;
	bool peer_features_new;

	struct numbers numbers;
	uint32_t next_number;		/* proxy */
	bool number_wanted;		/* a session waits for
					 * OPENs before it */

	struct stray strays[STRAYS];
	size_t nstrays;
	uint64_t next_scan;
};

static inline uint64_t
subflow_bit(int subflow)
{
	return UINT64_C(1) << subflow;
}

static inline void
path_set_add(struct path_set *set, uint8_t path)
{
	set->words[path / 64] |= UINT64_C(1) << path % 64;
}

static inline void
path_set_clear(struct path_set *set, uint8_t path)
{
	set->words[path / 64] &= ~(UINT64_C(1) << path % 64);
}

/* -1: it is empty. */
static inline int
path_set_first(const struct path_set *set)
{
	for (int i = 0; i < PATHS / 64; i++)
		if (set->words[i] != 0)
			return i * 64 + __builtin_ctzll(set->words[i]);
	return -1;
}

/* The session whose second copy is next on a subflow; NULL: none is due, or
 * what is new goes first. */
struct session *group_doubled_next(const struct group *, int subflow,
    uint64_t now);

/* How subflows in use compare may have changed. */
void group_compare(struct group *, uint64_t now);

/* Which subflows are in use, after something changed that this depends on. */
void group_choose_subflows(struct group *, uint64_t now);

/* Free the sessions that nobody needs any more; no caller holds one of them. */
void group_bury(struct group *);

#endif
