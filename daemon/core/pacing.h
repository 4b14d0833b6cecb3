/* SPDX-License-Identifier: ISC */
/*
 * How the subflows of one path share the rate of its link.
 *
 * The sum of what the busy ones may send is always a little less than the rate,
 * so that no queue builds up before the link however many of them send.  So a
 * share is something that one has and the others have not: those that have
 * something to send get nearly all, an express one twice as much as a bulk one.
 *
 * An idle one keeps a small share, enough for a keystroke or an ACK to leave at
 * once; before it sends more than that it is busy.  The first packet leaves at
 * any rate, but the next one has to wait for as long as the first takes, also
 * when the rate is a higher one by then.  So on a slow link an idle one may
 * send at up to half the rate, which the busy ones do not miss: it is idle.
 */
#ifndef CORE_PACING_H
#define CORE_PACING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pacing_share {
	bool express, busy;		/* in */
	uint64_t bytes_per_s;		/* out, at least 1 */
};

/* Share 0.95 of `rate_bps` bits a second. */
void pacing_divide(uint64_t rate_bps, struct pacing_share[], size_t n);

#endif
