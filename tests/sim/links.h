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
 */
#ifndef SIM_LINKS_H
#define SIM_LINKS_H

#include "world.h"

struct segment {
	uint32_t len;
	uint64_t departs, arrives;
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
	enum end_state state[SIDES];
	int number[SIDES];	/* in the side's group */
	struct direction from[SIDES];
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

/* ---- trouble.c ---- */

/* It dies. */
void link_break(struct world *, struct link *);

#endif
