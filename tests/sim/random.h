/* SPDX-License-Identifier: ISC */
/*
 * Numbers that look random and follow from a seed, the same on every machine
 * (integers only), and the bytes that sessions carry.
 */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

/* One round of splitmix64: every bit of x changes half of the result. */
static inline uint64_t
random_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static inline uint64_t
random_next(struct random *r)
{
	r->state += UINT64_C(0x9e3779b97f4a7c15);
	return random_mix(r->state);
}

/* From lo to hi, both included. */
static inline uint64_t
random_range(struct random *r, uint64_t lo, uint64_t hi)
{
	return lo + random_next(r) % (hi - lo + 1);
}

/* Once in `n` times. */
static inline bool
random_once_in(struct random *r, uint64_t n)
{
	return random_next(r) % n == 0;
}

/* From lo (at least 1) to hi; each order of magnitude is as likely. */
uint64_t random_log(struct random *, uint64_t lo, uint64_t hi);

/*
 * The contents of one direction of one session: a function of the position, so
 * that nothing has to be stored to check a byte at the far end, and that bytes
 * which are left out, doubled or exchanged are noticed.
 */
uint64_t content_key(uint64_t seed, uint32_t flow, int side);
void content_fill(uint64_t key, uint64_t offset, uint8_t *, size_t len);
/* How many of the `len` bytes are right; `len` if all are. */
size_t content_check(uint64_t key, uint64_t offset, const uint8_t *,
    size_t len);

#endif
