/* SPDX-License-Identifier: ISC */
/*
 * What a group writes, frame by frame.
 */
#ifndef FUZZ_FRAMES_H
#define FUZZ_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/wire.h"

struct frame {
	struct wire_header header;
	const uint8_t *body;
};

/* The next frame; false: no whole one is left, or it is none.  The cursor moves
 * only past whole ones. */
bool frame_next(struct cursor *, struct frame *);

/* The frame as the functions of wire.h write it, at most WIRE_HEADER and
 * WIRE_SIZE_MAX bytes; 0: of a type that we do not know, or a body that is
 * wrong. */
size_t frame_again(uint8_t *out, const struct frame *);

/* Asserts that a group in this role may send the frame as it is: well-formed,
 * and nothing set that has no meaning. */
void frame_check(const struct frame *, bool proxy, uint32_t datagram_max);

#endif
