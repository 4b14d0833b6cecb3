/* SPDX-License-Identifier: ISC */
#include "sched.h"

#include <stddef.h>

static struct sched_entry *
entry_of(struct list *node)
{
	return list_object(node, struct sched_entry, node);
}

void
sched_init(struct sched *q)
{
	list_init(&q->again);
	list_init(&q->fresh);
	list_init(&q->begun);
	list_init(&q->turns);
	q->awake = 0;
}

void
sched_entry_init(struct sched_entry *e)
{
	list_init(&e->node);
	e->queue = NULL;
	e->deficit = 0;
	e->awake = e->again = e->begun = e->in_turns = e->moving = false;
}

/* Behind all others. */
static void
line_up(struct sched_entry *e)
{
	list_unlink(&e->node);
	list_append(&e->queue->turns, &e->node);
	e->in_turns = true;
}

/* Where it belongs without anything to send again. */
static void
put(struct sched *q, struct sched_entry *e)
{
	list_unlink(&e->node);
	list_append(e->in_turns ? &q->turns : &q->fresh, &e->node);
	e->again = e->begun = false;
}

static void
put_ahead(struct sched *q, struct sched_entry *e, bool first)
{
	if (e->again)
		return;
	list_unlink(&e->node);
	if (first)
		list_prepend(&q->again, &e->node);
	else
		list_append(&q->again, &e->node);
	e->again = true;
}

void
sched_wake(struct sched *q, struct sched_entry *e, enum sched_why why)
{
	bool belongs = e->queue == q;

	if (e->queue != NULL && e->queue != q)
		sched_move(e);
	if (e->queue == NULL) {
		if (!e->moving) {
			e->in_turns = false;
			e->deficit = SCHED_QUANTUM;
		}
		e->moving = false;
		e->queue = q;
	}
	if (why != SCHED_NEW)
		put_ahead(q, e, why == SCHED_AGAIN_FIRST);
	else if (!belongs || e->again || (!e->awake && !e->in_turns))
		put(q, e);
	if (!e->awake)
		q->awake++;
	e->awake = true;
}

void
sched_sleep(struct sched_entry *e)
{
	e->moving = false;
	if (e->queue == NULL || !e->awake)
		return;
	e->awake = false;
	e->queue->awake--;
	if (e->in_turns && !e->again)
		return;
	/* What is left of its quantum it may still use ahead of the others; a
	 * new one it gets when its place among them has come up. */
	e->again = false;
	list_unlink(&e->node);
	list_append(&e->queue->turns, &e->node);
}

void
sched_remove(struct sched_entry *e)
{
	if (e->awake)
		e->queue->awake--;
	list_unlink(&e->node);
	e->queue = NULL;
	e->awake = e->again = e->moving = false;
}

void
sched_move(struct sched_entry *e)
{
	bool moving = e->awake || e->moving;

	sched_remove(e);
	e->moving = moving;
}

struct sched_entry *
sched_pick(struct sched *q)
{
	struct list *node;

	if ((node = list_first(&q->again)) != NULL ||
	    (node = list_first(&q->fresh)) != NULL ||
	    (node = list_first(&q->begun)) != NULL)
		return entry_of(node);
	while ((node = list_first(&q->turns)) != NULL) {
		struct sched_entry *e = entry_of(node);

		if (!e->awake) {
			sched_remove(e);	/* its turn passed asleep */
			continue;
		}
		if (e->deficit > 0)
			return e;
		e->deficit += SCHED_QUANTUM;
		line_up(e);
	}
	return NULL;
}

static struct sched_entry *
first_of(const struct list *head, sched_filter *filter, const void *arg)
{
	struct list *node;

	list_each(node, head) {
		struct sched_entry *e = entry_of(node);

		if (e->awake && filter(e, arg))
			return e;
	}
	return NULL;
}

static struct sched_entry *
first_if(const struct sched *q, sched_filter *filter, const void *arg)
{
	struct sched_entry *e;

	if ((e = first_of(&q->again, filter, arg)) == NULL &&
	    (e = first_of(&q->fresh, filter, arg)) == NULL &&
	    (e = first_of(&q->begun, filter, arg)) == NULL)
		e = first_of(&q->turns, filter, arg);
	return e;
}

struct sched_entry *
sched_pick_if(struct sched *q, sched_filter *filter, const void *arg)
{
	struct sched_entry *e = sched_pick(q);

	return e == NULL || filter(e, arg) ? e : first_if(q, filter, arg);
}

struct sched_entry *
sched_again_if(const struct sched *q, sched_filter *filter, const void *arg)
{
	return first_of(&q->again, filter, arg);
}

bool
sched_awake_if(const struct sched *q, sched_filter *filter, const void *arg)
{
	return first_if(q, filter, arg) != NULL;
}

void
sched_charge(struct sched_entry *e, uint32_t bytes)
{
	if (e->queue == NULL)
		return;
	if (e->again) {		/* (what was lost is no choice of its) */
		list_unlink(&e->node);
		list_append(&e->queue->again, &e->node);
		return;
	}
	e->deficit -= (int32_t)bytes;
	if (e->deficit <= 0) {
		line_up(e);
		e->deficit += SCHED_QUANTUM;
	} else if (e->awake && !e->in_turns && !e->begun) {
		e->begun = true;
		list_unlink(&e->node);
		list_append(&e->queue->begun, &e->node);
	}
}

bool
sched_others(const struct sched *q, const struct sched_entry *e)
{
	return q->awake > (e->queue == q && e->awake ? 1u : 0u);
}

bool
sched_awake(const struct sched *q)
{
	return q->awake > 0;
}
