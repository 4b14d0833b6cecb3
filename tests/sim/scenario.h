/* SPDX-License-Identifier: ISC */
/*
 * What happens in a seed: which groups, links and sessions there are, how the
 * local sides behave and how much goes wrong.  Everything in here follows from
 * the seed before the first event.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/group.h"

enum {
	PROXY,
	RELAY,
	SIDES
};

#define SIM_LINKS 8
#define SIM_PATHS 2			/* four links each */
#define SIM_FLOWS 50
#define SIM_BYTES_MAX (4 << 20)		/* one way, of one session */
#define SIM_LONG 131072			/* datagrams of a long session */
#define SIM_LONG_EVERY 50		/* seeds */

#define SECOND UINT64_C(1000000)

/* A subflow that comes back after each death. */
struct link_plan {
	uint8_t path, slot;
	uint64_t rate;			/* bytes a second */
	uint64_t delay_us, jitter_us;	/* one way; jitter keeps the order */
	size_t unsent_max;		/* bytes that wait in the sender */
	size_t flight_max;		/* and on the way */
	bool mortal;			/* does not come back once dead */
	uint32_t loss_ppm;		/* packets lost of a million */
	uint64_t stall_at_us, stall_us;	/* stands still; 0: never */
	uint64_t stall_again_us;	/* and so long after that again; 0:
					 * once */
	uint64_t slow_at_us, slow_rate;	/* from then on; 0: never */
	uint32_t slow_loss_ppm;
	bool fine;			/* bytes arrive as packets do */
};

/* How a client or server ends what is not to end well. */
enum fate {
	FATE_NONE,
	FATE_RESET,		/* its TCP connection is reset */
	FATE_ABORT,		/* the role gives the session up */
	FATE_RELEASE,		/* the role lets go of it before its end */
	FATE_REFUSE,		/* (relay) the server cannot be reached */
};

/* One local side: what the client or the server does. */
struct end_plan {
	uint32_t bytes;		/* to write */
	uint32_t write_after;	/* once this much was read */
	uint32_t write_piece;	/* at most so much at once */
	uint64_t write_gap_us;	/* between pieces */
	bool timed;		/* each piece, see timed_us below */
	bool end_last;		/* ends only after the other side's end */

	uint32_t read_piece;
	uint64_t read_gap_us;
	uint32_t pause_at;	/* stops reading there, */
	uint64_t pause_us;	/* for so long */

	enum fate fate;
	uint8_t fate_code;
	uint32_t fate_written, fate_read;	/* after both of these */
	uint64_t fate_delay_us;
	uint64_t release_delay_us;	/* the role holds on to it so long */
};

struct flow_plan {
	uint64_t start_us;
	uint64_t connect_us;	/* the relay reaches the server after */
	struct end_plan ends[SIDES];
};

struct scenario {
	struct group_options options[SIDES];
	uint64_t budget_bytes[SIDES];
	uint32_t redundancy[SIDES], redundancy_per_s[SIDES];
	bool may_refuse;	/* resources are short: RESET 5 is right */
	bool is_long;		/* moves a session past SIM_LONG datagrams */

	size_t nlinks;
	struct link_plan links[SIM_LINKS];
	size_t nflows;
	struct flow_plan flows[SIM_FLOWS];

	unsigned deaths, stalls;	/* how many at most */
	uint64_t trouble_us;		/* mean time between two */
	uint64_t stall_max_us;
	uint64_t notice_max_us;	/* until an end sees that a link is dead */
	uint64_t dial_max_us;		/* until there is another */
	uint64_t ping_us;		/* interval, 0: never */
	uint64_t drain_us;		/* when, 0: never */
	uint64_t restart_us;		/* of the relay, 0: never */
	struct wire_path paths[2][SIM_PATHS];	/* as configured, */
	uint64_t reload_us;		/* and from then on; 0: never */
	uint64_t path_rates[SIM_PATHS];	/* the proxy's own; 0: not known */
	bool newer[SIDES];		/* says what the other does not know */
	bool older[SIDES];		/* knows only what must
					 * not be skipped */
	uint64_t timer_late_us;		/* timers run up to this late */
	uint32_t chunk_max;		/* of what is handed to group_take() */
	bool stingy;			/* sometimes little room to fill */
	uint64_t timed_us;		/* from then on: how late a piece is,
					 * and how long nothing comes; 0:
					 * never */
};

void scenario_make(struct scenario *, uint64_t seed);
void scenario_print(const struct scenario *, uint64_t seed);

#endif
