/* SPDX-License-Identifier: ISC */
/*
 * Ranges of addresses or ports that do not overlap, as the kernel's interval
 * sets want them: it refuses (EEXIST) what overlaps.
 *
 * A key is the 2, 4 or 16 bytes of a port or an address in network order, at
 * the start of the array; the rest is zero.
 */
#ifndef NFT_RANGES_H
#define NFT_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANGES_KEY_MAX 16

struct range {
	uint8_t first[RANGES_KEY_MAX];
	uint8_t last[RANGES_KEY_MAX];	/* inclusive */
};

/* The addresses of `len` bytes that begin with the first `bits` of `ip`. */
struct range range_of_prefix(const uint8_t *ip, size_t len, unsigned bits);

struct range range_of_ports(uint16_t first, uint16_t last);

/* Sort them, and join those that overlap or touch; returns how many are
 * left. */
size_t ranges_join(struct range *, size_t n, size_t len);

/* Order: < 0, 0, > 0, by the first key, then by the last. */
int range_compare(const struct range *, const struct range *);

/* The key behind a range; false: there is none, the range ends at the top. */
bool range_end(const struct range *, size_t len,
    uint8_t end[static RANGES_KEY_MAX]);

#endif
