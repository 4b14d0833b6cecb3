/* SPDX-License-Identifier: ISC */
#include "sendq.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define APPEND_MIN 64		/* allocate at least so much for small writes */
#define CUT_MIN 1024		/* a window smaller than this is waited for as
				 * long as anything is under way (RFC 9293,
				 * 3.8.6.2.1: silly window avoidance) */

static size_t
size_of(const struct datagram *d)
{
	return sizeof(*d) + d->room + 16;	/* the allocator's, about */
}

static uint64_t
cost_of(const struct datagram *d)
{
	return d->type == WIRE_DATA ? d->len + WIRE_COST : 0;
}

static void
hold(struct sendq *q, int64_t bytes)
{
	q->held += (uint64_t)bytes;
	budget_hold(q->budget, bytes);
}

static struct datagram *
datagram_of(struct list *node)
{
	return list_object(node, struct datagram, node);
}

/* Does a copy count? */
static bool
carried(const struct sendq *q, const struct datagram *d)
{
	return (d->copies & ~q->stalled) != 0;
}

bool
sendq_doubts(const struct sendq *q, const struct datagram *d)
{
	return !carried(q, d) && (d->copies & ~q->gone) != 0;
}

/* It is one of the lost, if it is. */
static void
count(struct sendq *q, const struct datagram *d)
{
	q->lost += !carried(q, d);
	q->doubted += sendq_doubts(q, d);
}

static void
discount(struct sendq *q, const struct datagram *d)
{
	q->lost -= !carried(q, d);
	q->doubted -= sendq_doubts(q, d);
}

static struct datagram *
first_unsent(const struct sendq *q)
{
	struct list *node = list_first(&q->unsent);

	return node != NULL ? datagram_of(node) : NULL;
}

void
sendq_init(struct sendq *q, uint64_t first, struct budget *budget)
{
	*q = (struct sendq){
		.budget = budget, .next = first, .acked = first,
	};
	list_init(&q->unacked);
	list_init(&q->unsent);
	q->again = &q->unacked;
}

static void
once(struct sendq *q, struct datagram *d)
{
	q->twice -= d->twice;
	d->twice = false;
}

static void
drop(struct sendq *q, struct datagram *d)
{
	once(q, d);
	list_unlink(&d->node);
	hold(q, -(int64_t)size_of(d));
	free(d);
}

static void
put_down(const struct datagram *d, uint64_t carries[])
{
	for (uint64_t c = d->copies; c != 0; c &= c - 1)
		carries[__builtin_ctzll(c)] -= d->len;
}

void
sendq_clear(struct sendq *q, uint64_t carries[])
{
	struct list *node;

	while ((node = list_first(&q->unacked)) != NULL) {
		put_down(datagram_of(node), carries);
		drop(q, datagram_of(node));
	}
	while ((node = list_first(&q->unsent)) != NULL)
		drop(q, datagram_of(node));
	q->again = &q->unacked;
	q->lost = q->doubted = 0;
	q->unsent_bytes = q->unacked_bytes = 0;
}

void
sendq_take(struct sendq *q, struct sendq *from)
{
	struct list *node;

	assert(sendq_empty(q) && list_empty(&from->unacked));
	while ((node = list_first(&from->unsent)) != NULL) {
		list_unlink(node);
		list_append(&q->unsent, node);
	}
	q->held = from->held;
	q->unsent_bytes = from->unsent_bytes;
	q->ended = from->ended;
	from->held = from->unsent_bytes = 0;
}

struct datagram *
sendq_datagram(size_t len)
{
	struct datagram *d = malloc(sizeof(*d) + len);

	if (d == NULL)
		return NULL;
	*d = (struct datagram){ .room = (uint32_t)len, .type = WIRE_DATA };
	list_init(&d->node);
	return d;
}

static void
push(struct sendq *q, struct datagram *d)
{
	list_append(&q->unsent, &d->node);
	hold(q, (int64_t)size_of(d));
}

