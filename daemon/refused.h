/* SPDX-License-Identifier: ISC */
/*
 * Destinations that the relay could not reach: for a few seconds, the kernel
 * says so to whoever tries again, in that client's own connect().
 */
#ifndef REFUSED_H
#define REFUSED_H

#include <stdint.h>

#include "core/addr.h"
#include "table.h"

struct refused {
	uint64_t count;			/* in all */

	/* Private; all zero at the start. */
	uint64_t rest_us;		/* no more until then */
};

/* Because of `code` (enum wire_code); codes that say nothing of the destination
 * are passed over.  Cheap when the kernel has no room for more. */
void refused_add(struct refused *, struct table *,
    const struct addr *destination, uint8_t code);

#endif
