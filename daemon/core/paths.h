/* SPDX-License-Identifier: ISC */
/*
 * The paths of a group, as its operator sees them, and which of the subflows
 * that could carry a burst does.
 *
 * A burst is never striped, so the question is only where its last byte arrives
 * first: that is the delay, and the time that the burst takes at the rate of
 * the path, as far as that is known.  Several paths may be about as good: each
 * then gets its share by weight.  How long a subflow takes is measured
 * (health.h), and the past says little about the next burst, so a path within a
 * quarter of the best one is as good.
 */
#ifndef CORE_PATHS_H
#define CORE_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define PATHS 256		/* numbers of paths, u8 on the wire */

struct paths_counts {
	uint64_t sent_bytes, received_bytes;	/* of frames */
	uint64_t resent_bytes;			/* of these, DATA again */
};

static inline void
paths_counts_add(struct paths_counts *to, const struct paths_counts *c)
{
	to->sent_bytes += c->sent_bytes;
	to->received_bytes += c->received_bytes;
	to->resent_bytes += c->resent_bytes;
}

struct paths {			/* private, embedded in its group */
	struct wire_path of[PATHS];
	int32_t credit[PATHS];
	bool said[PATHS];	/* something else than at first, once */
	bool news[PATHS];	/* and since paths_news() gave it */
	unsigned int nnews;
	uint64_t rate_bytes_s[PATHS];	/* our way, as configured; 0: not known
				 * */
	struct paths_counts counts[PATHS];
};

void paths_init(struct paths *);

/* false: it was like that before. */
bool paths_set(struct paths *, uint8_t path, const struct wire_path *);

/* A path of which something new was said; -1: there is none. */
int paths_news(struct paths *);

struct paths_subflow {
	int subflow;
	uint8_t path;
	uint64_t delay_us;	/* until a byte given to it now arrives; 0: not
				 * known */
	uint64_t rate_bytes_s;	/* of its path, as measured; 0: not known */
	uint64_t carried_bytes;	/* not yet acknowledged,
				 * and what waits for it */
};

/* The subflow for so many bytes, of one of these, `n` of them, in any order; -1
 * if there is none.  It counts as the turn of its path.  On another path than
 * `not_on` (-1: on any) if one is as good. */
int paths_choose(struct paths *, const struct paths_subflow *, size_t n,
    int not_on, uint64_t burst_bytes);

#endif
