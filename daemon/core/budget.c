/* SPDX-License-Identifier: ISC */
#include "budget.h"

#include <assert.h>

#define SHARE_OF_REST 32	/* of what is left, for one asker */

void
budget_init(struct budget *b, uint64_t limit_bytes)
{
	*b = (struct budget){ .limit_bytes = limit_bytes };
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
	adjust(&b->held_bytes, bytes);
}

void
budget_offer(struct budget *b, int64_t bytes)
{
	adjust(&b->offered_bytes, bytes);
}

enum budget_level
budget_level(const struct budget *b)
{
	if (b->held_bytes >= b->limit_bytes)
		return BUDGET_OVER;
	if (b->held_bytes >= b->limit_bytes / 10 * 9)
		return BUDGET_CLOSED;
	if (b->held_bytes >= b->limit_bytes / 10 * 6)
		return BUDGET_TIGHT;
	return BUDGET_EASY;
}

uint32_t
budget_share(const struct budget *b, uint32_t want)
{
	const uint64_t generous = b->limit_bytes / 2;

	if (budget_level(b) != BUDGET_EASY || b->offered_bytes >= generous)
		return 0;
	uint64_t share = (generous - b->offered_bytes) / SHARE_OF_REST;
	return share < want ? (uint32_t)share : want;
}
