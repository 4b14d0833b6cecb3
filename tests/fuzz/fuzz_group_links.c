/* SPDX-License-Identifier: ISC */
#include "fuzz_group.h"

#include <assert.h>
#include <string.h>

#include "frames.h"

/* With so much room whatever is due can be written. */
#define AMPLE (WIRE_RECORD_MAX + WIRE_HEADER + WIRE_OPEN_MAX)

void
links_init(struct world *w)
{
	for (int i = 0; i < LINKS; i++) {
		struct link *l = &w->links[i];

		l->number[PROXY] = l->number[RELAY] = DOWN;
		l->fresh = false;
	}
}

static void
empty(struct link *l, int from)
{
	l->queues[from].start = l->queues[from].arrived =
	    l->queues[from].end = 0;
}

void
link_kill(struct world *w, struct link *l, int side)
{
	if (l->number[side] == DOWN)
		return;
	group_detach(w->groups[side], l->number[side], w->now);
	l->number[side] = DOWN;
	empty(l, !side);
	w->moved++;
}

static void
attach(struct world *w, struct link *l, int side)
{
	int replaced;

	l->number[side] = group_attach(w->groups[side], l->path, l->slot,
	    w->now, &replaced);
	assert(l->number[side] >= 0);
	if (side == RELAY)
		l->fresh = false;
	w->moved++;
	for (int i = 0; i < LINKS && replaced >= 0; i++) {
		struct link *other = &w->links[i];

		if (other != l && other->number[side] == replaced) {
			link_kill(w, other, side);
			return;
		}
	}
	assert(replaced < 0);
}

void
link_add(struct world *w, uint8_t path, uint8_t slot, bool both)
{
	for (int i = 0; i < LINKS; i++) {
		struct link *l = &w->links[i];

		if (l->number[PROXY] != DOWN || l->number[RELAY] != DOWN)
			continue;
		empty(l, PROXY);
		empty(l, RELAY);
		l->fresh = true;
		l->path = path;
		l->slot = slot;
		attach(w, l, PROXY);
		if (both)
			attach(w, l, RELAY);
		return;
	}
}

static void
check_sent(const struct world *w, int side, const uint8_t *bytes, size_t len)
{
	struct cursor c = { bytes, bytes + len };
	struct frame f;

	while (frame_next(&c, &f))
		frame_check(&f, side == PROXY, w->options[side].datagram_max);
	assert(c.pos == c.end);
}

void
link_fill(struct world *w, struct link *l, int from, size_t room)
{
	struct group *g = w->groups[from];

	if (l->number[from] == DOWN)
		return;
	if (l->queues[from].start > 0) {
		memmove(l->queues[from].bytes, l->queues[from].bytes +
		    l->queues[from].start,
		    l->queues[from].end - l->queues[from].start);
		l->queues[from].arrived -= l->queues[from].start;
		l->queues[from].end -= l->queues[from].start;
		l->queues[from].start = 0;
	}
	if (room > QUEUE - l->queues[from].end)
		room = QUEUE - l->queues[from].end;

	uint8_t *out = w->scratch + QUEUE - room;
	bool wants = group_wants(g, l->number[from], w->now);
	assert(group_waiting(g, l->number[from], 1, w->now) == 0 ||
	    wants);
	size_t n = group_fill(g, l->number[from], out, room, w->now);
	assert(n <= room && (wants || n == 0));
	assert(!wants || n > 0 || room < AMPLE);
	check_sent(w, from, out, n);
	memcpy(l->queues[from].bytes + l->queues[from].end, out, n);
	l->queues[from].end += n;
	w->moved += n;
}

void
link_deliver(struct world *w, struct link *l, int from, size_t len)
{
	size_t start = l->queues[from].start;
	int to = !from;

	if (len > l->queues[from].end - l->queues[from].arrived)
		len = l->queues[from].end - l->queues[from].arrived;
	if (len == 0)
		return;
	if (to == RELAY && l->fresh)
		attach(w, l, RELAY);
	if (l->number[to] == DOWN)
		return;
	l->queues[from].arrived += len;
	len = l->queues[from].arrived - start;

	uint8_t *copy = w->scratch + QUEUE - len;
	memcpy(copy, l->queues[from].bytes + start, len);
	int used = group_take(w->groups[to], l->number[to], copy, len, w->now);
	assert(used >= 0 && (size_t)used <= len);
	assert(group_heard(w->groups[to], l->number[to]) == w->now);
	l->queues[from].start += (size_t)used;
	w->moved += (uint64_t)used;
}
