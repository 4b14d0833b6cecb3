/* SPDX-License-Identifier: ISC */
/*
 * Numbers as people write them: 20Mbit, 600ms, 4MiB.
 */
#ifndef CORE_UNITS_H
#define CORE_UNITS_H

#include <stdint.h>

enum units {
	UNITS_NONE,	/* a plain number, decimal or 0x... */
	UNITS_RATE,	/* bit/s: bit, kbit, Mbit, Gbit, Tbit (powers of 1000);
			 * a plain number is bit/s */
	UNITS_TIME,	/* milliseconds: ms, s, min, h; only 0 needs no unit */
	UNITS_SIZE,	/* bytes: B, KiB, MiB, GiB, TiB; a plain number is
			 * bytes */
};

/* Room for what units_format() writes. */
#define UNITS_TEXT_MAX 32

/* The letter case of units does not matter, decimals are understood
 * ("1.5Mbit").  0, -EINVAL (not such a number), or -ERANGE (not a whole number
 * of bit/s, ms or bytes, or too large). */
int units_parse(uint64_t *, enum units, const char *text);

/* In the largest unit that leaves a whole number, into `text`, which is
 * returned; units_parse() reads it back. */
const char *units_format(char text[static UNITS_TEXT_MAX], enum units,
    uint64_t);

#endif