int
sendq_item(struct sendq *q, uint8_t type, const uint8_t *body, size_t len)
{
	struct datagram *d = sendq_datagram(len);

	assert(!q->ended);
	if (d == NULL)
		return -ENOMEM;
	d->type = type;
	d->len = (uint32_t)len;
	memcpy(d->data, body, len);
	push(q, d);
	q->ended = type == WIRE_FIN;
	return 0;
}

/* The last unsent datagram with room for `len` more bytes, moved if it has to
 * be; NULL: there is none to append to, or no memory. */
static struct datagram *
open_tail(struct sendq *q, size_t len)
{
	if (list_empty(&q->unsent))
		return NULL;
	struct datagram *d = datagram_of(q->unsent.prev);
	size_t need = d->off + d->len + len;
	if (d->type != WIRE_DATA || need > WIRE_DATA_MAX)
		return NULL;
	if (need <= d->room)
		return d;
	if (need < 2 * (size_t)d->room)
		need = 2 * (size_t)d->room;
	struct datagram *bigger = sendq_datagram(need);
	if (bigger == NULL)
		return NULL;
	memcpy(bigger->data, d->data + d->off, d->len);
	bigger->len = d->len;
	drop(q, d);
	push(q, bigger);
	return bigger;
}

int
sendq_append(struct sendq *q, const uint8_t *bytes, size_t len)
{
	assert(!q->ended);
	while (len > 0) {
		size_t n = len < WIRE_DATA_MAX ? len : WIRE_DATA_MAX;
		struct datagram *d = open_tail(q, n);

		if (d == NULL) {
			d = sendq_datagram(n > APPEND_MIN ? n : APPEND_MIN);
			if (d == NULL)
				return -ENOMEM;
			push(q, d);
		}
		memcpy(d->data + d->off + d->len, bytes, n);
		d->len += (uint32_t)n;
		q->unsent_bytes += n;
		bytes += n;
		len -= n;
	}
	return 0;
}

void
sendq_adopt(struct sendq *q, struct datagram *d, size_t len)
{
	assert(!q->ended && len > 0 && len <= d->room);
	d->len = (uint32_t)len;
	push(q, d);
	q->unsent_bytes += len;
}

/* How much of the first unsent DATA the window takes; 0: nothing now. */
static size_t
window_room(const struct sendq *q, const struct datagram *d, uint64_t edge)
{
	if (edge < q->cost_sent + WIRE_COST + 1)
		return 0;
	uint64_t room = edge - q->cost_sent - WIRE_COST;
	if (room >= d->len)
		return d->len;
	if (room < CUT_MIN && q->cost_sent > q->cost_acked)
		return 0;
	return (size_t)room;
}

static bool
new_ready(const struct sendq *q, uint64_t edge)
{
	const struct datagram *d = first_unsent(q);

	return d != NULL &&
	    (d->type != WIRE_DATA || window_room(q, d, edge) > 0);
}

bool
sendq_ready(const struct sendq *q, uint64_t edge)
{
	return sendq_again(q) || new_ready(q, edge);
}

static struct datagram *
first_lost(const struct sendq *q)
{
	struct list *node = q->again != &q->unacked ? q->again :
	    q->unacked.next;

	while (carried(q, datagram_of(node)))
		node = node->next;
	return datagram_of(node);
}

/* (Where a subflow died nothing of the session waits.) */
bool
sendq_again(const struct sendq *q)
{
	const struct datagram *d;

	if (q->lost == 0)
		return false;
	if (q->lost > q->doubted || q->credit == NULL)
		return true;
	d = first_lost(q);
	return d->len <= *q->credit || &d->node == list_first(&q->unacked);
}

static bool
lost_next(const struct sendq *q, uint64_t edge)
{
	return q->lost > 0 && (sendq_again(q) || !new_ready(q, edge));
}

size_t
sendq_next_len(const struct sendq *q, uint64_t edge)
{
	const struct datagram *d = first_unsent(q);

	if (lost_next(q, edge))
		return first_lost(q)->len;
	if (d == NULL)
		return 0;
	return d->type == WIRE_DATA ? window_room(q, d, edge) : d->len;
}

