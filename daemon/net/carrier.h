/* SPDX-License-Identifier: ISC */
/*
 * Frames over a subflow's connection: from fill() through a transform to the
 * socket, and from the socket through it to take().  It knows neither how the
 * transform was agreed on nor when the connection ends: its owner has both, and
 * the stream.
 *
 * Late binding: fill() is asked only when the socket has taken all that there
 * was, and not again after it refused some until it is writable, so what a slow
 * subflow has been given is never more than the room of the transform.  As many
 * records as fit into that leave in one write.
 */
#ifndef NET_CARRIER_H
#define NET_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/transform.h"
#include "net/stream.h"

/* Any of them may stop the carrier. */
struct carrier_callbacks {
	/* The other end's first record is here, or (plain) its first byte;
	 * once, and before take(). */
	void (*on_heard)(void *user);
	/* As group_take() and group_fill(). */
	int (*take)(void *user, const uint8_t *, size_t);
	size_t (*fill)(void *user, uint8_t *, size_t);
};

struct carrier {		/* private; embedded, and all zeros at first */
	struct stream *stream;
	struct transform *transform;	/* NULL before it starts */
	const struct carrier_callbacks *callbacks;
	void *user;
	bool blocked;		/* the socket took less than we had */
	bool heard, spoken;	/* a record came, was sent, or frames, */
	uint64_t given;		/* with so many bytes */
	bool stopped;
	int error;		/* of the last result that was not OK */
};

enum carrier_result {
	CARRIER_OK,
	CARRIER_OVER,		/* error: as stream_read(), stream_write() */
	CARRIER_FORGED,		/* -EBADMSG: not what the other end sealed */
	CARRIER_WRONG,		/* as take(); -EPROTO: half a frame, no more */
};

/* Takes the transform. */
void carrier_start(struct carrier *, struct transform *, struct stream *,
    const struct carrier_callbacks *, void *user);
bool carrier_is_started(const struct carrier *);

/* Nothing is read, written or called from here on; also from a callback. */
void carrier_stop(struct carrier *);

/* Free the transform; not from a callback.  One that was never started is
 * accepted. */
void carrier_free(struct carrier *);

/* Write while fill() gives bytes and the kernel takes them.  The first that is
 * written is a record, an empty one if there are no frames. */
enum carrier_result carrier_pump(struct carrier *);
/* The socket takes more. */
void carrier_unblock(struct carrier *);
/* Bytes that fill() gave and the kernel did not take yet, about. */
size_t carrier_pending(const struct carrier *);

/* Read a part of what there is, and give it to take(). */
enum carrier_result carrier_read(struct carrier *);
/* The same with bytes that were read before it started, no more than the
 * longest hello. */
enum carrier_result carrier_put(struct carrier *, const uint8_t *, size_t);

#endif
