/* SPDX-License-Identifier: ISC */
/*
 * The reserve is an allocation that nobody uses.  It is given back when the
 * loop gets nothing, and made again as soon as there is memory.  The loop
 * allocates seldom, by doubling its tables, and never more than a few dozen
 * bytes for each descriptor.
 */
#include "net/reserve.h"

#include <ev.h>
#include <stdlib.h>

#define RESERVE_BYTES (1u << 20)	/* the largest tables that there can be;
					 * without use it has no pages */

static void *reserve;

static void *
allocate(void *old, long size)
{
	void *new;

	if (size == 0) {
		free(old);
		return NULL;
	}
	new = realloc(old, (size_t)size);
	if (new == NULL && reserve != NULL) {
		free(reserve);
		reserve = NULL;
		new = realloc(old, (size_t)size);
	} else if (reserve == NULL) {
		reserve = malloc(RESERVE_BYTES);
	}
	return new;
}

void
reserve_start(void)
{
	reserve = malloc(RESERVE_BYTES);
	ev_set_allocator(allocate);
}
