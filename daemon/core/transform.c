/* SPDX-License-Identifier: ISC */
/*
 * Both directions are one stretch of memory each, and records are sealed and
 * opened where they stand.  Outwards it is filled and emptied in turns, so
 * nothing ever has to be moved: frames are written behind the room for the
 * length of their record, its tag comes behind them, then the next record.
 * Inwards the rest of a frame or record that came in part stays in front of
 * what comes next; it is moved down only when the room behind it gets short, or
 * small reads would move it again and again.
 *
 * Of a record nothing may be taken before all of it has come and its tag is
 * right.  On a slow link the room of the owner is small, to keep what is bound
 * to it small, and records are then no larger (`enough`): a whole frame has to
 * fit, but 16 KiB of small ones in one record would hold up the first of them
 * by what the last takes.
 */
#include "transform.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire_hello.h"

#define FRAME_MAX (WIRE_HEADER + WIRE_SIZE_MAX)
#define LENGTH WIRE_RECORD_LENGTH
#define OVERHEAD (LENGTH + SECURE_TAG)
#define ENOUGH_MIN 1024		/* or headers and tags would be most of it */

static_assert(WIRE_RECORD_TAG == SECURE_TAG, "the wire counts the same tag");

/* Bytes [start, end) are held. */
struct room {
	uint8_t *bytes;
	size_t size, start, end;
};

struct transform {
	struct room out, in;
	struct secure_cipher send, receive;
	size_t enough;		/* plaintext of one record */
	bool sealing, opening;	/* the next bytes are those of a record */
	bool only_first;
	bool heard, bad;
	size_t opened;		/* plaintext in front of `in`; then its tag */
};

static bool
room_init(struct room *r, size_t size, size_t min)
{
	r->size = size < min ? min : size;
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

static struct transform *
transform_new(size_t out_bytes, size_t in_bytes, size_t min)
{
	struct transform *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	if (!room_init(&t->out, out_bytes, min) ||
	    !room_init(&t->in, in_bytes, min)) {
		transform_free(t);
		return NULL;
	}
	return t;
}

struct transform *
transform_plain(size_t out_bytes, size_t in_bytes)
{
	return transform_new(out_bytes, in_bytes, FRAME_MAX);
}

struct transform *
transform_sealed(size_t out_bytes, size_t in_bytes,
    const struct secure_cipher *send, const struct secure_cipher *receive,
    bool only_first)
{
	struct transform *t = transform_new(out_bytes, in_bytes,
	    WIRE_RECORD_MAX + OVERHEAD);

	if (t == NULL)
		return NULL;
	t->send = *send;
	t->receive = *receive;
	t->enough = out_bytes < ENOUGH_MIN ? ENOUGH_MIN : out_bytes;
	t->sealing = t->opening = true;
	t->only_first = only_first;
	return t;
}

void
transform_free(struct transform *t)
{
	if (t == NULL)
		return;
	free(t->out.bytes);
	free(t->in.bytes);
	secure_wipe(t, sizeof(*t));
	free(t);
}

/* ---- outwards ---- */

static size_t
record_room(const struct room *out)
{
	size_t left = out->size - out->end;

	/* Less than any frame may need would be filled with scraps. */
	if (out->start > 0 || left < FRAME_MAX + OVERHEAD)
		return 0;
	left -= OVERHEAD;
	return left < WIRE_RECORD_MAX ? left : WIRE_RECORD_MAX;
}

uint8_t *
transform_out_room(struct transform *t, size_t *room, size_t *enough)
{
	struct room *out = &t->out;

	if (!t->sealing) {
		*room = *enough = out->end > 0 ? 0 : out->size;
		return out->bytes + out->end;
	}
	*room = record_room(out);
	*enough = t->enough < *room ? t->enough : *room;
	return out->bytes + out->end + LENGTH;
}

void
transform_out_commit(struct transform *t, size_t len)
{
	uint8_t *record = t->out.bytes + t->out.end;

	if (!t->sealing) {
		room_commit(&t->out, len);
		return;
	}
	assert(len <= WIRE_RECORD_MAX);
	room_commit(&t->out, len + OVERHEAD);
	wire_put_record(record, (uint16_t)(len + SECURE_TAG));
	secure_seal(&t->send, record + LENGTH, len);
	t->sealing = !t->only_first;
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

/* ---- inwards ---- */

uint8_t *
transform_in_room(struct transform *t, size_t *room)
{
	struct room *in = &t->in;

	if (t->opened > 0 || t->bad) {
		*room = 0;
		return NULL;
	}
	if (in->start > 0 && in->size - in->end < in->size / 2) {
		in->end -= in->start;
		memmove(in->bytes, in->bytes + in->start, in->end);
		in->start = 0;
	}
	*room = in->size - in->end;
	return in->bytes + in->end;
}

void
transform_in_commit(struct transform *t, size_t len)
{
	room_commit(&t->in, len);
	if (!t->opening && len > 0)
		t->heard = true;
}

/* Make the plaintext of the record in front what is in front. */
static enum wire_result
open_record(struct transform *t)
{
	struct room *in = &t->in;
	struct cursor c = { in->bytes + in->start, in->bytes + in->end };
	uint16_t len;
	enum wire_result result = wire_get_record(&c, &len);

	if (result != WIRE_OK)
		return result;
	if (c.end - c.pos < len)
		return WIRE_MORE;
	room_consume(in, LENGTH);
	if (secure_open(&t->receive, in->bytes + in->start, len) != 0)
		return WIRE_BAD;
	t->opened = len - SECURE_TAG;
	if (t->opened == 0)
		room_consume(in, SECURE_TAG);
	t->opening = !t->only_first;
	t->heard = true;
	return WIRE_OK;
}

int
transform_in_peek(struct transform *t, const uint8_t **bytes, size_t *len)
{
	enum wire_result result = WIRE_OK;

	while (!t->bad && t->opening && t->opened == 0 && result == WIRE_OK) {
		result = open_record(t);
		t->bad = result == WIRE_BAD;
	}
	if (t->bad)
		return -EBADMSG;
	*len = room_peek(&t->in, bytes);
	if (t->opened > 0)
		*len = t->opened;
	else if (t->opening)
		*len = 0;
	return 0;
}

void
transform_in_consume(struct transform *t, size_t len)
{
	if (t->opened == 0) {
		room_consume(&t->in, len);
		return;
	}
	assert(len <= t->opened);
	t->opened -= len;
	room_consume(&t->in, len + (t->opened == 0 ? SECURE_TAG : 0));
}

bool
transform_heard(const struct transform *t)
{
	return t->heard;
}
