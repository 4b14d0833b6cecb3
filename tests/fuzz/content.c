/* SPDX-License-Identifier: ISC */
#include "content.h"

#include <stdbool.h>

#define PERIOD 65521		/* a prime, so that no size divides it */
#define APART 2039		/* of one stream from the next */

const uint8_t *
content(unsigned int key, uint64_t offset)
{
	static uint8_t table[PERIOD + CONTENT_MAX];
	static bool made;

	for (uint32_t i = 0, seed = 1; i < sizeof(table) && !made; i++) {
		seed = seed * UINT32_C(1664525) + UINT32_C(1013904223);
		table[i] = i < PERIOD ? (uint8_t)(seed >> 24) :
		    table[i - PERIOD];
	}
	made = true;
	return table + (offset + (uint64_t)key * APART) % PERIOD;
}
