/* SPDX-License-Identifier: ISC */
#include "room.h"

#include "gate.h"

void
room_refused(struct room *r, uint64_t now_us)
{
	if (now_us < r->until_us)
		return;
	if (r->rest_us == 0 || now_us - r->until_us >= ROOM_SOON_US)
		r->rest_us = ROOM_REST_MIN_US;
	else if (r->rest_us < ROOM_REST_MAX_US / 2)
		r->rest_us *= 2;
	else
		r->rest_us = ROOM_REST_MAX_US;
	r->until_us = now_us + r->rest_us;
}

bool
room_is_full(struct room *r, uint64_t sessions, uint64_t most, uint64_t now_us)
{
	r->full = most != 0 && gate_is_full(r->full, sessions, most);
	return r->full || now_us < r->until_us;
}
