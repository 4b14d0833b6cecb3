/* SPDX-License-Identifier: ISC */
/*
 * Bytes are read into one buffer for all sessions, and written from another, so
 * that an idle session is small.  What is left over is kept behind what was
 * left before, if there is any: large datagrams that come in many pieces are
 * not moved again and again.
 *
 * A datagram is of use only when it is whole, so ours are short: with their
 * headers they fill two segments.  As many as are written at once fit into the
 * first window of a new connection.
 */
#include "base_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire.h"

#define READS 4			/* in one event, so others get their turn */
#define READ_BYTES (256u << 10)
#define KEEP_MIN 4096u
#define FRAME_MAX (WIRE_BASE_HEADER + BASE_LINE_DATAGRAM)
#define BATCH 5u

static uint8_t in_bytes[READ_BYTES];
static uint8_t out_bytes[BATCH * FRAME_MAX];

/* ---- what is left over ---- */

static size_t
rest_len(const struct base_rest *r)
{
	return r->end - r->start;
}

static void
rest_clear(struct base_line *l, struct base_rest *r)
{
	budget_hold(l->budget, -(int64_t)r->room);
	free(r->bytes);
	*r = (struct base_rest){ 0 };
}

/* Make room for `len` bytes more. */
static bool
rest_grow(struct base_line *l, struct base_rest *r, size_t len)
{
	size_t used = rest_len(r), room = r->room > 0 ? r->room : KEEP_MIN;

	if (r->start > 0) {
		memmove(r->bytes, r->bytes + r->start, used);
		r->start = 0;
		r->end = used;
	}
	while (room - used < len)
		room *= 2;
	if (room == r->room)
		return true;
	uint8_t *bytes = realloc(r->bytes, room);
	if (bytes == NULL)
		return false;
	budget_hold(l->budget, (int64_t)(room - r->room));
	r->bytes = bytes;
	r->room = room;
	return true;
}

static int
rest_append(struct base_line *l, struct base_rest *r, const uint8_t *bytes,
    size_t len)
{
	if (len == 0)
		return 0;
	if (!rest_grow(l, r, len))
		return -ENOMEM;
	memcpy(r->bytes + r->end, bytes, len);
	r->end += len;
	return 0;
}

static void
rest_consume(struct base_line *l, struct base_rest *r, size_t len)
{
	r->start += len;
	if (r->start == r->end)
		rest_clear(l, r);
}

void
base_line_clear(struct base_line *l)
{
	rest_clear(l, &l->in);
	rest_clear(l, &l->out);
}

/* ---- out ---- */

/* How many bytes the socket took, or -errno. */
static ssize_t
send_bytes(struct base_line *l, uint8_t *bytes, size_t len)
{
	struct span span = { bytes, len };
	ssize_t n = stream_write(&l->stream, &span, 1);

	return n == -EAGAIN ? 0 : n;
}

int
base_line_offer(struct base_line *l)
{
	size_t len = 0, n;
	ssize_t sent;

	if (rest_len(&l->out) > 0 || l->fin_sent)
		return 0;
	for (int i = 0; i < (int)BATCH; i++, len += n) {
		n = base_fill(l->base, l->number, out_bytes + len,
		    sizeof(out_bytes) - len);
		if (n == 0)
			break;
	}
	if (len == 0)
		return 0;
	sent = send_bytes(l, out_bytes, len);
	if (sent < 0)
		return (int)sent;
	if (rest_append(l, &l->out, out_bytes + sent, len - (size_t)sent) != 0)
		return -ENOMEM;
	return 1;
}

int
base_line_flush(struct base_line *l)
{
	ssize_t n;

	if (rest_len(&l->out) == 0 || l->stream.fd == -1)
		return 0;
	n = send_bytes(l, l->out.bytes + l->out.start, rest_len(&l->out));
	if (n < 0)
		return (int)n;
	rest_consume(l, &l->out, (size_t)n);
	return 0;
}

bool
base_line_blocked(const struct base_line *l)
{
	return rest_len(&l->out) > 0;
}

size_t
base_line_unacked(const struct base_line *l)
{
	return stream_unacked(&l->stream) + rest_len(&l->out);
}

int
base_line_shut(struct base_line *l)
{
	if (l->fin_sent)
		return 1;
	if (rest_len(&l->out) > 0)
		return 0;
	int error = stream_shutdown(&l->stream);
	if (error != 0)
		return error;
	l->fin_sent = true;
	return 1;
}

/* ---- in ---- */

static size_t
want(const struct base_line *l)
{
	if (l->read_ended || l->stream.fd == -1)
		return 0;
	return base_want(l->base, l->number, l->in.bytes + l->in.start,
	    rest_len(&l->in));
}

bool
base_line_wants(const struct base_line *l)
{
	return want(l) > 0;
}

int
base_line_take(struct base_line *l)
{
	int used;

	if (rest_len(&l->in) == 0)
		return 0;
	used = base_take(l->base, l->number, l->in.bytes + l->in.start,
	    rest_len(&l->in));
	if (used <= 0)
		return used;
	rest_consume(l, &l->in, (size_t)used);
	return 1;
}

/* Where the next bytes go: at most `max`, behind what is left. */
static int
find_room(struct base_line *l, size_t max, struct span *span)
{
	size_t left = rest_len(&l->in), piece = left;

	if (left == 0) {
		*span = (struct span){ in_bytes, sizeof(in_bytes) };
	} else {
		if (piece < KEEP_MIN)
			piece = KEEP_MIN;
		if (max > piece)
			max = piece;
		if (!rest_grow(l, &l->in, max))
			return -ENOMEM;
		*span = (struct span){ l->in.bytes + l->in.end, max };
	}
	if (span->len > max)
		span->len = max;
	return 0;
}

/* `len` bytes have come where find_room() said. */
static int
take_new(struct base_line *l, size_t len)
{
	int used;

	if (rest_len(&l->in) > 0) {
		l->in.end += len;
		used = base_line_take(l);
		return used < 0 ? used : 0;
	}
	used = base_take(l->base, l->number, in_bytes, len);
	if (used < 0)
		return used;
	return rest_append(l, &l->in, in_bytes + used, len - (size_t)used);
}

int
base_line_read(struct base_line *l)
{
	size_t max;

	for (int i = 0; i < READS && (max = want(l)) > 0; i++) {
		struct span span;
		int error = find_room(l, max, &span);

		if (error != 0)
			return error;
		ssize_t got = stream_read(&l->stream, &span, 1);
		if (got == -EAGAIN)
			return 0;
		if (got <= 0)
			l->read_ended = true;
		if (got < 0)
			return (int)got;
		if (got == 0)
			return base_take_end(l->base, l->number,
			    rest_len(&l->in));
		if ((error = take_new(l, (size_t)got)) != 0)
			return error;
		if ((size_t)got < span.len)
			return 0;
	}
	return 1;
}
