/* SPDX-License-Identifier: ISC */
#include "ranges.h"

#include <stdlib.h>
#include <string.h>

/* What is beyond a key's length is zero everywhere, so all compare as 16 bytes,
 * and network order is the order of memcmp(). */

struct range
range_of_prefix(const uint8_t *ip, size_t len, unsigned bits)
{
	struct range r = { 0 };

	for (size_t i = 0; i < len; i++) {
		unsigned kept = bits > 8 * i ? bits - 8 * (unsigned)i : 0;
		uint8_t host = kept >= 8 ? 0 : (uint8_t)(0xff >> kept);

		r.first[i] = ip[i] & (uint8_t)~host;
		r.last[i] = ip[i] | host;
	}
	return r;
}

struct range
range_of_ports(uint16_t first, uint16_t last)
{
	return (struct range){
		.first = { (uint8_t)(first >> 8), (uint8_t)first },
		.last = { (uint8_t)(last >> 8), (uint8_t)last },
	};
}

int
range_compare(const struct range *a, const struct range *b)
{
	int order = memcmp(a->first, b->first, RANGES_KEY_MAX);

	return order != 0 ? order : memcmp(a->last, b->last, RANGES_KEY_MAX);
}

static int
compare(const void *a, const void *b)
{
	return range_compare(a, b);
}

bool
range_end(const struct range *r, size_t len,
    uint8_t end[static RANGES_KEY_MAX])
{
	memcpy(end, r->last, RANGES_KEY_MAX);
	for (size_t i = len; i-- > 0;)
		if (++end[i] != 0)
			return true;
	return false;
}

/* Does `next`, which does not begin before `r`, overlap or touch it? */
static bool
reaches(const struct range *r, const struct range *next, size_t len)
{
	uint8_t end[RANGES_KEY_MAX];

	return !range_end(r, len, end) ||
	    memcmp(next->first, end, RANGES_KEY_MAX) <= 0;
}

size_t
ranges_join(struct range *r, size_t n, size_t len)
{
	size_t kept = 0;

	if (n == 0)
		return 0;
	qsort(r, n, sizeof(*r), compare);
	for (size_t i = 1; i < n; i++) {
		if (!reaches(&r[kept], &r[i], len))
			r[++kept] = r[i];
		else if (memcmp(r[i].last, r[kept].last, RANGES_KEY_MAX) > 0)
			memcpy(r[kept].last, r[i].last, RANGES_KEY_MAX);
	}
	return kept + 1;
}
