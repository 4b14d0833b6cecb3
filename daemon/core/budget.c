/* SPDX-License-Identifier: ISC */
#include "budget.h"

#include <assert.h>

#define SHARE_OF_REST 32	/* of what is left, for one asker */

void
budget_init(struct budget *b, uint64_t limit_bytes)
{
	*b = (struct budget){ .limit_bytes = limit_bytes };
	list_init(&b->parts);
	list_init(&b->part);
}

void
budget_init_part(struct budget *b, uint64_t limit_bytes, struct budget *parent)
{
	budget_init(b, limit_bytes);
	b->parent = parent;
	list_append(&parent->parts, &b->part);
}

void
budget_end(struct budget *b)
{
	assert(b->held_bytes == 0 && b->offered_bytes == 0);
	assert(list_empty(&b->parts));
	list_unlink(&b->part);
}

static void
adjust(uint64_t *sum, int64_t bytes)
{
	assert(bytes >= 0 || *sum >= (uint64_t)-bytes);
	*sum += (uint64_t)bytes;
}

void
budget_hold(struct budget *b, int64_t bytes)
{
	for (; b != NULL; b = b->parent)
		adjust(&b->held_bytes, bytes);
}

void
budget_offer(struct budget *b, int64_t bytes)
{
	for (; b != NULL; b = b->parent)
		adjust(&b->offered_bytes, bytes);
}

/* By its own limit. */
static enum budget_level
level_of(const struct budget *b)
{
	if (b->parent != NULL && b->limit_bytes == 0)
		return BUDGET_EASY;
	if (b->held_bytes >= b->limit_bytes)
		return BUDGET_OVER;
	if (b->held_bytes >= b->limit_bytes / 100 * 97)
		return BUDGET_CLOSED;
	if (b->held_bytes >= b->limit_bytes / 10 * 6)
		return BUDGET_TIGHT;
	return BUDGET_EASY;
}

enum budget_level
budget_level(const struct budget *b)
{
	enum budget_level worst = BUDGET_EASY;

	for (; b != NULL; b = b->parent) {
		enum budget_level level = level_of(b);

		if (level > worst)
			worst = level;
	}
	return worst;
}

bool
budget_admits(const struct budget *b)
{
	for (; b != NULL; b = b->parent)
		if (b->limit_bytes != 0 &&
		    b->held_bytes >= b->limit_bytes + b->limit_bytes / 8)
			return false;
	return true;
}

/* No other part of its parent holds more. */
static bool
holds_most(const struct budget *b)
{
	struct list *node;

	list_each(node, &b->parent->parts)
		if (list_object(node, struct budget, part)->held_bytes >
		    b->held_bytes)
			return false;
	return true;
}

bool
budget_yields(const struct budget *b)
{
	for (;; b = b->parent) {
		if (level_of(b) == BUDGET_OVER)
			return true;
		if (b->parent == NULL || !holds_most(b))
			return false;
	}
}

/* By its own limit. */
static uint64_t
spare_of(const struct budget *b)
{
	const uint64_t generous = b->limit_bytes / 2;

	if (b->parent != NULL && b->limit_bytes == 0)
		return UINT64_MAX;
	return b->offered_bytes < generous ? generous - b->offered_bytes : 0;
}

uint64_t
budget_spare(const struct budget *b)
{
	uint64_t least = UINT64_MAX;

	for (; b != NULL; b = b->parent) {
		uint64_t spare = spare_of(b);

		if (spare < least)
			least = spare;
	}
	return least;
}

uint32_t
budget_share(const struct budget *b, uint32_t want)
{
	if (budget_level(b) != BUDGET_EASY)
		return 0;
	uint64_t share = budget_spare(b) / SHARE_OF_REST;
	return share < want ? (uint32_t)share : want;
}

uint64_t
budget_limit(const struct budget *b)
{
	uint64_t least = UINT64_MAX;

	for (; b != NULL; b = b->parent)
		if (b->limit_bytes < least &&
		    (b->limit_bytes != 0 || b->parent == NULL))
			least = b->limit_bytes;
	return least;
}
