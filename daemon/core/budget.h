/* SPDX-License-Identifier: ISC */
/*
 * Memory of all sessions of the process, shared by all groups.
 *
 * Two sums: what is held (buffers at their real size) and what is offered (the
 * windows that peers may still fill, what is held of them included).  Held
 * memory must stay below the limit; offers may exceed it, since most are never
 * used, but the part of them that is generous is handed out only while offers
 * stay below half of the limit, each asker getting a share of what is left.  So
 * a thousand readers that stop cannot fill more than was promised, and the first
 * twenty cannot take all of it.
 *
 * Between BUDGET_TIGHT and BUDGET_CLOSED a session still has one datagram each
 * way.  There is room for a thousand of them in 64 MiB, so that sessions that
 * stand still do not keep new ones out.
 */
#ifndef CORE_BUDGET_H
#define CORE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget {
	uint64_t limit_bytes;
	uint64_t held_bytes;
	uint64_t offered_bytes;
};

enum budget_level {
	BUDGET_EASY,		/* below 60 % held */
	BUDGET_TIGHT,		/* no offer grows, little is read ahead */
	BUDGET_CLOSED,		/* from 90 %: no new session */
	BUDGET_OVER,		/* from 100 %: somebody has to go */
};

void budget_init(struct budget *, uint64_t limit_bytes);
void budget_hold(struct budget *, int64_t bytes);
void budget_offer(struct budget *, int64_t bytes);
enum budget_level budget_level(const struct budget *);

/* How much of `want` bytes a window may grow by now; the caller offers it. */
uint32_t budget_share(const struct budget *, uint32_t want);

#endif
