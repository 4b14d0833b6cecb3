/* SPDX-License-Identifier: ISC */
/*
 * The saved first packet of a client.  It comes from the kernel, but every byte
 * of it was written by whoever sent it.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "core/syn.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* As RFC 791 and RFC 8200 draw them: bits from the first one on. */
static unsigned int
bits(const uint8_t *data, unsigned int at, unsigned int n)
{
	unsigned int value = 0;

	for (unsigned int i = at; i < at + n; i++)
		value = value << 1 | (data[i / 8] >> (7 - i % 8) & 1u);
	return value;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int dscp = syn_dscp(data, size);

	assert(dscp >= -1 && dscp <= 63);
	if (size >= 20 && bits(data, 0, 4) == 4 && bits(data, 4, 4) >= 5 &&
	    size >= bits(data, 4, 4) * 4)
		assert(dscp == (int)bits(data, 8, 6));
	else if (size >= 40 && bits(data, 0, 4) == 6)
		assert(dscp == (int)bits(data, 4, 6));
	else
		assert(dscp == -1);
	return 0;
}
