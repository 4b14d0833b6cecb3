/* SPDX-License-Identifier: ISC */
/*
 * A session of the base protocol, driven by a sequence of operations.  What one
 * end sends reaches the other over subflows that keep order, each at its own
 * pace; in place of it, or between it, come bytes of the input.  As long as
 * none did, every byte has to arrive as it was sent.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"

#define SUBFLOWS 4
#define PIPE (8u << 10)
#define TEXT_MAX (16u << 10)
#define SLACK 20000		/* the datagram that is due is always taken */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* From one end to the other. */
struct pipe {
	uint8_t bytes[PIPE];
	size_t start, end;
	bool closed;		/* by the sender */
	bool ended;		/* the receiver knows */
};

struct world {
	struct budget budgets[2];
	struct base *from, *to;
	struct pipe pipes[SUBFLOWS];
	int count;
	size_t limit;
	bool foreign;		/* bytes that nobody sent have come */
	bool broken;		/* and were found wrong */
	uint8_t given[TEXT_MAX];
	size_t ngiven, ndelivered;
	uint64_t progress;	/* bytes that moved, and ends */
};

static struct world world;

static uint8_t
next(struct cursor *in)
{
	return in->pos < in->end ? *in->pos++ : 0;
}

static void
check(const struct world *w)
{
	assert(base_outstanding(w->from) < BASE_OUTSTANDING);
	assert(w->budgets[1].held_bytes <= w->limit + SLACK);
	if (!w->foreign)
		assert(base_state(w->to) != BASE_LOST);
}

static void
give(struct world *w, size_t len)
{
	size_t room = base_room(w->from);

	if (len > room)
		len = room;
	if (len > TEXT_MAX - w->ngiven)
		len = TEXT_MAX - w->ngiven;
	if (len == 0)
		return;
	for (size_t i = 0; i < len; i++)
		w->given[w->ngiven + i] =
		    (uint8_t)((w->ngiven + i) * 2654435761u >> 11);
	if (base_give(w->from, w->given + w->ngiven, len) == 0)
		w->ngiven += len;
}

static void
fill(struct world *w, int i, size_t room)
{
	struct pipe *p = &w->pipes[i];
	size_t n;

	if (p->start > 0) {
		memmove(p->bytes, p->bytes + p->start, p->end - p->start);
		p->end -= p->start;
		p->start = 0;
	}
	if (room > PIPE - p->end)
		room = PIPE - p->end;
	base_acked(w->from, i, p->end);
	if (room <= WIRE_BASE_HEADER || p->closed)
		return;
	n = base_fill(w->from, i, p->bytes + p->end, room);
	assert(n <= room && (n == 0 || n > WIRE_BASE_HEADER));
	p->end += n;
	w->progress += n;
	if (base_flushed(w->from))
		p->closed = true;
}

/* Exactly `len` bytes of allocated memory, so that a sanitizer sees a read past
 * their end. */
static int
take_copy(struct world *w, int i, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int used;

	assert(copy != NULL);
	if (len > 0)
		memcpy(copy, bytes, len);
	(void)base_want(w->to, i, copy, len);
	used = base_take(w->to, i, copy, len);
	assert(used <= (int)len);
	if (used >= 0 && !w->foreign)
		(void)base_want(w->to, i, copy + used, len - (size_t)used);
	free(copy);
	if (used < 0) {
		assert(w->foreign);
		w->broken = true;
	}
	return used;
}

static void
take(struct world *w, int i, size_t len)
{
	struct pipe *p = &w->pipes[i];
	int used;

	if (p->ended)
		return;
	if (len > p->end - p->start)
		len = p->end - p->start;
	used = take_copy(w, i, p->bytes + p->start, len);
	if (used > 0) {
		p->start += (size_t)used;
		w->progress += (size_t)used;
	}
	if (!w->broken && p->closed && p->start == p->end) {
		assert(base_take_end(w->to, i, 0) == 0);
		p->ended = true;
		w->progress++;
	}
}

