/* SPDX-License-Identifier: ISC */
/*
 * Datagrams of one session, arriving by serial over several subflows, given
 * back in order.  Serials here are 64 bits and do not wrap.
 *
 * It counts what was taken in order in units of cost (size plus WIRE_COST a
 * datagram, as the window does) and refuses what cannot lie within what was
 * offered: its memory is bounded by the offer.
 */
#ifndef CORE_REORDER_H
#define CORE_REORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "budget.h"
#include "span.h"

struct chunk;

struct reorder {
	struct budget *budget;
	struct chunk **ring;	/* by serial; NULL: missing */
	size_t ring_size;	/* a power of two, or 0 */
	uint64_t head;		/* first serial not consumed in full */
	uint64_t next;		/* first serial that is missing */
	uint64_t end;		/* one past the highest that we have */
	size_t head_used;	/* bytes of `head` that were consumed */
	uint64_t ready_bytes;	/* in order and not consumed */
	uint64_t cost_next;	/* of all before `next` */
	uint64_t cost_consumed;	/* of what was consumed */
	uint64_t cost_early;	/* of what we have from `next` on */
	uint64_t held;		/* memory */
};

enum reorder_result {
	REORDER_STORED,		/* it, and perhaps others, are in order now */
	REORDER_EARLY,
	REORDER_DUPLICATE,
	REORDER_OVERRUN,	/* beyond `offered` */
	REORDER_NOMEM,
};

/* Nothing is allocated until the first datagram. */
void reorder_init(struct reorder *, uint64_t first, struct budget *);
void reorder_clear(struct reorder *);

/* Copy the `len` bytes (at least 1) of a datagram; `offered` is the highest
 * cost that the peer may reach. */
enum reorder_result reorder_put(struct reorder *, uint64_t serial,
    const uint8_t *, size_t len, uint64_t offered);

/* Is something before `serial` that was not offered?  For an item that has no
 * cost of its own, as FIN. */
bool reorder_within(const struct reorder *, uint64_t serial, uint64_t offered);

/* Does it hold no datagram, early or in order? */
bool reorder_empty(const struct reorder *);

/* The bytes next in order, in at most `n` spans; they stay valid until the next
 * call that changes anything.  Returns the spans used. */
int reorder_peek(const struct reorder *, struct span spans[], int n);
void reorder_consume(struct reorder *, size_t len);

#endif
