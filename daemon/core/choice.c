/* SPDX-License-Identifier: ISC */
#include "choice.h"

/* What there is to say against a relay; where there is the least, the session
 * goes.  What comes first counts more than all that follows. */
#define IS_DOWN 16u
#define DOES_NOT_REACH 8u
#define IS_FULL 4u
#define IS_ASIDE 2u
#define HAS_NO_WEIGHT 1u

void
choice_init(struct choice *c, size_t n)
{
	*c = (struct choice){ .n = n < CHOICE_MAX ? n : CHOICE_MAX };
	for (size_t i = 0; i < c->n; i++)
		c->relays[i].weight = 1;
}

void
choice_arrange(struct choice *c, const int was[], size_t n)
{
	struct choice before = *c;

	choice_init(c, n);
	c->by_weight = before.by_weight;
	for (size_t i = 0; i < c->n; i++)
		if (was[i] >= 0)
			c->relays[i] = before.relays[was[i]];
}

/* It is lost after it was there for so long. */
static uint64_t
next_aside(uint64_t before_us, uint64_t there_us)
{
	if (before_us == 0 || there_us >= before_us + CHOICE_CALM_US)
		return CHOICE_ASIDE_MIN_US;
	return before_us < CHOICE_ASIDE_MAX_US / 2 ? 2 * before_us :
	    CHOICE_ASIDE_MAX_US;
}

void
choice_tell(struct choice *c, size_t relay, bool up, uint64_t now_us)
{
	struct choice_relay *r = &c->relays[relay];

	if (up == r->up)
		return;
	if (!up)
		r->aside_us = next_aside(r->aside_us, now_us - r->since_us);
	r->up = up;
	r->since_us = now_us;
	r->credit = 0;
}

uint64_t
choice_aside_us(const struct choice *c, size_t relay, uint64_t now_us)
{
	const struct choice_relay *r = &c->relays[relay];
	uint64_t there_us = now_us - r->since_us;

	return r->up && there_us < r->aside_us ? r->aside_us - there_us : 0;
}

static unsigned
objections(const struct choice *c, size_t relay, unsigned family,
    uint64_t now_us)
{
	const struct choice_relay *r = &c->relays[relay];

	return (r->up ? 0 : IS_DOWN) |
	    (r->families & family ? 0 : DOES_NOT_REACH) |
	    (r->full ? IS_FULL : 0) |
	    (choice_aside_us(c, relay, now_us) > 0 ? IS_ASIDE : 0) |
	    (c->by_weight && r->weight == 0 ? HAS_NO_WEIGHT : 0);
}

/* The candidates are at least one. */
static int
by_weight(struct choice *c, uint32_t candidates)
{
	int64_t total = 0;
	int best = __builtin_ctz(candidates);

	for (size_t i = 0; i < c->n; i++) {
		/* Those without weight are among themselves. */
		int64_t weight = c->relays[i].weight > 0 ?
		    c->relays[i].weight : 1;

		if (!(candidates & UINT32_C(1) << i))
			continue;
		c->relays[i].credit += weight;
		total += weight;
		if (c->relays[i].credit > c->relays[best].credit)
			best = (int)i;
	}
	c->relays[best].credit -= total;
	return best;
}

/* That was up last; of those that never were, the first. */
static int
latest(const struct choice *c, uint32_t candidates)
{
	int best = -1;

	for (size_t i = 0; i < c->n; i++)
		if (candidates & UINT32_C(1) << i && (best == -1 ||
		    c->relays[i].since_us > c->relays[best].since_us))
			best = (int)i;
	return best;
}

static int
first(uint32_t candidates)
{
	int i = 0;

	while (!(candidates & UINT32_C(1) << i))
		i++;
	return i;
}

int
choice_look(const struct choice *c, unsigned family, uint32_t tried,
    uint64_t now_us)
{
	struct choice copy = *c;

	return choice_pick(&copy, family, tried, now_us);
}

int
choice_pick(struct choice *c, unsigned family, uint32_t tried,
    uint64_t now_us)
{
	unsigned least = UINT32_MAX;
	uint32_t candidates = 0;

	for (size_t i = 0; i < c->n; i++) {
		unsigned against = objections(c, i, family, now_us);

		if (tried & UINT32_C(1) << i || against > least)
			continue;
		if (against < least)
			candidates = 0;
		least = against;
		candidates |= UINT32_C(1) << i;
	}
	if (candidates == 0)
		return -1;
	if (least & IS_DOWN)
		return latest(c, candidates);
	return c->by_weight ? by_weight(c, candidates) : first(candidates);
}
