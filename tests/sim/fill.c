/* SPDX-License-Identifier: ISC */
/*
 * What a side sends: each subflow that has room is offered to the group.
 */
#include "links.h"

#include <inttypes.h>
#include <string.h>

#include "told.h"
#include "watch.h"

#define CANARY 0xa5
#define CANARY_LEN 16
#define PLENTY (WIRE_DATA_MAX + 1024)	/* anything fits */
#define ROOM_MAX (512 << 10)
#define DOUBTS_SHARE 8			/* reinject.h */
#define DOUBTS_LEAST (2 * WIRE_DATA_MAX)

static uint8_t scratch[ROOM_MAX + CANARY_LEN];

static size_t
room_in(const struct world *w, const struct link *l, int side)
{
	const struct link_plan *plan = link_plan(w, l);
	const struct direction *d = &l->from[side];
	size_t used = l->dead ? d->unsent : d->used;	/* swallowed there */

	if (d->unsent >= plan->unsent_max || used >= plan->flight_max)
		return 0;
	size_t room = plan->unsent_max - d->unsent;
	if (room > plan->flight_max - used)
		room = plan->flight_max - used;
	return room;
}

static void
on_more_room(struct world *w, void *object, int side)
{
	struct link *l = object;

	l->from[side].more_set = false;
	world_touch(w, side);
}

/* One that stands still gets no datagrams while another does not. */
static void
check_quiet(struct world *w, const struct link *l, int side, size_t len)
{
	struct cursor c = { scratch, scratch + len };
	struct wire_header h;
	bool other = false;

	if (!link_is_quiet(w, l, side))
		return;
	for (size_t i = 0; i < w->nlinks; i++)
		if (w->links[i]->state[side] == END_ATTACHED &&
		    w->links[i]->from[side].quiet_since == 0)
			other = true;
	for (; other && wire_get_header(&c, &h) == WIRE_OK; c.pos += h.size)
		if (h.type == WIRE_DATA || h.type == WIRE_FIN)
			world_fail(w, "the %s gives link %zu a datagram of "
			    "session %u, and it stands still", side_names[side],
			    l->index, h.connection);
}

/* Nor does one whose TCP would keep them to itself. */
static void
check_room(struct world *w, struct link *l, int side, size_t len)
{
	struct direction *d = &l->from[side];
	struct cursor c = { scratch, scratch + len };
	struct wire_header h;
	const size_t before = WIRE_HEADER + WIRE_OPEN_MAX + WIRE_CONTROL_MAX;

	for (; wire_get_header(&c, &h) == WIRE_OK; c.pos += h.size) {
		const size_t at = (size_t)(c.pos - scratch);

		if (h.type == WIRE_DATA && at > d->takes + before)
			world_fail(w, "the %s gives link %zu a datagram of "
			    "session %u, and its TCP would keep it",
			    side_names[side], l->index, h.connection);
	}
	d->takes -= len < d->takes ? len : d->takes;
}

static bool
is_backup(const struct world *w, const struct link *l)
{
	return w->plan.paths[w->reloaded][link_plan(w, l)->path].backup;
}

/* May a side send datagrams there?  The relay hears later than others what the
 * proxy's configuration is. */
static bool
may_carry(const struct world *w, const struct link *l, int side)
{
	if (side == RELAY)
		return group_subflow_used(w->sides[side].group,
		    l->number[side]);
	bool other = false;

	if (!is_backup(w, l))
		return true;
	for (size_t i = 0; i < w->nlinks; i++) {
		const struct link *o = w->links[i];

		if (o->state[side] != END_ATTACHED || is_backup(w, o))
			continue;
		if (o->from[side].quiet_since != 0)	/* so may be others */
			return true;
		other = true;
	}
	return !other;
}

/* A backup may be asked and answer, no more. */
static void
check_use(const struct world *w, const struct link *l, int side, size_t len)
{
	struct cursor c = { scratch, scratch + len };
	struct wire_header h;

	if (may_carry(w, l, side))
		return;
	for (; wire_get_header(&c, &h) == WIRE_OK; c.pos += h.size)
		if (h.type == WIRE_DATA || h.type == WIRE_FIN)
			world_fail(w, "the %s sends %s over link %zu, which "
			    "is not in use", side_names[side],
			    wire_type_text(h.type), l->index);
}

/*
 * What suspects carry goes again within an allowance (reinject.h), besides the
 * oldest of each session.  Sessions that are to send already when it is used up
 * have one datagram each.  (Of what a dead one carried all goes, in order, and
 * what others carry with it.)
 */
static void
check_doubts(const struct world *w, int side)
{
	const struct metrics *m = group_metrics(w->sides[side].group);
	uint64_t most = DOUBTS_LEAST + m->sent_bytes / DOUBTS_SHARE +
	    w->plan.nflows * WIRE_DATA_MAX;

	if (w->totals.deaths + w->totals.replaced + w->totals.restarts > 0)
		return;
	for (size_t i = 0; i < SIM_PATHS; i++)
		most += w->sides[side].holds[i];
	if (m->suspect_bytes > most + watch_heads(w->watch, side))
		world_fail(w, "the %s sends %" PRIu64 " bytes again that "
		    "suspects carry, and %" PRIu64 " of the oldest; %" PRIu64
		    " are allowed", side_names[side], m->suspect_bytes,
		    watch_heads(w->watch, side), most);
}

static bool
fill(struct world *w, struct link *l, int side)
{
	struct group *group = w->sides[side].group;

	link_depart(w, l, side);
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
	check_quiet(w, l, side, len);
	check_room(w, l, side, len);
	check_use(w, l, side, len);
	watch_sent(w->watch, side, l->index, scratch, len);
	check_doubts(w, side);
	told_sent(w, l, side, scratch, len);
	len = told_versions(w, side, scratch, len, room);
	link_send(w, l, side, scratch, len);
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

bool
links_any_up(const struct world *w, int side)
{
	for (size_t i = 0; i < w->nlinks; i++)
		if (w->links[i]->state[side] == END_ATTACHED &&
		    !w->links[i]->dead)
			return true;
	return false;
}

uint64_t
links_rtt_min(const struct world *w)
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < w->plan.nlinks; i++)
		if (2 * w->plan.links[i].delay_us < least)
			least = 2 * w->plan.links[i].delay_us;
	return least;
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
