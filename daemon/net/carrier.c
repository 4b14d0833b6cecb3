/* SPDX-License-Identifier: ISC */
#include "net/carrier.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* TCP begins with about 14 KB and waits for a round trip: none of that is to be
 * part of a record that the other end cannot open before the next.  The first
 * record, for which it waits to believe us, is in one packet. */
#define YOUNG_BYTES (14u << 10)
#define YOUNG_RECORD 1200
#define READ_BYTES (256u << 10)	/* of one event, so that others come too */

/* ---- beginning and end ---- */

void
carrier_start(struct carrier *c, struct transform *transform,
    struct stream *stream, const struct carrier_callbacks *callbacks,
    void *user)
{
	c->transform = transform;
	c->stream = stream;
	c->callbacks = callbacks;
	c->user = user;
}

bool
carrier_is_started(const struct carrier *c)
{
	return c->transform != NULL;
}

void
carrier_stop(struct carrier *c)
{
	c->stopped = true;
}

void
carrier_free(struct carrier *c)
{
	transform_free(c->transform);
	c->transform = NULL;
}

static enum carrier_result
over(struct carrier *c, enum carrier_result result, int error)
{
	c->error = error;
	return result;
}

/* ---- writing ---- */

/* Write what the transform holds.  If all of it is gone, c->blocked is not
 * set. */
static enum carrier_result
flush(struct carrier *c)
{
	const uint8_t *bytes;
	struct span span;
	ssize_t n;

	span.len = transform_out_peek(c->transform, &bytes);
	if (span.len == 0)
		return CARRIER_OK;
	/* A span is for reading too; writing leaves its bytes alone. */
	span.base = (uint8_t *)(uintptr_t)bytes;
	n = stream_write(c->stream, &span, 1);
	c->blocked = n < (ssize_t)span.len;
	if (n < 0)
		return n == -EAGAIN ? CARRIER_OK :
		    over(c, CARRIER_OVER, (int)n);
	transform_out_consume(c->transform, (size_t)n);
	return CARRIER_OK;
}

/* Put frames into the transform until there are no more, or no room.  false:
 * there were none. */
static bool
gather(struct carrier *c)
{
	bool any = false;
	size_t room, enough, n;

	while (!c->stopped) {
		uint8_t *out = transform_out_room(c->transform, &room,
		    &enough);

		if (room == 0)
			break;
		if (c->given < YOUNG_BYTES && enough > YOUNG_RECORD)
			enough = YOUNG_RECORD;
		n = c->callbacks->fill(c->user, out, enough);
		/* One that is larger?  It is not for the first record. */
		if (n == 0 && enough < room && c->spoken)
			n = c->callbacks->fill(c->user, out, room);
		if (n == 0 && c->spoken)
			break;
		transform_out_commit(c->transform, n);
		c->given += n;
		c->spoken = any = true;
	}
	return any;
}

enum carrier_result
carrier_pump(struct carrier *c)
{
	while (!c->stopped && !c->blocked) {
		enum carrier_result result = flush(c);

		if (result != CARRIER_OK)
			return result;
		if (c->blocked || !gather(c))
			break;
	}
	return CARRIER_OK;
}

void
carrier_unblock(struct carrier *c)
{
	c->blocked = false;
}

size_t
carrier_pending(const struct carrier *c)
{
	const uint8_t *bytes;

	return c->transform != NULL ?
	    transform_out_peek(c->transform, &bytes) : 0;
}

/* ---- reading ---- */

/* Give the owner the frames that are here. */
static enum carrier_result
deliver(struct carrier *c)
{
	const uint8_t *bytes;
	size_t len, room;
	int used;

	for (;;) {
		if (transform_in_peek(c->transform, &bytes, &len) != 0)
			return over(c, CARRIER_FORGED, -EBADMSG);
		if (!c->heard && transform_heard(c->transform)) {
			c->heard = true;
			c->callbacks->on_heard(c->user);
		}
		if (len == 0 || c->stopped)
			return CARRIER_OK;
		used = c->callbacks->take(c->user, bytes, len);
		if (c->stopped)
			return CARRIER_OK;
		if (used <= 0)
			break;
		transform_in_consume(c->transform, (size_t)used);
	}
	if (used == 0) {	/* part of a frame: can the rest come? */
		transform_in_room(c->transform, &room);
		if (room > 0)
			return CARRIER_OK;
		used = -EPROTO;
	}
	return over(c, CARRIER_WRONG, used);
}

enum carrier_result
carrier_put(struct carrier *c, const uint8_t *bytes, size_t len)
{
	size_t room;
	uint8_t *in = transform_in_room(c->transform, &room);

	assert(len <= room);	/* a whole frame at least */
	memcpy(in, bytes, len);
	transform_in_commit(c->transform, len);
	return deliver(c);
}

enum carrier_result
carrier_read(struct carrier *c)
{
	enum carrier_result result;
	struct span span;
	ssize_t n;

	for (size_t total = 0; total < READ_BYTES; total += (size_t)n) {
		span.base = transform_in_room(c->transform, &span.len);
		assert(span.len > 0);	/* deliver() has seen to it */
		n = stream_read(c->stream, &span, 1);
		if (n == -EAGAIN)
			break;
		if (n <= 0)
			return over(c, CARRIER_OVER, (int)n);
		transform_in_commit(c->transform, (size_t)n);
		result = deliver(c);
		if (result != CARRIER_OK || c->stopped ||
		    (size_t)n < span.len)
			return result;
	}
	return CARRIER_OK;
}
