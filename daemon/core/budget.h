/* SPDX-License-Identifier: ISC */
/*
 * Memory of all sessions of the process, shared by all groups; and, within it,
 * that of one peer.
 *
 * Two sums: what is held (buffers at their real size) and what is offered (the
 * windows that peers may still fill, what is held of them included).  Held
 * memory must stay below the limit; offers may exceed it, since most are never
 * used, but the part of them that is generous is handed out only while offers
 * stay below half of the limit, each asker getting a share of what is left.  So
 * a thousand readers that stop cannot fill more than was promised, and the
 * first twenty cannot take all of it.
 *
 * Between BUDGET_TIGHT and BUDGET_CLOSED a session still has one datagram each
 * way.  There is room for a thousand of them in 64 MiB, so that sessions that
 * stand still do not keep new ones out.
 *
 * A budget may be part of another, its parent: what it holds and offers counts
 * there as well, and whoever asks it gets the worse of both answers.  One that
 * is full is no trouble of the others.  When the parent is full, the part that
 * holds most gives way.
 */
#ifndef CORE_BUDGET_H
#define CORE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "list.h"

struct budget {
	uint64_t limit_bytes;		/* 0: that of the parent alone */
	uint64_t held_bytes;
	uint64_t offered_bytes;
	struct budget *parent;		/* NULL: none */
	struct list parts, part;	/* its own; among those of the parent */
};

enum budget_level {
	BUDGET_EASY,		/* below 60 % held */
	BUDGET_TIGHT,		/* no offer grows, little is read ahead */
	BUDGET_CLOSED,		/* from 97 %: a relay takes no new session; for
				 * a proxy see budget_admits() */
	BUDGET_OVER,		/* from 100 %: somebody has to go */
};

/* budget_init() makes one without a parent.  A part stays where it is in memory
 * and ends before its parent, with budget_end(), when nothing is held or
 * offered any more. */
void budget_init(struct budget *, uint64_t limit_bytes);
void budget_init_part(struct budget *, uint64_t limit_bytes,
    struct budget *parent);
void budget_end(struct budget *);

void budget_hold(struct budget *, int64_t bytes);
void budget_offer(struct budget *, int64_t bytes);
enum budget_level budget_level(const struct budget *);

/* May a proxy take one more client?  It lets new ones go directly before there
 * is no room (core/gate.h), but some were on their way; and whoever fills
 * memory may do so faster than anybody looks.  They are taken up to an eighth
 * more than the limit: what is over it is soon taken from who holds most. */
bool budget_admits(const struct budget *);

/* At BUDGET_OVER: is it for this budget's own sessions to go?  It is when its
 * own limit is reached, or that of a parent of which no other part holds
 * more. */
bool budget_yields(const struct budget *);

/* How much of `want` bytes a window may grow by now. */
uint32_t budget_share(const struct budget *, uint32_t want);
/* How much may be offered generously now, by whoever asks first: windows that
 * grew at the same time may together be more. */
uint64_t budget_spare(const struct budget *);

/* The least of the limits that hold for it. */
uint64_t budget_limit(const struct budget *);

#endif
