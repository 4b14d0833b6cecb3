/* SPDX-License-Identifier: ISC */
/*
 * How much this process may have: descriptors, sessions, memory.
 */
#ifndef QUOTA_H
#define QUOTA_H

#include <stdint.h>

#include "core/budget.h"
#include "core/config.h"
#include "core/traffic.h"

#define QUOTA_SESSIONS 65536	/* numbers that a relay remembers */

struct quota {
	struct budget budget;		/* of all sessions */
	struct traffic traffic;		/* likewise */
	uint32_t max_sessions;
	uint32_t descriptors;		/* left for sessions; private */
	uint32_t reserve;		/* and for all else; private */
};

/* Raises RLIMIT_NOFILE to its hard limit as far as that goes.  What had to be
 * less than configured is warned about. */
void quota_start(struct quota *, const struct config *);
/* What a reload can change. */
void quota_configure(struct quota *, const struct config *);

/* How many of so many descriptors (UINT64_MAX: there is no limit) sessions may
 * use. */
uint32_t quota_descriptors(uint64_t limit);

/* Most sessions that take so many descriptors each; at least 1. */
uint32_t quota_sessions_of(const struct quota *, uint32_t descriptors);

/* Most connections that have not proved anything: they must not take what
 * sessions and those who did prove something need. */
uint32_t quota_strangers(const struct quota *);

/* What a hello promises to every session, whatever memory is left.  A proxy
 * promises one datagram: an ACK right behind OPEN offers more while there is
 * memory.  A relay's sessions begin with what it promises, so that is more, but
 * a thousand of them stay within a quarter of the limit of their budget. */
uint32_t quota_window_initial(const struct budget *, enum config_role);

/* Most that one session is offered, and what it is offered at once, on a link
 * of this rate and round trip (0: not known). */
uint32_t quota_window_max(const struct budget *, const struct config *,
    uint64_t rate_bps, uint32_t delay_ms);
uint32_t quota_window_start(uint32_t window_max, uint64_t rate_bps,
    uint32_t delay_ms);

/* How much may be bound to a subflow before others get their turn: 20 ms of its
 * link's rate, at least a segment; 0 when the rate is not known. */
uint32_t quota_bound_bytes(uint64_t rate_bps);
/* How much of small sessions may be sent twice in a second: an eighth of the
 * rate; 128 KiB where it is not known. */
uint32_t quota_redundancy_per_s(uint64_t rate_bps);
/* So much is the largest datagram. */
uint32_t quota_datagram_max(uint64_t rate_bps);

#endif
