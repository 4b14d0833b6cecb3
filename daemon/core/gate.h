/* SPDX-License-Identifier: ISC */
/*
 * May new connections be intercepted?  While nobody could carry them further
 * the gate is closed, and they go directly.  Those that are open do not notice.
 *
 * It opens later than it closes: below GATE_ROOM of what closed it, and when a
 * relay has been there for a while, which doubles each time that it is lost
 * again soon, so that a link that comes and goes does not take clients along.
 */
#ifndef CORE_GATE_H
#define CORE_GATE_H

#include <stdbool.h>
#include <stdint.h>

#define GATE_FULL 95			/* per cent of sessions or memory */
#define GATE_ROOM 80
#define GATE_PROBATION_MIN_US UINT64_C(1000000)
#define GATE_PROBATION_MAX_US UINT64_C(30000000)
#define GATE_SOON_US UINT64_C(60000000)	/* up for longer is not soon */

/* Families, as bits (those of nft/ruleset.h). */
#define GATE_IPV4 1u
#define GATE_IPV6 2u

/* Why it is closed; the first that is true. */
enum gate_reason {
	GATE_OPEN,
	GATE_OPERATOR,			/* it was told to */
	GATE_DRAINING,			/* the daemon is about to end */
	GATE_NO_RELAY,			/* no relay answers */
	GATE_PROBATION,			/* one does, but not for long */
	GATE_SESSIONS,
	GATE_MEMORY,
	GATE_RELAY_FULL,		/* no relay takes more sessions */
	GATE_NO_FAMILY,			/* the relay reaches none */
	GATE_BRIDGE,			/* `blocked` are all that it does */
	GATE_DIVERTED,			/* they are all `diverted` or blocked */
	GATE_NREASONS,
};

struct gate_input {
	bool off;			/* the operator's word */
	bool draining;
	bool relay_up;
	bool relay_full;		/* core/room.h */
	unsigned relay_families;	/* that the relay reaches */
	unsigned blocked;		/* that a bridge takes away from TPROXY
					 * (nft/bridge.h) */
	unsigned diverted;		/* that a rule of routing does
					 * (nft/policy.h) */
	uint64_t sessions, max_sessions;
	uint64_t held_bytes, limit_bytes;
};

struct gate {
	enum gate_reason reason;

	/* Private. */
	bool up;
	bool sessions_full, memory_full;
	uint64_t since_us;		/* it is up or down since then */
	uint64_t probation_us;		/* what the next one takes; 0: the first
					 * time, it is believed at once */
};

/* Closed: GATE_NO_RELAY. */
void gate_init(struct gate *);

/* Look again; `now_us` is monotonic.  Which families may be intercepted. */
unsigned gate_update(struct gate *, const struct gate_input *,
    uint64_t now_us);

/* Is `used` too near to `most`, if it `was` before: from GATE_FULL per cent on,
 * until below GATE_ROOM. */
bool gate_is_full(bool was, uint64_t used, uint64_t most);

/* A phrase for people: "no relay answers". */
const char *gate_reason_text(enum gate_reason);

#endif
