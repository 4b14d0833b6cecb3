/* SPDX-License-Identifier: ISC */
#include "bucket.h"

#define SECOND UINT64_C(1000000)
#define ONE SECOND		/* so each microsecond brings `per_s` */

void
bucket_init(struct bucket *b, uint32_t per_s, uint64_t now)
{
	*b = (struct bucket){ .per_s = per_s, .level = per_s * ONE,
		.filled_us = now };
}

static void
fill(struct bucket *b, uint64_t now)
{
	const uint64_t most = b->per_s * ONE;
	uint64_t passed;

	if (now > b->filled_us) {
		passed = now - b->filled_us;
		b->filled_us = now;
		b->level += (passed < SECOND ? passed : SECOND) * b->per_s;
	}
	if (b->level > most)
		b->level = most;
}

void
bucket_configure(struct bucket *b, uint32_t per_s, uint64_t now)
{
	if (b->per_s == 0) {
		bucket_init(b, per_s, now);
		return;
	}
	fill(b, now);
	b->per_s = per_s;
	fill(b, now);
}

bool
bucket_take_n(struct bucket *b, uint32_t n, uint64_t now)
{
	if (b->per_s == 0)
		return true;
	fill(b, now);
	if (b->level < n * ONE)
		return false;
	b->level -= n * ONE;
	return true;
}

bool
bucket_take(struct bucket *b, uint64_t now)
{
	return bucket_take_n(b, 1, now);
}
