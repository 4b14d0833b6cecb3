/* SPDX-License-Identifier: ISC */
/*
 * Pacing of subflows whose path has a known rate: which of them have something
 * to send now, what share of the rate each so gets (core/pacing.h), and when
 * its congestion control has to look again at what it may do.
 */
#ifndef PACER_H
#define PACER_H

#include <stdbool.h>
#include <stdint.h>

/* What the pacer remembers of a subflow; zero at first. */
struct pacer_subflow {
	uint64_t pacing;	/* bytes a second, as last set */
	uint64_t busy_us;	/* last had something to send */
	uint64_t restarted_us;
	bool busy;
	bool restart;		/* its congestion control, when it can be */
};

/* A subflow that is up. */
struct pacer_item {
	struct pacer_subflow *memory;
	int fd;
	uint8_t path;
	bool express;
	uint64_t rate_bps;	/* of its path; 0: leave it alone */
	uint64_t waiting_bytes;	/* not yet given to its socket */
};

/* All subflows of a group, before they are offered what there is to send. */
void pacer_look(struct pacer_item[], unsigned int n, uint64_t now_us);

#endif
