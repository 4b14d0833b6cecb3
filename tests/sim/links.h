/* SPDX-License-Identifier: ISC */
/*
 * The subflows, as a TCP connection looks from its two ends: bytes go in while
 * few wait unsent (late binding), leave at the link's rate, arrive in order
 * after its delay, in pieces that have nothing to do with how they were
 * written.
 *
 * A link dies in one instant.  Of what is under way, in each direction by
 * itself, nothing more arrives, or a part at once, or all of it in its time, be
 * that long after it was sent again elsewhere.  Each end notices at some other
 * time and until then goes on writing into nothing.  Another one of the same
 * path and slot comes up later, perhaps before the death is noticed, perhaps
 * even without one (a change of address), so that the group has to tell which
 * one it replaces.  A stalled link stands still in both directions and then
 * goes on; nobody is told.
 *
 * What TCP knows the ends look at now and then: how much of what was written
 * has arrived, a way later, and the round trip.
 */
#ifndef SIM_LINKS_H
#define SIM_LINKS_H

#include "world.h"

struct segment {
	uint32_t len;
	uint64_t departs, arrives;
};

struct tcp_ack {
	uint64_t at, upto;
};

/* From one side to the other; its functions are in links.c. */
struct direction {
	uint8_t *bytes;		/* on the way, and what waits before it */
	size_t room, start, used;
	struct segment *segments;	/* of those bytes */
	size_t segments_room, first, nsegments;
	size_t departed;	/* of the segments */
	size_t unsent;		/* bytes of those that did not depart */
	uint64_t busy_until, last_arrival;
	bool arrival_set, departure_set, more_set;
	bool cut;		/* nothing arrives any more */

	/* As its TCP sees it. */
	uint64_t written, delivered, acked;
	uint64_t seen;			/* of acked, at the last look */
	bool looked;
	uint64_t takes;			/* at once and in a moment, as it said
					 * then, less what it was given since */
	struct tcp_ack *acks;		/* on the way back */
	size_t acks_room, first_ack, nacks;
	bool ack_set;
	uint64_t quiet_since;		/* without an acknowledgement, as its
					 * end has seen; 0: nothing waits */

	uint8_t *carry;		/* arrived, not taken: a frame's beginning */
	size_t carry_len;
};

enum end_state {
	END_NONE,		/* not yet attached there */
	END_ATTACHED,
	END_CLOSED,
};

struct link {
	size_t index, plan;
	bool dead;		/* nothing that is written goes anywhere */
	uint64_t stalled_until;
	uint64_t rate;		/* bytes a second, now */
	uint32_t loss_ppm;
	enum end_state state[SIDES];
	int number[SIDES];	/* in the side's group */
	struct direction from[SIDES];
	bool path_owed, lost_owed[SIM_PATHS];	/* proxy: to be said here */
	uint64_t lost_at;	/* relay: its path was said to be lost, and it
				 * has not answered since; 0: no */
};

static inline const struct link_plan *
link_plan(const struct world *w, const struct link *l)
{
	return &w->plan.links[l->plan];
}

/* ---- links.c: what is on its way ---- */

void link_send(struct world *, struct link *, int side, const uint8_t *,
    size_t len);
/* What left the sender by now makes room there. */
void link_depart(struct world *, struct link *, int from);
/* Hand bytes to the group of the other side, in pieces of any size. */
void link_hand_over(struct world *, struct link *, int from, const uint8_t *,
    size_t len);
/* An end comes up, perhaps instead of another; an end knows that it is gone. */
void link_attach(struct world *, struct link *, int side);
void link_close(struct world *, struct link *, int side);
void link_free(struct link *);

/* ---- tcp.c: what TCP knows ---- */

/* Bytes arrived at the other side. */
void link_delivered(struct world *, struct link *, int from, size_t len);
void link_forget_acks(struct direction *);
/* What its TCP says, to a group. */
void link_look(struct world *, struct link *, int side);
/* Has it stood still for longer than a side should bear? */
bool link_is_quiet(const struct world *, const struct link *, int side);

/* ---- trouble.c ---- */

/* It stands still for so long. */
void link_stall(struct world *, struct link *, uint64_t time_us);
/* From now on this is its rate, also of what waits, and so much is lost. */
void link_slow(struct world *, struct link *, uint64_t rate,
    uint32_t loss_ppm);
/* It dies. */
void link_break(struct world *, struct link *);

#endif
