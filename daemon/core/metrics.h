/* SPDX-License-Identifier: ISC */
/*
 * Counters, from the start of their owner.  Units are in the names.
 */
#ifndef CORE_METRICS_H
#define CORE_METRICS_H

#include <stdint.h>

struct metrics {
	uint64_t sessions_opened;
	uint64_t sessions_ended;	/* both ends finished */
	uint64_t sessions_reset;	/* by either end */
	uint64_t sessions_refused;	/* by us, for want of resources */
	uint64_t sent_datagrams, sent_bytes;	/* of DATA, first copies */
	uint64_t resent_datagrams, resent_bytes; /* further copies */
	uint64_t doubled_bytes;		/* of these, twice at once */
	uint64_t reinjected_datagrams, reinjected_bytes; /* and of these,
					 * because the first copy was late or
					 * slow */
	uint64_t suspect_bytes;		/* and of these, because those that
					 * carried it were suspect */
	uint64_t received_datagrams, received_bytes;
	uint64_t duplicate_datagrams;
	uint64_t early_datagrams;	/* arrived before their turn */
	uint64_t protocol_errors;
	uint64_t asks_sent;
	uint64_t subflows_lost;
};

/* Of that, what went more than once, of any number of groups. */
struct repeats {
	uint64_t resent_bytes, doubled_bytes, reinjected_bytes;
};

static inline struct repeats
repeats_of(const struct metrics *m)
{
	return (struct repeats){ m->resent_bytes, m->doubled_bytes,
	    m->reinjected_bytes };
}

static inline void
repeats_add(struct repeats *to, struct repeats r)
{
	to->resent_bytes += r.resent_bytes;
	to->doubled_bytes += r.doubled_bytes;
	to->reinjected_bytes += r.reinjected_bytes;
}

#endif
