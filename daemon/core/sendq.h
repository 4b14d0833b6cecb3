/* SPDX-License-Identifier: ISC */
/*
 * What one session has to send, from the local side's bytes to the peer's
 * acknowledgement.  Bytes are gathered until they are first sent: only then are
 * they a datagram with a serial.  A datagram is kept until it is acknowledged,
 * with the set of subflows that carry a copy; one that no subflow carries any
 * more, or only such as are stalled, is sent again before anything new.
 * Stalled ones may go on and deliver it: so of what only they carry, as much
 * goes as there is credit for, and the oldest always.
 *
 * `edge` is the window in units of cost: how much DATA, each datagram counted
 * with WIRE_COST more than its size, the peer takes in all.
 */
#ifndef CORE_SENDQ_H
#define CORE_SENDQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "budget.h"
#include "list.h"
#include "wire.h"

struct datagram {
	struct list node;
	uint64_t serial;	/* once sent */
	uint64_t cost_end;	/* once sent: cost of all DATA
				 * up to and with it */
	uint64_t copies;	/* subflows that carry it, one bit each */
	uint64_t sent_us;	/* first sent; 0: never */
	uint64_t copied_us;	/* last sent */
	uint64_t due_us;	/* the acknowledgement of the last copy, as it
				 * looked when that was sent, */
	uint64_t from;		/* the subflow had come to here, */
	uint64_t position;	/* and it is up to here in that, */
	uint32_t off, len;	/* its bytes are data[off .. off + len) */
	uint32_t room;		/* allocated */
	int8_t on;		/* and that is this one; */
	int8_t first;		/* the first copy was on this one */
	uint8_t type;		/* WIRE_OPEN, WIRE_DATA or WIRE_FIN */
	bool twice;		/* a second copy is due at once */
	uint8_t data[];		/* FIN: the code */
};

struct sendq {
	struct budget *budget;
	struct list unacked;		/* sent, by serial */
	struct list unsent;
	struct list *again;		/* in unacked: none before it is lost */
	uint64_t stalled;		/* subflows whose copies
					 * do not count, */
	uint64_t gone;			/* and those of them that are no more */
	size_t lost;			/* sent, and no copy counts, */
	size_t doubted;			/* though a stalled one has a copy */
	const uint64_t *credit;		/* bytes of these that may go again;
					 * NULL: all */
	size_t twice;			/* a second copy of them is due */
	uint64_t next;			/* serial for the next first sending */
	uint64_t acked;			/* all before were acknowledged */
	uint64_t cost_sent, cost_acked;
	uint64_t unsent_bytes, unacked_bytes;
	uint64_t held;			/* memory */
	bool ended;			/* FIN was queued */
};

void sendq_init(struct sendq *, uint64_t first, struct budget *);
/* Drop everything; `carries` as for sendq_ack(). */
void sendq_clear(struct sendq *, uint64_t carries[]);

/* A datagram with room for `len` bytes outside of any queue; NULL if out of
 * memory.  free() it, or give it to sendq_adopt(). */
struct datagram *sendq_datagram(size_t len);

/* Queue an item of its own: OPEN's body or FIN's code.  0 or -ENOMEM. */
int sendq_item(struct sendq *, uint8_t type, const uint8_t *, size_t len);
/* Append bytes to what was not yet sent.  0 or -ENOMEM. */
int sendq_append(struct sendq *, const uint8_t *, size_t len);
/* The same without a copy: *takes* the datagram, whose first `len` bytes were
 * filled. */
void sendq_adopt(struct sendq *, struct datagram *, size_t len);

/* All of another queue of the same budget, of which nothing was sent; this one
 * is empty. */
void sendq_take(struct sendq *, struct sendq *from);

/* Is there anything to be sent? */
bool sendq_ready(const struct sendq *, uint64_t edge);
/* And is that something lost? */
bool sendq_again(const struct sendq *);
/* Does a stalled subflow, and no other, carry this one? */
bool sendq_doubts(const struct sendq *, const struct datagram *);
/* How large is it without a cut other than the window's? */
size_t sendq_next_len(const struct sendq *, uint64_t edge);

/* What to send next, cut to `max` bytes and to the window; something lost goes
 * first and is never cut (its size has been seen), so it may be larger than
 * `max`.  Where there is nothing else, it goes also when there was credit for
 * it a moment ago.  NULL: nothing, or out of memory for a cut. */
struct datagram *sendq_next(struct sendq *, uint64_t edge, size_t max);
/* It was written to `subflow`.  Gives it its serial and cost the first time. */
void sendq_sent(struct sendq *, struct datagram *, int subflow, uint64_t now);

/* What was just sent for the first time is to be sent on a second subflow as
 * well, unless it is acknowledged before. */
void sendq_twice(struct sendq *, struct datagram *);
/* That is to be `subflow`: what it already carries is not due any more. */
void sendq_second_on(struct sendq *, int subflow);
/* The last of them; NULL: none.  A lost packet stops a subflow from there on,
 * so two that go in opposite order have it all unless they are stopped
 * early. */
struct datagram *sendq_second(struct sendq *);

/* Everything before `next` was taken.  `carries[i]` is lowered by the bytes
 * that subflow i carried of it.  -EPROTO: it was not sent. */
int sendq_ack(struct sendq *, uint64_t next, uint64_t carries[]);

/* A subflow is gone.  Returns how many datagrams are to be sent again. */
size_t sendq_lose(struct sendq *, int subflow);

/* From now on copies on these subflows, and only these, do not count: what no
 * other carries is lost, until it is sent again or they go on.  `gone`: those
 * of them that do not. */
void sendq_stall(struct sendq *, uint64_t subflows, uint64_t gone);

/* Nothing queued and nothing unacknowledged. */
bool sendq_empty(const struct sendq *);

#endif
