/* SPDX-License-Identifier: ISC */
#include "pacing.h"

#define HEADROOM_PERCENT 95
#define LEAST 14480		/* a segment in a tenth of a second */

enum situation { ALL_IDLE, EXPRESS_ONLY, BULK_TOO, NSITUATIONS };

/* Only what they are to each other matters. */
static const struct {
	uint16_t express_busy, express_idle, bulk_busy, bulk_idle;
} weights[NSITUATIONS] = {
	[ALL_IDLE] = { 2, 2, 1, 1 },
	[EXPRESS_ONLY] = { 64, 4, 2, 2 },
	[BULK_TOO] = { 250, 2, 125, 1 },
};

static enum situation
situation_of(const struct pacing_share s[], size_t n)
{
	enum situation situation = ALL_IDLE;

	for (size_t i = 0; i < n; i++) {
		if (!s[i].busy)
			continue;
		if (!s[i].express)
			return BULK_TOO;
		situation = EXPRESS_ONLY;
	}
	return situation;
}

static uint32_t
weight(const struct pacing_share *s, enum situation situation)
{
	if (s->express)
		return s->busy ? weights[situation].express_busy :
		    weights[situation].express_idle;
	return s->busy ? weights[situation].bulk_busy :
	    weights[situation].bulk_idle;
}

static uint64_t
at_most(uint64_t part, uint64_t most)
{
	return part < most ? part : most;
}

/* Of the rate, as far as an eighth of it goes. */
static uint64_t
least(uint64_t total, size_t n)
{
	return at_most(total / 8 / n, LEAST);
}

void
pacing_divide(uint64_t rate_bps, struct pacing_share s[], size_t n)
{
	const uint64_t total = rate_bps / 800 * HEADROOM_PERCENT;
	const enum situation situation = situation_of(s, n);
	uint64_t sum = 0, left = total, rest = 0;

	for (size_t i = 0; i < n; i++)
		sum += weight(&s[i], situation);
	for (size_t i = 0; i < n; i++) {
		uint32_t w = weight(&s[i], situation);

		s[i].bytes_per_s = 0;
		if (total * w / sum < least(total, n)) {
			s[i].bytes_per_s = least(total, n);
			left -= s[i].bytes_per_s;
		} else {
			rest += w;
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (s[i].bytes_per_s == 0 && rest > 0)
			s[i].bytes_per_s = left * weight(&s[i], situation) /
			    rest;
		if (!s[i].busy && s[i].bytes_per_s < at_most(total / 2, LEAST))
			s[i].bytes_per_s = at_most(total / 2, LEAST);
		if (s[i].bytes_per_s == 0)
			s[i].bytes_per_s = 1;
	}
}
