/* SPDX-License-Identifier: ISC */
/*
 * Random numbers for back-off and early drop, where a poor one does no harm.
 */
#ifndef CHANCE_H
#define CHANCE_H

#include <stdint.h>
#include <sys/random.h>

static inline uint16_t
chance_u16(void)
{
	uint16_t n;

	/* Early at boot there may be none yet. */
	if (getrandom(&n, sizeof(n), GRND_NONBLOCK) != sizeof(n))
		return 0x8000;
	return n;
}

#endif
