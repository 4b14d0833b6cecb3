/* SPDX-License-Identifier: ISC */
/*
 * When links come up, stall and die.
 */
#include "links.h"

#include <inttypes.h>
#include <stdlib.h>

static void on_dial(struct world *, void *, int);
static void on_notice(struct world *, void *, int);

/* ---- going down ---- */

/* What did not leave is lost, what did may arrive. */
static void
break_direction(struct world *w, struct link *l, int from)
{
	struct direction *d = &l->from[from];
	size_t departed;

	link_depart(w, l, from);
	d->nsegments = d->departed;
	d->used -= d->unsent;
	departed = d->used;
	switch (random_range(&w->random, 0, 2)) {
	case 0:			/* all of it, when its time comes */
		return;
	case 1:			/* a part; a frame's beginning, perhaps */
		if (departed > 0 && w->now >= l->stalled_until &&
		    l->state[!from] == END_ATTACHED)
			link_hand_over(w, l, from, d->bytes + d->start,
			    random_range(&w->random, 0, departed));
		break;
	default:
		break;
	}
	d->cut = true;
}

void
link_break(struct world *w, struct link *l)
{
	for (int from = 0; from < SIDES; from++)
		break_direction(w, l, from);
	l->dead = true;
}

void
link_stall(struct world *w, struct link *l, uint64_t time_us)
{
	l->stalled_until = w->now + time_us;
	for (int i = 0; i < SIDES; i++)
		if (l->from[i].busy_until < l->stalled_until)
			l->from[i].busy_until = l->stalled_until;
	w->totals.stalls++;
}

static void
stall(struct world *w, struct link *l)
{
	uint64_t time_us = random_log(&w->random, 1, w->plan.stall_max_us);

	world_say(w, "link %zu stalls for %" PRIu64 " us", l->index, time_us);
	link_stall(w, l, time_us);
}

static void
die(struct world *w, struct link *l, bool seen)
{
	world_say(w, "link %zu dies", l->index);
	if (random_once_in(&w->random, 4))
		stall(w, l);
	link_break(w, l);
	w->totals.deaths++;

	uint64_t noticed[SIDES];
	for (int i = 0; i < SIDES; i++) {
		noticed[i] = w->now + random_range(&w->random, 0,
		    w->plan.notice_max_us);
		if (seen && i == PROXY)
			noticed[i] = w->now;
		world_at(w, noticed[i], on_notice, l, i);
	}
	if (link_plan(w, l)->mortal)
		return;
	/* Dialled when the proxy sees it, or on its own account. */
	uint64_t from = random_once_in(&w->random, 3) ? w->now :
	    noticed[PROXY];
	world_at(w, from + random_range(&w->random, 0, w->plan.dial_max_us),
	    on_dial, NULL, (int)l->plan);
}

/* All of its path do, perhaps with an interface of the proxy, who sees that. */
static void
die_together(struct world *w, const struct link *l)
{
	bool seen = random_once_in(&w->random, 2);

	for (size_t i = 0; i < w->nlinks; i++) {
		struct link *o = w->links[i];

		if (!o->dead && o->state[PROXY] == END_ATTACHED &&
		    link_plan(w, o)->path == link_plan(w, l)->path)
			die(w, o, seen);
	}
}

static void
on_notice(struct world *w, void *object, int side)
{
	link_close(w, object, side);
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
		else if (random_once_in(&w->random, 4))
			die_together(w, l);
		else
			die(w, l, false);
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
		link_attach(w, l, RELAY);
}

/* The one that the plan says. */
static void
on_stall(struct world *w, void *object, int which)
{
	struct link *l = object;

	uint64_t again = link_plan(w, l)->stall_again_us;

	(void)which;
	if (l->dead || w->over)
		return;
	link_stall(w, l, link_plan(w, l)->stall_us);
	if (again > 0)
		world_at(w, w->now + link_plan(w, l)->stall_us + again,
		    on_stall, l, 0);
}

static void
on_slow(struct world *w, void *object, int which)
{
	struct link *l = object;

	(void)which;
	if (!l->dead)
		link_slow(w, l, link_plan(w, l)->slow_rate,
		    link_plan(w, l)->slow_loss_ppm);
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
	l->rate = link_plan(w, l)->rate;
	l->loss_ppm = link_plan(w, l)->loss_ppm;
	w->links[w->nlinks++] = l;
	link_attach(w, l, PROXY);
	world_at(w, w->now + link_plan(w, l)->delay_us, on_first_record, l, 0);
	if (link_plan(w, l)->stall_us > 0)
		world_at(w, SECOND + link_plan(w, l)->stall_at_us, on_stall, l,
		    0);
	if (link_plan(w, l)->slow_rate > 0)
		world_at(w, SECOND + link_plan(w, l)->slow_at_us, on_slow, l,
		    0);
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

void
links_restart(struct world *w)
{
	for (size_t i = 0; i < w->nlinks; i++) {
		struct link *l = w->links[i];

		if (l->state[PROXY] == END_ATTACHED)
			group_detach(w->sides[PROXY].group, l->number[PROXY],
			    w->now);
		l->dead = true;
		for (int side = 0; side < SIDES; side++) {
			l->state[side] = END_CLOSED;
			l->from[side].cut = true;
		}
	}
	for (size_t i = 0; i < w->plan.nlinks; i++)
		world_at(w, w->now + random_range(&w->random, 0,
		    w->plan.dial_max_us), on_dial, NULL, (int)i);
}

void
links_free(struct world *w)
{
	for (size_t i = 0; i < w->nlinks; i++)
		link_free(w->links[i]);
	free(w->links);
}
