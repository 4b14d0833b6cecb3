/* SPDX-License-Identifier: ISC */
/*
 * The base protocol: one client's session over the subflows of its own, once
 * their greetings are done (connection numbers are the roles' business).  Bytes
 * go in, bytes and facts come out; there is no socket, clock, log or callback
 * in here.
 *
 *	local readable:    base_room(), recv, base_give()
 *	subflow readable:  base_want(), recv, base_take(), then base_peek(),
 *	                   send to the local side, base_consume()
 *	subflow writable:  base_fill(), send
 *
 * After any of these, every subflow that can send is offered base_fill(), bytes
 * that base_take() left are given to it again, and base_state() and
 * base_flushed() say whether something ends.
 */
#ifndef CORE_BASE_H
#define CORE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "budget.h"
#include "span.h"
#include "wire.h"

#define BASE_SUBFLOWS 16	/* of one session; their numbers are below */
#define BASE_OUTSTANDING 16384	/* datagrams; never as many are outstanding */
#define BASE_REPORT 256		/* from here on it is time for base_acked() */

struct base;

struct base_options {
	bool proxy;		/* nothing is sent before base_settle() */
	size_t limit_bytes;	/* most that waits to be in order, or for the
				 * local side; the budget may make it less */
	size_t datagram_max;	/* cut to this, 1 to WIRE_BASE_MAX */
	struct budget *budget;	/* shared, outlives the session */
};

/* NULL if out of memory; base_free() accepts NULL. */
struct base *base_new(const struct base_options *);
void base_free(struct base *);

/* ---- subflows ---- */

/* May another subflow join?  0, -ENOSPC (there are BASE_SUBFLOWS), or -ETIME:
 * all have joined, the peer has ended, or so much was sent already that the
 * peer would misread the first serial on it. */
int base_joinable(const struct base *);
/* It joins: its number.  base_joinable() has said 0. */
int base_join(struct base *);
/* No other will join. */
void base_settle(struct base *);

/* ---- bytes from the local side ---- */

/* How many bytes may be received now; 0: do not read. */
size_t base_room(const struct base *);
/* That many, at most, are copied.  0, or -ENOMEM. */
int base_give(struct base *, const uint8_t *, size_t len);
/* The local side's end of file: no more will come. */
void base_give_end(struct base *);

/* `unacked` of the bytes that base_fill() gave to this subflow were not yet
 * seen acknowledged by its kernel, or have not yet reached it. */
void base_acked(struct base *, int subflow, size_t unacked);

/* From the oldest datagram that may not have arrived to the newest one.  At
 * BASE_REPORT and above, say base_acked() before base_fill(). */
uint64_t base_outstanding(const struct base *);

/* Write at most one datagram for this subflow, which has nothing else to send;
 * `room` is at least WIRE_BASE_HEADER + 1.  Returns the bytes written; 0: there
 * is nothing for it now. */
size_t base_fill(struct base *, int subflow, uint8_t *out, size_t room);

/* Do bytes wait only for what is outstanding?  Come again soon, with
 * base_acked(): nothing else will tell. */
bool base_waits(const struct base *);

/* Has base_fill() given out everything that the local side gave? */
bool base_sent(const struct base *);
/* And will there be nothing more?  Then shut the subflows for writing, each
 * when its bytes are written, and those that join later as well. */
bool base_flushed(const struct base *);

/* ---- bytes for the local side ---- */

/* How many bytes more than the `len` that are here (from the start of a
 * datagram on) to receive, at most; 0: none now, since what is here has to wait
 * for its turn. */
size_t base_want(const struct base *, int subflow, const uint8_t *have,
    size_t len);

/* Bytes of datagrams, the last perhaps in part.  Returns how many were used;
 * the rest is to be given again, with more bytes or when others were taken.
 * -EPROTO or -ENOMEM: the session has to be reset. */
int base_take(struct base *, int subflow, const uint8_t *, size_t len);

/* A subflow's end of file, with `left` bytes that were not used.  0, or
 * -EPROTO: it was cut. */
int base_take_end(struct base *, int subflow, size_t left);

/* The bytes next in order; returns the spans used, 0: none now.  They stay
 * valid until the next base_take() or base_consume(). */
int base_peek(const struct base *, struct span spans[], int n);
void base_consume(struct base *, size_t len);

enum base_state {
	BASE_OPEN,		/* more may come for the local side */
	BASE_END,		/* clean end, everything was taken: shut it down
				 * for writing.  The other direction goes on */
	BASE_LOST,		/* a datagram will never come: reset it all */
};

enum base_state base_state(const struct base *);

/* For the log. */
uint64_t base_bytes_in(const struct base *);	/* to the local side */
uint64_t base_bytes_out(const struct base *);	/* from it */

#endif
