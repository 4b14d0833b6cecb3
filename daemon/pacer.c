/* SPDX-License-Identifier: ISC */
/*
 * Who has something to send.
 *
 * What is unacknowledged says nothing: it has left.  What waits in our queues
 * and in the socket does, beyond the few segments of a keystroke or an ACK,
 * which leave soon even with the share of an idle one.  A subflow stays busy
 * for a moment after that, so that shares do not change with each
 * acknowledgement.
 *
 * Restarting BBR.  BBR knows the rate of a path by what it has measured in the
 * last rounds.  A subflow that carries short objects only measures too little
 * (a burst of 100 kB in a round trip of 600 ms looks like 1.3 Mbit/s), worse
 * with loss; and each ten seconds it all but stops for a round trip to measure
 * the delay.  But here the rate is known and SO_MAX_PACING_RATE holds it.  So
 * BBR is taken off and put on again, which begins with its start-up: the
 * window stays what it is, the pacing rate is 2.9 windows a round trip or the
 * maximum (net/ipv4/tcp_bbr.c, bbr_init()).  It is done when a subflow begins
 * to send after a pause, when it is given a larger share (the kernel would make
 * use of it only after a round trip), and each three seconds while it sends
 * (with loss the estimate sinks below the rate); in a recovery, whose end would
 * restore a window that is then forgotten, only if there is no other moment.
 */
#include "pacer.h"

#include <stddef.h>

#include "core/pacing.h"
#include "net/sockopt.h"

#define ITEMS 64
#define BURST_BYTES (4 * 1448)		/* as good as nothing, */
#define BURST_PART 4			/* if it leaves in so
					 * much of a second */
#define EXPRESS_HOLD_US 20000
#define BULK_HOLD_US 200000
#define RESTART_US 3000000		/* well before BBR's ten seconds */
#define STAGGER_US 700000		/* not all at once */
#define RESTART_GRACE_US 1000000	/* then in a recovery, if need be */

static bool
look(struct pacer_item *p, uint64_t now)
{
	struct pacer_subflow *m = p->memory;
	uint64_t hold = p->express ? EXPRESS_HOLD_US : BULK_HOLD_US;
	uint64_t burst = BURST_BYTES;

	if (m->pacing / BURST_PART < burst)
		burst = m->pacing / BURST_PART;
	if (p->waiting_bytes + sockopt_unsent(p->fd) > burst)
		m->busy_us = now;
	return m->busy_us != 0 && now - m->busy_us < hold;
}

static void
share(struct pacer_item items[], unsigned int n, uint8_t path)
{
	struct pacing_share shares[ITEMS];
	uint64_t rate_bps = 0;
	unsigned int members = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (items[i].rate_bps == 0 || items[i].path != path)
			continue;
		rate_bps = items[i].rate_bps;
		shares[members++] = (struct pacing_share){
			.express = items[i].express,
			.busy = items[i].memory->busy,
		};
	}
	pacing_divide(rate_bps, shares, members);
	/* First take, then give: the sum is never above the rate. */
	for (int give = 0; give < 2; give++) {
		members = 0;
		for (unsigned int i = 0; i < n; i++) {
			struct pacer_subflow *m = items[i].memory;

			if (items[i].rate_bps == 0 || items[i].path != path)
				continue;
			uint64_t rate = shares[members++].bytes_per_s;
			bool more = m->pacing != 0 && rate > m->pacing;
			if (rate == m->pacing || more != (give == 1))
				continue;
			if (rate > m->pacing + m->pacing / 4)
				m->restart = m->busy;
			m->pacing = rate;
			sockopt_pacing(items[i].fd, rate);
		}
	}
}

/* Began to send, was given much more, or has sent for so long. */
static void
restart(struct pacer_item *p, unsigned int i, uint64_t now)
{
	struct pacer_subflow *m = p->memory;
	uint64_t age = now - m->restarted_us;
	bool overdue = age > RESTART_US + RESTART_GRACE_US;

	if (!m->busy)
		return;
	if (age > RESTART_US + i % 2 * STAGGER_US)
		m->restart = true;
	if (m->restart && sockopt_restart_congestion(p->fd, overdue)) {
		m->restart = false;
		m->restarted_us = now;
	}
}

void
pacer_look(struct pacer_item items[], unsigned int n, uint64_t now)
{
	bool changed[256] = { false };

	for (unsigned int i = 0; i < n && i < ITEMS; i++) {
		struct pacer_subflow *m = items[i].memory;

		if (items[i].rate_bps == 0)
			continue;
		bool busy = look(&items[i], now);
		if (busy != m->busy || m->pacing == 0)
			changed[items[i].path] = true;
		m->restart = busy && (m->restart ||
		    (!m->busy && sockopt_unacked(items[i].fd) == 0));
		m->busy = busy;
	}
	for (unsigned int i = 0; i < n && i < ITEMS; i++) {
		if (!changed[items[i].path])
			continue;
		changed[items[i].path] = false;
		share(items, n, items[i].path);
	}
	for (unsigned int i = 0; i < n && i < ITEMS; i++)
		if (items[i].rate_bps != 0)
			restart(&items[i], i, now);
}
