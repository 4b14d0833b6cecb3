/* SPDX-License-Identifier: ISC */
#include "reorder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

#define RING_MIN 16
#define MISSING_COST (WIRE_COST + 1)	/* the least that a datagram can cost */
#define CHUNK_OVERHEAD (sizeof(struct chunk) + 16)	/* allocator's too */

struct chunk {
	size_t len;
	uint8_t data[];
};

void
reorder_init(struct reorder *r, uint64_t first, struct budget *budget)
{
	*r = (struct reorder){
		.budget = budget, .head = first, .next = first, .end = first,
	};
}

static struct chunk **
slot(const struct reorder *r, uint64_t serial)
{
	return &r->ring[serial & (r->ring_size - 1)];
}

static void
hold(struct reorder *r, int64_t bytes)
{
	r->held += (uint64_t)bytes;
	budget_hold(r->budget, bytes);
}

static void
chunk_free(struct reorder *r, struct chunk **c)
{
	hold(r, -(int64_t)((*c)->len + CHUNK_OVERHEAD));
	free(*c);
	*c = NULL;
}

void
reorder_clear(struct reorder *r)
{
	for (uint64_t s = r->head; s < r->end; s++)
		if (*slot(r, s) != NULL)
			chunk_free(r, slot(r, s));
	hold(r, -(int64_t)(r->ring_size * sizeof(*r->ring)));
	assert(r->held == 0);
	free(r->ring);
	r->ring = NULL;
	r->ring_size = 0;
	r->head = r->end = r->next;
	r->head_used = 0;
	r->ready_bytes = 0;
	r->cost_early = 0;
}

/* Make room for serials [head, serial]. */
static bool
grow(struct reorder *r, uint64_t serial)
{
	size_t size = r->ring_size != 0 ? r->ring_size : RING_MIN;

	while (serial - r->head >= size)
		size *= 2;
	if (size == r->ring_size)
		return true;
	struct chunk **ring = calloc(size, sizeof(*ring));
	if (ring == NULL)
		return false;
	for (uint64_t s = r->head; s < r->end; s++)
		ring[s & (size - 1)] = *slot(r, s);
	hold(r, (int64_t)((size - r->ring_size) * sizeof(*ring)));
	free(r->ring);
	r->ring = ring;
	r->ring_size = size;
	return true;
}

/*
 * Can `serial` with `cost` lie within what was offered?  All that the peer must
 * have sent for that is what is in order, and from there every serial up to the
 * highest: each of them costs something even if it is missing, and together
 * they cost no less than the early ones that are here.
 */
static bool
offered_enough(const struct reorder *r, uint64_t serial, uint64_t cost,
    uint64_t offered)
{
	uint64_t others = (serial >= r->end ? serial : r->end - 1) - r->next;
	uint64_t least = others * MISSING_COST;

	if (least < r->cost_early)
		least = r->cost_early;
	return r->cost_next + least + cost <= offered;
}

bool
reorder_within(const struct reorder *r, uint64_t serial, uint64_t offered)
{
	return serial <= r->next || offered_enough(r, serial, 0, offered);
}

/* Everything from `next` on that is there is in order now. */
static void
advance(struct reorder *r)
{
	while (r->next < r->end && *slot(r, r->next) != NULL) {
		size_t len = (*slot(r, r->next))->len;

		r->cost_early -= len + WIRE_COST;
		r->cost_next += len + WIRE_COST;
		r->ready_bytes += len;
		r->next++;
	}
}

enum reorder_result
reorder_put(struct reorder *r, uint64_t serial, const uint8_t *data,
    size_t len, uint64_t offered)
{
	assert(len > 0);
	if (serial < r->next)
		return REORDER_DUPLICATE;
	if (serial < r->end && *slot(r, serial) != NULL)
		return REORDER_DUPLICATE;
	if (!offered_enough(r, serial, len + WIRE_COST, offered))
		return REORDER_OVERRUN;
	struct chunk *c = malloc(sizeof(*c) + len);
	if (c == NULL || !grow(r, serial)) {
		free(c);
		return REORDER_NOMEM;
	}
	c->len = len;
	memcpy(c->data, data, len);
	hold(r, (int64_t)(len + CHUNK_OVERHEAD));
	*slot(r, serial) = c;
	r->cost_early += len + WIRE_COST;
	if (serial >= r->end)
		r->end = serial + 1;
	if (serial != r->next)
		return REORDER_EARLY;
	advance(r);
	return REORDER_STORED;
}

bool
reorder_empty(const struct reorder *r)
{
	return r->ready_bytes == 0 && r->cost_early == 0;
}

int
reorder_peek(const struct reorder *r, struct span spans[], int n)
{
	int used = 0;
	size_t skip = r->head_used;

	for (uint64_t s = r->head; s < r->next && used < n; s++, skip = 0) {
		struct chunk *c = *slot(r, s);

		spans[used++] = (struct span){ c->data + skip, c->len - skip };
	}
	return used;
}

void
reorder_consume(struct reorder *r, size_t len)
{
	assert(len <= r->ready_bytes);
	r->ready_bytes -= len;
	r->cost_consumed += len;
	while (len > 0) {
		struct chunk **c = slot(r, r->head);
		size_t left = (*c)->len - r->head_used;

		if (len < left) {
			r->head_used += len;
			return;
		}
		len -= left;
		chunk_free(r, c);
		r->cost_consumed += WIRE_COST;
		r->head_used = 0;
		r->head++;
	}
}
