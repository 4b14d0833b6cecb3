/* SPDX-License-Identifier: ISC */
#include "penalty.h"

/* The source's place, or else that of the one whose time is over first. */
static int
place(const struct penalty *p, const struct addr *source)
{
	int first = 0;

	for (int i = 0; i < PENALTY_SOURCES; i++) {
		if (addr_same_host(&p->sources[i].source, source))
			return i;
		if (p->sources[i].until_us < p->sources[first].until_us)
			first = i;
	}
	return first;
}

void
penalty_note(struct penalty *p, const struct addr *source, uint64_t until_us)
{
	int i = place(p, source);

	p->sources[i].source = *source;
	p->sources[i].until_us = until_us;
}

uint64_t
penalty_until(const struct penalty *p, const struct addr *source)
{
	int i = place(p, source);

	return addr_same_host(&p->sources[i].source, source) ?
	    p->sources[i].until_us : 0;
}
