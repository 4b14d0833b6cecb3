/* SPDX-License-Identifier: ISC */
/*
 * What is sent a second time, on another subflow, while the first lives
 * (protocol.md 2.5):
 *
 *  - a head that is late: the oldest unacknowledged item of a session, when its
 *    acknowledgement should have been here for some time, and what else waits
 *    behind it on the same subflow;
 *  - a tail: the session may send nothing new (it has nothing, or no window),
 *    and another subflow would deliver earlier what is still under way.  (With
 *    a shut window this is the opportunistic retransmission of Raiciu et al.,
 *    "How Hard Can It Be?", NSDI 2012.)
 *
 * Bytes sent twice so are a share of those sent once, and a burst.  The oldest
 * of a session that has waited for a second and two round trips goes beyond
 * that, once to each other path, or where nothing else is to be sent.
 *
 * What suspect subflows carry, which may go on any time, goes again as well
 * (sendq.h), with an allowance of its own: as large a share, and at once what
 * the paths carry in half a second or a round trip.  The oldest of a session
 * always does, and all that a dead one carried.
 *
 * For the group, its sessions and their frames only.
 */
#ifndef CORE_REINJECT_H
#define CORE_REINJECT_H

#include "group.h"
#include "session_private.h"

#define REINJECT_SHARE 8		/* one byte of so many, */
#define REINJECT_BURST (1024 * 1024)	/* and at once what the paths carry in
					 * half a second or a round trip, up to
					 * this */
#define REINJECT_BURST_MIN (2 * WIRE_DATA_MAX)

/* An item was written to a subflow, whose queue is as it was before. */
void reinject_sent(struct session_env *, struct datagram *, int subflow,
    bool again, uint64_t now);

/* What the subflows in use can hold may have changed. */
void reinject_compare(struct session_env *);

/* Which sessions are late?  To be called at reinject_deadline(), GROUP_NEVER if
 * there is no need. */
void reinject_scan(struct session_env *, uint64_t now);
uint64_t reinject_deadline(const struct session_env *);

/* What to send again on this subflow, which is in use, and whose session it is.
 * `idle`: there is nothing else that it could send now.  NULL: nothing. */
struct datagram *reinject_next(const struct session_env *, int subflow,
    bool idle, uint64_t now, struct session **session);
/* It was, because those that carry it are suspect. */
void reinject_doubted(struct session_env *, const struct datagram *);
/* It is about to be. */
void reinject_charge(struct session_env *, const struct datagram *,
    uint64_t now);

#endif
