/* SPDX-License-Identifier: ISC */
/*
 * Sources that did something wrong have to wait.  Only the last ones are
 * remembered.
 */
#ifndef PENALTY_H
#define PENALTY_H

#include <stdint.h>

#include "core/addr.h"

#define PENALTY_SOURCES 64

/* Zero: nobody. */
struct penalty {
	struct {
		struct addr source;
		uint64_t until_us;
	} sources[PENALTY_SOURCES];
};

/* It was wrong; it waits until then. */
void penalty_note(struct penalty *, const struct addr *source,
    uint64_t until_us);

/* Until when it has to wait; not later than now: it has not. */
uint64_t penalty_until(const struct penalty *, const struct addr *source);

#endif
