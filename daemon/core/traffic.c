/* SPDX-License-Identifier: ISC */
#include "traffic.h"

void
traffic_sample(struct traffic_rate *r, const struct traffic *t, uint64_t now_us)
{
	r->samples[r->next].at_us = now_us;
	r->samples[r->next].from_bytes = t->from_bytes;
	r->samples[r->next].to_bytes = t->to_bytes;
	r->next = (r->next + 1) % TRAFFIC_SAMPLES;
	if (r->count < TRAFFIC_SAMPLES)
		r->count++;
}

/* 2^64 / 8e6 bytes would have to come in ten seconds to be too many. */
static uint64_t
bps(uint64_t bytes, uint64_t us)
{
	return bytes * 8000000 / us;
}

void
traffic_rates(const struct traffic_rate *r, uint64_t *from_bps,
    uint64_t *to_bps)
{
	size_t last = (r->next + TRAFFIC_SAMPLES - 1) % TRAFFIC_SAMPLES;
	size_t first = r->count < TRAFFIC_SAMPLES ? 0 : r->next;
	uint64_t us = r->samples[last].at_us - r->samples[first].at_us;

	*from_bps = *to_bps = 0;
	if (r->count < 2 || us == 0)
		return;
	*from_bps = bps(r->samples[last].from_bytes -
	    r->samples[first].from_bytes, us);
	*to_bps = bps(r->samples[last].to_bytes - r->samples[first].to_bytes,
	    us);
}
