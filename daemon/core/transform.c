/* SPDX-License-Identifier: ISC */
/*
 * Both directions are one stretch of memory each.  Outwards it is filled and
 * emptied in turns, so nothing ever has to be moved.  Inwards the rest of a
 * frame that came in part stays in front of what comes next; it is moved down
 * only when the room behind it gets short, or small reads would move it again
 * and again.
 */
#include "transform.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

#define FRAME_MAX (WIRE_HEADER + WIRE_SIZE_MAX)

/* Bytes [start, end) are held. */
struct room {
	uint8_t *bytes;
	size_t size, start, end;
};

struct transform {
	struct room out, in;
};

static bool
room_init(struct room *r, size_t size)
{
	r->size = size < FRAME_MAX ? FRAME_MAX : size;
	r->bytes = malloc(r->size);
	return r->bytes != NULL;
}

static size_t
room_peek(const struct room *r, const uint8_t **bytes)
{
	*bytes = r->bytes + r->start;
	return r->end - r->start;
}

static void
room_commit(struct room *r, size_t len)
{
	assert(len <= r->size - r->end);
	r->end += len;
}

static void
room_consume(struct room *r, size_t len)
{
	assert(len <= r->end - r->start);
	r->start += len;
	if (r->start == r->end)
		r->start = r->end = 0;
}

struct transform *
transform_plain(size_t out_bytes, size_t in_bytes)
{
	struct transform *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	if (!room_init(&t->out, out_bytes) || !room_init(&t->in, in_bytes)) {
		transform_free(t);
		return NULL;
	}
	return t;
}

void
transform_free(struct transform *t)
{
	if (t == NULL)
		return;
	free(t->out.bytes);
	free(t->in.bytes);
	free(t);
}

uint8_t *
transform_out_room(struct transform *t, size_t *room)
{
	*room = t->out.end > 0 ? 0 : t->out.size;
	return t->out.bytes + t->out.end;
}

void
transform_out_commit(struct transform *t, size_t len)
{
	room_commit(&t->out, len);
}

size_t
transform_out_peek(const struct transform *t, const uint8_t **bytes)
{
	return room_peek(&t->out, bytes);
}

void
transform_out_consume(struct transform *t, size_t len)
{
	room_consume(&t->out, len);
}

uint8_t *
transform_in_room(struct transform *t, size_t *room)
{
	struct room *in = &t->in;

	if (in->start > 0 && in->size - in->end < in->size / 2) {
		in->end -= in->start;
		memmove(in->bytes, in->bytes + in->start, in->end);
		in->start = 0;
	}
	*room = in->size - in->end;
	return in->bytes + in->end;
}

int
transform_in_commit(struct transform *t, size_t len)
{
	room_commit(&t->in, len);
	return 0;
}

size_t
transform_in_peek(const struct transform *t, const uint8_t **bytes)
{
	return room_peek(&t->in, bytes);
}

void
transform_in_consume(struct transform *t, size_t len)
{
	room_consume(&t->in, len);
}
