/* SPDX-License-Identifier: ISC */
/*
 * The subflows, as a TCP connection looks from its two ends: bytes go in while
 * few wait unsent (late binding), leave at the link's rate, arrive in order
 * after its delay, in pieces that have nothing to do with how they were
 * written.
 *
 * A link dies in one instant.  Of what is under way, in each direction by
 * itself, nothing more arrives, or a part at once, or all of it in its time, be
 * that long after it was sent again elsewhere.  Each end notices at some other
 * time and until then goes on writing into nothing.  Another one of the same path
 * and slot comes up later, perhaps before the death is noticed, perhaps even
 * without one (a change of address), so that the group has to tell which one
 * it replaces.  A stalled link stands still in both directions and then goes
 * on; nobody is told.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "watch.h"
#include "world.h"

#define CANARY 0xa5
#define CANARY_LEN 16
#define PLENTY (WIRE_DATA_MAX + 1024)	/* anything fits */

struct segment {
	uint32_t len;
	uint64_t departs, arrives;
};

/* From one side to the other. */
struct direction {
	uint8_t *bytes;		/* on the way, and what waits before it */
	size_t room, start, used;
	struct segment *segments;	/* of those bytes */
	size_t segments_room, first, nsegments;
	size_t departed;	/* of the segments */
	size_t unsent;		/* bytes of those that did not depart */
	uint64_t busy_until, last_arrival;
	bool arrival_set, departure_set, more_set;
	bool cut;		/* nothing arrives any more */

	uint8_t *carry;		/* arrived, not taken: a frame's beginning */
	size_t carry_len;
};

enum end_state {
	END_NONE,		/* not yet attached there */
	END_ATTACHED,
	END_CLOSED,
};

struct link {
	size_t index, plan;
	bool dead;		/* nothing that is written goes anywhere */
	uint64_t stalled_until;
	enum end_state state[SIDES];
	int number[SIDES];	/* in the side's group */
	struct direction from[SIDES];
};

static uint8_t scratch[PLENTY + (512 << 10) + CANARY_LEN];

static void on_dial(struct world *, void *, int);
static void on_notice(struct world *, void *, int);
static void on_arrival(struct world *, void *, int);
static void on_departure(struct world *, void *, int);

static const struct link_plan *
plan_of(const struct world *w, const struct link *l)
{
	return &w->plan.links[l->plan];
}

/* ---- bytes on the way ---- */

