/* SPDX-License-Identifier: ISC */
/*
 * A subflow of the base protocol, between its socket and core: a line of one
 * session.  It has memory only for what is left over: datagrams that have to
 * wait for their turn, or came in part, and what its kernel did not take.
 *
 * Errors are -EPROTO and -ENOMEM, or else those of the connection, which is
 * over then.
 */
#ifndef BASE_LINE_H
#define BASE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base.h"
#include "net/stream.h"

/* Bytes [start, end) of `room`. */
struct base_rest {
	uint8_t *bytes;
	size_t start, end, room;
};

#define BASE_LINE_DATAGRAM 2892	/* bytes of those that we send */

struct base_line {
	struct stream stream;		/* opened by the owner */
	struct base *base;
	struct budget *budget;
	int number;			/* in `base` */
	bool read_ended, fin_sent;
	struct base_rest in, out;	/* private */
};

/* Free its memory; the stream is the owner's business. */
void base_line_clear(struct base_line *);

/* Offer it some datagrams.  1: it took some, 0: it has no room or there are
 * none. */
int base_line_offer(struct base_line *);
/* It is writable: write what waits.  0. */
int base_line_flush(struct base_line *);
/* Does it wait to be writable? */
bool base_line_blocked(const struct base_line *);
/* Bytes that its kernel has not yet seen acknowledged, and what waits. */
size_t base_line_unacked(const struct base_line *);
/* FIN, once all is written.  1: it was sent (perhaps before), 0: not yet. */
int base_line_shut(struct base_line *);

/* Does it want to read? */
bool base_line_wants(const struct base_line *);
/* Read and give to core.  1: there may be more, 0: not now. */
int base_line_read(struct base_line *);
/* Give core again what was left.  1: it took some. */
int base_line_take(struct base_line *);

#endif
