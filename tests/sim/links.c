/* SPDX-License-Identifier: ISC */
#include "links.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "told.h"
#include "watch.h"

#define PACKET 1448
#define LOSS_US 10000		/* until it is noticed, and the round trip */

static void on_arrival(struct world *, void *, int);
static void on_departure(struct world *, void *, int);

/* ---- bytes on the way ---- */

static void
forget(struct direction *d)
{
	free(d->bytes);
	free(d->segments);
	free(d->carry);
	link_forget_acks(d);
	d->bytes = d->carry = NULL;
	d->segments = NULL;
	d->used = d->start = d->room = d->carry_len = 0;
	d->nsegments = d->first = d->segments_room = d->departed = 0;
}

static void
put_bytes(struct direction *d, const uint8_t *bytes, size_t len)
{
	if (d->start + d->used + len > d->room && d->start > 0) {
		memmove(d->bytes, d->bytes + d->start, d->used);
		d->start = 0;
	}
	if (d->used + len > d->room) {
		d->room = (d->used + len) * 2;
		d->bytes = realloc(d->bytes, d->room);
		if (d->bytes == NULL)
			abort();
	}
	memcpy(d->bytes + d->start + d->used, bytes, len);
	d->used += len;
}

static void
put_segment(struct direction *d, struct segment segment)
{
	if (d->first + d->nsegments == d->segments_room && d->first > 0) {
		memmove(d->segments, d->segments + d->first,
		    d->nsegments * sizeof(segment));
		d->first = 0;
	}
	if (d->nsegments == d->segments_room) {
		d->segments_room = d->nsegments * 2 + 16;
		d->segments = realloc(d->segments,
		    d->segments_room * sizeof(segment));
		if (d->segments == NULL)
			abort();
	}
	d->segments[d->first + d->nsegments++] = segment;
}

void
link_depart(struct world *w, struct link *l, int from)
{
	struct direction *d = &l->from[from];

	if (l->dead || w->now < l->stalled_until)
		return;		/* or all that is left has departed */
	while (d->departed < d->nsegments) {
		struct segment *s = &d->segments[d->first + d->departed];

		if (s->departs > w->now)
			break;
		d->unsent -= s->len;
		d->departed++;
	}
}

static void
set_events(struct world *w, struct link *l, int side)
{
	struct direction *d = &l->from[side];

	if (d->nsegments > 0 && !d->arrival_set) {
		d->arrival_set = true;
		world_at(w, d->segments[d->first].arrives, on_arrival, l,
		    side);
	}
	if (d->departed < d->nsegments && !d->departure_set) {
		d->departure_set = true;
		world_at(w, d->segments[d->first + d->departed].departs,
		    on_departure, l, side);
	}
}

/* What a loss costs: TCP sends the packet again a round trip later, perhaps
 * more than once, and keeps what comes after it so long. */
static uint64_t
lost_us(struct world *w, const struct link *l, size_t len)
{
	const struct link_plan *plan = link_plan(w, l);
	uint64_t worst = 0;

	if (l->loss_ppm == 0)
		return 0;
	for (size_t i = 0; i < len; i += PACKET) {
		uint64_t us = 0;

		while (random_range(&w->random, 1, 1000000) <= l->loss_ppm)
			us += us == 0 ? 2 * plan->delay_us + LOSS_US :
			    2 * us;
		if (us > worst)
			worst = us;
	}
	return worst;
}

static void
send_segment(struct world *w, struct link *l, int side, const uint8_t *bytes,
    size_t len)
{
	const struct link_plan *plan = link_plan(w, l);
	struct direction *d = &l->from[side];
	struct segment s = { .len = (uint32_t)len };

	s.departs = d->busy_until > w->now ? d->busy_until : w->now;
	s.departs += len * SECOND / l->rate;
	d->busy_until = s.departs;
	s.arrives = s.departs + plan->delay_us;
	s.arrives += lost_us(w, l, len);
	if (plan->jitter_us > 0)
		s.arrives += random_range(&w->random, 0, plan->jitter_us);
	if (s.arrives < d->last_arrival)
		s.arrives = d->last_arrival;
	d->last_arrival = s.arrives;
	put_bytes(d, bytes, len);
	put_segment(d, s);
	set_events(w, l, side);
}

void
link_send(struct world *w, struct link *l, int side, const uint8_t *bytes,
    size_t len)
{
	struct direction *d = &l->from[side];
	size_t most = len;

	if (link_plan(w, l)->slow_at_us > 0 && link_plan(w, l)->fine)
		most = l->rate < link_plan(w, l)->rate ? PACKET : 4 * PACKET;

	d->unsent += len;
	d->written += len;
	if (l->dead)
		return;		/* and stays there: nobody takes it */
	for (size_t n; len > 0; bytes += n, len -= n) {
		n = len < most ? len : most;
		send_segment(w, l, side, bytes, n);
	}
}

void
link_slow(struct world *w, struct link *l, uint64_t rate, uint32_t loss_ppm)
{
	for (int side = 0; side < SIDES; side++) {
		struct direction *d = &l->from[side];
		uint64_t late = 0;

		for (size_t i = d->departed; i < d->nsegments; i++) {
			struct segment *s = &d->segments[d->first + i];
			uint64_t left = s->departs > w->now ?
			    s->departs - w->now : 0;

			late = left * l->rate / rate - left;
			s->departs += late;
			s->arrives += late;
		}
		d->busy_until += late;
		d->last_arrival += late;
	}
	l->rate = rate;
	l->loss_ppm = loss_ppm;
}

