/* SPDX-License-Identifier: ISC */
/*
 * The clients and servers, with the part of the roles that stands between them
 * and core.  Each end keeps account of what it gave and took, and each is
 * checked against the account of the other:
 *
 *  - what comes out is, byte for byte, what the other end put in;
 *  - a clean end comes when the other end ended cleanly and all of it is here;
 *  - a reset comes after all that was put in before, never as a clean end;
 *  - an abort comes only if the other end gave up, with its code.
 *
 * With resources made short on purpose a session may also be aborted for want
 * of them.
 */
#ifndef SIM_ENDS_H
#define SIM_ENDS_H

#include "world.h"

#define END_NEVER UINT64_MAX
#define END_PIECES 256

struct end {
	struct flow *flow;
	int side;
	const struct end_plan *plan;
	struct session *session;	/* NULL: not yet, or released */
	bool seen, released;

	/* What it put in, and how that ended. */
	uint64_t key, fed;
	bool ended;
	uint8_t end_code;
	bool gave_up;			/* abort, or released too early */
	uint8_t give_up_code;

	/* What it took, and how that ended. */
	uint64_t taken;
	enum session_state state;

	/* When what it put in was offered, and since when it waits for the
	 * other end to take something. */
	struct {
		uint64_t upto, at;
	} pieces[END_PIECES];
	size_t first_piece, npieces;
	uint64_t offered_at, waits_since;

	uint64_t wake_at;		/* earliest wake in the heap */
	uint64_t write_at, read_at;	/* not before */
	uint64_t connected_at;		/* (relay) */
	bool opened;			/* (relay) said so */
	bool paused;			/* has been */
	uint64_t fate_at, release_at;	/* 0: not known yet */
};

struct flow {
	uint32_t index;
	const struct flow_plan *plan;
	struct wire_open open;
	struct end ends[SIDES];
};

static inline struct end *
end_other(const struct end *e)
{
	return &e->flow->ends[!e->side];
}

/* "flow 3 client"; the last one given stays. */
const char *end_name(const struct end *);
/* Do whatever it can do now. */
void end_step(struct world *, struct end *);
/* Take notice of its session's state, and let go of it. */
void end_look(struct world *, struct end *);
void end_release(struct world *, struct end *);

#endif