/* Make the first `len` bytes of the first unsent datagram one of their own. */
static struct datagram *
cut(struct sendq *q, struct datagram *rest, size_t len)
{
	struct datagram *d = sendq_datagram(len);

	if (d == NULL)
		return NULL;
	memcpy(d->data, rest->data + rest->off, len);
	d->len = (uint32_t)len;
	rest->off += (uint32_t)len;
	rest->len -= (uint32_t)len;
	list_prepend(&q->unsent, &d->node);
	hold(q, (int64_t)size_of(d));
	return d;
}

struct datagram *
sendq_next(struct sendq *q, uint64_t edge, size_t max)
{
	if (q->lost > 0)
		q->again = &first_lost(q)->node;
	if (lost_next(q, edge))
		return datagram_of(q->again);
	struct datagram *d = first_unsent(q);
	if (d == NULL || d->type != WIRE_DATA)
		return d;
	size_t len = window_room(q, d, edge);
	if (len > max)
		len = max;
	if (len == 0)
		return NULL;
	return len < d->len ? cut(q, d, len) : d;
}

static void
first_sending(struct sendq *q, struct datagram *d, uint64_t now)
{
	d->serial = q->next++;
	d->sent_us = now;
	q->cost_sent += cost_of(d);
	d->cost_end = q->cost_sent;
	if (d->type == WIRE_DATA) {
		q->unsent_bytes -= d->len;
		q->unacked_bytes += d->len;
	}
	list_unlink(&d->node);
	list_append(&q->unacked, &d->node);
}

void
sendq_sent(struct sendq *q, struct datagram *d, int subflow, uint64_t now)
{
	if (d->sent_us == 0)
		first_sending(q, d, now);
	else
		discount(q, d);
	once(q, d);
	d->copies |= UINT64_C(1) << subflow;
	count(q, d);
}

void
sendq_twice(struct sendq *q, struct datagram *d)
{
	q->twice += !d->twice;
	d->twice = true;
}

void
sendq_second_on(struct sendq *q, int subflow)
{
	struct list *node;

	list_each(node, &q->unacked)
		if ((datagram_of(node)->copies >> subflow & 1) != 0)
			once(q, datagram_of(node));
}

struct datagram *
sendq_second(struct sendq *q)
{
	struct list *node = q->unacked.prev;

	if (q->twice == 0)
		return NULL;
	while (!datagram_of(node)->twice)
		node = node->prev;
	return datagram_of(node);
}

int
sendq_ack(struct sendq *q, uint64_t next, uint64_t carries[])
{
	struct list *node;

	if (next > q->next)
		return -EPROTO;
	while ((node = list_first(&q->unacked)) != NULL) {
		struct datagram *d = datagram_of(node);

		if (d->serial >= next)
			break;
		put_down(d, carries);
		discount(q, d);
		if (d->type == WIRE_DATA)
			q->unacked_bytes -= d->len;
		q->cost_acked = d->cost_end;
		if (q->again == node)
			q->again = node->next;
		drop(q, d);
	}
	if (next > q->acked)
		q->acked = next;
	return 0;
}

size_t
sendq_lose(struct sendq *q, int subflow)
{
	const uint64_t bit = UINT64_C(1) << subflow;
	struct list *node;

	list_each(node, &q->unacked) {
		struct datagram *d = datagram_of(node);

		discount(q, d);
		d->copies &= ~bit;
		count(q, d);
	}
	q->again = &q->unacked;
	return q->lost;
}

void
sendq_stall(struct sendq *q, uint64_t subflows, uint64_t gone)
{
	struct list *node;

	if (q->stalled == subflows && q->gone == gone)
		return;
	q->stalled = subflows;
	q->gone = gone;
	q->lost = q->doubted = 0;
	list_each(node, &q->unacked)
		count(q, datagram_of(node));
	q->again = &q->unacked;
}

bool
sendq_empty(const struct sendq *q)
{
	return list_empty(&q->unacked) && list_empty(&q->unsent);
}
