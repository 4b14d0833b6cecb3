/* SPDX-License-Identifier: ISC */
/*
 * The inside of a trunk, for trunk.c and trunk_look.c only.
 */
#ifndef TRUNK_PRIVATE_H
#define TRUNK_PRIVATE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/reap.h"
#include "trunk.h"

struct trunk {
	struct reap_entry reap;		/* first: it is freed as such */
	struct ev_loop *loop;
	struct group *group;
	struct budget *budget;
	struct leg_host host;
	const struct trunk_callbacks *callbacks;
	void *user;

	struct trunk_subflow *subflows[GROUP_SUBFLOWS];	/* not ours */
	unsigned int up;
	unsigned int alive;		/* of these, where the peer was heard */
	uint64_t resume_us, expires;	/* without one of those; 0: it did */
	uint64_t heard_us;		/* on any of them, at last */
	uint64_t armed_us;		/* when the timer should be over */

	ev_prepare prepare;
	ev_timer timer;
	bool proxy, changed, draining, idle_told, drain_told, dead;
	uint64_t idle_since;		/* while draining; 0: it is not */
	uint64_t look_at;	/* the subflows' TCP, next */
	int asked;		/* the first that was, by trunk_ask() */
	uint64_t asked_us;
};

/* Share the rate of each path among those that have something to send. */
void trunk_pace(struct trunk *);

/* Tell the group what TCP says of a subflow; of all, if it is time; is there
 * anything to see? */
void trunk_look_at_one(struct trunk *, const struct trunk_subflow *,
    uint64_t now);
void trunk_look_at_tcp(struct trunk *);
bool trunk_has_to_look(const struct trunk *);

/* Ask who was not heard for long, and close who stays silent for too long.
 * When there is something of that to do. */
void trunk_look_after(struct trunk *, uint64_t now);
uint64_t trunk_silence_deadline(const struct trunk *);

/* When the sessions have waited for long enough; GROUP_NEVER: they need not. */
uint64_t trunk_expiry(const struct trunk *);

/* Close it, and tell the role. */
void trunk_close_subflow(struct trunk_subflow *, const char *why);

#endif
