/* SPDX-License-Identifier: ISC */
/*
 * What is known of one subflow's way to the peer, from what its TCP says: does
 * it move at all, and how long would a byte take that is given to it now?
 *
 * Times are microseconds of one monotonic clock, given by the caller; 0 is not
 * a time.
 */
#ifndef CORE_HEALTH_H
#define CORE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

/* A look at its TCP. */
struct group_facts {
	uint32_t rtt_us, rtt_var_us;	/* smoothed; 0: not measured */
	uint32_t rtt_min_us;		/* without a queue; 0: not known */
	uint64_t acked_bytes;		/* of its stream, since it began */
	uint32_t waiting_bytes;		/* given to it, and not acknowledged by
					 * the peer's TCP */
	uint32_t unsent_bytes;		/* of these, not sent yet */
	uint64_t free_bytes;		/* that it would still have sent at
					 * once: its congestion window beyond
					 * what is under way, */
	uint64_t paced_bytes_s;		/* if no faster than this; 0: not
					 * known */
	uint64_t rate_bytes_s;		/* at which it delivers; 0: not known */
	uint64_t sent_bytes;		/* in all, since it began, with */
	uint64_t again_bytes;		/* those of these that went again;
					 * 0: not known */
};

struct health {
	struct group_facts facts;
	uint32_t lost_permille;		/* on its path, of late */
	uint64_t trip_us;		/* as PING saw it last; 0: never */
	uint64_t looked_us;		/* 0: never */
	uint64_t moved_us;		/* when it last moved,
					 * or began to wait */
	uint64_t alive_us;		/* when it was last seen to move, or
					 * came up */
	uint64_t given_bytes;		/* to it, since it began */
	uint64_t looked_bytes;		/* of these, before that look */
	uint64_t late_us;		/* what it delivers comes so much later
					 * than it looked, of late */
	uint64_t late_at;
	uint64_t lost_bytes;		/* sent again, since it began,
					 * without */
	uint64_t stuck_bytes;		/* what was under way when it was
					 * suspect, and not sent again yet */
	bool suspect;
};

/* A subflow that came up. */
void health_begin(struct health *, uint64_t now);

/* Without progress for so long, while something waits, it is suspect: the
 * larger of 1 s and three round trips (protocol.md 2.5).  TCP sends what is
 * lost again within one or two of these; then its timer doubles. */
uint64_t health_patience_us(const struct health *);

/* Look.  It becomes suspect in here, and is so until it moves.  What was under
 * way meanwhile TCP takes to be lost and sends again: that says nothing of the
 * path as it is then, and is no part of lost_bytes. */
void health_look(struct health *, const struct group_facts *, uint64_t now);

/* It was given so many bytes. */
void health_give(struct health *, uint64_t bytes);

/* Does a look tell anything new?  Nothing waits, as far as is known, and it was
 * given nothing. */
bool health_idle(const struct health *);

/* How much more it may be given now.  What its TCP keeps unsent is out of reach
 * of what is more urgent and of faster subflows, on a new one for several round
 * trips: so that is what leaves within a moment.  UINT64_MAX before the first
 * look. */
uint64_t health_room(const struct health *);

/* Given to it, and not known to have arrived. */
uint64_t health_waiting_bytes(const struct health *);

/* What was given to it up to here, of given_bytes, has arrived.  (What TCP
 * counts is a little more than what we do, so this is true, perhaps late.) */
bool health_has_arrived(const struct health *, uint64_t position);

/* Until that arrives, which was given at `since`, as it looks now; 0: it may
 * have, or nothing is known. */
uint64_t health_arrival_us(const struct health *, uint64_t position,
    uint64_t since, uint64_t now);

/* Something that it carried is late by so much. */
void health_late(struct health *, uint64_t late_us, uint64_t now);

/* How long until a byte that is given to it now arrives, as it looks: what
 * waits before it at its rate, the way, what a loss on it costs on average, and
 * for how long it has stood still or made others wait.  0: not known. */
uint64_t health_delay_us(const struct health *, uint64_t now);

#endif
