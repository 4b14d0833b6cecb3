/* SPDX-License-Identifier: ISC */
#include "syn.h"

#include <stdbool.h>

#include "wire.h"

#define IPV4_HEADER 20		/* without options */
#define IPV6_HEADER 40

static bool
get_u8(struct cursor *c, uint8_t *v)
{
	if (c->pos == c->end)
		return false;
	*v = *c->pos++;
	return true;
}

int
syn_dscp(const uint8_t *packet, size_t len)
{
	struct cursor c = { packet, packet + len };
	uint8_t first, second;

	if (!get_u8(&c, &first) || !get_u8(&c, &second))
		return -1;
	switch (first >> 4) {
	case 4:		/* version, header length in words; TOS */
		if ((first & 0xfu) * 4u < IPV4_HEADER ||
		    len < (first & 0xfu) * 4u)
			return -1;
		return second >> 2;
	case 6:		/* version, traffic class, flow label: 4, 8, 20 bits */
		if (len < IPV6_HEADER)
			return -1;
		return (first & 0xf) << 2 | second >> 6;
	default:
		return -1;
	}
}