void
link_close(struct world *w, struct link *l, int side)
{
	if (l->state[side] == END_ATTACHED) {
		world_say(w, "%s: link %zu is gone", side_names[side],
		    l->index);
		told_closed(w, l, side);
		group_detach(w->sides[side].group, l->number[side], w->now);
		watch_gone(w->watch, side, l->index);
		world_touch(w, side);
	}
	l->state[side] = END_CLOSED;
	if (l->state[!side] == END_CLOSED)
		for (int i = 0; i < SIDES; i++)
			forget(&l->from[i]);
}

void
link_hand_over(struct world *w, struct link *l, int from, const uint8_t *bytes,
    size_t len)
{
	struct direction *d = &l->from[from];
	const int to = !from;

	while (len > 0 && l->state[to] == END_ATTACHED) {
		size_t n = len;

		/* Growing with what waits, or large frames would take for
		 * ever in small pieces. */
		if (w->plan.chunk_max < n)
			n = random_range(&w->random, 1, w->plan.chunk_max +
			    d->carry_len / 4);
		if (n > len)
			n = len;
		/* Of its exact size, so that reading past it is noticed. */
		d->carry = realloc(d->carry, d->carry_len + n);
		if (d->carry == NULL)
			abort();
		memcpy(d->carry + d->carry_len, bytes, n);
		d->carry_len += n;
		bytes += n;
		len -= n;

		size_t whole = watch_arrived(w->watch, to, d->carry,
		    d->carry_len);
		told_arrived(w, l, to, d->carry, whole);
		int used = group_take(w->sides[to].group, l->number[to],
		    d->carry, d->carry_len, w->now);
		if (used < 0 || (size_t)used != whole)
			world_fail(w, "link %zu: the %s used %d of %zu bytes "
			    "with %zu of whole frames", l->index,
			    side_names[to], used, d->carry_len, whole);
		d->carry_len -= whole;
		memmove(d->carry, d->carry + whole, d->carry_len);
		world_touch(w, to);
	}
}

static void
on_close(struct world *w, void *object, int side)
{
	link_close(w, object, side);
}

void
link_attach(struct world *w, struct link *l, int side)
{
	const struct link_plan *plan = link_plan(w, l);
	int replaced;

	l->state[side] = END_ATTACHED;
	l->number[side] = group_attach(w->sides[side].group, plan->path,
	    plan->slot, w->now, &replaced);
	w->sides[side].shut_at = w->now;	/* perhaps there was no other */
	world_touch(w, side);
	world_say(w, "%s: link %zu is up, path %u slot %u, as %d",
	    side_names[side], l->index, plan->path, plan->slot,
	    l->number[side]);
	told_attached(w, l, side);
	if (l->number[side] < 0)
		world_fail(w, "the %s refuses link %zu with %d",
		    side_names[side], l->index, l->number[side]);
	else
		link_look(w, l, side);

	struct link *old = NULL;
	for (size_t i = 0; i < w->nlinks; i++) {
		struct link *o = w->links[i];

		if (o == l || o->state[side] != END_ATTACHED)
			continue;
		if (o->plan == l->plan)
			old = o;
		if (o->number[side] == l->number[side])
			world_fail(w, "the %s gives number %d twice",
			    side_names[side], l->number[side]);
	}
	if (replaced != (old != NULL ? old->number[side] : -1))
		world_fail(w, "the %s says that link %zu replaces %d",
		    side_names[side], l->index, replaced);
	if (old == NULL)
		return;
	w->totals.replaced++;
	if (!old->dead) {
		link_break(w, old);
		world_at(w, w->now + random_range(&w->random, 0,
		    w->plan.notice_max_us), on_close, old, !side);
	}
	link_close(w, old, side);
}

/* The first segment has arrived. */
static void
deliver(struct world *w, struct link *l, int from, size_t len)
{
	struct direction *d = &l->from[from];
	const int to = !from;

	if (l->state[to] == END_NONE && !l->dead)
		link_attach(w, l, to);	/* it brought the handshake's end */
	link_hand_over(w, l, from, d->bytes + d->start, len);
	link_delivered(w, l, from, len);
	d->start += len;
	d->used -= len;
}

static void
on_arrival(struct world *w, void *object, int from)
{
	struct link *l = object;
	struct direction *d = &l->from[from];

	d->arrival_set = false;
	if (d->cut || d->nsegments == 0)
		return;
	if (w->now < l->stalled_until) {
		d->arrival_set = true;
		world_at(w, l->stalled_until, on_arrival, l, from);
		return;
	}
	link_depart(w, l, from);
	while (d->nsegments > 0 && !d->cut) {
		struct segment s = d->segments[d->first];

		if (s.arrives > w->now)
			break;
		d->first++;
		d->nsegments--;
		d->departed--;
		deliver(w, l, from, s.len);
	}
	world_touch(w, from);	/* there may be room again */
	set_events(w, l, from);
}

static void
on_departure(struct world *w, void *object, int from)
{
	struct link *l = object;
	struct direction *d = &l->from[from];

	d->departure_set = false;
	if (l->dead)
		return;
	if (w->now < l->stalled_until) {
		d->departure_set = true;
		world_at(w, l->stalled_until, on_departure, l, from);
		return;
	}
	link_depart(w, l, from);
	set_events(w, l, from);
	world_touch(w, from);
}

void
link_free(struct link *l)
{
	for (int side = 0; side < SIDES; side++)
		forget(&l->from[side]);
	free(l);
}
