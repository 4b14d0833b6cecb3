/* SPDX-License-Identifier: ISC */
/*
 * Bytes of sessions, from the start of their owner: those that came from the
 * local side (clients at a proxy, servers at a relay), and those that were
 * written to it.
 */
#ifndef CORE_TRAFFIC_H
#define CORE_TRAFFIC_H

#include <stddef.h>
#include <stdint.h>

struct traffic {
	uint64_t from_bytes, to_bytes;
	struct traffic *parent;		/* counts them as well; NULL: none */
};

/* NULL is accepted: nobody counts. */
static inline void
traffic_from(struct traffic *t, size_t bytes)
{
	for (; t != NULL; t = t->parent)
		t->from_bytes += bytes;
}

static inline void
traffic_to(struct traffic *t, size_t bytes)
{
	for (; t != NULL; t = t->parent)
		t->to_bytes += bytes;
}

/* ---- how fast ---- */

/* The last samples; one a second makes that ten seconds.  Zero at first. */
#define TRAFFIC_SAMPLES 11

struct traffic_rate {
	size_t count, next;
	struct {
		uint64_t at_us, from_bytes, to_bytes;
	} samples[TRAFFIC_SAMPLES];
};

void traffic_sample(struct traffic_rate *, const struct traffic *,
    uint64_t now_us);

/* In bit/s, between the oldest sample and the newest; 0 with less than two. */
void traffic_rates(const struct traffic_rate *, uint64_t *from_bps,
    uint64_t *to_bps);

#endif
