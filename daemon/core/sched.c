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
	list_init(&q->turns);
	q->awake = 0;
}

void
sched_entry_init(struct sched_entry *e)
{
	list_init(&e->node);
	e->queue = NULL;
	e->deficit = 0;
	e->awake = e->in_turns = false;
}

/* Behind all others. */
static void
line_up(struct sched_entry *e)
{
	list_unlink(&e->node);
	list_append(&e->queue->turns, &e->node);
	e->in_turns = true;
}

void
sched_wake(struct sched *q, struct sched_entry *e, bool again)
{
	if (e->queue != NULL && (e->queue != q || again))
		sched_remove(e);
	if (e->queue == NULL) {
		e->queue = q;
		e->in_turns = false;
		e->deficit = SCHED_QUANTUM;
		list_append(again ? &q->again : &q->fresh, &e->node);
	} else if (!e->awake && !e->in_turns) {
		list_unlink(&e->node);
		list_append(&q->fresh, &e->node);
	}
	if (!e->awake)
		q->awake++;
	e->awake = true;
}

void
sched_sleep(struct sched_entry *e)
{
	if (e->queue == NULL || !e->awake)
		return;
	e->awake = false;
	e->queue->awake--;
	if (e->in_turns)
		return;
	/* What is left of its quantum it may still use ahead of the others; a
	 * new one it gets when its place among them has come up. */
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
	e->awake = false;
}

struct sched_entry *
sched_pick(struct sched *q)
{
	struct list *node;

	if ((node = list_first(&q->again)) != NULL ||
	    (node = list_first(&q->fresh)) != NULL)
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
	    (e = first_of(&q->fresh, filter, arg)) == NULL)
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
	e->deficit -= (int32_t)bytes;
	if (e->deficit > 0 || e->queue == NULL)
		return;
	line_up(e);
	e->deficit += SCHED_QUANTUM;
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