static void
forget(struct direction *d)
{
	free(d->bytes);
	free(d->segments);
	free(d->carry);
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

/* What left the sender makes room there. */
static void
depart(struct world *w, struct link *l, struct direction *d)
{
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

static void
send_bytes(struct world *w, struct link *l, int side, const uint8_t *bytes,
    size_t len)
{
	const struct link_plan *plan = plan_of(w, l);
	struct direction *d = &l->from[side];
	struct segment s = { .len = (uint32_t)len };

	d->unsent += len;
	if (l->dead)
		return;		/* and stays there: nobody takes it */
	s.departs = d->busy_until > w->now ? d->busy_until : w->now;
	s.departs += len * SECOND / plan->rate;
	d->busy_until = s.departs;
	s.arrives = s.departs + plan->delay_us;
	if (plan->jitter_us > 0)
		s.arrives += random_range(&w->random, 0, plan->jitter_us);
	if (s.arrives < d->last_arrival)
		s.arrives = d->last_arrival;
	d->last_arrival = s.arrives;
	put_bytes(d, bytes, len);
	put_segment(d, s);
	set_events(w, l, side);
}

static void
close_end(struct world *w, struct link *l, int side)
{
	if (l->state[side] == END_ATTACHED) {
		world_say(w, "%s: link %zu is gone", side_names[side],
		    l->index);
		group_detach(w->sides[side].group, l->number[side], w->now);
		watch_gone(w->watch, side, l->index);
		world_touch(w, side);
	}
	l->state[side] = END_CLOSED;
	if (l->state[!side] == END_CLOSED)
		for (int i = 0; i < SIDES; i++)
			forget(&l->from[i]);
}

/* Hand what arrived to the group in pieces of any size. */
static void
hand_over(struct world *w, struct link *l, int from, const uint8_t *bytes,
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

/* What did not leave is lost, what did may arrive. */
static void
break_direction(struct world *w, struct link *l, int from)
{
	struct direction *d = &l->from[from];
	size_t departed;

	depart(w, l, d);
	d->nsegments = d->departed;
	d->used -= d->unsent;
	departed = d->used;
	switch (random_range(&w->random, 0, 2)) {
	case 0:			/* all of it, when its time comes */
		return;
	case 1:			/* a part; a frame's beginning, perhaps */
		if (departed > 0 && w->now >= l->stalled_until &&
		    l->state[!from] == END_ATTACHED)
			hand_over(w, l, from, d->bytes + d->start,
			    random_range(&w->random, 0, departed));
		break;
	default:
		break;
	}
	d->cut = true;
}

static void
break_link(struct world *w, struct link *l)
{
	for (int from = 0; from < SIDES; from++)
		break_direction(w, l, from);
	l->dead = true;
}

static void
attach(struct world *w, struct link *l, int side)
{
	const struct link_plan *plan = plan_of(w, l);
	int replaced;

	l->state[side] = END_ATTACHED;
	l->number[side] = group_attach(w->sides[side].group, plan->path,
	    plan->slot, w->now, &replaced);
	world_touch(w, side);
	world_say(w, "%s: link %zu is up, path %u slot %u, as %d",
	    side_names[side], l->index, plan->path, plan->slot,
	    l->number[side]);
	if (l->number[side] < 0)
		world_fail(w, "the %s refuses link %zu with %d",
		    side_names[side], l->index, l->number[side]);

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
		break_link(w, old);
		world_at(w, w->now + random_range(&w->random, 0,
		    w->plan.notice_max_us), on_notice, old, !side);
	}
	close_end(w, old, side);
}

/* The first segment has arrived. */
static void
deliver(struct world *w, struct link *l, int from, size_t len)
{
	struct direction *d = &l->from[from];
	const int to = !from;

	if (l->state[to] == END_NONE && !l->dead)
		attach(w, l, to);	/* it brought the handshake's end */
	hand_over(w, l, from, d->bytes + d->start, len);
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
	depart(w, l, d);
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
	depart(w, l, d);
	set_events(w, l, from);
	world_touch(w, from);
}

/* ---- trouble ---- */

static void
stall(struct world *w, struct link *l)
{
	uint64_t time_us = random_log(&w->random, 1, w->plan.stall_max_us);

	world_say(w, "link %zu stalls for %" PRIu64 " us", l->index, time_us);
	l->stalled_until = w->now + time_us;
	for (int i = 0; i < SIDES; i++)
		if (l->from[i].busy_until < l->stalled_until)
			l->from[i].busy_until = l->stalled_until;
	w->totals.stalls++;
}

static void
die(struct world *w, struct link *l)
{
	world_say(w, "link %zu dies", l->index);
	if (random_once_in(&w->random, 4))
		stall(w, l);
	break_link(w, l);
	w->totals.deaths++;

	uint64_t noticed[SIDES];
	for (int i = 0; i < SIDES; i++) {
		noticed[i] = w->now + random_range(&w->random, 0,
		    w->plan.notice_max_us);
		world_at(w, noticed[i], on_notice, l, i);
	}
	if (plan_of(w, l)->mortal)
		return;
	/* Dialled when the proxy sees it, or on its own account. */
	uint64_t from = random_once_in(&w->random, 3) ? w->now :
	    noticed[PROXY];
	world_at(w, from + random_range(&w->random, 0, w->plan.dial_max_us),
	    on_dial, NULL, (int)l->plan);
}

static void
on_notice(struct world *w, void *object, int side)
{
	close_end(w, object, side);
}

static void
on_trouble(struct world *w, void *object, int which)
{
	struct link *l = w->links[random_range(&w->random, 0,
	    w->nlinks - 1)];
	unsigned left = w->deaths_left + w->stalls_left;

	(void)object, (void)which;
	if (w->over || left == 0)
		return;
	/* Only one is about to come back at a time. */
	bool up = !l->dead && l->state[PROXY] == END_ATTACHED;
	if (up && random_range(&w->random, 0, left - 1) < w->deaths_left) {
		w->deaths_left--;
		if (random_once_in(&w->random, 5))
			on_dial(w, NULL, (int)l->plan);	/* another address */
		else
			die(w, l);
	} else if (up) {
		w->stalls_left--;
		stall(w, l);
	}
	world_at(w, w->now + random_range(&w->random, 1,
	    2 * w->plan.trouble_us), on_trouble, NULL, 0);
}

/* ---- coming up ---- */

/* The proxy's first record, empty, has made its way. */
static void
on_first_record(struct world *w, void *object, int which)
{
	struct link *l = object;

	if (l->dead || l->state[RELAY] != END_NONE)
		return;
	if (w->now < l->stalled_until)
		world_at(w, l->stalled_until, on_first_record, l, which);
	else
		attach(w, l, RELAY);
}

static void
on_dial(struct world *w, void *object, int plan)
{
	struct link *l = calloc(1, sizeof(*l));

	(void)object;
	if (l == NULL)
		abort();
	if (w->nlinks == w->links_room) {
		w->links_room = w->links_room * 2 + 16;
		w->links = realloc(w->links,
		    w->links_room * sizeof(struct link *));
		if (w->links == NULL)
			abort();
	}
	l->index = w->nlinks;
	l->plan = (size_t)plan;
	w->links[w->nlinks++] = l;
	attach(w, l, PROXY);
	world_at(w, w->now + plan_of(w, l)->delay_us, on_first_record, l, 0);
}

void
links_start(struct world *w)
{
	uint64_t spread = random_once_in(&w->random, 2) ? 0 : SECOND;

	for (size_t i = 0; i < w->plan.nlinks; i++)
		world_at(w, w->now + random_range(&w->random, 0, spread),
		    on_dial, NULL, (int)i);
	world_at(w, w->now + spread + w->plan.trouble_us, on_trouble, NULL,
	    0);
}

/* ---- sending ---- */

static size_t
room_in(const struct world *w, const struct link *l, int side)
{
	const struct link_plan *plan = plan_of(w, l);
	const struct direction *d = &l->from[side];
	size_t used = l->dead ? d->unsent : d->used;	/* swallowed there */

	if (d->unsent >= plan->unsent_max || used >= plan->flight_max)
		return 0;
	size_t room = plan->unsent_max - d->unsent;
	if (room > plan->flight_max - used)
		room = plan->flight_max - used;
	return room;
}

bool
links_all_open(struct world *w, int side)
{
	bool any = false;

	if (w->plan.stingy)
		return false;
	for (size_t i = 0; i < w->nlinks; i++) {
		const struct link *l = w->links[i];

		if (l->state[side] != END_ATTACHED)
			continue;
		if (room_in(w, l, side) < PLENTY)
			return false;
		any = true;
	}
	return any;
}

static void
on_more_room(struct world *w, void *object, int side)
{
	struct link *l = object;

	l->from[side].more_set = false;
	world_touch(w, side);
}

static bool
fill(struct world *w, struct link *l, int side)
{
	struct group *group = w->sides[side].group;

	depart(w, l, &l->from[side]);
	size_t room = room_in(w, l, side);
	if (room == 0)
		return false;
	bool stingy = w->plan.stingy && random_once_in(&w->random, 4);
	if (stingy)
		room = random_range(&w->random, 1, room);

	bool wants = group_wants(group, l->number[side], w->now);
	memset(scratch + room, CANARY, CANARY_LEN);
	size_t len = group_fill(group, l->number[side], scratch, room,
	    w->now);
	for (size_t i = 0; i < CANARY_LEN; i++)
		if (scratch[room + i] != CANARY)
			world_fail(w, "the %s fills more than the room",
			    side_names[side]);
	if (len > room)
		world_fail(w, "the %s fills %zu bytes in a room of %zu",
		    side_names[side], len, room);
	if (len > 0 && !wants)
		world_fail(w, "the %s does not want link %zu and fills %zu "
		    "bytes", side_names[side], l->index, len);
	if (len == 0 && wants && room >= PLENTY)
		world_fail(w, "the %s wants link %zu and fills nothing",
		    side_names[side], l->index);
	if (len == 0 && wants && stingy && !l->from[side].more_set) {
		l->from[side].more_set = true;
		world_at(w, w->now + SECOND / 1000, on_more_room, l, side);
	}
	if (len == 0)
		return false;
	watch_sent(w->watch, side, l->index, scratch, len);
	send_bytes(w, l, side, scratch, len);
	return true;
}

bool
links_pump(struct world *w, int side)
{
	size_t first = random_range(&w->random, 0, w->nlinks);
	bool any = false;

	for (size_t i = 0; i < w->nlinks; i++) {
		struct link *l = w->links[(first + i) % w->nlinks];

		if (l->state[side] == END_ATTACHED && fill(w, l, side))
			any = true;
	}
	return any;
}

void
links_ping(struct world *w, int side)
{
	for (size_t i = 0; i < w->nlinks; i++) {
		struct link *l = w->links[i];

		if (l->state[side] != END_ATTACHED)
			continue;
		group_ping(w->sides[side].group, l->number[side], w->now);
		if (group_heard(w->sides[side].group, l->number[side]) >
		    w->now)
			world_fail(w, "the %s heard of link %zu in the future",
			    side_names[side], l->index);
		world_touch(w, side);
	}
}

/* ---- the end ---- */

void
links_check_idle(struct world *w)
{
	for (size_t i = 0; i < w->nlinks; i++) {
		struct link *l = w->links[i];

		for (int side = 0; side < SIDES; side++)
			if (l->state[side] == END_ATTACHED && !l->dead &&
			    group_subflow_busy(w->sides[side].group,
			    l->number[side]))
				world_fail(w, "the %s has no session, yet "
				    "link %zu is busy", side_names[side],
				    l->index);
	}
}

void
links_free(struct world *w)
{
	for (size_t i = 0; i < w->nlinks; i++) {
		for (int side = 0; side < SIDES; side++)
			forget(&w->links[i]->from[side]);
		free(w->links[i]);
	}
	free(w->links);
}
