/* SPDX-License-Identifier: ISC */
/*
 * How often something may happen: a bucket that holds what one second allows,
 * and is filled at that rate.  Times are microseconds of one monotonic clock,
 * given by the caller.
 */
#ifndef CORE_BUCKET_H
#define CORE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	uint32_t per_s;
	uint64_t level;		/* in millionths */
	uint64_t filled_us;	/* when that was so */
};

/* Full.  0 a second: no limit. */
void bucket_init(struct bucket *, uint32_t per_s, uint64_t now);

/* Another rate; what is in it stays, as far as it has room. */
void bucket_configure(struct bucket *, uint32_t per_s, uint64_t now);

/* Take one, or `n`.  false: there are not so many now, and none was taken. */
bool bucket_take(struct bucket *, uint64_t now);
bool bucket_take_n(struct bucket *, uint32_t n, uint64_t now);

#endif
