/* SPDX-License-Identifier: ISC */
/*
 * Does a relay take more sessions?  It says at the start how many it takes at
 * most, which counts from GATE_FULL per cent on, and until there are fewer than
 * GATE_ROOM (gate.h).  It may have less room than that, with other proxies or
 * little memory: then it refuses, and is left alone for ROOM_REST_MIN_US, and
 * for twice as long each time that it refuses again soon after.
 */
#ifndef CORE_ROOM_H
#define CORE_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#define ROOM_REST_MIN_US UINT64_C(2000000)
#define ROOM_REST_MAX_US UINT64_C(60000000)
#define ROOM_SOON_US UINT64_C(60000000)	/* taken for longer is not soon */

struct room {
	/* Private; all zero at the start. */
	bool full;			/* by its sessions */
	uint64_t rest_us;		/* the latest rest; 0: none yet */
	uint64_t until_us;		/* it lasts */
};

/* The relay has refused a session for want of resources.  Those that were on
 * their way when it rests change nothing. */
void room_refused(struct room *, uint64_t now_us);

/* Look again: `sessions` are open, of `most` (0: not known). */
bool room_is_full(struct room *, uint64_t sessions, uint64_t most,
    uint64_t now_us);

#endif