static void
take_foreign(struct world *w, int i, struct cursor *in)
{
	size_t len = next(in);

	if (len > (size_t)(in->end - in->pos))
		len = (size_t)(in->end - in->pos);
	if (!w->pipes[i].ended) {
		w->foreign = true;
		(void)take_copy(w, i, in->pos, len);
	}
	in->pos += len;
}

static void
deliver(struct world *w, size_t len)
{
	struct span spans[3];
	int n = base_peek(w->to, spans, 3);
	size_t total = 0;

	for (int i = 0; i < n; i++) {
		if (!w->foreign)
			assert(memcmp(spans[i].base, w->given +
			    w->ndelivered + total, spans[i].len) == 0);
		total += spans[i].len;
	}
	if (len > total)
		len = total;
	base_consume(w->to, len);
	w->ndelivered += len;
	w->progress += len;
	assert(base_bytes_in(w->to) == w->ndelivered);
	assert(w->foreign || w->ndelivered <= w->ngiven);
}

static void
step(struct world *w, struct cursor *in)
{
	uint8_t op = next(in);
	int i = op >> 4 & 3;
	size_t amount = op & 0x80 ? next(in) * 64u : next(in);

	switch (op & 7) {
	case 0:
		give(w, amount);
		break;
	case 1:
		base_give_end(w->from);
		break;
	case 2:
	case 3:
		if (i < w->count)
			fill(w, i, amount + WIRE_BASE_HEADER + 1);
		break;
	case 4:
	case 5:
		if (i < w->count)
			take(w, i, amount);
		break;
	case 6:
		deliver(w, amount);
		break;
	case 7:
		if (i < w->count && op & 8)
			take_foreign(w, i, in);
		else if (w->count < SUBFLOWS &&
		    base_joinable(w->from) == 0 && base_joinable(w->to) == 0) {
			base_join(w->from);
			base_join(w->to);
			w->count++;
		} else {
			base_settle(w->from);
			base_settle(w->to);
		}
		break;
	}
}

/* Without harm from outside all of it arrives in the end. */
static void
finish(struct world *w)
{
	base_give_end(w->from);
	base_settle(w->from);
	base_settle(w->to);
	while (base_state(w->to) != BASE_END) {
		uint64_t before = w->progress;

		for (int i = 0; i < w->count; i++)
			fill(w, i, PIPE);
		for (int i = 0; i < w->count; i++) {
			deliver(w, SIZE_MAX);
			take(w, i, PIPE);
			deliver(w, SIZE_MAX);
		}
		assert(w->progress > before);
	}
	assert(w->ndelivered == w->ngiven);
}

static struct base *
make(struct world *w, int k, size_t datagram_max)
{
	struct base *b;

	budget_init(&w->budgets[k], UINT64_C(1) << 30);
	b = base_new(&(struct base_options){
		.proxy = k == 0,
		.limit_bytes = w->limit,
		.datagram_max = datagram_max,
		.budget = &w->budgets[k],
	});
	assert(b != NULL);
	return b;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const size_t limits[] = { 0, 100, 10000, 1 << 20 };
	static const size_t datagrams[] = { 1, 100, 16384, WIRE_BASE_MAX };
	struct cursor in = { data, data + len };
	struct world *w = &world;
	uint8_t first = next(&in);

	for (int i = 0; i < SUBFLOWS; i++) {
		w->pipes[i].start = w->pipes[i].end = 0;
		w->pipes[i].closed = w->pipes[i].ended = false;
	}
	w->foreign = w->broken = false;
	w->ngiven = w->ndelivered = 0;
	w->limit = limits[first & 3];
	w->from = make(w, 0, datagrams[first >> 2 & 3]);
	w->to = make(w, 1, WIRE_BASE_MAX);
	w->count = 1 + (first >> 4 & 1);
	for (int i = 0; i < w->count; i++) {
		base_join(w->from);
		base_join(w->to);
	}
	while (in.pos < in.end && !w->broken) {
		step(w, &in);
		check(w);
	}
	if (!w->foreign)
		finish(w);
	base_free(w->from);
	base_free(w->to);
	assert(w->budgets[0].held_bytes == 0);
	assert(w->budgets[1].held_bytes == 0);
	return 0;
}
