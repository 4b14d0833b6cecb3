/* SPDX-License-Identifier: ISC */
#include "health.h"

#define SECOND UINT64_C(1000000)
#define PATIENCE_US SECOND
#define PATIENCE_TRIPS 3

void
health_begin(struct health *h, uint64_t now)
{
	*h = (struct health){ .alive_us = now };
}

uint64_t
health_patience_us(const struct health *h)
{
	uint64_t trips = PATIENCE_TRIPS * (uint64_t)h->facts.rtt_us;

	return trips > PATIENCE_US ? trips : PATIENCE_US;
}

void
health_look(struct health *h, const struct group_facts *facts, uint64_t now)
{
	bool waited = h->facts.waiting_bytes > 0;
	bool moved = facts->acked_bytes != h->facts.acked_bytes;

	h->facts = *facts;
	h->looked_us = now;
	h->given_bytes = 0;
	if (moved)
		h->alive_us = now;
	if (moved || !waited || facts->waiting_bytes == 0)
		h->moved_us = now;
	if (moved || facts->waiting_bytes == 0)
		h->suspect = false;
	else if (now - h->moved_us >= health_patience_us(h))
		h->suspect = true;
}

void
health_give(struct health *h, uint64_t bytes)
{
	h->given_bytes += bytes;
}

bool
health_idle(const struct health *h)
{
	return h->given_bytes == 0 && h->facts.waiting_bytes == 0;
}

/* What waits, as far as can be told between two looks. */
static uint64_t
waiting(const struct health *h, uint64_t now)
{
	uint64_t passed = now > h->looked_us ? now - h->looked_us : 0;
	uint64_t bytes = h->facts.waiting_bytes + h->given_bytes;
	uint64_t left;

	if (passed > SECOND)
		passed = SECOND;
	left = h->facts.rate_bytes_s * passed / SECOND;
	return bytes > left ? bytes - left : 0;
}

/*
 * A pipe that is full holds a round trip's worth, and the next byte still takes
 * half a round trip; whatever is more than that is a queue.
 */
uint64_t
health_delay_us(const struct health *h, uint64_t now)
{
	const struct group_facts *f = &h->facts;
	uint64_t way = f->rtt_min_us != 0 ? f->rtt_min_us : f->rtt_us;
	uint64_t drained;

	if (way == 0)
		return 0;
	if (f->rate_bytes_s == 0)
		return way / 2;
	drained = waiting(h, now) * SECOND / f->rate_bytes_s;
	return (drained > way ? drained : way) - way / 2;
}
