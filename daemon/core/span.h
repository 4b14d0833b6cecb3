/* SPDX-License-Identifier: ISC */
/*
 * A stretch of memory that somebody else owns, for scatter and gather.
 */
#ifndef CORE_SPAN_H
#define CORE_SPAN_H

#include <stddef.h>
#include <stdint.h>

struct span {
	uint8_t *base;
	size_t len;
};

#endif
