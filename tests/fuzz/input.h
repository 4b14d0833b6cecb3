/* SPDX-License-Identifier: ISC */
/*
 * Small numbers out of what the fuzzer gives; 0 when it has ended.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdint.h>

#include "core/wire.h"

static inline uint8_t
input_u8(struct cursor *in)
{
	return in->pos < in->end ? *in->pos++ : 0;
}

static inline uint16_t
input_u16(struct cursor *in)
{
	uint8_t high = input_u8(in);

	return (uint16_t)(high << 8 | input_u8(in));
}

static inline uint32_t
input_u32(struct cursor *in)
{
	uint32_t high = input_u16(in);

	return high << 16 | input_u16(in);
}

#endif
