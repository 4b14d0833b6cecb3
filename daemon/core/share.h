/* SPDX-License-Identifier: ISC */
/*
 * What each path of a group brings, beside the others, and how much it loses.
 *
 * A session is in order: whatever a path carries, the others wait for.  One
 * that brings a twentieth of what they bring saves a twentieth of the time at
 * best, and each packet that it loses, or is slow with, may cost more.  So one
 * that brings less than a tenth while it has as much to send as it takes is
 * poor: it gets no bulk for a while, then is tried again.  (Raiciu et al., NSDI
 * 2012, halve the window of such a one; what TCP does with its window is not
 * ours to say.)
 *
 * Times are microseconds of one monotonic clock.  For the group only.
 */
#ifndef CORE_SHARE_H
#define CORE_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#define SHARE_LEAST 10			/* poor: less than one
					 * part of so many, */
#define SHARE_WINDOWS 3			/* in so many windows in a row, none of
					 * which brings half as much again as
					 * any before, */
#define SHARE_WINDOW_US UINT64_C(1000000)	/* each so long, or two round
					 * trips */
#define SHARE_WAIT_US UINT64_C(30000000)	/* first; then twice that, */
#define SHARE_WAIT_MAX_US UINT64_C(600000000)	/* at most */

/* A start that is too fast loses a quarter of a second or two; what is lost for
 * good is lost for longer. */
#define SHARE_LOSSY 50			/* of a thousand packets, */
#define SHARE_LOSSY_BLOCKS 3		/* in so many blocks in a row, */
#define SHARE_BLOCK_US UINT64_C(1000000)	/* each so long at least, */
#define SHARE_BLOCK_BYTES (UINT64_C(1) << 15)	/* and with so many */

struct share {			/* of one path; zero at first */
	uint64_t acked_bytes;	/* by TCP, since the group began */
	uint64_t sent_bytes, again_bytes;	/* by TCP, of late */
	uint64_t forgot_us;	/* half of these, last */
	uint64_t block_us, block_bytes, block_again;	/* since then */
	unsigned int lossy;	/* so many blocks in a row */

	/* The window that is being measured. */
	bool loaded;		/* at the last look */
	uint64_t looked_us, looked_bytes, looked_all;
	uint64_t loaded_us, bytes, all;
	uint64_t most;		/* bytes of one before */
	unsigned int small;	/* so many in a row were */

	uint64_t wait_us, poor_until;	/* 0: it is not */
	uint64_t rate_bytes_s;	/* that it brought when it was found to be */
};

/* TCP has so much more acknowledged, sent in all and of this sent again. */
void share_add(struct share *, uint64_t acked, uint64_t sent, uint64_t again,
    uint64_t now);

/* How many of a thousand packets are lost, of late; 0: few, or not known. */
unsigned int share_lost_permille(const struct share *, uint64_t now);

/* Does it lose much, and not only now and then? */
bool share_is_lossy(const struct share *);

/* Look, a few times a second: has it more to send than it takes (or, if it is
 * poor, have the others)?  `all` is what TCP acknowledged on all paths since
 * the group began.  True if it has become poor, or is so no more. */
bool share_look(struct share *, bool loaded, uint64_t all, uint64_t rtt_us,
    uint64_t now);
bool share_is_poor(const struct share *);

#endif
