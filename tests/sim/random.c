/* SPDX-License-Identifier: ISC */
#include "random.h"

#include <endian.h>
#include <string.h>

static unsigned
bits(uint64_t x)
{
	unsigned n = 0;

	for (; x != 0; x >>= 1)
		n++;
	return n;
}

uint64_t
random_log(struct random *r, uint64_t lo, uint64_t hi)
{
	unsigned n = (unsigned)random_range(r, bits(lo), bits(hi));
	uint64_t first = UINT64_C(1) << (n - 1);
	uint64_t last = first + (first - 1);

	return random_range(r, first < lo ? lo : first, last > hi ? hi : last);
}

uint64_t
content_key(uint64_t seed, uint32_t flow, int side)
{
	return random_mix(random_mix(seed) ^ ((uint64_t)flow << 1 |
	    (uint64_t)side));
}

static uint64_t
word_at(uint64_t key, uint64_t index)
{
	return htole64(random_mix(key +
	    index * UINT64_C(0x9e3779b97f4a7c15)));
}

void
content_fill(uint64_t key, uint64_t offset, uint8_t *out, size_t len)
{
	while (len > 0) {
		uint64_t word = word_at(key, offset >> 3);
		size_t skip = offset & 7, n = 8 - skip;

		if (n > len)
			n = len;
		memcpy(out, (uint8_t *)&word + skip, n);
		out += n;
		offset += n;
		len -= n;
	}
}

size_t
content_check(uint64_t key, uint64_t offset, const uint8_t *in, size_t len)
{
	size_t done = 0;

	while (done < len) {
		uint64_t word = word_at(key, offset >> 3);
		size_t skip = offset & 7, n = 8 - skip;

		if (n > len - done)
			n = len - done;
		if (memcmp(in + done, (uint8_t *)&word + skip, n) != 0) {
			while (in[done] == ((uint8_t *)&word)[skip])
				done++, skip++;
			return done;
		}
		done += n;
		offset += n;
	}
	return len;
}
