/* SPDX-License-Identifier: ISC */
/*
 * What the TCP of a link knows: which bytes the other end has, a way after they
 * arrived there.  Each side looks at it as the trunk does, now and then.
 */
#include "links.h"

#include <stdlib.h>

#define LOOK_US (SECOND / 10)
#define FIRST_WINDOW UINT64_C(14480)
#define AHEAD_US (SECOND / 8)
#define PATIENCE_US SECOND		/* protocol.md 2.5 */
#define PATIENCE_TRIPS 3

static void on_ack(struct world *, void *, int);

void
link_forget_acks(struct direction *d)
{
	free(d->acks);
	d->acks = NULL;
	d->acks_room = d->first_ack = d->nacks = 0;
}

static void
set_ack(struct world *w, struct link *l, int from)
{
	struct direction *d = &l->from[from];

	if (d->nacks == 0 || d->ack_set)
		return;
	d->ack_set = true;
	world_at(w, d->acks[d->first_ack].at, on_ack, l, from);
}

static void
on_ack(struct world *w, void *object, int from)
{
	struct link *l = object;
	struct direction *d = &l->from[from];

	d->ack_set = false;
	if (l->dead)
		return;
	if (w->now < l->stalled_until) {
		d->ack_set = true;
		world_at(w, l->stalled_until, on_ack, l, from);
		return;
	}
	for (; d->nacks > 0 && d->acks[d->first_ack].at <= w->now; d->nacks--)
		d->acked = d->acks[d->first_ack++].upto;
	set_ack(w, l, from);
}

void
link_delivered(struct world *w, struct link *l, int from, size_t len)
{
	struct direction *d = &l->from[from];

	d->delivered += len;
	if (d->nacks == 0)
		d->first_ack = 0;
	if (d->first_ack + d->nacks == d->acks_room) {
		d->acks_room = d->acks_room * 2 + 16;
		d->acks = realloc(d->acks, d->acks_room * sizeof(*d->acks));
		if (d->acks == NULL)
			abort();
	}
	d->acks[d->first_ack + d->nacks++] = (struct tcp_ack){
		w->now + link_plan(w, l)->delay_us, d->delivered,
	};
	set_ack(w, l, from);
}

static uint64_t
rtt_us(const struct link_plan *plan)
{
	/* What was lost and came again is not measured (Karn), but what waited
	 * for it is. */
	return 2 * plan->delay_us + plan->jitter_us + 1 +
	    2 * plan->delay_us * plan->loss_ppm / 1000000;
}

bool
link_is_quiet(const struct world *w, const struct link *l, int side)
{
	uint64_t since = l->from[side].quiet_since;
	uint64_t patience = PATIENCE_TRIPS * rtt_us(link_plan(w, l));

	if (patience < PATIENCE_US)
		patience = PATIENCE_US;
	return since != 0 && w->now - since > patience + LOOK_US;
}

/* Little was sent: all that is known is the first window. */
static uint64_t
rate_of(const struct link *l, const struct link_plan *plan, uint64_t acked)
{
	uint64_t first = FIRST_WINDOW * SECOND / rtt_us(plan);

	return acked < FIRST_WINDOW ? first : l->rate;
}

/* In slow start each byte that arrives lets out one more. */
static uint64_t
free_bytes(const struct direction *d)
{
	uint64_t window = FIRST_WINDOW + d->acked;
	uint64_t away = d->written - d->acked - d->unsent;

	return window > away ? window - away : 0;
}

/* See reinject_compare(). */
static void
note_holds(uint64_t *holds, const struct group_facts *facts)
{
	uint64_t trip = facts->rtt_min_us > SECOND / 2 ? facts->rtt_min_us :
	    SECOND / 2;
	uint64_t now = facts->rate_bytes_s * trip / SECOND;

	if (now > *holds)
		*holds = now;
}

void
link_look(struct world *w, struct link *l, int side)
{
	const struct link_plan *plan = link_plan(w, l);
	struct direction *d = &l->from[side];
	struct group *group = w->sides[side].group;
	struct group_facts facts = {
		.rtt_us = (uint32_t)rtt_us(plan),
		.rtt_var_us = (uint32_t)plan->jitter_us / 2,
		.rtt_min_us = (uint32_t)(2 * plan->delay_us + 1),
		.acked_bytes = d->acked,
		.waiting_bytes = (uint32_t)(d->written - d->acked),
		.unsent_bytes = (uint32_t)d->unsent,
		.free_bytes = free_bytes(d),
		.rate_bytes_s = rate_of(l, plan, d->acked),
		.sent_bytes = d->written,
		.again_bytes = d->written * plan->loss_ppm / 1000000,
	};

	if (d->looked && group_subflow_idle(group, l->number[side]))
		return;
	d->looked = true;
	d->takes = facts.free_bytes + facts.rate_bytes_s * AHEAD_US / SECOND;
	d->takes -= d->takes < d->unsent ? d->takes : d->unsent;
	if (d->written == d->acked || d->acked != d->seen)
		d->quiet_since = 0;
	else if (d->quiet_since == 0)
		d->quiet_since = w->now;
	d->seen = d->acked;
	group_subflow_facts(group, l->number[side], &facts, w->now);
	note_holds(&w->sides[side].holds[plan->path], &facts);
	if (link_is_quiet(w, l, side) &&
	    !group_subflow_suspect(group, l->number[side]))
		world_fail(w, "link %zu stands still, and the %s does not "
		    "suspect it", l->index, side_names[side]);
	if (d->quiet_since == 0 &&
	    group_subflow_suspect(group, l->number[side]))
		world_fail(w, "link %zu moves, and the %s suspects it",
		    l->index, side_names[side]);
}

static void
on_look(struct world *w, void *object, int side)
{
	(void)object;
	if (w->over)
		return;
	for (size_t i = 0; i < w->nlinks; i++)
		if (w->links[i]->state[side] == END_ATTACHED)
			link_look(w, w->links[i], side);
	world_touch(w, side);
	world_at(w, w->now + LOOK_US, on_look, NULL, side);
}

void
tcp_start(struct world *w, int side)
{
	world_at(w, w->now + LOOK_US, on_look, NULL, side);
}
